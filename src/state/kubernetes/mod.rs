//! Objects, status and journal in a Kubernetes cluster: the status subresource is the state, and etcd the disk.
//!
//! Objects are read from what watches told; every write has the resource version that it was decided on as its
//! precondition. An object is held by our finalizer before the first word is written into its status, so that nothing is
//! created for an object that can go unseen.
//!
//! **Invariant:** a write is sent once. What fails, fails; whether it arrived is found out by reading.\
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

/// A write that says nothing new is tried again after somebody else's, so many times.
const ATTEMPTS: usize = 4;

/// The objects of a cluster, for as long as this process leads.
pub struct Cluster {
    cache: Mutex<Cache>,
    writer: Writer,
    held: Held,
    /// Objects that cannot be understood.
    set_aside: Mutex<BTreeSet<ObjectKey>>,
}

impl Cluster {
    /// Without objects: [`Self::take`] brings them. `files`: a folder with a folder of files for each namespace.
    #[must_use]
    pub fn new(client: Client, held: Held, files: Option<PathBuf>) -> Self {
        let writer = Writer::new(client, held.time());
        Self { cache: Mutex::new(Cache::with_files(files)), writer, held, set_aside: Mutex::default() }
    }

    /// Takes in an object that a watch told of; true when somebody must look at it.
    pub fn take(&self, object: Object) -> bool {
        lock(&self.set_aside).remove(&object.key());
        self.cache().take(object, Seen::Event)
    }

    /// Takes in an object of the list with which a watch begins; true when somebody must look at it.
    pub fn take_listed(&self, object: Object) -> bool {
        lock(&self.set_aside).remove(&object.key());
        self.cache().take(object, Seen::List)
    }

    /// A watch restarts, with a list of what it covers.
    pub fn begin_list(&self, scope: Scope) {
        self.cache().begin_list(scope);
    }

    /// The list is complete; gives what has gone meanwhile.
    pub fn end_list(&self, scope: &Scope) -> Vec<ObjectKey> {
        self.cache().end_list(scope)
    }

    /// The object is gone; true when it was known.
    pub fn remove(&self, key: &ObjectKey) -> bool {
        lock(&self.set_aside).remove(key);
        self.cache().remove(key)
    }

    /// The object cannot be understood: it is left alone until it is corrected.
    pub fn set_aside(&self, key: &ObjectKey) {
        self.cache().remove(key);
        lock(&self.set_aside).insert(key.clone());
    }

    /// The object cannot be understood: says so in its status; true when that was not said before, and false also when the
    /// object has changed since. One that is being deleted is let go: what is in the cloud stays there.
    ///
    /// # Errors
    /// [`StateError`]: it could not be written; the watch tells of the object again.
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

    /// The objects of a share as they stand.
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

    /// Puts our finalizer on the account of an object: what was created can be settled and deleted only through it.
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

    /// Reads an object anew, after a write was refused.
    async fn refresh(&self, key: &ObjectKey) -> Result<(), Failure> {
        match self.writer.get(key).await? {
            Some(object) => self.cache().take(object, Seen::Event),
            None => self.cache().remove(key),
        };
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
                Err(Failure::Conflict) => self.refresh(key).await.map_err(|failure| failure.of(key))?,
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
                Err(Failure::Conflict) => self.refresh(key).await.map_err(|failure| failure.of(key))?,
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

    /// Takes our finalizer off: with the last one, the API server lets the object go.
    async fn forget(&self, key: &ObjectKey) -> Result<(), StateError> {
        self.release(key).await
    }

    fn is_set_aside(&self, key: &ObjectKey) -> bool {
        lock(&self.set_aside).contains(key)
    }
}
