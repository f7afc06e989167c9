//! A gate failed: devices that have not begun must not get a bad build.

use crate::api::Reason;
use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::report::Outcome;

pub(super) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let message = pass.failed_gate.clone()?;
    Some(pass.hold_and_stop(Reason::GateFailed, message))
}
