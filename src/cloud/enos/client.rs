//! The client: renders, authenticates, sends, reads. One call is one request, except for signing in.

use super::{
    limits, refusal, render, reply, sign,
    token::{Stamps, Token, TokenSource},
};
use crate::{
    api::{CloudKind, Enos},
    cloud::{
        Call, CallError, Capabilities, Cloud, JobIdentity, Reply, RowsLack, Transport, Uploads, WireRequest,
        WireResponse,
        single_flight::{Exchange, SingleFlight},
    },
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The keys of an application. `Debug` shows none of them.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Application key.
    pub app_key: SecretString,
    /// Application secret.
    pub app_secret: SecretString,
}

/// An organization on EnOS.
pub struct EnosClient {
    spec: Enos,
    keys: Keys,
    tokens: SingleFlight<Token>,
    stamps: Stamps,
    transport: Arc<dyn Transport>,
    capabilities: Capabilities,
    /// The application may not search for devices; the request is not repeated.
    has_no_search: AtomicBool,
}

/// A client for an organization, for the engine.
#[must_use]
pub fn connect(spec: &Enos, keys: Keys, transport: Arc<dyn Transport>) -> Arc<dyn Cloud> {
    Arc::new(EnosClient::new(spec, keys, transport))
}

impl EnosClient {
    /// A client for an organization. Sends nothing.
    #[must_use]
    pub fn new(spec: &Enos, keys: Keys, transport: Arc<dyn Transport>) -> Self {
        let capabilities = capabilities(transport.total_timeout(), transport.upload_timeout());
        Self {
            spec: spec.clone(),
            keys,
            tokens: SingleFlight::default(),
            stamps: Stamps::default(),
            transport,
            capabilities,
            has_no_search: AtomicBool::new(false),
        }
    }

    /// The reply to a call that is answered without a request.
    fn known(&self, call: &Call) -> Option<Reply> {
        let is_refused =
            matches!(call, Call::ListPresence { .. }) && self.has_no_search.load(Ordering::Relaxed);
        is_refused.then(|| reply::nothing(call))
    }

    /// The reply for an error that stands in nothing's way.
    fn settled(&self, call: &Call, error: &CallError) -> Option<Reply> {
        if refusal::is_no_search(call, error) {
            self.has_no_search.store(true, Ordering::Relaxed);
            tracing::warn!(%error, "Search Device is refused: whether devices are connected stays unknown");
            return Some(reply::nothing(call));
        }
        refusal::settles(call, error)
    }

    /// A token may become invalid early: it is renewed once, and the call is sent again.
    async fn authenticate_and_send(
        &self,
        call: &Call,
        request: &WireRequest,
        now: Timestamp,
    ) -> Result<WireResponse, CallError> {
        let Keys { app_key, app_secret } = &self.keys;
        let transport = self.transport.as_ref();
        let (spec, stamps) = (&self.spec, &self.stamps);
        let source = TokenSource { spec, app_key, app_secret, stamps, transport, call };
        let exchange =
            Exchange { transport, call, now, is_rejected: refusal::is_token_expired, rejections: 1 };
        let sign_in = |previous| source.sign_in(previous, now);
        self.tokens.send(&exchange, sign_in, |token| self.signed(request, token, now)).await
    }

    fn signed(&self, request: &WireRequest, token: &Token, now: Timestamp) -> WireRequest {
        let stamp = self.stamps.next(now);
        // Only the query of a form is signed.
        let body: &[u8] = if request.upload.is_some() { b"" } else { &request.body };
        let query = sign::parse_query(&request.query);
        let signature = sign::signature(&token.secret, &self.keys.app_secret, &query, body, stamp);
        let mut request = request.clone();
        request.headers.extend([
            (sign::TOKEN_HEADER.to_owned(), token.secret.expose_secret().to_owned()),
            (sign::SIGNATURE_HEADER.to_owned(), signature),
            (sign::TIMESTAMP_HEADER.to_owned(), stamp.to_string()),
        ]);
        request
    }
}

#[async_trait]
impl Cloud for EnosClient {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn render(&self, call: &Call) -> Result<Vec<WireRequest>, CallError> {
        render::render(&self.spec, call).map(|request| request.into_iter().collect())
    }

    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Reply, CallError> {
        let Some(request) = render::render(&self.spec, call)? else { return Ok(reply::nothing(call)) };
        if let Some(reply) = self.known(call) {
            return Ok(reply);
        }
        let response = self.authenticate_and_send(call, &request, now).await?;
        tracing::debug!(status = response.status, "answered");
        if let Some(error) = refusal::of_answer(call, &response, now) {
            if let Some(request_id) = &error.request_id {
                tracing::Span::current().record("request", request_id.as_str());
            }
            return self.settled(call, &error).ok_or(error);
        }
        reply::read(call, &response.body).map_err(|why| refusal::unintelligible(call, &response, why))
    }
}

/// Rows per page are documented, and that searches show a change after about two seconds; ten are used, because "about" is no
/// bound. The rest is *assumed*: tenants set the requests per second, and no document has a number.
pub(in crate::cloud) fn capabilities(
    total_timeout: SignedDuration,
    upload_timeout: SignedDuration,
) -> Capabilities {
    Capabilities {
        cloud: CloudKind::Enos,
        creates_packages: true,
        uploads: Uploads::WithPackage,
        verifies: true,
        job_identity: JobIdentity::Token,
        job_rows_lack: RowsLack::Progress,
        max_devices_per_question: limits::QUESTION_DEVICES,
        stops_jobs: true,
        stopped_jobs_hold: true,
        shows_devices: false,
        max_devices_per_job: limits::JOB_DEVICES,
        page_size: limits::PAGE_SIZE,
        device_pages: &[limits::PAGE_SIZE],
        presence_page: limits::SEARCH_PAGE,
        set_page: limits::SEARCH_PAGE,
        lists_software: false,
        lists_jobs_by_package: false,
        shows_offline_after: Some(SignedDuration::ZERO),
        visibility_lag: SignedDuration::from_secs(10),
        request_deadline: total_timeout.saturating_add(SignedDuration::from_secs(30)),
        package_deadline: upload_timeout.saturating_add(SignedDuration::from_secs(30)),
        requests_per_second: 5,
        burst: 10,
    }
}
