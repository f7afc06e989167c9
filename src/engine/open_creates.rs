//! Requests of other objects of the account whose results the cloud may not list yet.
//!
//! Two objects may want the same package: while the create of one may still take effect, the other one does not send
//! its own.
//!
//! A device takes one job at a time, and decisions use the list of jobs to know which devices are busy. A job whose
//! create has an unknown outcome, or which is not listed yet, is missing there: no other job is sent until it is found
//! or disproved.

use super::context::Reconcile;
use super::inventory::Inventory;
use super::journal::{self, Times};
use super::stages::Acted;
use super::subject::Subject;
use super::trouble::Trouble;
use crate::api::{CreateOperation, Intent, JobRef, Object, ObjectKey, Reason, Uptime, VerificationStatus};
use crate::cloud::Capabilities;
use crate::decide::Requeue;
use crate::decide::needs::package_key;
use jiff::Timestamp;

impl Reconcile<'_> {
    /// Why a create has to wait for requests of other objects: a job waits for all jobs, a package for the same
    /// package. None when the results of all of them are observed. A create that was sent before waits too, since
    /// others may have sent theirs meanwhile. The wait ends: after its time, any list disproves a request.
    pub(super) async fn wait_for_others<S: Subject>(
        &mut self,
        subject: &mut S,
        operation: CreateOperation,
        limits: &Capabilities,
    ) -> Result<Option<Acted>, Trouble> {
        let object = subject.object();
        let (reason, unseen) = match operation {
            CreateOperation::CreateJob => {
                let is_other = |other: &Object| other.key() != object.key();
                (Reason::DispatchBlocked, self.with_unseen_job(limits, is_other).await?)
            }
            CreateOperation::CreatePackage => {
                (Reason::CreateBlocked, self.with_unseen_package(&object, limits).await?)
            }
        };
        Ok(unseen.map(|other| wait_for(subject, reason, &other, self.now())))
    }

    /// The first other object of the account that may have created the same package without any list showing it.
    async fn with_unseen_package(
        &self,
        object: &Object,
        limits: &Capabilities,
    ) -> Result<Option<ObjectKey>, Trouble> {
        let (times, Some(key)) = (self.times(), object.as_package().map(package_key)) else {
            return Ok(None);
        };
        let looked_at = self.worker.inventory.packages.seen_at(&key);
        let may_take_effect = |intent: &Intent| {
            intent.operation == CreateOperation::CreatePackage
                && intent.is_open()
                && !looked_at.is_some_and(|at| journal::has_lapsed(intent, at, &times, limits))
        };
        let is_one = |other: &Object| {
            other.key() != object.key()
                && other.as_package().is_some_and(|package| package_key(package) == key)
                && other.pending().iter().any(may_take_effect)
        };
        self.first_of_account(is_one).await
    }

    /// Why the deletion of a package has to wait for the jobs of its rollouts; none when all of them are observed. Some
    /// clouds list jobs by package: once its package is deleted, a job whose create has an unknown outcome could never
    /// be found, and would be sent again.
    pub(super) async fn wait_for_rollouts<S: Subject>(
        &mut self,
        subject: &mut S,
        limits: &Capabilities,
    ) -> Result<Option<Acted>, Trouble> {
        let key = subject.object().key();
        let names_it = |other: &Object| {
            let Object::Rollout(rollout) = other else { return false };
            other.key().sibling(key.kind, &rollout.spec.package_ref.name) == key
        };
        let unseen = self.with_unseen_job(limits, names_it).await?;
        Ok(unseen.map(|other| wait_for(subject, Reason::DeletionBlocked, &other, self.now())))
    }

    /// The first of these objects that may have a job which no observation has shown.
    async fn with_unseen_job(
        &self,
        limits: &Capabilities,
        is_one: impl Fn(&Object) -> bool + Send + Sync,
    ) -> Result<Option<ObjectKey>, Trouble> {
        let times = self.times();
        let is_unseen =
            |other: &Object| is_one(other) && has_unseen_job(other, &self.worker.inventory, limits, &times);
        self.first_of_account(is_unseen).await
    }

    async fn first_of_account(
        &self,
        is_one: impl Fn(&Object) -> bool + Send + Sync,
    ) -> Result<Option<ObjectKey>, Trouble> {
        let served = self.graph().served_by(&self.worker.cloud).await?;
        Ok(served.iter().find(|object| is_one(object)).map(|object| object.key()))
    }
}

fn wait_for<S: Subject>(subject: &mut S, reason: Reason, other: &ObjectKey, now: Timestamp) -> Acted {
    subject.say(reason, &format!("waits until the cloud lists what {other} has sent"), now);
    Acted::Settled(Requeue::After(journal::LOOK_AGAIN))
}

