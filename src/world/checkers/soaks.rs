//! The law of soaks, by the world's own time: a stage passes when its soak is over, whatever any machine's or gateway's clock
//! says. What is redone by hand is when the soak began: a status has it as the clock of whoever wrote it had it, and the world
//! knows by how much that was wrong.

use super::Sent;
use super::creates::run_key;
use crate::api::{Object, OtaRollout, Period, StagePhase, StageStatus};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// A stage of a rollout, by the rollout's identity and its name.
type Named = (String, String);

/// When soaks began.
#[derive(Default)]
pub(super) struct Soaks {
    /// When a beginning that a status names was by the world's time.
    begun: BTreeMap<(Named, Timestamp), Timestamp>,
    /// When the first job for a stage and package left.
    sent: BTreeMap<Sent, Timestamp>,
    /// Where stages stood, and what soak they were to have, as it was last written.
    written: BTreeMap<Named, (StagePhase, SignedDuration)>,
}

impl Soaks {
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
        let spec = rollout.spec.stages.iter().find(|spec| spec.name == stage.name);
        let soak = spec.and_then(|spec| spec.soak).map_or(SignedDuration::ZERO, Period::as_signed);
        let before = self.written.insert(named.clone(), (stage.phase, soak));
        let has_passed = before.is_some_and(|(phase, _)| phase != StagePhase::Passed)
            && stage.phase == StagePhase::Passed
            && stage.counts.assigned > 0;
        // Whoever passed it may not have seen the edit that made its soak longer.
        let soak = before.map_or(soak, |(_, soaked)| soaked.min(soak));
        if !has_passed || soak.is_zero() {
            return Ok(());
        }
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
