//! The token of an application: fetched when none is held, refreshed before it expires, and fetched again when it is rejected.
//!
//! Only the newest token of an application is valid (authentication page): each sign-in invalidates all others. Processes of one
//! state therefore share it (`shared`): a process whose token is invalid first checks whether another one has signed in.
//! **Invariant:** in one process an application has one [`Session`], however many accounts use it.\
//! **Invariant:** two programs that sign in with one application do not invalidate each other's tokens in a loop: a token that
//! was invalidated soon after it was issued is an error that names the cause.

use super::shared::{self, Shelf};
use super::{refusal, render, wire};
use crate::{
    api::OceanConnect,
    cloud::{
        Call, CallError, ErrorClass, Transport, WireRequest, WireResponse, effect, request,
        single_flight::{self, Exchange, Previous, SingleFlight},
    },
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Lifetime of a token if the answer does not state it (the page's example).
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// A token is renewed this long before it expires, or after nine tenths of a shorter lifetime.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);
/// If a token is rejected sooner than this after it replaced a rejected one, another program signs in with the application.
const RECLAIM: SignedDuration = SignedDuration::from_mins(5);

/// A token, valid until it must be renewed.
pub struct Token {
    /// Value after `Bearer`.
    pub secret: SecretString,
    pub(super) refresh: Option<SecretString>,
    pub(super) renew_at: Timestamp,
}

impl single_flight::Token for Token {
    fn renew_at(&self) -> Timestamp {
        self.renew_at
    }
}

impl Token {
    fn is_same(&self, other: &Self) -> bool {
        self.secret.expose_secret() == other.secret.expose_secret()
    }
}

/// The sessions of a process, one per application of a platform.
#[derive(Default)]
pub struct Sessions {
    of: Mutex<BTreeMap<(String, String), Arc<Session>>>,
    shelf: Option<Arc<dyn Shelf>>,
}

impl Sessions {
    /// Sessions that are shared with other processes.
    #[must_use]
    pub fn shared(shelf: Arc<dyn Shelf>) -> Self {
        Self { shelf: Some(shelf), ..Self::default() }
    }

    /// The session of an application.
    #[must_use]
    pub fn of(&self, spec: &OceanConnect) -> Arc<Session> {
        let key = (request::origin(&spec.endpoint).to_owned(), spec.app_id.clone());
        let shelf = self.shelf.clone().map(|shelf| (shelf, shared::name_of(&key.0, &key.1)));
        // A panic elsewhere does not change the map.
        let mut sessions = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || Arc::new(Session { shelf, ..Session::default() });
        Arc::clone(sessions.entry(key).or_insert_with(begin))
    }
}

/// Holds the one token of an application.
#[derive(Default)]
pub struct Session {
    /// Where its token is shared, and its name there.
    shelf: Option<(Arc<dyn Shelf>, String)>,
    tokens: SingleFlight<Token>,
    /// When a token last replaced a rejected one.
    reclaimed_at: Mutex<Option<Timestamp>>,
}

impl Session {
    /// Sends a request with the token.
    ///
    /// # Errors
    /// When the platform refuses the sign-in, cannot be reached, or answers unintelligibly; or when another program signs in with
    /// the same application.
    pub(super) async fn send(
        &self,
        exchange: &Exchange<'_>,
        source: &Source<'_>,
        sign: impl Fn(&Token) -> WireRequest,
    ) -> Result<WireResponse, CallError> {
        let sign_in = |previous| self.renew(previous, source, exchange.now);
        self.tokens.send(exchange, sign_in, sign).await
    }

    /// Another token than the held one: that of another process, or a new one.
    async fn renew(
        &self,
        previous: Previous<Token>,
        source: &Source<'_>,
        now: Timestamp,
    ) -> Result<Token, CallError> {
        let Previous { expiring, rejected } = previous;
        let mut kept = match &self.shelf {
            Some((shelf, name)) => shelf.open(name).await,
            None => None,
        };
        let theirs = kept.as_mut().and_then(|kept| shared::read(kept.as_mut(), source.secret));
        let theirs =
            theirs.filter(|theirs| rejected.as_ref().is_none_or(|rejected| !rejected.is_same(theirs)));
        let refresh = match theirs {
            Some(theirs) if now < theirs.renew_at => return Ok(theirs),
            Some(theirs) => theirs.refresh,
            None => expiring.and_then(|token| token.refresh.clone()),
        };
        if rejected.is_some() && self.reclaimed_at().is_some_and(|at| now.duration_since(at) < RECLAIM) {
            return Err(source.contested());
        }
        let fetched = source.renew(refresh, now).await?;
        if rejected.is_some() {
            *self.reclaimed_at() = Some(now);
        }
        if let Some(kept) = &mut kept {
            shared::write(kept.as_mut(), source.secret, &fetched);
        }
        Ok(fetched)
    }

    fn reclaimed_at(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.reclaimed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a token is fetched with.
pub struct Source<'a> {
    /// Platform and application.
    pub spec: &'a OceanConnect,
    /// Secret of the application.
    pub secret: &'a SecretString,
    /// HTTP.
    pub transport: &'a dyn Transport,
    /// The call that needs the token.
    pub call: &'a Call,
}

impl Source<'_> {
    /// Refreshes a token that expires; signs in when there is none, or when its refresh is refused.
    async fn renew(&self, refresh: Option<SecretString>, now: Timestamp) -> Result<Token, CallError> {
        if let Some(refresh) = refresh {
            match self.fetch(self.refresh_request(&refresh)?, now).await {
                Err(error) if error.class == ErrorClass::Unauthorized => {}
                refreshed => return refreshed,
            }
        }
        self.fetch(self.login_request(), now).await
    }

    async fn fetch(&self, request: WireRequest, now: Timestamp) -> Result<Token, CallError> {
        let response = request::send(self.transport, self.call, request).await.map_err(not_sent)?;
        if let Some(error) = refusal::of_answer(self.call, &response) {
            return Err(not_sent(error));
        }
        self.read(&response, now)
    }

    fn read(&self, response: &WireResponse, now: Timestamp) -> Result<Token, CallError> {
        let strange = |_| {
            let what = "the response is not a token".to_owned();
            not_sent(refusal::unintelligible(self.call, response, what))
        };
        let reply: wire::TokenReply = serde_json::from_slice(&response.body).map_err(strange)?;
        let life = reply.expires_in.map_or(LIFETIME, SignedDuration::from_secs).max(SignedDuration::ZERO);
        let margin = (life / 10).min(MARGIN);
        let renew_at = now.saturating_add(life.saturating_sub(margin)).unwrap_or(Timestamp::MAX);
        let refresh = reply.refresh_token.filter(|token| !token.is_empty()).map(SecretString::from);
        Ok(Token { secret: reply.access_token.into(), refresh, renew_at })
    }

    fn login_request(&self) -> WireRequest {
        let app_id = render::encode(&self.spec.app_id);
        let secret = render::encode(self.secret.expose_secret());
        let body = format!("appId={app_id}&secret={secret}");
        self.post("login", "application/x-www-form-urlencoded", body.into())
    }

    fn refresh_request(&self, refresh: &SecretString) -> Result<WireRequest, CallError> {
        let body = wire::RefreshRequest {
            app_id: &self.spec.app_id,
            secret: self.secret.expose_secret(),
            refresh_token: refresh.expose_secret(),
        };
        Ok(self.post("refreshToken", "application/json", request::json(self.call.operation(), &body)?))
    }

    fn post(&self, name: &str, content_type: &str, body: Bytes) -> WireRequest {
        WireRequest {
            method: "POST",
            origin: request::origin(&self.spec.endpoint).to_owned(),
            path: format!("/iocm/app/sec/v1.1.0/{name}"),
            query: String::new(),
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body,
            upload: None,
        }
    }

    fn contested(&self) -> CallError {
        let app = &self.spec.app_id;
        let message = format!("another program signs in with application {app} and invalidates its tokens");
        let mut error = CallError::new(ErrorClass::Unauthorized, self.call.operation(), message).next_step(
            "stop the other program, or use another application for it: only the newest token of an application is valid",
        );
        error.code = Some(refusal::BAD_TOKEN.to_owned());
        error
    }
}

/// Signing in failed, so the call itself was not sent.
fn not_sent(error: CallError) -> CallError {
    effect::not_signed_in(error, "sign-in")
}
