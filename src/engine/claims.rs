//! One worker at a time per rollout: while a package moves to another account, two workers may reconcile the rollout,
//! and each would overwrite the other's status.

use crate::api::{Kind, ObjectKey};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The rollouts that workers are reconciling. Clones share the set.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Arc<Mutex<BTreeSet<ObjectKey>>>);

/// The exclusive right to reconcile an object, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    key: ObjectKey,
    claims: Claims,
}

impl Claims {
    /// Claims the object; none while another worker has it. Only rollouts can change their worker: other objects name
    /// their account themselves, and it never changes.
    pub(super) fn claim(&self, key: &ObjectKey) -> Option<Claim> {
        let is_free = key.kind != Kind::OtaRollout || self.held().insert(key.clone());
        is_free.then(|| Claim { key: key.clone(), claims: self.clone() })
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<ObjectKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.held().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, Site, WORLD, cloud, package, rollout};
    use super::*;
    use crate::api::{Object, OtaRolloutStatus, RolloutPhase};
    use crate::state::memory::Memory;
    use jiff::SignedDuration;
    use std::sync::Arc;

    fn key(kind: Kind, name: &str) -> ObjectKey {
        ObjectKey::new(kind, "default", name)
    }

    fn release() -> ObjectKey {
        key(Kind::OtaRollout, "release")
    }

    fn status(site: &Site) -> OtaRolloutStatus {
        let object = site.object(&release());
        let Object::Rollout(rollout) = object.as_ref() else { panic!("{object:?}") };
        rollout.status.clone().unwrap_or_default()
    }

    /// A release whose canary runs in project a, and an account of project b.
    async fn canary_in_a(bench: &Bench) -> Site {
        let mut site = bench.site();
        let both = [cloud("a", "a"), cloud("b", "b"), package("v2", "a", "V2"), rollout("release", "v2", 5)];
        site.apply(&both.concat()).await;
        site.until("the canary is sent", |_| bench.tasks().len() == 1).await;
        assert_eq!(status(&site).account.as_deref(), Some("a"));
        site
    }

    fn moved() -> String {
        [package("v2-b", "b", "V2"), rollout("release", "v2-b", 5)].concat()
    }

    /// Tasks by project and state.
    fn tasks(bench: &Bench) -> Vec<(String, String)> {
        bench.tasks().into_iter().map(|task| (task.account, task.status)).collect()
    }

    #[test]
    fn a_rollout_is_worked_on_by_one_and_everything_else_by_its_own_worker() {
        let claims = Claims::default();
        let held = claims.claim(&release()).unwrap();
        assert!(claims.clone().claim(&release()).is_none());
        assert!(claims.claim(&key(Kind::OtaRollout, "other")).is_some());
        let package = key(Kind::OtaPackage, "release");
        assert!(claims.claim(&package).and(claims.claim(&package)).is_some());
        drop(held);
        assert!(claims.claim(&release()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rollout_that_moves_stops_its_jobs_where_they_are_and_begins_in_the_other_account() {
        let bench = Bench::new(WORLD);
        let mut site = canary_in_a(&bench).await;
        site.apply(&moved()).await;
        site.until("it begins in the other account", |_| bench.tasks().len() == 2).await;
        assert_eq!(tasks(&bench)[0], ("a".to_owned(), "Stopped".to_owned()));
        assert_eq!(tasks(&bench)[1].0, "b");
        let moved = status(&site);
        assert_eq!(moved.account.as_deref(), Some("b"));
        let said = moved.decisions.iter().find(|decision| decision.rule == "AccountChanged").unwrap();
        insta::assert_snapshot!(said.message, @"its jobs in OtaCloud/a have ended: it starts in OtaCloud/b");
        site.until("it goes on there", |_| bench.tasks().len() == 3).await;
        assert_eq!(status(&site).phase, RolloutPhase::Progressing);
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_that_is_removed_meanwhile_goes_after_the_jobs_in_it_are_over() {
        let bench = Bench::new(WORLD);
        let mut site = canary_in_a(&bench).await;
        site.apply(&moved()).await;
        site.remove(&key(Kind::OtaPackage, "v2")).await;
        site.remove(&key(Kind::OtaCloud, "a")).await;
        site.until("the account is let go", |store| store.get(&key(Kind::OtaCloud, "a")).is_none()).await;
        assert_eq!(tasks(&bench)[0], ("a".to_owned(), "Stopped".to_owned()));
        site.until("it begins in the other account", |_| bench.tasks().len() == 2).await;
    }

    /// A user removed the finalizer of an `OtaCloud`, or a state was assembled by hand.
    #[tokio::test(start_paused = true)]
    async fn without_the_account_of_its_jobs_it_says_what_is_left_and_sends_nothing() {
        let bench = Bench::new(WORLD);
        let before = canary_in_a(&bench).await;
        let mut objects = before.store.objects();
        objects.retain(|object| object.key() != key(Kind::OtaCloud, "a"));
        let mut site = bench.site_on(Memory::new(objects));
        drop(before);
        site.apply(&[cloud("b", "b"), moved()].concat()).await;
        site.work(SignedDuration::from_mins(10)).await;
        let (reason, message) = site.said(&release());
        let job = bench.tasks()[0].id.clone();
        assert_eq!(reason, "AccountGone", "{message}");
        insta::assert_snapshot!(message.replace(&job, "J"), @"the package moved to another account, and OtaCloud/a, where these may still run, does not exist: job J; apply OtaCloud/a again to have them stopped, or delete this rollout, which leaves them running, and write a new one");
        assert_eq!(bench.tasks().len(), 1);
        // As the message promises: either way out works.
        let mut written_again = bench.site_on(Memory::new(site.store.objects().iter().map(Arc::clone)));
        written_again.apply(&[cloud("a", "a"), cloud("b", "b"), moved()].concat()).await;
        written_again.until("it begins in the other account", |_| bench.tasks().len() == 2).await;
        assert_eq!(tasks(&bench)[0].1, "Stopped");
        site.remove(&release()).await;
        site.until("it is gone", |store| store.get(&release()).is_none()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn deleting_a_rollout_that_moves_stops_its_jobs_where_they_are() {
        let bench = Bench::new(WORLD);
        let mut site = canary_in_a(&bench).await;
        site.apply(&moved()).await;
        site.remove(&release()).await;
        site.until("it is gone", |store| store.get(&release()).is_none()).await;
        assert_eq!(tasks(&bench), [("a".to_owned(), "Stopped".to_owned())]);
    }

    #[tokio::test(start_paused = true)]
    async fn back_and_forth_before_anything_was_stopped_leaves_one_live_job_at_most() {
        let bench = Bench::new(WORLD);
        let mut site = canary_in_a(&bench).await;
        for text in [moved(), rollout("release", "v2", 5), moved()] {
            site.apply(&text).await;
            site.work(SignedDuration::from_millis(150)).await;
        }
        site.until("it begins in the other account", |_| {
            tasks(&bench).iter().any(|(account, _)| account == "b")
        })
        .await;
        let live = bench.tasks().into_iter().filter(|task| task.account == "a" && task.status != "Stopped");
        assert_eq!(live.count(), 0, "{:#?}", bench.tasks());
    }
}
