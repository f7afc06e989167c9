//! Law (e): each stop rule's verdict is the one that the simulator's truth gives at the time of the observation.
//!
//! When exactly the engine observed is not known here, so the law is held for a window: what was so all the time must have been
//! seen, and what was never so must not.

use super::truth::{Run, Truth};
use super::verdict::{may_fire, must_fire};
use crate::checkers::effective;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{OtaRollout, PROGRESSING, RolloutPhase, StagePhase, find_condition};
use std::collections::{BTreeMap, BTreeSet};

/// What was so for all of this time is seen by whoever sends: longer than the lag of lists and a few polls.
const SEEN_WITHIN: SignedDuration = SignedDuration::from_mins(3);
/// An observation is not older than this.
const OBSERVED_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// Verdicts that were looked at.
#[derive(Default)]
pub(super) struct StopRules {
    fired: BTreeMap<Run, Timestamp>,
    /// Methods of the rules that fired.
    pub(super) methods: BTreeSet<String>,
}

impl StopRules {
    /// A status is durable, or is about to be: what fired by it has reason to.
    pub(super) fn status_is(
        &mut self,
        rollout: &OtaRollout,
        run: &Run,
        truth: &Truth,
        now: Timestamp,
    ) -> Result<(), String> {
        let Some(status) = &rollout.status else { return Ok(()) };
        let Some(evidence) = &status.stopped_by else { return Ok(()) };
        if self.fired.insert(run.clone(), evidence.at) == Some(evidence.at) {
            return Ok(());
        }
        self.methods.insert(evidence.method.clone());
        let rules = effective::stop_rules(rollout);
        let Some(rule) = rules.iter().find(|rule| rule.name == evidence.rule) else {
            return Ok(());
        };
        let timed_out = status.stages.iter().map(|stage| stage.counts.timed_out).sum();
        let seen = truth.numbers_since(run, earlier(now, OBSERVED_WITHIN));
        if seen.iter().any(|numbers| may_fire(rule, numbers, timed_out)) {
            return Ok(());
        }
        Err(format!("stop rule {} fires by \"{}\", and the truth was {seen:?}", rule.name, evidence.message))
    }
}

/// A job leaves, or the run is at rest: no rule of the spec has had reason to fire for long.
pub(super) fn has_not_fired(
    rollout: &OtaRollout,
    run: &Run,
    truth: &Truth,
    now: Timestamp,
) -> Result<(), String> {
    let since = earlier(now, SEEN_WITHIN);
    if truth.known_since(run).is_none_or(|known| known > since) {
        return Ok(());
    }
    let seen = truth.numbers_since(run, since);
    let rules = effective::stop_rules(rollout);
    let fires = rules.iter().find(|rule| seen.iter().all(|numbers| must_fire(rule, numbers)));
    match fires {
        Some(rule) => Err(format!("stop rule {} should have fired {SEEN_WITHIN:#} ago: {seen:?}", rule.name)),
        None => Ok(()),
    }
}

/// At rest: a rule that has reason to fire has fired, unless everything had passed, so that there is nothing to stop, or the run is
/// being left, so that its jobs are stopped anyway.
pub(super) fn has_fired_at_rest(
    rollout: &OtaRollout,
    run: &Run,
    truth: &Truth,
    now: Timestamp,
) -> Result<(), String> {
    let Some(status) = &rollout.status else { return Ok(()) };
    let is_over = status.stages.iter().all(|stage| stage.phase == StagePhase::Passed);
    let is_stopped = status.stopped_by.is_some() || status.phase == RolloutPhase::Aborted;
    let progressing = find_condition(&status.conditions, PROGRESSING);
    let is_left = progressing.is_some_and(|known| known.reason == "StoppingPreviousJobs");
    if is_over || is_stopped || is_left { Ok(()) } else { has_not_fired(rollout, run, truth, now) }
}

fn earlier(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_sub(by).unwrap_or(now)
}