/// A job that a status records.
struct Made<'a> {
    id: &'a str,
    at: Option<Timestamp>,
    uptime: Option<&'a Uptime>,
    ended: Option<Timestamp>,
}

impl<'a> Made<'a> {
    fn of_job(job: &'a JobRef) -> Self {
        Self { id: &job.id, at: job.created_at, uptime: job.created_uptime.as_ref(), ended: job.finished_at }
    }

    fn of_trial(trial: &'a VerificationStatus) -> Option<Self> {
        let (at, uptime) = (trial.dispatched_at, trial.dispatched_uptime.as_ref());
        Some(Self { id: trial.job_id.as_deref()?, at, uptime, ended: trial.finished_at })
    }
}

/// True while the object may have a job which no observation has shown.
fn has_unseen_job(object: &Object, inventory: &Inventory, limits: &Capabilities, times: &Times) -> bool {
    // A job that was observed to end is not hidden: it may have been cleaned up since, and a short-lived process would
    // never see it.
    let is_hidden = |made: &Made<'_>| {
        let created = made.at.filter(|_| made.ended.is_none());
        // By the cloud's clock, which may be ahead of ours: then the wait is longer, never too short. Processes of one
        // boot add up their waits.
        let counted =
            created.map(|at| times.clocks.time_of(made.uptime).unwrap_or_else(|| at.max(times.born)));
        let visible = counted.and_then(|at| at.saturating_add(limits.visibility_lag).ok());
        // A list that was begun before may lack it, however long ago that was.
        let may_be_missed =
            |visible: Timestamp| inventory.jobs.oldest_list().is_none_or(|began| began < visible);
        visible.is_some_and(may_be_missed) && inventory.jobs.get(made.id).is_none()
    };
    // An object whose own requests always fail cannot settle them; lists that others read prove the same. Where lists are
    // by package, and it was deleted meanwhile, its object would give the request up as lost: that holds no other object.
    let is_disproved = |intent: &Intent| {
        let looked_at = inventory.jobs.oldest_list();
        looked_at.is_some_and(|at| journal::has_lapsed(intent, at, times, limits))
    };
    let is_job = |intent: &Intent| {
        intent.operation == CreateOperation::CreateJob && intent.is_open() && !is_disproved(intent)
    };
    object.pending().iter().any(is_job)
        || match object {
            Object::Cloud(_) => false,
            Object::Package(package) => package.status.as_ref().is_some_and(|status| {
                let trial = status.verification.as_ref();
                trial.and_then(Made::of_trial).is_some_and(|made| is_hidden(&made))
            }),
            Object::Rollout(rollout) => rollout.status.as_ref().is_some_and(|status| {
                let mut jobs = status.stages.iter().flat_map(|stage| &stage.jobs);
                jobs.any(|job| is_hidden(&Made::of_job(job)))
            }),
        }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, WORLD, cloud, package};
    use super::*;
    use crate::api::Kind;
    use crate::cloud::{CloudKind, PackageKind, defaults::capabilities_of};
    use crate::decide::clocks::{Boot, Clocks};
    use jiff::SignedDuration;

    fn with_job(job: &serde_json::Value) -> Object {
        let spec = serde_json::json!({"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []});
        let stage = serde_json::json!({"name": "canary", "phase": "Passed", "jobs": [job]});
        let rollout = serde_json::json!({"metadata": {}, "spec": spec, "status": {"stages": [stage]}});
        Object::Rollout(serde_json::from_value(rollout).unwrap())
    }

    /// A new process whose first list lacks the job.
    #[test]
    fn a_job_that_has_ended_and_was_cleaned_up_keeps_no_short_process_from_sending() {
        let now: Timestamp = "2026-11-02T12:00:00Z".parse().unwrap();
        let times = Times { born: now, turn_began: now, now, clocks: Clocks::STEADY };
        let limits = capabilities_of(CloudKind::OceanConnect, SignedDuration::from_secs(60));
        let mut job = serde_json::json!({"token": "t", "id": "1", "devices": 5, "state": "Running",
            "createdAt": "2026-11-01T12:00:00Z"});
        assert!(has_unseen_job(&with_job(&job), &Inventory::default(), &limits, &times));
        let boot = Boot { id: 7, at: now - SignedDuration::from_hours(1) };
        let booted = Times { clocks: Clocks { boot: Some(boot), ..Clocks::STEADY }, ..times };
        let mut listed = Inventory::default();
        listed.jobs.note_listed(PackageKind::Firmware, now);
        for (minute, is_unseen) in [(1, false), (59, false), (60, true)] {
            job["createdUptime"] = serde_json::json!({"boot": "0000000000000007", "millis": minute * 60_000});
            assert_eq!(has_unseen_job(&with_job(&job), &listed, &limits, &booted), is_unseen, "{minute}");
        }
        job["finishedAt"] = "2026-11-01T13:00:00Z".into();
        assert!(!has_unseen_job(&with_job(&job), &Inventory::default(), &limits, &times));
    }

    /// Its object may never get far enough to find that out. On Alibaba Cloud no list shows whether it happened once the
    /// package is deleted.
    #[test]
    fn a_call_that_cannot_take_effect_any_more_keeps_no_other_object_waiting() {
        let began: Timestamp = "2026-11-02T12:00:00Z".parse().unwrap();
        let late = began + SignedDuration::from_mins(10);
        let times = Times { born: began, turn_began: late, now: late, clocks: Clocks::STEADY };
        let spec = serde_json::json!({"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []});
        for (cloud, package) in [(CloudKind::HuaweiIotda, None), (CloudKind::AliyunIot, Some("deleted"))] {
            let limits = capabilities_of(cloud, SignedDuration::from_secs(60));
            let doubt = serde_json::json!({"token": "t", "operation": "CreateJob", "stage": "canary",
                "digest": "d", "at": began, "state": "Ambiguous", "packageId": package});
            let rollout = serde_json::json!({"metadata": {}, "spec": spec, "status": {"pending": [doubt]}});
            let object = Object::Rollout(serde_json::from_value(rollout).unwrap());
            let mut inventory = Inventory::default();
            let is_unseen = |inventory: &Inventory| has_unseen_job(&object, inventory, &limits, &times);
            assert!(is_unseen(&inventory), "nothing was listed");
            inventory.jobs.note_listed(PackageKind::Firmware, began);
            assert!(is_unseen(&inventory), "it was listed too early");
            inventory.jobs.note_listed(PackageKind::Firmware, late);
            assert!(!is_unseen(&inventory), "{cloud:?}");
        }
    }

    /// A list cannot show which of two packages of one version an unanswered create has made.
    #[tokio::test(start_paused = true)]
    async fn a_package_is_not_created_while_another_object_may_have_created_the_same() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        let sent = || bench.sent("POST", "/packages");
        bench.break_paths(&["POST /v5/iot/a/ota-upgrades/packages"]);
        site.apply(&(cloud("lab", "a") + &package("one", "lab", "V2"))).await;
        site.work(SignedDuration::from_secs(5)).await;
        assert_eq!(sent(), 1, "its outcome is unknown");
        bench.break_paths(&[]);
        site.apply(&package("two", "lab", "V2")).await;
        site.work(SignedDuration::from_secs(45)).await;
        let (_, said) = site.said(&ObjectKey::new(Kind::OtaPackage, "default", "two"));
        assert_eq!((sent(), said.as_str()), (1, "waits until the cloud lists what OtaPackage/one has sent"));
        site.work(SignedDuration::from_mins(10)).await;
        assert_eq!(sent(), 2, "the first one is sent again, and serves both");
    }

    /// One object cannot settle its request, because one of its devices cannot be read; another object, which wants the
    /// same device, continues.
    #[tokio::test(start_paused = true)]
    async fn a_create_is_not_sent_again_while_one_of_another_object_may_take_effect() {
        const CREATES: &str = "POST /v5/iot/a/batchtasks";
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        let verified = |n: u32, devices: &str| {
            let verification = format!("  verification: {{devices: [{devices}], timeout: 1h}}\n");
            package(&format!("v{n}"), "lab", &format!("V{n}")) + &verification
        };
        let sent = || bench.sent("POST", "/batchtasks");
        bench.break_paths(&[CREATES]);
        site.apply(&(cloud("lab", "a") + &verified(2, "m-0000, m-0001"))).await;
        site.work(SignedDuration::from_secs(5)).await;
        assert_eq!(sent(), 1, "its outcome is unknown");
        bench.break_paths(&[CREATES, "devices/m-0001"]);
        site.apply(&verified(3, "m-0000")).await;
        while sent() == 1 {
            site.work(SignedDuration::from_secs(1)).await;
        }
        bench.break_paths(&[CREATES]);
        site.engine.wake([ObjectKey::new(Kind::OtaPackage, "default", "v2")]).await.unwrap();
        site.work(SignedDuration::from_secs(45)).await;
        assert_eq!(sent(), 2, "the second one may still take effect");
        site.work(SignedDuration::from_mins(10)).await;
        assert!(sent() > 2, "nobody waits for ever");
    }
}
