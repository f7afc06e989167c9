//! From the observation to the actions: stop rules first, then holds, then the stages in order.

use super::jobs::{can_be_stopped, unstoppable};
use super::observed::{Observed, observed};
use super::report::{Outcome, total};
use super::{Context, deadline, findings, follow_up, overlap, requests, run, soak, waiting_stage};
use crate::api::{
    Decision, OtaRolloutStatus, Reason, RolloutPhase, StageCounts, StagePhase, StageStatus, StopAction,
    StopRule, Verdict, counted, record_decision, time_text,
};
use crate::decide::needs::{has_begun, is_dispatchable};
use crate::decide::{Action, POLL, Requeue, cohort, gate, safeguards, stop};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// The tally of a rollout that has not begun.
pub(super) const NOTHING_SENT: &str = "nothing was sent yet";

/// One pass over a rollout.
pub(super) struct Pass<'g, 'a> {
    pub context: &'g Context<'a>,
    pub status: &'g mut OtaRolloutStatus,
    pub observed: Observed<'a>,
    /// The spec was edited since the last pass: gates are judged again.
    pub edited: bool,
}

/// Judges, and writes stages into the status. None when the members of groups or tags were not observed.
pub(super) fn advance(context: &Context<'_>, status: &mut OtaRolloutStatus) -> Option<Outcome> {
    let changed = stages_changed(context, status);
    // An edit that cannot be followed changes no verdict.
    let edited = changed.is_none() && status.plan_hash.as_deref() != Some(context.hash.as_str());
    if changed.is_none() {
        adopt_spec(context, status, edited);
    }
    let mut seen = count(context, status, edited)?;
    watch_stop_rules(context, status, &seen);
    let lacks_package = context.without_package.as_ref().map(|lack| &lack.message);
    if let Some(why) = lacks_package.or(changed.as_ref()) {
        requests::refuse_retry(context.rollout, status, why, context.now);
    } else if requests::take_retry(context.rollout, status, context.now) {
        seen = count(context, status, edited)?;
    }
    let observed = seen;
    let excluded = observed.population.shared.excluded(&observed.population.excluded);
    overlap::note_owners(status, excluded, context.now);
    status.pending.retain(|intent| observed.jobs.listed.iter().all(|ours| ours.token != intent.token));
    let mut pass = Pass { context, status, observed, edited };
    pass.ignore_new_devices();
    let outcome = pass.judge(changed);
    let Some(other) = pass.observed.other_instance.take() else { return Some(outcome) };
    Some(tell_of_other_instance(status, outcome, &other, context.now))
}

/// Reports the other instance beside the outcome, for as long as the cloud lists its jobs, and once among the decisions.
fn tell_of_other_instance(
    status: &mut OtaRolloutStatus,
    mut outcome: Outcome,
    other: &str,
    now: Timestamp,
) -> Outcome {
    let is_told = |decision: &Decision| decision.rule == Reason::AnotherInstance && decision.message == other;
    if !status.decisions.iter().any(is_told) {
        record_decision(&mut status.decisions, now, Reason::AnotherInstance, other);
    }
    if outcome.reason != Reason::AnotherInstance && outcome.phase != RolloutPhase::Completed {
        outcome.message = format!("{}; {other}", outcome.message);
    }
    outcome
}

/// Counts, judges devices without an outcome, and records findings.
fn count<'a>(context: &Context<'a>, status: &mut OtaRolloutStatus, edited: bool) -> Option<Observed<'a>> {
    let seen = observed(context, status)?;
    deadline::judge(context, &mut status.stages, &seen, edited);
    findings::note(context, &mut status.stages, &seen);
    Some(seen)
}

