//! The client: renders, signs, sends, reads. One call is one request.

use super::{
    limits, modules, refusal, render,
    render::Action,
    reply,
    sign::{self, Scheme, Signer},
    upload,
};
use crate::{
    api::{AliyunIot, AliyunSignature, CloudKind},
    cloud::{
        Call, CallError, Capabilities, Cloud, ErrorClass, JobIdentity, LocalFile, Reply, RowsLack, Transport,
        UploadPermit, Uploads, WireRequest,
        request::{host, send},
    },
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The key of an account. `Debug` does not show it.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Access key id.
    pub id: SecretString,
    /// Secret of the access key.
    pub secret: SecretString,
    /// Security token of a temporary key.
    pub security_token: Option<SecretString>,
}

/// A client for one account. `nonces` must differ between processes that use the key: nonces are derived from it.
#[must_use]
pub fn connect(spec: &AliyunIot, keys: Keys, transport: Arc<dyn Transport>, nonces: &str) -> Arc<dyn Cloud> {
    Arc::new(AliyunClient {
        spec: spec.clone(),
        keys,
        capabilities: capabilities(transport.total_timeout()),
        transport,
        nonces: nonces.to_owned(),
        sent: AtomicU64::new(0),
    })
}

struct AliyunClient {
    spec: AliyunIot,
    keys: Keys,
    capabilities: Capabilities,
    transport: Arc<dyn Transport>,
    nonces: String,
    sent: AtomicU64,
}

impl AliyunClient {
    /// A unique nonce: the gateway refuses one that was used before.
    fn nonce(&self, now: Timestamp) -> String {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let text = format!("{}\n{number}\n{now}", self.nonces);
        hex::encode(Sha256::digest(text)).chars().take(32).collect()
    }

    fn signed(&self, action: &Action, now: Timestamp) -> WireRequest {
        let mut request = action.shown(&self.spec);
        let signer = Signer {
            id: self.keys.id.expose_secret(),
            secret: &self.keys.secret,
            token: self.keys.security_token.as_ref(),
            scheme: match self.spec.signature {
                AliyunSignature::Acs3 => Scheme::Acs3,
                AliyunSignature::Rpc => Scheme::Rpc,
            },
        };
        let host = host(&request.origin);
        let nonce = self.nonce(now);
        let added = sign::sign(&signer, request.method, host, action.name, &action.parameters, &nonce, now);
        let query: sign::Pairs = added.query.iter().chain(&action.parameters).cloned().collect();
        request.query = sign::canonical_query(&query);
        request.headers = added.headers;
        request
    }

    async fn upload(
        &self,
        call: &Call,
        file: &LocalFile,
        permit: &UploadPermit,
        now: Timestamp,
    ) -> Result<Reply, CallError> {
        limits::check(call)?;
        let boundary = format!("rollwave-{}", self.nonce(now));
        let request = upload::request(permit, file, &boundary)
            .map_err(|why| CallError::new(ErrorClass::Unintelligible, call.operation(), why))?;
        let response = send(self.transport.as_ref(), call, request).await?;
        match response.status {
            200..=299 => match upload::wrong_digest(&response, file) {
                None => Ok(Reply::Uploaded(permit.handle.clone())),
                Some(why) => Err(CallError::new(ErrorClass::Unavailable, call.operation(), why)
                    .next_step("wait: the upload is repeated")
                    .maybe_effective()),
            },
            _ => Err(refusal::of_store(call, &response)),
        }
    }
}

#[async_trait]
impl Cloud for AliyunClient {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn render(&self, call: &Call) -> Result<Vec<WireRequest>, CallError> {
        render::shown(&self.spec, call)
    }

    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Reply, CallError> {
        if let Call::Upload { file, permit } = call {
            return self.upload(call, file, permit, now).await;
        }
        let Some(action) = render::render(&self.spec, call)? else { return Ok(reply::empty(call)) };
        let response = send(self.transport.as_ref(), call, self.signed(&action, now)).await?;
        let request_id = response.header("x-acs-request-id").unwrap_or_default();
        tracing::Span::current().record("request", request_id);
        tracing::debug!(status = response.status, "answered");
        if let Some(error) = refusal::of_answer(call, &response, now) {
            return modules::without_deleted_device(call, &error).ok_or(error);
        }
        match call {
            Call::CheckModule { package } => {
                modules::check(call, package, &response.body).map(|()| Reply::Done)
            }
            _ => {
                reply::read(call, &response.body).map_err(|why| refusal::unintelligible(call, &response, why))
            }
        }
    }
}

/// Devices per job and rows per page are documented, as is the rate: 10 calls of an action per second, 5 of the narrowest ones
/// (CancelOTATaskByJob, BatchQueryDeviceDetail, QueryDeviceByTags, QueryDeviceListByDeviceGroup). One bucket serves all of them,
/// and burst and rate together stay within 10. How soon a list shows a new object is *assumed* (30 s).
pub(in crate::cloud) fn capabilities(total_timeout: SignedDuration) -> Capabilities {
    Capabilities {
        cloud: CloudKind::AliyunIot,
        creates_packages: true,
        uploads: Uploads::Before,
        verifies: true,
        job_identity: JobIdentity::Token,
        job_rows_lack: RowsLack::Devices,
        max_devices_per_question: limits::TASK_NAMES,
        stops_jobs: true,
        stopped_jobs_hold: false,
        shows_devices: true,
        max_devices_per_job: limits::JOB_DEVICES,
        page_size: limits::FIRMWARE_PAGE,
        device_pages: &[limits::NAME_PAGE, limits::BATCH],
        presence_page: 0,
        set_page: limits::NAME_PAGE,
        lists_software: false,
        lists_jobs_by_package: true,
        shows_offline_after: Some(SignedDuration::ZERO),
        visibility_lag: SignedDuration::from_secs(30),
        request_deadline: total_timeout.saturating_add(SignedDuration::from_secs(30)),
        package_deadline: total_timeout.saturating_add(SignedDuration::from_secs(30)),
        requests_per_second: 5,
        burst: 5,
    }
}
