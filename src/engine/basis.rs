//! The basis of a decision: specs and requests of the objects that it depends on. Nothing is sent once a user has
//! changed one of them, because minutes may pass between a decision and its request (a budget, an upload, other
//! requests of the same reconcile).

use crate::api::{Kind, Object, ObjectKey};
use crate::state::{StateError, Store};
use std::collections::BTreeMap;

/// The objects that a decision depends on, as their users had written them.
#[derive(Debug, Default)]
pub(super) struct Basis(BTreeMap<ObjectKey, Wanted>);

/// What users wrote: everything but the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    uid: Option<String>,
    generation: Option<i64>,
    is_deleting: bool,
    annotations: Option<BTreeMap<String, String>>,
}

impl Wanted {
    /// The generation of the spec.
    pub(super) const fn generation(&self) -> Option<i64> {
        self.generation
    }

    pub(super) fn of(object: &Object) -> Self {
        let meta = object.meta();
        Self {
            uid: meta.uid.clone(),
            generation: meta.generation,
            is_deleting: object.is_deleting(),
            annotations: meta.annotations.clone(),
        }
    }
}

impl Basis {
    /// Adds an object that the decision depends on. One that was read more than once, as a package that several rollouts
    /// send is, counts as it was first read: part of the decision depends on that.
    pub(super) fn with(mut self, object: &Object) -> Self {
        self.0.entry(object.key()).or_insert_with(|| Wanted::of(object));
        self
    }

    /// Adds the account of the decision.
    pub(super) fn in_account(mut self, account: &ObjectKey, wanted: Option<&Wanted>) -> Self {
        self.0.extend(wanted.map(|wanted| (account.clone(), wanted.clone())));
        self
    }

    /// True when the decision depends on this object.
    pub(super) fn has(&self, key: &ObjectKey) -> bool {
        self.0.contains_key(key)
    }

