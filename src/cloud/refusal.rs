//! What answers of all clouds share: statuses, clocks and texts of refusals.

use super::{Call, CallError, ErrorClass, WireResponse, effect::maybe_effective};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use serde_json::Value;
use std::time::Duration;

/// The class of an HTTP status alone. A success that is none is unintelligible.
pub(super) const fn of_status(status: u16) -> ErrorClass {
    match status {
        400 | 413 => ErrorClass::Invalid,
        401 => ErrorClass::Unauthorized,
        403 => ErrorClass::Forbidden,
        404 => ErrorClass::NotFound,
        409 => ErrorClass::Conflict,
        429 => ErrorClass::Throttled,
        408 | 500..=599 => ErrorClass::Unavailable,
        _ => ErrorClass::Unintelligible,
    }
}

/// An answer that no document describes: nothing is concluded from it.
pub(super) fn unintelligible(
    call: &Call,
    response: &WireResponse,
    message: String,
    next_step: &str,
) -> CallError {
    let mut error =
        CallError::new(ErrorClass::Unintelligible, call.operation(), message).next_step(next_step);
    error.status = Some(response.status);
    maybe_effective(call, error)
}

/// A text of the cloud, short enough for a status and without control characters.
pub(super) fn limited(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}

/// A field that a cloud writes as a text or as a number.
pub(super) fn text(body: &Value, field: &str) -> Option<String> {
    match body.get(field)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What to do about this machine's clock, if it differs from the cloud's by more than `tolerated`.
pub(super) fn clock_advice(
    response: &WireResponse,
    now: Timestamp,
    tolerated: SignedDuration,
) -> Option<String> {
    let ahead = now.duration_since(http_date(response.header("date")?)?);
    let direction = if ahead.is_positive() { "ahead of" } else { "behind" };
    let minutes = ahead.as_mins().abs();
    (ahead.abs() > tolerated)
        .then(|| format!("set this machine's clock: it is {minutes} minutes {direction} the cloud's"))
}

/// How long to wait: seconds or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(response: &WireResponse, now: Timestamp) -> Option<Duration> {
    let value = response.header("retry-after")?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = http_date(value)?.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// A date as HTTP writes it (RFC 9110, section 5.6.7).
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}
