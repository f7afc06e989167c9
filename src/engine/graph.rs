//! Which objects depend on which: a package on its account, a rollout on its package and on the account of its jobs, and
//! rollouts of one product on each other, because they share its devices.

use crate::api::{Kind, Object, ObjectKey, OtaCloud};
use crate::state::{StateError, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The objects of a store, by what they depend on.
#[derive(Clone, Copy)]
pub(super) struct Graph<'a>(pub(super) &'a dyn Store);

impl Graph<'_> {
    /// The `OtaCloud` whose worker an object belongs to. A rollout without a package belongs to a worker without an
    /// `OtaCloud`, which can only report that.
    pub(super) async fn account_of(&self, object: &Object) -> Result<ObjectKey, StateError> {
        let package = match object.waits_for().filter(|key| key.kind == Kind::OtaPackage) {
            Some(package) => self.0.load(&package).await?,
            None => None,
        };
        Ok(object.account(package.as_deref()))
    }

    /// Every object, in the order of the keys.
    pub(super) async fn all(&self) -> Result<Vec<Arc<Object>>, StateError> {
        self.with_key(|_| true).await
    }

    /// Every `OtaCloud`.
    pub(super) async fn clouds(&self) -> Result<Vec<OtaCloud>, StateError> {
        let clouds = self.with_key(|key| key.kind == Kind::OtaCloud).await?;
        let as_cloud = |object: &Arc<Object>| match object.as_ref() {
            Object::Cloud(cloud) => Some(cloud.clone()),
            _ => None,
        };
        Ok(clouds.iter().filter_map(as_cloud).collect())
    }

    /// Every rollout.
    pub(super) async fn rollouts(&self) -> Result<Vec<Arc<Object>>, StateError> {
        self.with_key(|key| key.kind == Kind::OtaRollout).await
    }

    /// Every package of a namespace.
    pub(super) async fn packages_in(&self, namespace: &str) -> Result<Vec<Arc<Object>>, StateError> {
        self.with_key(|key| key.kind == Kind::OtaPackage && key.namespace == namespace).await
    }

    /// The packages and rollouts that the worker of this account reconciles.
    pub(super) async fn served_by(&self, account: &ObjectKey) -> Result<Vec<Arc<Object>>, StateError> {
        let mut served = Vec::new();
        for object in self.with_key(|key| key.kind != Kind::OtaCloud).await? {
            if self.account_of(&object).await? == *account {
                served.push(object);
            }
        }
        Ok(served)
    }

    /// The rollouts that name this package.
    pub(super) async fn rollouts_of(&self, package: &ObjectKey) -> Result<Vec<Arc<Object>>, StateError> {
        let mut rollouts =
            self.with_key(|key| key.kind == Kind::OtaRollout && key.namespace == package.namespace).await?;
        rollouts.retain(|object| object.waits_for().as_ref() == Some(package));
        Ok(rollouts)
    }

    async fn with_key(
        &self,
        is_wanted: impl Fn(&ObjectKey) -> bool + Send + Sync,
    ) -> Result<Vec<Arc<Object>>, StateError> {
        let mut objects = Vec::new();
        for key in self.0.keys().await?.iter().filter(|key| is_wanted(key)) {
            objects.extend(self.0.load(key).await?);
        }
        Ok(objects)
    }

    /// What a package is for: its account, kind, product and module.
    async fn product_of(&self, package: &ObjectKey) -> Result<Option<(ObjectKey, String)>, StateError> {
        let object = self.0.load(package).await?;
        let Some(package) = object.as_deref().and_then(Object::as_package) else { return Ok(None) };
        let spec = &package.spec;
        Ok(Some((package.account(), format!("{:?} {} {:?}", spec.kind, spec.product, spec.module()))))
    }
}

/// The rollouts of each package, including those that were deleted since: others wait for their end.
#[derive(Debug, Default)]
pub(super) struct Dependents(BTreeMap<ObjectKey, BTreeSet<ObjectKey>>);

impl Dependents {
    /// Remembers which package a rollout names.
    pub(super) fn note(&mut self, object: &Object) {
        if let Some(package) = object.waits_for().filter(|key| key.kind == Kind::OtaPackage) {
            self.0.entry(package).or_default().insert(object.key());
        }
    }

    /// The rollouts that name a package, or did.
    pub(super) fn rollouts_of(&self, package: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.0.get(package).into_iter().flatten()
    }

    /// The package whose deletion may have waited for this rollout, which is deleted.
    pub(super) async fn waiting_for(
        &self,
        graph: Graph<'_>,
        rollout: &ObjectKey,
    ) -> Result<Vec<ObjectKey>, StateError> {
        let mut waiting = Vec::new();
        for (package, _) in self.0.iter().filter(|(_, rollouts)| rollouts.contains(rollout)) {
            if graph.0.load(package).await?.is_some_and(|package| package.is_deleting()) {
                waiting.push(package.clone());
            }
        }
        Ok(waiting)
    }

