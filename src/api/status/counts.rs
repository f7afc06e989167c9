//! Outcomes of the devices of a stage, as counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Outcomes of the devices of a stage. `assigned` is the sum of the others, except for `superseded`, `unseen`, `unconfirmed`,
/// `overdue` and `ownedElsewhere`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StageCounts {
    /// Devices that the stage was dispatched for, without those that were deleted in the cloud, `unseen` or `ownedElsewhere`.
    pub assigned: u32,
    /// Devices that the cloud has not begun with (offline, or waiting).
    pub queued: u32,
    /// Devices that had not begun in time, or that the cloud gave up because they never came online; no gate or stop rule counts
    /// them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub never_began: u32,
    /// Devices that are upgrading.
    pub in_flight: u32,
    /// Devices in flight whose job reports success, but whose version was not read since.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unconfirmed: u32,
    /// Devices that report the new version, or were observed to do so before a later job upgraded them further.
    pub succeeded: u32,
    /// Succeeded devices that a later job upgraded to another version.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub superseded: u32,
    /// Devices that a later job upgraded before their version was observed; they prove nothing and are not in `assigned`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unseen: u32,
    /// Devices that were stopped before they finished and are now owned by another rollout; not in `assigned`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owned_elsewhere: u32,
    /// Devices with a failure reported by the cloud that do not run the new version.
    pub failed: u32,
    /// Devices that began and did not finish in time.
    pub timed_out: u32,
    /// Timed-out devices that the cloud still reports as upgrading.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overdue: u32,
    /// Devices with a success reported by the cloud that do not run the new version.
    pub reverted: u32,
    /// Devices that failed and were deleted in the cloud afterwards; they still count as failures.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_and_left: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
pub(super) const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl StageCounts {
    /// Counts superseded devices as successes only if they were observed to run the version before: the report of the job alone
    /// is no proof. Devices that ran it at the last observation still do, left it, or were superseded since.
    #[must_use]
    pub fn believing(mut self, before: Self) -> Self {
        let ran = before.succeeded.saturating_sub(before.superseded);
        let left = self.reverted.saturating_sub(before.reverted)
            + (self.queued + self.never_began).saturating_sub(before.queued + before.never_began)
            + self.in_flight.saturating_sub(before.in_flight + before.overdue);
        let taken_on = ran.saturating_sub(self.succeeded - self.superseded + left);
        let proven =
            self.superseded.saturating_sub(before.unseen).min(before.superseded.saturating_add(taken_on));
        let unseen = self.superseded - proven;
        self.succeeded -= unseen;
        self.assigned -= unseen;
        self.superseded = proven;
        self.unseen = unseen;
        self
    }

    /// Combines a partial observation with the previous one: no success and no failure that was observed before is forgotten.
    #[must_use]
    pub fn at_least(self, before: Self) -> Self {
        let merged = Self {
            succeeded: self.succeeded.max(before.succeeded),
            superseded: self.superseded.max(before.superseded),
            unseen: self.unseen.max(before.unseen),
            failed: self.failed.max(before.failed),
            timed_out: self.timed_out.max(before.timed_out),
            overdue: self.overdue.max(before.overdue),
            reverted: self.reverted.max(before.reverted),
            failed_and_left: self.failed_and_left.max(before.failed_and_left),
            ..self
        };
        let assigned = merged.finished().max(before.assigned).max(self.assigned);
        let open = assigned - merged.finished();
        let never_began = self.never_began.max(before.never_began).min(open);
        let open = open - never_began;
        let queued = self.queued.max(before.queued).min(open);
        let in_flight = open - queued;
        Self {
            assigned,
            queued,
            never_began,
            in_flight,
            unconfirmed: self.unconfirmed.min(in_flight),
            ..merged
        }
    }

    /// Keeps failures of devices that left the cloud since (`gone` of them in total) and of devices that had reverted: an
    /// observed failure stays one, even when no row shows it any more. The jobs now count `claimed` successes.
    #[must_use]
    pub fn remembering(self, before: Self, gone: u32, claimed: u32) -> Self {
        self.keeping_reverted(before, claimed).keeping_gone(before, gone)
    }

    /// Reverted devices have failed until they run the version. A running job counts successes without naming the devices:
    /// successes of other devices do not compensate for them, nor does a later job that supersedes them.
    ///
    /// Of the successes that jobs report now, those that ran the version before are not the reverted ones; the others may be. A
    /// success that a job no longer reports, because the cloud retries it, is waited for.
    fn keeping_reverted(mut self, before: Self, claimed: u32) -> Self {
        let lost = before.failures().saturating_sub(self.failures());
        let lost = lost.min(before.reverted.saturating_sub(self.reverted));
        let ran_before = before.succeeded.saturating_sub(before.superseded);
        let may_remain = claimed.saturating_sub(ran_before);
        let among_unconfirmed = lost.min(self.unconfirmed);
        self.unconfirmed -= among_unconfirmed;
        self.in_flight -= among_unconfirmed;
        let among_unseen = (lost - among_unconfirmed).min(self.unseen.saturating_sub(before.unseen));
        self.unseen -= among_unseen;
        self.assigned += among_unseen;
        let known = self.reverted + among_unconfirmed + among_unseen;
        let open = self.outstanding() - self.unconfirmed;
        let among_open =
            (lost - among_unconfirmed - among_unseen).min(may_remain.saturating_sub(known)).min(open);
        let begun = among_open.min(self.in_flight - self.unconfirmed);
        self.in_flight -= begun;
        self.queued -= among_open - begun;
        self.reverted += among_unconfirmed + among_unseen + among_open;
        self
    }

    fn keeping_gone(mut self, before: Self, gone: u32) -> Self {
        let lost = before.failures().saturating_sub(self.failures());
        let kept = lost.min(gone.saturating_sub(self.failed_and_left));
        self.failed_and_left += kept;
        self.assigned += kept;
        self
    }

    /// The counts if no device that is unconfirmed comes to report the version.
    #[must_use]
    pub const fn unconfirmed_as_reverted(self) -> Self {
        Self {
            in_flight: self.in_flight - self.unconfirmed,
            reverted: self.reverted + self.unconfirmed,
            unconfirmed: 0,
            ..self
        }
    }

    /// Devices whose outcome is known from jobs and versions of the same time: the basis of a failure rate.
    #[must_use]
    pub const fn answered(self) -> u32 {
        self.finished() + self.unconfirmed
    }

    /// Devices that have begun: those that are upgrading, and those with an outcome.
    #[must_use]
    pub const fn begun(self) -> u32 {
        self.finished() + self.in_flight
    }

    /// Devices with a final outcome.
    #[must_use]
    pub const fn finished(self) -> u32 {
        self.succeeded + self.failures()
    }

    /// Devices that the stage is judged by: all except those that never began.
    #[must_use]
    pub const fn sample(self) -> u32 {
        self.assigned.saturating_sub(self.never_began)
    }

    /// Devices without an outcome that are still waited for.
    #[must_use]
    pub const fn outstanding(self) -> u32 {
        self.queued + self.in_flight
    }

    /// Failed, timed out, reverted, and failed before they left, in total.
    #[must_use]
    pub const fn failures(self) -> u32 {
        self.failed + self.timed_out + self.reverted + self.failed_and_left
    }
}

