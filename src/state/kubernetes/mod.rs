//! Objects, status and journal in a Kubernetes cluster: the status subresource is the state, stored in etcd.
//!
//! Objects are read from what watches reported; every write has the resource version that it was decided on as its precondition.
//! An object gets our finalizer before anything is written into its status, so that nothing is created for an object that can be
//! deleted unnoticed.
//!
//! **Invariant:** a write is sent once. Whether a failed write succeeded is found out by reading.\
//! **Invariant:** an intent is written over exactly the object that the create was decided on, or not at all.

mod cache;
pub mod election;
pub mod events;
pub mod lease;
pub mod request;
pub mod schema;
pub mod shard;
pub mod time;
mod write;

use super::{StateError, Store, codec};
use crate::api::{Object, ObjectKey, ObjectMeta, Scope};
use async_trait::async_trait;
use cache::{Base, Cache, Seen};
use kube::Client;
use lease::Held;
use shard::Shard;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use write::{Failure, Writer};

/// How often a write that announces no create is retried after a write of another client.
const ATTEMPTS: usize = 4;

/// The objects of a cluster, while this process leads.
pub struct Cluster {
    cache: Mutex<Cache>,
    writer: Writer,
    held: Held,
    /// Objects that cannot be parsed.
    set_aside: Mutex<BTreeSet<ObjectKey>>,
}

impl Cluster {
    /// Without objects: [`Self::take`] adds them. `files`: a folder with one folder of files per namespace.
    #[must_use]
    pub fn new(client: Client, held: Held, files: Option<PathBuf>) -> Self {
        let writer = Writer::new(client, held.time());
        Self { cache: Mutex::new(Cache::with_files(files)), writer, held, set_aside: Mutex::default() }
    }

    /// Takes in an object that a watch reported; true when it must be reconciled.
    pub fn take(&self, object: Object) -> bool {
        lock(&self.set_aside).remove(&object.key());
        self.cache().take(object, Seen::Event)
    }

    /// Takes in an object of the initial list of a watch; true when it must be reconciled.
    pub fn take_listed(&self, object: Object) -> bool {
        lock(&self.set_aside).remove(&object.key());
        self.cache().take(object, Seen::List)
    }

    /// A watch restarts, with a list of what it covers.
    pub fn begin_list(&self, scope: Scope) {
        self.cache().begin_list(scope);
    }

    /// The list is complete; returns the objects that were deleted meanwhile.
    pub fn end_list(&self, scope: &Scope) -> Vec<ObjectKey> {
        self.cache().end_list(scope)
    }

    /// The object was deleted; true when it was known.
    pub fn remove(&self, key: &ObjectKey) -> bool {
        lock(&self.set_aside).remove(key);
        self.cache().remove(key)
    }

    /// The object cannot be parsed: it is not worked on until it is corrected.
    pub fn set_aside(&self, key: &ObjectKey) {
        self.cache().remove(key);
        lock(&self.set_aside).insert(key.clone());
    }

    /// Reports in the status of the object that it cannot be parsed; true when that was not reported before, false also when the
    /// object has changed since. The finalizer of a deleted one is removed: what is in the cloud stays there.
    ///
    /// # Errors
    /// [`StateError`]: it could not be written; the watch reports the object again.
    pub async fn say_broken(
        &self,
        key: &ObjectKey,
        meta: &ObjectMeta,
        why: &str,
    ) -> Result<bool, StateError> {
        self.fence()?;
        let written = if meta.deletion_timestamp.is_some() {
            self.writer.release(key, meta).await.map(|()| false)
        } else {
            self.writer.say_broken(key, meta, why).await
        };
        written.map_err(|failure| failure.of(key))
    }

    /// The present objects of a shard.
    #[must_use]
    pub fn objects(&self, share: Shard) -> Vec<Arc<Object>> {
        let cache = self.cache();
        let objects = cache.keys().into_iter().filter_map(|key| cache.get(&key));
        let is_ours = |object: &Arc<Object>| {
            let package = object.waits_for().and_then(|key| cache.get(&key));
            share.has(&object.account(package.as_deref()))
        };
        objects.filter(is_ours).collect()
    }

