//! The control group of a stage, and how it compared with the devices that were sent the package.

use super::counts::is_zero;
use super::fields::timestamp;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Devices that nothing is sent to while a stage is watched: the last ones in rank order. Who is offline among them shows what
/// happens without the package.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ControlGroup {
    /// Devices of the group when it was chosen, after the stage was released.
    pub devices: u32,
    /// Devices of it that were offline then.
    pub offline_then: u32,
    /// Lowest rank of the group, in hexadecimal digits: devices of this rank or a higher one belong to it until they are sent
    /// the package, run the version, or are deleted.
    pub from_rank: String,
    /// Looks at the group so far: eight during the soak, one before the stage passes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub comparisons: u32,
    /// What the last comparison showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ControlComparison>,
    /// When the group itself was first seen to be worse than when it was chosen: something else than the package may be wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<ControlOutage>,
}

/// The control group when it was worse than before.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ControlOutage {
    /// Time at which that was noted.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
    /// The group then.
    pub control: Presence,
}

/// Who is offline, by one observation of the devices.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ControlComparison {
    /// Time of the observation.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
    /// Devices that were sent the package, whatever became of them.
    pub upgraded: Presence,
    /// Devices of the control group.
    pub control: Presence,
    /// Both by group or tag, for an `order.stratifyBy` that names one: like is compared with like. At most 21.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strata: Vec<StratumComparison>,
}

/// Who is offline in one stratum.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StratumComparison {
    /// Name of the stratum.
    pub name: String,
    /// Devices of it that were sent the package.
    pub upgraded: Presence,
    /// Devices of it in the control group.
    pub control: Presence,
}

/// How many devices of a group are offline.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Presence {
    /// Devices of the group that the cloud lists.
    pub devices: u32,
    /// Devices that are offline.
    pub offline: u32,
    /// Devices of which the cloud does not report whether they are connected.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u32,
}

/// A group cannot be compared when it is unknown of more than one in so many of its devices whether they are connected.
const ONE_UNKNOWN_IN: u64 = 5;

impl Presence {
    /// True when the cloud reports of enough devices whether they are connected.
    #[must_use]
    pub fn is_known(self) -> bool {
        u64::from(self.unknown) * ONE_UNKNOWN_IN <= u64::from(self.devices)
    }
}