    /// Rollouts that may own other devices now that these objects have changed: those of the same products.
    pub(super) async fn rivals_of(
        &self,
        graph: Graph<'_>,
        changed: &BTreeSet<ObjectKey>,
    ) -> Result<BTreeSet<ObjectKey>, StateError> {
        let is_concerned = |(package, rollouts): &(&ObjectKey, &BTreeSet<ObjectKey>)| {
            changed.contains(*package) || !rollouts.is_disjoint(changed)
        };
        let mut products = BTreeSet::new();
        for (package, _) in self.0.iter().filter(is_concerned) {
            products.extend(graph.product_of(package).await?);
        }
        let mut rivals = BTreeSet::new();
        for (package, rollouts) in &self.0 {
            if graph.product_of(package).await?.is_some_and(|product| products.contains(&product)) {
                rivals.extend(rollouts.iter().cloned());
            }
        }
        Ok(rivals)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cloud, package, rollout};
    use super::*;
    use crate::source::manifest;
    use crate::state::memory::Memory;
    use std::path::Path;

    fn key(kind: Kind, name: &str) -> ObjectKey {
        ObjectKey::new(kind, "default", name)
    }

    fn objects(text: &str) -> Vec<Object> {
        manifest::parse(Path::new("t"), text).0.into_iter().map(|sourced| sourced.object).collect()
    }

    /// Two accounts; of the packages of the first one, two are for one product and one is for another.
    fn store() -> Memory {
        let clouds = cloud("lab", "a") + &cloud("works", "b");
        let packages =
            package("v2", "lab", "V2") + &package("v3", "lab", "V3") + &package("w2", "works", "V2");
        let other = package("valve", "lab", "V1").replace("{id: meter}", "{id: valve}");
        let rollouts = [("r2", "v2"), ("r3", "v3"), ("rw", "w2"), ("rv", "valve"), ("astray", "none")];
        let rollouts = rollouts.map(|(name, package)| rollout(name, package, 5)).concat();
        Memory::new(objects(&[clouds, packages, other, rollouts].concat()).into_iter().map(Arc::new))
    }

    fn names<'a>(objects: impl IntoIterator<Item = &'a Arc<Object>>) -> Vec<String> {
        objects.into_iter().map(|object| object.key().name).collect()
    }

    #[tokio::test]
    async fn objects_are_found_by_what_they_depend_on() {
        let store = store();
        let graph = Graph(&store);
        assert_eq!(
            names(&graph.served_by(&key(Kind::OtaCloud, "lab")).await.unwrap()),
            ["v2", "v3", "valve", "r2", "r3", "rv"]
        );
        assert_eq!(names(&graph.served_by(&key(Kind::OtaCloud, "works")).await.unwrap()), ["w2", "rw"]);
        assert_eq!(names(&graph.served_by(&key(Kind::OtaCloud, "")).await.unwrap()), ["astray"]);
        assert_eq!(names(&graph.rollouts_of(&key(Kind::OtaPackage, "v2")).await.unwrap()), ["r2"]);
        assert_eq!(names(&graph.rollouts_of(&key(Kind::OtaPackage, "r2")).await.unwrap()), [""; 0]);
        assert_eq!(graph.clouds().await.unwrap().len(), 2);
        assert_eq!((graph.rollouts().await.unwrap().len(), graph.all().await.unwrap().len()), (5, 11));
        assert_eq!(graph.packages_in("default").await.unwrap().len(), 4);
        assert_eq!(graph.packages_in("team").await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn rollouts_of_one_product_of_one_account_are_rivals() {
        let store = store();
        let (graph, mut dependents) = (Graph(&store), Dependents::default());
        for rollout in graph.all().await.unwrap() {
            dependents.note(&rollout);
        }
        for (changed, rivals) in [
            (key(Kind::OtaRollout, "r2"), &["r2", "r3"][..]),
            (key(Kind::OtaPackage, "v3"), &["r2", "r3"]),
            (key(Kind::OtaRollout, "rv"), &["rv"]),
            (key(Kind::OtaPackage, "w2"), &["rw"]),
            (key(Kind::OtaRollout, "astray"), &[]),
            (key(Kind::OtaCloud, "lab"), &[]),
        ] {
            let found = dependents.rivals_of(graph, &BTreeSet::from([changed.clone()])).await.unwrap();
            assert_eq!(found.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), rivals, "{changed}");
        }
    }

    #[tokio::test]
    async fn a_deleted_rollout_is_remembered_by_the_package_that_waits_for_it() {
        let (mut dependents, rollout) = (Dependents::default(), key(Kind::OtaRollout, "r2"));
        store().objects().iter().for_each(|object| dependents.note(object));
        let deleting = |is_deleting: bool| {
            let mut package = objects(&package("v2", "lab", "V2")).remove(0);
            package.meta_mut().deletion_timestamp =
                is_deleting.then_some(crate::api::Time(jiff::Timestamp::UNIX_EPOCH));
            Memory::new([Arc::new(package)])
        };
        for (is_deleting, waiting) in [(false, 0), (true, 1)] {
            let store = deleting(is_deleting);
            assert_eq!(dependents.waiting_for(Graph(&store), &rollout).await.unwrap().len(), waiting);
        }
        assert_eq!(dependents.rollouts_of(&key(Kind::OtaPackage, "v2")).collect::<Vec<_>>(), [&rollout]);
    }
}
