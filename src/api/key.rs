//! What names an object: its API group, kind, namespace and name.

use super::{ObjectMeta, pattern};
use serde::{Deserialize, Serialize};
use std::fmt;

/// API group of every kind.
pub const GROUP: &str = "ota.rollwave.dev";
/// API version of every kind.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of a manifest.
pub const API_VERSION: &str = "ota.rollwave.dev/v1alpha1";
/// Finalizer that keeps an object in a cluster until its cloud resources are settled.
pub const FINALIZER: &str = "ota.rollwave.dev/settle";

/// Namespace of an object that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The kinds that users write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// One cloud account.
    OtaCloud,
    /// One immutable firmware or software version.
    OtaPackage,
    /// A staged upgrade of a set of devices to a package.
    OtaRollout,
}

impl Kind {
    /// Every kind, in the order of their dependencies.
    pub const ALL: [Self; 3] = [Self::OtaCloud, Self::OtaPackage, Self::OtaRollout];

    /// The name in a manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtaCloud => "OtaCloud",
            Self::OtaPackage => "OtaPackage",
            Self::OtaRollout => "OtaRollout",
        }
    }

    /// Parses a kind as users type it: any case, plural or short name (`rollout`, `otarollouts`, `otar`).
    #[must_use]
    pub fn parse_loosely(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        Self::ALL.into_iter().find(|kind| kind.spellings().contains(&text.as_str()))
    }

    const fn spellings(self) -> [&'static str; 5] {
        match self {
            Self::OtaCloud => ["otacloud", "otaclouds", "otac", "cloud", "clouds"],
            Self::OtaPackage => ["otapackage", "otapackages", "otap", "package", "packages"],
            Self::OtaRollout => ["otarollout", "otarollouts", "otar", "rollout", "rollouts"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names one object: kind, namespace, name. Ordered, so that every walk over objects is reproducible.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Kind of the object.
    pub kind: Kind,
    /// Namespace; [`DEFAULT_NAMESPACE`] when the manifest names none.
    pub namespace: String,
    /// Name, unique within kind and namespace.
    pub name: String,
}

impl ObjectKey {
    /// A key from its parts.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object of this kind with this metadata.
    #[must_use]
    pub fn of(kind: Kind, meta: &ObjectMeta) -> Self {
        let namespace = meta.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        Self::new(kind, namespace, meta.name.as_deref().unwrap_or_default())
    }

    /// The key of an object of the same namespace.
    #[must_use]
    pub fn sibling(&self, kind: Kind, name: &str) -> Self {
        Self::new(kind, self.namespace.clone(), name)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace == DEFAULT_NAMESPACE {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// A reference to another object in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::NAME))]
    pub name: String,
}