/// Takes over an edited spec: stages keep their results, holds are judged again.
fn adopt_spec(context: &Context<'_>, status: &mut OtaRolloutStatus, edited: bool) {
    if let Some(message) = safeguards::removed(&context.rollout.spec, status) {
        record_decision(&mut status.decisions, context.now, Reason::SafeguardsRemoved, &message);
    }
    status.safeguards = safeguards::of(&context.rollout.spec);
    let mut known = std::mem::take(&mut status.stages);
    for stage in &context.stages {
        let index = known.iter().position(|known| known.name == stage.name);
        let mut kept = index.map_or_else(|| waiting_stage(&stage.name), |index| known.swap_remove(index));
        if edited && kept.phase == StagePhase::Held {
            kept.phase = StagePhase::Running;
        }
        if status.package_identity.as_ref() != Some(&context.identity) {
            kept.counts = StageCounts::default();
        }
        status.stages.push(kept);
    }
    if edited {
        // Devices of a stage are chosen once in a run: added ones would be missing in its evidence.
        if let Some(message) = cohort::not_followed(&context.stages, &status.stages) {
            record_decision(&mut status.decisions, context.now, Reason::SelectNotFollowed, &message);
        }
        status.stopped_by = None;
        status.plan_hash = Some(context.hash.clone());
        status.package_identity = Some(context.identity.clone());
    }
}

/// Why an edit of the stages cannot be followed: dispatched stages must come first, in the same order, and removed stages
/// must not move their devices to a last stage that the spec does not contain.
fn stages_changed(context: &Context<'_>, status: &OtaRolloutStatus) -> Option<String> {
    let begun = |stage: &&StageStatus| stage.phase != StagePhase::Waiting || !stage.jobs.is_empty();
    let released = status.stages.iter().rposition(|stage| begun(&stage)).map_or(0, |last| last + 1);
    for (index, stage) in status.stages.iter().take(released).enumerate() {
        if context.stages.get(index).map(|new| &new.name) != Some(&stage.name) {
            return Some(format!(
                "stage {} was dispatched as number {} and is no longer at that place in the spec; put it back, or delete this rollout and write a new one",
                stage.name,
                index + 1
            ));
        }
    }
    let names: BTreeSet<&str> = context.stages.iter().map(|stage| stage.name.as_str()).collect();
    let gone: Vec<&str> =
        status.stages.iter().map(|stage| stage.name.as_str()).filter(|name| !names.contains(name)).collect();
    let rest_is_implied = context.stages.len() > context.rollout.spec.stages.len();
    (released > 0 && rest_is_implied && !gone.is_empty()).then(|| {
        format!(
            "stages were removed ({}), which would move their devices to the implied last stage; write a stage with select: {{rest: true}} to confirm, or put them back",
            gone.join(", ")
        )
    })
}

/// A rule that fired holds until the spec changes. When every stage has passed, no job is live and no device gets another
/// one, there is nothing to stop.
fn watch_stop_rules(context: &Context<'_>, status: &mut OtaRolloutStatus, observed: &Observed<'_>) {
    let passed = |stage: &StageStatus| stage.phase == StagePhase::Passed;
    let over = status.stages.iter().all(passed)
        && observed.jobs.live().is_empty()
        && observed.unfinished.iter().all(|left| left.devices().is_empty())
        && !follow_up::is_due(context, &observed.population.eligible);
    if status.stopped_by.is_none() && !over {
        let counts = total(&status.stages);
        let rules = context.rollout.spec.stop.iter();
        let mut evidence = rules.map(|rule| stop::judge(rule, &counts, context.now));
        status.stopped_by = evidence.find(|evidence| evidence.verdict == Verdict::Fail);
    }
}

