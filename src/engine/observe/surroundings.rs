//! What other objects mean for a rollout, without an observation of the cloud.

use crate::api::{Kind, Object, ObjectKey, OtaPackage, OtaRollout};
use crate::decide::keys::package_identity;
use crate::engine::context::Reconcile;
use crate::engine::trouble::Trouble;
use std::sync::Arc;

/// What other objects mean for a rollout.
#[derive(Clone, Default)]
pub(super) struct Surroundings {
    /// Why the account lets this namespace create nothing.
    pub refusal: Option<String>,
    /// The package that the spec names exists, and is invalid.
    pub package_is_invalid: bool,
    package_of_run: Option<Arc<Object>>,
}

impl Surroundings {
    /// The package that the jobs of the rollout send, when the spec names none that exists.
    pub(super) fn package_of_run(&self) -> Option<&OtaPackage> {
        self.package_of_run.as_deref().and_then(Object::as_package)
    }
}

impl Reconcile<'_> {
    /// Reads the objects that a rollout depends on, whose spec names this package.
    pub(super) async fn surroundings_of(
        &self,
        object: &OtaRollout,
        package: Option<&OtaPackage>,
    ) -> Result<Surroundings, Trouble> {
        let refusal = self.refusal_of(object.metadata.namespace.as_deref()).await?;
        if package.is_some() {
            return Ok(Surroundings { refusal, ..Surroundings::default() });
        }
        let key = ObjectKey::of(Kind::OtaRollout, &object.metadata);
        let named = key.sibling(Kind::OtaPackage, &object.spec.package_ref.name);
        let package_is_invalid = self.store().is_set_aside(&named);
        Ok(Surroundings {
            refusal,
            package_is_invalid,
            package_of_run: self.find_package_of_run(object).await?,
        })
    }

    /// The package that the jobs of a rollout send, whatever its name. This worker serves their account.
    async fn find_package_of_run(&self, object: &OtaRollout) -> Result<Option<Arc<Object>>, Trouble> {
        let identity = object.status.as_ref().and_then(|status| status.package_identity.as_ref());
        let Some(identity) = identity.filter(|_| object.account_of_jobs().is_some()) else { return Ok(None) };
        let namespace = ObjectKey::of(Kind::OtaRollout, &object.metadata).namespace;
        let is_it = |stored: &Arc<Object>| {
            stored.as_package().is_some_and(|package| package_identity(package) == *identity)
        };
        Ok(self.graph().packages_in(&namespace).await?.into_iter().find(is_it))
    }
}

#[cfg(test)]
mod tests {
    use crate::api::{Kind, ObjectKey};
    use crate::engine::testing::{Bench, WORLD, cloud, package, rollout};
    use jiff::SignedDuration;

    /// A typing error in `packageRef` must not stop the observation of jobs that were sent before it.
    #[tokio::test(start_paused = true)]
    async fn a_bad_build_is_stopped_while_package_ref_names_nothing() {
        let failing = "- {version: V2, failureRate: 60%, duration: {min: 10m, max: 20m}}";
        let world = WORLD.replace("- {version: V2, duration: {min: 10m, max: 20m}}", failing);
        let stop = "  stop: [{name: few, method: Count, maxFailure: 2}]\n  stages:";
        for (stages, expected) in [(stop, "StopRuleFired"), ("  stop: []\n  stages:", "GateFailed")] {
            let bench = Bench::new(&world);
            let mut site = bench.site();
            let release = rollout("release", "v2", 20).replace("  stages:", stages);
            site.apply(&[cloud("lab", "a"), package("v2", "lab", "V2"), release.clone()].concat()).await;
            site.until("the canary is sent", |_| !bench.tasks().is_empty()).await;
            site.apply(&release.replace("{name: v2}", "{name: v22}")).await;
            site.work(SignedDuration::from_hours(1)).await;
            let (reason, said) = site.said(&ObjectKey::new(Kind::OtaRollout, "default", "release"));
            assert_eq!(reason, expected, "{said}");
            assert_eq!(bench.tasks().len(), 1, "nothing is sent without its package");
        }
    }
}
