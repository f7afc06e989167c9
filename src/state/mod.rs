//! Where objects, their status and the journal live.
//!
//! The journal is part of the status (`status.pending`): one write makes an intent durable, in every home.
//!
//! **Invariant:** [`Store::save_status`] is durable when it returns; a create leaves only after it did.\
//! **Invariant:** an instance that does not lead any more cannot write over what the leader wrote: its write is refused.

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

/// Where objects and their status live.
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

    /// Lets a deleted object go for good.
    async fn forget(&self, key: &ObjectKey) -> Result<(), StateError>;

    /// True when there is such an object, and it cannot be understood: it is left alone until it is corrected.
    fn is_set_aside(&self, _key: &ObjectKey) -> bool {
        false
    }
}

/// A state that takes over manifests of a folder, and what users request beside them.
#[async_trait]
pub trait ManifestStore: Store {
    /// Takes over what the manifests say, all at once, by the rules of [`local::Local::apply_desired`]. Durable when it
    /// returns.
    ///
    /// # Errors
    /// Nothing was taken over.
    async fn take_manifests(
        &self,
        desired: &BTreeMap<ObjectKey, Object>,
        may_delete: bool,
        now: Timestamp,
    ) -> Result<Desired, StateError>;

    /// Takes in what users requested since the last time; gives the objects concerned.
    ///
    /// # Errors
    /// What could not be taken in still waits.
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
    #[error("{path} is in use by process {pid}: stop it, or name another directory with --state")]
    InUse {
        /// The lock file.
        path: String,
        /// The holder, as it wrote it down.
        pid: String,
    },
    /// The file cannot be trusted.
    #[error(
        "{path} is not readable as Rollwave's state: {cause}; restore it from a backup, or move it away to begin anew (jobs that are still in the cloud are found by their tokens)"
    )]
    Corrupt {
        /// The file.
        path: String,
        /// What was wrong.
        cause: String,
    },
    /// The disk, or the API server, did not take it.
    #[error("cannot write {path}: {cause}; nothing was sent to a cloud")]
    Write {
        /// Where to.
        path: String,
        /// What was wrong.
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
    /// What was written would be found by nobody.
    #[error(
        "{path} was removed or replaced while this process worked with it: nothing more is sent; start again once the folder is back (jobs that are still in the cloud are found by their keys)"
    )]
    Replaced {
        /// The directory.
        path: String,
    },
    /// There is no state to look at.
    #[error("no state in {path}: run `rollwave apply` first, or name the directory with --state")]
    Absent {
        /// The directory.
        path: String,
    },
    /// Another instance leads, and its writes are the ones that count.
    #[error("another instance leads now: nothing was written, and this one stops")]
    Deposed,
    /// The object changed under our hands: load it again.
    #[error("{key} changed meanwhile")]
    Conflict {
        /// The object.
        key: String,
    },
}
