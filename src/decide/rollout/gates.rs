//! Gates of stages: judged in every pass for every dispatched stage that has not passed, whatever else holds the rollout,
//! so that a hold never hides a bad build.

pub mod control;
pub mod outcome;
pub mod requirement;

use super::advance::Pass;
use super::responders;
use crate::api::{
    ControlGate, Evidence, OtaRolloutSpec, Reason, Stage, StageCounts, StagePhase, StageStatus, Verdict,
};
use crate::decide::defaults;
use crate::decide::stage::{Target, as_count};
use requirement::Requirement;
use std::collections::BTreeSet;

/// What the gates of a stage require that was dispatched with so many devices.
#[must_use]
pub fn required(spec: &OtaRolloutSpec, stage: &Stage, is_last: bool, devices: u32) -> Vec<Requirement> {
    let gates = defaults::gates(stage, is_last);
    let of = if spec.stages.is_empty() { Requirement::of_default_stage } else { Requirement::new };
    let outcomes = gates.iter().filter_map(|gate| Some((gate.name.as_str(), gate.outcome.as_ref()?)));
    outcomes.map(|(name, outcome)| of(name, outcome, devices)).collect()
}

/// The gates of a stage that compare it with a control group, by name.
pub fn controls(stage: &Stage) -> impl Iterator<Item = (&str, &ControlGate)> {
    let gates = stage.gates.iter().flatten();
    gates.filter_map(|gate| Some((gate.name.as_str(), gate.control.as_ref()?)))
}

impl Pass<'_, '_> {
    /// Judges the gates of every dispatched stage. Returns the first one that failed as a message: its stage is held.
    pub(super) fn judge_gates(&mut self) -> Option<String> {
        let mut failed = None;
        for index in 0..self.status.stages.len() {
            self.reopen_if_edited(index);
            self.note_recovered(index);
            let stage = &self.status.stages[index];
            // Of one whose jobs were found after a lost state it is not known yet whether it was sent in full.
            let is_judged = !matches!(stage.phase, StagePhase::Passed | StagePhase::Waiting);
            let evidence = if is_judged && stage.counts.assigned > 0 {
                self.ask_gates(index)
            } else {
                self.batch_failed(index).filter(|_| stage.jobs.iter().any(|job| job.follow_up))
            };
            let Some(evidence) = evidence else { continue };
            let message = format!(
                "stage {}, gate {}: {}",
                self.status.stages[index].name, evidence.rule, evidence.message
            );
            self.enter(index, StagePhase::Held, Reason::GateFailed, &message);
            failed.get_or_insert(message);
        }
        failed
    }

    /// A passed stage stays passed after an edit only if its gates, as they are written now, pass.
    fn reopen_if_edited(&mut self, index: usize) {
        let is_passed = self.status.stages[index].phase == StagePhase::Passed;
        if !self.edited || !is_passed || !self.has_gates(index) {
            return;
        }
        if self.status.stages[index].jobs.is_empty() {
            self.status.stages[index].phase = StagePhase::Waiting;
            return;
        }
        self.status.stages[index].sample =
            outcome::freeze(&self.gates(index), &self.status.stages[index].counts);
        let failed = self.ask_gates(index).is_some();
        let stage = &mut self.status.stages[index];
        if failed || !all_pass(stage) {
            (stage.phase, stage.passed_at) = (StagePhase::Running, None);
        }
    }

    /// Why a stage may not be dispatched: a gate of an earlier stage has not passed, with numbers, by the current spec.
    pub(super) fn unproven_before(&mut self, index: usize) -> Option<String> {
        (0..index).find_map(|before| {
            if !self.has_gates(before) {
                return None;
            }
            let gates = self.gate_names(before);
            let is_empty = self.status.stages[before].jobs.is_empty();
            if is_empty {
                self.ask_for_others(before);
            }
            let stage = &self.status.stages[before];
            let is_over = is_empty || stage.phase == StagePhase::Passed;
            if is_over && has_passed(stage, &gates) {
                return None;
            }
            let stage = &mut self.status.stages[before];
            if is_empty && stage.phase == StagePhase::Passed {
                // The devices that had proven it instead no longer do: one has reverted, and may be sent to now.
                (stage.phase, stage.passed_at) = (StagePhase::Waiting, None);
            }
            let what = if is_empty { "not passed on any device" } else { "not passed" };
            Some(format!("the gates of stage {} have {what}", stage.name))
        })
    }

