//! Server side of signing: which key signed a request, by either scheme.

use super::{
    ACS3, MAX_SKEW, Pairs, Scheme, Subject, acs3_mac, header, rpc_signature, rpc_string_to_sign, sha256_hex,
};
use hmac::Mac;
use jiff::Timestamp;
use secrecy::SecretString;

/// Headers that an ACS3 signature must cover.
const COVERED: [&str; 6] =
    ["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"];

/// A request with a valid signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Access key id that signed it.
    pub access_key: String,
    /// How it was signed.
    pub scheme: Scheme,
    /// Unique for each request.
    pub nonce: String,
    /// Security token of the request.
    pub token: Option<String>,
}

/// Why a request is refused, in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A parameter or header that every call needs is missing.
    #[error("{0} is mandatory for this action.")]
    Missing(&'static str),
    /// `Authorization`, or the list of signed headers, cannot be parsed.
    #[error("The request signature does not conform to Aliyun standards: {0}")]
    Incomplete(&'static str),
    /// Another signature method or version.
    #[error("The specified SignatureMethod or SignatureVersion is not supported.")]
    Unsupported,
    /// A malformed time.
    #[error("Specified time stamp or date value is not well formatted.")]
    TimeFormat,
    /// A time that differs by more than [`MAX_SKEW`].
    #[error("Specified time stamp or date value is expired.")]
    Skewed,
    /// The access key does not exist.
    #[error("Specified access key is not found.")]
    UnknownKey,
    /// Another request, or another secret, was signed. Contains what the server signed.
    #[error("Specified signature is not matched with our calculation. server string to sign is:{0}")]
    Mismatch(String),
}

/// Checks the signature of a request; `form` has the pairs of its form body. `secret_of` gives the secret of an access key.
///
/// # Errors
/// [`Refusal`].
pub fn verify(
    request: &Subject<'_>,
    form: &[(String, String)],
    now: Timestamp,
    secret_of: impl Fn(&str) -> Option<SecretString>,
) -> Result<Verified, Refusal> {
    match header(request.headers, "authorization") {
        Some(value) if value.starts_with(ACS3) => acs3(request, value, now, secret_of),
        _ => rpc(request, form, now, secret_of),
    }
}

fn rpc(
    request: &Subject<'_>,
    form: &[(String, String)],
    now: Timestamp,
    secret_of: impl Fn(&str) -> Option<SecretString>,
) -> Result<Verified, Refusal> {
    let all: Pairs = request.query.iter().chain(form).cloned().collect();
    let optional = |name: &str| all.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let needed = |name: &'static str| optional(name).filter(|v| !v.is_empty()).ok_or(Refusal::Missing(name));
    let id = needed("AccessKeyId")?;
    let signature = needed("Signature")?;
    if needed("SignatureMethod")? != "HMAC-SHA1" || needed("SignatureVersion")? != "1.0" {
        return Err(Refusal::Unsupported);
    }
    let nonce = needed("SignatureNonce")?;
    check_time(needed("Timestamp")?, now)?;
    let secret = secret_of(id).ok_or(Refusal::UnknownKey)?;
    let string_to_sign = rpc_string_to_sign(request.method, &all);
    if rpc_signature(&secret, &string_to_sign) != signature {
        return Err(Refusal::Mismatch(string_to_sign));
    }
    Ok(Verified {
        access_key: id.to_owned(),
        scheme: Scheme::Rpc,
        nonce: nonce.to_owned(),
        token: optional("SecurityToken").filter(|token| !token.is_empty()).map(str::to_owned),
    })
}

fn acs3(
    request: &Subject<'_>,
    authorization: &str,
    now: Timestamp,
    secret_of: impl Fn(&str) -> Option<SecretString>,
) -> Result<Verified, Refusal> {
    let rest = authorization.strip_prefix(ACS3).unwrap_or_default().trim();
    let part =
        |name: &str| rest.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let needed = |name: &'static str| part(name).ok_or(Refusal::Incomplete(name));
    let id = needed("Credential")?;
    let names: Vec<&str> = needed("SignedHeaders")?.split(';').collect();
    let signature = hex::decode(needed("Signature")?).map_err(|_| Refusal::Incomplete("Signature"))?;
    if let Some(missing) = COVERED.into_iter().find(|name| !names.contains(name)) {
        return Err(Refusal::Incomplete(missing));
    }
    let value = |name: &'static str| header(request.headers, name).ok_or(Refusal::Missing(name));
    check_time(value("x-acs-date")?, now)?;
    let secret = secret_of(id).ok_or(Refusal::UnknownKey)?;
    let mismatch = || Refusal::Mismatch(super::acs3_canonical_request(request, &names));
    if value("x-acs-content-sha256")? != sha256_hex(request.body) {
        return Err(mismatch());
    }
    acs3_mac(request, &names, &secret).verify_slice(&signature).map_err(|_| mismatch())?;
    Ok(Verified {
        access_key: id.to_owned(),
        scheme: Scheme::Acs3,
        nonce: value("x-acs-signature-nonce")?.to_owned(),
        token: header(request.headers, "x-acs-security-token").map(str::to_owned),
    })
}

fn check_time(text: &str, now: Timestamp) -> Result<(), Refusal> {
    let has_form = text.len() == 20 && text.ends_with('Z');
    let sent_at: Timestamp = text.parse().ok().filter(|_| has_form).ok_or(Refusal::TimeFormat)?;
    if now.duration_since(sent_at).abs() > MAX_SKEW { Err(Refusal::Skewed) } else { Ok(()) }
}
