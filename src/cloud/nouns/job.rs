//! Upgrade jobs, existing and to be created.

use super::{Delivery, DeviceOutcome, DeviceResult, PackageKey, PackageKind, RowsLack};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// An upgrade job to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewJob {
    /// Idempotency key: lowercase letters and digits. The cloud's job must carry it where a list shows it.
    pub token: String,
    /// Title for users: `meter-v2/canary`. The client adapts it to the cloud's rules.
    pub title: String,
    /// Whether it verifies the package or rolls it out.
    pub purpose: JobPurpose,
    /// Natural key of the package.
    pub package: PackageKey,
    /// Cloud's id of the package.
    pub package_id: String,
    /// Device ids, sorted.
    pub devices: Vec<String>,
    /// Versions that these devices run now, sorted, without devices that report none.
    pub from_versions: Vec<String>,
    /// How the devices get the package.
    pub delivery: Delivery,
}

impl NewJob {
    /// Firmware or software.
    #[must_use]
    pub const fn kind(&self) -> PackageKind {
        self.package.kind
    }
}

/// Purpose of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum JobPurpose {
    /// Verifies a package before it is rolled out.
    Verify,
    /// Rolls a package out.
    Upgrade,
}

/// An upgrade job in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Job {
    /// Cloud's id.
    pub id: String,
    /// Idempotency key, if the job carries one.
    pub token: Option<String>,
    /// The job's name in the cloud.
    pub title: String,
    /// Firmware or software.
    pub kind: PackageKind,
    /// Module of the devices that it upgrades, if the cloud reports it; none: the whole device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The cloud's ids of the packages that it sends.
    pub package_ids: Vec<String>,
    /// Devices that it was created for, if the cloud reports them; empty otherwise.
    pub devices: Vec<String>,
    /// Delivery settings, where they identify a job ([`JobIdentity::Devices`](super::JobIdentity::Devices)); none otherwise.
    pub delivery: Option<Delivery>,
    /// State of the job.
    pub state: JobState,
    /// Counters of its devices.
    pub counts: JobCounts,
    /// When the cloud created it.
    pub created_at: Option<Timestamp>,
}

impl Job {
    /// Fills in what rows of this cloud's jobs lack, from the results of all its devices, and corrects the results of a stopped
    /// job. `is_visible`: the job is so old that its results cannot be missing any more.
    pub fn fill_in(&mut self, lack: RowsLack, results: &mut [DeviceResult], is_visible: bool) {
        match lack {
            RowsLack::Nothing => {}
            RowsLack::Devices => self.fill_in_devices(results),
            RowsLack::Progress => self.fill_in_progress(results, is_visible),
        }
    }

    fn fill_in_devices(&mut self, results: &[DeviceResult]) {
        let devices: BTreeSet<&String> = results.iter().map(|result| &result.device).collect();
        self.devices = devices.into_iter().cloned().collect();
        self.counts = JobCounts::of(results);
        if self.state == JobState::Succeeded {
            self.state = self.counts.end();
        }
    }

    /// A device without a result has failed once the others are done: the cloud skipped it. It may skip all of them. Nothing is
    /// concluded about a job that was just stopped: a device whose result never arrives would keep its package for ever.
    fn fill_in_progress(&mut self, results: &mut [DeviceResult], is_visible: bool) {
        if self.state == JobState::Stopped {
            let waiting = results.iter_mut().filter(|result| result.outcome == DeviceOutcome::Queued);
            waiting.for_each(|result| result.outcome = DeviceOutcome::Stopped);
        }
        let mut counts = JobCounts::of(results);
        counts.total = as_count(self.devices.len().max(results.len()));
        let was_just_stopped = self.state == JobState::Stopped && !is_visible;
        let is_hidden = results.is_empty() && !is_visible;
        let is_open = is_hidden || counts.queued + counts.in_flight + counts.stopped > 0;
        match self.state {
            JobState::Stopped if counts.in_flight > 0 || was_just_stopped => self.state = JobState::Stopping,
            JobState::Running | JobState::Stopped if !is_open => {
                counts.failed = counts.total.saturating_sub(counts.succeeded);
                self.state = counts.end();
            }
            _ => {}
        }
        self.counts = counts;
    }
}

/// State of a job.
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
    /// Ordered to stop.
    Stopping,
    /// Stopped.
    Stopped,
    /// An undocumented state: nothing is concluded from it.
    Unknown(String),
}

