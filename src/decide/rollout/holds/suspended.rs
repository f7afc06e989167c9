//! A user has suspended or paused the rollout: its jobs are stopped, and their devices get new ones when it continues.

use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::report::Outcome;
use crate::decide::rollout::requests;

pub(super) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let (reason, words) = requests::stands_still(pass.context.rollout, pass.status)?;
    Some(pass.hold_and_stop(reason, format!("{words}: {}", pass.tally())).still())
}
