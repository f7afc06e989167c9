//! Observations and verdicts of gates and stop rules.

use super::Presence;
use super::counts::is_zero;
use super::fields::timestamp;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Observation and verdict of a gate or stop rule, with the numbers to recompute it by hand.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Name of the gate or stop rule.
    pub rule: String,
    /// Method of the gate or stop rule, such as `Wilson` or `Ratio`.
    pub method: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Devices that are judged: for a gate those that had begun when the soak was over, for a stop rule those with an
    /// outcome, for methods `EProcess` and `Sprt` those that have begun, and for `Control` those that were sent the package.
    pub sample: u32,
    /// Failures among them; for method `Control` devices that are offline.
    pub failures: u32,
    /// Devices of the sample that have no outcome yet, or left without one; a gate counts them as failures.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unfinished: u32,
    /// Failures with which the gate still passes; none for a stop rule, and for a sample that is too small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<u32>,
    /// Devices of the stage, or of all dispatched stages for a stop rule.
    pub assigned: u32,
    /// Control group that method `Control` compares them with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Presence>,
    /// Value that was compared: a rate, a bound, or a count.
    pub value: f64,
    /// Value that it was compared with.
    pub threshold: f64,
    /// Explanation of the verdict.
    pub message: String,
    /// Time of the evaluation.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
}

impl Evidence {
    /// True for a gate that has more failures than it allows, and too few to prove that the build is bad.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.verdict == Verdict::Inconclusive && self.allowed.is_some_and(|allowed| self.failures > allowed)
    }
}

/// Verdict of a gate; only `Pass` advances.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proven.
    Pass,
    /// Disproven.
    Fail,
    /// Not enough data: hold.
    Inconclusive,
}
