//! The package that the spec names does not exist or is invalid, while jobs of the former one may run.

use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::report::Outcome;

pub(super) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let outcome = pass.context.without_package.clone()?;
    Some(if pass.has_live_jobs() { outcome.watched() } else { outcome })
}
