//! What requests to all clouds share: address, JSON body, and the way to the transport.

use super::{Call, CallError, Effect, ErrorClass, Transport, WireRequest, WireResponse, effect};
use bytes::Bytes;
use serde::Serialize;

/// Scheme, host and port of an address in a manifest.
pub(super) fn origin(endpoint: &str) -> &str {
    endpoint.trim_end_matches('/')
}

/// Host and port of an origin, in the signed form.
pub(super) fn host(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

/// A body in JSON.
pub(super) fn json(operation: &'static str, body: &impl Serialize) -> Result<Bytes, CallError> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| CallError::new(ErrorClass::Invalid, operation, error.to_string()))
}

/// Sends a request of a call, or of its sign-in.
pub(super) async fn send(
    transport: &dyn Transport,
    call: &Call,
    request: WireRequest,
) -> Result<WireResponse, CallError> {
    transport.send(request).await.map_err(|failure| {
        let error =
            CallError::new(failure.class, call.operation(), failure.message).next_step(failure.next_step);
        if failure.effect == Effect::Unknown { effect::maybe_effective(call, error) } else { error }
    })
}
