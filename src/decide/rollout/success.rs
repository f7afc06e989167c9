//! How a rollout ends. Completed means succeeded: every stage passed its gates, and in a stage without gates failures do
//! not outnumber successes. Both also hold after the stage has passed: devices may fail late, or revert to another
//! version.

use super::advance::Pass;
use super::deadline::late_text;
use super::report::{Outcome, Standing, total};
use super::{follow_up, overlap, population};
use crate::api::{Evidence, Excluded, Reason, RolloutPhase, StageCounts, StagePhase, StageStatus, Verdict};
use crate::decide::{POLL, Requeue};

/// Successes against failures of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Majority {
    /// More devices succeeded than could still fail, or the stage has no devices.
    Succeeded,
    /// Devices without an outcome decide.
    Open,
    /// More devices failed than succeeded.
    Failed,
}

impl Majority {
    const fn of(counts: StageCounts) -> Self {
        let (succeeded, failures) = (counts.succeeded, counts.failures());
        if failures > succeeded {
            Self::Failed
        } else if failures + counts.outstanding() > succeeded || (succeeded == 0 && counts.never_began > 0) {
            Self::Open
        } else {
            Self::Succeeded
        }
    }
}

impl Pass<'_, '_> {
    /// Holds a stage without gates whose devices have answered, and in which failures outnumber successes.
    pub(super) fn failed_without_a_gate(&mut self, index: usize) -> Option<Outcome> {
        let stage = &self.status.stages[index];
        if !self.gates(index).is_empty() || Majority::of(stage.counts) != Majority::Failed {
            return None;
        }
        let message = failed_text(stage);
        self.enter(index, StagePhase::Held, Reason::StageFailed, &message);
        Some(Outcome::held(Reason::StageFailed, message, self.is_live()))
    }

    /// Every stage has passed: the rollout is completed if it has succeeded.
    pub(super) fn end(&mut self) -> Outcome {
        if let Some(index) = self.index_with(Majority::Failed) {
            let failed = &self.status.stages[index];
            return Outcome::held(Reason::StageFailed, failed_text(failed), self.is_live());
        }
        if let Some(outcome) = self.follow_up() {
            return outcome;
        }
        if let Some(index) = self.index_with(Majority::Open) {
            let open = &self.status.stages[index];
            let message = format!("stage {}: {}", open.name, waiting_text(open.counts));
            let outcome = Outcome::working(RolloutPhase::Progressing, Reason::StageRunning, message);
            return self.hold_after_deadline(index, outcome);
        }
        let message = self.completed_text();
        let requeue = if self.is_live() { Requeue::After(POLL) } else { Requeue::AtDriftInterval };
        Outcome {
            phase: RolloutPhase::Completed,
            standing: Standing::Done,
            reason: Reason::Completed,
            message,
            requeue,
            actions: Vec::new(),
        }
    }

    fn index_with(&self, wanted: Majority) -> Option<usize> {
        (0..self.status.stages.len()).find(|index| self.majority(*index) == wanted)
    }

    /// The majority after a stage has passed. A gate that still passes decides, whatever the majority.
    fn majority(&self, index: usize) -> Majority {
        let has_gates = !self.gates(index).is_empty();
        let pass = |gate: Evidence| gate.verdict == Verdict::Pass;
        if has_gates && self.judged(index).all(pass) {
            return Majority::Succeeded;
        }
        Majority::of(self.status.stages[index].counts)
    }

    fn completed_text(&self) -> String {
        let counts = total(&self.status.stages);
        let version = &self.context.package.spec.version;
        let mut message = format!(
            "{} of {} devices run {version}, {} failed; {} already ran it",
            counts.succeeded.saturating_sub(counts.superseded),
            counts.assigned,
            counts.failures(),
            self.status.excluded.already_current
        );
        let is_live = !self.observed.jobs.live().is_empty();
        let parts = unanswered(counts, is_live).into_iter().chain(left_out(&self.status.excluded));
        for (count, what) in parts.filter(|(count, _)| *count > 0) {
            message += &format!("; {count} {what}");
        }
        message += &population::unmatched_text(self.context);
        message += &overlap::owners_text(&self.status.excluded);
        message += &follow_up::ignored_text(self.status);
        message + &self.late_text()
    }
}

/// Devices of the stages that neither succeeded nor failed, or whose success is in the past.
const fn unanswered(counts: StageCounts, is_live: bool) -> [(u32, &'static str); 4] {
    let never_began = if is_live {
        "never began, and get it when they come online"
    } else {
        "never began, and their job has ended: retry once they are online"
    };
    [
        (counts.superseded, "ran it until a later rollout took them over"),
        (counts.unseen, "taken over by another job before they reported the version"),
        (counts.outstanding(), "without an outcome yet"),
        (counts.never_began, never_began),
    ]
}

/// Targeted devices that are in no stage.
const fn left_out(excluded: &Excluded) -> [(u32, &'static str); 5] {
    [
        (excluded.by_version, "left out by their version"),
        (excluded.by_spec, "excluded by the spec"),
        (excluded.other_product, "of another product than the package"),
        (excluded.unknown, "named by spec.targets and not registered in the cloud"),
        (excluded.exclude_unmatched, "named by spec.targets.exclude and not targeted"),
    ]
}

fn failed_text(stage: &StageStatus) -> String {
    let (counts, name) = (stage.counts, &stage.name);
    let (succeeded, failures, assigned) = (counts.succeeded, counts.failures(), counts.assigned);
    format!(
        "stage {name} failed: {failures} of {assigned} devices failed, and {succeeded} succeeded; fix the package under a new version, or run `rollwave retry`"
    )
}

fn waiting_text(counts: StageCounts) -> String {
    let (succeeded, failures, assigned) = (counts.succeeded, counts.failures(), counts.assigned);
    let open = counts.outstanding();
    format!(
        "{succeeded} of {assigned} devices succeeded, {failures} failed, {open} outstanding{}",
        late_text(counts)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_decides_and_devices_without_an_answer_may_still_turn_it() {
        for (succeeded, failed, queued, expected) in [
            (0, 0, 0, Majority::Succeeded),
            (1, 39, 0, Majority::Failed),
            (20, 20, 0, Majority::Succeeded),
            (20, 19, 1, Majority::Succeeded),
            (20, 19, 2, Majority::Open),
            (0, 0, 2, Majority::Open),
            (1, 2, 9, Majority::Failed),
        ] {
            let counts = StageCounts { succeeded, failed, queued, ..StageCounts::default() };
            assert_eq!(Majority::of(counts), expected, "{succeeded} {failed} {queued}");
        }
    }
}
