//! One HTTP path for all clouds.
//!
//! A request is sent once. Retries live in the engine, which owns the clock, the budget and the journal: here nobody
//! knows whether a call may be repeated, or what it would cost.

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

/// How long a request with a file in it may take, unless a transport says otherwise: 1,000 MB at 4.7 Mbit/s.
pub const UPLOAD_TIMEOUT: SignedDuration = SignedDuration::from_mins(30);

/// One HTTP request as it goes over the wire. `Debug` and `Display` never show `Authorization`, signatures,
/// tokens or secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct WireRequest {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// `https://host:port`, without a path.
    pub origin: String,
    /// Path as it stands on the wire (already percent-encoded).
    pub path: String,
    /// Query as it stands on the wire, without `?`; empty when there is none.
    pub query: String,
    /// Headers in the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// Body; empty when there is none.
    pub body: Bytes,
    /// A file within the body, streamed; boxed, because hardly any request has one.
    pub upload: Option<Box<Upload>>,
}

/// A file that is streamed as the second part of a body, between `WireRequest::body` and `after`. Its digests are checked before
/// anything of it is sent, and on the way again: when the file changed meanwhile the request is broken off before its end, so
/// that nothing comes of it.
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

/// One HTTP response, read whole. `Debug` never shows tokens or secrets.
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
    /// The first header of this name, given in lower case.
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
    /// Who must act: `Unavailable` when the way to the cloud is at fault, and so every other call; `Invalid` when this request
    /// alone is; `Unintelligible` when the answer is.
    pub class: ErrorClass,
    /// `None` only when the cloud certainly did nothing: no connection, or a body that was broken off before its end.
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
    /// [`TransportError`] when no whole response came back.
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError>;

    /// The longest that [`Self::send`] may take; 60 seconds unless an implementation says otherwise.
    fn total_timeout(&self) -> SignedDuration {
        SignedDuration::from_secs(60)
    }

    /// The longest that a request with a file in it may take; half an hour unless an implementation says otherwise.
    fn upload_timeout(&self) -> SignedDuration {
        UPLOAD_TIMEOUT
    }
}
