//! Statistics: numbers in, numbers out. Nothing here knows a rollout.

pub mod wilson;

/// Rounded to six digits, so that machines that differ in the last bit show the same value.
#[must_use]
pub fn millionths(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
