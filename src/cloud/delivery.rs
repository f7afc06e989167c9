//! `delivery` against the table of what each cloud does: one check for all clients, before their own limits.

use super::{CallError, CloudKind, ErrorClass, JobPurpose, NewJob};
use crate::api::{Kind, support};

/// # Errors
/// [`ErrorClass::Invalid`] with the manifest's field that this cloud cannot honour: nothing is dropped in silence, whichever
/// way a job came here.
pub(super) fn check(cloud: CloudKind, operation: &'static str, job: &NewJob) -> Result<(), CallError> {
    let (kind, path) = match job.purpose {
        JobPurpose::Verify => (Kind::OtaPackage, "spec.verification.delivery"),
        JobPurpose::Upgrade => (Kind::OtaRollout, "spec.delivery"),
    };
    let refusals = support::refusals_at(cloud, kind, path, &job.delivery);
    refusals.into_iter().next().map_or(Ok(()), |refusal| {
        let message = format!("{}: {}", refusal.path, refusal.message);
        Err(CallError::new(ErrorClass::Invalid, operation, message).next_step(format!("correct the {kind}")))
    })
}
