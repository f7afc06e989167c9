//! One HTTP path for all clouds.
//!
//! A request is sent once. Retries are up to the engine, which has the clock, the budget and the journal: the transport does not
//! know whether a call may be repeated, or what it would cost.

pub mod file;
mod http;
mod redact;
mod upload;

pub use http::{HttpOptions, HttpTransport};

use super::{Effect, ErrorClass, LocalFile};
use async_trait::async_trait;
use bytes::Bytes;
use jiff::SignedDuration;
use std::fmt;

/// How long a request with a file may take by default: 1,000 MB at 4.7 Mbit/s.
pub const UPLOAD_TIMEOUT: SignedDuration = SignedDuration::from_mins(30);

/// One HTTP request on the wire. `Debug` and `Display` never show `Authorization`, signatures, tokens or secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct WireRequest {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// `https://host:port`, without a path.
    pub origin: String,
    /// Path on the wire (already percent-encoded).
    pub path: String,
    /// Query on the wire, without `?`; may be empty.
    pub query: String,
    /// Headers in the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// Body; empty if absent.
    pub body: Bytes,
    /// A file within the body, streamed; boxed, because few requests have one.
    pub upload: Option<Box<Upload>>,
}

/// A file that is streamed as the second part of a body, between `WireRequest::body` and `after`. Its digests are checked before
/// anything is sent, and again while it is sent: if the file changed meanwhile, the request is aborted before its end, so that it
/// has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The file.
    pub file: LocalFile,
    /// What follows the file.
    pub after: Bytes,
}

impl fmt::Debug for WireRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireRequest")
            .field("request", &format_args!("{self}"))
            .field("headers", &redact::headers(&self.headers))
            .field("body", &redact::body(&self.body))
            .finish()
    }
}

impl fmt::Display for WireRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.origin, self.path)?;
        if self.query.is_empty() { Ok(()) } else { write!(f, "?{}", redact::query(&self.query)) }
    }
}

/// One HTTP response, read completely. `Debug` never shows tokens or secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct WireResponse {
    /// Status code.
    pub status: u16,
    /// Headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, at most the transport's limit.
    pub body: Bytes,
}

impl WireResponse {
    /// The first header of this name, in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for WireResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireResponse")
            .field("status", &self.status)
            .field("headers", &redact::headers(&self.headers))
            .field("body", &redact::body(&self.body))
            .finish()
    }
}

/// Why no response was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// Who must act: `Unavailable` when the connection to the cloud fails, and so every other call; `Invalid` when only this
    /// request fails; `Unintelligible` when the answer is at fault.
    pub class: ErrorClass,
    /// `None` only when the cloud certainly did nothing: no connection, or a body that was aborted before its end.
    pub effect: Effect,
    /// The cause, without secrets.
    pub message: String,
    /// What to do about it.
    pub next_step: String,
}

/// Sends one request and reads one response. Implemented by HTTP, and by the simulator in process.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends the request once; never retries, never follows redirects.
    ///
    /// # Errors
    /// [`TransportError`] when no complete response was received.
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError>;

    /// The maximum duration of [`Self::send`]; 60 seconds by default.
    fn total_timeout(&self) -> SignedDuration {
        SignedDuration::from_secs(60)
    }

    /// The maximum duration of a request with a file; half an hour by default.
    fn upload_timeout(&self) -> SignedDuration {
        UPLOAD_TIMEOUT
    }
}
