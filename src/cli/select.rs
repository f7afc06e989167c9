//! Objects as users name them: `KIND`, `KIND/NAME` or `KIND/NAMESPACE/NAME`.

use crate::api::{DEFAULT_NAMESPACE, Kind, Object, ObjectKey};
use std::{fmt, str::FromStr};

/// One object, or all of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The kind.
    pub kind: Kind,
    /// Namespace, if named, and name; all objects of the kind when absent.
    pub object: Option<(Option<String>, String)>,
}

impl Selector {
    /// True when the object is selected; `namespace` applies where no namespace is named.
    #[must_use]
    pub fn matches(&self, key: &ObjectKey, namespace: &str) -> bool {
        let is_it = |(named, name): &(Option<String>, String)| {
            named.as_deref().unwrap_or(namespace) == key.namespace && *name == key.name
        };
        self.kind == key.kind && self.object.as_ref().is_none_or(is_it)
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let kind = parse_kind(parts.next().unwrap_or_default())?;
        let object = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some(name), None, _) => Some((None, name.to_owned())),
            (Some(namespace), Some(name), None) => Some((Some(namespace.to_owned()), name.to_owned())),
            _ => return Err(format!("\"{text}\" has too many parts (try {kind}/NAME)")),
        };
        let is_empty = |text: &String| text.is_empty();
        if object
            .as_ref()
            .is_some_and(|(namespace, name)| namespace.as_ref().is_some_and(is_empty) || is_empty(name))
        {
            return Err(format!("\"{text}\" names no object (try {kind}/NAME)"));
        }
        Ok(Self { kind, object })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            None => write!(f, "{}", self.kind),
            Some((namespace, name)) => {
                let namespace = namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
                write!(f, "{}", ObjectKey::new(self.kind, namespace, name))
            }
        }
    }
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    const WORDS: [&str; 3] = ["cloud", "package", "rollout"];
    Kind::parse_loosely(text).ok_or_else(|| match nearest(&text.to_ascii_lowercase(), WORDS) {
        Some(word) => format!("\"{text}\" is not a kind: did you mean {word}?"),
        None => format!("\"{text}\" is not a kind (try cloud, package or rollout)"),
    })
}

/// The word most similar to `text`, if any is similar.
fn nearest<'a>(text: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.75;
    let scored = words.into_iter().map(|word| (strsim::jaro_winkler(text, word), word));
    scored.filter(|(score, _)| *score >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}

/// The selected objects, in order of their keys; all when nothing is named. `namespace` applies where no namespace is named.
///
/// # Errors
/// A message that names the missing object and the most similar one.
pub fn select<'a>(
    objects: &'a [Object],
    wanted: &[Selector],
    namespace: &str,
) -> Result<Vec<&'a Object>, String> {
    for selector in wanted.iter().filter(|selector| selector.object.is_some()) {
        if !objects.iter().any(|object| selector.matches(&object.key(), namespace)) {
            return Err(not_there(selector, objects));
        }
    }
    let meant =
        |object: &&Object| wanted.is_empty() || wanted.iter().any(|s| s.matches(&object.key(), namespace));
    let mut found: Vec<&Object> = objects.iter().filter(meant).collect();
    found.sort_by_key(|object| object.key());
    Ok(found)
}

fn not_there(selector: &Selector, objects: &[Object]) -> String {
    let keys: Vec<String> = objects.iter().map(|object| object.key().to_string()).collect();
    let same_kind = keys.iter().map(String::as_str).filter(|key| key.starts_with(selector.kind.as_str()));
    match nearest(&selector.to_string(), same_kind) {
        Some(key) => format!("there is no {selector}: did you mean {key}?"),
        None => format!("there is no {selector}: `rollwave get` lists all objects"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_names_are_read_as_people_type_them() {
        for (text, meaning) in [
            ("rollouts", "OtaRollout"),
            ("otap/meter", "OtaPackage/meter"),
            ("Package/factory/meter", "OtaPackage/factory/meter"),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), meaning);
        }
        for (text, error) in [
            ("rolout/x", "\"rolout\" is not a kind: did you mean rollout?"),
            ("frobs", "\"frobs\" is not a kind (try cloud, package or rollout)"),
            ("rollout/", "\"rollout/\" names no object (try OtaRollout/NAME)"),
            ("rollout/a/b/c", "\"rollout/a/b/c\" has too many parts (try OtaRollout/NAME)"),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap_err(), error);
        }
    }

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        let objects = super::super::samples::fleet();
        let ask = |text: &str| select(&objects, &[text.parse().unwrap()], DEFAULT_NAMESPACE);
        assert_eq!(
            ask("rollout/running-canry").unwrap_err(),
            "there is no OtaRollout/running-canry: did you mean OtaRollout/running-canary?"
        );
        assert_eq!(ask("rollout/running-canary").unwrap().len(), 1);
        assert_eq!(select(&objects, &[], DEFAULT_NAMESPACE).unwrap().len(), objects.len());
    }
}
