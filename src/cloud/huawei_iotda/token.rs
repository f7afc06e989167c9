//! The IAM token of `auth: Token`: fetched when none is held, renewed before it expires, and once more when it is refused.
//!
//! **Invariant:** callers that need a token at the same time cost one request, even if that request fails.

use super::{refusal, render, wire};
use crate::{
    api::{HuaweiIotda, IotdaAuth, OtaCloudSpec},
    cloud::{Call, CallError, Effect, ErrorClass, Transport, WireRequest, WireResponse, effect},
};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// Lifetime of a token if IAM does not state it (IAM API page iam_30_0001).
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// A token is renewed this long before it expires, or after nine tenths of a shorter lifetime.
const MARGIN: SignedDuration = SignedDuration::from_mins(30);

/// An IAM user, for `auth: Token`.
#[derive(Clone, Debug)]
pub struct User {
    /// IAM user name.
    pub name: SecretString,
    /// Password.
    pub password: SecretString,
    /// Account that the user belongs to.
    pub domain: SecretString,
}

/// A token, valid until it must be renewed. `id` distinguishes tokens without comparing them.
#[derive(Clone)]
pub struct Token {
    /// Value of `X-Auth-Token`.
    pub secret: SecretString,
    id: u64,
    renew_at: Timestamp,
}

/// Address of IAM in a region.
fn iam_of(region: &str) -> String {
    format!("https://iam.{region}.myhuaweicloud.com")
}

/// The default IAM address of an account whose manifest has none; none for an account that does not need it.
#[must_use]
pub fn derived_iam(spec: &OtaCloudSpec) -> Option<String> {
    let spec = spec.huawei_iotda.as_ref()?;
    let is_derived = spec.auth == IotdaAuth::Token && spec.iam_endpoint.is_none();
    is_derived.then(|| iam_of(&spec.region))
}

/// Holds the token of one account.
#[derive(Default)]
pub struct TokenCache {
    attempts: AtomicU64,
    last: Mutex<Option<Result<Token, CallError>>>,
}

impl TokenCache {
    /// A token that is valid at `now`, other than `refused`.
    ///
    /// # Errors
    /// When IAM refuses, cannot be reached, or answers unintelligibly. No request of the caller has been sent then.
    pub async fn get(
        &self,
        source: &TokenSource<'_>,
        refused: Option<&Token>,
        now: Timestamp,
    ) -> Result<Token, CallError> {
        let attempts_before = self.attempts.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        let good =
            |token: &Token| now < token.renew_at && refused.is_none_or(|refused| refused.id != token.id);
        match &*last {
            Some(Ok(token)) if good(token) => return Ok(token.clone()),
            Some(Err(error)) if self.attempts.load(Ordering::SeqCst) != attempts_before => {
                return Err(error.clone());
            }
            _ => {}
        }
        let id = self.attempts.load(Ordering::SeqCst) + 1;
        let fetched = source.fetch(id, now).await;
        self.attempts.store(id, Ordering::SeqCst);
        *last = Some(fetched.clone());
        fetched
    }
}

/// What a token is fetched with.
pub struct TokenSource<'a> {
    /// Region, project and IAM address.
    pub spec: &'a HuaweiIotda,
    /// The user who signs in.
    pub user: &'a User,
    /// HTTP.
    pub transport: &'a dyn Transport,
    /// The call that needs the token.
    pub call: &'a Call,
}

impl TokenSource<'_> {
    async fn fetch(&self, id: u64, now: Timestamp) -> Result<Token, CallError> {
        let sent = self.transport.send(self.request()?).await;
        let response = sent.map_err(|failure| self.not_sent(effect::of_transport(self.call, failure)))?;
        if let Some(error) = refusal::of_answer(self.call, &response, now) {
            return Err(self.not_sent(error));
        }
        self.read(&response, id, now)
    }

    fn read(&self, response: &WireResponse, id: u64, now: Timestamp) -> Result<Token, CallError> {
        let strange = |what: &str| {
            self.not_sent(refusal::unintelligible(self.call, response, what.to_owned()))
                .next_step("check spec.huaweiIotda.iamEndpoint")
        };
        let secret = response
            .header("x-subject-token")
            .ok_or_else(|| strange("the response has no X-Subject-Token"))?;
        let reply: wire::TokenReply =
            serde_json::from_slice(&response.body).map_err(|_| strange("the response is not a token"))?;
        let ends =
            reply.token.expires_at.parse().unwrap_or_else(|_| now.saturating_add(LIFETIME).unwrap_or(now));
        let margin = (ends.duration_since(now) / 10).clamp(SignedDuration::ZERO, MARGIN);
        let renew_at = ends.saturating_sub(margin).unwrap_or(ends);
        Ok(Token { secret: secret.into(), id, renew_at })
    }

    fn request(&self) -> Result<WireRequest, CallError> {
        let derived = iam_of(&self.spec.region);
        let origin = render::origin(self.spec.iam_endpoint.as_deref().unwrap_or(&derived)).to_owned();
        let body = serde_json::to_vec(&self.body())
            .map_err(|error| CallError::new(ErrorClass::Invalid, self.call.operation(), error.to_string()))?;
        Ok(WireRequest {
            method: "POST",
            path: "/v3/auth/tokens".to_owned(),
            query: "nocatalog=true".to_owned(),
            headers: vec![
                ("Content-Type".to_owned(), "application/json".to_owned()),
                ("Host".to_owned(), render::host(&origin).to_owned()),
            ],
            origin,
            body: body.into(),
            upload: None,
        })
    }

    fn body(&self) -> wire::TokenRequest {
        let user = wire::TokenUser {
            name: self.user.name.expose_secret().to_owned(),
            password: self.user.password.expose_secret().to_owned(),
            domain: wire::TokenDomain { name: self.user.domain.expose_secret().to_owned() },
        };
        let project = wire::TokenProject { id: Some(self.spec.project_id.clone()), name: None };
        wire::TokenRequest {
            auth: wire::TokenAuth {
                identity: wire::TokenIdentity {
                    methods: vec!["password".to_owned()],
                    password: wire::TokenPassword { user },
                },
                scope: wire::TokenScope { project },
            },
        }
    }

    /// Signing in failed, so the call itself was not sent.
    fn not_sent(&self, mut error: CallError) -> CallError {
        error.effect = Effect::None;
        error.message = format!("sign-in to IAM failed: {}", error.message);
        if error.class == ErrorClass::Unauthorized {
            error.next_step = "check spec.credentials: username, password and domain".to_owned();
        }
        error
    }
}
