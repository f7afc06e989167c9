//! Why the state could not be read or written.

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

impl StateError {
    /// True when this instance can never write again, and has to end.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Deposed | Self::Replaced { .. })
    }
}
