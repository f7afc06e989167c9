//! Finds the jobs that requests with unknown outcome have made, on a cloud whose jobs carry no idempotency key.

use super::uniqueness::recorded;
use crate::api::{Intent, Object, OtaPackageStatus};
use crate::engine::context::Reconcile;
use crate::engine::subject::Subject;
use crate::engine::trouble::Trouble;

impl Reconcile<'_> {
    /// Gives jobs without an idempotency key that of the request that made them. Two objects may have sent equal requests,
    /// so those of the whole account are read.
    pub(super) async fn recognise_jobs(&mut self, subject: &impl Subject) -> Result<(), Trouble> {
        if subject.intents().iter().all(|intent| intent.likeness.is_none()) {
            return Ok(());
        }
        let mut served = self.graph().served_by(&self.worker.cloud).await?;
        served.retain(|other| other.key() != subject.key());
        let foreign = served.iter().flat_map(|other| jobs_of(other)).collect();
        let others = served.iter().flat_map(|other| other.pending());
        let intents = newest_first(others.chain(subject.intents()));
        self.worker.inventory.jobs.recognise(&intents, &foreign);
        Ok(())
    }
}

/// Jobs that existed before a request count as known to it, so that a newer request knows more of them. Clocks may have
/// been set since: they decide only between requests that know equally many.
fn newest_first<'a>(intents: impl Iterator<Item = &'a Intent>) -> Vec<&'a Intent> {
    let mut intents: Vec<&Intent> = intents.collect();
    let known = |intent: &Intent| intent.likeness.as_ref().map_or(0, |likeness| likeness.before.len());
    intents.sort_by_key(|intent| (known(intent), intent.at));
    intents.reverse();
    intents
}

/// Ids of the jobs that the status of an object records.
fn jobs_of(object: &Object) -> Vec<String> {
    match object {
        Object::Cloud(_) => Vec::new(),
        Object::Package(package) => package.status.as_ref().map(jobs_of_package).unwrap_or_default(),
        Object::Rollout(rollout) => recorded(rollout).map(|job| job.id.clone()).collect(),
    }
}

fn jobs_of_package(status: &OtaPackageStatus) -> Vec<String> {
    let current = status.verification.iter().filter_map(|known| known.job_id.clone());
    current.chain(status.former_jobs.iter().map(|former| former.id.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CreateOperation, Likeness};
    use crate::cloud::{Delivery, Job, JobCounts, JobPurpose, JobState, NewJob, PackageKey, PackageKind};
    use crate::engine::inventory::Inventory;
    use crate::engine::{fingerprint, journal};
    use jiff::Timestamp;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Jobs for the same two devices, created in this order.
    fn jobs(ids: &[&str]) -> Vec<Job> {
        let job = |(second, id): (i64, &&str)| Job {
            id: (*id).to_owned(),
            token: None,
            title: String::new(),
            kind: PackageKind::Firmware,
            module: None,
            package_ids: vec![],
            devices: vec!["d1".into(), "d2".into()],
            delivery: Some(Delivery::default()),
            state: JobState::Running,
            counts: JobCounts::default(),
            created_at: Some(at(second)),
        };
        (1..).zip(ids).map(job).collect()
    }

    /// A request for a job like these, which knows of those that existed before.
    fn intent(token: &str, second: i64, before: &[&str]) -> Intent {
        let package = PackageKey {
            kind: PackageKind::Firmware,
            product: "a/b/c".into(),
            version: "V2".into(),
            module: None,
        };
        let new = NewJob {
            token: token.into(),
            title: String::new(),
            purpose: JobPurpose::Upgrade,
            package,
            package_id: "f".into(),
            devices: vec!["d1".into(), "d2".into()],
            from_versions: vec![],
            delivery: Delivery::default(),
        };
        let likeness: Likeness = fingerprint::of_new(&new, jobs(before).iter());
        let intent = journal::intent(token, CreateOperation::CreateJob, None, &"x", at(second));
        Intent { likeness: Some(likeness), ..intent }
    }

    /// Which request is taken for the one that made each job.
    fn recognised(ids: &[&str], intents: &[Intent], foreign: &[&str]) -> Vec<Option<String>> {
        let mut inventory = Inventory::default();
        for job in jobs(ids) {
            inventory.jobs.add(job, at(100));
        }
        let foreign = foreign.iter().map(ToString::to_string).collect();
        // Each object that is reconciled recognises jobs.
        for _ in 0..2 {
            inventory.jobs.recognise(&newest_first(intents.iter()), &foreign);
        }
        ids.iter().map(|id| inventory.jobs.get(id).unwrap().token.clone()).collect()
    }

    #[test]
    fn a_request_has_made_one_job_and_an_equal_request_of_another_object_the_other_one() {
        let (old, new) = (intent("old", 10, &[]), intent("new", 20, &[]));
        let token = |token: &str| Some(token.to_owned());
        let both = [old.clone(), new.clone()];
        for (name, ids, intents, foreign, expected) in [
            ("one job, one request", vec!["a"], &both[..1], vec![], vec![token("old")]),
            (
                "a second job is reported",
                vec!["b", "a"],
                &both[..1],
                vec![],
                vec![token("old"), token("old")],
            ),
            ("each has made one", vec!["a", "b"], &both, vec![], vec![token("new"), token("old")]),
            ("the older one is disproved", vec!["a"], &both, vec![], vec![token("new")]),
            ("another object has recorded it", vec!["a"], &both[..1], vec!["a"], vec![None]),
            ("it has recorded the first", vec!["a", "b"], &both[..1], vec!["a"], vec![None, token("old")]),
        ] {
            assert_eq!(recognised(&ids, intents, &foreign), expected, "{name}");
        }
        // A clock that was set back between two requests.
        let after = intent("new", 5, &["a"]);
        assert_eq!(recognised(&["a", "b"], &[after, old], &[]), [token("old"), token("new")]);
    }

    #[test]
    fn a_status_records_the_jobs_of_a_package_and_of_a_rollout() {
        let counts = json!({"assigned": 0, "queued": 0, "inFlight": 0, "succeeded": 0, "failed": 0, "timedOut": 0,
            "reverted": 0});
        let package: OtaPackageStatus = serde_json::from_value(json!({
            "verification": {"token": "t", "attempt": 0, "jobId": "now", "counts": counts},
            "formerJobs": [{"token": "u", "id": "former"}],
        }))
        .unwrap();
        assert_eq!(jobs_of_package(&package), ["now", "former"]);
        let job = json!({"token": "t", "id": "sent", "devices": 1, "state": "Running"});
        let rollout = json!({
            "metadata": {"name": "r"}, "spec": {"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []},
            "status": {"stages": [{"name": "s", "phase": "Running", "counts": counts, "jobs": [job]}]},
        });
        assert_eq!(jobs_of(&Object::Rollout(serde_json::from_value(rollout).unwrap())), ["sent"]);
    }
}
