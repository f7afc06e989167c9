//! Request signing of Huawei Cloud: SDK-HMAC-SHA256, and V11-HMAC-SHA256 with a derived key. Pure.
//!
//! Both sides live here, so that they stay consistent: [`complete_headers`] and [`sign`] for the client, [`verify`] for the
//! simulator. Tested against the signatures of the official SDK 3.1.219 by `tests/it/vectors.rs`.

use super::wire::{format_time, parse_time};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt;

/// Service name in the scope of a derived key (SDK 3.1.219; not `iotda`).
pub const SERVICE: &str = "iotdm";

/// How far `X-Sdk-Date` may be from the gateway's clock (API signing guide).
pub const MAX_SKEW: SignedDuration = SignedDuration::from_mins(15);

const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// With the secret key itself: shared endpoints (basic edition).
    SdkHmacSha256,
    /// With a key derived for one day, region and service: all other endpoints.
    V11HmacSha256,
}

impl Algorithm {
    /// The first word of `Authorization`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SdkHmacSha256 => "SDK-HMAC-SHA256",
            Self::V11HmacSha256 => "V11-HMAC-SHA256",
        }
    }
}

/// The signed parts of a request.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Path on the wire.
    pub path: &'a str,
    /// Query pairs, decoded, in any order.
    pub query: &'a [(String, String)],
    /// Headers; values as UTF-8.
    pub headers: &'a [(String, String)],
    /// Body; empty if absent.
    pub body: &'a [u8],
}

/// The signing key.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// Access key id.
    pub access_key: &'a str,
    /// Secret access key.
    pub secret_key: &'a SecretString,
    /// Region id; part of the scope of V11.
    pub region: &'a str,
    /// Service; part of the scope of V11.
    pub service: &'a str,
    /// The algorithm.
    pub algorithm: Algorithm,
}

/// Every step between a request and its `Authorization`, for tests and for explaining a mismatch.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// The request in its canonical form.
    pub canonical_request: String,
    /// Input of the HMAC.
    pub string_to_sign: String,
    /// Value of the `Authorization` header.
    pub authorization: String,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").finish_non_exhaustive()
    }
}

/// Account headers that are sent, and therefore signed, with a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountHeaders<'a> {
    /// `X-Project-Id`.
    pub project_id: Option<&'a str>,
    /// `X-Domain-Id`, for global services.
    pub domain_id: Option<&'a str>,
    /// `X-Security-Token` of a temporary access key.
    pub security_token: Option<&'a SecretString>,
}

/// Adds the headers that must be present before signing, in the SDK's order: account, payload marker, date, host. An existing
/// date or host (in any case) is kept; values are trimmed.
pub fn complete_headers(
    headers: &mut Vec<(String, String)>,
    account: AccountHeaders<'_>,
    host: &str,
    now: Timestamp,
) {
    let token = account.security_token.map(ExposeSecret::expose_secret);
    let added = [
        ("X-Project-Id", account.project_id),
        ("X-Domain-Id", account.domain_id),
        ("X-Security-Token", token),
    ];
    for (name, value) in added {
        if let Some(value) = value {
            set(headers, name, value);
        }
    }
    if has_unsigned_payload(headers) {
        set(headers, "X-Sdk-Content-Sha256", UNSIGNED_PAYLOAD);
    }
    for (name, value) in [("X-Sdk-Date", &*format_time(now)), ("Host", host)] {
        if header(headers, name).is_none() {
            set(headers, name, value);
        }
    }
    for (_, value) in headers.iter_mut().filter(|(_, value)| value.trim() != value) {
        *value = value.trim().to_owned();
    }
}

/// Replaces a header of exactly this name, or adds it at the end.
fn set(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    match headers.iter_mut().find(|(given, _)| given == name) {
        Some((_, old)) => value.clone_into(old),
        None => headers.push((name.to_owned(), value.to_owned())),
    }
}

