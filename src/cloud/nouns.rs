//! Cloud-neutral nouns. They mean the same on every cloud; what one cloud lacks is said in [`Capabilities`].

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, path::PathBuf};

pub use crate::api::{CloudKind, Delivery, PackageType as PackageKind};

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
    /// Where a job's devices and counters are found.
    pub job_details: JobDetails,
    /// Whether a job can be stopped by a call.
    pub stops_jobs: bool,
    /// Whether a job says how many of its devices stand where, and when it is done. Where it does not, the results of all its
    /// devices are read ([`Job::counted`]).
    pub counts_devices: bool,
    /// Whether one device can be asked for. Where not, all devices of its product are read.
    pub shows_devices: bool,
    /// Most devices in one job.
    pub max_devices_per_job: usize,
    /// Most devices in one stop or retry call; more are sent in several calls.
    pub max_devices_per_order: usize,
    /// Rows in one page of a list.
    pub page_size: usize,
    /// How long a thing just created may be missing from lists.
    pub visibility_lag: SignedDuration,
    /// How long after a request left it may still take effect (total timeout of the request included).
    pub request_deadline: SignedDuration,
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
    /// By [`Call::Upload`](super::Call::Upload), before the package is created.
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

/// Where a job's devices and counters are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobDetails {
    /// The job itself has them.
    InRow,
    /// Nowhere but in [`Call::ListJobDevices`](super::Call::ListJobDevices) of all its devices: [`Job::with_devices`].
    ByDevices,
}

/// Natural key of a package inside one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PackageKey {
    /// Firmware or software.
    pub kind: PackageKind,
    /// The cloud's product id.
    pub product: String,
    /// Version.
    pub version: String,
}

/// A package as a list shows it: without its artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageRow {
    /// Cloud's id.
    pub id: String,
    /// Natural key.
    pub key: PackageKey,
    /// Its name, where packages have one that is not made by the client.
    pub name: Option<String>,
    /// Versions that may be upgraded to it; empty where the cloud does not say.
    pub source_versions: Vec<String>,
    /// For people.
    pub description: Option<String>,
    /// Handed to the device.
    pub custom_info: Option<String>,
    /// Where the cloud's own verification of it stands; none where a cloud has no such thing.
    pub verification: Option<CloudVerification>,
    /// When the cloud created it.
    pub created_at: Option<Timestamp>,
}

/// Where a cloud's own verification of a package stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum CloudVerification {
    /// The package was created without.
    NotNeeded,
    /// Not begun.
    Pending,
    /// A verify job runs.
    Running,
    /// Passed: upgrade jobs are allowed.
    Passed,
    /// Failed: another verify job is allowed.
    Failed,
    /// A state that no document names: nothing is concluded from it.
    Unknown(String),
}

impl CloudVerification {
    /// In our words, for people.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::NotNeeded => "NotNeeded",
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::Unknown(text) => text,
        }
    }
}

impl PackageRow {
    /// Hash of everything that every list shows. While it stays the same, the details need not be read again.
    #[must_use]
    pub fn hash(&self) -> String {
        // Lists of some clouds leave it out, and the row of the details must hash alike.
        let row = Self { custom_info: None, ..self.clone() };
        let text = serde_json::to_vec(&row).unwrap_or_default();
        hex::encode(&Sha256::digest(text)[..8])
    }
}

/// A package with its artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// What lists show of it.
    pub row: PackageRow,
    /// Where its bytes are; absent when the cloud does not say.
    pub artifact: Option<ArtifactRef>,
}

/// Where the bytes of a package are, as the cloud says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum ArtifactRef {
    /// In a bucket of the user.
    Obs(ObsArtifact),
    /// In the cloud itself.
    Held(HeldArtifact),
}

/// An object in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObsArtifact {
    /// Region of the bucket.
    pub region: String,
    /// Bucket.
    pub bucket: String,
    /// Key of the object.
    pub key: String,
    /// SHA-256 in lower-case hex; absent when the cloud holds none.
    pub sha256: Option<String>,
}

/// Bytes that the cloud holds itself, with what it says of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldArtifact {
    /// SHA-256 in lower-case hex.
    pub sha256: Option<String>,
    /// MD5 in lower-case hex.
    pub md5: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
}

