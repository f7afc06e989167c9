//! The token of an application: fetched when none is held, refreshed before it expires, fetched again when the refresh fails.

use super::{
    refusal, sign,
    wire::{Envelope, TokenData, TokenRequest},
};
use crate::{
    api::Enos,
    cloud::{
        Call, CallError, Transport, WireRequest, effect, request,
        single_flight::{self, Previous},
    },
};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use std::sync::atomic::{AtomicI64, Ordering};

/// A token is renewed this long before it expires, or after nine tenths of a shorter lifetime.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// A token, valid until it must be renewed.
pub struct Token {
    /// Value of `apim-accesstoken`.
    pub secret: SecretString,
    renew_at: Timestamp,
    ends: Timestamp,
}

impl single_flight::Token for Token {
    fn renew_at(&self) -> Timestamp {
        self.renew_at
    }
}

/// The timestamps of the digests of one account.
#[derive(Default)]
pub struct Stamps(AtomicI64);

impl Stamps {
    /// Milliseconds that never repeat: the gateway refuses a digest that it has seen.
    pub fn next(&self, now: Timestamp) -> i64 {
        let now = now.as_millisecond();
        let next = |last: i64| Some(now.max(last.saturating_add(1)));
        let last = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
        let last = last.unwrap_or_else(|last| last);
        now.max(last.saturating_add(1))
    }
}

/// What a token is fetched with.
pub struct TokenSource<'a> {
    /// Address of the gateway.
    pub spec: &'a Enos,
    /// Application key.
    pub app_key: &'a SecretString,
    /// Application secret.
    pub app_secret: &'a SecretString,
    /// Timestamps of digests.
    pub stamps: &'a Stamps,
    /// HTTP.
    pub transport: &'a dyn Transport,
    /// The call that needs the token.
    pub call: &'a Call,
}

impl TokenSource<'_> {
    /// Refreshes a token that expires. A failed refresh is no failure yet: the application may have another token meanwhile.
    ///
    /// # Errors
    /// When the token service refuses, cannot be reached, or answers unintelligibly. No request of the caller has been sent then.
    pub async fn sign_in(&self, previous: Previous<Token>, now: Timestamp) -> Result<Token, CallError> {
        let expiring = previous.expiring.filter(|token| now < token.ends);
        if let Some(expiring) = expiring
            && let Ok(token) = self.fetch(Some(&expiring), now).await
        {
            return Ok(token);
        }
        self.fetch(None, now).await
    }

    async fn fetch(&self, old: Option<&Token>, now: Timestamp) -> Result<Token, CallError> {
        let sent = request::send(self.transport, self.call, self.request(old, now)?).await;
        let response = sent.map_err(not_sent)?;
        if let Some(error) = refusal::of_answer(self.call, &response, now) {
            return Err(not_sent(error));
        }
        let strange = |why: &str| not_sent(refusal::unintelligible(self.call, &response, why.to_owned()));
        let answer: Envelope<TokenData> =
            serde_json::from_slice(&response.body).map_err(|_| strange("the response is not a token"))?;
        // The service returns a live token again, even in its last second.
        let data = answer.data.filter(|data| !data.access_token.is_empty() && data.expire >= 0);
        let data = data.ok_or_else(|| strange("the response has no token"))?;
        let life = SignedDuration::from_secs(data.expire);
        let ends = now.saturating_add(life).unwrap_or(Timestamp::MAX);
        let renew_at = ends.saturating_sub((life / 10).min(MARGIN)).unwrap_or(ends);
        Ok(Token { secret: data.access_token.into(), renew_at, ends })
    }

    fn request(&self, old: Option<&Token>, now: Timestamp) -> Result<WireRequest, CallError> {
        let stamp = self.stamps.next(now);
        let key = self.app_key.expose_secret();
        let body = TokenRequest {
            app_key: key,
            encryption: sign::encryption(key, self.app_secret, stamp),
            timestamp: stamp,
            access_token: old.map(|token| token.secret.expose_secret()),
        };
        let body = request::json(self.call.operation(), &body)?;
        let action = if old.is_some() { "refresh" } else { "get" };
        Ok(WireRequest {
            method: "POST",
            origin: request::origin(&self.spec.endpoint).to_owned(),
            path: format!("/apim-token-service/v2.0/token/{action}"),
            query: String::new(),
            headers: vec![("Content-Type".to_owned(), "application/json;charset=UTF-8".to_owned())],
            body,
            upload: None,
        })
    }
}

/// Signing in failed, so the call itself was not sent.
fn not_sent(error: CallError) -> CallError {
    effect::not_signed_in(error, "sign-in to EnOS")
}
