//! Every failpoint: before and after each durable write of the engine, and before and after each call to a cloud.
//! `tests/tidy/failpoints.rs` compares these lists with the code.

use std::fmt;

/// The writes, each named after what it makes durable.
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
pub const CALLS: [&str; 19] = [
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
    "ListPresence",
    "ShowDevice",
    "ListGroupDevices",
    "ListTaggedDevices",
    "ListDevicesByAttribute",
];

/// Before or after a write or call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// It has not happened.
    Before,
    /// It has happened, and nothing was concluded from it yet.
    After,
}

/// A place where a test may end the process: `CreateJob.before`.
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

    /// Every failpoint that a simulation run can reach.
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
