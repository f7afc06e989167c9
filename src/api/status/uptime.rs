//! A moment by a clock that nobody sets: the time since a machine was booted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A moment, as the time since a machine was booted. Two moments of one boot can be compared, whatever the machine's clock was
/// set to meanwhile.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Uptime {
    /// Which boot of which machine; a hash.
    pub boot: String,
    /// Milliseconds since then.
    pub millis: i64,
}