/// The SDK searches for `Content-Type` in exactly this case, and does not sign types other than JSON and BSON.
fn has_unsigned_payload(headers: &[(String, String)]) -> bool {
    let kind = headers.iter().find(|(name, _)| name == "Content-Type").map_or("", |(_, kind)| kind);
    !kind.is_empty() && !kind.starts_with("application/json") && !kind.starts_with("application/bson")
}

/// Signs a request whose headers are complete. Signs every header whose name has no underscore.
#[must_use]
pub fn sign(request: &Subject<'_>, signer: &Signer<'_>) -> Signed {
    let names = signable_names(request.headers);
    let canonical_request = canonical_request(request, &names);
    let date = header(request.headers, "x-sdk-date").unwrap_or_default();
    let scope = scope(date, signer.region, signer.service);
    let string_to_sign = string_to_sign(signer.algorithm, date, &scope, &canonical_request);
    let mac = mac(signer.algorithm, signer.access_key, signer.secret_key, &scope, &string_to_sign);
    let signature = hex_of(&mac.finalize().into_bytes().into());
    let who = match signer.algorithm {
        Algorithm::SdkHmacSha256 => format!("Access={}", signer.access_key),
        Algorithm::V11HmacSha256 => format!("Credential={}/{scope}", signer.access_key),
    };
    let authorization = format!(
        "{} {who}, SignedHeaders={}, Signature={signature}",
        signer.algorithm.as_str(),
        names.join(";")
    );
    Signed { canonical_request, string_to_sign, authorization }
}

