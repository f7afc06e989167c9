//! Which object is next.
//!
//! Ordered and deterministic: the same pushes and pops give the same order on any machine. One entry per object, so a
//! storm of wake-ups for one object costs one look. Everything is O(log n).
//!
//! **Invariant:** new work never waits behind polls. Among the due entries the most urgent class goes first, then the
//! earliest due, then the first pushed. A poll is not starved either: see [`PATIENCE`].

use super::ports::Rng;
use crate::api::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Why an object is looked at; the order is the priority, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A person changed the spec, or the object is new or being deleted.
    UserChange,
    /// A rollout may be able to go a step further.
    RolloutStep,
    /// A package is being verified.
    Verify,
    /// Nothing happened: spec and cloud are compared.
    Drift,
}

impl Class {
    /// Every class, most urgent first.
    pub const ALL: [Self; 4] = [Self::UserChange, Self::RolloutStep, Self::Verify, Self::Drift];
}

/// An entry that has been due for this long is handed out as [`Class::UserChange`], at most one in [`PATIENCE_SHARE`]
/// pops: nothing starves, and new work waits for one such entry at most, also after the machine slept for a night.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// See [`PATIENCE`].
pub const PATIENCE_SHARE: u64 = 8;

/// Longest wait after the first failure; it doubles with every further one.
pub const BACKOFF_BASE: Duration = Duration::from_secs(1);
/// Longest wait after any number of failures.
pub const BACKOFF_CAP: Duration = Duration::from_mins(5);

/// Objects that wait for a look.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    entries: BTreeMap<ObjectKey, Entry>,
    /// Entries that were not due at the last pop.
    waiting: BTreeSet<(Timestamp, u64, ObjectKey)>,
    /// Entries that are due, as they are handed out.
    due_by_class: BTreeSet<(Class, Timestamp, u64, ObjectKey)>,
    /// The same entries, for [`PATIENCE`].
    due_by_age: BTreeSet<(Timestamp, u64, ObjectKey)>,
    failures: BTreeMap<ObjectKey, Failures>,
    pushes: u64,
    pops_since_promotion: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    class: Class,
    due: Timestamp,
    /// Number of the push: first come, first served.
    turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    until: Timestamp,
}

impl Queue {
    /// Asks for a look at `key` at `due`. If it is queued already, the earlier time and the more urgent class win. While
    /// the object backs off ([`Self::failed`]) it is not handed out before the backoff ends, whoever asks.
    pub fn push(&mut self, key: ObjectKey, class: Class, due: Timestamp) {
        let due = self.failures.get(&key).map_or(due, |f| due.max(f.until));
        let entry = match self.take(&key) {
            Some(old) => Entry { class: class.min(old.class), due: due.min(old.due), turn: old.turn },
            None => Entry { class, due, turn: self.next_turn() },
        };
        self.insert(key, entry);
    }

    /// The object to look at now, and why. None when nothing is due. An entry that was due once stays due, even when the
    /// clock is set back.
    pub fn pop(&mut self, now: Timestamp) -> Option<(ObjectKey, Class)> {
        self.wake(now);
        if let Some(key) = self.overdue(now) {
            self.pops_since_promotion = 0;
            self.take(&key)?;
            return Some((key, Class::UserChange));
        }
        let (class, _, _, key) = self.due_by_class.first()?.clone();
        self.pops_since_promotion = self.pops_since_promotion.saturating_add(1);
        self.take(&key)?;
        Some((key, class))
    }

    /// When the next entry is due; in the past when one is due already.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = self.due_by_age.first().map(|(due, ..)| *due);
        let waiting = self.waiting.first().map(|(due, ..)| *due);
        due.into_iter().chain(waiting).min()
    }

    /// A look at `key` failed: says when to try again, a random time (full jitter) within a limit that doubles with every
    /// failure in a row from [`BACKOFF_BASE`] to [`BACKOFF_CAP`], but not before `floor` (the cloud's `Retry-After`).
    /// The caller pushes the key again; nobody gets it earlier.
    pub fn failed(
        &mut self,
        key: &ObjectKey,
        now: Timestamp,
        rng: &dyn Rng,
        floor: Option<Duration>,
    ) -> Timestamp {
        let count = self.failures.get(key).map_or(0, |f| f.count).saturating_add(1);
        let limit = millis(backoff_limit(count));
        let jittered = Duration::from_millis(rng.below(limit.saturating_add(1)));
        let until = later(now, jittered.max(floor.unwrap_or_default()));
        self.failures.insert(key.clone(), Failures { count, until });
        if let Some(entry) = self.take(key) {
            self.insert(key.clone(), Entry { due: entry.due.max(until), ..entry });
        }
        until
    }

    /// A look at `key` succeeded: its backoff is over.
    pub fn succeeded(&mut self, key: &ObjectKey) {
        self.failures.remove(key);
    }

    /// The spec of `key` changed: what failed before says nothing any more. Push the key afterwards.
    pub fn reset(&mut self, key: &ObjectKey) {
        self.failures.remove(key);
    }

    /// The object is gone for good: drops its entry and its backoff.
    pub fn remove(&mut self, key: &ObjectKey) {
        self.take(key);
        self.failures.remove(key);
    }

    /// Failures of `key` in a row.
    #[must_use]
    pub fn failures(&self, key: &ObjectKey) -> u32 {
        self.failures.get(key).map_or(0, |f| f.count)
    }

    /// Objects that are queued, due or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn wake(&mut self, now: Timestamp) {
        while self.waiting.first().is_some_and(|(due, ..)| *due <= now) {
            let Some((due, turn, key)) = self.waiting.pop_first() else { return };
            let Some(entry) = self.entries.get(&key) else { continue };
            self.due_by_class.insert((entry.class, due, turn, key.clone()));
            self.due_by_age.insert((due, turn, key));
        }
    }

    fn overdue(&self, now: Timestamp) -> Option<ObjectKey> {
        let (due, _, key) = self.due_by_age.first()?;
        let is_overdue = now.duration_since(*due) >= PATIENCE;
        (is_overdue && self.pops_since_promotion >= PATIENCE_SHARE - 1).then(|| key.clone())
    }

    fn next_turn(&mut self) -> u64 {
        self.pushes = self.pushes.saturating_add(1);
        self.pushes
    }

    fn insert(&mut self, key: ObjectKey, entry: Entry) {
        self.waiting.insert((entry.due, entry.turn, key.clone()));
        self.entries.insert(key, entry);
    }

    fn take(&mut self, key: &ObjectKey) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        let by_age = (entry.due, entry.turn, key.clone());
        if !self.waiting.remove(&by_age) {
            self.due_by_age.remove(&by_age);
            self.due_by_class.remove(&(entry.class, entry.due, entry.turn, key.clone()));
        }
        Some(entry)
    }
}

/// The longest wait after `count` failures in a row.
fn backoff_limit(count: u32) -> Duration {
    let doublings = count.saturating_sub(1).min(16);
    BACKOFF_BASE.saturating_mul(1 << doublings).min(BACKOFF_CAP)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