impl JobState {
    /// True when nothing will change any more without a request.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Succeeded | Self::PartlyFailed | Self::Failed | Self::Stopped)
    }

    /// Name for users.
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
    /// Total.
    pub total: u32,
    /// Not begun.
    pub queued: u32,
    /// Upgrading.
    pub in_flight: u32,
    /// Successful according to the cloud. A device counts as updated only when it reports the version.
    pub succeeded: u32,
    /// Failed permanently.
    pub failed: u32,
    /// Failed, and will be retried.
    pub retrying: u32,
    /// Stopped by a request.
    pub stopped: u32,
    /// Removed from the job, because the device was deleted.
    pub removed: u32,
}

impl JobCounts {
    fn of(results: &[DeviceResult]) -> Self {
        let mut counts = Self { total: as_count(results.len()), ..Self::default() };
        for result in results {
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
        counts
    }

    /// Final state of a job with these counts.
    const fn end(&self) -> JobState {
        match (self.succeeded, self.failed) {
            (_, 0) => JobState::Succeeded,
            (0, _) => JobState::Failed,
            _ => JobState::PartlyFailed,
        }
    }
}

fn as_count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job with this many devices, and the results of its first ones.
    fn job_with(state: JobState, devices: usize, outcomes: &[DeviceOutcome]) -> (Job, Vec<DeviceResult>) {
        let job = Job {
            id: "j".into(),
            token: None,
            title: String::new(),
            kind: PackageKind::Firmware,
            module: None,
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
        (job, outcomes.iter().enumerate().map(result).collect())
    }

    #[test]
    fn a_job_without_devices_gets_them_and_how_it_ended_from_their_results() {
        use DeviceOutcome::{Failed, InFlight, Stopped, Succeeded};
        for (state, outcomes, expected) in [
            (JobState::Running, vec![Succeeded, Failed], JobState::Running),
            (JobState::Running, vec![Failed, InFlight], JobState::Running),
            (JobState::Succeeded, vec![Succeeded, Succeeded], JobState::Succeeded),
            (JobState::Succeeded, vec![Succeeded, Failed], JobState::PartlyFailed),
            (JobState::Succeeded, vec![Failed], JobState::Failed),
            (JobState::Stopped, vec![Failed, Stopped], JobState::Stopped),
        ] {
            let (mut job, mut results) = job_with(state.clone(), 0, &outcomes);
            job.fill_in(RowsLack::Devices, &mut results, true);
            let devices: Vec<&str> = results.iter().map(|result| result.device.as_str()).collect();
            assert_eq!((&job.state, job.counts.total as usize), (&expected, outcomes.len()), "{state:?}");
            assert_eq!(job.devices, devices, "{state:?} {outcomes:?}");
        }
    }

    #[test]
    fn a_job_without_progress_gets_it_from_the_results_of_its_devices() {
        use DeviceOutcome::{Failed, InFlight, Queued, Succeeded};
        let filled = |state: JobState, devices: usize, outcomes: &[DeviceOutcome], is_visible: bool| {
            let (mut job, mut results) = job_with(state, devices, outcomes);
            job.fill_in(RowsLack::Progress, &mut results, is_visible);
            let JobCounts { queued, in_flight, succeeded, failed, stopped, .. } = job.counts;
            (job.state, [queued, in_flight, succeeded, failed, stopped])
        };
        let unknown = DeviceOutcome::Unknown("melted".into());
        for (state, devices, outcomes, expected) in [
            // None of its devices runs a version that it is for any more.
            (JobState::Running, 2, vec![], (JobState::Failed, [0, 0, 0, 2, 0])),
            (JobState::Running, 2, vec![Succeeded, Queued], (JobState::Running, [1, 0, 1, 0, 0])),
            (JobState::Running, 2, vec![Succeeded, Succeeded], (JobState::Succeeded, [0, 0, 2, 0, 0])),
            (JobState::Running, 2, vec![Succeeded, Failed], (JobState::PartlyFailed, [0, 0, 1, 1, 0])),
            // The cloud skipped one device: it is not upgraded, so it has failed.
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
            assert_eq!(filled(state.clone(), devices, &outcomes, true), expected, "{state:?} {outcomes:?}");
        }
        assert_eq!(filled(JobState::Running, 2, &[], false), (JobState::Running, [0; 5]), "not visible yet");
        for (outcomes, counts) in
            [(vec![], [0; 5]), (vec![Queued], [0, 0, 0, 0, 1]), (vec![Succeeded], [0, 0, 1, 0, 0])]
        {
            let just_stopped = filled(JobState::Stopped, 2, &outcomes, false);
            assert_eq!(just_stopped, (JobState::Stopping, counts), "{outcomes:?}");
        }
    }
}
