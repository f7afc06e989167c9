//! Devices without an owner, with an owner that is not known yet, or that all belong to other rollouts.

use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::report::Outcome;

pub(super) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    pass.overlap()
}