/// Where the bytes of a package to be created come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum NewArtifact {
    /// From a bucket of the user.
    Obs(ObsArtifact),
    /// From a file of ours.
    File(LocalFile),
    /// From a file of ours that [`Call::Upload`](super::Call::Upload) has handed to the cloud.
    Uploaded {
        /// The file.
        file: LocalFile,
        /// What the cloud calls it, such as its address.
        handle: String,
    },
    /// From the cloud's portal, by hand.
    Portal,
}

impl NewArtifact {
    /// What a cloud that takes it will say of it.
    #[must_use]
    pub fn stored(&self) -> ArtifactRef {
        match self {
            Self::Obs(object) => ArtifactRef::Obs(object.clone()),
            Self::File(file) | Self::Uploaded { file, .. } => ArtifactRef::Held(HeldArtifact {
                sha256: Some(file.sha256.clone()),
                md5: file.md5.clone(),
                size: file.size,
            }),
            Self::Portal => ArtifactRef::Held(HeldArtifact::default()),
        }
    }
}

/// A file of ours, to be uploaded. Its bytes must have these digests, or nothing is created from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalFile {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// MD5 in lower-case hex, for clouds that keep no other digest.
    pub md5: Option<String>,
    /// Size in bytes, when the manifest says.
    pub size: Option<u64>,
}

/// A package to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewPackage {
    /// Natural key.
    pub key: PackageKey,
    /// Name for people, where the cloud wants one: the object's own.
    pub name: String,
    /// Versions that may be upgraded to it; all when empty.
    pub source_versions: Vec<String>,
    /// For people.
    pub description: Option<String>,
    /// Handed to the device.
    pub custom_info: Option<String>,
    /// Where its bytes come from.
    pub artifact: NewArtifact,
    /// What the cloud's own verification shall ask for; none: the cloud holds nothing back.
    pub verification: Option<NewVerification>,
}

/// What the cloud's own verification of a package shall ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NewVerification {
    /// Devices that take part.
    pub devices: u32,
    /// Devices that must succeed.
    pub min_success: u32,
}

/// An upgrade job to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewJob {
    /// Our identity of it: lower-case letters and digits. The cloud's job must carry it where a list can find it.
    pub token: String,
    /// For people: `meter-v2/canary`. The client makes it fit the cloud's rules.
    pub title: String,
    /// Whether it tries the package, or rolls it out.
    pub purpose: JobPurpose,
    /// Natural key of the package.
    pub package: PackageKey,
    /// Cloud's id of the package.
    pub package_id: String,
    /// Device ids, sorted.
    pub devices: Vec<String>,
    /// Versions that these devices run now, sorted; a device that reports none adds none.
    pub from_versions: Vec<String>,
    /// How the devices get it.
    pub delivery: Delivery,
}

impl NewJob {
    /// Firmware or software.
    #[must_use]
    pub const fn kind(&self) -> PackageKind {
        self.package.kind
    }
}

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum JobPurpose {
    /// Tries a package before anything is rolled out.
    Verify,
    /// Rolls a package out.
    Upgrade,
}

/// An upgrade job of the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Job {
    /// Cloud's id.
    pub id: String,
    /// Our token, when the job carries one.
    pub token: Option<String>,
    /// The job's name in the cloud.
    pub title: String,
    /// Firmware or software.
    pub kind: PackageKind,
    /// Cloud's ids of the packages it sends.
    pub package_ids: Vec<String>,
    /// Devices it was created for, when the cloud says; empty otherwise.
    pub devices: Vec<String>,
    /// How the devices get it, where that tells a job from others ([`JobIdentity::Devices`]); none otherwise.
    pub delivery: Option<Delivery>,
    /// Where it stands.
    pub state: JobState,
    /// Counters of its devices.
    pub counts: JobCounts,
    /// When the cloud created it.
    pub created_at: Option<Timestamp>,
}

