//! Request signing of Alibaba Cloud: ACS3-HMAC-SHA256 in a header, and RPC signature 1.0 (HMAC-SHA1) in the query. Pure.
//!
//! Both sides live here, so that they stay consistent: [`sign`] for the client, [`verify`] for the simulator. Tested against the
//! signatures of the official SDKs and the examples of the manuals by `tests/it/vectors/aliyun.rs`.

mod verify;

pub use verify::{Refusal, Verified, verify};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fmt;

/// How far a request's time may be from the gateway's clock (public error codes, `InvalidTimeStamp.Expired`).
pub const MAX_SKEW: SignedDuration = SignedDuration::from_mins(15);
/// The product's API version.
pub const VERSION: &str = "2018-01-20";
/// First word of `Authorization`.
pub const ACS3: &str = "ACS3-HMAC-SHA256";

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Names and values, decoded.
pub type Pairs = Vec<(String, String)>;

/// How a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// ACS3-HMAC-SHA256: action, version, time and signature are headers.
    Acs3,
    /// RPC signature 1.0: all of them are parameters.
    Rpc,
}

/// The signing key.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// Access key id.
    pub id: &'a str,
    /// Secret of the access key.
    pub secret: &'a SecretString,
    /// Security token of a temporary access key (STS).
    pub token: Option<&'a SecretString>,
    /// The signature method.
    pub scheme: Scheme,
}

/// The signed parts of a request.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// Path on the wire: always `/`.
    pub path: &'a str,
    /// Query pairs, decoded, in any order.
    pub query: &'a [(String, String)],
    /// Headers.
    pub headers: &'a [(String, String)],
    /// Body; empty if absent.
    pub body: &'a [u8],
}

/// What a signature adds to a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Added {
    /// Headers, with `Host` first.
    pub headers: Pairs,
    /// Query parameters.
    pub query: Pairs,
}

impl fmt::Debug for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Added").finish_non_exhaustive()
    }
}

/// Signs a call of `action` with these parameters, which are sent as the query of a request without a body, as both SDKs do.
/// `nonce` must be different for each request.
#[must_use]
pub fn sign(
    signer: &Signer<'_>,
    method: &str,
    host: &str,
    action: &str,
    parameters: &[(String, String)],
    nonce: &str,
    now: Timestamp,
) -> Added {
    let token = signer.token.map(ExposeSecret::expose_secret);
    let date = format_time(now);
    match signer.scheme {
        Scheme::Acs3 => {
            let hash = sha256_hex(b"");
            let mut headers = pairs(&[
                ("host", host),
                ("accept", "application/json"),
                ("x-acs-action", action),
                ("x-acs-version", VERSION),
                ("x-acs-date", &date),
                ("x-acs-signature-nonce", nonce),
                ("x-acs-content-sha256", &hash),
            ]);
            headers.extend(token.map(|token| ("x-acs-security-token".to_owned(), token.to_owned())));
            let subject = Subject { method, path: "/", query: parameters, headers: &headers, body: b"" };
            let authorization = acs3_authorization(&subject, signer.id, signer.secret);
            headers.push(("authorization".to_owned(), authorization));
            Added { headers, query: Vec::new() }
        }
        Scheme::Rpc => {
            let mut query = pairs(&[
                ("Action", action),
                ("Version", VERSION),
                ("Format", "JSON"),
                ("AccessKeyId", signer.id),
                ("SignatureMethod", "HMAC-SHA1"),
                ("SignatureVersion", "1.0"),
                ("SignatureNonce", nonce),
                ("Timestamp", &date),
            ]);
            query.extend(token.map(|token| ("SecurityToken".to_owned(), token.to_owned())));
            let signed: Pairs = query.iter().chain(parameters).cloned().collect();
            let signature = rpc_signature(signer.secret, &rpc_string_to_sign(method, &signed));
            query.push(("Signature".to_owned(), signature));
            Added { headers: pairs(&[("host", host)]), query }
        }
    }
}

fn pairs(of: &[(&str, &str)]) -> Pairs {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The input of the HMAC of RPC 1.0: all parameters of query and form except `Signature`.
#[must_use]
pub fn rpc_string_to_sign(method: &str, parameters: &[(String, String)]) -> String {
    let signed: Pairs = parameters.iter().filter(|(name, _)| name != "Signature").cloned().collect();
    format!("{method}&%2F&{}", encode(&canonical_query(&signed)))
}

/// The `Signature` of RPC 1.0, not yet encoded for a query.
#[must_use]
pub fn rpc_signature(secret: &SecretString, string_to_sign: &str) -> String {
    let key = format!("{}&", secret.expose_secret());
    BASE64_STANDARD.encode(sha1_mac(key.as_bytes(), string_to_sign.as_bytes()))
}

/// Signature of an object store policy: PostObject signs the policy as sent, in Base64.
#[must_use]
pub fn policy_signature(secret: &SecretString, policy: &str) -> String {
    BASE64_STANDARD.encode(sha1_mac(secret.expose_secret().as_bytes(), policy.as_bytes()))
}

/// The `Authorization` of ACS3. Signs every header of the request except itself.
#[must_use]
pub fn acs3_authorization(request: &Subject<'_>, id: &str, secret: &SecretString) -> String {
    let names = header_names(request.headers);
    let signature = hex::encode(acs3_mac(request, &names, secret).finalize().into_bytes());
    format!("{ACS3} Credential={id},SignedHeaders={},Signature={signature}", names.join(";"))
}

fn header_names(headers: &[(String, String)]) -> Vec<String> {
    let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.retain(|name| name != "authorization");
    names.sort_unstable();
    names.dedup();
    names
}

fn acs3_mac(request: &Subject<'_>, names: &[impl AsRef<str>], secret: &SecretString) -> Hmac<Sha256> {
    let mut mac = keyed::<Hmac<Sha256>>(secret.expose_secret().as_bytes());
    mac.update(acs3_string_to_sign(&acs3_canonical_request(request, names)).as_bytes());
    mac
}

/// The request in its canonical form, with these headers (lower case, sorted).
#[must_use]
pub fn acs3_canonical_request(request: &Subject<'_>, names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let line = |name: &&str| format!("{name}:{}\n", header(request.headers, name).unwrap_or_default().trim());
    let headers: String = names.iter().map(line).collect();
    [
        request.method,
        request.path,
        &canonical_query(request.query),
        &headers,
        &names.join(";"),
        &sha256_hex(request.body),
    ]
    .join("\n")
}

/// The input of the HMAC of ACS3.
#[must_use]
pub fn acs3_string_to_sign(canonical_request: &str) -> String {
    format!("{ACS3}\n{}", sha256_hex(canonical_request.as_bytes()))
}

/// Pairs sorted by unencoded name; an empty value keeps its `=`. This query is also sent.
#[must_use]
pub fn canonical_query(pairs: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort_unstable();
    let encoded: Vec<_> =
        sorted.into_iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    encoded.join("&")
}

/// Pairs of a query or a form on the wire. A `+` is a space: the Tea SDK sends it and signs `%20`.
#[must_use]
pub fn parse_query(wire: &str) -> Pairs {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    wire.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Percent-encodes everything except letters, digits and `-_.~`.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// A time in the signed form: `2024-05-06T07:08:09Z`.
#[must_use]
pub fn format_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn sha1_mac(key: &[u8], text: &[u8]) -> [u8; 20] {
    let mut mac = keyed::<Hmac<Sha1>>(key);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
