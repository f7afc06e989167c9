//! The law of soaks, by the world's own time: a stage passes when its soak is over, whatever any machine's or gateway's clock
//! says. What is redone by hand is when the soak began: a status has it as the clock of whoever wrote it had it, and the world
//! knows by how much that was wrong.
//!
//! And it passes soon after its soak, not at the next round of drift. That is held while nothing fails, and nobody stands in its way.

use super::Sent;
use super::creates::run_key;
use crate::checkers::effective;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Object, OtaRollout, Period, RolloutPhase, StagePhase, StageStatus};
use std::collections::{BTreeMap, BTreeSet};

/// A stage of a rollout, by the rollout's identity and its name.
type Named = (String, String);

/// How late a stage may pass: the next poll comes first, and whatever else is due in the account.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// When a soak is over, and how long it was to be.
#[derive(Clone, Copy)]
struct Due {
    at: Timestamp,
    soak: SignedDuration,
}

/// When soaks began.
#[derive(Default)]
pub(super) struct Soaks {
    /// Nothing fails.
    is_calm: bool,
    /// Soaks that began while nothing failed, under a process that still works.
    due: BTreeMap<Named, Due>,
    /// Those that began before that: another process may count a soak anew.
    earlier: BTreeSet<(Named, Timestamp)>,
    /// When a beginning that a status names was by the world's time.
    begun: BTreeMap<(Named, Timestamp), Timestamp>,
    /// When the first job for a stage and package left.
    sent: BTreeMap<Sent, Timestamp>,
    /// Where stages stood, and what soak they were to have, as it was last written.
    written: BTreeMap<Named, (StagePhase, SignedDuration)>,
}

impl Soaks {
    /// From now on nothing fails.
    pub(super) const fn faults_end(&mut self) {
        self.is_calm = true;
    }

    /// Something fails from now on.
    pub(super) fn faults_begin(&mut self) {
        self.is_calm = false;
        self.disturbed();
    }

    /// Whoever works begins anew, or something fails that may hold up others.
    pub(super) fn disturbed(&mut self) {
        self.due.clear();
        self.earlier = self.begun.keys().cloned().collect();
    }

    /// A job leaves.
    pub(super) fn sent(&mut self, sent: &Sent, now: Timestamp) {
        self.sent.entry(sent.clone()).or_insert(now);
    }

    /// A status is written by a process whose clock is so much ahead.
    pub(super) fn status_written(
        &mut self,
        object: &Object,
        ahead: SignedDuration,
        now: Timestamp,
    ) -> Result<(), String> {
        let Object::Rollout(rollout) = object else { return Ok(()) };
        let stages = rollout.status.iter().flat_map(|status| &status.stages);
        stages.map(|stage| self.stage_written(rollout, stage, ahead, now)).fold(Ok(()), Result::and)
    }

    /// A stage that passes does so soon after its soak; one that soaks undisturbed is due at its end.
    fn passes_in_time(
        &mut self,
        named: &Named,
        rollout: &OtaRollout,
        stage: &StageStatus,
        soak: SignedDuration,
        now: Timestamp,
    ) -> Result<(), String> {
        let known = self.due.remove(named).filter(|due| due.soak == soak);
        let goes_on = rollout.status.as_ref().is_some_and(|status| status.phase == RolloutPhase::Progressing)
            && rollout.metadata.deletion_timestamp.is_none();
        let late = known.map(|due| now.duration_since(due.at)).filter(|late| *late > LATE);
        if stage.phase == StagePhase::Passed
            && let Some(late) = late
        {
            return Err(format!("stage {} passes {late:#} after its soak was over", stage.name));
        }
        let begun = stage.observed_at.map(|at| (named.clone(), at));
        let began =
            begun.filter(|begun| !self.earlier.contains(begun)).and_then(|begun| self.begun.get(&begun));
        if self.is_calm
            && goes_on
            && stage.phase == StagePhase::Soaking
            && let Some(began) = began
        {
            let at = began.saturating_add(soak).unwrap_or(Timestamp::MAX);
            self.due.insert(named.clone(), known.unwrap_or(Due { at: at.max(now), soak }));
        }
        Ok(())
    }

    fn stage_written(
        &mut self,
        rollout: &OtaRollout,
        stage: &StageStatus,
        ahead: SignedDuration,
        now: Timestamp,
    ) -> Result<(), String> {
        let uid = rollout.metadata.uid.clone().unwrap_or_default();
        let named = (uid.clone(), stage.name.clone());
        if let Some(at) = stage.observed_at {
            let truth = at.saturating_sub(ahead).unwrap_or(at);
            self.begun.entry((named.clone(), at)).or_insert(truth);
        }
        let stages = effective::stages(rollout);
        let spec = stages.iter().find(|spec| spec.name == stage.name);
        let soak = spec.and_then(|spec| spec.soak).map_or(SignedDuration::ZERO, Period::as_signed);
        let in_time = self.passes_in_time(&named, rollout, stage, soak, now);
        let before = self.written.insert(named.clone(), (stage.phase, soak));
        let has_passed = before.is_some_and(|(phase, _)| phase != StagePhase::Passed)
            && stage.phase == StagePhase::Passed
            && stage.counts.assigned > 0;
        // Whoever passed it may not have seen the edit that made its soak longer.
        let soak = before.map_or(soak, |(_, soaked)| soaked.min(soak));
        if !has_passed || soak.is_zero() {
            return Ok(());
        }
        in_time?;
        let package = rollout.status.as_ref().map(run_key).unwrap_or_default();
        let sent = Sent { uid, package, stage: Some(stage.name.clone()) };
        let began = stage.observed_at.and_then(|at| self.begun.get(&(named, at)));
        let lasted = |since: &Timestamp| now.duration_since(*since);
        match began.into_iter().chain(self.sent.get(&sent)).map(lasted).find(|lasted| *lasted < soak) {
            Some(lasted) => {
                Err(format!("stage {} passes {lasted:#} after its soak of {soak:#} began", stage.name))
            }
            None => Ok(()),
        }
    }
}
