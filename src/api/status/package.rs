//! Status of an `OtaPackage`.

use super::{Decision, Intent, RefusedCreate, StageCounts, Uptime, conditions, never_observed, timestamp};
use crate::api::Condition;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Status of an `OtaPackage`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OtaPackageStatus {
    /// Generation that this status speaks of.
    #[serde(default = "never_observed")]
    #[schemars(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: `Ready`, `Verified`, `InSync`, and while true `Reconciling`, `Stalled`.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// One sentence with its numbers.
    #[serde(default)]
    pub message: String,
    /// The cloud's id of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_id: Option<String>,
    /// How the package came to be ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Since when the id is known: a list may lack the package for a while after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub known_since: Option<Timestamp>,
    /// Hash of the listed row whose details were last compared; while the row keeps it, no detail call is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_row: Option<String>,
    /// Verification on named devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationStatus>,
    /// Jobs of verifications that an edit replaced, newest last, where the cloud's jobs carry no token: an edit that is undone finds
    /// its job again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_jobs: Vec<FormerJob>,
    /// Calls that left, or were about to, and whose outcome is not settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Intent>,
    /// The last create that the cloud refused, until one is let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedCreate>,
    /// The last decisions, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// The `reconcile-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The `retry-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_retry_at: Option<String>,
}

impl Default for OtaPackageStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            conditions: Vec::new(),
            message: String::new(),
            package_id: None,
            origin: None,
            known_since: None,
            compared_row: None,
            verification: None,
            former_jobs: Vec::new(),
            pending: Vec::new(),
            refused: None,
            decisions: Vec::new(),
            last_handled_reconcile_at: None,
            last_handled_retry_at: None,
        }
    }
}

const fn is_first(attempt: &u32) -> bool {
    *attempt == 0
}

/// The job of a verification that an edit replaced.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FormerJob {
    /// Our token of it.
    pub token: String,
    /// The cloud's id.
    pub id: String,
}

/// How a package came to be ours.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Rollwave created it.
    Created,
    /// It was there, and equal.
    Adopted,
}

/// Verification of a package on named devices.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VerificationStatus {
    /// The job's token; part of its name in the cloud.
    pub token: String,
    /// Which attempt it is: more than 0 after a retry by request.
    #[serde(default, skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// The cloud's id of the verify job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// When the job was dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub dispatched_at: Option<Timestamp>,
    /// When its create call was confirmed, by the time since the machine was booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched_uptime: Option<Uptime>,
    /// When the job was first seen to be final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub finished_at: Option<Timestamp>,
    /// Outcomes so far.
    #[serde(default)]
    pub counts: StageCounts,
}
