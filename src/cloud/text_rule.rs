//! Documented limits of texts: allowed characters and length.

use super::{CallError, ErrorClass};

/// Allowed characters and length of a text.
pub(super) struct Rule {
    /// Name on the wire.
    pub(super) field: &'static str,
    min: usize,
    /// Maximum number of characters.
    pub(super) max: usize,
    allowed: fn(char) -> bool,
    words: &'static str,
}

/// A rule of a field, by its name on the wire; `words` describes the allowed characters.
pub(super) const fn rule(
    field: &'static str,
    min: usize,
    max: usize,
    allowed: fn(char) -> bool,
    words: &'static str,
) -> Rule {
    Rule { field, min, max, allowed, words }
}

/// Every character is allowed.
pub(super) const fn any(_: char) -> bool {
    true
}

impl Rule {
    /// What the text violates, as the error of the operation that would send it.
    pub(super) fn check(&self, operation: &'static str, value: &str) -> Result<(), CallError> {
        let length = value.chars().count();
        let (found, next_step) = if let Some(wrong) = value.chars().find(|c| !(self.allowed)(*c)) {
            (format!("contains {wrong:?}"), format!("use {} only", self.words))
        } else if length > self.max {
            let over = length - self.max;
            (
                format!("has {length} characters, at most {} are allowed", self.max),
                format!("shorten it by {over}"),
            )
        } else if length < self.min {
            (
                format!("has {length} characters, at least {} are required", self.min),
                format!("use {}", self.words),
            )
        } else {
            return Ok(());
        };
        let message = format!("{}: {} {found}", self.field, shown(value));
        Err(CallError::new(ErrorClass::Invalid, operation, message).next_step(next_step))
    }
}

/// The value in a message: quoted, cut after 40 characters.
pub(super) fn shown(value: &str) -> String {
    let head: String = value.chars().take(40).collect();
    let cut = if head.len() < value.len() { "…" } else { "" };
    format!("\"{}{cut}\"", head.escape_debug())
}
