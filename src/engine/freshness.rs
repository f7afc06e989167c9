//! How fresh an observation must be to serve a decision.

use jiff::{SignedDuration, Timestamp};

/// A job polled within this time is not polled again: a little less than the polling interval.
pub(super) const JUST_POLLED: SignedDuration = SignedDuration::from_secs(20);

/// How fresh the evidence must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Evidence {
    /// What is known serves, within the drift interval.
    Known,
    /// Something is created on it, has an unknown outcome, or was requested: only observations that began then or later
    /// serve.
    Since(Timestamp),
}

/// An observation of the last drift round is due again in this one, although it was made a little after the round
/// began.
pub(super) fn within(drift_interval: SignedDuration) -> SignedDuration {
    SignedDuration::from_secs(drift_interval.as_secs() * 9 / 10)
}
