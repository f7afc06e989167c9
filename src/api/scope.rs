//! What one list, and the watch that follows it, covers.

use super::{Kind, ObjectKey};
use std::collections::BTreeSet;
use std::fmt;

/// The objects of one kind, in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// Kind of the objects.
    pub kind: Kind,
    /// Their namespace; all namespaces when absent.
    pub namespace: Option<String>,
}

impl Scope {
    /// Every kind in each of these namespaces; in the whole cluster when none is named.
    #[must_use]
    pub fn of_namespaces(namespaces: &[String]) -> BTreeSet<Self> {
        let namespaces = match namespaces {
            [] => vec![None],
            named => named.iter().cloned().map(Some).collect(),
        };
        let every_kind = |namespace: &Option<String>| {
            let namespace = namespace.clone();
            Kind::ALL.into_iter().map(move |kind| Self { kind, namespace: namespace.clone() })
        };
        namespaces.iter().flat_map(every_kind).collect()
    }

    /// True when this object belongs to it.
    #[must_use]
    pub fn holds(&self, key: &ObjectKey) -> bool {
        self.kind == key.kind && self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}s of namespace {namespace}", self.kind),
            None => write!(f, "{}s", self.kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_of_each_named_namespace_or_of_all() {
        let everywhere = Scope::of_namespaces(&[]);
        assert_eq!(everywhere.len(), Kind::ALL.len());
        let two = Scope::of_namespaces(&["a".into(), "b".into(), "a".into()]);
        assert_eq!(two.len(), 2 * Kind::ALL.len());
        let key = ObjectKey::new(Kind::OtaPackage, "b", "meter-v2");
        let holding = |scopes: &BTreeSet<Scope>| {
            scopes.iter().filter(|scope| scope.holds(&key)).map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(holding(&everywhere), ["OtaPackages"]);
        assert_eq!(holding(&two), ["OtaPackages of namespace b"]);
    }
}
