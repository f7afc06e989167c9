//! Any object that users write.

use super::{
    AccountRef, Condition, DEFAULT_NAMESPACE, FINALIZER, Intent, Kind, ObjectKey, ObjectMeta, OtaCloud,
    OtaPackage, OtaRollout,
};
use kube::Resource as _;
use serde::{Deserialize, Serialize};

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

    /// Metadata, to be changed by the state backend only.
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

    /// True when both specs are equal; metadata and status do not count.
    #[must_use]
    pub fn same_spec(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cloud(a), Self::Cloud(b)) => a.spec == b.spec,
            (Self::Package(a), Self::Package(b)) => a.spec == b.spec,
            (Self::Rollout(a), Self::Rollout(b)) => a.spec == b.spec,
            _ => false,
        }
    }

    /// True once deletion was requested (the manifest was removed, or Kubernetes set a deletion time).
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }

    /// The kubectl command that removes our finalizer, so that a deletion does not wait for Rollwave; none without that
    /// finalizer.
    #[must_use]
    pub fn finalizer_command(&self) -> Option<String> {
        let finalizers = self.meta().finalizers.as_ref()?;
        let index = finalizers.iter().position(|name| name == FINALIZER)?;
        let key = self.key();
        let (namespace, kind) = (&key.namespace, key.kind.as_str().to_lowercase());
        let path = format!("/metadata/finalizers/{index}");
        // The test keeps the finalizers of other controllers if their order has changed meanwhile.
        let patch = format!(
            r#"[{{"op":"test","path":"{path}","value":"{FINALIZER}"}},{{"op":"remove","path":"{path}"}}]"#
        );
        Some(format!("kubectl patch -n {namespace} {kind}/{} --type=json -p '{patch}'", key.name))
    }

    /// Creates of this object whose outcome is not settled.
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

    /// The `OtaCloud` whose worker handles the object, given the package of a rollout: the account of the jobs of the rollout
    /// until they are settled, then that of its package. A rollout with neither belongs to a cloud without a name, whose worker
    /// can only report the problem.
    #[must_use]
    pub fn account(&self, package: Option<&Self>) -> ObjectKey {
        let account = match self {
            Self::Rollout(rollout) => rollout.account_of_jobs().or_else(|| package.and_then(Self::cloud_ref)),
            Self::Cloud(_) | Self::Package(_) => self.cloud_ref(),
        };
        account.unwrap_or_else(|| self.key().sibling(Kind::OtaCloud, ""))
    }

    /// The generation of the spec; 0 before a state backend has stored the object.
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
    /// The `OtaCloud` whose account has jobs or unsettled calls of this rollout; none without any.
    #[must_use]
    pub fn account_of_jobs(&self) -> Option<ObjectKey> {
        let status = self.status.as_ref()?;
        let has_any = !status.pending.is_empty() || status.stages.iter().any(|stage| !stage.jobs.is_empty());
        let account = status.account.as_deref().filter(|_| has_any)?;
        Some(AccountRef::parse(account).key(&ObjectKey::of(Kind::OtaRollout, &self.metadata).namespace))
    }

    /// The same, if the package is in another account now.
    #[must_use]
    pub fn account_left(&self, package: &OtaPackage) -> Option<ObjectKey> {
        self.account_of_jobs().filter(|account| *account != package.account())
    }
}
