//! How a package's judgement stands in its status.

use crate::api::{
    IN_SYNC, OtaPackage, OtaPackageStatus, READY, RECONCILING, Reason, Request, STALLED, Truth, VERIFIED,
    clear_condition, find_condition, record_decision, set_condition,
};
use crate::decide::{Action, POLL, Plan, Requeue};
use jiff::Timestamp;

/// Who can bring it further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Done,
    Working,
    Stuck,
}

/// A condition to be set.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub truth: Truth,
    pub reason: Reason,
    pub message: String,
}

impl Fact {
    pub fn new(truth: Truth, reason: Reason, message: impl Into<String>) -> Self {
        Self { truth, reason, message: message.into() }
    }
}

/// A judgement, before it is written down. A fact that is absent stays as it was.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub standing: Standing,
    pub reason: Reason,
    pub message: String,
    pub in_sync: Option<Fact>,
    pub verified: Option<Fact>,
    pub actions: Vec<Action>,
}

impl Outcome {
    pub fn new(standing: Standing, reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { standing, reason, message, in_sync: None, verified: None, actions: Vec::new() }
    }

    pub fn working(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Standing::Working, reason, message)
    }

    pub fn stuck(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Standing::Stuck, reason, message)
    }

    /// The cloud's copy: its truth, under the reason and message of the whole.
    pub fn in_sync(mut self, truth: Truth) -> Self {
        self.in_sync = Some(Fact::new(truth, self.reason, self.message.clone()));
        self
    }

    /// The verification: its truth, under the reason and message of the whole.
    pub fn verified(mut self, truth: Truth) -> Self {
        self.verified = Some(Fact::new(truth, self.reason, self.message.clone()));
        self
    }

    pub fn with(mut self, actions: impl IntoIterator<Item = Action>) -> Self {
        self.actions.extend(actions);
        self
    }
}

/// Writes the judgement into the status.
pub(super) fn finish(
    object: &OtaPackage,
    mut status: OtaPackageStatus,
    outcome: Outcome,
    now: Timestamp,
) -> Plan<OtaPackageStatus> {
    let generation = object.metadata.generation.unwrap_or(0);
    let is_known =
        find_condition(&status.conditions, READY).is_some_and(|ready| ready.reason == outcome.reason);
    if !is_known && outcome.reason != Reason::Observing {
        record_decision(&mut status.decisions, now, outcome.reason, outcome.message.clone());
    }
    let conditions = &mut status.conditions;
    let facts = [(IN_SYNC, outcome.in_sync), (VERIFIED, outcome.verified)];
    for (type_, fact) in facts.into_iter().filter_map(|(type_, fact)| Some((type_, fact?))) {
        set_condition(conditions, type_, fact.truth, fact.reason, fact.message, generation, now);
    }
    let ready = if outcome.standing == Standing::Done { Truth::True } else { Truth::False };
    set_condition(conditions, READY, ready, outcome.reason, outcome.message.clone(), generation, now);
    for (type_, standing) in [(RECONCILING, Standing::Working), (STALLED, Standing::Stuck)] {
        if outcome.standing == standing {
            set_condition(
                conditions,
                type_,
                Truth::True,
                outcome.reason,
                outcome.message.clone(),
                generation,
                now,
            );
        } else {
            clear_condition(conditions, type_);
        }
    }
    if let Some(asked) = Request::Reconcile.of(&object.metadata) {
        status.last_handled_reconcile_at = Some(asked.to_owned());
    }
    status.observed_generation = generation;
    status.message = outcome.message;
    let requeue =
        if outcome.standing == Standing::Working { Requeue::After(POLL) } else { Requeue::AtDriftInterval };
    Plan { status, actions: outcome.actions, requeue }
}
