//! The connection of a worker to its account.

use super::account::Account;
use super::basis::Wanted;
use crate::api::{Object, OtaCloud, OtaCloudSpec};
use jiff::{SignedDuration, Timestamp};

/// The connection of a worker.
pub(super) struct Link {
    pub(super) account: Account,
    pub(super) drift_interval: SignedDuration,
    /// When the account is compared with the specs next.
    pub(super) drift_due: Timestamp,
    /// Spec and metadata of its `OtaCloud`.
    pub(super) wanted: Wanted,
    uid: Option<String>,
    spec: OtaCloudSpec,
    /// The cloud refused the credentials: they are read again, since they may have been corrected.
    pub(super) refused: bool,
}

impl Link {
    /// A connection to the account of this `OtaCloud`, made at this time.
    pub(super) fn new(account: Account, cloud: &OtaCloud, now: Timestamp) -> Self {
        let drift_interval = cloud.spec.drift_interval.as_signed();
        Self {
            account,
            drift_interval,
            drift_due: now.saturating_add(drift_interval).unwrap_or(Timestamp::MAX),
            wanted: Wanted::of(&Object::Cloud(cloud.clone())),
            uid: cloud.metadata.uid.clone(),
            spec: cloud.spec.clone(),
            refused: false,
        }
    }

    /// True while the `OtaCloud` is the same object with the same spec.
    pub(super) fn is_of(&self, cloud: &OtaCloud) -> bool {
        self.uid == cloud.metadata.uid && self.has_spec_of(cloud)
    }

    /// True when the `OtaCloud` has the spec that the connection was made with.
    pub(super) fn has_spec_of(&self, cloud: &OtaCloud) -> bool {
        self.spec == cloud.spec
    }

    /// The same connection to an `OtaCloud` that was edited, which needs no other client.
    pub(super) fn following(self, cloud: &OtaCloud) -> Self {
        Self { wanted: Wanted::of(&Object::Cloud(cloud.clone())), ..self }
    }

    /// The same connection, whose credentials have to be read again.
    pub(super) fn refused(self) -> Self {
        Self { refused: true, ..self }
    }
}
