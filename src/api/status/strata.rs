//! The strata of a stage: how many devices of each kind it was sent to.

use super::counts::is_zero;
use super::fields::timestamp;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The devices of a stage, by what `order.stratifyBy` divides them by. It is recorded when they are sent the package, because a
/// device that was upgraded no longer reports its old version.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StageStrata {
    /// What they are divided by; a later edit of `order.stratifyBy` is not applied to this stage.
    pub by: Vec<String>,
    /// The 20 largest strata and `others`, which has the devices of all smaller ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<StratumCount>,
    /// Devices of the stage of which it is not known in which stratum they were, because the state was lost or the stage was sent
    /// before `order.stratifyBy` was written. Devices that join it are then chosen in rank order.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u32,
    /// The job that is being created, until its create is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending: Option<SendingStrata>,
}

/// One stratum of a stage.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StratumCount {
    /// Its name: the version, group or value of the tag; several of them are separated by ` / `.
    pub name: String,
    /// Devices of it that were sent the package in this stage.
    pub devices: u32,
    /// Devices of it that the stage could choose from when its first job was created.
    pub available: u32,
    /// Devices of it that have an outcome; none when the cloud does not show which devices have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<u32>,
    /// Devices of it that have failed; none when the cloud does not show which devices have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u32>,
}

/// The strata of a job whose create is not confirmed yet.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SendingStrata {
    /// Idempotency key of the job.
    pub token: String,
    /// SHA-256 of its device ids, shortened.
    pub digest: String,
    /// Devices of it that the stage did not have before.
    pub counts: Vec<StratumSize>,
}

/// Devices of one stratum.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StratumSize {
    /// Name of the stratum.
    pub name: String,
    /// Number of devices.
    pub devices: u32,
}

impl StageStrata {
    /// Devices of which it is known in which stratum they were.
    #[must_use]
    pub fn known(&self) -> u32 {
        self.counts.iter().fold(0, |sum, stratum| sum.saturating_add(stratum.devices))
    }

    /// The stratum of this name; added if there is none.
    pub fn stratum_mut(&mut self, name: &str) -> &mut StratumCount {
        let index = self.counts.iter().position(|stratum| stratum.name == name).unwrap_or_else(|| {
            self.counts.push(StratumCount { name: name.to_owned(), ..StratumCount::default() });
            self.counts.len() - 1
        });
        &mut self.counts[index]
    }
}

/// The stratum of which fewer devices have an outcome than by chance, when the sample of the stage was frozen.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Responders {
    /// Time of the comparison.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
    /// The stratum whose number of outcomes is least likely.
    pub stratum: String,
    /// Devices of it that were sent the package in this stage.
    pub devices: u32,
    /// Devices of it that had an outcome.
    pub answered: u32,
    /// Devices of the other strata.
    pub other_devices: u32,
    /// Devices of the other strata that had an outcome.
    pub other_answered: u32,
    /// Chance that so few of a stratum have one if it does not matter in which stratum a device is: the lower tail of the
    /// hypergeometric distribution, times the number of strata. Below 0.001 it is reported.
    pub chance: f64,
    /// The stratum that has more of the failures than by chance, if that chance is below 0.001.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<FailuresOfStratum>,
}

/// The stratum that has most of the failures of a stage. A hint: nothing is decided by it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FailuresOfStratum {
    /// Name of the stratum.
    pub stratum: String,
    /// Devices of it that had failed.
    pub failures: u32,
    /// Devices of it that had an outcome.
    pub answered: u32,
    /// Devices of the stage that had failed.
    pub all_failures: u32,
    /// Devices of the stage that had an outcome.
    pub all_answered: u32,
    /// Chance that a stratum has so many of them: the upper tail of the hypergeometric distribution, times the number of strata.
    pub chance: f64,
}
