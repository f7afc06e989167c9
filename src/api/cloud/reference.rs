//! References of packages to their account, and which namespaces may use it.

use super::OtaCloud;
use crate::api::pattern;
use crate::api::{Kind, ObjectKey};
use serde::{Deserialize, Serialize};
use std::fmt;

/// In `spec.allowedNamespaces`: every namespace.
const ANY: &str = "*";

/// Reference to an `OtaCloud`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountRef {
    /// Name of the `OtaCloud`.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::NAME))]
    pub name: String,
    /// Namespace of the `OtaCloud`, if it is another one; its `spec.allowedNamespaces` must include the namespace of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub namespace: Option<String>,
}

impl AccountRef {
    /// Parses the form of the status: `NAME`, or `NAMESPACE/NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.split_once('/') {
            Some((namespace, name)) => Self { name: name.to_owned(), namespace: Some(namespace.to_owned()) },
            None => Self { name: text.to_owned(), namespace: None },
        }
    }

    /// The key of the account, for a reference from this namespace.
    #[must_use]
    pub fn key(&self, namespace: &str) -> ObjectKey {
        ObjectKey::new(Kind::OtaCloud, self.namespace.as_deref().unwrap_or(namespace), &*self.name)
    }
}

impl fmt::Display for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl OtaCloud {
    /// Why objects of a namespace may create nothing in this account; none when they may.
    #[must_use]
    pub fn refusal(&self, namespace: &str) -> Option<String> {
        let key = ObjectKey::of(Kind::OtaCloud, &self.metadata);
        let is_allowed = |allowed: &String| allowed == ANY || allowed == namespace;
        let refused = key.namespace != namespace && !self.spec.allowed_namespaces.iter().any(is_allowed);
        refused.then(|| {
            format!(
                "{key} does not allow namespace {namespace}: add it to spec.allowedNamespaces of that OtaCloud"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(namespace: &str, allowed: &[&str]) -> OtaCloud {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaCloud",
            "metadata": {"name": "meters", "namespace": namespace},
            "spec": {"credentials": {"secretRef": {"name": "keys"}}, "allowedNamespaces": allowed},
        }))
        .unwrap()
    }

    #[test]
    fn an_account_is_for_its_own_namespace_and_for_those_that_it_allows() {
        for (allowed, namespace, may) in [
            (&[][..], "platform", true),
            (&[], "team-a", false),
            (&["team-a"], "team-a", true),
            (&["team-a"], "team-b", false),
            (&["team-a", "*"], "team-b", true),
        ] {
            let refusal = cloud("platform", allowed).refusal(namespace);
            assert_eq!(refusal.is_none(), may, "{allowed:?} {namespace}: {refusal:?}");
        }
        let said = cloud("platform", &[]).refusal("team-a").unwrap();
        insta::assert_snapshot!(said, @"OtaCloud/platform/meters does not allow namespace team-a: add it to spec.allowedNamespaces of that OtaCloud");
    }

    #[test]
    fn a_reference_reads_back_as_it_is_written() {
        for text in ["meters", "platform/meters"] {
            assert_eq!(AccountRef::parse(text).to_string(), text);
        }
        let keys =
            ["meters", "team-a/meters", "platform/meters"].map(|text| AccountRef::parse(text).key("team-a"));
        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[1], keys[2]);
    }
}