fn signable_names(headers: &[(String, String)]) -> Vec<String> {
    let mut names: Vec<String> =
        headers.iter().map(|(name, _)| name.to_lowercase()).filter(|name| !name.contains('_')).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn canonical_request(request: &Subject<'_>, signed_names: &[impl AsRef<str>]) -> String {
    let mut text = String::with_capacity(512);
    text.push_str(&request.method.to_uppercase());
    text.push('\n');
    push_path(&mut text, request.path);
    text.push('\n');
    push_query(&mut text, request.query);
    text.push('\n');
    for name in signed_names.iter().map(AsRef::as_ref) {
        let value = header(request.headers, name).unwrap_or_default();
        text.extend([name, ":", value.trim(), "\n"]);
    }
    text.push('\n');
    for (place, name) in signed_names.iter().map(AsRef::as_ref).enumerate() {
        text.extend([if place > 0 { ";" } else { "" }, name]);
    }
    text.push('\n');
    text.push_str(&payload_hash(request));
    text
}

/// The path, decoded and with each segment encoded again, always with a trailing slash; so `%2F` becomes a separator.
fn push_path(canonical: &mut String, path: &str) {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    for (place, segment) in decoded.split('/').enumerate() {
        canonical.push_str(if place > 0 { "/" } else { "" });
        canonical.extend(utf8_percent_encode(segment, UNRESERVED));
    }
    if !decoded.ends_with('/') {
        canonical.push('/');
    }
}

/// Pairs sorted before they are encoded. This query is also sent.
#[must_use]
pub fn canonical_query(pairs: &[(String, String)]) -> String {
    let mut canonical = String::new();
    push_query(&mut canonical, pairs);
    canonical
}

fn push_query(canonical: &mut String, pairs: &[(String, String)]) {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort_unstable();
    for (place, (key, value)) in sorted.into_iter().enumerate() {
        canonical.push_str(if place > 0 { "&" } else { "" });
        canonical.extend(utf8_percent_encode(key, UNRESERVED));
        canonical.push('=');
        canonical.extend(utf8_percent_encode(value, UNRESERVED));
    }
}

/// Pairs of a query on the wire. A `+` is a plus: no signer sends it for a space.
#[must_use]
pub fn parse_query(wire: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    wire.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

/// Percent-encodes everything except letters, digits and `-_.~`, as the SDK does.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// An empty body has the hash of nothing even if the payload is declared unsigned (SDK 3.1.219).
fn payload_hash(request: &Subject<'_>) -> String {
    match header(request.headers, "x-sdk-content-sha256") {
        Some(declared) if !request.body.is_empty() => declared.trim().to_owned(),
        _ => sha256_hex(request.body),
    }
}

fn scope(date: &str, region: &str, service: &str) -> String {
    let day: String = date.chars().take(8).collect();
    format!("{day}/{region}/{service}")
}

fn string_to_sign(algorithm: Algorithm, date: &str, scope: &str, canonical_request: &str) -> String {
    let hash = sha256_hex(canonical_request.as_bytes());
    match algorithm {
        Algorithm::SdkHmacSha256 => format!("{}\n{date}\n{hash}", algorithm.as_str()),
        Algorithm::V11HmacSha256 => format!("{}\n{date}\n{scope}\n{hash}", algorithm.as_str()),
    }
}

/// The signing key of V11: 64 hex digits, used as text and not as the 32 bytes that they encode. `scope` is `day/region/service`.
#[must_use]
#[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8,160 bytes; 32 are requested")]
pub fn derived_key(access_key: &str, secret_key: &SecretString, scope: &str) -> SecretString {
    let hkdf = hkdf::Hkdf::<Sha256>::new(Some(access_key.as_bytes()), secret_key.expose_secret().as_bytes());
    let mut key = [0_u8; 32];
    hkdf.expand(scope.as_bytes(), &mut key).expect("32 bytes are within HKDF's limit");
    hex_of(&key).into()
}

fn mac(
    algorithm: Algorithm,
    access_key: &str,
    secret: &SecretString,
    scope: &str,
    text: &str,
) -> Hmac<Sha256> {
    let mut mac = match algorithm {
        Algorithm::SdkHmacSha256 => keyed(secret),
        Algorithm::V11HmacSha256 => keyed(&derived_key(access_key, secret, scope)),
    };
    mac.update(text.as_bytes());
    mac
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed(key: &SecretString) -> Hmac<Sha256> {
    Hmac::new_from_slice(key.expose_secret().as_bytes()).expect("HMAC takes keys of any length")
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex_of(&Sha256::digest(bytes).into())
}

/// Each request is signed over several of these, so they are encoded at once and not digit by digit.
fn hex_of(bytes: &[u8; 32]) -> String {
    let mut digits = [0_u8; 64];
    // Twice as many digits as bytes, all of them ASCII.
    let _ = hex::encode_to_slice(bytes, &mut digits);
    std::str::from_utf8(&digits).unwrap_or_default().to_owned()
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// A request with a valid signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Access key id that signed it.
    pub access_key: String,
    /// How it was signed.
    pub algorithm: Algorithm,
    /// `day/region/service` of V11.
    pub scope: Option<String>,
}

/// Why a signed request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `Authorization` or a header that it requires is missing or malformed.
    #[error("{0}")]
    Malformed(&'static str),
    /// The access key does not exist.
    #[error("access key {0} does not exist")]
    UnknownKey(String),
    /// `X-Sdk-Date` differs by more than [`MAX_SKEW`].
    #[error("X-Sdk-Date is {0} minutes away from the server's clock")]
    Skewed(i64),
    /// Another request, or another secret key, was signed.
    #[error("the signature does not match")]
    Mismatch,
}

struct Authorization<'a> {
    algorithm: Algorithm,
    access_key: &'a str,
    scope: Option<&'a str>,
    signed_names: Vec<&'a str>,
    signature: Vec<u8>,
}

/// Checks the signature of an incoming request, over exactly the headers that it lists. `secret_of` returns the secret key of an
/// access key.
///
/// # Errors
/// [`Refusal`], by the first failed check: form, key, date, signature.
pub fn verify(
    request: &Subject<'_>,
    now: Timestamp,
    secret_of: impl FnOnce(&str) -> Option<SecretString>,
) -> Result<Verified, Refusal> {
    let value =
        header(request.headers, "authorization").ok_or(Refusal::Malformed("Authorization is missing"))?;
    let given = parse_authorization(value)?;
    let date =
        header(request.headers, "x-sdk-date").ok_or(Refusal::Malformed("X-Sdk-Date is missing"))?.trim();
    let sent_at =
        parse_time(date).ok_or(Refusal::Malformed("X-Sdk-Date is not of the form 20240305T060708Z"))?;
    let secret =
        secret_of(given.access_key).ok_or_else(|| Refusal::UnknownKey(given.access_key.to_owned()))?;
    check_skew(sent_at, now)?;
    check_day(&given, date)?;
    check_declared_hash(request)?;
    let text = string_to_sign(
        given.algorithm,
        date,
        given.scope.unwrap_or_default(),
        &canonical_request(request, &given.signed_names),
    );
    mac(given.algorithm, given.access_key, &secret, given.scope.unwrap_or_default(), &text)
        .verify_slice(&given.signature)
        .map_err(|_| Refusal::Mismatch)?;
    Ok(Verified {
        access_key: given.access_key.to_owned(),
        algorithm: given.algorithm,
        scope: given.scope.map(str::to_owned),
    })
}

fn check_skew(sent_at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let skew = now.duration_since(sent_at).abs();
    if skew > MAX_SKEW { Err(Refusal::Skewed(skew.as_mins())) } else { Ok(()) }
}

/// A derived key is valid for one day: the one in the scope must be the signed one.
fn check_day(given: &Authorization<'_>, date: &str) -> Result<(), Refusal> {
    match given.scope {
        Some(scope) if scope.split('/').next() != date.get(..8) => {
            Err(Refusal::Malformed("the day in Credential is not the day of X-Sdk-Date"))
        }
        _ => Ok(()),
    }
}

/// A declared hash represents the body in the signature, so it must be the hash of the body.
fn check_declared_hash(request: &Subject<'_>) -> Result<(), Refusal> {
    match header(request.headers, "x-sdk-content-sha256").map(str::trim) {
        None | Some(UNSIGNED_PAYLOAD) => Ok(()),
        Some(declared) if declared.eq_ignore_ascii_case(&sha256_hex(request.body)) => Ok(()),
        Some(_) => Err(Refusal::Mismatch),
    }
}

fn parse_authorization(value: &str) -> Result<Authorization<'_>, Refusal> {
    let malformed = || {
        Refusal::Malformed(
            "Authorization is not of the form ALGORITHM Access=…, SignedHeaders=…, Signature=…",
        )
    };
    let (word, rest) = value.trim().split_once(' ').ok_or_else(malformed)?;
    let part = |key: &str| {
        rest.split(',')
            .find_map(|part| part.trim().strip_prefix(key)?.strip_prefix('='))
            .ok_or_else(malformed)
    };
    let (algorithm, access_key, scope) = match word {
        "SDK-HMAC-SHA256" => (Algorithm::SdkHmacSha256, part("Access")?, None),
        "V11-HMAC-SHA256" => {
            let (access_key, scope) = split_credential(part("Credential")?).ok_or_else(malformed)?;
            (Algorithm::V11HmacSha256, access_key, Some(scope))
        }
        _ => return Err(Refusal::Malformed("Authorization names an unknown algorithm")),
    };
    let signed_names: Vec<&str> = part("SignedHeaders")?.split(';').collect();
    if !["host", "x-sdk-date"].iter().all(|needed| signed_names.contains(needed)) {
        return Err(Refusal::Malformed("host and x-sdk-date must be signed"));
    }
    let signature = hex::decode(part("Signature")?).map_err(|_| malformed())?;
    Ok(Authorization { algorithm, access_key, scope, signed_names, signature })
}

/// `AK/day/region/service`; the access key itself may contain slashes.
fn split_credential(credential: &str) -> Option<(&str, &str)> {
    let (slash, _) = credential.rmatch_indices('/').nth(2)?;
    Some((credential.get(..slash)?, credential.get(slash + 1..)?))
}
