//! Errors of calls, by who must act: a class, a cause, and a next step.

use crate::api::Reason;
use std::{fmt, time::Duration};

/// Why a call failed, by who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorClass {
    /// The request violates a rule of the cloud: the manifest must change.
    Invalid,
    /// The credentials are wrong or expired: they, or this machine's clock, must be corrected.
    Unauthorized,
    /// The credentials are valid, but do not permit this.
    Forbidden,
    /// The resource does not exist.
    NotFound,
    /// The cloud refuses because of the state of the resource.
    Conflict,
    /// Too many requests: wait.
    Throttled,
    /// The cloud cannot be reached or fails: wait.
    Unavailable,
    /// An answer that no document describes: nothing is concluded from it.
    Unintelligible,
    /// Rollwave did not send it: its time was over, another instance leads, or another object must be handled first.
    NotSent,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Invalid,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::Throttled,
        Self::Unavailable,
        Self::Unintelligible,
        Self::NotSent,
    ];

    /// True when waiting can help; false when a user must change something first.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable | Self::Unintelligible | Self::NotSent)
    }

    /// True for an error of one group, tag or job that proves nothing about the account: that resource may fail permanently.
    #[must_use]
    pub const fn may_concern_one_resource(self) -> bool {
        !matches!(self, Self::Unauthorized | Self::Throttled | Self::NotSent)
    }

    /// CamelCase name, for conditions and counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.reason().as_str()
    }

    /// The reason of a condition, unless the error has its own.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Invalid => Reason::Invalid,
            Self::Unauthorized => Reason::Unauthorized,
            Self::Forbidden => Reason::Forbidden,
            Self::NotFound => Reason::NotFound,
            Self::Conflict => Reason::Conflict,
            Self::Throttled => Reason::Throttled,
            Self::Unavailable => Reason::Unavailable,
            Self::Unintelligible => Reason::Unintelligible,
            Self::NotSent => Reason::NotSent,
        }
    }
}

/// Whether the cloud may have acted although the call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Certainly not: refused, or never sent.
    None,
    /// Unknown: timeout, reset, 5xx, unreadable 2xx.
    Unknown,
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CallError {
    /// Who must act.
    pub class: ErrorClass,
    /// Whether the cloud may have acted.
    pub effect: Effect,
    /// `CreatePackage`.
    pub operation: &'static str,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The cloud's code, such as `IOTDA.000006`.
    pub code: Option<String>,
    /// The cause: the cloud's message, or ours. Never a secret.
    pub message: String,
    /// What to do about it.
    pub next_step: String,
    /// The cloud's id of the request, for its support.
    pub request_id: Option<String>,
    /// How long to wait, as requested by the cloud.
    pub retry_after: Option<Duration>,
    /// Reason for conditions, if the class is too general.
    pub reason: Option<Reason>,
}

impl CallError {
    /// An error of this class; `effect` is `None`, to be widened with [`Self::maybe_effective`].
    pub fn new(class: ErrorClass, operation: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            effect: Effect::None,
            operation,
            status: None,
            code: None,
            message: message.into(),
            next_step: String::new(),
            request_id: None,
            retry_after: None,
            reason: None,
        }
    }

    /// The cloud may have acted despite the error.
    #[must_use]
    pub const fn maybe_effective(mut self) -> Self {
        self.effect = Effect::Unknown;
        self
    }

    /// Sets the reason for conditions, if the class is too general.
    #[must_use]
    pub const fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// The reason for conditions.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason.unwrap_or(self.class.reason())
    }

    /// Sets what to do about it.
    #[must_use]
    pub fn next_step(mut self, text: impl Into<String>) -> Self {
        self.next_step = text.into();
        self
    }
}

impl CallError {
    /// Its text; the earlier text if only the cloud's request id differs, so that a call that is refused repeatedly is not
    /// reported each time.
    #[must_use]
    pub fn text_after(&self, earlier: &str) -> String {
        let text = self.to_string();
        let Some(id) = &self.request_id else { return text };
        let is_same = text.split_once(&format!("request {id}")).is_some_and(|(before, after)| {
            let earlier_id = earlier.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            earlier_id.is_some_and(|id| id.starts_with("request ") && !id.contains(')'))
        });
        if is_same { earlier.to_owned() } else { text }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.message)?;
        let status = self.status.map(|status| format!("HTTP {status}"));
        let request = self.request_id.as_ref().map(|id| format!("request {id}"));
        let facts: Vec<String> = [status, self.code.clone(), request].into_iter().flatten().collect();
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        if self.next_step.is_empty() { Ok(()) } else { write!(f, "; {}", self.next_step) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_news_once_and_not_for_each_request() {
        let refused = |id: &str, message: &str| {
            let mut error = CallError::new(ErrorClass::Conflict, "DeletePackage", message);
            (error.status, error.request_id) = (Some(200), Some(id.to_owned()));
            error
        };
        let earlier = refused("r-1", "in use").to_string();
        assert_eq!(refused("r-2", "in use").text_after(&earlier), earlier);
        let other = refused("r-2", "not found");
        assert_eq!(other.text_after(&earlier), other.to_string());
        assert_eq!(refused("r-1", "in use").text_after(""), earlier);
        let plain = CallError::new(ErrorClass::Conflict, "DeletePackage", "in use");
        assert_eq!(plain.text_after(&earlier), plain.to_string());
    }
}
