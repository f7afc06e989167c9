//! What was seen of one cloud account. Reconciles read this instead of calling; every list is read once for all objects.
//!
//! Everything here carries the time at which its look began, so that the judge and the journal can say what it proves.

mod answers;
mod devices;
mod failing;
mod job_details;
mod jobs;
mod listing;
mod packages;

pub use devices::{DeviceSet, Devices, SetName};
pub use jobs::Jobs;
pub use packages::{Listed, Packages};

use crate::cloud::{Call, CallError, ErrorClass};

/// Snapshots of one cloud account.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Packages, with the details that were read of them.
    pub packages: Packages,
    /// Upgrade jobs, with the failed devices that were read of them.
    pub jobs: Jobs,
    /// Devices, groups and tags.
    pub devices: Devices,
}

/// The client answered with a reply of another shape than the call asks for.
pub(super) fn misfit(call: &Call) -> CallError {
    CallError::new(
        ErrorClass::Unintelligible,
        call.operation(),
        "the client gave an answer of another shape than the question",
    )
    .next_step("report this as a bug of Rollwave")
}
