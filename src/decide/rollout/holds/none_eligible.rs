//! None of the targeted devices reports a version that is upgraded from.

use crate::api::Reason;
use crate::decide::needs::has_begun;
use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::overlap;
use crate::decide::rollout::report::Outcome;

pub(super) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let message = format!(
        "none of {} targeted devices can be upgraded: {} report a version that spec.targets.fromVersions or the package's sourceVersions do not list{}; the rollout starts when a device reports a listed version",
        pass.observed.population.targeted,
        pass.status.excluded.by_version,
        overlap::owners_text(&pass.status.excluded),
    );
    none_may_begin(pass).then(|| Outcome::held(Reason::NoneEligible, message, pass.has_live_jobs()))
}

/// True when nothing was ever sent, no device is eligible, and none runs the version: that is no success of any stage.
fn none_may_begin(pass: &Pass<'_, '_>) -> bool {
    pass.observed.population.eligible.is_empty()
        && pass.status.excluded.already_current == 0
        && pass.observed.jobs.unsettled.is_empty()
        && !has_begun(pass.status)
}
