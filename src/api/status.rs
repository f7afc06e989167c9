//! What Rollwave observed and decided. Every number that a person sees can be redone from what stands beside it.
//! Nothing per device is kept here: counts, and at most [`MAX_EXAMPLES`] device ids as examples.

mod clock;
mod counts;
mod evidence;
mod finding;
mod intent;
mod package;
mod refused;
mod rollout;
mod uptime;

pub use clock::*;
pub use counts::*;
pub use evidence::*;
pub use finding::*;
pub use intent::*;
pub use package::*;
pub use refused::*;
pub use rollout::*;
pub use uptime::Uptime;

use super::{Condition, Reason};
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Device ids shown as examples in a status.
pub const MAX_EXAMPLES: usize = 10;
/// Decisions kept in a status, newest last.
pub const MAX_DECISIONS: usize = 10;

/// `observedGeneration` before the first reconcile, so that kstatus sees the object as not yet reconciled.
const fn never_observed() -> i64 {
    -1
}

fn timestamp(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let item = generator.subschema_for::<Condition>();
    json_schema!({
        "type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]
    })
}

/// Status of an `OtaCloud`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OtaCloudStatus {
    /// Generation that this status speaks of.
    #[serde(default = "never_observed")]
    #[schemars(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: `Ready` says whether the account answers.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// One sentence with its numbers.
    #[serde(default)]
    pub message: String,
    /// The `reconcile-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Name of the Secret that the keys were read from: it is kept for as long as this account needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// The account that the spec named when it answered last. An edit to another one is refused while packages or jobs are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// A decision and the rule that took it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
    /// CamelCase name of the rule, the same as a condition's or event's reason.
    pub rule: String,
    /// What was decided, with its numbers.
    pub message: String,
}

impl Default for OtaCloudStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            conditions: Vec::new(),
            message: String::new(),
            last_handled_reconcile_at: None,
            secret_name: None,
            account: None,
        }
    }
}

/// Appends a decision unless the newest one says the same; keeps the last [`MAX_DECISIONS`].
pub fn record_decision(
    decisions: &mut Vec<Decision>,
    at: Timestamp,
    rule: Reason,
    message: impl Into<String>,
) {
    let message = message.into();
    if decisions.last().is_some_and(|last| last.rule == rule && last.message == message) {
        return;
    }
    decisions.push(Decision { at, rule: rule.as_str().to_owned(), message });
    let excess = decisions.len().saturating_sub(MAX_DECISIONS);
    decisions.drain(..excess);
}

/// A share as people read it: `93.3 %`.
#[must_use]
pub fn percent_text(part: u32, whole: u32) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * f64::from(part) / f64::from(whole)) }
}

/// A time as people read it, to the second: `2026-11-02 10:00:00Z`.
#[must_use]
pub fn time_text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