    /// Judges the gates of an empty stage on the devices that have proven the build instead: those of earlier stages
    /// whose gates passed, and those that it names and that all run the version already. True when they all pass.
    pub(super) fn ask_for_others(&mut self, index: usize) -> bool {
        if self.compares(index) {
            // Without devices there is nothing to compare.
            self.status.stages[index].gates.clear();
            return false;
        }
        let earlier = self.status.stages.iter().take(index);
        let proven =
            earlier.filter(|stage| !stage.jobs.is_empty() && !stage.gates.is_empty() && all_pass(stage));
        let own = self.named_running(index);
        let own = StageCounts { assigned: own, succeeded: own, ..StageCounts::default() };
        let counts = proven.fold(own, |sum, stage| sum + stage.counts);
        if counts.assigned == 0 {
            self.status.stages[index].gates.clear();
            return false;
        }
        let asked = self.required(index, counts.assigned).into_iter().map(|gate| {
            let frozen = outcome::freeze(std::slice::from_ref(&gate), &counts);
            let mut evidence = outcome::judge(&gate, &counts, frozen, self.context.now);
            evidence.message += "; measured on the devices of earlier stages and on those that already run the version, because this stage has no devices to send to";
            evidence
        });
        let before = &self.status.stages[index].gates;
        let asked: Vec<Evidence> = asked.map(|evidence| keep_time(evidence, before)).collect();
        self.status.stages[index].gates = asked;
        all_pass(&self.status.stages[index])
    }

    /// How many devices the stage names that no job of ours was sent to, when all that it names run the version.
    fn named_running(&self, index: usize) -> u32 {
        let spec = &self.context.package.spec;
        let target = Target { kind: spec.kind, version: &spec.version };
        let fleet = self.context.fleet.value.devices;
        let runs_it = |id: &str| fleet.get(id).is_some_and(|device| target.is_reported_by(device));
        let Some(stage) = self.context.stages.get(index) else { return 0 };
        let listed = stage.select.devices.iter().flatten().map(String::as_str);
        let of_sets = self.selected_by_sets(index).flatten().unwrap_or_default();
        let of_sets = of_sets.into_iter().filter(|id| fleet.contains_key(*id));
        let named: BTreeSet<&str> = listed.chain(of_sets).collect();
        if !named.iter().all(|id| runs_it(id)) {
            return 0;
        }
        let sent = &self.observed.taken.stage_of;
        as_count(named.into_iter().filter(|id| !sent.contains_key(id)).count())
    }

    /// Judges every gate of the stage, and returns one that failed. A failure is final for this spec, and so is too many
    /// failures: the evidence is kept, whatever the devices report later.
    pub(super) fn ask_gates(&mut self, index: usize) -> Option<Evidence> {
        let stage = &self.status.stages[index];
        let failed = |gates: &[Evidence]| gates.iter().find(|gate| gate.verdict == Verdict::Fail).cloned();
        let is_held = stage.phase == StagePhase::Held && !self.edited;
        if is_held && stage.gates.iter().any(|gate| gate.verdict == Verdict::Fail || gate.is_hopeless()) {
            return failed(&stage.gates);
        }
        let judged = self.judged(index).chain(self.compared(index)).chain(self.batch_failed(index));
        let asked: Vec<Evidence> = judged.map(|judged| keep_time(judged, &stage.gates)).collect();
        let failed = failed(&asked);
        self.status.stages[index].gates = asked;
        failed
    }

