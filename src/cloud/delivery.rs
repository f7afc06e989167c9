//! Checks `delivery` against the table of what each cloud supports: one check for all clients, before their own limits.

use super::{CallError, CloudKind, ErrorClass, JobPurpose, NewJob};
use crate::api::{Kind, support};

/// # Errors
/// [`ErrorClass::Invalid`] with the manifest's field that this cloud cannot honor: nothing is ignored silently, whatever the
/// origin of a job.
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