    fn fence(&self) -> Result<(), StateError> {
        if self.held.is_held() { Ok(()) } else { Err(StateError::Deposed) }
    }

    async fn write_status(&self, mut base: Base, object: &Object) -> Result<(), Failure> {
        if !cache::is_held(base.object.meta()) {
            let held = self.writer.hold(&base.object).await?;
            self.cache().wrote(&base, held);
            base = self.cache().base(object).map_err(|_| Failure::Conflict)?;
        }
        if cache::announces(object, &base.object) {
            self.hold_account(object).await?;
        }
        let next = codec::with_status_of(&base.object, object);
        let written = self.writer.put_status(&next).await?;
        self.cache().wrote(&base, written);
        Ok(())
    }

    /// Adds our finalizer to the account of an object: what was created can be settled and deleted only through it.
    async fn hold_account(&self, object: &Object) -> Result<(), Failure> {
        let account = {
            let cache = self.cache();
            let package = object.waits_for().and_then(|key| cache.get(&key));
            cache.get(&object.account(package.as_deref())).ok_or(Failure::Conflict)?
        };
        if !cache::is_held(account.meta()) {
            let held = self.writer.hold(&account).await?;
            self.cache().take(held, Seen::Event);
        }
        Ok(())
    }

    /// Reads an object again: what is known of it may be old.
    async fn read_again(&self, key: &ObjectKey) -> Result<(), Failure> {
        let object = self.writer.get(key).await?;
        self.cache().take_read(key, object);
        Ok(())
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        lock(&self.cache)
    }

    async fn save(&self, key: &ObjectKey, object: &Object) -> Result<(), StateError> {
        for _ in 0..ATTEMPTS {
            self.fence()?;
            let base = self.cache().base(object)?;
            if codec::same_status(&base.object, object) {
                return Ok(());
            }
            match self.write_status(base, object).await {
                Ok(()) => return Ok(()),
                // Somebody wrote before the watch told us: what may be said again is said on top of that.
                Err(Failure::Conflict) => self.read_again(key).await.map_err(|failure| failure.of(key))?,
                Err(failure) => return Err(failure.of(key)),
            }
        }
        Err(StateError::Conflict { key: key.to_string() })
    }

    async fn release(&self, key: &ObjectKey) -> Result<(), StateError> {
        for _ in 0..ATTEMPTS {
            self.fence()?;
            let Some(object) = self.cache().get(key) else { return Ok(()) };
            if !object.is_deleting() {
                return Err(StateError::Conflict { key: key.to_string() });
            }
            match self.writer.release(key, object.meta()).await {
                Ok(()) => {
                    self.remove(key);
                    return Ok(());
                }
                Err(Failure::Conflict) => self.read_again(key).await.map_err(|failure| failure.of(key))?,
                Err(failure) => return Err(failure.of(key)),
            }
        }
        Err(StateError::Conflict { key: key.to_string() })
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Store for Cluster {
    async fn load(&self, key: &ObjectKey) -> Result<Option<Arc<Object>>, StateError> {
        Ok(self.cache().get(key))
    }

    /// One GET.
    async fn refresh(&self, key: &ObjectKey) -> Result<(), StateError> {
        let read = self.read_again(key).await;
        read.map_err(|failure| StateError::Read { path: key.to_string(), cause: failure.to_string() })
    }

    async fn keys(&self) -> Result<Vec<ObjectKey>, StateError> {
        Ok(self.cache().keys())
    }

    async fn save_status(&self, object: &Object) -> Result<(), StateError> {
        let key = object.key();
        self.cache().set_being_written(&key, true);
        let saved = self.save(&key, object).await;
        self.cache().set_being_written(&key, false);
        saved
    }

    /// Removes our finalizer: with the last one, the API server deletes the object.
    async fn forget(&self, key: &ObjectKey) -> Result<(), StateError> {
        self.release(key).await
    }

    fn is_set_aside(&self, key: &ObjectKey) -> bool {
        lock(&self.set_aside).contains(key)
    }
}
