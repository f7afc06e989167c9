//! What will happen, ordered by time and then by the order in which it was scheduled.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// A queue of events. Events of one instant happen in the order in which they were scheduled.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    events: BTreeMap<(Timestamp, u64), E>,
    next: u64,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), next: 0 }
    }
}

impl<E> EventQueue<E> {
    /// Lets `event` happen at `at`.
    pub fn schedule(&mut self, at: Timestamp, event: E) {
        self.events.insert((at, self.next), event);
        self.next += 1;
    }

    /// Takes the next event that is due at `now`.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, E)> {
        let entry = self.events.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let ((at, _), event) = entry.remove_entry();
        Some((at, event))
    }

    /// Events that have not happened yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// True when nothing will happen any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}
