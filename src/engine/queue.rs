//! The queue of objects to reconcile.
//!
//! Ordered and deterministic: the same pushes and pops give the same order on any machine. One entry per object, so
//! many wake-ups of one object cost one reconcile. Everything is O(log n).
//!
//! **Invariant:** new work never waits behind polls. Among the due entries the most urgent priority goes first, then the
//! earliest due, then the first pushed. A poll is not starved either: see [`PATIENCE`].

use super::ports::Rng;
use super::priority::Priority;
use crate::api::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// An entry that has been due for this long is handed out as [`Priority::UserChange`], at most one in [`PATIENCE_SHARE`]
/// pops: nothing starves, and new work waits for one such entry at most, even after the machine slept for a night.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// See [`PATIENCE`].
pub const PATIENCE_SHARE: u64 = 8;

/// Longest wait after the first failure; it doubles with every further one.
pub const BACKOFF_BASE: Duration = Duration::from_secs(1);
/// Longest wait after any number of failures.
pub const BACKOFF_CAP: Duration = Duration::from_mins(5);
/// Failures that one success compensates.
const MADE_UP: u32 = 2;

/// Objects that wait for a reconcile.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    entries: BTreeMap<ObjectKey, Entry>,
    /// The key of each entry, by its push number; the sets below hold push numbers only.
    keys: BTreeMap<u64, ObjectKey>,
    /// Entries that were not due at the last pop.
    waiting: BTreeSet<(Timestamp, u64)>,
    /// Entries that are due, in the order in which they are handed out.
    due_by_priority: BTreeSet<(Priority, Timestamp, u64)>,
    /// The same entries, for [`PATIENCE`].
    due_by_age: BTreeSet<(Timestamp, u64)>,
    failures: BTreeMap<ObjectKey, Failures>,
    pushes: u64,
    pops_since_promotion: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    priority: Priority,
    due: Timestamp,
    /// Unique number of the push: first come, first served.
    turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    until: Timestamp,
}

impl Queue {
    /// Queues `key` for a reconcile at `due`. If it is queued already, the earlier time and the more urgent priority win.
    /// While the object backs off ([`Self::failed`]), it is not handed out before the backoff ends.
    pub fn push(&mut self, key: ObjectKey, priority: Priority, due: Timestamp) {
        let due = self.failures.get(&key).map_or(due, |f| due.max(f.until));
        let entry = match self.take(&key) {
            Some(old) => {
                Entry { priority: priority.min(old.priority), due: due.min(old.due), turn: old.turn }
            }
            None => Entry { priority, due, turn: self.next_turn() },
        };
        self.insert(key, entry);
    }

    /// The object to reconcile now, and why. None when nothing is due. An entry that was due once stays due, even when
    /// the clock is set back.
    pub fn pop(&mut self, now: Timestamp) -> Option<(ObjectKey, Priority)> {
        self.wake(now);
        if let Some(turn) = self.overdue(now) {
            self.pops_since_promotion = 0;
            return Some((self.take_turn(turn)?, Priority::UserChange));
        }
        let (priority, _, turn) = *self.due_by_priority.first()?;
        self.pops_since_promotion = self.pops_since_promotion.saturating_add(1);
        Some((self.take_turn(turn)?, priority))
    }

    /// Objects that are due, as of the last pop, and at least as urgent.
    #[must_use]
    pub fn count_due(&self, priority: Priority) -> usize {
        self.due_by_priority.iter().take_while(|(of, ..)| *of <= priority).count()
    }

