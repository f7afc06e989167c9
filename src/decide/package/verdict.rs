//! What the counted devices of a verification come to.

use super::report::{Outcome, Standing};
use crate::api::{Reason, StageCounts, Truth, Verification, counted, percent_text, verb};

/// Passed as soon as enough devices run the version; failed as soon as that cannot happen any more. Devices that another job took on
/// before they were seen have not failed, and prove nothing.
pub(super) fn verdict(asked: &Verification, counts: &StageCounts, was_sent: bool) -> Option<Outcome> {
    let min = asked.min_success;
    if min.is_reached(counts.succeeded, counts.assigned) {
        return Some(passed(counts, was_sent));
    }
    let possible = counts.assigned.saturating_sub(counts.failures());
    if min.is_reached(possible.saturating_sub(counts.unseen), counts.assigned) {
        return None;
    }
    let (summary, needed) = (summary(counts), min.text());
    if min.is_reached(possible, counts.assigned) {
        let (taken, were) = (counted(counts.unseen, "device"), verb(counts.unseen, "was", "were"));
        let message = format!(
            "{summary}; {taken} {were} sent another version before this one was seen, and {needed} must run it; `rollwave retry` verifies the package again"
        );
        return Some(Outcome::stuck(Reason::VerificationUnseen, message).verified(Truth::Unknown));
    }
    let message =
        format!("verification failed: {summary}; needs {needed}, so no rollout of this package will start");
    Some(Outcome::stuck(Reason::VerificationFailed, message).verified(Truth::False))
}

pub(super) fn passed(counts: &StageCounts, was_sent: bool) -> Outcome {
    let mut message = summary(counts);
    if !was_sent {
        message +=
            "; they ran it before anything was sent, so the files of this package itself are not tested";
    }
    done(message)
}

pub(super) fn done(message: impl Into<String>) -> Outcome {
    Outcome::new(Standing::Done, Reason::Verified, message).verified(Truth::True)
}

pub(super) fn summary(counts: &StageCounts) -> String {
    format!(
        "{} of {} devices run it ({}), {} failed, {} timed out, {} reverted",
        counts.succeeded,
        counts.assigned,
        percent_text(counts.succeeded, counts.assigned),
        counts.failed,
        counts.timed_out,
        counts.reverted
    )
}

#[cfg(test)]
mod tests {
    use super::super::verify::verify;
    use crate::api::{OtaPackage, OtaPackageStatus, Reason};
    use crate::cloud::{CloudKind, Device, Job, JobCounts, JobState, PackageKind, defaults::capabilities_of};
    use crate::decide::testing::package;
    use crate::decide::{PackageView, Seen};
    use jiff::{SignedDuration, Timestamp};
    use std::collections::BTreeMap;

    fn verifying(devices: &[&str]) -> OtaPackage {
        let mut object = package();
        let asked = serde_json::json!({"devices": devices, "timeout": "1h", "minSuccess": "100%"});
        object.spec.verification = Some(serde_json::from_value(asked).unwrap());
        object
    }

    fn job(id: &str, token: &str, package: &str, devices: &[&str], created: i64) -> Job {
        let total = u32::try_from(devices.len()).unwrap();
        Job {
            id: id.into(),
            token: Some(token.into()),
            title: String::new(),
            kind: PackageKind::Firmware,
            module: None,
            package_ids: vec![package.into()],
            devices: devices.iter().map(ToString::to_string).collect(),
            delivery: None,
            state: JobState::Succeeded,
            counts: JobCounts { total, succeeded: total, ..JobCounts::default() },
            created_at: Timestamp::from_second(created).ok(),
        }
    }

    /// Two verifications name the same devices, and nothing was observed in between.
    #[test]
    fn devices_that_another_job_took_on_unseen_have_not_failed_and_prove_nothing() {
        let capabilities = capabilities_of(CloudKind::HuaweiIotda, SignedDuration::from_secs(60));
        let now = Timestamp::from_second(1_000).unwrap();
        let names = ["dev-1", "dev-2"];
        let object = verifying(&names);
        for (versions, state, expected) in [
            (["V3", "V3"], JobState::Succeeded, (Reason::VerificationUnseen, 0, 2)),
            (["V2", "V3"], JobState::Succeeded, (Reason::VerificationUnseen, 0, 1)),
            (["V2", "V3"], JobState::Running, (Reason::VerificationUnseen, 0, 1)),
            (["V2", "V2"], JobState::Succeeded, (Reason::Verified, 0, 0)),
        ] {
            let taken: Vec<&str> = names
                .iter()
                .zip(versions)
                .filter(|(_, version)| *version == "V3")
                .map(|(id, _)| *id)
                .collect();
            let mut status = OtaPackageStatus::default();
            let devices: BTreeMap<String, Device> = names
                .iter()
                .zip(versions)
                .map(|(id, version)| {
                    let (product, firmware) = ("meter".into(), Some(version.into()));
                    let id = (*id).to_owned();
                    let device = Device {
                        id: id.clone(),
                        product,
                        firmware,
                        software: None,
                        online: None,
                        upgrading: None,
                    };
                    (id, device)
                })
                .collect();
            let view = |jobs| PackageView {
                object: &object,
                capabilities: &capabilities,
                packages: None,
                jobs: Some(Seen { at: now, value: jobs }),
                devices: Some(Seen { at: now, value: devices.clone() }),
                results: BTreeMap::new(),
                unasked_jobs: 0,
                now,
            };
            verify(&view(Vec::new()), &mut status, "pkg-2");
            let token = status.verification.as_ref().unwrap().token.clone();
            let ours = Job { state, ..job("job-2", &token, "pkg-2", &names, 100) };
            let theirs = job("job-3", "t-3", "pkg-3", &taken, 200);
            let outcome = verify(&view(vec![&ours, &theirs]), &mut status, "pkg-2");
            let counts = status.verification.unwrap().counts;
            assert_eq!(
                (outcome.reason, counts.failures(), counts.unseen),
                expected,
                "{versions:?}: {}",
                outcome.message
            );
        }
    }
}
