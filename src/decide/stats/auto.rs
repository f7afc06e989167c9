//! The goal of a gate that states none: what a stage of this size can prove without holding good builds.

use super::{binomial, count, wilson};

/// A build that fails this often is good.
pub const GOOD: f64 = 0.02;
/// How often a good build has to pass.
const PASSES_GOOD: f64 = 0.975;
/// One-sided confidence of the default gate.
const CONFIDENCE: f64 = 0.95;

/// The highest whole percent from 95 down to 50 that a stage of `devices` proves while a good build passes in at least 97.5 %,
/// also when only `observed_parts` (of a million) of its devices begin. None when there is none: then each device must
/// succeed.
#[must_use]
pub fn goal(devices: u32, observed_parts: u32) -> Option<u32> {
    let begun = count((u64::from(devices) * u64::from(observed_parts)).div_ceil(1_000_000));
    (50..=95).rev().find(|goal| {
        let passes = |sample: u32| holds_good(sample, f64::from(*goal) / 100.0) <= 1.0 - PASSES_GOOD;
        passes(devices) && passes(begun)
    })
}

/// How often a stage with this sample and this goal holds a good build.
fn holds_good(sample: u32, goal: f64) -> f64 {
    wilson::allowed(sample, 1.0 - goal, CONFIDENCE)
        .map_or(1.0, |allowed| 1.0 - binomial::at_most(allowed, sample, GOOD))
}
