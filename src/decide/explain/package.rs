//! Why a package stands as it does.

use super::{command, devices, listed, pending};
use crate::api::{
    Decision, DriftPolicy, IN_SYNC, Kind, ObjectKey, OtaPackage, OtaPackageStatus, Percent, Verification,
    VerificationStatus, counted, find_condition, time_text,
};
use crate::decide::gate::spaced;

/// Decisions, what was seen, and what would change it.
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
        (None, _) => seen.push("Not in the cloud, as far as it was looked at.".to_owned()),
    }
    match (&package.spec.verification, &status.verification) {
        (None, _) => seen.push("The spec asks for no verification.".to_owned()),
        (Some(asked), None) => seen.push(format!("{}; its job was not created yet.", asks(asked))),
        (Some(asked), Some(so_far)) => seen.push(format!("{}: {}.", asks(asked), answers(so_far))),
    }
    seen
}

fn asks(asked: &Verification) -> String {
    format!("Verification asks {} of {}", spaced(asked.min_success), devices(count(asked.devices.len())))
}

fn answers(seen: &VerificationStatus) -> String {
    let counts = seen.counts;
    let rest =
        listed([(counts.failures(), "failed"), (counts.queued + counts.in_flight, "without an answer yet")]);
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
            "Verification cannot pass any more: {} must run {}, and at most {} can. If another attempt may help, {} sends to those \
             that do not run it; else mend the package under a new version in a new OtaPackage, or change spec.verification.",
            devices(needed),
            package.spec.version,
            seen.counts.succeeded + open,
            command("retry", &ObjectKey::of(Kind::OtaPackage, &package.metadata))
        ));
    }
    let deadline = seen.dispatched_at.and_then(|at| at.checked_add(asked.timeout.as_signed()).ok());
    let until = deadline.map_or_else(String::new, |at| format!(" before {}", time_text(at)));
    let (more, version) = (counted(missing, "more device"), &package.spec.version);
    Some(format!(
        "It is verified once {more} out of those named in the spec report version {version}{until}."
    ))
}

fn drift_next(package: &OtaPackage, status: &OtaPackageStatus) -> Option<String> {
    let differs = find_condition(&status.conditions, IN_SYNC).is_some_and(|c| c.status == "False");
    match package.spec.drift_policy {
        DriftPolicy::Report if differs => Some(
            "The cloud's copy differs from the spec and is left alone (spec.driftPolicy: Report). Make them equal, or set \
             spec.driftPolicy: Correct to have it replaced."
                .to_owned(),
        ),
        DriftPolicy::Correct if differs => Some(
            "The cloud's copy differs from the spec and is replaced (spec.driftPolicy: Correct) as soon as no running job \
             points at it."
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
