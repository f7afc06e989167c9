//! Statistics: numbers in, numbers out. Nothing here knows a rollout.

pub mod binomial;
pub mod comparison;
pub mod evidence;
pub mod hypergeometric;
pub mod risk;
pub mod sprt;
pub mod strata;
pub mod wilson;

#[cfg(test)]
mod vectors;

/// Rounded to six digits, so that machines that differ in the last bit show the same value. Never a negative zero.
#[must_use]
pub fn millionths(value: f64) -> f64 {
    (value * 1e6).round() / 1e6 + 0.0
}

/// A number of devices; more than u32 holds is its largest.
fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
