//! What was observed of one cloud account. Reconciles read this instead of making calls; every list is read once for
//! all objects.
//!
//! Every entry carries the time at which its observation began, which decides what it proves.

mod answers;
mod devices;
mod failing;
mod job_details;
mod jobs;
mod listing;
mod packages;
mod questions;
mod row;

pub use devices::{Devices, ProductSet};
pub use jobs::Jobs;
pub use packages::{Listed, Packages};

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
