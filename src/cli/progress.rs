//! How far a run of `apply` has come.

use crate::api::{Object, ObjectKey};
use crate::engine::account::Calls;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Calls made so far, over all accounts.
#[derive(Clone, Debug, Default)]
pub struct CallCount(BTreeMap<ObjectKey, Calls>);

impl CallCount {
    /// Takes in what a lane reported under the account's name.
    pub fn take(&mut self, account: ObjectKey, calls: Calls) {
        self.0.insert(account, calls);
    }

    /// All calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().flat_map(BTreeMap::values).sum()
    }
}

/// Objects that a run has not come round to yet.
#[derive(Clone, Debug, Default)]
pub struct Outstanding(BTreeSet<ObjectKey>);

impl Outstanding {
    /// All of these.
    #[must_use]
    pub fn of(objects: &[Arc<Object>]) -> Self {
        Self(objects.iter().map(|object| object.key()).collect())
    }

    /// The engine came round to this one; true when none is left.
    pub fn done(&mut self, key: &ObjectKey) -> bool {
        self.0.remove(key);
        self.0.is_empty()
    }

    /// True when none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
