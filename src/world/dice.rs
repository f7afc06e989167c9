//! Randomness: one generator a subject, each seeded from the world's seed and the subject's name, so that drawing more for
//! one subject does not change another.

use crate::engine::ports::Rng;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A seeded generator.
pub(super) struct Dice(fastrand::Rng);

impl Dice {
    pub(super) fn new(seed: u64, subject: &str) -> Self {
        let mut mixed = seed ^ 0x9e37_79b9_7f4a_7c15;
        for byte in subject.bytes() {
            mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        Self(fastrand::Rng::with_seed(mixed))
    }

    /// True with this chance in a thousand.
    pub(super) fn permille(&mut self, chance: u32) -> bool {
        self.0.u32(..1000) < chance
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high.max(low))
    }

    /// One of these; none when there is none.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(of.len()).ok()?.checked_sub(1)?;
        usize::try_from(self.between(0, last)).ok().and_then(|index| of.get(index))
    }
}

/// The engine's jitter.
pub(super) struct Jitter(Mutex<Dice>);

impl Jitter {
    pub(super) const fn new(dice: Dice) -> Self {
        Self(Mutex::new(dice))
    }

    fn dice(&self) -> MutexGuard<'_, Dice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rng for Jitter {
    fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.dice().between(0, bound - 1) }
    }
}
