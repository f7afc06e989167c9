//! Why a package has its present status.

use super::{command, devices, listed, pending};
use crate::api::{
    Decision, DriftPolicy, IN_SYNC, Kind, ObjectKey, OtaPackage, OtaPackageStatus, Percent, Verification,
    VerificationStatus, counted, find_condition, time_text, verb,
};

/// Decisions, what was observed, and what would change it.
pub(super) fn explain(package: &OtaPackage) -> (&[Decision], Vec<String>, Vec<String>) {
    let Some(status) = &package.status else { return (&[], Vec::new(), Vec::new()) };
    let mut next: Vec<String> = status.pending.iter().map(pending).collect();
    next.extend(verification_next(package, status));
    next.extend(drift_next(package, status));
    (&status.decisions, seen(package, status), next)
}

fn seen(package: &OtaPackage, status: &OtaPackageStatus) -> Vec<String> {
    let mut seen = Vec::new();
    match (&status.package_id, status.origin) {
        (Some(id), Some(origin)) => seen.push(format!("In the cloud as {id} ({origin:?}).")),
        (Some(id), None) => seen.push(format!("In the cloud as {id}.")),
        (None, _) => seen.push("Not in the cloud as of the last check.".to_owned()),
    }
    match (&package.spec.verification, &status.verification) {
        (None, _) => seen.push("The spec requests no verification.".to_owned()),
        (Some(asked), None) => seen.push(format!("{}; its job was not created yet.", asks(asked))),
        (Some(asked), Some(so_far)) => seen.push(format!("{}: {}.", asks(asked), answers(so_far))),
    }
    seen
}

fn asks(asked: &Verification) -> String {
    format!("Verification needs {} of {}", asked.min_success.text(), devices(count(asked.devices.len())))
}

fn answers(seen: &VerificationStatus) -> String {
    let counts = seen.counts;
    let rest =
        listed([(counts.failures(), "failed"), (counts.queued + counts.in_flight, "without an outcome yet")]);
    let comma = if rest.is_empty() { "" } else { ", " };
    format!("{} updated{comma}{rest}", counts.succeeded)
}

fn verification_next(package: &OtaPackage, status: &OtaPackageStatus) -> Option<String> {
    let (asked, seen) = (package.spec.verification.as_ref()?, status.verification.as_ref()?);
    let needed = needed(asked.min_success, count(asked.devices.len()));
    let (missing, open) =
        (needed.saturating_sub(seen.counts.succeeded), seen.counts.queued + seen.counts.in_flight);
    if missing == 0 {
        return None;
    }
    if missing > open {
        return Some(format!(
            "Verification can no longer pass: {} must run {}, and at most {} can. If another attempt may help, {} sends the package again to those that do not run it; otherwise fix it under a new version in a new OtaPackage, or change spec.verification.",
            devices(needed),
            package.spec.version,
            seen.counts.succeeded + open,
            command("retry", &ObjectKey::of(Kind::OtaPackage, &package.metadata))
        ));
    }
    let deadline = seen.dispatched_at.and_then(|at| at.checked_add(asked.timeout.as_signed()).ok());
    let until = deadline.map_or_else(String::new, |at| format!(" before {}", time_text(at)));
    let (more, report) = (counted(missing, "more device"), verb(missing, "reports", "report"));
    let version = &package.spec.version;
    Some(format!("It is verified once {more} of spec.verification {report} version {version}{until}."))
}

fn drift_next(package: &OtaPackage, status: &OtaPackageStatus) -> Option<String> {
    let differs = find_condition(&status.conditions, IN_SYNC).is_some_and(|c| c.status == "False");
    match package.spec.drift_policy {
        DriftPolicy::Report if differs => Some(
            "The cloud's copy differs from the spec and is left unchanged (spec.driftPolicy: Report). Make them equal, or set \
             spec.driftPolicy: Correct to have it replaced."
                .to_owned(),
        ),
        DriftPolicy::Correct if differs => Some(
            "The cloud's copy differs from the spec and is replaced (spec.driftPolicy: Correct) as soon as no running job uses it."
                .to_owned(),
        ),
        DriftPolicy::Report | DriftPolicy::Correct => None,
    }
}

/// The least number of devices that is `share` of them.
fn needed(share: Percent, of: u32) -> u32 {
    let exact = u64::from(of) * u64::from(share.parts_per_million());
    u32::try_from(exact.div_ceil(1_000_000)).unwrap_or(of)
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
