//! Gates of stages: asked in every pass of every stage that was sent and has not passed, whatever else holds the rollout, so that a
//! hold never hides a build that is proven bad.

use super::advance::Pass;
use crate::api::{Evidence, OutcomeGate, StagePhase, StageStatus, Verdict};
use crate::plan::gate;

impl Pass<'_, '_> {
    /// Asks the gates of every stage that was sent. The first one that failed, as a sentence: its stage is held.
    pub(super) fn failed_gate(&mut self) -> Option<String> {
        let mut failed = None;
        for index in 0..self.status.stages.len() {
            self.reopen_if_edited(index);
            let stage = &self.status.stages[index];
            if stage.phase == StagePhase::Passed || stage.counts.assigned == 0 {
                continue;
            }
            let Some(evidence) = self.ask_gates(index) else { continue };
            let message = format!("stage {}: {}", self.status.stages[index].name, evidence.message);
            self.enter(index, StagePhase::Held, "GateFailed", &message);
            failed.get_or_insert(message);
        }
        failed
    }

    /// A stage that has passed keeps that through an edit only as far as its gates, as they are written now, let it pass.
    fn reopen_if_edited(&mut self, index: usize) {
        let is_passed = self.status.stages[index].phase == StagePhase::Passed;
        if !self.edited || !is_passed || self.gates(index).is_empty() {
            return;
        }
        if self.status.stages[index].jobs.is_empty() {
            self.status.stages[index].phase = StagePhase::Waiting;
            return;
        }
        let failed = self.ask_gates(index).is_some();
        let stage = &mut self.status.stages[index];
        if failed || !is_proven(stage) {
            (stage.phase, stage.passed_at) = (StagePhase::Running, None);
        }
    }

    /// Why a stage may not be sent: a gate of an earlier stage has not passed, with numbers, by the spec as it is now. A stage that
    /// selects nobody proves nothing: [`Pass::dispatch`] decides whether it may be passed over.
    pub(super) fn unproven_before(&self, index: usize) -> Option<String> {
        let before = self.status.stages.iter().enumerate().take(index);
        let mut gated =
            before.filter(|(index, stage)| !self.gates(*index).is_empty() && !stage.jobs.is_empty());
        let is_open = |(index, stage): &(usize, &StageStatus)| {
            stage.phase != StagePhase::Passed
                || stage.gates.len() != self.gates(*index).len()
                || !is_proven(stage)
        };
        let (_, open) = gated.find(is_open)?;
        Some(format!("the gates of stage {} have not passed", open.name))
    }

    /// True when an earlier stage with gates was sent, and they passed.
    pub(super) fn is_proven_before(&self, index: usize) -> bool {
        let earlier = self.status.stages.iter().take(index);
        earlier
            .into_iter()
            .any(|stage| !stage.gates.is_empty() && stage.counts.assigned > 0 && is_proven(stage))
    }

    /// Asks every gate of the stage, and returns one that failed. A failure is final for this spec: its evidence stands,
    /// whatever the devices report later.
    fn ask_gates(&mut self, index: usize) -> Option<Evidence> {
        let stage = &self.status.stages[index];
        let failed = |gates: &[Evidence]| gates.iter().find(|gate| gate.verdict == Verdict::Fail).cloned();
        let is_held = stage.phase == StagePhase::Held && !self.edited;
        if let Some(failed) = failed(&stage.gates).filter(|_| is_held) {
            return Some(failed);
        }
        let counts = stage.counts;
        let asked = self.gates(index);
        let asked = asked
            .iter()
            .enumerate()
            .map(|(n, outcome)| gate::judge(&format!("outcome[{n}]"), outcome, &counts, self.ground.now));
        let asked: Vec<Evidence> = asked.map(|evidence| keep_time(evidence, &stage.gates)).collect();
        let failed = failed(&asked);
        self.status.stages[index].gates = asked;
        failed
    }

    pub(super) fn gates(&self, index: usize) -> Vec<&OutcomeGate> {
        let gates = self.ground.stages.get(index).map_or(&[][..], |stage| stage.gates.as_slice());
        gates.iter().map(|gate| &gate.outcome).collect()
    }
}

fn is_proven(stage: &StageStatus) -> bool {
    stage.gates.iter().all(|gate| gate.verdict == Verdict::Pass)
}

/// The same numbers keep their time, so that an idle pass changes nothing.
fn keep_time(mut evidence: Evidence, before: &[Evidence]) -> Evidence {
    let same = |old: &&Evidence| Evidence { at: evidence.at, ..(*old).clone() } == evidence;
    if let Some(old) = before.iter().find(same) {
        evidence.at = old.at;
    }
    evidence
}
