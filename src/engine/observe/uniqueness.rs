//! Checks after a create that the idempotency key of a job is unique. Another instance with its own state gives its
//! jobs the same keys, and lists lag, so two instances that begin together each find nothing and both create a job.

use crate::api::{JobRef, OtaRollout};
use crate::cloud::JobIdentity;
use crate::decide::keys::rollout_mark;
use crate::engine::context::Reconcile;
use crate::engine::freshness::Evidence;
use jiff::Timestamp;
use std::collections::BTreeSet;

impl Reconcile<'_> {
    /// How fresh a list of jobs must be to show other jobs with the key of a job created then.
    pub(super) fn uniqueness_due(&self, created: impl Iterator<Item = Timestamp>) -> Evidence {
        let Some(limits) = self.capabilities().filter(|limits| limits.job_identity != JobIdentity::Devices)
        else {
            return Evidence::Known;
        };
        let due = created.max().and_then(|created| created.checked_add(limits.visibility_lag).ok());
        let is_listed = |due| self.worker.inventory.jobs.oldest_list().is_some_and(|began| began >= due);
        match due.filter(|due| *due <= self.now() && !is_listed(*due)) {
            Some(due) => Evidence::Since(due),
            None => Evidence::Known,
        }
    }

    /// Listed jobs of this rollout beside those that it has recorded: duplicates of those, the result of a request with
    /// unknown outcome, and, where nothing is recorded (after a loss of the state), every job with its mark.
    pub(super) fn unrecorded_jobs(&self, object: &OtaRollout, ours: &[String]) -> Vec<String> {
        let sent = object.status.iter().flat_map(|status| &status.pending).map(|call| call.token.as_str());
        let keys: BTreeSet<&str> = recorded(object).map(|job| job.token.as_str()).chain(sent).collect();
        let mark = rollout_mark(object.metadata.uid.as_deref().unwrap_or_default());
        let is_its = |token: &str| keys.contains(token) || ours.is_empty() && token.starts_with(&mark);
        let its = self.worker.inventory.jobs.all().filter(|job| job.token.as_deref().is_some_and(is_its));
        its.filter(|job| !ours.contains(&job.id)).map(|job| job.id.clone()).collect()
    }
}

/// The jobs that the rollout has recorded.
pub(super) fn recorded(object: &OtaRollout) -> impl Iterator<Item = &JobRef> {
    object.status.iter().flat_map(|status| &status.stages).flat_map(|stage| &stage.jobs)
}

#[cfg(test)]
mod tests {
    use crate::api::{
        Kind, Object, ObjectKey, OtaRolloutStatus, RolloutPhase, StageStatus, VERIFIED, Verdict,
        condition_is_true,
    };
    use crate::engine::testing::{Bench, Site, WORLD, cloud, package, rollout};
    use jiff::SignedDuration;
    use std::collections::BTreeMap;

    fn release() -> ObjectKey {
        ObjectKey::new(Kind::OtaRollout, "default", "release")
    }

    fn status(site: &Site) -> OtaRolloutStatus {
        let object = site.object(&release());
        let Object::Rollout(rollout) = object.as_ref() else { panic!("{object:?}") };
        rollout.status.clone().unwrap_or_default()
    }

    fn manifests() -> String {
        [cloud("lab", "a"), package("v2", "lab", "V2"), rollout("release", "v2", 10)].concat()
    }

    fn failures(status: &OtaRolloutStatus) -> u32 {
        status.stages.iter().map(|stage: &StageStatus| stage.counts.failed + stage.counts.timed_out).sum()
    }

    /// Two laptops, each with its own state, apply the same manifests at the same moment.
    async fn both(bench: &Bench) -> [Site; 2] {
        let mut sites = [bench.site(), bench.site()];
        // The package exists already, so that both come to the canary at once.
        sites[0].apply(&[cloud("lab", "a"), package("v2", "lab", "V2")].concat()).await;
        sites[0].work(SignedDuration::from_mins(5)).await;
        sites[1].apply(&[cloud("lab", "a"), package("v2", "lab", "V2")].concat()).await;
        sites[1].work(SignedDuration::from_mins(5)).await;
        for site in &mut sites {
            site.apply(&manifests()).await;
        }
        sites
    }

    async fn work(sites: &mut [Site; 2], length: SignedDuration) {
        let [one, other] = sites;
        tokio::join!(one.work(length), other.work(length));
    }