impl Job {
    /// The job with state and counters as the results of all its devices tell them, for clouds that count nothing. A device
    /// without a result has failed once the others are done: the cloud left it out.
    #[must_use]
    pub fn counted(mut self, results: &[DeviceResult]) -> Self {
        let count = |fits: fn(&DeviceOutcome) -> bool| {
            u32::try_from(results.iter().filter(|result| fits(&result.outcome)).count()).unwrap_or(u32::MAX)
        };
        let waiting = count(|outcome| matches!(outcome, DeviceOutcome::Queued));
        let is_stopped = self.state == JobState::Stopped;
        let mut counts = JobCounts {
            total: u32::try_from(self.devices.len().max(results.len())).unwrap_or(u32::MAX),
            queued: if is_stopped { 0 } else { waiting },
            stopped: if is_stopped { waiting } else { 0 },
            in_flight: count(|outcome| {
                matches!(outcome, DeviceOutcome::InFlight | DeviceOutcome::Unknown(_))
            }),
            succeeded: count(|outcome| matches!(outcome, DeviceOutcome::Succeeded)),
            failed: count(|outcome| matches!(outcome, DeviceOutcome::Failed)),
            ..JobCounts::default()
        };
        let is_open = waiting + counts.in_flight > 0 || results.is_empty();
        self.state = match (self.state, is_open) {
            (JobState::Stopped, _) if counts.in_flight > 0 => JobState::Stopping,
            (JobState::Running | JobState::Stopped, false) => {
                counts.failed = counts.total - counts.succeeded.min(counts.total);
                match (counts.succeeded, counts.failed) {
                    (_, 0) => JobState::Succeeded,
                    (0, _) => JobState::Failed,
                    _ => JobState::PartlyFailed,
                }
            }
            (state, _) => state,
        };
        self.counts = counts;
        self
    }

    /// The job with what all its devices tell: who they are, the counters, and how a finished one ended.
    #[must_use]
    pub fn with_devices(mut self, results: &[DeviceResult]) -> Self {
        let mut counts = JobCounts::default();
        for result in results {
            counts.total += 1;
            *match &result.outcome {
                DeviceOutcome::Queued => &mut counts.queued,
                DeviceOutcome::InFlight | DeviceOutcome::Unknown(_) => &mut counts.in_flight,
                DeviceOutcome::Succeeded => &mut counts.succeeded,
                DeviceOutcome::Failed => &mut counts.failed,
                DeviceOutcome::Retrying => &mut counts.retrying,
                DeviceOutcome::Stopped => &mut counts.stopped,
                DeviceOutcome::Removed => &mut counts.removed,
            } += 1;
        }
        let devices: BTreeSet<&String> = results.iter().map(|result| &result.device).collect();
        self.devices = devices.into_iter().cloned().collect();
        if self.state == JobState::Succeeded && counts.failed > 0 {
            self.state = if counts.succeeded > 0 { JobState::PartlyFailed } else { JobState::Failed };
        }
        self.counts = counts;
        self
    }
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum JobState {
    /// Accepted, nothing sent yet.
    Queued,
    /// Being sent.
    Running,
    /// Finished: every device succeeded.
    Succeeded,
    /// Finished: some devices failed.
    PartlyFailed,
    /// Finished: every device failed.
    Failed,
    /// Was told to stop.
    Stopping,
    /// Stopped.
    Stopped,
    /// A state that no document names: nothing is concluded from it.
    Unknown(String),
}

impl JobState {
    /// True when nothing will change any more without an order.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Succeeded | Self::PartlyFailed | Self::Failed | Self::Stopped)
    }

    /// In our words, for people.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::PartlyFailed => "PartlyFailed",
            Self::Failed => "Failed",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Unknown(text) => text,
        }
    }
}

/// Counters of a job's devices, as the cloud counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JobCounts {
    /// All.
    pub total: u32,
    /// Not begun.
    pub queued: u32,
    /// Upgrading.
    pub in_flight: u32,
    /// The cloud calls them successful. A device counts as updated only when it reports the version.
    pub succeeded: u32,
    /// Failed for good.
    pub failed: u32,
    /// Failed, and will be tried again.
    pub retrying: u32,
    /// Stopped by an order.
    pub stopped: u32,
    /// Left the job, because the device was deleted.
    pub removed: u32,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Cloud's id.
    pub id: String,
    /// The cloud's product id.
    pub product: String,
    /// Firmware version that it reported last.
    pub firmware: Option<String>,
    /// Software version that it reported last.
    pub software: Option<String>,
    /// Whether it is connected, when the cloud says.
    pub online: Option<bool>,
}

