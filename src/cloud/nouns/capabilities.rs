//! What one cloud can and cannot do.

use super::CloudKind;
use jiff::SignedDuration;

/// What a cloud can and cannot do, and its documented limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// Which cloud it is.
    pub cloud: CloudKind,
    /// Whether packages can be created through the API; otherwise they are created by hand.
    pub creates_packages: bool,
    /// How the artifact of a package gets into the cloud.
    pub uploads: Uploads,
    /// Whether the cloud itself requires a package to be verified.
    pub verifies: bool,
    /// How Rollwave's jobs are recognized.
    pub job_identity: JobIdentity,
    /// What rows of jobs, and the details of a single job, omit.
    pub job_rows_lack: RowsLack,
    /// Maximum number of devices that a job can be queried for at once, without the results of others; 0 where no such call
    /// exists and rows are sufficient.
    pub max_devices_per_question: usize,
    /// Whether a job can be stopped through the API.
    pub stops_jobs: bool,
    /// Whether a stopped job with unfinished devices prevents the deletion of its package until the job itself is deleted.
    pub stopped_jobs_hold: bool,
    /// Whether a single device can be read. If not, all devices of its product are read.
    pub shows_devices: bool,
    /// Maximum number of devices per job.
    pub max_devices_per_job: usize,
    /// Rows per page of a list, except for devices.
    pub page_size: usize,
    /// Devices per call of a page of devices: more than one number where names and versions are read separately.
    pub device_pages: &'static [usize],
    /// Devices per call of [`Call::ListPresence`](crate::cloud::Call::ListPresence); 0 where there is no such call, because
    /// rows of devices report whether they are connected.
    pub presence_page: usize,
    /// Devices per call of a page of a [`DeviceSet`](crate::cloud::DeviceSet).
    pub set_page: usize,
    /// Whether software has separate lists.
    pub lists_software: bool,
    /// Whether jobs are listed per package.
    pub lists_jobs_by_package: bool,
    /// How long a device is silent before lists show it as offline; none where they do not show it.
    pub shows_offline_after: Option<SignedDuration>,
    /// How long a new object may be missing from lists.
    pub visibility_lag: SignedDuration,
    /// How long after it was sent a request may still take effect (including its total timeout).
    pub request_deadline: SignedDuration,
    /// The same for the create of a package: longer where it includes the file.
    pub package_deadline: SignedDuration,
    /// Requests per second that the cloud documents for one account, with headroom; the default budget.
    pub requests_per_second: u32,
    /// Requests that may be sent at once after an idle period; the default budget.
    pub burst: u32,
}

/// How the artifact of a package gets into a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploads {
    /// Not by Rollwave: the package refers to an object that the cloud fetches, or is uploaded by hand.
    Never,
    /// By [`Call::Upload`](crate::cloud::Call::Upload), before the package is created.
    Before,
    /// Within the call that creates the package.
    WithPackage,
}

/// How Rollwave's jobs are recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobIdentity {
    /// The job carries its idempotency key, and lists show it.
    Token,
    /// The job carries no key: kind, exact devices and time of creation identify it.
    Devices,
}

/// What rows of jobs, and the details of a single job, omit. The results of all devices of a job supply it: [`Job::fill_in`].
///
/// [`Job::fill_in`]: super::Job::fill_in
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowsLack {
    /// Nothing: devices, counts and how the job ended are included.
    #[default]
    Nothing,
    /// The devices of the job and their counts. That the job ended is included, but not how.
    Devices,
    /// The counts of its devices, and that it ended. Its devices are included.
    Progress,
}
