//! One account, one worker: an `OtaCloud` is refused when an older one describes the same account. Two workers would
//! have two budgets and two inventories, and would send two jobs to one device, which the cloud fails.

use super::context::Reconcile;
use super::graph::Graph;
use super::trouble::Trouble;
use crate::api::{Kind, Object, ObjectKey, OtaCloud, READY, Reason, find_condition};
use crate::cloud::{CallError, ErrorClass};
use crate::state::{StateError, Store};
use jiff::Timestamp;

/// Reason of objects that are refused because another `OtaCloud` has their account.
pub const REASON: Reason = Reason::DuplicateAccount;

impl Reconcile<'_> {
    /// Checks that no other `OtaCloud` has the account of this worker. Objects that only clean up are exempt.
    ///
    /// # Errors
    /// Which other one has it, and what to do; or the state's error.
    pub(super) async fn check_sole_account(&self, object: &Object) -> Result<(), Trouble> {
        if object.is_deleting() || self.leaves_account(object).await? {
            return Ok(());
        }
        match older_of_same_account(self.store(), &self.worker.cloud).await? {
            Some(older) => Err(refusal(&self.worker.cloud, &older).into()),
            None => Ok(()),
        }
    }

    /// True for a rollout whose package is in another account now.
    async fn leaves_account(&self, object: &Object) -> Result<bool, Trouble> {
        let Object::Rollout(rollout) = object else { return Ok(false) };
        let package =
            self.package(&object.key().sibling(Kind::OtaPackage, &rollout.spec.package_ref.name)).await?;
        Ok(package.is_some_and(|package| rollout.account_left(&package).is_some()))
    }
}

/// The oldest other `OtaCloud` of the same account, if it is older than `home`: by creation, then by namespace and
/// name, so that every controller selects the same one.
async fn older_of_same_account(store: &dyn Store, home: &ObjectKey) -> Result<Option<OtaCloud>, StateError> {
    let Some(object) = store.load(home).await? else { return Ok(None) };
    let Object::Cloud(cloud) = object.as_ref() else { return Ok(None) };
    let Some(account) = cloud.account_id() else { return Ok(None) };
    let others = Graph(store).clouds().await?.into_iter();
    let same =
        others.filter(|other| age(other) < age(cloud) && other.account_id().as_ref() == Some(&account));
    Ok(same.min_by_key(age))
}

/// Every other `OtaCloud` of `cloud`'s account, and every one that was refused because of another one: a change of
/// `cloud` may affect them.
pub(super) async fn concerned(store: &dyn Store, cloud: &ObjectKey) -> Result<Vec<ObjectKey>, StateError> {
    let object = store.load(cloud).await?;
    let account = match object.as_deref() {
        Some(Object::Cloud(cloud)) => cloud.account_id(),
        _ => None,
    };
    let is_concerned =
        |other: &OtaCloud| is_refused(other) || (account.is_some() && other.account_id() == account);
    let others = Graph(store).clouds().await?.into_iter().filter(is_concerned);
    Ok(others
        .map(|other| ObjectKey::of(Kind::OtaCloud, &other.metadata))
        .filter(|key| key != cloud)
        .collect())
}

fn age(cloud: &OtaCloud) -> (Option<Timestamp>, ObjectKey) {
    let created = cloud.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (created, ObjectKey::of(Kind::OtaCloud, &cloud.metadata))
}

fn is_refused(cloud: &OtaCloud) -> bool {
    let conditions = cloud.status.as_ref().map_or(&[][..], |status| &status.conditions);
    find_condition(conditions, READY).is_some_and(|ready| ready.reason == REASON)
}

