//! What happened: a hash of all of it, and the last events for people.

use jiff::Timestamp;
use std::collections::VecDeque;

/// A hash over every event: the same history, the same hash, on any machine.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    hash: u64,
    events: u64,
    last: VecDeque<(Timestamp, String)>,
    kept: usize,
}

impl Trace {
    /// A trace that keeps so many of its last events.
    pub(super) const fn new(kept: usize) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, events: 0, last: VecDeque::new(), kept }
    }

    pub(super) fn note(&mut self, at: Timestamp, event: &str) {
        self.mix(at.as_millisecond().unsigned_abs());
        let (words, rest) = event.as_bytes().as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
        self.mix(u64::from_le_bytes(last));
        self.mix(event.len() as u64);
        self.events += 1;
        let oldest = if self.last.len() >= self.kept.max(1) { self.last.pop_front() } else { None };
        let mut text = oldest.map(|(_, text)| text).unwrap_or_default();
        event.clone_into(&mut text);
        self.last.push_back((at, text));
    }

    /// As FNV-1a, in words of eight bytes; turned, so that high bits come to matter for low ones.
    const fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    /// With the day and the time of day of each.
    pub(super) fn last(&self) -> Vec<String> {
        self.last.iter().map(|(at, event)| format!("{} {event}", at.strftime("%d %H:%M:%S%.3f"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_every_time_matters() {
        let hash = |at: i64, event: &str| {
            let mut trace = Trace::new(1);
            trace.note(Timestamp::from_second(at).unwrap(), event);
            trace.hash()
        };
        let usual = hash(5, "save OtaPackage/a");
        for (at, event) in [
            (6, "save OtaPackage/a"),
            (5, "save OtaPackage/b"),
            (5, "Save OtaPackage/a"),
            (5, "save OtaPackage/a\0"),
            (5, "save OtaPackage/"),
        ] {
            assert_ne!(hash(at, event), usual, "{at} {event}");
        }
    }
}
