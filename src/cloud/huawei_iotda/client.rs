//! The client: renders, authenticates, sends, reads. One call is one request, except for signing in.

use super::{
    limits, refusal, render, reply,
    sign::{self, AccountHeaders, Algorithm, Signer, Subject},
    token::{Token, TokenSource, User},
};
use crate::{
    api::{HuaweiIotda, IotdaAuth},
    cloud::{
        Call, CallError, Capabilities, Cloud, CloudKind, ErrorClass, JobIdentity, Reply, RowsLack, Transport,
        Uploads, WireRequest, WireResponse,
        request::{host, origin, send},
        single_flight::{Exchange, SingleFlight},
    },
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, LazyLock};

/// The keys of an account. `Debug` shows none of them.
#[derive(Clone, Debug)]
pub enum Keys {
    /// For `SdkHmac` and `V11`.
    AccessKey {
        /// Access key id.
        id: SecretString,
        /// Secret access key.
        secret: SecretString,
        /// Of a temporary access key.
        security_token: Option<SecretString>,
    },
    /// For `Token`.
    User(User),
}

/// How requests of one account are authenticated, with `Auto` resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Signed with an access key.
    Signed(Algorithm),
    /// With a token of IAM.
    Token,
}

impl Scheme {
    /// The scheme of an account.
    #[must_use]
    pub fn of(spec: &HuaweiIotda) -> Self {
        match spec.auth {
            IotdaAuth::SdkHmac => Self::Signed(Algorithm::SdkHmacSha256),
            IotdaAuth::V11 => Self::Signed(Algorithm::V11HmacSha256),
            IotdaAuth::Token => Self::Token,
            IotdaAuth::Auto if is_shared(host(origin(&spec.endpoint))) => {
                Self::Signed(Algorithm::SdkHmacSha256)
            }
            IotdaAuth::Auto => Self::Signed(Algorithm::V11HmacSha256),
        }
    }
}

/// True for an endpoint that all accounts of a region share. As in SDK 3.1.219, but anchored at the end: the SDK accepts a longer
/// name that begins like a shared one.
#[expect(clippy::expect_used, reason = "a constant pattern, compiled by every test of this file")]
fn is_shared(host: &str) -> bool {
    static SHARED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[a-z][a-z0-9-]+(\.[a-z]{2,}-[a-z]+-[0-9]{1,2})?\.(my)?(huaweicloud|myhwclouds)\.(com|cn)(:[0-9]+)?$")
            .expect("the pattern is a constant")
    });
    SHARED.is_match(host)
}

/// An IoTDA account.
pub struct IotdaClient {
    spec: HuaweiIotda,
    scheme: Scheme,
    keys: Keys,
    tokens: SingleFlight<Token>,
    transport: Arc<dyn Transport>,
    capabilities: Capabilities,
}

/// A client for an account, for the engine.
#[must_use]
pub fn connect(spec: &HuaweiIotda, keys: Keys, transport: Arc<dyn Transport>) -> Arc<dyn Cloud> {
    Arc::new(IotdaClient::new(spec, keys, transport))
}

impl IotdaClient {
    /// A client for an account. Sends nothing.
    #[must_use]
    pub fn new(spec: &HuaweiIotda, keys: Keys, transport: Arc<dyn Transport>) -> Self {
        let capabilities = capabilities(transport.total_timeout());
        Self {
            spec: spec.clone(),
            scheme: Scheme::of(spec),
            keys,
            tokens: SingleFlight::default(),
            transport,
            capabilities,
        }
    }

    async fn authenticate_and_send(
        &self,
        call: &Call,
        mut request: WireRequest,
        now: Timestamp,
    ) -> Result<WireResponse, CallError> {
        match (self.scheme, &self.keys) {
            (Scheme::Signed(algorithm), Keys::AccessKey { id, secret, security_token }) => {
                let account = AccountHeaders {
                    project_id: Some(&self.spec.project_id),
                    domain_id: None,
                    security_token: security_token.as_ref(),
                };
                let host = host(&request.origin).to_owned();
                sign::complete_headers(&mut request.headers, account, &host, now);
                let signer = Signer {
                    access_key: id.expose_secret(),
                    secret_key: secret,
                    region: &self.spec.region,
                    service: sign::SERVICE,
                    algorithm,
                };
                let authorization = authorization(&request, &signer);
                request.headers.push(("Authorization".to_owned(), authorization));
                send(self.transport.as_ref(), call, request).await
            }
            (Scheme::Token, Keys::User(user)) => self.send_with_token(call, request, user, now).await,
            (scheme, _) => Err(wrong_keys(call, scheme)),
        }
    }

