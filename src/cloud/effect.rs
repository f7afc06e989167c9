//! Possible effect of a call that was not answered as expected.

use super::{Call, CallClass, CallError, Effect, ErrorClass};

/// A read has no effect, however it ends.
pub(super) fn maybe_effective(call: &Call, error: CallError) -> CallError {
    if call.class() == CallClass::Read { error } else { error.maybe_effective() }
}

/// A refusal is definite, unless the cloud failed or its answer is not understood.
pub(super) fn by_class(call: &Call, error: CallError) -> CallError {
    let is_definite = !matches!(error.class, ErrorClass::Unavailable | ErrorClass::Unintelligible);
    if is_definite { error } else { maybe_effective(call, error) }
}

/// Signing in failed, so the call itself was not sent.
pub(super) fn not_signed_in(mut error: CallError, what: &str) -> CallError {
    error.effect = Effect::None;
    error.message = format!("{what} failed: {}", error.message);
    error
}
