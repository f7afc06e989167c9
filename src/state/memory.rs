//! Objects, status and journal in memory, by the same rules as [`super::local`]: for plans, and for simulations with their own
//! disk.
//!
//! **Invariant:** objects come out as the file would return them: times in whole seconds, and nothing that could not be read
//! again.

use super::desired::{self, Desired, Stored};
use super::{StateError, Store, change, codec};
use crate::api::{Object, ObjectKey, Request};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A state that is lost when it is dropped; clones are independent.
#[derive(Debug, Default)]
pub struct Memory {
    contents: Mutex<Contents>,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    objects: BTreeMap<ObjectKey, Arc<Object>>,
    /// How often each name was forgotten; names that never were are absent.
    incarnations: BTreeMap<ObjectKey, u64>,
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        Self { contents: Mutex::new(self.contents().clone()) }
    }
}

impl Memory {
    /// A state with these objects as they are, with their identity, generation and status.
    #[must_use]
    pub fn new(objects: impl IntoIterator<Item = Arc<Object>>) -> Self {
        let objects = objects.into_iter().map(|object| (object.key(), object)).collect();
        Self { contents: Mutex::new(Contents { objects, incarnations: BTreeMap::new() }) }
    }

    /// All objects, in order of the keys.
    #[must_use]
    pub fn objects(&self) -> Vec<Arc<Object>> {
        self.contents().objects.values().cloned().collect()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        self.contents().objects.get(key).cloned()
    }

    /// Takes over the manifests, by the rules of [`super::local::Local::apply_desired`].
    ///
    /// # Errors
    /// [`StateError::Write`] when an object could not be read back, and nothing was taken over.
    pub fn apply_desired(
        &self,
        desired: &BTreeMap<ObjectKey, Object>,
        may_delete: bool,
        now: Timestamp,
    ) -> Result<Desired, StateError> {
        let mut contents = self.contents();
        let stored = Stored { objects: &contents.objects, incarnations: &contents.incarnations };
        let merged = desired::merge(&stored, desired, may_delete, now);
        let written =
            merged.writes.iter().map(|object| codec::as_read_back(object)).collect::<Result<Vec<_>, _>>()?;
        contents.objects.extend(written.into_iter().map(|object| (object.key(), Arc::new(object))));
        Ok(merged.desired)
    }

    /// Records a request beside the object's spec; false when the object does not exist, or the request is recorded already.
    pub fn request(&self, key: &ObjectKey, request: Request, at: &str) -> bool {
        let mut contents = self.contents();
        let next = contents.objects.get(key).and_then(|stored| change::of_request(stored, request, at));
        next.is_some_and(|next| contents.objects.insert(key.clone(), Arc::new(next)).is_some())
    }

    /// Removes an object as if its finalizer were removed by force.
    #[cfg(test)]
    pub(crate) fn remove_by_force(&self, key: &ObjectKey) {
        self.contents().objects.remove(key);
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Memory {
    async fn load(&self, key: &ObjectKey) -> Result<Option<Arc<Object>>, StateError> {
        Ok(self.get(key))
    }

    async fn keys(&self) -> Result<Vec<ObjectKey>, StateError> {
        Ok(self.contents().objects.keys().cloned().collect())
    }

    async fn save_status(&self, object: &Object) -> Result<(), StateError> {
        let mut contents = self.contents();
        let key = object.key();
        if let Some(next) = change::of_status(contents.objects.get(&key).map(Arc::as_ref), object)? {
            contents.objects.insert(key, Arc::new(codec::status_as_read_back(next)?));
        }
        Ok(())
    }

    async fn forget(&self, key: &ObjectKey) -> Result<(), StateError> {
        let mut contents = self.contents();
        if change::may_forget(contents.objects.get(key).map(Arc::as_ref), key)? {
            let forgotten = change::forgotten_once_more(&contents.incarnations, key);
            contents.incarnations.insert(key.clone(), forgotten);
            contents.objects.remove(key);
        }
        Ok(())
    }
}
