//! Changes of a status once a create is confirmed: the settled half of the journal, in one place for all callers.

use crate::api::{
    JobRef, Origin, OtaPackageStatus, OtaRolloutStatus, StagePhase, StageStatus, VerificationStatus,
};
use crate::cloud::NewJob;
use jiff::Timestamp;

/// The package was created: its id is known, its intent settled.
pub fn package_created(status: &mut OtaPackageStatus, token: &str, id: &str, at: Timestamp) {
    status.pending.retain(|intent| intent.token != token);
    status.refused = None;
    status.package_id = Some(id.to_owned());
    status.origin = Some(Origin::Created);
    status.known_since = Some(at);
}

/// The verify job was created: its id is known, its intent settled.
pub fn verify_job_created(status: &mut OtaPackageStatus, token: &str, id: &str, at: Timestamp) {
    status.pending.retain(|intent| intent.token != token);
    status.refused = None;
    let before = status.verification.take().filter(|v| v.token == token);
    let (attempt, dispatched_at, counts) =
        before.map(|v| (v.attempt, v.dispatched_at, v.counts)).unwrap_or_default();
    status.verification = Some(VerificationStatus {
        token: token.to_owned(),
        attempt,
        job_id: Some(id.to_owned()),
        dispatched_at: dispatched_at.or(Some(at)),
        dispatched_uptime: None,
        finished_at: None,
        counts,
    });
}

/// The job of a stage was created: it is listed under its stage, its intent settled. The next plan reads the rest from
/// the cloud's list.
pub fn job_created(status: &mut OtaRolloutStatus, stage: &str, job: &NewJob, id: &str, at: Timestamp) {
    status.pending.retain(|intent| intent.token != job.token);
    status.refused = None;
    let stage = stage_mut(status, stage);
    let created = JobRef {
        token: job.token.clone(),
        id: id.to_owned(),
        devices: u32::try_from(job.devices.len()).unwrap_or(u32::MAX),
        state: String::new(),
        created_at: Some(at),
        created_uptime: None,
        finished_at: None,
        stopped_uptime: None,
        successes_read: 0,
        successes: 0,
        successes_at: None,
        stop_ordered: false,
        retry_ordered: false,
        follow_up: stage.phase == StagePhase::Passed,
    };
    let jobs = &mut stage.jobs;
    if jobs.iter().all(|known| known.token != job.token) {
        jobs.push(created);
    }
    super::strata::sent(stage, &job.token, &job.devices);
}

fn stage_mut<'a>(status: &'a mut OtaRolloutStatus, name: &str) -> &'a mut StageStatus {
    let index = status.stages.iter().position(|stage| stage.name == name).unwrap_or_else(|| {
        status.stages.push(super::rollout::waiting_stage(name));
        status.stages.len() - 1
    });
    &mut status.stages[index]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CreateOperation, Intent, IntentState, PackageType};

    fn intent(token: &str, operation: CreateOperation) -> Intent {
        let (at, digest) = (Timestamp::UNIX_EPOCH, "d".to_owned());
        let state = IntentState::Intended;
        Intent {
            token: token.into(),
            operation,
            stage: None,
            digest,
            at,
            state,
            cloud_at: None,
            uptime: None,
            likeness: None,
            package_id: None,
        }
    }

    #[test]
    fn a_confirmed_call_settles_its_own_intent_only() {
        let mut status = OtaPackageStatus {
            pending: vec![
                intent("a", CreateOperation::CreatePackage),
                intent("b", CreateOperation::CreateJob),
            ],
            ..OtaPackageStatus::default()
        };
        package_created(&mut status, "a", "p-1", Timestamp::UNIX_EPOCH);
        assert_eq!((status.package_id.as_deref(), status.origin), (Some("p-1"), Some(Origin::Created)));
        assert_eq!(status.pending.iter().map(|i| i.token.as_str()).collect::<Vec<_>>(), ["b"]);
        verify_job_created(&mut status, "b", "j-1", Timestamp::UNIX_EPOCH);
        assert!(status.pending.is_empty());
        assert_eq!(status.verification.unwrap().job_id.as_deref(), Some("j-1"));
    }

    #[test]
    fn a_job_is_listed_once_however_often_it_is_confirmed() {
        let mut status = OtaRolloutStatus::default();
        let job = NewJob {
            token: "t".into(),
            title: "meter/canary".into(),
            purpose: crate::cloud::JobPurpose::Upgrade,
            package: crate::cloud::PackageKey {
                kind: PackageType::Firmware,
                product: "meter".into(),
                version: "V2".into(),
                module: None,
            },
            from_versions: vec![],
            delivery: crate::api::Delivery::default(),
            package_id: "p".into(),
            devices: vec!["a".into(), "b".into()],
        };
        for _ in 0..2 {
            job_created(&mut status, "canary", &job, "j-1", Timestamp::UNIX_EPOCH);
        }
        assert_eq!(status.stages.len(), 1);
        assert_eq!(status.stages[0].jobs.len(), 1);
        assert_eq!(status.stages[0].jobs[0].devices, 2);
    }
}