fn refusal(cloud: &ObjectKey, older: &OtaCloud) -> CallError {
    let key = ObjectKey::of(Kind::OtaCloud, &older.metadata);
    let account = older.account_id().map(|account| account.to_string()).unwrap_or_default();
    let error = |class, message| CallError::new(class, "Connect", message).because(REASON);
    if older.metadata.deletion_timestamp.is_some() {
        let message = format!("{cloud} waits until {key}, which is the same account ({account}), is deleted");
        return error(ErrorClass::NotSent, message).next_step("wait: it continues then");
    }
    let message = format!(
        "{cloud} is the same account as {key}, which is older ({account}): nothing is sent through {cloud}"
    );
    error(ErrorClass::Conflict, message).next_step(format!(
        "use {key} in spec.cloudRef and delete {cloud}, or correct the account of one of them"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, WORLD, cloud, package, rollout};
    use super::*;
    use crate::api::{Health, Time};
    use crate::state::memory::Memory;
    use jiff::SignedDuration;
    use std::sync::Arc;

    fn key(kind: Kind, name: &str) -> ObjectKey {
        ObjectKey::new(kind, "default", name)
    }

    fn first() -> ObjectKey {
        key(Kind::OtaCloud, "first")
    }

    fn second() -> ObjectKey {
        key(Kind::OtaCloud, "a-second")
    }

    /// Two releases of one fleet through two objects of one account, the second one a minute later.
    async fn two(bench: &Bench) -> super::super::testing::Site {
        let mut site = bench.site();
        site.apply(&[cloud("first", "a"), package("v2", "first", "V2"), rollout("r2", "v2", 5)].concat())
            .await;
        site.work(SignedDuration::from_mins(1)).await;
        site.apply(
            &[cloud("a-second", "a"), package("v3", "a-second", "V3"), rollout("r3", "v3", 5)].concat(),
        )
        .await;
        site.work(SignedDuration::from_mins(5)).await;
        site
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_through_a_second_object_of_an_account() {
        let bench = Bench::new(WORLD);
        let site = two(&bench).await;
        assert_eq!(bench.tasks().len(), 1, "the canary of the first: {:#?}", bench.tasks());
        assert_eq!(bench.cloud(|cloud, _| cloud.packages()).len(), 1);
        for key in [second(), key(Kind::OtaPackage, "v3"), key(Kind::OtaRollout, "r3")] {
            let (reason, message) = site.said(&key);
            assert_eq!(reason, REASON.as_str(), "{key}: {message}");
            assert!(message.contains("the same account as OtaCloud/first"), "{key}: {message}");
            assert_eq!(site.object(&key).health(), Health::Stalled, "{key}");
        }
        insta::assert_snapshot!(site.said(&second()).1, @"Connect: OtaCloud/a-second is the same account as OtaCloud/first, which is older (huaweiIotda at 127.0.0.1:1, project a, resource space app): nothing is sent through OtaCloud/a-second; use OtaCloud/first in spec.cloudRef and delete OtaCloud/a-second, or correct the account of one of them");
        assert_eq!(site.said(&first()).0, "Connected");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_used_at_once_when_the_first_is_deleted_or_names_another_account_and_not_before() {
        for is_deleted in [true, false] {
            let bench = Bench::new(WORLD);
            let mut site = bench.site();
            site.apply(&cloud("first", "a")).await;
            site.work(SignedDuration::from_mins(1)).await;
            site.apply(&[cloud("a-second", "a"), package("v3", "a-second", "V3")].concat()).await;
            site.work(SignedDuration::from_mins(30)).await;
            assert_eq!(site.said(&second()).0, REASON);
            if is_deleted {
                site.remove(&first()).await;
            } else {
                site.apply(&cloud("first", "b")).await;
            }
            site.work(SignedDuration::from_secs(5)).await;
            assert_eq!(site.said(&second()).0, "Connected", "deleted: {is_deleted}");
            assert_eq!(bench.cloud(|cloud, _| cloud.packages()).len(), 1, "deleted: {is_deleted}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_is_edited_into_an_older_ones_account_is_refused_at_once() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        site.apply(&cloud("first", "a")).await;
        site.work(SignedDuration::from_mins(1)).await;
        site.apply(
            &[cloud("a-second", "b"), package("v3", "a-second", "V3"), rollout("r3", "v3", 5)].concat(),
        )
        .await;
        site.until("the canary is sent", |_| bench.tasks().len() == 1).await;
        // The older object is edited.
        site.apply(&cloud("first", "b")).await;
        site.work(SignedDuration::from_secs(5)).await;
        assert_eq!(site.said(&second()).0, REASON);
        assert_eq!(site.said(&key(Kind::OtaRollout, "r3")).0, REASON);
        assert_eq!(site.said(&first()).0, "Connected");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_refused_object_has_left_in_the_cloud_can_be_settled_and_goes() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        site.apply(&cloud("first", "b")).await;
        site.work(SignedDuration::from_mins(1)).await;
        site.apply(
            &[cloud("a-second", "a"), package("v3", "a-second", "V3"), rollout("r3", "v3", 5)].concat(),
        )
        .await;
        site.until("the canary is sent", |_| bench.tasks().len() == 1).await;
        site.apply(&cloud("first", "a")).await;
        for (kind, name) in [(Kind::OtaRollout, "r3"), (Kind::OtaPackage, "v3"), (Kind::OtaCloud, "a-second")]
        {
            site.remove(&key(kind, name)).await;
        }
        site.until("all of it is gone", |store| store.objects().len() == 1).await;
        assert_eq!(bench.tasks()[0].status, "Stopped");
    }

    /// The order of objects and controllers does not matter.
    #[tokio::test]
    async fn the_older_object_wins_over_namespaces_and_then_the_name_decides() {
        let object = |namespace: &str, name: &str, created: i64| {
            let (objects, _) = crate::source::manifest::parse(std::path::Path::new("t"), &cloud(name, "a"));
            let mut object = objects.into_iter().next().unwrap().object;
            object.meta_mut().namespace = Some(namespace.to_owned());
            object.meta_mut().creation_timestamp = Some(Time(Timestamp::from_second(created).unwrap()));
            object
        };
        for (one, other, winner) in [
            (object("z", "z", 1), object("a", "a", 2), "z"),
            (object("b", "a", 1), object("a", "z", 1), "a"),
            (object("a", "z", 1), object("a", "y", 1), "a"),
        ] {
            let keys = [one.key(), other.key()];
            let store = Memory::new([Arc::new(one), Arc::new(other)]);
            let mut refused = Vec::new();
            for key in &keys {
                refused.extend(older_of_same_account(&store, key).await.unwrap());
            }
            let [older] = refused.as_slice() else { panic!("{refused:?}") };
            assert_eq!(older.metadata.namespace.as_deref(), Some(winner));
        }
    }
}
