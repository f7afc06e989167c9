//! Jobs of verifications that an edit replaced. Where jobs carry no token, or are listed by a package that was deleted since, nothing
//! in the cloud tells that one of them is ours; an edit that is undone would have the same devices verified twice.

use super::verify::{find_job, token};
use crate::api::{CreateOperation, FormerJob, OtaPackageStatus, Verification, VerificationStatus};
use crate::cloud::{Job, JobIdentity};
use crate::decide::PackageView;

/// So many are remembered, the newest ones.
const MOST: usize = 8;

/// Remembers the job of the verification that the status holds, before another one takes its place.
pub(super) fn remember(view: &PackageView<'_>, status: &mut OtaPackageStatus) {
    let known =
        status.verification.as_ref().and_then(|known| Some((known.token.clone(), known.job_id.clone()?)));
    if let Some((token, id)) = known {
        keep(view, status, token, id);
    }
}

/// Removes calls of earlier verifications that are settled, and remembers their jobs. What was lost of another attempt, or of
/// another package, stands in the way of nothing; and where jobs carry no token, the next one for the same devices would look like
/// the work of a call whose job has ended.
pub(super) fn settle(view: &PackageView<'_>, status: &mut OtaPackageStatus, jobs: &[&Job], token: &str) {
    let calls = std::mem::take(&mut status.pending);
    for call in calls {
        let made = find_job(jobs, &call.token, None).filter(|job| job.state.is_final());
        let made = made.filter(|_| call.operation == CreateOperation::CreateJob);
        match made {
            _ if call.token == token => status.pending.push(call),
            Some(job) => keep(view, status, call.token, job.id.clone()),
            None if call.is_open() => status.pending.push(call),
            None => {}
        }
    }
}

fn keep(view: &PackageView<'_>, status: &mut OtaPackageStatus, token: String, id: String) {
    let limits = view.capabilities;
    if limits.job_identity == JobIdentity::Token && !limits.lists_jobs_by_package {
        return;
    }
    status.former_jobs.retain(|former| former.token != token);
    status.former_jobs.push(FormerJob { token, id });
    let excess = status.former_jobs.len().saturating_sub(MOST);
    status.former_jobs.drain(..excess);
}

/// The last attempt at this verification whose job is remembered.
fn last_attempt(
    view: &PackageView<'_>,
    status: &OtaPackageStatus,
    verification: &Verification,
) -> Option<(u32, String)> {
    let of = |attempt| {
        let token = token(view, verification, attempt);
        let former = status.former_jobs.iter().find(|former| former.token == token)?;
        Some((attempt, former.id.clone()))
    };
    (0..).map_while(of).last()
}

/// The attempt goes on with the job that it had before an edit took its place.
pub(super) fn take_up(
    view: &PackageView<'_>,
    status: &OtaPackageStatus,
    verification: &Verification,
    next: VerificationStatus,
) -> VerificationStatus {
    match last_attempt(view, status, verification).filter(|(attempt, _)| *attempt >= next.attempt) {
        Some((attempt, id)) => {
            let token = token(view, verification, attempt);
            VerificationStatus { attempt, token, job_id: Some(id), ..next }
        }
        None => next,
    }
}

#[cfg(test)]
mod tests {
    use super::super::verify::verify;
    use super::*;
    use crate::api::OtaPackage;
    use crate::cloud::{CloudKind, Device, JobCounts, JobState, PackageKind, defaults::capabilities_of};
    use crate::decide::testing::package;
    use crate::decide::{Action, Seen};
    use jiff::{SignedDuration, Timestamp};
    use std::collections::BTreeMap;

    fn device(id: &str) -> (String, Device) {
        let (product, firmware) = ("meter".into(), Some("V1".into()));
        let device =
            Device { id: id.into(), product, firmware, software: None, online: None, upgrading: None };
        (id.to_owned(), device)
    }

    fn ended(id: &str, device: &str) -> Job {
        Job {
            id: id.into(),
            token: None,
            title: String::new(),
            kind: PackageKind::Firmware,
            module: None,
            package_ids: vec!["pkg-1".into()],
            devices: vec![device.into()],
            delivery: None,
            state: JobState::Failed,
            counts: JobCounts { total: 1, failed: 1, ..JobCounts::default() },
            created_at: None,
        }
    }

    fn verifying(device: &str) -> OtaPackage {
        let mut object = package();
        let asked = serde_json::json!({"devices": [device], "timeout": "1h"});
        object.spec.verification = Some(serde_json::from_value(asked).unwrap());
        object
    }

    /// The jobs that are created for the verification, and the job that it has in its status.
    fn decide(
        cloud: CloudKind,
        device_id: &str,
        jobs: &[Job],
        status: &mut OtaPackageStatus,
    ) -> (usize, Option<String>) {
        let now: Timestamp = "2026-11-02T12:00:00Z".parse().unwrap();
        let capabilities = capabilities_of(cloud, SignedDuration::from_secs(60));
        let object = verifying(device_id);
        let devices = BTreeMap::from(["dev-1", "dev-2"].map(device));
        let view = PackageView {
            object: &object,
            capabilities: &capabilities,
            packages: None,
            jobs: Some(Seen { at: now, value: jobs.iter().collect() }),
            devices: Some(Seen { at: now, value: devices }),
            results: BTreeMap::new(),
            unasked_jobs: 0,
            now,
        };
        let outcome = verify(&view, status, "pkg-1");
        let created =
            outcome.actions.iter().filter(|action| matches!(action, Action::CreateJob { .. })).count();
        (created, status.verification.as_ref().and_then(|known| known.job_id.clone()))
    }

    #[test]
    fn an_edit_that_is_undone_finds_its_job_again_where_no_list_tells_of_it() {
        for (cloud, sent_again) in
            [(CloudKind::OceanConnect, false), (CloudKind::AliyunIot, false), (CloudKind::HuaweiIotda, true)]
        {
            let (first, second) = (ended("job-1", "dev-1"), ended("job-2", "dev-2"));
            let mut status = OtaPackageStatus::default();
            assert_eq!(decide(cloud, "dev-1", &[], &mut status), (1, None));
            status.verification.as_mut().unwrap().job_id = Some("job-1".to_owned());
            assert_eq!(decide(cloud, "dev-2", std::slice::from_ref(&first), &mut status), (1, None));
            status.verification.as_mut().unwrap().job_id = Some("job-2".to_owned());
            let (created, job) = decide(cloud, "dev-1", &[first, second], &mut status);
            assert_eq!((created == 1, job.as_deref() == Some("job-1")), (sent_again, !sent_again), "{cloud}");
        }
    }

    #[test]
    fn the_newest_jobs_are_remembered() {
        let mut status = OtaPackageStatus::default();
        let capabilities = capabilities_of(CloudKind::OceanConnect, SignedDuration::from_secs(60));
        let object = verifying("dev-1");
        let now = Timestamp::UNIX_EPOCH;
        let view = PackageView {
            object: &object,
            capabilities: &capabilities,
            packages: None,
            jobs: None,
            devices: None,
            results: BTreeMap::new(),
            unasked_jobs: 0,
            now,
        };
        for number in 0..=MOST {
            keep(&view, &mut status, format!("t-{number}"), format!("j-{number}"));
        }
        assert_eq!((status.former_jobs.len(), &*status.former_jobs[0].token), (MOST, "t-1"));
    }
}
