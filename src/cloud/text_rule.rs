//! Documented limits of texts: which characters one may hold, and how many.

use super::{CallError, ErrorClass};

/// Which characters a text may hold, and how many.
pub(super) struct Rule {
    /// As on the wire.
    pub(super) field: &'static str,
    min: usize,
    /// Characters, at the most.
    pub(super) max: usize,
    allowed: fn(char) -> bool,
    words: &'static str,
}

/// A rule of a field, named as on the wire; `words` say which characters are allowed.
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
    /// What the text breaks, as the error of an operation that would send it.
    pub(super) fn check(&self, operation: &'static str, value: &str) -> Result<(), CallError> {
        let length = value.chars().count();
        let (found, next_step) = if let Some(wrong) = value.chars().find(|c| !(self.allowed)(*c)) {
            (format!("holds {wrong:?}"), format!("use {} only", self.words))
        } else if length > self.max {
            let over = length - self.max;
            (format!("has {length} characters, {} are the most", self.max), format!("shorten it by {over}"))
        } else if length < self.min {
            (format!("has {length} characters, {} are the least", self.min), format!("give {}", self.words))
        } else {
            return Ok(());
        };
        let message = format!("{}: {} {found}", self.field, shown(value));
        Err(CallError::new(ErrorClass::Invalid, operation, message).next_step(next_step))
    }
}

/// The value as it stands in a message: quoted, cut after 40 characters.
pub(super) fn shown(value: &str) -> String {
    let head: String = value.chars().take(40).collect();
    let cut = if head.len() < value.len() { "…" } else { "" };
    format!("\"{}{cut}\"", head.escape_debug())
}
