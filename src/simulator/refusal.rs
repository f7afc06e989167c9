//! What a cloud refuses a request with. Each cloud has one table of its codes (`codes`), in this shape.

use std::borrow::Cow;

/// One error of a table: HTTP status, code and text.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// HTTP status.
    pub status: u16,
    /// The cloud's code.
    pub code: &'static str,
    /// Start of the message; details follow it.
    pub text: &'static str,
    /// False when no document confirms the code, its status, or that this case has it.
    pub documented: bool,
}

/// A row that a document confirms.
pub(super) const fn documented(status: u16, code: &'static str, text: &'static str) -> Code {
    Code { status, code, text, documented: true }
}

/// A row that no document confirms.
pub(super) const fn assumed(status: u16, code: &'static str, text: &'static str) -> Code {
    Code { status, code, text, documented: false }
}

/// A refused request.
#[derive(Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The cloud's code.
    pub code: Cow<'static, str>,
    /// Start of the message.
    pub text: &'static str,
    /// What exactly is wrong.
    pub detail: String,
}

impl Refusal {
    /// A refusal of a table, with a detail.
    pub fn new(code: &Code, detail: impl Into<String>) -> Self {
        Self { status: code.status, code: Cow::Borrowed(code.code), text: code.text, detail: detail.into() }
    }

    /// A refusal that no table has.
    pub fn other(status: u16, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self { status, code: code.into(), text: "", detail: detail.into() }
    }

    /// The text, and the detail where there is one.
    #[must_use]
    pub fn message(&self) -> String {
        let parts = [self.text, &self.detail];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

impl From<&Code> for Refusal {
    fn from(code: &Code) -> Self {
        Self::new(code, "")
    }
}
