//! The state of a world, as redb keeps it: a write that was acknowledged survives every crash; the one that was under way
//! may have happened or not.

use super::Shared;
use super::faults::Life;
use super::mutation::Mutation;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Object, ObjectKey};
use rollwave::engine::failpoints::Failpoint;
use rollwave::state::local::Asked;
use rollwave::state::{Desired, ManifestStore, StateError, Store, memory::Memory};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Where a process may die with a request half taken in: it is no write of the engine's.
const REQUEST: &str = "Request";

/// What survives a crash, and what the process sees.
pub(super) struct Disk {
    seen: Mutex<Arc<Memory>>,
    durable: Mutex<Memory>,
    /// What people asked for and nobody has taken in, in the order of their numbers: durable, too.
    asked: Mutex<BTreeMap<u64, Asked>>,
    mutation: Option<Mutation>,
}

impl Disk {
    pub(super) fn new(mutation: Option<Mutation>) -> Self {
        Self { seen: Mutex::default(), durable: Mutex::default(), asked: Mutex::default(), mutation }
    }

    /// What the process sees.
    pub(super) fn seen(&self) -> Arc<Memory> {
        lock(&self.seen).clone()
    }

    /// What would be there after a crash.
    pub(super) fn durable(&self) -> Vec<Arc<Object>> {
        lock(&self.durable).objects()
    }

    pub(super) fn apply_desired(
        &self,
        wanted: &BTreeMap<ObjectKey, Object>,
        may_delete: bool,
        now: Timestamp,
    ) -> Result<Desired, StateError> {
        let desired = self.seen().apply_desired(wanted, may_delete, now)?;
        self.sync();
        Ok(desired)
    }

    /// Somebody asks for something; of what is not there nothing is asked.
    pub(super) fn ask(&self, asked: Asked) {
        if lock(&self.durable).get(&asked.object).is_some() {
            let mut waiting = lock(&self.asked);
            let number = waiting.last_key_value().map_or(0, |(last, _)| last + 1);
            waiting.insert(number, asked);
        }
    }

    /// What has waited longest.
    pub(super) fn first_asked(&self) -> Option<(u64, Asked)> {
        lock(&self.asked).first_key_value().map(|(number, asked)| (*number, asked.clone()))
    }

    /// What was asked is durable beside the spec; false when it was before, or its object has gone.
    pub(super) fn take_in(&self, asked: &Asked) -> bool {
        let is_news = self.seen().request(&asked.object, asked.request, &asked.at);
        self.sync();
        is_news
    }

    /// It waits no longer.
    pub(super) fn answered(&self, number: u64) {
        lock(&self.asked).remove(&number);
    }

    /// The process died: what was not durable is gone.
    pub(super) fn crash(&self) {
        *lock(&self.seen) = Arc::new(lock(&self.durable).clone());
    }

    /// The volume is lost.
    pub(super) fn lose(&self) {
        *lock(&self.durable) = Memory::default();
        lock(&self.asked).clear();
        self.crash();
    }

    fn sync(&self) {
        *lock(&self.durable) = Memory::clone(&self.seen());
    }

