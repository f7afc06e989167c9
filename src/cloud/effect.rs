//! Possible effect of a call that was not answered as expected.

use super::{Call, CallClass, CallError, Effect, TransportError};

/// No answer at all.
pub(super) fn of_transport(call: &Call, failure: TransportError) -> CallError {
    let error = CallError::new(failure.class, call.operation(), failure.message).next_step(failure.next_step);
    if failure.effect == Effect::Unknown { maybe_effective(call, error) } else { error }
}

/// A read has no effect, however it ends.
pub(super) fn maybe_effective(call: &Call, error: CallError) -> CallError {
    if call.class() == CallClass::Read { error } else { error.maybe_effective() }
}
