//! None of the targeted devices is registered in the cloud.

use crate::api::Reason;
use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::population::unmatched_text;
use crate::decide::rollout::report::Outcome;

pub(super) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let unknown = pass.status.excluded.unknown;
    let empty = unmatched_text(pass.context);
    let message = format!(
        "no device of spec.targets is registered in the cloud ({unknown} not found): nothing to do{empty}"
    );
    let is_empty = pass.observed.population.targeted == 0;
    is_empty.then(|| Outcome::held(Reason::NoDevices, message, pass.has_live_jobs()))
}