    /// When the next entry is due; in the past when one is due already.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = self.due_by_age.first().map(|(due, ..)| *due);
        let waiting = self.waiting.first().map(|(due, ..)| *due);
        due.into_iter().chain(waiting).min()
    }

    /// A reconcile of `key` failed: returns when to try again, a random time (full jitter) within a limit that doubles
    /// with every failure from [`BACKOFF_BASE`] to [`BACKOFF_CAP`], but not before `floor` (the cloud's `Retry-After`).
    /// The caller pushes the key again; it is not handed out earlier.
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

    /// A reconcile of `key` succeeded: its backoff is over. It compensates two failures only, so that a resource that
    /// always fails is not read often because reconciles in between, which do not need it, succeed.
    pub fn succeeded(&mut self, key: &ObjectKey) {
        let Some(failures) = self.failures.remove(key) else { return };
        let count = failures.count.saturating_sub(MADE_UP);
        if count > 0 {
            self.failures.insert(key.clone(), Failures { count, until: Timestamp::MIN });
        }
    }

    /// The spec of `key` changed: earlier failures no longer count. Push the key afterwards.
    pub fn reset(&mut self, key: &ObjectKey) {
        self.failures.remove(key);
    }

    /// The object was deleted: drops its entry and its backoff.
    pub fn remove(&mut self, key: &ObjectKey) {
        self.take(key);
        self.failures.remove(key);
    }

    /// Failures of `key` that its backoff is based on.
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
            let Some((due, turn)) = self.waiting.pop_first() else { return };
            let entry = self.keys.get(&turn).and_then(|key| self.entries.get(key));
            let Some(Entry { priority, .. }) = entry else { continue };
            self.due_by_priority.insert((*priority, due, turn));
            self.due_by_age.insert((due, turn));
        }
    }

    fn overdue(&self, now: Timestamp) -> Option<u64> {
        let (due, turn) = self.due_by_age.first()?;
        let is_overdue = now.duration_since(*due) >= PATIENCE;
        (is_overdue && self.pops_since_promotion >= PATIENCE_SHARE - 1).then_some(*turn)
    }

    fn next_turn(&mut self) -> u64 {
        self.pushes = self.pushes.saturating_add(1);
        self.pushes
    }

    fn insert(&mut self, key: ObjectKey, entry: Entry) {
        self.waiting.insert((entry.due, entry.turn));
        self.keys.insert(entry.turn, key.clone());
        self.entries.insert(key, entry);
    }

    fn take_turn(&mut self, turn: u64) -> Option<ObjectKey> {
        let key = self.keys.get(&turn)?.clone();
        self.take(&key)?;
        Some(key)
    }

    fn take(&mut self, key: &ObjectKey) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.keys.remove(&entry.turn);
        if !self.waiting.remove(&(entry.due, entry.turn)) {
            self.due_by_age.remove(&(entry.due, entry.turn));
            self.due_by_priority.remove(&(entry.priority, entry.due, entry.turn));
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

#[cfg(test)]
mod tests {
    use super::{Rng, *};
    use crate::api::Kind;
    use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Always the highest number allowed.
    struct Highest;

    impl Rng for Highest {
        fn below(&self, bound: u64) -> u64 {
            bound.saturating_sub(1)
        }
    }

    /// Numbers that look random and are the same every time.
    #[derive(Default)]
    struct Counted(AtomicU64);

    impl Rng for Counted {
        fn below(&self, bound: u64) -> u64 {
            let number = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            number.checked_rem(bound).unwrap_or(0)
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(Kind::OtaPackage, "default", name)
    }

    fn numbered(number: impl Into<i64>) -> ObjectKey {
        key(&number.into().to_string())
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn new_work_never_waits_behind_polls() {
        let mut queue = Queue::default();
        for poll in 0..1_000 {
            queue.push(numbered(poll), Priority::Drift, at(0));
        }
        queue.push(key("verify"), Priority::Verify, at(0));
        queue.push(key("step"), Priority::RolloutStep, at(9));
        queue.push(key("change"), Priority::UserChange, at(10));
        let order: Vec<_> = (0..4).filter_map(|_| queue.pop(at(10))).map(|(key, _)| key.name).collect();
        assert_eq!(order, ["change", "step", "verify", "0"]);
        assert_eq!(queue.len(), 999);
    }

    #[test]
    fn one_object_has_one_entry_and_the_more_urgent_wish_wins() {
        let mut queue = Queue::default();
        queue.push(key("a"), Priority::Drift, at(5));
        queue.push(key("a"), Priority::UserChange, at(9));
        queue.push(key("a"), Priority::Verify, at(7));
        assert_eq!((queue.len(), queue.next_due()), (1, Some(at(5))));
        assert_eq!(queue.pop(at(4)), None);
        assert_eq!(queue.pop(at(5)), Some((key("a"), Priority::UserChange)));
        assert_eq!((queue.is_empty(), queue.next_due()), (true, None));
    }

    #[test]
    fn a_poll_is_not_starved_by_work_that_never_ends() {
        let mut queue = Queue::default();
        queue.push(key("poll"), Priority::Drift, at(0));
        let mut waited = 0;
        for second in 0.. {
            queue.push(key("busy"), Priority::UserChange, at(second));
            if queue.pop(at(second)) == Some((key("poll"), Priority::UserChange)) {
                waited = second;
                break;
            }
        }
        assert_eq!(waited, PATIENCE.as_secs());
    }

    #[test]
    fn after_a_night_of_sleep_a_change_waits_for_one_poll_at_most() {
        let mut queue = Queue::default();
        for poll in 0..100 {
            queue.push(numbered(poll), Priority::Drift, at(0));
        }
        let morning = 8 * 3_600;
        for round in 0..5 {
            for _ in 0..round {
                queue.pop(at(morning));
            }
            queue.push(key("change"), Priority::UserChange, at(morning));
            let next: Vec<_> = (0..2).filter_map(|_| queue.pop(at(morning))).map(|(key, _)| key).collect();
            assert!(next.contains(&key("change")), "{next:?}");
        }
    }

    #[test]
    fn the_limit_doubles_up_to_the_cap_and_successes_bring_it_down_again() {
        let mut queue = Queue::default();
        let waits: Vec<i64> =
            (0..11).map(|_| queue.failed(&key("a"), at(0), &Highest, None).as_second()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(queue.failures(&key("a")), 11);
        queue.succeeded(&key("a"));
        queue.push(key("a"), Priority::Drift, at(0));
        assert_eq!(queue.next_due(), Some(at(0)), "nothing is waited for after a success");
        (0..2).for_each(|_| queue.succeeded(&key("a")));
        assert_eq!(queue.failed(&key("a"), at(0), &Highest, None), at(32), "the 6th that counts");
        (0..3).for_each(|_| queue.succeeded(&key("a")));
        assert_eq!(queue.failed(&key("a"), at(0), &Highest, None), at(1), "successes end it");
    }

    #[test]
    fn jitter_fills_the_whole_time_up_to_the_limit_and_retry_after_is_its_floor() {
        let rng = Counted::default();
        let mut queue = Queue::default();
        let waits: Vec<i64> =
            (0..200).map(|n| queue.failed(&numbered(n), at(0), &rng, None).as_millisecond()).collect();
        assert!(waits.iter().all(|wait| (0..=1_000).contains(wait)));
        for tenth in 0..10 {
            let range = tenth * 100..(tenth + 1) * 100;
            assert!(waits.iter().any(|wait| range.contains(wait)), "none in {range:?}");
        }
        assert_eq!(queue.failed(&key("b"), at(0), &rng, Some(secs(77))), at(77));
    }

    #[test]
    fn a_wake_up_does_not_shorten_a_backoff_but_a_changed_spec_does() {
        let mut queue = Queue::default();
        queue.push(key("a"), Priority::UserChange, at(0));
        let again = queue.failed(&key("a"), at(0), &Highest, Some(secs(60)));
        queue.push(key("a"), Priority::UserChange, at(1));
        assert_eq!((queue.pop(at(59)), queue.next_due()), (None, Some(again)));
        queue.reset(&key("a"));
        queue.push(key("a"), Priority::UserChange, at(2));
        assert_eq!(queue.pop(at(2)), Some((key("a"), Priority::UserChange)));
        assert_eq!(queue.failures(&key("a")), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8, Priority, i64),
        Pop,
        Failed(u8, Option<u64>),
        Succeeded(u8),
        Reset(u8),
        Remove(u8),
        Wait(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let name = 0..6_u8;
        let priority = proptest::sample::select(Priority::ALL.to_vec());
        let step = prop_oneof![
            6 => (name.clone(), priority, -900..900_i64).prop_map(|(n, c, due)| Step::Push(n, c, due)),
            6 => Just(Step::Pop),
            2 => (name.clone(), proptest::option::of(0..400_u64)).prop_map(|(n, f)| Step::Failed(n, f)),
            1 => name.clone().prop_map(Step::Succeeded),
            1 => name.clone().prop_map(Step::Reset),
            1 => name.prop_map(Step::Remove),
            3 => (0..400_i64).prop_map(Step::Wait),
        ];
        proptest::collection::vec(step, 0..120)
    }

    /// The same rules, without any index.
    #[derive(Default)]
    struct Naive {
        entries: Vec<(ObjectKey, Priority, Timestamp, usize)>,
        until: BTreeMap<ObjectKey, Timestamp>,
        pushes: usize,
        others: u64,
    }

    impl Naive {
        fn push(&mut self, key: &ObjectKey, priority: Priority, due: Timestamp) {
            let due = self.until.get(key).map_or(due, |until| due.max(*until));
            if let Some(entry) = self.entries.iter_mut().find(|entry| entry.0 == *key) {
                *entry = (key.clone(), entry.1.min(priority), entry.2.min(due), entry.3);
            } else {
                self.pushes += 1;
                self.entries.push((key.clone(), priority, due, self.pushes));
            }
        }

        fn pop(&mut self, now: Timestamp) -> Option<(ObjectKey, Priority)> {
            let due = self.entries.iter().filter(|entry| entry.2 <= now);
            let oldest = due.clone().min_by_key(|(_, _, due, turn)| (*due, *turn))?.clone();
            let promoted = now.duration_since(oldest.2) >= PATIENCE && self.others + 1 >= PATIENCE_SHARE;
            let urgent = due.min_by_key(|(_, priority, due, turn)| (*priority, *due, *turn))?.clone();
            self.others = if promoted { 0 } else { self.others + 1 };
            let (key, priority) =
                if promoted { (oldest.0, Priority::UserChange) } else { (urgent.0, urgent.1) };
            self.entries.retain(|entry| entry.0 != key);
            Some((key, priority))
        }

        fn failed(&mut self, key: &ObjectKey, until: Timestamp) {
            self.until.insert(key.clone(), until);
            for entry in self.entries.iter_mut().filter(|entry| entry.0 == *key) {
                entry.2 = entry.2.max(until);
            }
        }

        fn next_due(&self) -> Option<Timestamp> {
            self.entries.iter().map(|entry| entry.2).min()
        }
    }

    /// Runs the steps on the queue and on the naive one; returns what was popped.
    fn run(steps: &[Step]) -> Vec<Option<(ObjectKey, Priority)>> {
        let (mut queue, mut naive, rng) = (Queue::default(), Naive::default(), Counted::default());
        let (mut now, mut popped) = (at(10_000), Vec::new());
        for step in steps {
            match *step {
                Step::Push(name, priority, offset) => {
                    let due = now + SignedDuration::from_secs(offset);
                    queue.push(numbered(name), priority, due);
                    naive.push(&numbered(name), priority, due);
                }
                Step::Pop => {
                    popped.push(queue.pop(now));
                    assert_eq!(popped.last(), Some(&naive.pop(now)));
                }
                Step::Failed(name, floor) => {
                    let until = queue.failed(&numbered(name), now, &rng, floor.map(secs));
                    assert!(until >= now + floor.map(secs).unwrap_or_default());
                    naive.failed(&numbered(name), until);
                }
                Step::Succeeded(name) => {
                    queue.succeeded(&numbered(name));
                    naive.until.remove(&numbered(name));
                }
                Step::Reset(name) => {
                    queue.reset(&numbered(name));
                    naive.until.remove(&numbered(name));
                }
                Step::Remove(name) => {
                    queue.remove(&numbered(name));
                    naive.until.remove(&numbered(name));
                    naive.entries.retain(|entry| entry.0 != numbered(name));
                }
                Step::Wait(seconds) => now += SignedDuration::from_secs(seconds),
            }
            assert_eq!((queue.len(), queue.next_due()), (naive.entries.len(), naive.next_due()));
        }
        popped
    }

    proptest! {
        #[test]
        fn it_hands_out_what_the_naive_queue_hands_out_and_the_same_every_time(steps in steps()) {
            prop_assert_eq!(run(&steps), run(&steps));
        }
    }
}
