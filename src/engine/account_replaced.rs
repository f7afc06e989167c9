//! An `OtaCloud` stays with its account: an edit that names another one is refused while packages or jobs are in the account
//! before. Nobody would watch or stop those, and all of it would be created again in the other one.

use super::worker::{Trouble, Worker};
use crate::api::{Object, ObjectKey, OtaCloud, Reason};
use crate::cloud::{CallError, ErrorClass};

impl Worker {
    /// Nothing while the spec names the account that answered last, or nothing of ours is in that.
    ///
    /// # Errors
    /// What is in the account before, and what to do; or the state's.
    pub(super) async fn check_account_stayed(&self, cloud: &OtaCloud) -> Result<(), Trouble> {
        let before = cloud.status.as_ref().and_then(|status| status.account.as_ref());
        let (Some(before), Some(now)) = (before, cloud.spec.tenant()) else { return Ok(()) };
        if *before == now {
            return Ok(());
        }
        let Some(left) = self.left_in_account().await? else { return Ok(()) };
        let message = format!(
            "{} names {now} now, and {left} has packages or jobs in {before}: nothing is sent",
            self.home
        );
        let error = CallError::new(ErrorClass::Invalid, "Connect", message).because(Reason::AccountReplaced);
        Err(error.next_step("put the account back, and write another OtaCloud for the other one").into())
    }

    /// An object of this account that has something in it.
    async fn left_in_account(&self) -> Result<Option<ObjectKey>, Trouble> {
        for key in self.needing().await? {
            let has_any = match self.store.load(&key).await?.as_deref() {
                Some(Object::Package(package)) => package
                    .status
                    .as_ref()
                    .is_some_and(|status| status.package_id.is_some() || !status.pending.is_empty()),
                Some(Object::Rollout(rollout)) => rollout.account_of_jobs().is_some(),
                _ => false,
            };
            if has_any {
                return Ok(Some(key));
            }
        }
        Ok(None)
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
        insta::assert_snapshot!(site.said(&account()).1, @"Connect: OtaCloud/lab names huaweiIotda project b, resource space app now, and OtaPackage/v2 has packages or jobs in huaweiIotda project a, resource space app: nothing is sent; put the account back, and write another OtaCloud for the other one");
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