    /// True while every object that the decision depends on is unchanged.
    pub(super) async fn still_stands(&self, store: &dyn Store) -> Result<bool, StateError> {
        for (key, wanted) in &self.0 {
            if store.load(key).await?.is_none_or(|now| Wanted::of(&now) != *wanted) {
                tracing::info!(changed = %key, "an object changed since the decision: deciding again before anything is sent");
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same of what is so at this moment: the package and the account of `object` are read again where a watch may report an edit
    /// of them late. The object itself needs no read: its intent was written over its newest version.
    pub(super) async fn still_stands_now(
        &self,
        store: &dyn Store,
        object: &Object,
        account: &ObjectKey,
    ) -> Result<bool, StateError> {
        let package = object.waits_for().filter(|key| key.kind == Kind::OtaPackage);
        for key in package.iter().chain([account]).filter(|key| self.has(key)) {
            store.refresh(key).await?;
        }
        self.still_stands(store).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::Engine;
    use super::super::testing::{Bench, Site, WORLD, cloud, package, rollout};
    use crate::api::{Kind, Object, ObjectKey, Request};
    use crate::state::memory::Memory;
    use crate::state::{StateError, Store};
    use async_trait::async_trait;
    use jiff::SignedDuration;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    /// A cluster whose watch reports edits of these objects late: what it gives of them is what they were.
    #[derive(Default)]
    struct Lagging {
        store: Arc<Memory>,
        known: Mutex<BTreeMap<ObjectKey, Arc<Object>>>,
    }

    #[async_trait]
    impl Store for Lagging {
        async fn load(&self, key: &ObjectKey) -> Result<Option<Arc<Object>>, StateError> {
            let known = self.known.lock().unwrap().get(key).cloned();
            if known.is_some() { Ok(known) } else { self.store.load(key).await }
        }

        async fn refresh(&self, key: &ObjectKey) -> Result<(), StateError> {
            self.known.lock().unwrap().remove(key);
            Ok(())
        }

        async fn keys(&self) -> Result<Vec<ObjectKey>, StateError> {
            self.store.keys().await
        }

        async fn save_status(&self, object: &Object) -> Result<(), StateError> {
            self.store.save_status(object).await
        }

        async fn forget(&self, key: &ObjectKey) -> Result<(), StateError> {
            self.store.forget(key).await
        }
    }

    fn jobs_sent(bench: &Bench) -> usize {
        bench.sent("POST", "/a/batchtasks")
    }

    fn release() -> ObjectKey {
        ObjectKey::new(Kind::OtaRollout, "default", "release")
    }

    fn manifests() -> String {
        let slow = cloud("lab", "a") + "  budget: {requestsPerSecond: 1, burst: 1}\n";
        // It sends the same package, which is read again for it.
        let other = rollout("other", "v2", 10) + "  priority: -7\n  suspend: true\n";
        [slow, package("v2", "lab", "V2"), rollout("release", "v2", 10), other].concat()
    }

    async fn edit(site: &mut Site, edit: &str) {
        match edit {
            "suspend" => site.apply(&(rollout("release", "v2", 10) + "  suspend: true\n")).await,
            "exclude" => {
                let exclude = |n| format!("m-{n:04}");
                let all = (0..30).map(exclude).collect::<Vec<_>>().join(", ");
                let targets = format!("targets: {{all: true, exclude: {{devices: [{all}]}}}}");
                site.apply(&rollout("release", "v2", 10).replace("targets: {all: true}", &targets)).await;
            }
            "pause" => assert!(site.store.request(&release(), Request::Pause, "2027-01-15T08:00:00Z")),
            "delete" => site.remove(&release()).await,
            "another package" => site.apply(&rollout("release", "v9", 10)).await,
            "other versions" => {
                site.apply(&(package("v2", "lab", "V2") + "  sourceVersions: [V9]\n")).await;
            }
            "another account" => site.apply(&cloud("lab", "b")).await,
            "an owner" => {
                let owner = rollout("owner", "v2", 10) + "  priority: 7\n  suspend: true\n";
                site.apply(&owner).await;
            }
            _ => panic!("{edit}"),
        }
    }

    /// Each edit at each moment of the first dispatch, under a budget that lets requests wait for seconds.
    #[tokio::test(start_paused = true)]
    async fn no_job_leaves_after_an_edit_that_forbids_it_is_durable() {
        let edits = [
            "suspend",
            "exclude",
            "pause",
            "delete",
            "another package",
            "other versions",
            "another account",
            "an owner",
        ];
        for name in edits {
            let mut caught_before_the_job = 0;
            for moment in 0..24 {
                let bench = Bench::new(WORLD);
                let mut site = bench.site();
                site.apply(&manifests()).await;
                site.work(SignedDuration::from_millis(400 * moment)).await;
                let before = jobs_sent(&bench);
                edit(&mut site, name).await;
                site.work(SignedDuration::from_mins(3)).await;
                assert_eq!(jobs_sent(&bench), before, "{name} after {moment} times 0.4 s");
                caught_before_the_job += usize::from(before == 0);
            }
            assert!((6..24).contains(&caught_before_the_job), "{name}: {caught_before_the_job} of 24");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_job_leaves_by_a_package_or_an_account_whose_edit_is_reported_late() {
        let fit = package("v2", "lab", "V2") + "  sourceVersions: [V9]\n";
        let forbidden = cloud("lab", "b");
        for edit in [fit, forbidden] {
            let bench = Bench::new(WORLD);
            let mut site = bench.site();
            let store = Arc::new(Lagging { store: site.store.clone(), ..Lagging::default() });
            site.engine = Engine::new(store.clone(), bench.ports());
            let suspended = rollout("release", "v2", 10) + "  suspend: true\n";
            site.apply(&[cloud("lab", "a"), package("v2", "lab", "V2"), suspended].concat()).await;
            site.work(SignedDuration::from_mins(2)).await;
            for kind in [Kind::OtaPackage, Kind::OtaCloud] {
                let name = if kind == Kind::OtaCloud { "lab" } else { "v2" };
                let key = ObjectKey::new(kind, "default", name);
                store.known.lock().unwrap().insert(key.clone(), site.object(&key));
            }
            site.apply(&edit).await;
            site.apply(&rollout("release", "v2", 10)).await;
            site.work(SignedDuration::from_mins(3)).await;
            assert_eq!(jobs_sent(&bench), 0, "{edit}");
        }
    }

    /// Somebody takes the finalizer off the account while its worker is connected: what is left of it must not wait for ever.
    #[tokio::test(start_paused = true)]
    async fn a_package_whose_account_was_removed_by_force_is_deleted() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        site.apply(&[cloud("lab", "a"), package("v2", "lab", "V2")].concat()).await;
        site.work(SignedDuration::from_mins(2)).await;
        let (account, package) = (
            ObjectKey::new(Kind::OtaCloud, "default", "lab"),
            ObjectKey::new(Kind::OtaPackage, "default", "v2"),
        );
        site.store.remove_by_force(&account);
        site.remove(&account).await;
        site.remove(&package).await;
        site.work(SignedDuration::from_mins(30)).await;
        assert!(site.store.get(&package).is_none(), "{:?}", site.said(&package));
    }
}
