//! What a handler answers, before it is sent.

use crate::cloud::WireResponse;
use serde::Serialize;

/// An answer. Clouds put their envelope into the body.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers beside the usual ones.
    pub headers: Vec<(String, String)>,
    /// Body; may be empty.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        // Text keys, and numbers that are some: it always serializes.
        Self { body: serde_json::to_vec(body).unwrap_or_default(), ..Self::empty(status) }
    }

    /// An answer without a body.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// The answer on the wire. Without a body it has no content type.
    #[must_use]
    pub fn on_wire(self, content_type: &str) -> WireResponse {
        let Self { status, mut headers, body } = self;
        if !body.is_empty() {
            headers.push(("content-type".to_owned(), content_type.to_owned()));
        }
        WireResponse { status, headers, body: body.into() }
    }
}
