//! One job as a list shows it, completed with what was read from its devices.

use crate::cloud::{DeviceResult, Job, JobState, RowsLack};
use jiff::{SignedDuration, Timestamp};

/// A job, and when it was observed.
#[derive(Debug)]
pub(super) struct Row {
    /// The job, completed with details from its devices.
    pub(super) job: Job,
    /// Its state according to the row only.
    pub(super) stands: JobState,
    pub(super) seen_at: Timestamp,
    pub(super) changed_at: Timestamp,
    pub(super) details: Option<Details>,
    /// The list did not show it, but a read of its own did: where jobs are listed by package, its package was deleted.
    pub(super) is_unlisted: bool,
}

/// Details from the devices of a job.
#[derive(Debug)]
pub(super) struct Details {
    /// When their observation began.
    pub(super) at: Timestamp,
    /// The job state of the row at that time.
    pub(super) stood: JobState,
    /// The devices that had not succeeded.
    pub(super) unfinished: Vec<DeviceResult>,
}

impl Row {
    /// True when an observation of its devices shows what they did before the job was stopped, or reached its present
    /// state.
    pub(super) fn is_visible(
        &self,
        stopped_at: Option<Timestamp>,
        lag: SignedDuration,
        read_at: Timestamp,
    ) -> bool {
        let since = stopped_at.map_or(self.changed_at, |at| at.min(self.changed_at));
        since.saturating_add(lag).is_ok_and(|visible| visible <= read_at)
    }

    /// Its details, beside a row that shows this state. In another state they are older than the row, also where they were
    /// read when it was in that state before: a list that lags may have shown a third one since.
    pub(super) fn details_beside(self, stands: &JobState) -> Option<Details> {
        let mut details = self.details?;
        if !is_as_far(stands, &self.stands) {
            details.stood = self.stands;
        }
        Some(details)
    }

    pub(super) fn lacks_devices(&self) -> bool {
        self.job.devices.is_empty() && self.details.is_none()
    }

    /// True when the details are older than the present state of the job, or missing.
    pub(super) fn is_ahead_of_details(&self) -> bool {
        self.details.as_ref().is_none_or(|details| !is_as_far(&self.stands, &details.stood))
    }

    /// True when the devices must be read. For jobs of other objects it must be known which devices are busy.
    pub(super) fn asks_for_details(&self, lack: RowsLack, is_ours: bool, not_before: Timestamp) -> bool {
        let read_at = self.details.as_ref().map(|details| details.at);
        match (lack, self.job.state.is_final()) {
            (RowsLack::Nothing, _) => false,
            _ if !is_ours && self.job.token.is_none() => false,
            (RowsLack::Devices, _) if !is_ours => self.lacks_devices(),
            (RowsLack::Progress, true) if !is_ours => read_at.is_some() && self.is_ahead_of_details(),
            (_, true) => self.is_ahead_of_details(),
            // A job that was just created needs no query: its devices are those that it was created for.
            (RowsLack::Devices, false) => {
                self.lacks_devices() || read_at.unwrap_or(self.changed_at) < not_before
            }
            // A finished job looks like a running one until its devices are read.
            (RowsLack::Progress, false) => read_at < Some(not_before),
        }
    }
}

/// True when a row shows the same job state as before. Rows may not show how a job ended.
pub(super) fn is_as_far(stands: &JobState, stood: &JobState) -> bool {
    stands == stood || (stands.is_final() && stood.is_final())
}
