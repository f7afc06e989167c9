//! Upgrade jobs, as they are and as they are to be created.

use super::{Delivery, DeviceOutcome, DeviceResult, PackageKey, PackageKind, RowsLack};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

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
    /// Part of the devices that it upgrades, when the cloud says; none: the devices as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Cloud's ids of the packages it sends.
    pub package_ids: Vec<String>,
    /// Devices it was created for, when the cloud says; empty otherwise.
    pub devices: Vec<String>,
    /// How the devices get it, where that tells a job from others ([`JobIdentity::Devices`](super::JobIdentity::Devices)); none otherwise.
    pub delivery: Option<Delivery>,
    /// Where it stands.
    pub state: JobState,
    /// Counters of its devices.
    pub counts: JobCounts,
    /// When the cloud created it.
    pub created_at: Option<Timestamp>,
}

impl Job {
    /// Fills in what rows of this cloud's jobs lack, as the results of all its devices tell it; the results of a job that was
    /// stopped are put right by that. `is_visible`: the job is so old that its results cannot be missing any more.
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

    /// A device without a result has failed once the others are done: the cloud left it out. It may leave out all of them. Of a
    /// job that was just stopped nothing is concluded: a device that is to come after all would keep its package for ever.
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

    /// How a job ended that has these.
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

    /// A job of so many devices, and the results of its first ones.
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
