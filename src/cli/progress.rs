//! How far a run of `apply` has come.

use crate::api::{Object, ObjectKey};
use crate::engine::account::{Calls, SUCCEEDED};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Calls made so far, over all accounts.
#[derive(Clone, Debug, Default)]
pub struct CallCount(BTreeMap<ObjectKey, Calls>);

impl CallCount {
    /// Takes in what a worker reported under the account's name; true when a call has succeeded since the last time.
    pub fn take(&mut self, account: ObjectKey, calls: Calls) -> bool {
        let successes = |calls: &Calls| -> u64 {
            calls.iter().filter(|((_, outcome), _)| *outcome == SUCCEEDED).map(|(_, count)| count).sum()
        };
        let now = successes(&calls);
        self.0.insert(account, calls).map_or(now > 0, |before| now > successes(&before))
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
