//! From the observation to the actions: gates and stop rules are judged, then the holds are walked, then the stages.

use super::gates::outcome;
use super::holds::{changed_stages, stop_rule, unprovable_gate};
use super::jobs::can_be_stopped;
use super::observed::{Observed, observed};
use super::report::{Outcome, total};
use super::{
    Context, control, deadline, findings, gates, holds, overlap, requests, run, soak, waiting_stage,
};
use crate::api::{
    Decision, Evidence, OtaRolloutStatus, Reason, RolloutPhase, StageCounts, StagePhase, Verdict,
    record_decision, time_text,
};
use crate::decide::needs::{has_begun, is_dispatchable};
use crate::decide::{Action, POLL, Requeue, cohort, safeguards};
use jiff::{SignedDuration, Timestamp};

/// The tally of a rollout that has not begun.
pub(super) const NOTHING_SENT: &str = "nothing was sent yet";

/// One pass over a rollout.
pub(super) struct Pass<'g, 'a> {
    pub context: &'g Context<'a>,
    pub status: &'g mut OtaRolloutStatus,
    pub observed: Observed<'a>,
    /// The spec was edited since the last pass: gates are judged again.
    pub edited: bool,
    /// Why an edit of the stages cannot be followed.
    pub changed_stages: Option<String>,
    /// The first gate that failed, as a message.
    pub failed_gate: Option<String>,
    /// The stage that is being dispatched, and its devices that are in no job yet.
    pub unsent: Option<(usize, Vec<&'a str>)>,
}

/// Judges, and writes stages into the status. None when the members of groups or tags were not observed.
pub(super) fn advance(context: &Context<'_>, status: &mut OtaRolloutStatus) -> Option<Outcome> {
    let changed = changed_stages::why(context, status);
    // An edit that cannot be followed changes no verdict.
    let edited = changed.is_none() && status.plan_hash.as_deref() != Some(context.hash.as_str());
    if changed.is_none() {
        adopt_spec(context, status, edited);
    }
    let mut seen = count(context, status, edited)?;
    context.groups(&seen).watch(status);
    stop_rule::watch(context, status, &seen);
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
    let mut pass =
        Pass { context, status, observed, edited, changed_stages: changed, failed_gate: None, unsent: None };
    pass.ignore_new_devices();
    let outcome = pass.judge();
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
    if let Some(message) = safeguards::removed(&context.rollout.spec, &context.stages, status) {
        record_decision(&mut status.decisions, context.now, Reason::SafeguardsRemoved, &message);
    }
    status.safeguards = safeguards::of(&context.rollout.spec, &context.stages);
    let mut known = std::mem::take(&mut status.stages);
    for stage in &context.stages {
        let index = known.iter().position(|known| known.name == stage.name);
        let mut kept = index.map_or_else(|| waiting_stage(&stage.name), |index| known.swap_remove(index));
        if edited && kept.phase == StagePhase::Held {
            kept.phase = kept.phase_to_continue();
        }
        if edited && kept.phase != StagePhase::Passed {
            // Its gates may require another sample, and a comparison that fired a rule that was edited decides nothing more.
            (kept.sample, kept.responders) = (None, None);
            kept.control.iter_mut().for_each(|group| group.last = None);
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

impl Pass<'_, '_> {
    /// Judges the gates, then walks the holds; the stages only when none holds the rollout.
    fn judge(&mut self) -> Outcome {
        self.status.stages.iter_mut().for_each(|stage| (stage.opens_at, stage.soaks_until) = (None, None));
        self.note_unsent();
        self.failed_gate = self.judge_gates();
        if let Some(outcome) = holds::first(holds::HOLDS, self) {
            return self.stopping_duplicates(self.suspecting_outage(outcome));
        }
        let lost = self.stop_lost_jobs();
        let outcome = self.walk();
        self.suspecting_outage(outcome).after(lost)
    }

    /// What stops a rollout while its control group got worse too may not be the package's fault.
    fn suspecting_outage(&self, mut outcome: Outcome) -> Outcome {
        let is_verdict = matches!(
            outcome.reason,
            Reason::StopRuleFired | Reason::GateFailed | Reason::GateInconclusive | Reason::StageFailed
        );
        if let Some(why) = control::outage_noted(self.status).filter(|_| is_verdict) {
            outcome.reason = Reason::SharedOutageSuspected;
            outcome.message += &format!("; the package may not be the cause: {why}");
        }
        outcome
    }

    /// A second job of the same idempotency key is stopped whatever holds the rollout.
    fn stopping_duplicates(&self, outcome: Outcome) -> Outcome {
        if !self.context.capabilities.stops_jobs {
            return outcome;
        }
        let duplicates = self.observed.jobs.duplicates.iter().filter(|job| can_be_stopped(job));
        let stops = duplicates.map(|job| Action::StopJob { id: job.id.clone() });
        let missing: Vec<Action> = stops.filter(|stop| !outcome.actions.contains(stop)).collect();
        outcome.with(missing)
    }

    /// The results so far, for the end of a message.
    pub(super) fn tally(&self) -> String {
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
            if !outcome::is_observed(&self.gates(index), &counts) {
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
        self.freeze(index);
        unprovable_gate::check(self).or_else(|| self.exit(index, &line))
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
        let next = control::next_comparison(spec, &self.status.stages[index], clocks, self.context.now);
        let left = next.map_or(left, |next| left.min(next.duration_since(self.context.now)));
        let wait = if left <= SignedDuration::ZERO || (self.is_live() && left > POLL) { POLL } else { left };
        let mut outcome = Outcome::working(RolloutPhase::Progressing, Reason::StageSoaking, message);
        outcome.requeue = Requeue::After(wait);
        Some(outcome)
    }

    /// The soak is over: the next stage may begin only if all gates pass.
    fn exit(&mut self, index: usize, line: &str) -> Option<Outcome> {
        let counts = self.status.stages[index].counts;
        let name = self.status.stages[index].name.clone();
        if let Some(failed) = self.failed_without_a_gate(index) {
            return Some(failed);
        }
        if let Some(stopped) = self.compare_at_the_end(index) {
            return Some(stopped);
        }
        let open = self.status.stages[index].gates.iter().find(|gate| gate.verdict != Verdict::Pass).cloned();
        let Some(open) = open else {
            self.compare(index);
            if let Some(stopped) = stop_rule::check(self) {
                return Some(stopped);
            }
            self.status.stages[index].passed_at = Some(self.context.now);
            self.enter(index, StagePhase::Passed, Reason::StagePassed, &format!("stage {line}"));
            return None;
        };
        if counts.outstanding() > 0 && open.control.is_none() {
            let message = format!("stage {name}, gate {}: {}", open.rule, open.message);
            self.enter(index, StagePhase::Soaking, Reason::StageSoaking, &message);
            return Some(Outcome::working(RolloutPhase::Progressing, Reason::GateWaiting, message));
        }
        let message = format!("stage {name}, gate {}: {}", open.rule, open.message);
        self.enter(index, StagePhase::Held, Reason::GateInconclusive, &message);
        Some(Outcome::held(Reason::GateInconclusive, message, self.is_live()))
    }

    /// Compares the stage with its control group once its other gates pass, for the gates that need that. A stop rule may fire by
    /// the same comparison.
    fn compare_at_the_end(&mut self, index: usize) -> Option<Outcome> {
        let gates = &self.status.stages[index].gates;
        let is_other = |gate: &&Evidence| gate.method != gates::control::METHOD;
        let others_pass = gates.iter().filter(is_other).all(|gate| gate.verdict == Verdict::Pass);
        if !others_pass || !self.compares(index) {
            return None;
        }
        self.compare(index);
        self.ask_gates(index);
        stop_rule::check(self)
    }

    fn compare(&mut self, index: usize) {
        self.context.groups(&self.observed).compare_before_passing(self.status, index);
        stop_rule::watch(self.context, self.status, &self.observed);
    }

    /// Changes a stage's phase, and records why if it is new.
    pub(super) fn enter(&mut self, index: usize, phase: StagePhase, reason: Reason, message: &str) {
        let stage = &mut self.status.stages[index];
        let news = stage.phase != phase;
        stage.phase = phase;
        if news && phase == StagePhase::Held {
            self.context.groups(&self.observed).note_outage(self.status);
        }
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
}
