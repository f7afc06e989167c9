//! The IAM token of `auth: Token`: fetched when none is held, renewed before it expires, and once more when it is rejected.

use super::{refusal, wire};
use crate::{
    api::{HuaweiIotda, IotdaAuth, OtaCloudSpec},
    cloud::{
        Call, CallError, ErrorClass, Transport, WireRequest, WireResponse, effect, request, single_flight,
    },
};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

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

/// A token, valid until it must be renewed.
pub struct Token {
    /// Value of `X-Auth-Token`.
    pub secret: SecretString,
    renew_at: Timestamp,
}

impl single_flight::Token for Token {
    fn renew_at(&self) -> Timestamp {
        self.renew_at
    }
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
    /// Signs in.
    ///
    /// # Errors
    /// When IAM refuses, cannot be reached, or answers unintelligibly. No request of the caller has been sent then.
    pub async fn fetch(&self, now: Timestamp) -> Result<Token, CallError> {
        let sent = request::send(self.transport, self.call, self.request()?).await;
        let response = sent.map_err(Self::not_sent)?;
        if let Some(error) = refusal::of_answer(self.call, &response, now) {
            return Err(Self::not_sent(error));
        }
        self.read(&response, now)
    }

    fn read(&self, response: &WireResponse, now: Timestamp) -> Result<Token, CallError> {
        let strange = |what: &str| {
            Self::not_sent(refusal::unintelligible(self.call, response, what.to_owned()))
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
        Ok(Token { secret: secret.into(), renew_at })
    }

    fn request(&self) -> Result<WireRequest, CallError> {
        let derived = iam_of(&self.spec.region);
        let origin = request::origin(self.spec.iam_endpoint.as_deref().unwrap_or(&derived)).to_owned();
        let body = request::json(self.call.operation(), &self.body())?;
        Ok(WireRequest {
            method: "POST",
            path: "/v3/auth/tokens".to_owned(),
            query: "nocatalog=true".to_owned(),
            headers: vec![
                ("Content-Type".to_owned(), "application/json".to_owned()),
                ("Host".to_owned(), request::host(&origin).to_owned()),
            ],
            origin,
            body,
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
    fn not_sent(error: CallError) -> CallError {
        let mut error = effect::not_signed_in(error, "sign-in to IAM");
        if error.class == ErrorClass::Unauthorized {
            error.next_step = "check spec.credentials: username, password and domain".to_owned();
        }
        error
    }
}
