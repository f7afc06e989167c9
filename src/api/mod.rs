//! What users write and read: the three kinds, their defaults, their validation and their status.
//!
//! One Rust type is the manifest, the CRD schema and the validation: `schemars` reads the schema off it, the CEL
//! rules in that schema run in folder mode too ([`crate::source::manifest`]).
//!
//! **Invariant:** nothing here does I/O, and nothing here knows a cloud's wire format.

mod cloud;
mod condition;
mod crd;
mod delivery;
mod event;
mod health;
mod json_schema;
mod own;
mod package;
pub mod pattern;
mod quantity;
mod reason;
mod request;
mod rollout;
mod scope;
mod status;
pub mod support;
mod window;
mod words;

pub use cloud::*;
pub use condition::*;
pub use crd::*;
pub use delivery::{Delivery, DeliveryStart, DownloadProtocol, Retry};
pub use event::{Event, REFUSALS, events};
pub use health::{Health, all_settled};
pub use json_schema::{json_schema, json_schema_file};
pub use own::*;
pub use package::*;
pub use quantity::*;
pub use reason::{EventType, Reason};
pub use request::{Request, is_paused};
pub use rollout::*;
pub use scope::Scope;
pub use status::*;
pub use window::*;
pub use words::{counted, verb};

use kube::Resource as _;
use serde::{Deserialize, Serialize};
use std::fmt;

/// API group of every kind.
pub const GROUP: &str = "ota.rollwave.dev";
/// API version of every kind.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` as it stands in a manifest.
pub const API_VERSION: &str = "ota.rollwave.dev/v1alpha1";
/// Finalizer that keeps an object in a cluster until what was made for it is settled.
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
    /// Every kind, in the order in which they depend on one another.
    pub const ALL: [Self; 3] = [Self::OtaCloud, Self::OtaPackage, Self::OtaRollout];

    /// The name as it stands in a manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtaCloud => "OtaCloud",
            Self::OtaPackage => "OtaPackage",
            Self::OtaRollout => "OtaRollout",
        }
    }

    /// Reads a kind as people type it: any case, plural or short name (`rollout`, `otarollouts`, `otar`).
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

/// Any object that users write, with its metadata and status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Object {
    /// A cloud account.
    Cloud(OtaCloud),
    /// A package.
    Package(OtaPackage),
    /// A rollout.
    Rollout(OtaRollout),
}

impl Object {
    /// Kind of the object.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Cloud(_) => Kind::OtaCloud,
            Self::Package(_) => Kind::OtaPackage,
            Self::Rollout(_) => Kind::OtaRollout,
        }
    }

    /// Metadata: name, namespace, labels, `uid`, `generation`, `deletionTimestamp`.
    #[must_use]
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Cloud(o) => o.meta(),
            Self::Package(o) => o.meta(),
            Self::Rollout(o) => o.meta(),
        }
    }

    /// Metadata, to be changed by the state home only.
    pub fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Cloud(o) => o.meta_mut(),
            Self::Package(o) => o.meta_mut(),
            Self::Rollout(o) => o.meta_mut(),
        }
    }

    /// The key of this object.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey::of(self.kind(), self.meta())
    }

    /// Namespace; [`DEFAULT_NAMESPACE`] when the manifest names none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE)
    }

    /// The package, if it is one.
    #[must_use]
    pub const fn as_package(&self) -> Option<&OtaPackage> {
        if let Self::Package(package) = self { Some(package) } else { None }
    }

    /// True when both say the same; metadata and status do not count.
    #[must_use]
    pub fn same_spec(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cloud(a), Self::Cloud(b)) => a.spec == b.spec,
            (Self::Package(a), Self::Package(b)) => a.spec == b.spec,
            (Self::Rollout(a), Self::Rollout(b)) => a.spec == b.spec,
            _ => false,
        }
    }

    /// True once deletion was asked for (the manifest is gone, or Kubernetes set a deletion time).
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }

    /// The kubectl command that takes our finalizer off, so that a deletion does not wait for Rollwave; none where there is no
    /// such finalizer.
    #[must_use]
    pub fn finalizer_command(&self) -> Option<String> {
        let finalizers = self.meta().finalizers.as_ref()?;
        let index = finalizers.iter().position(|name| name == FINALIZER)?;
        let key = self.key();
        let (namespace, kind) = (&key.namespace, key.kind.as_str().to_lowercase());
        let path = format!("/metadata/finalizers/{index}");
        // Nobody else's finalizer is taken off if their order has changed meanwhile.
        let patch = format!(
            r#"[{{"op":"test","path":"{path}","value":"{FINALIZER}"}},{{"op":"remove","path":"{path}"}}]"#
        );
        Some(format!("kubectl patch -n {namespace} {kind}/{} --type=json -p '{patch}'", key.name))
    }

    /// Creates of this object that are not settled.
    #[must_use]
    pub fn pending(&self) -> &[Intent] {
        match self {
            Self::Cloud(_) => &[],
            Self::Package(o) => o.status.as_ref().map_or(&[], |status| &status.pending),
            Self::Rollout(o) => o.status.as_ref().map_or(&[], |status| &status.pending),
        }
    }

    /// The `OtaCloud` that this object names itself; a rollout reaches its cloud through its package.
    #[must_use]
    pub fn cloud_ref(&self) -> Option<ObjectKey> {
        match self {
            Self::Cloud(_) => Some(self.key()),
            Self::Package(o) => Some(o.account()),
            Self::Rollout(_) => None,
        }
    }

    /// The `OtaCloud` with whose account the object is worked on, given the package of a rollout: the one in which the jobs of a
    /// rollout are, until they are settled, and then the one of its package. A rollout with neither belongs to a cloud of no
    /// name, where it can only be told so.
    #[must_use]
    pub fn account(&self, package: Option<&Self>) -> ObjectKey {
        let account = match self {
            Self::Rollout(rollout) => rollout.account_of_jobs().or_else(|| package.and_then(Self::cloud_ref)),
            Self::Cloud(_) | Self::Package(_) => self.cloud_ref(),
        };
        account.unwrap_or_else(|| self.key().sibling(Kind::OtaCloud, ""))
    }

    /// The generation of the spec; 0 before a state home has seen the object.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.meta().generation.unwrap_or(0)
    }

    /// The conditions of the status, empty before the first reconcile.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        match self {
            Self::Cloud(o) => o.status.as_ref().map_or(&[], |s| &s.conditions),
            Self::Package(o) => o.status.as_ref().map_or(&[], |s| &s.conditions),
            Self::Rollout(o) => o.status.as_ref().map_or(&[], |s| &s.conditions),
        }
    }
}

impl OtaRollout {
    /// The `OtaCloud` in whose account the jobs and unsettled calls of this rollout are; none without any.
    #[must_use]
    pub fn account_of_jobs(&self) -> Option<ObjectKey> {
        let status = self.status.as_ref()?;
        let has_any = !status.pending.is_empty() || status.stages.iter().any(|stage| !stage.jobs.is_empty());
        let account = status.account.as_deref().filter(|_| has_any)?;
        Some(AccountRef::parse(account).key(&ObjectKey::of(Kind::OtaRollout, &self.metadata).namespace))
    }

    /// The same, when the package is in another account now.
    #[must_use]
    pub fn account_left(&self, package: &OtaPackage) -> Option<ObjectKey> {
        self.account_of_jobs().filter(|account| *account != package.account())
    }
}

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};

/// Names another object in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::NAME))]
    pub name: String,
}
