//! Why a reconcile ends early.

use crate::cloud::CallError;
use crate::state::StateError;

/// Why a reconcile ended early.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A call failed.
    Call(CallError),
    /// The state could not be read or written: nothing was sent after that.
    State(StateError),
    /// The account is unreachable; nothing was sent.
    Outage(CallError),
    /// The reconcile needs more requests: more urgent objects come first, then it continues.
    Yield,
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<StateError> for Trouble {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}
