//! A stop rule has fired: the jobs are stopped, until the spec changes.

use crate::api::{
    OtaRolloutStatus, Reason, RolloutPhase, StagePhase, StageStatus, StopAction, StopRule, Verdict, counted,
};
use crate::decide::defaults;
use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::observed::Observed;
use crate::decide::rollout::report::{Outcome, total};
use crate::decide::rollout::stop_rules::Watched;
use crate::decide::rollout::{Context, control, follow_up, stop_rules};

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
        let rules = defaults::stop_rules(&context.rollout.spec);
        let watched = Watched { counts: &counts, comparison: control::last_comparison(status) };
        let mut evidence = rules.iter().map(|rule| stop_rules::judge(rule, &watched, context.now));
        status.stopped_by = evidence.find(|evidence| evidence.verdict == Verdict::Fail);
        if status.stopped_by.is_some() {
            context.groups(observed).note_outage(status);
        }
    }
}

pub(in crate::decide::rollout) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let evidence = pass.status.stopped_by.clone()?;
    let rules = defaults::stop_rules(&pass.context.rollout.spec);
    if rules
        .iter()
        .find(|rule| rule.name == evidence.rule)
        .is_some_and(|rule| rule.action == StopAction::Abort)
        && control::outage_noted(pass.status).is_none()
    {
        let mut outcome = pass.hold_and_stop(Reason::Aborted, format!("aborted: {}", evidence.message));
        outcome.phase = RolloutPhase::Aborted;
        return Some(outcome);
    }
    Some(pass.hold_and_stop(Reason::StopRuleFired, format!("stopped: {}", evidence.message)))
}

impl Pass<'_, '_> {
    /// Why nothing is sent: a stop rule fires if devices have failed that do not report the version yet, although their
    /// jobs report success. That is known once the versions are read a little later.
    pub(in crate::decide::rollout) fn may_have_to_stop(&self) -> Option<String> {
        let counts = total(&self.status.stages);
        let rules = defaults::stop_rules(&self.context.rollout.spec);
        let feared = counts.unconfirmed_as_reverted();
        let watched = Watched { counts: &feared, comparison: None };
        let fires =
            |rule: &&StopRule| stop_rules::judge(rule, &watched, self.context.now).verdict == Verdict::Fail;
        let rule = rules.iter().filter(|_| counts.unconfirmed > 0).find(fires)?;
        Some(format!(
            "waits for the versions of {} whose jobs report success: if they have failed, stop rule {} fires",
            counted(counts.unconfirmed, "device"),
            rule.name
        ))
    }
}
