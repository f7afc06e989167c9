//! A create that the cloud refused for good.

use super::timestamp;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A create that the cloud refused, and that waiting alone does not change: it is sent again after an hour, or once what is asked for
/// changes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RefusedCreate {
    /// Digest of the request.
    pub digest: String,
    /// Why, in one word: the reason of the conditions.
    pub reason: String,
    /// The cloud's words.
    pub message: String,
    /// When it was refused.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
    /// Generation of the `OtaCloud` through which it was sent.
    pub account_generation: i64,
}