impl Device {
    /// The version that it reported last for this kind of package.
    #[must_use]
    pub fn version(&self, kind: PackageKind) -> Option<&str> {
        match kind {
            PackageKind::Firmware => self.firmware.as_deref(),
            PackageKind::Software => self.software.as_deref(),
        }
    }
}

/// What a job says of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceResult {
    /// Device id.
    pub device: String,
    /// Where it stands in the job.
    pub outcome: DeviceOutcome,
    /// The cloud's reason, word for word.
    pub reason: Option<String>,
}

/// Where a device stands in a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceOutcome {
    /// Not begun.
    Queued,
    /// Upgrading.
    InFlight,
    /// The cloud calls it successful.
    Succeeded,
    /// Failed for good.
    Failed,
    /// Failed, and will be tried again.
    Retrying,
    /// Stopped by an order.
    Stopped,
    /// Left the job.
    Removed,
    /// A state that no document names.
    Unknown(String),
}

/// Where to go on in a list. Opaque outside the client that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The cloud's marker of the last row; none at the start.
    pub marker: Option<String>,
    /// Rows read so far.
    pub seen: u64,
}

impl Cursor {
    /// The start of a list.
    #[must_use]
    pub const fn start() -> Self {
        Self { marker: None, seen: 0 }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Rows.
    pub items: Vec<T>,
    /// Rows of the whole list, when the cloud says.
    pub total: Option<u64>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_counted_by_the_results_of_its_devices() {
        use DeviceOutcome::{Failed, InFlight, Queued, Succeeded};
        let counted = |state: JobState, devices: usize, outcomes: &[DeviceOutcome]| {
            let job = Job {
                id: "j".into(),
                token: None,
                title: String::new(),
                kind: PackageKind::Firmware,
                package_ids: Vec::new(),
                devices: (0..devices).map(|n| n.to_string()).collect(),
                delivery: None,
                state,
                counts: JobCounts::default(),
                created_at: None,
            };
            let result = |(n, outcome): (usize, &DeviceOutcome)| DeviceResult {
                device: n.to_string(),
                outcome: outcome.clone(),
                reason: None,
            };
            let results: Vec<DeviceResult> = outcomes.iter().enumerate().map(result).collect();
            let JobCounts { queued, in_flight, succeeded, failed, stopped, .. } =
                job.clone().counted(&results).counts;
            (job.counted(&results).state, [queued, in_flight, succeeded, failed, stopped])
        };
        let unknown = DeviceOutcome::Unknown("melted".into());
        for (state, devices, outcomes, expected) in [
            (JobState::Running, 2, vec![], (JobState::Running, [0; 5])),
            (JobState::Running, 2, vec![Succeeded, Queued], (JobState::Running, [1, 0, 1, 0, 0])),
            (JobState::Running, 2, vec![Succeeded, Succeeded], (JobState::Succeeded, [0, 0, 2, 0, 0])),
            (JobState::Running, 2, vec![Succeeded, Failed], (JobState::PartlyFailed, [0, 0, 1, 1, 0])),
            // The cloud left one out: nobody upgrades it, so it has failed.
            (JobState::Running, 3, vec![Succeeded, Failed], (JobState::PartlyFailed, [0, 0, 1, 2, 0])),
            (JobState::Running, 1, vec![Failed], (JobState::Failed, [0, 0, 0, 1, 0])),
            (JobState::Running, 2, vec![Succeeded, unknown], (JobState::Running, [0, 1, 1, 0, 0])),
            (JobState::Stopped, 2, vec![Succeeded, Queued], (JobState::Stopped, [0, 0, 1, 0, 1])),
            (JobState::Stopped, 2, vec![InFlight, Queued], (JobState::Stopping, [0, 1, 0, 0, 1])),
            (JobState::Stopped, 1, vec![Succeeded], (JobState::Succeeded, [0, 0, 1, 0, 0])),
            (
                JobState::Unknown("x".into()),
                1,
                vec![Succeeded],
                (JobState::Unknown("x".into()), [0, 0, 1, 0, 0]),
            ),
        ] {
            assert_eq!(counted(state.clone(), devices, &outcomes), expected, "{state:?} {outcomes:?}");
        }
    }
}
