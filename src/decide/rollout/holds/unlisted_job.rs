//! A job that was created a moment ago is not listed yet.

use crate::api::{Reason, RolloutPhase};
use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::report::Outcome;

pub(super) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let message = pass.observed.hidden.clone()?;
    Some(Outcome::working(RolloutPhase::Progressing, Reason::Observing, message))
}
