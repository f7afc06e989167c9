//! What gates and stop rules saw, and their verdicts.

use super::timestamp;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a gate or stop rule saw, and what it said: enough to redo the arithmetic by hand.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Name of the gate or of the stop rule.
    pub rule: String,
    /// `Wilson`, `Ratio` or `Count`.
    pub method: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Devices with a final outcome.
    pub sample: u32,
    /// Failures among them.
    pub failures: u32,
    /// Devices of the stage (or of all dispatched stages, for a stop rule).
    pub assigned: u32,
    /// The number that was compared: a rate, a bound, or a count.
    pub value: f64,
    /// What it was compared with.
    pub threshold: f64,
    /// The sentence that explains it.
    pub message: String,
    /// When it was taken.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
}

/// What a gate says. Only `Pass` advances.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proven.
    Pass,
    /// Disproven.
    Fail,
    /// Not enough to tell: hold.
    Inconclusive,
}
