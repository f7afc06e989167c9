//! Authentication of a caller: a digest that fetches a token, and a digest of each request. Pure.
//!
//! Documents: "Getting access token" and "API signature" of the EnOS API gateway. Path and method are not signed, nor is a
//! multipart body. Used by client and simulator, and tested against published digests by `tests/it/vectors/enos.rs`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Header that carries the token.
pub const TOKEN_HEADER: &str = "apim-accesstoken";
/// Header that carries the digest of the request.
pub const SIGNATURE_HEADER: &str = "apim-signature";
/// Header that carries the time of the digest, in milliseconds.
pub const TIMESTAMP_HEADER: &str = "apim-timestamp";

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `encryption` of a request for a token. `timestamp` is in milliseconds.
#[must_use]
pub fn encryption(app_key: &str, app_secret: &SecretString, timestamp: i64) -> String {
    let text = format!("{app_key}{timestamp}{}", app_secret.expose_secret());
    hex::encode(Sha256::digest(text))
}

/// `apim-signature` of a request. `body` is the JSON text, byte for byte; empty for multipart.
#[must_use]
pub fn signature(
    token: &SecretString,
    app_secret: &SecretString,
    query: &[(String, String)],
    body: &[u8],
    timestamp: i64,
) -> String {
    let mut hasher = Sha256::new();
    hasher.update(token.expose_secret());
    hasher.update(signed_query(query));
    hasher.update(body);
    hasher.update(timestamp.to_string());
    hasher.update(app_secret.expose_secret());
    hex::encode(hasher.finalize())
}

/// Names and decoded values, sorted by name. Of a repeated name the first value counts, as in the document's sample.
#[must_use]
pub fn signed_query(query: &[(String, String)]) -> String {
    let mut by_name = BTreeMap::new();
    for (name, value) in query {
        by_name.entry(name.as_str()).or_insert(value.as_str());
    }
    by_name.into_iter().flat_map(|(name, value)| [name, value]).collect()
}

/// Pairs of a query on the wire. A `+` is a space, as in the document's sample.
#[must_use]
pub fn parse_query(wire: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(wire.as_bytes()).into_owned().collect()
}

/// A query for the wire: everything but letters, digits and `-_.~` is percent-encoded.
#[must_use]
pub fn wire_query(pairs: &[(&str, &str)]) -> String {
    let encode = |text| utf8_percent_encode(text, UNRESERVED).to_string();
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(*name), encode(*value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sent_is_read_as_it_was_meant(pairs in prop::collection::vec((".{1,8}", ".{0,12}"), 0..5)) {
            let given: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            prop_assert_eq!(parse_query(&wire_query(&given)), pairs);
        }
    }

    #[test]
    fn of_a_name_that_stands_twice_the_first_value_is_signed() {
        assert_eq!(signed_query(&parse_query("b=2&a=1&b=3&Z=+%2B")), "Z +a1b2");
    }
}
