//! Objects, their status and the journal.
//!
//! The journal is part of the status (`status.pending`): one write makes an intent durable, in every state backend.
//!
//! **Invariant:** [`Store::save_status`] is durable when it returns; a create is sent only after that.\
//! **Invariant:** an instance that no longer leads cannot overwrite what the leader wrote: its write is refused.

mod change;
mod codec;
mod desired;
mod error;
pub mod kubernetes;
pub mod local;
pub mod memory;

pub use desired::Desired;
pub use error::StateError;

use crate::api::{Object, ObjectKey};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Storage of objects and their status.
#[async_trait]
pub trait Store: Send + Sync {
    /// The object with its spec, metadata and status.
    async fn load(&self, key: &ObjectKey) -> Result<Option<Arc<Object>>, StateError>;

    /// Reads the object again where [`Self::load`] may give an older one: it gives the newest one from now on.
    ///
    /// # Errors
    /// It could not be read: what `load` gives may be old.
    async fn refresh(&self, _key: &ObjectKey) -> Result<(), StateError> {
        Ok(())
    }

    /// The keys of all objects, in order.
    async fn keys(&self) -> Result<Vec<ObjectKey>, StateError>;

    /// Replaces the status of the object, if it is still of the same `uid`. Durable when it returns.
    async fn save_status(&self, object: &Object) -> Result<(), StateError>;

    /// Removes a deleted object permanently.
    async fn forget(&self, key: &ObjectKey) -> Result<(), StateError>;

    /// True when the object exists and cannot be parsed: it is not worked on until it is corrected.
    fn is_set_aside(&self, _key: &ObjectKey) -> bool {
        false
    }
}

/// A state that takes over the manifests of a folder, and requests of users.
#[async_trait]
pub trait ManifestStore: Store {
    /// Takes over the manifests, all at once, by the rules of [`local::Local::apply_desired`]. Durable when it returns.
    ///
    /// # Errors
    /// Nothing was taken over.
    async fn take_manifests(
        &self,
        desired: &BTreeMap<ObjectKey, Object>,
        may_delete: bool,
        now: Timestamp,
    ) -> Result<Desired, StateError>;

    /// Takes in requests of users since the last time; returns the objects concerned.
    ///
    /// # Errors
    /// Requests that could not be taken in stay pending.
    async fn take_requests(&self) -> Result<Vec<ObjectKey>, StateError>;
}
