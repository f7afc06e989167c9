//! What one cloud can and cannot do.

use super::CloudKind;
use jiff::SignedDuration;

/// What a cloud can and cannot do, and its documented limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// Which cloud it is.
    pub cloud: CloudKind,
    /// Whether packages can be created by a call; they come by hand otherwise.
    pub creates_packages: bool,
    /// How the bytes of a package get into the cloud.
    pub uploads: Uploads,
    /// Whether the cloud itself holds a package back until it has been verified.
    pub verifies: bool,
    /// How a job of ours is told from all others.
    pub job_identity: JobIdentity,
    /// What rows of jobs, and a look at a single job, leave out.
    pub job_rows_lack: RowsLack,
    /// Most devices that a job can be asked for at once, when the results of others are not wanted; 0 where no call asks so, and
    /// rows tell enough.
    pub max_devices_per_question: usize,
    /// Whether a job can be stopped by a call.
    pub stops_jobs: bool,
    /// Whether a job that was stopped with devices still to come keeps its package from being deleted, until it is deleted itself.
    pub stopped_jobs_hold: bool,
    /// Whether one device can be asked for. Where not, all devices of its product are read.
    pub shows_devices: bool,
    /// Most devices in one job.
    pub max_devices_per_job: usize,
    /// Most devices in one stop or retry call; more are sent in several calls.
    pub max_devices_per_order: usize,
    /// Rows in one page of a list, but for devices.
    pub page_size: usize,
    /// Devices that each call of a page of them tells of: more than one where names and versions are told apart.
    pub device_pages: &'static [usize],
    /// Whether software has lists of its own.
    pub lists_software: bool,
    /// Whether jobs are listed package by package.
    pub lists_jobs_by_package: bool,
    /// How long a thing just created may be missing from lists.
    pub visibility_lag: SignedDuration,
    /// How long after a request left it may still take effect (total timeout of the request included).
    pub request_deadline: SignedDuration,
    /// The same for the create of a package: longer where its file goes with it.
    pub package_deadline: SignedDuration,
    /// Calls a second that the cloud documents for one account, with headroom; the default budget.
    pub requests_per_second: u32,
    /// Calls at once after a quiet time; the default budget.
    pub burst: u32,
}

/// How the bytes of a package get into a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploads {
    /// Not at all: the package names an object that the cloud fetches, or is uploaded by hand.
    Never,
    /// By [`Call::Upload`](crate::cloud::Call::Upload), before the package is created.
    Before,
    /// Within the call that creates the package.
    WithPackage,
}

/// How a job of ours is told from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobIdentity {
    /// It carries our token, and lists show it.
    Token,
    /// It carries nothing of ours: kind, exact devices and time of creation tell it.
    Devices,
}

/// What rows of jobs, and a look at a single job, leave out. The results of all devices of a job tell it: [`Job::fill_in`].
///
/// [`Job::fill_in`]: super::Job::fill_in
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowsLack {
    /// Nothing: devices, counters and how the job ended are told.
    #[default]
    Nothing,
    /// Which devices the job is for, and how many of them stand where. That it ended is told, not how.
    Devices,
    /// How many of its devices stand where, and that it ended. Its devices are told.
    Progress,
}