impl Pass<'_, '_> {
    fn judge(&mut self, changed: Option<String>) -> Outcome {
        self.status.stages.iter_mut().for_each(|stage| (stage.opens_at, stage.soaks_until) = (None, None));
        let duplicates = self.observed.jobs.duplicates.iter().filter(|job| can_be_stopped(job));
        let stops: Vec<Action> = duplicates.map(|job| Action::StopJob { id: job.id.clone() }).collect();
        let stops = if self.context.capabilities.stops_jobs { stops } else { Vec::new() };
        if let Some(outcome) = self.stop_rules() {
            return outcome;
        }
        let failed = self.failed_gate();
        if let Some((reason, words)) = requests::stands_still(self.context.rollout, self.status) {
            return self.hold_and_stop(reason, format!("{words}: {}", self.tally())).still();
        }
        if let Some(message) = failed {
            // Devices that have not begun must not get a bad build.
            return self.hold_and_stop(Reason::GateFailed, message).with(stops);
        }
        let live = !self.observed.jobs.live().is_empty();
        if let Some(lack) = self.context.without_package.clone() {
            return if live { lack.watched() } else { lack }.with(stops);
        }
        if let Some(message) = changed {
            return Outcome::held(Reason::StagesChanged, message, live).with(stops);
        }
        if let Some(doubt) = self.observed.doubt.take().filter(|doubt| !self.is_over(doubt.reason)) {
            return Outcome::held(doubt.reason, doubt.message, true).with(stops);
        }
        if let Some(hidden) = self.observed.hidden.take() {
            return Outcome::working(RolloutPhase::Progressing, Reason::Observing, hidden);
        }
        if self.observed.population.targeted == 0 {
            let unknown = self.status.excluded.unknown;
            let message = format!(
                "no device of spec.targets is registered in the cloud ({unknown} not found): nothing to do"
            );
            return Outcome::held(Reason::NoDevices, message, live);
        }
        if let Some(outcome) = self.overlap() {
            return outcome;
        }
        if self.nobody_may_begin() {
            let message = format!(
                "none of {} targeted devices can be upgraded: {} report a version that spec.targets.fromVersions or the package's sourceVersions do not list{}; the rollout starts when a device reports a listed version",
                self.observed.population.targeted,
                self.status.excluded.by_version,
                overlap::owners_text(&self.status.excluded),
            );
            return Outcome::held(Reason::NoneEligible, message, live);
        }
        let lost = self.stop_lost_jobs();
        self.walk().after(lost)
    }

    /// True when nothing was ever sent, no device is eligible, and none runs the version: that is no success of any
    /// stage.
    fn nobody_may_begin(&self) -> bool {
        self.observed.population.eligible.is_empty()
            && self.status.excluded.already_current == 0
            && self.observed.jobs.unsettled.is_empty()
            && !has_begun(self.status)
    }

    /// A completed rollout stays completed when its jobs are deleted: its last counts are kept.
    fn is_over(&self, reason: Reason) -> bool {
        reason == Reason::JobVanished && self.status.phase == RolloutPhase::Completed && !self.edited
    }

    fn stop_rules(&mut self) -> Option<Outcome> {
        let evidence = self.status.stopped_by.clone()?;
        let rule = self.context.rollout.spec.stop.iter().find(|rule| rule.name == evidence.rule);
        if rule.is_some_and(|rule| rule.action == StopAction::Abort) {
            let mut outcome = self.hold_and_stop(Reason::Aborted, format!("aborted: {}", evidence.message));
            outcome.phase = RolloutPhase::Aborted;
            return Some(outcome);
        }
        Some(self.hold_and_stop(Reason::StopRuleFired, format!("stopped: {}", evidence.message)))
    }

    /// Holds, and stops every job of ours that is not final.
    fn hold_and_stop(&mut self, reason: Reason, message: String) -> Outcome {
        let live = self.observed.jobs.live();
        let ids: BTreeSet<&str> = live.iter().map(|job| job.id.as_str()).collect();
        for job in self.status.stages.iter_mut().flat_map(|stage| &mut stage.jobs) {
            job.stop_ordered |= ids.contains(job.id.as_str());
        }
        if !self.context.capabilities.stops_jobs {
            let message = message + &unstoppable(&live);
            return Outcome::held(reason, message, !live.is_empty());
        }
        let stops = live.iter().filter(|job| can_be_stopped(job));
        let stops: Vec<Action> = stops.map(|job| Action::StopJob { id: job.id.clone() }).collect();
        Outcome::held(reason, message, !live.is_empty()).with(stops)
    }

    /// The results so far, for the end of a message.
    fn tally(&self) -> String {
        if !has_begun(self.status) {
            return NOTHING_SENT.to_owned();
        }
        let counts = total(&self.status.stages);
        let (succeeded, failures, assigned) = (counts.succeeded, counts.failures(), counts.assigned);
        format!("{succeeded} of {assigned} devices succeeded, {failures} failed")
    }

