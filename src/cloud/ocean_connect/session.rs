//! The token of an application: fetched when none is held, refreshed before it expires, and fetched again when it is refused.
//!
//! Only the newest token of an application is valid (authentication page): each sign-in invalidates all others. Processes of one
//! state therefore share it (`shared`): a process whose token is invalid first checks whether another one has signed in.
//! **Invariant:** in one process an application has one [`Session`], however many accounts use it.\
//! **Invariant:** callers that need a token at the same time cost one request, even if that request fails.\
//! **Invariant:** two programs that sign in with one application do not invalidate each other's tokens in a loop: a token that
//! was invalidated soon after it was issued is an error that names the cause.

use super::shared::{self, Shelf};
use super::{refusal, render, wire};
use crate::{
    api::OceanConnect,
    cloud::{Call, CallError, Effect, ErrorClass, Transport, WireRequest, WireResponse, effect},
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Lifetime of a token if the answer does not state it (the page's example).
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// A token is renewed this long before it expires, or after nine tenths of a shorter lifetime.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);
/// If a token is refused sooner than this after it replaced a refused one, another program signs in with the application.
const RECLAIM: SignedDuration = SignedDuration::from_mins(5);

/// A token, valid until it must be renewed. `id` distinguishes tokens without comparing them.
#[derive(Clone)]
pub struct Token {
    /// Value after `Bearer`.
    pub secret: SecretString,
    pub(super) id: u64,
    pub(super) refresh: Option<SecretString>,
    pub(super) renew_at: Timestamp,
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
        let key = (render::origin(&spec.endpoint).to_owned(), spec.app_id.clone());
        let shelf = self.shelf.clone().map(|shelf| (shelf, shared::name_of(&key.0, &key.1)));
        // A panic elsewhere leaves the map unchanged.
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
    attempts: AtomicU64,
    held: tokio::sync::Mutex<Held>,
}

#[derive(Default)]
struct Held {
    last: Option<Result<Token, CallError>>,
    /// The token that was last refused.
    dead: Option<u64>,
    /// When a token was last fetched to replace a refused one.
    reclaimed_at: Option<Timestamp>,
}

impl Held {
    fn is_dead(&self, token: &Token) -> bool {
        self.dead == Some(token.id)
    }
}

impl Session {
    /// A token that is valid at `now`, other than `refused`.
    ///
    /// # Errors
    /// When the platform refuses, cannot be reached, or answers unintelligibly; or when another program signs in with the same
    /// application. No request of the caller has taken effect then.
    pub async fn get(
        &self,
        source: &Source<'_>,
        refused: Option<&Token>,
        now: Timestamp,
    ) -> Result<Token, CallError> {
        let attempts_before = self.attempts.load(Ordering::SeqCst);
        let mut held = self.held.lock().await;
        held.dead = refused.map(|refused| refused.id).or(held.dead);
        match &held.last {
            Some(Ok(token)) if !held.is_dead(token) && now < token.renew_at => return Ok(token.clone()),
            Some(Err(error)) if self.attempts.load(Ordering::SeqCst) != attempts_before => {
                return Err(error.clone());
            }
            _ => {}
        }
        let id = self.attempts.load(Ordering::SeqCst) + 1;
        let fetched = self.renew(&mut held, source, id, now).await?;
        self.attempts.store(id, Ordering::SeqCst);
        held.last = Some(fetched.clone());
        fetched
    }

    /// Another token than the held one: that of another process, or a new one. The outer error is not shared with other callers.
    async fn renew(
        &self,
        held: &mut Held,
        source: &Source<'_>,
        id: u64,
        now: Timestamp,
    ) -> Result<Result<Token, CallError>, CallError> {
        let mut kept = match &self.shelf {
            Some((shelf, name)) => shelf.open(name).await,
            None => None,
        };
        let known = held.last.as_ref().and_then(|last| last.as_ref().ok());
        let dead = known.filter(|token| held.is_dead(token));
        let theirs = kept.as_mut().and_then(|kept| shared::read(kept.as_mut(), source.secret, id));
        let theirs = theirs.filter(|theirs| dead.is_none_or(|dead| !dead.is_same(theirs)));
        let ending = match theirs {
            Some(theirs) if now < theirs.renew_at => return Ok(Ok(theirs)),
            Some(theirs) => theirs.refresh,
            None => known.filter(|_| dead.is_none()).and_then(|token| token.refresh.clone()),
        };
        if dead.is_some() {
            if held.reclaimed_at.is_some_and(|at| now.duration_since(at) < RECLAIM) {
                return Err(source.contested());
            }
            held.reclaimed_at = Some(now);
        }
        let fetched = source.renew(ending, id, now).await;
        if let (Some(kept), Ok(token)) = (&mut kept, &fetched) {
            shared::write(kept.as_mut(), source.secret, token);
        }
        Ok(fetched)
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
    async fn renew(&self, ending: Option<SecretString>, id: u64, now: Timestamp) -> Result<Token, CallError> {
        if let Some(refresh) = ending {
            match self.fetch(self.refresh_request(&refresh)?, id, now).await {
                Err(error) if error.class == ErrorClass::Unauthorized => {}
                refreshed => return refreshed,
            }
        }
        self.fetch(self.login_request(), id, now).await
    }

    async fn fetch(&self, request: WireRequest, id: u64, now: Timestamp) -> Result<Token, CallError> {
        let sent = self.transport.send(request).await;
        let response = sent.map_err(|failure| self.not_sent(effect::of_transport(self.call, failure)))?;
        if let Some(error) = refusal::of_answer(self.call, &response) {
            return Err(self.not_sent(error));
        }
        self.read(&response, id, now)
    }

    fn read(&self, response: &WireResponse, id: u64, now: Timestamp) -> Result<Token, CallError> {
        let strange = |_| {
            let what = "the response is not a token".to_owned();
            self.not_sent(refusal::unintelligible(self.call, response, what))
        };
        let reply: wire::TokenReply = serde_json::from_slice(&response.body).map_err(strange)?;
        let life = reply.expires_in.map_or(LIFETIME, SignedDuration::from_secs).max(SignedDuration::ZERO);
        let margin = (life / 10).min(MARGIN);
        let renew_at = now.saturating_add(life.saturating_sub(margin)).unwrap_or(Timestamp::MAX);
        let refresh = reply.refresh_token.filter(|token| !token.is_empty()).map(SecretString::from);
        Ok(Token { secret: reply.access_token.into(), id, refresh, renew_at })
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
        let body = serde_json::to_vec(&body)
            .map_err(|error| CallError::new(ErrorClass::Invalid, self.call.operation(), error.to_string()))?;
        Ok(self.post("refreshToken", "application/json", body.into()))
    }

    fn post(&self, name: &str, content_type: &str, body: Bytes) -> WireRequest {
        WireRequest {
            method: "POST",
            origin: render::origin(&self.spec.endpoint).to_owned(),
            path: format!("/iocm/app/sec/v1.1.0/{name}"),
            query: String::new(),
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body,
            upload: None,
        }
    }

    /// Signing in failed, so the call itself was not sent.
    fn not_sent(&self, mut error: CallError) -> CallError {
        error.effect = Effect::None;
        error.message = format!("sign-in failed: {}", error.message);
        error
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