    #[tokio::test(start_paused = true)]
    async fn two_instances_with_a_state_each_keep_the_older_job_and_blame_no_build() {
        let bench = Bench::new(WORLD);
        let mut sites = both(&bench).await;
        work(&mut sites, SignedDuration::from_secs(30)).await;
        let canaries: Vec<_> =
            bench.tasks().into_iter().filter(|task| task.name.contains("canary")).collect();
        assert_eq!(canaries.len(), 2, "both have sent it: {:#?}", bench.tasks());
        assert_eq!(canaries[0].name, canaries[1].name, "one key");
        for _ in 0..200 {
            work(&mut sites, SignedDuration::from_mins(1)).await;
            for site in &sites {
                let now = status(site);
                assert_eq!((failures(&now), &now.stopped_by), (0, &None), "{}", now.message);
                assert!(
                    now.stages
                        .iter()
                        .flat_map(|stage| &stage.gates)
                        .all(|gate| gate.verdict != Verdict::Fail)
                );
            }
        }
        let older = canaries.iter().map(|task| task.id.clone()).min().unwrap();
        let mut told = Vec::new();
        for site in &sites {
            let end = status(site);
            assert_eq!(end.phase, RolloutPhase::Completed, "{}", end.message);
            assert_eq!(end.stages[0].jobs[0].id, older, "both go by the older one");
            told.extend(end.decisions.into_iter().filter(|decision| decision.rule == "AnotherInstance"));
        }
        assert!(told.len() >= 2, "both say so: {told:?}");
        let mut message = told[0].message.clone();
        for (n, task) in canaries.iter().enumerate() {
            message = message.replace(&task.id, &format!("J{n}"));
        }
        insta::assert_snapshot!(message, @"another instance of Rollwave with its own state works on this rollout: job J1 (created 2027-01-15 08:10:00Z) and job J0 (created 2027-01-15 08:10:00Z) carry the same idempotency key; the older job is kept, the other is stopped, and devices that the cloud refused because of it do not count as failed. Run one instance, or give both the same state");
        let versions: BTreeMap<String, usize> = bench.versions("m-");
        assert_eq!(versions, BTreeMap::from([("V2".to_owned(), 30)]));
    }

    /// The devices of the verification are named: its second job fails at once, on both of them.
    #[tokio::test(start_paused = true)]
    async fn two_instances_verify_a_package_once_and_do_not_call_it_bad() {
        let bench = Bench::new(WORLD);
        let mut sites = [bench.site(), bench.site()];
        let verified =
            package("v2", "lab", "V2") + "  verification: {devices: [m-0000, m-0001], timeout: 2h}\n";
        sites[0].apply(&[cloud("lab", "a"), package("v2", "lab", "V2")].concat()).await;
        sites[0].work(SignedDuration::from_mins(5)).await;
        sites[1].apply(&[cloud("lab", "a"), package("v2", "lab", "V2")].concat()).await;
        sites[1].work(SignedDuration::from_mins(5)).await;
        for site in &mut sites {
            site.apply(&verified).await;
        }
        let key = ObjectKey::new(Kind::OtaPackage, "default", "v2");
        for _ in 0..60 {
            work(&mut sites, SignedDuration::from_mins(1)).await;
            for site in &sites {
                let (reason, message) = site.said(&key);
                assert_ne!(reason, "VerificationFailed", "{message}");
            }
        }
        assert_eq!(bench.tasks().len(), 2, "both have sent it: {:#?}", bench.tasks());
        for site in &sites {
            let object = site.object(&key);
            assert!(condition_is_true(object.conditions(), VERIFIED), "{:?}", site.said(&key));
        }
    }

    /// The reasons of its failures are read before a stop rule is judged.
    #[tokio::test(start_paused = true)]
    async fn devices_that_never_came_online_stop_nothing_when_the_state_is_lost() {
        let silent = "{count: 30, idPrefix: m-, product: meter, firmware: V1, online: false}";
        let bench =
            Bench::new(&WORLD.replace("{count: 30, idPrefix: m-, product: meter, firmware: V1}", silent));
        let stop = "  stop: [{name: few, method: Count, maxFailure: 1}]\n  stages:";
        let release = rollout("release", "v2", 5).replace("  stages:", stop);
        let objects = [cloud("lab", "a"), package("v2", "lab", "V2"), release].concat();
        let mut before = bench.site();
        before.apply(&objects).await;
        before.until("the canary is sent", |_| !bench.tasks().is_empty()).await;
        before.work(SignedDuration::from_hours(26)).await;
        let mut after = bench.site();
        after.apply(&objects).await;
        after.work(SignedDuration::from_mins(10)).await;
        let key = ObjectKey::new(Kind::OtaRollout, "default", "release");
        let Object::Rollout(found) = after.object(&key).as_ref().clone() else { unreachable!() };
        let status = found.status.unwrap();
        assert_eq!((status.stopped_by, status.stages[0].counts.never_began), (None, 5), "{}", status.message);
    }

    /// No later list would have shown the second job: it fails at once, and a gate would be judged.
    #[tokio::test(start_paused = true)]
    async fn a_job_whose_key_was_not_checked_yet_fails_no_gate() {
        let bench = Bench::new(WORLD);
        let mut sites = both(&bench).await;
        for _ in 0..120 {
            work(&mut sites, SignedDuration::from_secs(1)).await;
            for site in &sites {
                assert_eq!(failures(&status(site)), 0, "{}", status(site).message);
            }
        }
    }
}