    fn walk(&mut self) -> Outcome {
        if let Some(outcome) = self.resend() {
            return outcome;
        }
        (0..self.status.stages.len())
            .find_map(|index| self.step(index))
            .or_else(|| run::same_version(self.context, self.status))
            .unwrap_or_else(|| self.end())
    }

    /// What the stage waits for; none when it has passed.
    pub(super) fn step(&mut self, index: usize) -> Option<Outcome> {
        if self.status.stages[index].phase == StagePhase::Passed {
            return None;
        }
        if matches!(self.status.stages[index].phase, StagePhase::Waiting | StagePhase::Dispatching) {
            if let Some(outcome) = self.dispatch(index) {
                return Some(outcome);
            }
            if self.status.stages[index].phase == StagePhase::Passed {
                return None;
            }
        }
        self.watch(index).map(|outcome| self.hold_after_deadline(index, outcome))
    }

    /// A stage whose jobs are all created: observe, soak, judge the gates.
    fn watch(&mut self, index: usize) -> Option<Outcome> {
        let stage = &self.status.stages[index];
        let (name, counts) = (stage.name.clone(), stage.counts);
        if self.all_went_elsewhere(index) {
            return None;
        }
        if counts.assigned == 0 && counts.unseen > 0 && self.observed.population.eligible.is_empty() {
            let message = format!(
                "stage {name}: all of its devices were taken over by another job, and no device is left to send to"
            );
            self.enter(index, StagePhase::Passed, Reason::StagePassed, &message);
            return None;
        }
        if counts.assigned == 0 {
            let message = match counts.unseen {
                0 => format!("stage {name}: none of its devices is left, so there is no evidence"),
                unseen => format!(
                    "stage {name}: {unseen} devices were taken over by another job before they reported the version, and none is left, so there is no evidence"
                ),
            };
            self.status.stages[index].phase = StagePhase::Held;
            return Some(Outcome::held(Reason::NoDevicesLeft, message, false));
        }
        let gates = self.gates(index);
        let mut line = format!(
            "{name}: {} of {} devices succeeded, {} failed, {} outstanding",
            counts.succeeded,
            counts.assigned,
            counts.failures(),
            counts.queued + counts.in_flight
        );
        line += &deadline::late_text(counts);
        let delivery = self.context.rollout.spec.delivery.as_ref();
        if counts.queued > 0 && delivery.is_some_and(|delivery| delivery.confirm == Some(true)) {
            line += &format!(" ({} not begun: their users may have to confirm first)", counts.queued);
        }
        let looked_at = self.context.jobs.at.min(self.context.fleet.at);
        if !self.is_soaking(index) {
            if !gate::is_observed(gates, &counts) {
                self.enter(index, StagePhase::Running, Reason::StageRunning, &line);
                return Some(Outcome::working(RolloutPhase::Progressing, Reason::StageRunning, line));
            }
            // Its devices had answered by now, not by the time at which the older of two observations began.
            let (now, stage) = (self.context.now, &mut self.status.stages[index]);
            (stage.observed_at, stage.observed_cloud_at) = (Some(now), None);
            stage.observed_uptime = self.context.clocks.uptime(now);
        }
        if let Some(outcome) = self.soak(index, looked_at, &line) {
            return Some(outcome);
        }
        self.exit(index, &line)
    }

    /// A time in the future was written by a clock that has been set back since: if no other clock shows when it was, the
    /// stage soaks again.
    fn is_soaking(&self, index: usize) -> bool {
        let stage = &self.status.stages[index];
        let is_known = || self.context.clocks.time_of(stage.observed_uptime.as_ref()).is_some();
        stage.observed_at.is_some_and(|at| at <= self.context.now || is_known())
    }

