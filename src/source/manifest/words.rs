//! Words of problems: what was found, what was expected, and what was probably meant.

use super::tree::{Node, Value};

/// Maximum number of characters of a text that an error quotes.
const SHOWN: usize = 60;

/// The text in quotes, shortened if long. A user name or password in an address is not repeated.
pub(crate) fn quoted(text: &str) -> String {
    let shown = match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            let (before, after) =
                (text.get(..scheme).unwrap_or_default(), text.get(at..).unwrap_or_default());
            format!("{before}://…{after}")
        }
        _ => text.to_owned(),
    };
    if shown.chars().count() <= SHOWN {
        return format!("{shown:?}");
    }
    let cut: String = shown.chars().take(SHOWN).collect();
    format!("{:?}", format!("{cut}…"))
}

/// Describes a value in a message about an unexpected one.
pub(super) fn what(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(_, raw) => format!("the number {raw}"),
        Value::Text(text) => format!("the text {}", quoted(text)),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map of fields".to_owned(),
    }
}

/// The name that was probably meant, if one is similar.
pub(crate) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_lowercase();
    let near = names.filter_map(|name| {
        let distance = strsim::damerau_levenshtein(&lower, &name.to_lowercase());
        (distance <= (name.chars().count().max(3)) / 3).then_some((distance, name))
    });
    near.min().map(|(_, name)| name)
}

/// `a, b or c`.
pub(crate) fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_suggested_only_when_it_is_near() {
        let fields = ["minSuccess", "minSample", "method"];
        let near = |text| nearest(text, fields.into_iter());
        assert_eq!(near("minSucces"), Some("minSuccess"));
        assert_eq!(near("MINSAMPLE"), Some("minSample"));
        assert_eq!(near("mehtod"), Some("method"));
        assert_eq!(near("windows"), None);
    }

    #[test]
    fn long_texts_are_cut_and_passwords_left_out() {
        assert_eq!(quoted("a\"b"), r#""a\"b""#);
        assert_eq!(quoted(&"x".repeat(61)).chars().count(), 63);
        assert_eq!(quoted("https://me:secret@host/p"), r#""https://…@host/p""#);
    }
}
