//! The token of an application: fetched when none is held, refreshed before it expires, fetched again when the refresh fails.
//!
//! One sign-in at a time; its result, success or failure, serves every call that waited for it.

use super::{
    refusal, render, sign,
    wire::{Envelope, TokenData, TokenRequest},
};
use crate::{
    api::Enos,
    cloud::{Call, CallError, Effect, ErrorClass, Transport, WireRequest, effect},
};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tokio::sync::Mutex;

/// A token is renewed this long before it expires, or after nine tenths of a shorter lifetime.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// A token. `id` distinguishes tokens without comparing them.
#[derive(Clone)]
pub struct Token {
    /// Value of `apim-accesstoken`.
    pub secret: SecretString,
    id: u64,
    renew_at: Timestamp,
    ends: Timestamp,
}

/// Holds the token of one account, and the timestamps of its digests.
#[derive(Default)]
pub struct TokenCache {
    attempts: AtomicU64,
    last: Mutex<Option<Result<Token, CallError>>>,
    stamp: AtomicI64,
}

impl TokenCache {
    /// Milliseconds that never repeat: the gateway refuses a digest that it has seen.
    pub fn stamp(&self, now: Timestamp) -> i64 {
        let now = now.as_millisecond();
        let next = |last: i64| Some(now.max(last.saturating_add(1)));
        let last = self.stamp.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
        let last = last.unwrap_or_else(|last| last);
        now.max(last.saturating_add(1))
    }

    /// A token that is valid at `now`, other than `refused`.
    ///
    /// # Errors
    /// When the token service refuses, cannot be reached, or answers unintelligibly. No request of the caller has been sent then.
    pub async fn get(
        &self,
        source: &TokenSource<'_>,
        refused: Option<&Token>,
        now: Timestamp,
    ) -> Result<Token, CallError> {
        let attempts_before = self.attempts.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        let is_other = |token: &Token| refused.is_none_or(|refused| refused.id != token.id);
        let old = match &*last {
            Some(Ok(token)) if is_other(token) && now < token.renew_at => return Ok(token.clone()),
            Some(Err(error)) if self.attempts.load(Ordering::SeqCst) != attempts_before => {
                return Err(error.clone());
            }
            Some(Ok(token)) if is_other(token) && now < token.ends => Some(token.clone()),
            _ => None,
        };
        let id = self.attempts.load(Ordering::SeqCst) + 1;
        let fetched = self.sign_in(source, old.as_ref(), id, now).await;
        self.attempts.store(id, Ordering::SeqCst);
        *last = Some(fetched.clone());
        fetched
    }

    /// A failed refresh is no failure yet: the application may have another token meanwhile.
    async fn sign_in(
        &self,
        source: &TokenSource<'_>,
        old: Option<&Token>,
        id: u64,
        now: Timestamp,
    ) -> Result<Token, CallError> {
        if let Some(old) = old
            && let Ok(token) = source.fetch(Some(old), id, self.stamp(now), now).await
        {
            return Ok(token);
        }
        source.fetch(None, id, self.stamp(now), now).await
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
    /// HTTP.
    pub transport: &'a dyn Transport,
    /// The call that needs the token.
    pub call: &'a Call,
}

impl TokenSource<'_> {
    async fn fetch(
        &self,
        old: Option<&Token>,
        id: u64,
        stamp: i64,
        now: Timestamp,
    ) -> Result<Token, CallError> {
        let sent = self.transport.send(self.request(old, stamp)?).await;
        let response = sent.map_err(|failure| self.not_sent(effect::of_transport(self.call, failure)))?;
        if let Some(error) = refusal::of_answer(self.call, &response, now) {
            return Err(self.not_sent(error));
        }
        let strange =
            |why: &str| self.not_sent(refusal::unintelligible(self.call, &response, why.to_owned()));
        let answer: Envelope<TokenData> =
            serde_json::from_slice(&response.body).map_err(|_| strange("the response is not a token"))?;
        // The service returns a live token again, even in its last second.
        let data = answer.data.filter(|data| !data.access_token.is_empty() && data.expire >= 0);
        let data = data.ok_or_else(|| strange("the response has no token"))?;
        let life = SignedDuration::from_secs(data.expire);
        let ends = now.saturating_add(life).unwrap_or(Timestamp::MAX);
        let renew_at = ends.saturating_sub((life / 10).min(MARGIN)).unwrap_or(ends);
        Ok(Token { secret: data.access_token.into(), id, renew_at, ends })
    }

    fn request(&self, old: Option<&Token>, stamp: i64) -> Result<WireRequest, CallError> {
        let key = self.app_key.expose_secret();
        let body = TokenRequest {
            app_key: key,
            encryption: sign::encryption(key, self.app_secret, stamp),
            timestamp: stamp,
            access_token: old.map(|token| token.secret.expose_secret()),
        };
        let body = serde_json::to_vec(&body)
            .map_err(|error| CallError::new(ErrorClass::Invalid, self.call.operation(), error.to_string()))?;
        let action = if old.is_some() { "refresh" } else { "get" };
        Ok(WireRequest {
            method: "POST",
            origin: render::origin(&self.spec.endpoint).to_owned(),
            path: format!("/apim-token-service/v2.0/token/{action}"),
            query: String::new(),
            headers: vec![("Content-Type".to_owned(), "application/json;charset=UTF-8".to_owned())],
            body: body.into(),
            upload: None,
        })
    }

    /// Signing in failed, so the call itself was not sent.
    fn not_sent(&self, mut error: CallError) -> CallError {
        error.effect = Effect::None;
        error.message = format!("sign-in to EnOS failed: {}", error.message);
        error
    }
}
