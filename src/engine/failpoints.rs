//! Every place at which a test may make the process die: before and after each durable write of the engine, and before and
//! after each call to a cloud. `tests/tidy/failpoints.rs` holds these lists against the code.

use super::worker::Worker;
use crate::api::{Object, ObjectKey, events};
use crate::state::StateError;
use std::fmt;

/// The writes, each named by what it makes durable.
pub const WRITES: [&str; 16] = [
    "PackageIntent",
    "JobIntent",
    "PackageCreated",
    "JobCreated",
    "PackageInDoubt",
    "JobInDoubt",
    "PackageRefused",
    "JobRefused",
    "BeforeDelete",
    "PackageStatus",
    "RolloutStatus",
    "CloudStatus",
    "Failure",
    "ForgetObject",
    "ForgetCloud",
    "Manifests",
];

/// The calls, by [`crate::cloud::Call::operation`].
pub const CALLS: [&str; 17] = [
    "CheckModule",
    "PermitUpload",
    "Upload",
    "ListPackages",
    "ShowPackage",
    "CreatePackage",
    "DeletePackage",
    "ListJobs",
    "ShowJob",
    "ListJobDevices",
    "CreateJob",
    "StopJob",
    "DeleteJob",
    "ListDevices",
    "ShowDevice",
    "ListGroupDevices",
    "ListTaggedDevices",
];

/// On which side of a write or call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// It has not happened.
    Before,
    /// It has happened; nothing was concluded from it yet.
    After,
}

/// A place where the process may die: `CreateJob.before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failpoint {
    /// The write or call.
    pub at: &'static str,
    /// On which side of it.
    pub side: Side,
}

impl Failpoint {
    /// Before this write or call.
    #[must_use]
    pub const fn before(at: &'static str) -> Self {
        Self { at, side: Side::Before }
    }

    /// After this write or call.
    #[must_use]
    pub const fn after(at: &'static str) -> Self {
        Self { at, side: Side::After }
    }

    /// Every point that a world can reach.
    pub fn all() -> impl Iterator<Item = Self> {
        WRITES.into_iter().chain(CALLS).flat_map(|at| [Self::before(at), Self::after(at)])
    }
}

impl fmt::Display for Failpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.side == Side::Before { "before" } else { "after" };
        write!(f, "{}.{side}", self.at)
    }
}

impl Worker {
    /// Makes an object's status durable, and tells what happened.
    pub(super) async fn save(&self, at: &'static str, object: &Object) -> Result<(), StateError> {
        let before = self.store.load(&object.key()).await?;
        self.ports.faults.pass(Failpoint::before(at));
        self.store.save_status(object).await?;
        self.ports.faults.pass(Failpoint::after(at));
        for event in events(before.as_deref(), object) {
            self.ports.recorder.record(object, &event);
        }
        Ok(())
    }

    /// Makes it durable that an object is gone.
    pub(super) async fn forget(&self, at: &'static str, key: &ObjectKey) -> Result<(), StateError> {
        self.ports.faults.pass(Failpoint::before(at));
        self.store.forget(key).await?;
        self.ports.faults.pass(Failpoint::after(at));
        Ok(())
    }
}
