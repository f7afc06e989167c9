//! Status of an `OtaPackage`.

use super::fields::{conditions, never_observed, timestamp};
use super::{Decision, Intent, RefusedCreate, StageCounts, Uptime};
use crate::api::Condition;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Status of an `OtaPackage`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OtaPackageStatus {
    /// Generation of the spec that this status describes.
    #[serde(default = "never_observed")]
    #[schemars(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: `Ready`, `Verified`, `InSync`, and while true `Reconciling`, `Stalled`.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// Summary of the state with its numbers.
    #[serde(default)]
    pub message: String,
    /// Id of the package in the cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_id: Option<String>,
    /// Whether Rollwave created or adopted the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Time since when the id is known; a list may lack the package for a while after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub known_since: Option<Timestamp>,
    /// Hash of the listed row whose details were last compared; while the row is unchanged, details are not read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_row: Option<String>,
    /// Verification on the devices of the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationStatus>,
    /// Verification jobs that an edit replaced, newest last, on clouds whose jobs carry no idempotency key; an edit that is
    /// undone finds its job again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_jobs: Vec<FormerJob>,
    /// Requests that were, or are about to be, sent and whose outcome is not settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Intent>,
    /// The last create that the cloud refused, until one succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedCreate>,
    /// The last decisions, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// Value of the last handled annotation `reconcile-requested-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Value of the last handled annotation `retry-requested-at`.
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

/// A verification job that an edit replaced.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FormerJob {
    /// Idempotency key of the job.
    pub token: String,
    /// Id of the job in the cloud.
    pub id: String,
}

/// Whether Rollwave created or adopted a package.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Rollwave created it.
    Created,
    /// It existed and was equal.
    Adopted,
}

/// Verification of a package on the devices of its spec.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VerificationStatus {
    /// Idempotency key of the job; part of its name in the cloud.
    pub token: String,
    /// Number of the attempt: more than 0 after a retry by request.
    #[serde(default, skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// Id of the verification job in the cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Time at which the job was dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub dispatched_at: Option<Timestamp>,
    /// Time at which its create was confirmed, as time since the machine was booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched_uptime: Option<Uptime>,
    /// Time at which the job was first observed to be final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub finished_at: Option<Timestamp>,
    /// Outcomes so far.
    #[serde(default)]
    pub counts: StageCounts,
}
