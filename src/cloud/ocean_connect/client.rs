//! The client: renders, signs in, sends, reads. One call is one request, except for signing in.

use super::{
    limits, refusal, render, reply,
    session::{Session, Sessions, Source, Token},
};
use crate::{
    api::OceanConnect,
    cloud::{
        Call, CallError, Capabilities, Cloud, CloudKind, JobIdentity, Reply, RowsLack, Transport, Uploads,
        WireRequest, WireResponse, single_flight::Exchange,
    },
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;

/// Tokens that may be rejected before a call fails.
const TOKENS_REJECTED: usize = 2;

/// An application of OceanConnect.
pub struct OceanConnectClient {
    spec: OceanConnect,
    secret: SecretString,
    session: Arc<Session>,
    transport: Arc<dyn Transport>,
    capabilities: Capabilities,
}

/// A client for an application, for the engine.
#[must_use]
pub fn connect(
    spec: &OceanConnect,
    secret: SecretString,
    sessions: &Sessions,
    transport: Arc<dyn Transport>,
) -> Arc<dyn Cloud> {
    Arc::new(OceanConnectClient::new(spec, secret, sessions, transport))
}

impl OceanConnectClient {
    /// A client for an application. Sends nothing.
    #[must_use]
    pub fn new(
        spec: &OceanConnect,
        secret: SecretString,
        sessions: &Sessions,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let capabilities = capabilities(transport.total_timeout());
        Self { spec: spec.clone(), secret, session: sessions.of(spec), transport, capabilities }
    }

    /// Another sign-in may invalidate a token: another one is fetched, and the call is sent again. Twice, because the token that
    /// another process of ours has stored may be as old.
    async fn send_signed_in(
        &self,
        call: &Call,
        request: WireRequest,
        now: Timestamp,
    ) -> Result<WireResponse, CallError> {
        let (spec, secret, transport) = (&self.spec, &self.secret, self.transport.as_ref());
        let source = Source { spec, secret, transport, call };
        let exchange = Exchange {
            transport,
            call,
            now,
            is_rejected: refusal::is_bad_token,
            rejections: TOKENS_REJECTED,
        };
        self.session.send(&exchange, &source, |token| with_token(&request, token)).await
    }
}

#[async_trait]
impl Cloud for OceanConnectClient {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn render(&self, call: &Call) -> Result<Vec<WireRequest>, CallError> {
        render::render(&self.spec, call).map(|request| vec![request])
    }

    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Reply, CallError> {
        let request = render::render(&self.spec, call)?;
        let response = self.send_signed_in(call, request, now).await?;
        tracing::debug!(status = response.status, "answered");
        if let Some(error) = refusal::of_answer(call, &response) {
            return Err(error);
        }
        reply::read(call, &response.body).map_err(|why| refusal::unintelligible(call, &response, why))
    }
}

/// 256 devices and 100 rows are documented; so are 100 calls per minute for an application and an API. One call per second with a
/// burst of 30 stays below that in every minute, even if all of them are for one API. The visibility lag is *assumed*.
pub(in crate::cloud) fn capabilities(total_timeout: SignedDuration) -> Capabilities {
    Capabilities {
        cloud: CloudKind::OceanConnect,
        creates_packages: false,
        uploads: Uploads::Never,
        verifies: false,
        job_identity: JobIdentity::Devices,
        job_rows_lack: RowsLack::Nothing,
        max_devices_per_question: 0,
        stops_jobs: false,
        stopped_jobs_hold: false,
        shows_devices: true,
        max_devices_per_job: limits::TASK_DEVICES,
        page_size: limits::PAGE_SIZE,
        device_pages: &[limits::DEVICE_PAGE_SIZE],
        presence_page: 0,
        set_page: limits::DEVICE_PAGE_SIZE,
        lists_software: true,
        lists_jobs_by_package: false,
        shows_offline_after: Some(limits::OFFLINE_AFTER),
        visibility_lag: SignedDuration::from_secs(30),
        request_deadline: total_timeout.saturating_add(SignedDuration::from_secs(30)),
        package_deadline: total_timeout.saturating_add(SignedDuration::from_secs(30)),
        requests_per_second: 1,
        burst: 30,
    }
}

fn with_token(request: &WireRequest, token: &Token) -> WireRequest {
    let mut request = request.clone();
    let bearer = format!("Bearer {}", token.secret.expose_secret());
    request.headers.push(("Authorization".to_owned(), bearer));
    request
}