    /// A write is durable when it returns, except in the mutant whose journal is not.
    fn wrote(&self, shared: &Shared) {
        if self.mutation != Some(Mutation::JournalNotDurable) || shared.chaos().dice().permille(300) {
            self.sync();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state as one run of the process holds it.
pub(super) struct DiskPort {
    /// Number of the run: its writes are refused once another one leads.
    pub(super) run: u64,
    /// What its clock is ahead of the truth.
    pub(super) ahead: SignedDuration,
    pub(super) shared: Arc<Shared>,
    pub(super) life: Life,
}

impl DiskPort {
    /// The same state, whose objects a mutant sees otherwise.
    pub(super) fn seen_by(self, mutation: Mutation) -> MutantState {
        let state = Arc::new(self);
        MutantState { store: mutation.of_store(state.clone()), state }
    }

    fn fence(&self) -> Result<(), StateError> {
        if self.shared.leads(self.run) { Ok(()) } else { Err(StateError::Deposed) }
    }

    /// An error that leaves open whether the write happened, if that is its luck; then the write happens here.
    async fn fails(&self, write: impl Future<Output = Result<(), StateError>>) -> Result<(), StateError> {
        let luck = self.shared.chaos().fails_write();
        let Some(happens) = luck else { return Ok(()) };
        if happens {
            write.await?;
            self.shared.disk.wrote(&self.shared);
        }
        self.shared.note("write failed");
        Err(StateError::Write { path: "state.redb".to_owned(), cause: "no space left on device".to_owned() })
    }
}

#[async_trait]
impl Store for DiskPort {
    async fn load(&self, key: &ObjectKey) -> Result<Option<Arc<Object>>, StateError> {
        self.shared.disk.seen().load(key).await
    }

    async fn keys(&self) -> Result<Vec<ObjectKey>, StateError> {
        self.shared.disk.seen().keys().await
    }

    async fn save_status(&self, object: &Object) -> Result<(), StateError> {
        self.life.go_on().await;
        self.fence()?;
        let seen = self.shared.disk.seen();
        self.shared.saw_write(object, self.ahead);
        self.fails(seen.save_status(object)).await?;
        seen.save_status(object).await?;
        self.shared.disk.wrote(&self.shared);
        Ok(())
    }

    async fn forget(&self, key: &ObjectKey) -> Result<(), StateError> {
        self.life.go_on().await;
        self.fence()?;
        let seen = self.shared.disk.seen();
        self.shared.note(&format!("forget {key}"));
        self.fails(seen.forget(key)).await?;
        seen.forget(key).await?;
        self.shared.disk.wrote(&self.shared);
        Ok(())
    }
}

#[async_trait]
impl ManifestStore for DiskPort {
    async fn take_manifests(
        &self,
        desired: &BTreeMap<ObjectKey, Object>,
        may_delete: bool,
        now: Timestamp,
    ) -> Result<Desired, StateError> {
        self.life.go_on().await;
        self.fence()?;
        self.shared.disk.apply_desired(desired, may_delete, now)
    }

    /// A request waits until what it asks is durable.
    async fn take_requests(&self) -> Result<Vec<ObjectKey>, StateError> {
        self.life.go_on().await;
        self.fence()?;
        let mut concerned = Vec::new();
        while let Some((number, asked)) = self.shared.disk.first_asked() {
            self.life.survive(Failpoint::before(REQUEST)).await;
            self.fence()?;
            let is_news = self.shared.disk.take_in(&asked);
            let told = if is_news { "is taken in" } else { "changes nothing" };
            self.shared.note(&format!("{} of {} {told}", asked.request.as_str(), asked.object));
            self.life.survive(Failpoint::after(REQUEST)).await;
            self.shared.disk.answered(number);
            concerned.extend(is_news.then_some(asked.object));
        }
        Ok(concerned)
    }
}

/// Objects as a mutant sees them; manifests and requests are taken in as they are.
pub(super) struct MutantState {
    store: Arc<dyn Store>,
    state: Arc<DiskPort>,
}

#[async_trait]
impl Store for MutantState {
    async fn load(&self, key: &ObjectKey) -> Result<Option<Arc<Object>>, StateError> {
        self.store.load(key).await
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

#[async_trait]
impl ManifestStore for MutantState {
    async fn take_manifests(
        &self,
        desired: &BTreeMap<ObjectKey, Object>,
        may_delete: bool,
        now: Timestamp,
    ) -> Result<Desired, StateError> {
        self.state.take_manifests(desired, may_delete, now).await
    }

    async fn take_requests(&self) -> Result<Vec<ObjectKey>, StateError> {
        self.state.take_requests().await
    }
}