    /// Each gate of the stage, judged on what is known of its sample now. A stage that passed before samples were recorded is
    /// judged on all devices that have begun.
    pub(super) fn judged(&self, index: usize) -> impl Iterator<Item = Evidence> {
        let stage = &self.status.stages[index];
        let (counts, now) = (stage.counts_in_full(), self.context.now);
        let has_passed = stage.phase == StagePhase::Passed;
        let frozen = stage.sample.or_else(|| has_passed.then(|| counts.begun()));
        self.gates(index).into_iter().map(move |gate| {
            responders::beside(outcome::judge(&gate, &counts, frozen, now), gate.min_observed, stage)
        })
    }

    /// Each gate of the stage that compares it with its control group.
    fn compared(&self, index: usize) -> Vec<Evidence> {
        let (stage, now) = (&self.status.stages[index], self.context.now);
        let group = stage.control.as_ref();
        let gates = self.context.stages.get(index).into_iter().flat_map(controls);
        gates.map(|(name, gate)| control::judge(name, gate, group, stage.counts.assigned, now)).collect()
    }

    /// True when the stage must prove something before the next one is sent.
    fn has_gates(&self, index: usize) -> bool {
        !self.gates(index).is_empty() || self.compares(index)
    }

    /// True when a gate of the stage compares it with its control group.
    pub(super) fn compares(&self, index: usize) -> bool {
        self.context.stages.get(index).is_some_and(|stage| controls(stage).next().is_some())
    }

    fn gate_names(&self, index: usize) -> Vec<String> {
        let compared = self.context.stages.get(index).into_iter().flat_map(controls);
        let compared = compared.map(|(name, _)| name.to_owned());
        self.gates(index).into_iter().map(|gate| gate.gate).chain(compared).collect()
    }

    /// Freezes the sample of a stage whose soak is over, if enough devices have begun, and judges its gates on it.
    pub(super) fn freeze(&mut self, index: usize) {
        if self.gates(index).is_empty() || self.status.stages[index].sample.is_some() {
            return;
        }
        let counts = self.status.stages[index].counts;
        self.status.stages[index].sample = outcome::freeze(&self.gates(index), &counts);
        if self.status.stages[index].sample.is_some() {
            self.compare_strata(index);
        }
        self.ask_gates(index);
    }

    /// What the gates of the stage require. The default gate belongs to stages that were sent to devices: a stage without
    /// any proves nothing, and holds the rollout only if its spec has gates.
    pub(super) fn gates(&self, index: usize) -> Vec<Requirement> {
        match self.status.stages.get(index).and_then(|stage| stage.size) {
            None if !self.has_written_gates(index) => Vec::new(),
            size => self.required(index, size.unwrap_or_default()),
        }
    }

    fn required(&self, index: usize, devices: u32) -> Vec<Requirement> {
        let (spec, is_last) = (&self.context.rollout.spec, index + 1 >= self.context.stages.len());
        self.context
            .stages
            .get(index)
            .map(|stage| required(spec, stage, is_last, devices))
            .unwrap_or_default()
    }

    /// True when the spec has gates for the stage.
    pub(super) fn has_written_gates(&self, index: usize) -> bool {
        let name = self.status.stages.get(index).map(|stage| &stage.name);
        let written = self.context.rollout.spec.stages.iter().find(|stage| Some(&stage.name) == name);
        written.and_then(|stage| stage.gates.as_ref()).is_some_and(|gates| !gates.is_empty())
    }
}

fn all_pass(stage: &StageStatus) -> bool {
    stage.gates.iter().all(|gate| gate.verdict == Verdict::Pass)
}

/// True when each of these gates has evidence under its name, and passed.
fn has_passed(stage: &StageStatus, gates: &[String]) -> bool {
    let passed = |gate: &String| {
        stage.gates.iter().any(|evidence| evidence.rule == *gate && evidence.verdict == Verdict::Pass)
    };
    gates.iter().all(passed)
}

/// Unchanged evidence keeps its time, so that an idle pass changes nothing.
fn keep_time(mut evidence: Evidence, before: &[Evidence]) -> Evidence {
    let same = |old: &&Evidence| Evidence { at: evidence.at, ..(*old).clone() } == evidence;
    if let Some(old) = before.iter().find(same) {
        evidence.at = old.at;
    }
    evidence
}
