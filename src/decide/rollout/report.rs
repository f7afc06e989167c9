//! How a judgement stands in the status: conditions by the kstatus rules, one sentence, one column.

use super::deadline;
use crate::api::{
    HEALTHY, OtaRollout, OtaRolloutStatus, PROGRESSING, READY, RECONCILING, ReadyWhen, Reason, Request,
    RolloutPhase, STALLED, SUSPENDED, StageCounts, StagePhase, StageStatus, Truth, Verdict, clear_condition,
    condition_is_true, find_condition, record_decision, set_condition,
};
use crate::decide::{Action, Plan, Requeue};
use jiff::Timestamp;

/// Who can bring it further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is left to do.
    Done,
    /// We, or the devices.
    Working,
    /// Only a person.
    Stuck,
    /// Whoever had it stand still.
    Still,
}

/// A judgement, before it is written down.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub phase: RolloutPhase,
    pub standing: Standing,
    /// CamelCase, for conditions and decisions.
    pub reason: Reason,
    pub message: String,
    pub requeue: Requeue,
    pub actions: Vec<Action>,
}

impl Outcome {
    /// Work goes on; look again soon.
    pub fn working(phase: RolloutPhase, reason: Reason, message: impl Into<String>) -> Self {
        let requeue = Requeue::After(crate::decide::POLL);
        Self {
            phase,
            standing: Standing::Working,
            reason,
            message: message.into(),
            requeue,
            actions: Vec::new(),
        }
    }

    /// Held until a person changes something; devices that still upgrade are watched (`live`).
    pub fn held(reason: Reason, message: impl Into<String>, live: bool) -> Self {
        let requeue = if live { Requeue::After(crate::decide::POLL) } else { Requeue::AtDriftInterval };
        let phase = RolloutPhase::Held;
        Self {
            phase,
            standing: Standing::Stuck,
            reason,
            message: message.into(),
            requeue,
            actions: Vec::new(),
        }
    }

    /// Devices still upgrade meanwhile.
    pub fn watched(mut self) -> Self {
        let poll = crate::decide::POLL;
        self.requeue =
            Requeue::After(if let Requeue::After(wait) = self.requeue { wait.min(poll) } else { poll });
        self
    }

    /// It is held because a person wants it to be.
    pub fn still(mut self) -> Self {
        self.standing = Standing::Still;
        self
    }

    /// With these orders before its own.
    pub fn after(mut self, first: Vec<Action>) -> Self {
        self.actions.splice(0..0, first);
        self
    }

    pub fn with(mut self, actions: impl IntoIterator<Item = Action>) -> Self {
        self.actions.extend(actions);
        self
    }
}

/// Writes the judgement into the status.
pub(super) fn finish(
    object: &OtaRollout,
    mut status: OtaRolloutStatus,
    outcome: Outcome,
    now: Timestamp,
) -> Plan<OtaRolloutStatus> {
    let outcome = deadline::end_of_patience(&mut status, outcome, now);
    let generation = object.metadata.generation.unwrap_or(0);
    let is_known =
        find_condition(&status.conditions, PROGRESSING).is_some_and(|known| known.reason == outcome.reason);
    let was_stuck = condition_is_true(&status.conditions, STALLED);
    let is_news = !is_known || (outcome.standing == Standing::Stuck && !was_stuck);
    if is_news
        && (outcome.standing != Standing::Working
            || matches!(outcome.reason, Reason::StageResumed | Reason::StageRetried))
    {
        record_decision(&mut status.decisions, now, outcome.reason, outcome.message.clone());
    }
    if let Some(asked) = Request::Reconcile.of(&object.metadata) {
        status.last_handled_reconcile_at = Some(asked.to_owned());
    }
    status.phase = outcome.phase;
    status.observed_generation = generation;
    status.progress = progress(&status);
    let health = health(&status, &outcome);
    let ready = is_ready(object, &status, &outcome);
    let mut set = |type_: &str, truth: Truth, reason: Reason, message: &str| {
        set_condition(&mut status.conditions, type_, truth, reason, message, generation, now);
    };
    let progressing = if outcome.phase == RolloutPhase::Progressing { Truth::True } else { Truth::False };
    match ready {
        Some(reason) => set(READY, Truth::True, reason, &outcome.message),
        None => set(READY, Truth::False, outcome.reason, &outcome.message),
    }
    set(PROGRESSING, progressing, outcome.reason, &outcome.message);
    set(HEALTHY, health.0, health.1, &health.2);
    for (type_, standing) in
        [(RECONCILING, Standing::Working), (STALLED, Standing::Stuck), (SUSPENDED, Standing::Still)]
    {
        // What is ready is not reconciling, though it may be progressing: kstatus would wait for it.
        if outcome.standing == standing && (standing != Standing::Working || ready.is_none()) {
            set_condition(
                &mut status.conditions,
                type_,
                Truth::True,
                outcome.reason,
                outcome.message.clone(),
                generation,
                now,
            );
        } else {
            clear_condition(&mut status.conditions, type_);
        }
    }
    status.message = outcome.message;
    Plan { status, actions: outcome.actions, requeue: outcome.requeue }
}