    /// A token may become invalid early (new password, changed permissions): it is renewed once, and the call is sent again.
    async fn send_with_token(
        &self,
        call: &Call,
        request: WireRequest,
        user: &User,
        now: Timestamp,
    ) -> Result<WireResponse, CallError> {
        let transport = self.transport.as_ref();
        let source = TokenSource { spec: &self.spec, user, transport, call };
        let is_rejected = |response: &WireResponse| response.status == 401;
        let exchange = Exchange { transport, call, now, is_rejected, rejections: 1 };
        self.tokens.send(&exchange, |_| source.fetch(now), |token| with_token(&request, token)).await
    }
}

#[async_trait]
impl Cloud for IotdaClient {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn render(&self, call: &Call) -> Result<Vec<WireRequest>, CallError> {
        render::render(&self.spec, call).map(|request| vec![request])
    }

    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Reply, CallError> {
        let request = render::render(&self.spec, call)?;
        let response = self.authenticate_and_send(call, request, now).await?;
        let request_id = response.header("x-request-id").unwrap_or_default();
        tracing::Span::current().record("request", request_id);
        tracing::debug!(status = response.status, "answered");
        if let Some(error) = refusal::of_answer(call, &response, now) {
            return Err(error);
        }
        reply::read(call, &response.body).map_err(|why| refusal::unintelligible(call, &response, why))
    }
}

/// Devices per task and per order, and rows per page, are documented; the rest is *assumed*. No document specifies how soon a
/// list shows a new object (30 s here), nor how many OTA calls per second an instance accepts: 200 per second over all
/// application-side calls are documented for the smallest enterprise instance, and a twentieth of that is used here.
pub(in crate::cloud) fn capabilities(total_timeout: SignedDuration) -> Capabilities {
    Capabilities {
        cloud: CloudKind::HuaweiIotda,
        creates_packages: true,
        uploads: Uploads::Never,
        verifies: false,
        job_identity: JobIdentity::Token,
        job_rows_lack: RowsLack::Nothing,
        max_devices_per_question: 0,
        stops_jobs: true,
        stopped_jobs_hold: false,
        shows_devices: true,
        max_devices_per_job: limits::TASK_TARGETS,
        page_size: limits::PAGE_SIZE,
        device_pages: &[limits::PAGE_SIZE],
        presence_page: 0,
        set_page: limits::PAGE_SIZE,
        lists_software: true,
        lists_jobs_by_package: false,
        shows_offline_after: Some(SignedDuration::ZERO),
        visibility_lag: SignedDuration::from_secs(30),
        request_deadline: total_timeout.saturating_add(SignedDuration::from_secs(30)),
        package_deadline: total_timeout.saturating_add(SignedDuration::from_secs(30)),
        requests_per_second: 10,
        burst: 20,
    }
}

fn authorization(request: &WireRequest, signer: &Signer<'_>) -> String {
    let subject = Subject {
        method: request.method,
        path: &request.path,
        query: &sign::parse_query(&request.query),
        headers: &request.headers,
        body: &request.body,
    };
    sign::sign(&subject, signer).authorization
}

fn with_token(request: &WireRequest, token: &Token) -> WireRequest {
    let mut request = request.clone();
    request.headers.push(("X-Auth-Token".to_owned(), token.secret.expose_secret().to_owned()));
    request.headers.push(("Host".to_owned(), host(&request.origin).to_owned()));
    request
}

fn wrong_keys(call: &Call, scheme: Scheme) -> CallError {
    let (needs, next_step) = match scheme {
        Scheme::Signed(_) => {
            ("an access key", "set spec.credentials.accessKey and secretKey, or auth: Token")
        }
        Scheme::Token => ("a user", "set spec.credentials.username, password and domain, or another auth"),
    };
    CallError::new(
        ErrorClass::Unauthorized,
        call.operation(),
        format!("spec.huaweiIotda.auth requires {needs}"),
    )
    .next_step(next_step)
}

#[cfg(test)]
mod tests {
    use super::is_shared;

    #[test]
    fn the_endpoint_decides_how_auto_signs() {
        let shared = ["iotda.cn-north-4.myhuaweicloud.com", "iotda.ap-southeast-3.myhuaweicloud.com:443"];
        let own = [
            "9bc34a0001.st1.iotda-app.cn-north-4.myhuaweicloud.com",
            "127.0.0.1:8080",
            "localhost",
            "iotda.cn-north-4.myhuaweicloud.com.evil.example",
        ];
        assert!(shared.iter().all(|host| is_shared(host)));
        assert!(!own.iter().any(|host| is_shared(host)));
    }
}
