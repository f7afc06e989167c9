//! Decides what should happen to an object next: observes what the decision needs, and changes nothing.

use super::basis::Basis;
use super::context::Reconcile;
use super::observe::external_jobs::Age;
use super::observe::observed::{ObservedPackage, ObservedRollout};
use super::stages::Decided;
use super::subject::Subject;
use super::trouble::Trouble;
use crate::api::{Kind, Object, ObjectKey, OtaPackage, OtaRollout};
use crate::decide::{self, Plan};

/// An object about which decisions are taken.
pub(super) trait Decide: Subject {
    /// Decides what should happen to it next.
    ///
    /// # Errors
    /// The error of a call, or of the state.
    fn decide(
        &self,
        reconcile: &mut Reconcile<'_>,
    ) -> impl Future<Output = Result<Decided<Self::Status>, Trouble>> + Send;
}

impl Decide for OtaPackage {
    async fn decide(&self, reconcile: &mut Reconcile<'_>) -> Result<Decided<Self::Status>, Trouble> {
        reconcile.decide_package(self).await
    }
}

impl Decide for OtaRollout {
    async fn decide(&self, reconcile: &mut Reconcile<'_>) -> Result<Decided<Self::Status>, Trouble> {
        reconcile.decide_rollout(self).await
    }
}

impl Reconcile<'_> {
    async fn decide_package(
        &mut self,
        package: &OtaPackage,
    ) -> Result<Decided<<OtaPackage as Subject>::Status>, Trouble> {
        let refusal = self.refusal_of(package.metadata.namespace.as_deref()).await?;
        if let Some(plan) = decide::package::plan_unseen(package, refusal, self.now()) {
            return Ok(self.decided(plan, package, []));
        }
        if !self.has_account().await?
            && let Some(plan) = decide::package::plan_without_account(package, self.now())
        {
            return Ok(self.decided(plan, package, []));
        }
        let mut observed = self.observe_package(package).await?;
        // The account as it is in this pass.
        self.connect().await?;
        let mut plan = self.plan_package(package, &observed)?;
        for age in Age::BOTH {
            let held = self.ask_who_holds(&plan.actions, age).await?;
            if held.is_nothing() {
                continue;
            }
            observed.unasked_jobs = held.unasked;
            observed.results.extend(held.results);
            plan = self.plan_package(package, &observed)?;
        }
        self.remember_comparison(package, &mut plan.status);
        Ok(self.decided(plan, package, []))
    }

    async fn decide_rollout(
        &mut self,
        rollout: &OtaRollout,
    ) -> Result<Decided<<OtaRollout as Subject>::Status>, Trouble> {
        if let Some(plan) = decide::rollout::plan_unseen(rollout, self.now()) {
            return Ok(self.decided(plan, rollout, []));
        }
        let key = ObjectKey::of(Kind::OtaRollout, &rollout.metadata);
        let named = key.sibling(Kind::OtaPackage, &rollout.spec.package_ref.name);
        let object = self.store().load(&named).await?;
        let package = object.as_deref().and_then(Object::as_package);
        let has_left = package.is_some_and(|package| rollout.account_left(package).is_some());
        if has_left && !self.has_account().await? {
            self.worker.link = None;
            let plan = self.plan_rollout(rollout, package, &ObservedRollout::default());
            return Ok(self.decided(plan, rollout, object.as_deref()));
        }
        let mut observed = self.observe_rollout(rollout, package).await?;
        let mut plan = self.plan_rollout(rollout, package, &observed);
        for age in Age::BOTH {
            let held = self.ask_who_holds(&plan.actions, age).await?;
            if held.is_nothing() {
                continue;
            }
            observed.unasked_jobs = held.unasked;
            observed.results.extend(held.results);
            plan = self.plan_rollout(rollout, package, &observed);
        }
        Ok(self.decided(plan, rollout, object.as_deref().into_iter().chain(observed.rivals.objects())))
    }

    fn plan_package(
        &self,
        package: &OtaPackage,
        observed: &ObservedPackage,
    ) -> Result<Plan<<OtaPackage as Subject>::Status>, Trouble> {
        let view = self.package_view(package, observed).ok_or_else(|| self.worker.no_cloud())?;
        Ok(decide::package::plan(&view))
    }

    fn plan_rollout(
        &self,
        rollout: &OtaRollout,
        package: Option<&OtaPackage>,
        observed: &ObservedRollout,
    ) -> Plan<<OtaRollout as Subject>::Status> {
        decide::rollout::plan(&self.rollout_view(rollout, package, observed))
    }

    /// A plan, and the basis of what it sends.
    fn decided<'a, S: Subject>(
        &self,
        plan: Plan<S::Status>,
        subject: &S,
        others: impl IntoIterator<Item = &'a Object>,
    ) -> Decided<S::Status> {
        if plan.actions.is_empty() {
            return Decided { plan, basis: Basis::default() };
        }
        // Decisions about an object whose account does not exist are not based on the account.
        let account = self.worker.link.as_ref().filter(|_| self.is_connected).map(|link| &link.wanted);
        let basis = Basis::default().in_account(&self.worker.cloud, account).with(&subject.object());
        Decided { plan, basis: others.into_iter().fold(basis, Basis::with) }
    }
}
