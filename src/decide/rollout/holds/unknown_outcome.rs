//! The observation does not show what happened to a job or to a request.

use crate::api::{Reason, RolloutPhase};
use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::report::Outcome;

pub(super) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let doubt = pass.observed.doubt.clone()?;
    // A completed rollout stays completed when its jobs are deleted: its last counts are kept.
    let is_over =
        doubt.reason == Reason::JobVanished && pass.status.phase == RolloutPhase::Completed && !pass.edited;
    (!is_over).then(|| Outcome::held(doubt.reason, doubt.message, true))
}
