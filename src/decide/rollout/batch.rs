//! Batches: a stage that is sent in pieces, the next when the last has answered. So a bad build reaches a piece of its stage, and
//! no more devices are upgraded at the same time than a piece has, on every cloud.

use super::advance::Pass;
use super::report::Outcome;
use crate::api::{Evidence, Percent, Reason, RolloutPhase, StageCounts, Verdict, counted};
use crate::decide::defaults;

/// Name of the evidence of `batch.maxFailures`; no gate can have it.
const BATCH_LIMIT: &str = "batch.maxFailures";

impl<'a> Pass<'_, 'a> {
    /// The devices of the stage that are sent next: all that are left, or those of the next batch. Devices that a stopped job
    /// left belong to a batch already: they come first.
    pub(super) fn next_batch(&self, index: usize, newcomers: Vec<&'a str>) -> Vec<&'a str> {
        let left = self.unfinished(index);
        match self.batch_size(index) {
            None => newcomers.into_iter().chain(left).collect(),
            Some(_) if !left.is_empty() => left,
            Some(size) => newcomers.into_iter().take(size).collect(),
        }
    }

    /// What the next piece of the stage waits for.
    pub(super) fn waits_for_piece(&self, index: usize, wanted: usize) -> Option<Outcome> {
        self.waits_for_batch(index).or_else(|| self.waits_for_pace(index, wanted))
    }

    /// What the next batch waits for: too few devices of those that were sent have an outcome.
    fn waits_for_batch(&self, index: usize) -> Option<Outcome> {
        let size = self.batch_size(index)?;
        let stage = &self.status.stages[index];
        let (counts, share) = (stage.counts, self.share_to_answer(index));
        if stage.jobs.is_empty() || !self.unfinished(index).is_empty() || is_answered(counts, share) {
            return None;
        }
        let message = format!(
            "stage {}: {} of {} have an outcome, {} failed; the next batch of {size} is sent at {}",
            stage.name,
            counts.finished(),
            counted(counts.assigned, "device"),
            counts.failures(),
            share.text()
        );
        let outcome = Outcome::working(RolloutPhase::Progressing, Reason::StageRunning, message);
        Some(self.hold_after_deadline(index, outcome))
    }

    /// Too many failures since the last piece was sent: evidence in the place of a gate's.
    pub(super) fn batch_failed(&self, index: usize) -> Option<Evidence> {
        let allowed = self.context.stages.get(index)?.batch?.max_failures?;
        let stage = &self.status.stages[index];
        let failures = stage.counts.failures().saturating_sub(stage.failed_before);
        (failures > allowed).then(|| Evidence {
            rule: BATCH_LIMIT.to_owned(),
            method: "Count".to_owned(),
            verdict: Verdict::Fail,
            sample: stage.counts.begun(),
            failures,
            unfinished: stage.counts.in_flight,
            allowed: Some(allowed),
            assigned: stage.counts.assigned,
            control: None,
            value: f64::from(failures),
            threshold: f64::from(allowed),
            message: format!(
                "{} failed since the last batch was sent, and at most {allowed} may",
                counted(failures, "device")
            ),
            at: self.context.now,
        })
    }

    /// The next piece is sent now: earlier failures are not its own.
    pub(super) fn begin_batch(&mut self, index: usize) {
        if self.batch_size(index).is_some() {
            let stage = &mut self.status.stages[index];
            stage.failed_before = stage.counts.failures();
        }
    }

    /// Devices that recover, or are sent again, are not counted against later failures.
    pub(super) fn note_recovered(&mut self, index: usize) {
        let stage = &mut self.status.stages[index];
        stage.failed_before = stage.failed_before.min(stage.counts.failures());
    }

    fn batch_size(&self, index: usize) -> Option<usize> {
        let batch = self.context.stages.get(index)?.batch?;
        usize::try_from(batch.size.max(1)).ok()
    }

    /// The share that the gates of the stage need to decide.
    fn share_to_answer(&self, index: usize) -> Percent {
        let gates = self.gates(index);
        let share = gates.iter().map(|gate| gate.min_observed).max();
        share.unwrap_or_else(|| defaults::outcome().min_observed)
    }
}

fn is_answered(counts: StageCounts, share: Percent) -> bool {
    counts.outstanding() == 0 || share.is_reached(counts.finished(), counts.assigned)
}
