//! A stop rule has fired: the jobs are stopped, until the spec changes.

use crate::api::{OtaRolloutStatus, Reason, RolloutPhase, StagePhase, StageStatus, StopAction, Verdict};
use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::observed::Observed;
use crate::decide::rollout::report::{Outcome, total};
use crate::decide::rollout::{Context, follow_up, stop_rules};

/// A rule that fired holds until the spec changes. When every stage has passed, no job is live and no device gets another
/// one, there is nothing to stop.
pub(in crate::decide::rollout) fn watch(
    context: &Context<'_>,
    status: &mut OtaRolloutStatus,
    observed: &Observed<'_>,
) {
    let passed = |stage: &StageStatus| stage.phase == StagePhase::Passed;
    let over = status.stages.iter().all(passed)
        && observed.jobs.live().is_empty()
        && observed.unfinished.iter().all(|left| left.devices().is_empty())
        && !follow_up::is_due(context, &observed.population.eligible);
    if status.stopped_by.is_none() && !over {
        let counts = total(&status.stages);
        let rules = context.rollout.spec.stop.iter();
        let mut evidence = rules.map(|rule| stop_rules::judge(rule, &counts, context.now));
        status.stopped_by = evidence.find(|evidence| evidence.verdict == Verdict::Fail);
    }
}

pub(super) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let evidence = pass.status.stopped_by.clone()?;
    let rule = pass.context.rollout.spec.stop.iter().find(|rule| rule.name == evidence.rule);
    if rule.is_some_and(|rule| rule.action == StopAction::Abort) {
        let mut outcome = pass.hold_and_stop(Reason::Aborted, format!("aborted: {}", evidence.message));
        outcome.phase = RolloutPhase::Aborted;
        return Some(outcome);
    }
    Some(pass.hold_and_stop(Reason::StopRuleFired, format!("stopped: {}", evidence.message)))
}
