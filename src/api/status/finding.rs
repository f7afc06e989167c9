//! Details behind the counts of a stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Devices of a stage that do not run the version, and what is known of them.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was found.
    pub kind: FindingKind,
    /// For `Failed` the cloud's text, for `OtherVersion` the reported version; otherwise empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Number of devices.
    pub devices: u32,
    /// Some of the devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

/// What was found.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// The cloud reports that they failed.
    Failed,
    /// The cloud reports success, but they report another version.
    OtherVersion,
    /// They are outstanding and not connected.
    Offline,
}
