//! Randomness: one generator a subject, each seeded from the world's seed and the subject's name, so that drawing more for
//! one subject does not change another.

use rollwave::engine::ports::Rng;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where the numbers come from.
pub(super) enum Dice {
    Seeded(fastrand::Rng),
    /// From these bytes, last first; then nothing goes wrong any more, and nothing takes time.
    Given(Vec<u8>),
}

impl Dice {
    pub(super) fn new(seed: u64, subject: &str) -> Self {
        let mut mixed = seed ^ 0x9e37_79b9_7f4a_7c15;
        for byte in subject.bytes() {
            mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        Self::Seeded(fastrand::Rng::with_seed(mixed))
    }

    /// Numbers from bytes, first first.
    pub(super) fn given(bytes: &[u8]) -> Self {
        Self::Given(bytes.iter().rev().copied().collect())
    }

    /// True with this chance in a thousand.
    pub(super) fn permille(&mut self, chance: u32) -> bool {
        match self {
            Self::Seeded(rng) => rng.u32(..1000) < chance,
            Self::Given(bytes) => {
                chance > 0 && bytes.pop().is_some_and(|byte| u32::from(byte) * 1000 / 256 < chance)
            }
        }
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        match self {
            Self::Seeded(rng) => rng.u64(low..=high.max(low)),
            Self::Given(bytes) => low + below(bytes, high.saturating_sub(low).saturating_add(1)),
        }
    }

    /// One of these; none when there is none.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(of.len()).ok()?.checked_sub(1)?;
        usize::try_from(self.between(0, last)).ok().and_then(|index| of.get(index))
    }
}

/// A number below `bound` from as few of the bytes as can say it.
fn below(bytes: &mut Vec<u8>, bound: u64) -> u64 {
    let (mut number, mut most) = (0_u64, 1_u64);
    while most < bound {
        number = number.wrapping_shl(8) | u64::from(bytes.pop().unwrap_or(0));
        most = most.saturating_mul(256);
    }
    number % bound.max(1)
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
