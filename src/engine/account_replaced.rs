//! An `OtaCloud` stays with its account: an edit that names another one is refused while packages or jobs of ours are
//! in the previous account. They would no longer be observed or stopped, and would be created again in the other
//! account.

use super::graph::Graph;
use super::trouble::Trouble;
use crate::api::{Kind, Object, ObjectKey, OtaCloud, Reason};
use crate::cloud::{CallError, ErrorClass};
use crate::state::Store;

/// Succeeds while the spec names the account that answered last, or nothing of ours is in that one.
///
/// # Errors
/// What is in the previous account, and what to do; or the state's error.
pub(super) async fn check(store: &dyn Store, cloud: &OtaCloud) -> Result<(), Trouble> {
    let before = cloud.status.as_ref().and_then(|status| status.account.as_ref());
    let (Some(before), Some(now)) = (before, cloud.spec.tenant()) else { return Ok(()) };
    if *before == now {
        return Ok(());
    }
    let key = ObjectKey::of(Kind::OtaCloud, &cloud.metadata);
    let served = Graph(store).served_by(&key).await?;
    let Some(left) = served.iter().find(|object| has_any(object)) else { return Ok(()) };
    let message = format!(
        "{key} now names account {now}, but {} has packages or jobs in {before}: nothing is sent",
        left.key()
    );
    let error = CallError::new(ErrorClass::Invalid, "Connect", message).because(Reason::AccountReplaced);
    Err(error.next_step("restore the previous account, and write another OtaCloud for the new one").into())
}

/// True when the object has something in its account.
fn has_any(object: &Object) -> bool {
    match object {
        Object::Package(package) => package
            .status
            .as_ref()
            .is_some_and(|status| status.package_id.is_some() || !status.pending.is_empty()),
        Object::Rollout(rollout) => rollout.account_of_jobs().is_some(),
        Object::Cloud(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, WORLD, cloud, package, rollout};
    use crate::api::{Kind, ObjectKey};
    use jiff::SignedDuration;

    fn account() -> ObjectKey {
        ObjectKey::new(Kind::OtaCloud, "default", "lab")
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_that_is_replaced_under_a_rollout_is_refused_and_goes_on_once_it_is_put_back() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        site.apply(&[cloud("lab", "a"), package("v2", "lab", "V2"), rollout("release", "v2", 5)].concat())
            .await;
        site.until("the canary is sent", |_| bench.tasks().len() == 1).await;
        site.apply(&cloud("lab", "b")).await;
        site.work(SignedDuration::from_hours(2)).await;
        assert_eq!(bench.tasks().len(), 1, "nothing is created in the other account");
        assert_eq!(bench.cloud(|cloud, _| cloud.packages()).len(), 1);
        for (kind, name) in [(Kind::OtaCloud, "lab"), (Kind::OtaPackage, "v2"), (Kind::OtaRollout, "release")]
        {
            assert_eq!(site.said(&ObjectKey::new(kind, "default", name)).0, "AccountReplaced");
        }
        insta::assert_snapshot!(site.said(&account()).1, @"Connect: OtaCloud/lab now names account huaweiIotda project b, resource space app, but OtaPackage/v2 has packages or jobs in huaweiIotda project a, resource space app: nothing is sent; restore the previous account, and write another OtaCloud for the new one");
        site.apply(&cloud("lab", "a")).await;
        site.until("the rest is sent", |_| bench.tasks().len() == 2).await;
        assert!(bench.tasks().iter().all(|task| task.account == "a"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_in_which_nothing_was_created_can_be_corrected() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        site.apply(&cloud("lab", "a")).await;
        site.work(SignedDuration::from_mins(1)).await;
        site.apply(&[cloud("lab", "b"), package("v2", "lab", "V2"), rollout("release", "v2", 5)].concat())
            .await;
        site.until("the canary is sent", |_| bench.tasks().len() == 1).await;
        assert_eq!(bench.tasks()[0].account, "b");
    }
}