    /// A stage is left only on an observation made after its soak, never on an older one.
    fn soak(&mut self, index: usize, looked_at: Timestamp, line: &str) -> Option<Outcome> {
        let spec = self.context.stages.get(index).filter(|spec| spec.soak.is_some())?;
        let (clocks, stage) = (&self.context.clocks, &mut self.status.stages[index]);
        // As soon as it is known: a later start only makes it longer.
        stage.observed_cloud_at = stage.observed_cloud_at.or(clocks.cloud.map(|cloud| cloud.latest));
        if clocks.boot.is_some() && clocks.time_of(stage.observed_uptime.as_ref()).is_none() {
            stage.observed_uptime = clocks.uptime(self.context.now);
        }
        let soak = soak::of(spec, stage)?;
        let end = soak.ends(clocks, self.context.now);
        if looked_at >= end {
            return None;
        }
        let told = soak.ends_as_told(clocks, self.context.now);
        stage.soaks_until = Some(told);
        let message = format!("{line}; soaks until {}", time_text(told));
        self.enter(index, StagePhase::Soaking, Reason::StageSoaking, &message);
        let left = end.duration_since(self.context.now);
        let wait = if left <= SignedDuration::ZERO || (self.is_live() && left > POLL) { POLL } else { left };
        let mut outcome = Outcome::working(RolloutPhase::Progressing, Reason::StageSoaking, message);
        outcome.requeue = Requeue::After(wait);
        Some(outcome)
    }

    /// The soak is over: the next stage may begin only if all gates pass.
    fn exit(&mut self, index: usize, line: &str) -> Option<Outcome> {
        let open = self.status.stages[index].gates.iter().find(|gate| gate.verdict != Verdict::Pass).cloned();
        let counts = self.status.stages[index].counts;
        let name = self.status.stages[index].name.clone();
        if let Some(failed) = self.failed_without_a_gate(index) {
            return Some(failed);
        }
        let Some(open) = open else {
            self.status.stages[index].passed_at = Some(self.context.now);
            self.enter(index, StagePhase::Passed, Reason::StagePassed, &format!("stage {line}"));
            return None;
        };
        if counts.queued + counts.in_flight > 0 {
            let message = format!("stage {name}: {}", open.message);
            self.enter(index, StagePhase::Soaking, Reason::StageSoaking, &message);
            return Some(Outcome::working(RolloutPhase::Progressing, Reason::GateWaiting, message));
        }
        let message = format!("stage {name}: {}", open.message);
        self.enter(index, StagePhase::Held, Reason::GateInconclusive, &message);
        Some(Outcome::held(Reason::GateInconclusive, message, self.is_live()))
    }

    /// Changes a stage's phase, and records why if it is new.
    pub(super) fn enter(&mut self, index: usize, phase: StagePhase, reason: Reason, message: &str) {
        let stage = &mut self.status.stages[index];
        let news = stage.phase != phase;
        stage.phase = phase;
        if news {
            record_decision(&mut self.status.decisions, self.context.now, reason, message);
        }
    }

    /// Why nothing may be sent now.
    pub(super) fn blocked(&self) -> Option<String> {
        if let Some(why) = &self.context.refusal {
            return Some(why.clone());
        }
        if !is_dispatchable(self.context.package) {
            return Some(super::package_message(self.context.package));
        }
        if self.observed.jobs.stray_intent {
            return Some("waits for a request whose outcome is not known yet".to_owned());
        }
        self.may_have_to_stop()
    }

    /// The stop rule that fires if the devices that do not report the version yet, although their jobs report them as
    /// successful, have failed. They are known once the versions are read later than that.
    fn may_have_to_stop(&self) -> Option<String> {
        let counts = total(&self.status.stages);
        let (rules, feared) = (&self.context.rollout.spec.stop, counts.unconfirmed_as_reverted());
        let fires = |rule: &&StopRule| stop::judge(rule, &feared, self.context.now).verdict == Verdict::Fail;
        let rule = rules.iter().filter(|_| counts.unconfirmed > 0).find(fires)?;
        Some(format!(
            "waits for the versions of {} whose jobs report success: if they have failed, stop rule {} fires",
            counted(counts.unconfirmed, "device"),
            rule.name
        ))
    }
}
