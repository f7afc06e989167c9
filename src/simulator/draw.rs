//! Randomness without a generator: a draw is a hash of the seed and of what it is for, so it does not depend on order.

use sha2::{Digest, Sha256};

/// Hash of the seed and of the parts; a byte that no text holds separates the parts.
#[must_use]
pub fn digest(seed: u64, parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_be_bytes());
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0xff]);
    }
    hasher.finalize().into()
}

/// A number drawn evenly from 0 (included) to 1 (excluded).
#[must_use]
pub fn unit(seed: u64, parts: &[&str]) -> f64 {
    // 53 bits are what an f64 holds exactly.
    (number(seed, parts) >> 11) as f64 / (1u64 << 53) as f64
}

/// A number drawn evenly from all of `u64`.
#[must_use]
pub fn number(seed: u64, parts: &[&str]) -> u64 {
    digest(seed, parts).iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// An id of `length` (at most 64) lower-case hex digits.
#[must_use]
pub fn hex_id(seed: u64, length: usize, parts: &[&str]) -> String {
    let mut digits = [0; 64];
    // Twice as many digits as bytes, and all of them ASCII.
    let _ = hex::encode_to_slice(digest(seed, parts), &mut digits);
    std::str::from_utf8(&digits[..length.min(64)]).unwrap_or_default().to_owned()
}
