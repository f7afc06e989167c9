//! Who calls: tokens and their renewal, the digest of a request, or a header of the Poseidon SDK.

use super::{
    Enos, codes, poseidon,
    request::{Answer, Fields, Handled, Refusal, invalid},
    route::Operation,
    spec::EnosAccountSpec,
};
use crate::{
    cloud::{WireRequest, enos::sign},
    simulator::{draw, request::header},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How long a token lives (document: 7200 s).
const TOKEN_LIFE: SignedDuration = SignedDuration::from_secs(7200);
/// How far the time of a digest may be from the gateway's clock: *assumed*, no document settles it.
pub const MOST_SKEW: SignedDuration = SignedDuration::from_mins(15);

/// A token.
#[derive(Clone, Debug)]
struct Token {
    text: String,
    expires: Timestamp,
}

/// What the gateway remembers of an account: its token, and the digests that it has seen.
#[derive(Debug, Default)]
pub struct Session {
    token: Option<Token>,
    seen: BTreeSet<(i64, String)>,
}

impl Session {
    /// True when this digest comes for the first time. Digests that are too old to be accepted are forgotten.
    fn is_new(&mut self, timestamp: i64, digest: &str, now: Timestamp) -> bool {
        let oldest = now.as_millisecond() - MOST_SKEW.as_millis() as i64;
        self.seen = self.seen.split_off(&(oldest, String::new()));
        self.seen.insert((timestamp, digest.to_owned()))
    }

    fn live(&self, now: Timestamp) -> Option<&Token> {
        self.token.as_ref().filter(|token| now < token.expires)
    }

    /// Ends the token.
    pub fn expire(&mut self) {
        self.token = None;
    }
}

fn is_far(timestamp: i64, now: Timestamp) -> bool {
    now.as_millisecond().abs_diff(timestamp) > MOST_SKEW.as_millis().unsigned_abs() as u64
}

/// POST `/apim-token-service/v2.0/token/get` and `refresh`.
///
/// A live token is given again; a refresh gives a new one. *Assumed*: the old one ends with that.
///
/// # Errors
/// The documented codes of the token service.
pub fn token(enos: &mut Enos, operation: Operation, wire: &WireRequest, now: Timestamp) -> Handled {
    let body: Value =
        serde_json::from_slice(&wire.body).map_err(|_| Refusal::new(&codes::BAD_PARAMETER, ""))?;
    let map = body.as_object().ok_or_else(|| Refusal::new(&codes::BAD_PARAMETER, ""))?;
    let fields = Fields { map, path: "" };
    let text = |name| match fields.text(name) {
        Ok(Some(text)) => Ok(text),
        _ => Err(Refusal::new(&codes::EMPTY_PARAMETER, "")),
    };
    let (key, encryption) = (text("appKey")?, text("encryption")?);
    fields.get("timestamp").ok_or_else(|| Refusal::new(&codes::EMPTY_PARAMETER, ""))?;
    // The document has a number; an official client sends a string.
    let timestamp = fields.integer("timestamp", 0, i64::MAX).ok().flatten();
    let timestamp = timestamp.ok_or_else(|| Refusal::new(&codes::BAD_PARAMETER, ""))?;
    let index = enos.accounts.iter().position(|account| account.spec.app_key == key);
    let (index, account) = index
        .and_then(|index| Some((index, enos.accounts.get_mut(index)?)))
        .ok_or_else(|| Refusal::new(&codes::UNKNOWN_KEY, ""))?;
    let wanted = sign::encryption(key, &account.spec.app_secret.clone().into(), timestamp);
    if encryption != wanted || is_far(timestamp, now) {
        return Err(Refusal::new(&codes::WRONG_ENCRYPTION, ""));
    }
    if !account.session.is_new(timestamp, encryption, now) {
        return Err(Refusal::new(&codes::REPEATED, ""));
    }
    let old = account.session.live(now).cloned();
    let given = match (operation, old) {
        (Operation::RefreshToken, Some(old))
            if fields.text("accessToken").is_ok_and(|t| t == Some(&old.text)) =>
        {
            None
        }
        (Operation::RefreshToken, _) => return Err(Refusal::new(&codes::REFRESH_FAILED, "")),
        (_, old) => old,
    };
    let token = given.unwrap_or_else(|| {
        let text = draw::hex_id(enos.seed, 64, &["enos token", &index.to_string(), &timestamp.to_string()]);
        Token { text, expires: now.checked_add(TOKEN_LIFE).unwrap_or(Timestamp::MAX) }
    });
    let expire = token.expires.duration_since(now).as_secs();
    let data = json!({"accessToken": token.text, "expire": expire});
    account.session.token = Some(token);
    Ok(Answer::data(data))
}

impl Enos {
    /// The account that a call is made for.
    ///
    /// # Errors
    /// The call is not signed, or by no known key; it has been seen before; the organisation is another's.
    pub fn authenticate(
        &mut self,
        wire: &WireRequest,
        query: &[(String, String)],
        now: Timestamp,
    ) -> Result<usize, Refusal> {
        let organisation = query.iter().find(|(name, _)| name == "orgId").map(|(_, value)| value.as_str());
        let organisation =
            organisation.filter(|id| !id.is_empty()).ok_or_else(|| invalid("orgId", "is missing"))?;
        let index = match (header(wire, sign::TOKEN_HEADER), header(wire, sign::SIGNATURE_HEADER)) {
            (Some(token), Some(signature)) => self.by_signature(wire, query, (token, signature), now)?,
            (Some(token), None) => self.by_poseidon(token, organisation)?,
            (None, _) => return Err(Refusal::new(&codes::TOKEN_EXPIRED, "")),
        };
        if self.accounts[index].spec.org_id != organisation {
            return Err(Refusal::new(&codes::DENIED, ""));
        }
        Ok(index)
    }

    fn by_signature(
        &mut self,
        wire: &WireRequest,
        query: &[(String, String)],
        (token, signature): (&str, &str),
        now: Timestamp,
    ) -> Result<usize, Refusal> {
        let owns = |session: &Session| session.live(now).is_some_and(|live| live.text == token);
        let index = self.accounts.iter().position(|account| owns(&account.session));
        let index = index.ok_or_else(|| Refusal::new(&codes::TOKEN_EXPIRED, ""))?;
        let account = &mut self.accounts[index];
        let timestamp = header(wire, sign::TIMESTAMP_HEADER).and_then(|text| text.parse().ok());
        let timestamp: i64 = timestamp.ok_or_else(|| Refusal::new(&codes::WRONG_SIGNATURE, ""))?;
        let is_form = header(wire, "content-type").is_some_and(|kind| kind.starts_with("multipart/"));
        let body: &[u8] = if is_form { b"" } else { &wire.body };
        let secret = account.spec.app_secret.clone().into();
        let wanted = sign::signature(&token.to_owned().into(), &secret, query, body, timestamp);
        if signature != wanted || is_far(timestamp, now) {
            return Err(Refusal::new(&codes::WRONG_SIGNATURE, ""));
        }
        if !account.session.is_new(timestamp, signature, now) {
            return Err(Refusal::new(&codes::REPEATED_CALL, ""));
        }
        Ok(index)
    }

    fn by_poseidon(&self, token: &str, organisation: &str) -> Result<usize, Refusal> {
        let refused = || Refusal::new(&codes::TOKEN_EXPIRED, "");
        let block = poseidon::block(token).ok_or_else(refused)?;
        let is_known =
            |spec: &EnosAccountSpec| match spec.poseidon.as_ref().map(|poseidon| &poseidon.private_key) {
                None => false,
                Some(None) => spec.org_id == organisation,
                Some(Some(key)) => poseidon::open(&block, key).is_some_and(|opened| {
                    opened.is_consistent && opened.key == spec.app_key && opened.secret == spec.app_secret
                }),
            };
        self.accounts.iter().position(|account| is_known(&account.spec)).ok_or_else(refused)
    }
}
