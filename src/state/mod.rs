//! Objects, their status and the journal.
//!
//! The journal is part of the status (`status.pending`): one write makes an intent durable, in every state backend.
//!
//! **Invariant:** [`Store::save_status`] is durable when it returns; a create is sent only after that.\
//! **Invariant:** an instance that no longer leads cannot overwrite what the leader wrote: its write is refused.

mod change;
mod codec;
mod desired;
pub mod kubernetes;
pub mod local;
pub mod memory;

pub use desired::Desired;

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

impl StateError {
    /// True when this instance can never write again, and has to end.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Deposed | Self::Replaced { .. })
    }
}

/// Why the state could not be read or written. Nothing is created in a cloud after one of these.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process holds the state.
    #[error("{path} is in use by process {pid}: stop it, or use another directory with --state")]
    InUse {
        /// The lock file.
        path: String,
        /// The holder, as recorded in the file.
        pid: String,
    },
    /// The file cannot be trusted.
    #[error(
        "{path} is not a readable state: {cause}; restore it from a backup, or move it away to start with an empty state (existing jobs are found by their idempotency keys)"
    )]
    Corrupt {
        /// The file.
        path: String,
        /// Cause.
        cause: String,
    },
    /// The disk, or the API server, refused the write.
    #[error("cannot write {path}: {cause}; nothing was sent to a cloud")]
    Write {
        /// What could not be written.
        path: String,
        /// Cause.
        cause: String,
    },
    /// The API server did not answer.
    #[error("cannot read {path}: {cause}; nothing was sent to a cloud")]
    Read {
        /// What.
        path: String,
        /// What was wrong.
        cause: String,
    },
    /// No later process would find what was written.
    #[error(
        "{path} was removed or replaced while it was in use, and nothing more is sent: restore the folder and start again (existing jobs are found by their idempotency keys)"
    )]
    Replaced {
        /// The directory.
        path: String,
    },
    /// There is no state.
    #[error("no state in {path}: run `rollwave apply` first, or use --state")]
    Absent {
        /// The directory.
        path: String,
    },
    /// Another instance leads, and only its writes count.
    #[error("another instance leads: nothing was written, and this instance stops")]
    Deposed,
    /// The object was changed by another writer: load it again.
    #[error("{key} was changed by another writer")]
    Conflict {
        /// The object.
        key: String,
    },
}
