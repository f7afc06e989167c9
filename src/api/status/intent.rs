//! The journal: requests that must not be sent twice, recorded before they are sent.

use super::{Uptime, fields::timestamp};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A request that is not idempotent, recorded before it is sent.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Idempotency key that the request carries.
    pub token: String,
    /// Kind of the request.
    pub operation: CreateOperation,
    /// Stage that a job is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// SHA-256 of the request, shortened.
    pub digest: String,
    /// Time of the request; once its outcome is unknown, the time since when no answer is awaited.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
    /// Latest value of `at` by the cloud's own clock, if it reports one; only while the outcome is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub cloud_at: Option<Timestamp>,
    /// Value of `at` as time since the machine was booted; only while the outcome is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime: Option<Uptime>,
    /// What is known of the outcome.
    pub state: IntentState,
    /// Fingerprint of the job, on a cloud whose jobs carry no idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likeness: Option<Likeness>,
    /// Id of the job's package, on a cloud that lists jobs by package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_id: Option<String>,
}

impl Intent {
    /// True while an observation may still show the outcome.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, IntentState::Intended | IntentState::Ambiguous)
    }
}

/// Fingerprint of a job that carries no idempotency key.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Likeness {
    /// SHA-256 of kind, devices and delivery, shortened.
    pub digest: String,
    /// Ids of jobs with the same fingerprint before the request was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
}

/// Requests that must not be sent twice.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOperation {
    /// Create a package.
    CreatePackage,
    /// Create an upgrade job.
    CreateJob,
}

/// What is known of a request that must not be sent twice. A settled intent (confirmed or refused) is removed from `pending`: its
/// id is in the status proper, its refusal in `decisions`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentState {
    /// Recorded, and about to be sent; after a restart this means the same as `Ambiguous`.
    Intended,
    /// Sent, with unknown outcome.
    Ambiguous,
    /// Sent, with an outcome that can never be found out: it is not sent again.
    Lost,
}
