//! What became of the devices of a stage, in numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of the devices of a stage. `assigned` is the sum of the others, but for `superseded`, `unseen`, `unconfirmed`,
/// `overdue` and `ownedElsewhere`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StageCounts {
    /// Devices that the stage was dispatched for, less those that left: deleted in the cloud, `unseen` or
    /// `ownedElsewhere`.
    pub assigned: u32,
    /// The cloud has not begun with them (offline, or waiting).
    pub queued: u32,
    /// Had not begun when their time was over, or the cloud gave them up because they never came online: they are no evidence, and
    /// no gate or stop rule counts them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub never_began: u32,
    /// Upgrading.
    pub in_flight: u32,
    /// Among those in flight: their job reports success, and the version that they report was not read since.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unconfirmed: u32,
    /// Report the new version, or were seen to until a later job took them on to another one.
    pub succeeded: u32,
    /// Among those that succeeded: devices that a later job took on to another version.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub superseded: u32,
    /// Taken on by a later job before anybody saw what they ran: they prove nothing, and are not in `assigned`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unseen: u32,
    /// Stopped before they were done, and owned by another rollout since: they are not in `assigned`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owned_elsewhere: u32,
    /// The cloud reports a failure, and they do not run the new version.
    pub failed: u32,
    /// Began, and did not end in time.
    pub timed_out: u32,
    /// Among those that timed out: devices that the cloud still calls upgrading.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overdue: u32,
    /// The cloud reported success, but they do not run the new version.
    pub reverted: u32,
    /// Failed, and were deleted in the cloud afterwards: they stay failures.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_and_left: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
pub(super) const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl StageCounts {
    /// Counts devices that a later job took on as successes only as far as they were seen to run the version before: the
    /// job's word alone is no proof. Those that ran it when last looked at still do, left it, or were taken on since.
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

    /// What is known when only a part was seen now: no success and no failure that was seen before is forgotten.
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

    /// Keeps failures of devices that left the cloud since, `gone` of them by now, and of devices that had gone back: what was seen
    /// to fail has failed, also where no row tells it any more. The jobs count `claimed` successes by now.
    #[must_use]
    pub fn remembering(self, before: Self, gone: u32, claimed: u32) -> Self {
        self.keeping_reverted(before, claimed).keeping_gone(before, gone)
    }

    /// Devices that had gone back have failed until they run the version. A job that goes on counts successes, and does not say whose
    /// they are: those of other devices do not make up for them. Nor does it that a later job takes them on.
    ///
    /// Of the successes that jobs claim now, those that ran the version before are not the ones that had gone back; the others may
    /// be. What a job claims no more, because the cloud tries it again, is waited for.
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

    /// Devices whose outcome is known from jobs and versions of the same time: what a rate of failures is taken of.
    #[must_use]
    pub const fn answered(self) -> u32 {
        self.finished() + self.unconfirmed
    }

    /// Devices with a final outcome.
    #[must_use]
    pub const fn finished(self) -> u32 {
        self.succeeded + self.failures()
    }

    /// Devices that the stage can be judged by: all but those that never began.
    #[must_use]
    pub const fn sample(self) -> u32 {
        self.assigned.saturating_sub(self.never_began)
    }

    /// Devices without an outcome that are still waited for.
    #[must_use]
    pub const fn outstanding(self) -> u32 {
        self.queued + self.in_flight
    }

    /// Failed, timed out, reverted, and failed before they left, together.
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
        // It had only been slow to report the version: the job counts nobody else.
        let slow = waiting(4, 3, 1);
        let kept = waiting(5, 3, 0).remembering(slow, 0, 5);
        assert_eq!(kept, waiting(5, 2, 1), "it may be another device that runs it");
        assert_eq!(waiting(5, 3, 0).remembering(kept, 0, 5), waiting(5, 3, 0));
    }
}
