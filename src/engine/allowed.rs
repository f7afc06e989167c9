//! Which namespaces may create something in an account: its own, and those listed in `spec.allowedNamespaces`. A
//! namespace that is no longer allowed sends nothing new; running jobs are observed to their end, and deletions still
//! stop jobs.

use super::context::Reconcile;
use super::trouble::Trouble;
use crate::api::{DEFAULT_NAMESPACE, Object};

impl Reconcile<'_> {
    /// Why this account lets objects of a namespace create nothing; none when it allows it or does not exist.
    pub(super) async fn refusal_of(&self, namespace: Option<&str>) -> Result<Option<String>, Trouble> {
        Ok(match self.store().load(&self.worker.cloud).await?.as_deref() {
            Some(Object::Cloud(cloud)) => cloud.refusal(namespace.unwrap_or(DEFAULT_NAMESPACE)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, Site, WORLD, cloud, package, rollout};
    use crate::api::{Kind, ObjectKey};
    use jiff::SignedDuration;

    fn key(kind: Kind, name: &str) -> ObjectKey {
        ObjectKey::new(kind, "team", name)
    }

    /// The account of the platform, which allows these namespaces.
    fn account(allowed: &str) -> String {
        cloud("lab", "a").replace("{name: lab}", "{name: lab, namespace: platform}")
            + &format!("  allowedNamespaces: [{allowed}]\n")
    }

    /// A package and a rollout of the team.
    fn release() -> String {
        let package = package("v2", "lab, namespace: platform", "V2");
        let package = package.replace("{name: v2}", "{name: v2, namespace: team}");
        package + &rollout("release", "v2", 5).replace("{name: release}", "{name: release, namespace: team}")
    }

    async fn refused(bench: &Bench) -> Site {
        let mut site = bench.site();
        site.apply(&(account("other") + &release())).await;
        site.work(SignedDuration::from_mins(10)).await;
        site
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_is_not_allowed_costs_no_call_and_goes_on_once_it_is() {
        let bench = Bench::new(WORLD);
        let mut site = refused(&bench).await;
        let (reason, said) = site.said(&key(Kind::OtaPackage, "v2"));
        assert_eq!(reason, "NamespaceNotAllowed");
        insta::assert_snapshot!(said, @"OtaCloud/platform/lab does not allow namespace team: add it to spec.allowedNamespaces of that OtaCloud");
        assert_eq!((bench.sent("POST", "packages"), bench.tasks().len()), (0, 0));
        assert_eq!(
            (bench.sent("GET", "batchtasks"), bench.sent("GET", "devices")),
            (0, 0),
            "nothing is looked at"
        );
        site.apply(&account("other, team")).await;
        site.until("its canary is sent", |_| bench.tasks().len() == 1).await;
        assert!(bench.sent("GET", "batchtasks") > 0 && bench.sent("GET", "devices") > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_can_be_deleted() {
        let bench = Bench::new(WORLD);
        let mut site = refused(&bench).await;
        for (kind, name) in [(Kind::OtaRollout, "release"), (Kind::OtaPackage, "v2")] {
            site.remove(&key(kind, name)).await;
            site.until("it is gone", |store| store.get(&key(kind, name)).is_none()).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_is_not_allowed_any_more_sends_nothing_new_and_its_jobs_are_watched() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        site.apply(&(account("'*'") + &release())).await;
        site.until("the canary is sent", |_| bench.tasks().len() == 1).await;
        site.apply(&account("")).await;
        site.work(SignedDuration::from_hours(3)).await;
        assert_eq!(bench.tasks().len(), 1, "the rest is not sent");
        let (reason, said) = site.said(&key(Kind::OtaRollout, "release"));
        assert_eq!(reason, "DispatchBlocked");
        insta::assert_snapshot!(said, @"stage rest (25 devices) is not dispatched: OtaCloud/platform/lab does not allow namespace team: add it to spec.allowedNamespaces of that OtaCloud");
        site.apply(&account("team")).await;
        site.until("the rest is sent", |_| bench.tasks().len() == 2).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_waits_for_what_other_namespaces_have_in_it() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        site.apply(&(account("team") + &release())).await;
        site.until("the canary is sent", |_| bench.tasks().len() == 1).await;
        let account = ObjectKey::new(Kind::OtaCloud, "platform", "lab");
        site.remove(&account).await;
        site.work(SignedDuration::from_mins(5)).await;
        let (_, said) = site.said(&account);
        insta::assert_snapshot!(said, @"deletion waits for OtaPackage/team/v2 and 1 more, which use this account");
        for (kind, name) in [(Kind::OtaRollout, "release"), (Kind::OtaPackage, "v2")] {
            site.remove(&key(kind, name)).await;
        }
        site.until("the account is gone", |store| store.get(&account).is_none()).await;
        assert_eq!(bench.tasks()[0].status, "Stopped");
    }
}