/// Why it is ready, if it is as far as `readyWhen` asks for.
fn is_ready(object: &OtaRollout, status: &OtaRolloutStatus, outcome: &Outcome) -> Option<Reason> {
    let canary_passed = status.stages.first().is_some_and(|stage| stage.phase == StagePhase::Passed);
    let goes_well = outcome.standing != Standing::Stuck
        && !matches!(
            outcome.reason,
            Reason::Observing
                | Reason::CloudUnreachable
                | Reason::Deleting
                | Reason::PackageMissing
                | Reason::PackageInvalid
        );
    match object.spec.ready_when {
        _ if outcome.standing == Standing::Done => Some(outcome.reason),
        ReadyWhen::Accepted if goes_well => Some(Reason::Accepted),
        ReadyWhen::CanaryPassed if goes_well && canary_passed => Some(Reason::CanaryPassed),
        _ => None,
    }
}

fn health(status: &OtaRolloutStatus, outcome: &Outcome) -> (Truth, Reason, String) {
    let total = total(&status.stages);
    if matches!(outcome.reason, Reason::StageFailed | Reason::StageDeadline) {
        return (Truth::False, outcome.reason, outcome.message.clone());
    }
    if let Some(evidence) = &status.stopped_by {
        return (Truth::False, Reason::StopRuleFired, evidence.message.clone());
    }
    let held = status.stages.iter().filter(|stage| stage.phase == StagePhase::Held);
    if let Some(gate) = held.flat_map(|stage| &stage.gates).find(|gate| gate.verdict == Verdict::Fail) {
        return (Truth::False, Reason::GateFailed, gate.message.clone());
    }
    if status.phase == RolloutPhase::Completed && total.reverted > 0 {
        let message = format!("{} of {} devices no longer run the version", total.reverted, total.assigned);
        return (Truth::False, Reason::Reverted, message);
    }
    (
        Truth::True,
        Reason::NoStop,
        format!("{} of {} devices succeeded, {} failed", total.succeeded, total.assigned, total.failures()),
    )
}

/// Counts of all stages together.
pub(super) fn total(stages: &[StageStatus]) -> StageCounts {
    stages.iter().fold(StageCounts::default(), |sum, stage| sum + stage.counts)
}

fn progress(status: &OtaRolloutStatus) -> String {
    let total = total(&status.stages);
    if status.phase == RolloutPhase::Completed {
        return format!("completed {}/{}", total.succeeded, total.assigned);
    }
    let stages = status.stages.len();
    let current = status.stages.iter().position(|stage| stage.phase != StagePhase::Passed);
    match current.and_then(|index| status.stages.get(index).map(|stage| (index, stage))) {
        Some((index, stage)) if status.phase != RolloutPhase::Pending => {
            let (counts, number) = (stage.counts, index + 1);
            // How many devices it has is known once it was released.
            let tally = match counts.assigned {
                0 => String::new(),
                assigned => format!(" {}/{assigned}", counts.succeeded),
            };
            format!("{}{tally}, stage {number} of {stages}", stage.name)
        }
        None if status.phase == RolloutPhase::Progressing && stages > 0 => {
            format!("follow-up {}/{}", total.succeeded, total.assigned)
        }
        None if !status.stages.is_empty() => format!("{}/{}", total.succeeded, total.assigned),
        _ => "pending".to_owned(),
    }
}
