//! What stands behind the numbers of a stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Devices of a stage that do not run the version, and what is known of them.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was found.
    pub kind: FindingKind,
    /// `Failed`: the cloud's text. `OtherVersion`: the version that they report. Empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// How many devices.
    pub devices: u32,
    /// Some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

/// What was found of a device.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// The cloud reports that it failed.
    Failed,
    /// The cloud reports success, and it reports another version.
    OtherVersion,
    /// It is outstanding, and not connected.
    Offline,
}
