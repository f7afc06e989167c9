//! A create that the cloud refused permanently.

use super::fields::timestamp;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A create that the cloud refused and that waiting does not change; it is sent again after an hour, or once the request changes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RefusedCreate {
    /// Digest of the request.
    pub digest: String,
    /// Reason of the refusal, as in the conditions.
    pub reason: String,
    /// Message of the cloud.
    pub message: String,
    /// Time of the refusal.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
    /// Generation of the `OtaCloud` that it was sent with.
    pub account_generation: i64,
}
