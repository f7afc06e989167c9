//! The other rollouts of a product: which of them may own a device, and the members of their groups and tags.

use super::sets_read::SetsRead;
use crate::api::{Kind, Object, ObjectKey, OtaPackage, OtaRollout, support};
use crate::cloud::ErrorClass;
use crate::decide::needs::{self, package_key};
use crate::decide::ownership::Rival;
use crate::decide::sets::Chosen;
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
            let members = match Chosen::by_targets(&rival.spec.targets) {
                Some(chosen) => self.members_of(rival, chosen, package).await?,
                None => None,
            };
            rivals.push(Read { rollout, package: named, members });
        }
        Ok(Rivals(rivals))
    }

    /// The devices that another rollout selects by sets; none when one of them cannot be read.
    async fn members_of(
        &mut self,
        rival: &OtaRollout,
        chosen: Chosen<'_>,
        package: &OtaPackage,
    ) -> Result<Option<BTreeSet<String>>, Trouble> {
        let (mut known, nobody) = (SetsRead::default(), BTreeSet::new());
        let mut absent = Vec::new();
        // The same lists that the rival reads itself.
        for set in needs::target_sets(rival) {
            match self.read_set(set.clone(), package, &mut known).await {
                Ok(()) => {}
                // A group that does not exist has no members.
                Err(Trouble::Call(error)) if error.class == ErrorClass::NotFound => absent.push(set),
                Err(Trouble::Call(error)) if error.class.may_concern_one_resource() => return Ok(None),
                Err(trouble) => return Err(trouble),
            }
        }
        let mut sets = known.seen(&self.worker.inventory);
        sets.read.extend(absent.into_iter().map(|set| (set, &nobody)));
        let members = chosen.members(&sets);
        Ok(members.map(|ids| ids.into_iter().map(str::to_owned).collect()))
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
                Chosen::by_targets(targets).is_none()
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

    #[tokio::test(start_paused = true)]
    async fn a_group_that_cannot_be_read_is_read_at_intervals_that_do_not_depend_on_how_many_rollouts_need_it()
     {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        let of_group = |name: &str| rollout(name, "v3", 5).replace("{all: true}", "{groups: [dead-beef]}");
        let ours = [cloud("lab", "a"), package("v2", "lab", "V2"), rollout("release", "v2", 5)].concat();
        let others = ["one", "two", "three", "four"].map(of_group).concat();
        bench.break_paths(&["device-group"]);
        site.apply(&[ours, package("v3", "lab", "V3"), others].concat()).await;
        site.work(SignedDuration::from_hours(1)).await;
        let (_, said) = site.said(&ObjectKey::new(Kind::OtaRollout, "default", "release"));
        assert!(said.contains("which cannot be read"), "{said}");
        let reads = bench.sent("GET", "/dead-beef/devices");
        // Three attempts every two minutes; with an interval for each rollout it was 1,683.
        assert!(reads <= 3 * 40, "{reads}");
    }
}