impl std::ops::Add for StageCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            assigned: self.assigned + other.assigned,
            queued: self.queued + other.queued,
            never_began: self.never_began + other.never_began,
            in_flight: self.in_flight + other.in_flight,
            succeeded: self.succeeded + other.succeeded,
            superseded: self.superseded + other.superseded,
            unseen: self.unseen + other.unseen,
            owned_elsewhere: self.owned_elsewhere + other.owned_elsewhere,
            failed: self.failed + other.failed,
            timed_out: self.timed_out + other.timed_out,
            overdue: self.overdue + other.overdue,
            reverted: self.reverted + other.reverted,
            unconfirmed: self.unconfirmed + other.unconfirmed,
            failed_and_left: self.failed_and_left + other.failed_and_left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_had_gone_back_has_failed_until_it_runs_the_version() {
        let counts = |succeeded, reverted, unconfirmed, unseen| StageCounts {
            assigned: succeeded + reverted + unconfirmed,
            in_flight: unconfirmed,
            unconfirmed,
            succeeded,
            reverted,
            unseen,
            ..StageCounts::default()
        };
        let before = counts(2, 1, 1, 0);
        let waiting = |succeeded, queued, reverted| StageCounts {
            assigned: succeeded + queued + reverted,
            queued,
            reverted,
            succeeded,
            ..StageCounts::default()
        };
        for (seen, claimed, expected) in [
            // Its job counts one more success, of another device.
            (counts(3, 0, 1, 0), 4, counts(3, 1, 0, 0)),
            (counts(2, 0, 2, 0), 4, counts(2, 1, 1, 0)),
            // Another job took it on, or another device.
            (counts(3, 0, 0, 1), 3, counts(3, 1, 0, 0)),
            // Another device runs it that the job had not counted yet.
            (waiting(3, 1, 0), 3, waiting(3, 0, 1)),
            // Its job tries it again, and counts it among those that wait.
            (waiting(2, 2, 0), 2, waiting(2, 2, 0)),
            // It runs it now.
            (counts(4, 0, 0, 0), 4, counts(4, 0, 0, 0)),
        ] {
            assert_eq!(seen.remembering(before, 0, claimed), expected, "{seen:?}");
        }
        // It had only been slow to report the version: the job counts no other device.
        let slow = waiting(4, 3, 1);
        let kept = waiting(5, 3, 0).remembering(slow, 0, 5);
        assert_eq!(kept, waiting(5, 2, 1), "it may be another device that runs it");
        assert_eq!(waiting(5, 3, 0).remembering(kept, 0, 5), waiting(5, 3, 0));
    }
}
