//! The header of the Poseidon SDK: keys and two session tokens, encrypted for the cloud.
//!
//! Seen on the wire of `enos-poseidon` 0.2.0: `pin$key$secret$short$long` under RSA-2048 with OAEP and SHA-1, in base64. Who
//! put a key of his own into the SDK can have it verified; only Envision can read the others.

use super::spec::RsaKey;
use base64::{Engine, prelude::BASE64_STANDARD};
use num_bigint::BigUint;
use sha1::{Digest, Sha1};

/// Bytes of a modulus of 2048 bits.
const SIZE: usize = 256;
/// Bytes of a SHA-1.
const HASH: usize = 20;

/// What a header contains.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// Application key.
    pub key: String,
    /// Application secret.
    pub secret: String,
    /// Whether the pin is that of the keys and both session tokens have the form of a digest.
    pub is_consistent: bool,
}

/// The encrypted block of a header, if it has the form of one.
#[must_use]
pub fn block(header: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(header).ok().filter(|block| block.len() == SIZE)
}

/// Opens a block; none when it is not encrypted for this key.
#[must_use]
pub fn open(block: &[u8], key: &RsaKey) -> Option<Opened> {
    let number = |hex: &str| BigUint::parse_bytes(hex.as_bytes(), 16);
    let plain = BigUint::from_bytes_be(block).modpow(&number(&key.exponent)?, &number(&key.modulus)?);
    let text = String::from_utf8(unpad(&plain.to_bytes_be())?).ok()?;
    let [pin, key, secret, short, long] = <[&str; 5]>::try_from(text.split('$').collect::<Vec<_>>()).ok()?;
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_consistent = pin_of(key, secret).as_deref() == Some(pin) && is_digest(short) && is_digest(long);
    Some(Opened { key: key.to_owned(), secret: secret.to_owned(), is_consistent })
}

/// The first six digits of a number made of the second groups of key and secret.
fn pin_of(key: &str, secret: &str) -> Option<String> {
    let group = |text: &str| text.split('-').nth(1).map(str::to_owned);
    let number = u64::from_str_radix(&format!("{}{}", group(key)?, group(secret)?), 16).ok()?;
    Some(format!("{number:09}").chars().take(6).collect())
}

/// Takes OAEP (RFC 8017, section 7.1.2) off: SHA-1, without a label. `plain` is without its leading zeros.
fn unpad(plain: &[u8]) -> Option<Vec<u8>> {
    let mut padded = vec![0; SIZE.checked_sub(plain.len())?];
    padded.extend_from_slice(plain);
    let (head, rest) = padded.split_first()?;
    let (seed, data) = rest.split_at_checked(HASH)?;
    let seed = masked(seed, data);
    let data = masked(data, &seed);
    let (label, message) = data.split_at_checked(HASH)?;
    let one = message.iter().position(|byte| *byte != 0)?;
    let is_ours = *head == 0 && label == Sha1::digest(b"").as_slice() && message.get(one) == Some(&1);
    is_ours.then(|| message[one + 1..].to_vec())
}

/// Bytes with the mask (MGF1) that grows from a seed.
fn masked(bytes: &[u8], seed: &[u8]) -> Vec<u8> {
    let blocks = (0_u32..).flat_map(|counter| {
        let mut hasher = Sha1::new();
        hasher.update(seed);
        hasher.update(counter.to_be_bytes());
        hasher.finalize().to_vec()
    });
    bytes.iter().zip(blocks).map(|(byte, mask)| byte ^ mask).collect()
}
