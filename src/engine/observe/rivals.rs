//! The other rollouts of a product: which of them may own a device, and the members of their groups and tags.

use crate::api::{Kind, Object, ObjectKey, OtaPackage, OtaRollout, support};
use crate::cloud::ErrorClass;
use crate::decide::Labels;
use crate::decide::needs::{self, package_key};
use crate::decide::ownership::Rival;
use crate::engine::context::Reconcile;
use crate::engine::trouble::Trouble;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rollouts that target devices of the same product, as they were read.
#[derive(Default)]
pub(in crate::engine) struct Rivals(Vec<Read>);

struct Read {
    rollout: Arc<Object>,
    package: Arc<Object>,
    /// Ids that its groups or tags resolve to; none when it names neither, or when they cannot be read.
    members: Option<BTreeSet<String>>,
}

impl Rivals {
    /// The rollouts and packages that were read.
    pub(in crate::engine) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.0.iter().flat_map(|read| [read.rollout.as_ref(), read.package.as_ref()])
    }

    /// As decisions use them.
    pub(in crate::engine) fn seen(&self) -> Vec<Rival<'_>> {
        // A read holds a rollout and a package, and nothing else.
        self.0.iter().filter_map(Read::seen).collect()
    }
}

impl Read {
    fn seen(&self) -> Option<Rival<'_>> {
        let Object::Rollout(rollout) = self.rollout.as_ref() else { return None };
        Some(Rival { rollout, package: self.package.as_package()?, members: self.members.as_ref() })
    }
}

impl Reconcile<'_> {
    /// Reads the other rollouts of the account and product. What cannot be read of one of them stays unknown: it holds
    /// the rollouts that it concerns, and fails no other reconcile.
    pub(super) async fn observe_rivals(
        &mut self,
        object: &OtaRollout,
        package: &OtaPackage,
    ) -> Result<Rivals, Trouble> {
        let mut rivals = Vec::new();
        for (rollout, named) in self.others_of(object, package).await? {
            let Object::Rollout(rival) = rollout.as_ref() else { continue };
            let mut members = None;
            for need in needs::for_rival(rival) {
                match self.read_members(need, package, (&mut members, &mut Labels::new())).await {
                    Ok(()) => {}
                    // A group that does not exist has no members.
                    Err(Trouble::Call(error)) if error.class == ErrorClass::NotFound => {
                        members.get_or_insert_default();
                    }
                    Err(Trouble::Call(error)) if error.class.may_concern_one_resource() => {
                        members = None;
                        break;
                    }
                    Err(trouble) => return Err(trouble),
                }
            }
            rivals.push(Read { rollout, package: named, members });
        }
        Ok(Rivals(rivals))
    }

    /// The other rollouts of the account that send a package for the same product, type and module, with that package.
    /// Rollouts whose targets the cloud cannot resolve are left out: they never send anything.
    pub(in crate::engine) async fn others_of(
        &self,
        object: &OtaRollout,
        package: &OtaPackage,
    ) -> Result<Vec<(Arc<Object>, Arc<Object>)>, Trouble> {
        let (ours, scope) = (ObjectKey::of(Kind::OtaRollout, &object.metadata), package_key(package).scope());
        let cloud = self.capabilities().map(|limits| limits.cloud);
        let mut found = Vec::new();
        for object in self.graph().rollouts().await? {
            let (key, Object::Rollout(rollout)) = (object.key(), object.as_ref()) else { continue };
            if key == ours {
                continue;
            }
            let named = key.sibling(Kind::OtaPackage, &rollout.spec.package_ref.name);
            let Some(of_it) = self.store().load(&named).await? else { continue };
            let is_same = of_it.as_package().is_some_and(|other| {
                other.spec.kind == package.spec.kind && package_key(other).scope() == scope
            });
            let targets = &rollout.spec.targets;
            let is_resolved = cloud.is_none_or(|cloud| {
                targets.groups.is_none() && targets.tags.is_none()
                    || support::refusals_at(cloud, Kind::OtaRollout, "spec.targets", targets).is_empty()
            });
            if is_same && is_resolved && self.owns(&of_it).await? {
                found.push((object, of_it));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use crate::api::{Kind, ObjectKey};
    use crate::engine::testing::{Bench, WORLD, cloud, package, rollout};
    use jiff::SignedDuration;

    #[tokio::test(start_paused = true)]
    async fn a_rollout_for_a_group_that_does_not_exist_holds_up_no_other() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        let astray = rollout("astray", "v3", 5).replace("{all: true}", "{groups: [dead-beef]}");
        let ours = [cloud("lab", "a"), package("v2", "lab", "V2"), rollout("release", "v2", 5)].concat();
        site.apply(&[ours, package("v3", "lab", "V3"), astray].concat()).await;
        site.until("the canary is sent", |_| bench.tasks().len() == 1).await;
        site.work(SignedDuration::from_hours(3)).await;
        assert_eq!(bench.versions("m-").get("V2"), Some(&30));
        let (_, said) = site.said(&ObjectKey::new(Kind::OtaRollout, "default", "astray"));
        assert!(said.contains("The device group does not exist"), "{said}");
    }
}
