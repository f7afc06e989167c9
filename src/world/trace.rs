//! What happened: a hash of all of it, and the last events for people.

use jiff::Timestamp;
use std::collections::VecDeque;

/// FNV-1a over every event: the same history, the same hash, on any machine.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    hash: u64,
    events: u64,
    last: VecDeque<String>,
    kept: usize,
}

impl Trace {
    /// A trace that keeps so many of its last events.
    pub(super) const fn new(kept: usize) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, events: 0, last: VecDeque::new(), kept }
    }

    pub(super) fn note(&mut self, at: Timestamp, event: &str) {
        let line = format!("{} {event}", at.as_millisecond());
        for byte in line.bytes().chain([b'\n']) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.events += 1;
        if self.last.len() >= self.kept.max(1) {
            self.last.pop_front();
        }
        self.last.push_back(format!("{} {event}", at.strftime("%d %H:%M:%S%.3f")));
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    pub(super) fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}
