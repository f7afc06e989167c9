//! The journal: calls that must happen once, written down before they leave.

use super::{Uptime, timestamp};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A call that is not idempotent, written down before it leaves.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Identity that the request carries.
    pub token: String,
    /// Which call.
    pub operation: CreateOperation,
    /// Name of the stage that a job is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// SHA-256 of the request, shortened.
    pub digest: String,
    /// When it was about to leave; once it is ambiguous, since when nobody waits for its answer.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
    /// The same at the latest by the cloud's own clock, where it says what time it is. Only while it is ambiguous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub cloud_at: Option<Timestamp>,
    /// The same by the time since the machine was booted. Only while it is ambiguous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime: Option<Uptime>,
    /// What is known of it.
    pub state: IntentState,
    /// What tells the job that it makes, on a cloud whose jobs carry no token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likeness: Option<Likeness>,
    /// Id of the package that a job is of, on a cloud that lists jobs by package: no list shows the job without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_id: Option<String>,
}

impl Intent {
    /// True while a look may still tell what came of it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, IntentState::Intended | IntentState::Ambiguous)
    }
}

/// What tells a job that carries nothing of ours.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Likeness {
    /// SHA-256 of kind, devices and delivery, shortened.
    pub digest: String,
    /// Ids of jobs that looked the same before the call left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
}

/// Calls that must happen once.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOperation {
    /// Create a package.
    CreatePackage,
    /// Create an upgrade job.
    CreateJob,
}

/// What is known of a call that must happen once. A settled intent (confirmed or refused) is removed from `pending`:
/// its id stands in the status proper, its refusal in `decisions`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentState {
    /// Durable, and about to leave. After a restart this means the same as `Ambiguous`.
    Intended,
    /// It left, and no definite answer came back.
    Ambiguous,
    /// No definite answer came back, and nothing can tell any more whether it took effect: it is never sent again.
    Lost,
}
