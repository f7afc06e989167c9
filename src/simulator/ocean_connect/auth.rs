//! Login, refresh and logout; who calls; and how many calls a minute an application may make.
//!
//! **Invariant:** only the last token of an application is valid: a login or a refresh ends the one before.

use super::{
    App, OceanConnect, codes,
    request::{Answer, Handled, Refusal, pairs, text},
    route::Operation,
};
use crate::{
    cloud::WireRequest,
    simulator::{draw, request::header, service::Service as _},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};

/// The token of an application.
#[derive(Debug)]
pub struct Session {
    access: String,
    refresh: String,
    expires: Timestamp,
}

/// Calls of the last minute, by API.
#[derive(Debug, Default)]
pub struct Throttle(BTreeMap<Operation, VecDeque<Timestamp>>);

const MINUTE: SignedDuration = SignedDuration::from_secs(60);

impl Throttle {
    /// Counts a call, unless it is one too many.
    fn take(&mut self, operation: Operation, most: u32, now: Timestamp) -> Result<(), Refusal> {
        if most == 0 {
            return Ok(());
        }
        let calls = self.0.entry(operation).or_default();
        while calls.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            calls.pop_front();
        }
        // The gateway's clock was set back: what it counted before is of no minute that it knows.
        while calls.back().is_some_and(|at| *at > now) {
            calls.pop_back();
        }
        if calls.len() >= most as usize {
            return Err((&codes::THROTTLED).into());
        }
        calls.push_back(now);
        Ok(())
    }
}

impl OceanConnect {
    /// The application that a call is made by.
    ///
    /// # Errors
    /// No `app_key`; not the last token of this application, or too late; too many calls.
    pub fn authenticate(
        &mut self,
        wire: &WireRequest,
        operation: Operation,
        now: Timestamp,
    ) -> Result<usize, Refusal> {
        let key = header(wire, "app_key").ok_or(&codes::NO_APP_KEY)?;
        let index = self.account(Some(key)).ok_or(&codes::BAD_TOKEN)?;
        let app = self.app_mut(index)?;
        let bearer = header(wire, "authorization").and_then(|value| value.strip_prefix("Bearer "));
        let is_good = |session: &Session| bearer == Some(session.access.as_str()) && now < session.expires;
        if !app.session.as_ref().is_some_and(is_good) {
            return Err((&codes::BAD_TOKEN).into());
        }
        app.throttle.take(operation, app.spec.calls_per_minute, now)?;
        Ok(index)
    }

    /// POST `/iocm/app/sec/v1.1.0/…`
    ///
    /// # Errors
    /// A field is missing, the keys are wrong, or too many calls.
    pub fn sign_in(&mut self, operation: Operation, wire: &WireRequest, now: Timestamp) -> Handled {
        match operation {
            Operation::Login => self.login(wire, now),
            Operation::RefreshToken => self.refresh(wire, now),
            _ => self.logout(wire, now),
        }
    }

    fn login(&mut self, wire: &WireRequest, now: Timestamp) -> Handled {
        let kind = header(wire, "content-type").unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(Refusal::new(&codes::NO_PARAMETER, "The body must be a form."));
        }
        let form = pairs(&String::from_utf8_lossy(&wire.body));
        let field = |name: &str| {
            let found = form.iter().find(|(key, value)| key == name && !value.is_empty());
            found.map(|(_, value)| value.as_str()).ok_or_else(|| Refusal::new(&codes::NO_PARAMETER, name))
        };
        let index = self.known(field("appId")?, field("secret")?)?;
        self.begin_session(index, Operation::Login, now)
    }

    fn refresh(&mut self, wire: &WireRequest, now: Timestamp) -> Handled {
        let body: Map<String, Value> =
            serde_json::from_slice(&wire.body).map_err(|_| &codes::NO_PARAMETER)?;
        let field = |name: &str| text(&body, name).ok_or_else(|| Refusal::new(&codes::NO_PARAMETER, name));
        let index = self.known(field("appId")?, field("secret")?)?;
        let token = field("refreshToken")?;
        let session = self.app_mut(index)?.session.as_ref();
        if session.is_none_or(|session| session.refresh != token) {
            return Err((&codes::WRONG_REFRESH).into());
        }
        self.begin_session(index, Operation::RefreshToken, now)
    }

    fn logout(&mut self, wire: &WireRequest, now: Timestamp) -> Handled {
        let body: Map<String, Value> =
            serde_json::from_slice(&wire.body).map_err(|_| &codes::NO_PARAMETER)?;
        let token = text(&body, "accessToken").ok_or(&codes::NO_PARAMETER)?;
        let is_it = |session: &Session| session.access == token && now < session.expires;
        let app = self.apps.iter_mut().find(|app| app.session.as_ref().is_some_and(is_it));
        app.ok_or(&codes::BAD_TOKEN)?.session = None;
        Ok(Answer::empty(204))
    }

    fn known(&self, app_id: &str, secret: &str) -> Result<usize, Refusal> {
        let is_it = |app: &App| app.spec.app_id == app_id && app.spec.secret == secret;
        self.apps.iter().position(is_it).ok_or_else(|| (&codes::WRONG_SECRET).into())
    }

    fn begin_session(&mut self, index: usize, operation: Operation, now: Timestamp) -> Handled {
        let (seed, number) = (self.seed, self.number().to_string());
        let app = self.app_mut(index)?;
        app.throttle.take(operation, app.spec.calls_per_minute, now)?;
        let token = |what: &str| draw::hex_id(seed, 32, &[what, &app.spec.app_id, &number]);
        let (access, refresh) = (token("access token"), token("refresh token"));
        let seconds = app.spec.token_seconds;
        let answer = json!({
            "scope": "default",
            "tokenType": "bearer",
            "expiresIn": seconds,
            "accessToken": access,
            "refreshToken": refresh,
        });
        let expires = now.saturating_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX);
        app.session = Some(Session { access, refresh, expires });
        Ok(Answer::json(200, &answer))
    }

    /// Ends all tokens; the refresh tokens stay good.
    pub fn expire_tokens(&mut self) {
        for session in self.apps.iter_mut().filter_map(|app| app.session.as_mut()) {
            session.expires = Timestamp::MIN;
        }
    }
}
