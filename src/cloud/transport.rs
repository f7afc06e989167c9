//! One HTTP path for all clouds.

use super::Effect;
use async_trait::async_trait;
use bytes::Bytes;

/// One HTTP request as it goes over the wire. `Debug` and `Display` never show `Authorization`, tokens or secrets.
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
}

/// One HTTP response, read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Why no response was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// `None` only when the request certainly never left (no connection).
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
}
