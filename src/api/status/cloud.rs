//! Status of an `OtaCloud`.

use super::fields::{conditions, never_observed};
use crate::api::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Status of an `OtaCloud`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OtaCloudStatus {
    /// Generation of the spec that this status describes.
    #[serde(default = "never_observed")]
    #[schemars(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions; `Ready` is true while the account answers.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// Summary of the state with its numbers.
    #[serde(default)]
    pub message: String,
    /// Value of the last handled annotation `reconcile-requested-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Secret that the keys were last read from; it is kept as long as this account needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Account that the spec described when it last answered; an edit to another account is refused while packages or jobs are in
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl Default for OtaCloudStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            conditions: Vec::new(),
            message: String::new(),
            last_handled_reconcile_at: None,
            secret_name: None,
            account: None,
        }
    }
}
