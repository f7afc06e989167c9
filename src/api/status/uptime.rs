//! A moment by a clock that cannot be set: the time since a machine was booted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A moment, as the time since a machine was booted. Two moments of one boot can be compared even if the machine's clock was set
/// meanwhile.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Uptime {
    /// Hash that identifies the machine and its boot.
    pub boot: String,
    /// Milliseconds since the boot.
    pub millis: i64,
}
