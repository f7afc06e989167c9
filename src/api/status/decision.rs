//! The decisions that a status keeps.

use super::fields::timestamp;
use crate::api::Reason;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Decisions kept in a status, newest last.
pub const MAX_DECISIONS: usize = 10;

/// A decision, and the rule that made it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Time of the decision.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
    /// Name of the rule in CamelCase, the same as a condition's or Event's reason.
    pub rule: String,
    /// What was decided, with its numbers.
    pub message: String,
}

/// Appends a decision unless it equals the newest one; keeps the last [`MAX_DECISIONS`].
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
