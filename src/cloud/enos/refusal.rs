//! Maps an answer that is not a success to an error that states who must act.
//!
//! The documents list codes and no status: `code` decides whatever the status is, except for 429 and 503. An undocumented code
//! means nothing, and a write that it answers may have taken effect.

use crate::cloud::{
    Call, CallError, Effect, ErrorClass, Reply, WireResponse,
    effect::maybe_effective,
    refusal::{self, clock_advice, limited, retry_after},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// The token has expired (gateway).
const TOKEN_EXPIRED: i64 = 1203;
/// No such path or action (platform).
const NO_API: &str = "99404";
/// Search Device needs it (search_device: operation permissions).
const GRANT_SEARCH: &str =
    "grant the application the permission Read of Device Management, or select devices by id";
/// From this difference on, this machine's clock is reported as wrong. The limit is not documented: *assumed*.
const MOST_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What an answer reports about a failure.
struct Details {
    code: Option<i64>,
    message: Option<String>,
    request_id: Option<String>,
}

/// The error that an answer represents; none when it is a success whose body can be read as one.
#[must_use]
pub fn of_answer(call: &Call, response: &WireResponse, now: Timestamp) -> Option<CallError> {
    let details = details(response);
    let (class, effect) = match (response.status, details.code) {
        (200..=299, Some(0)) => return None,
        (429, _) => (ErrorClass::Throttled, Effect::None),
        (503, _) => (ErrorClass::Unavailable, Effect::Unknown),
        (_, Some(code)) if code != 0 => of_code(code),
        (status, _) => of_status(status),
    };
    let message = details.message.unwrap_or_else(|| "the response has no code and no message".to_owned());
    let mut error = CallError::new(class, call.operation(), message);
    error.next_step = match (class, call) {
        (ErrorClass::Forbidden, Call::ListTaggedDevices { .. } | Call::ListDevicesByAttribute { .. }) => {
            GRANT_SEARCH.to_owned()
        }
        _ => next_step(class, details.code, clock_advice(response, now, MOST_SKEW)),
    };
    error.status = Some(response.status);
    error.code = details.code.map(|code| code.to_string());
    error.request_id = details.request_id;
    error.retry_after = retry_after(response, now);
    Some(if effect == Effect::Unknown { maybe_effective(call, error) } else { error })
}

/// The reply for an error which only means that the resource is already in the requested state.
#[must_use]
pub fn settles(call: &Call, error: &CallError) -> Option<Reply> {
    match (call, error.code.as_deref()?) {
        (Call::StopJob { .. }, "24616") => Some(Reply::Done),
        (Call::DeletePackage { .. } | Call::DeleteJob { .. }, "24404") => Some(Reply::Done),
        _ => None,
    }
}

/// Whether the application may not search for devices, or the service has no such search: nothing else depends on it. Search
/// Device documents 99400 and 99403.
#[must_use]
pub fn is_no_search(call: &Call, error: &CallError) -> bool {
    let is_absent =
        error.code.as_deref() == Some(NO_API) || (error.code.is_none() && error.status == Some(404));
    let is_refused =
        matches!(error.class, ErrorClass::Forbidden | ErrorClass::Invalid | ErrorClass::NotFound);
    matches!(call, Call::ListPresence { .. }) && (is_refused || is_absent)
}

/// Whether a signed call was refused because its token has expired.
#[must_use]
pub fn is_token_expired(response: &WireResponse) -> bool {
    details(response).code == Some(TOKEN_EXPIRED)
}

/// An answer without an error that no document describes: nothing is concluded from it.
#[must_use]
pub fn unintelligible(call: &Call, response: &WireResponse, message: String) -> CallError {
    let next_step = "check that spec.enos.endpoint is the address of the EnOS API gateway";
    let mut error = refusal::unintelligible(call, response, message, next_step);
    error.request_id = details(response).request_id;
    error
}

/// Gateway (1…), OTA service (24…) and platform (99…).
const fn of_code(code: i64) -> (ErrorClass, Effect) {
    match code {
        // The gateway has seen this very request: the earlier one may have taken effect.
        1001 => (ErrorClass::Unavailable, Effect::Unknown),
        1002 | 1003 | 1203 | 1204 => (ErrorClass::Unauthorized, Effect::None),
        1004 | 1202 | 24611 | 24612 | 99400 => (ErrorClass::Invalid, Effect::None),
        1005 | 24500 | 99500 => (ErrorClass::Unavailable, Effect::Unknown),
        24404 => (ErrorClass::NotFound, Effect::None),
        // Another upload is in progress.
        24603 => (ErrorClass::Unavailable, Effect::None),
        24601 | 24602 | 24604 | 24610 | 24615..=24618 | 24620 | 24621 => (ErrorClass::Conflict, Effect::None),
        99403 => (ErrorClass::Forbidden, Effect::None),
        // "Not found" of the platform refers to the call, not to a firmware or a job: those have 24404.
        _ => (ErrorClass::Unintelligible, Effect::Unknown),
    }
}

/// An answer without a code comes from a gateway or a proxy, not from the service.
const fn of_status(status: u16) -> (ErrorClass, Effect) {
    match status {
        401 => (ErrorClass::Unauthorized, Effect::None),
        403 => (ErrorClass::Forbidden, Effect::None),
        408 | 500..=599 => (ErrorClass::Unavailable, Effect::Unknown),
        _ => (ErrorClass::Unintelligible, Effect::Unknown),
    }
}

fn next_step(class: ErrorClass, code: Option<i64>, clock_advice: Option<String>) -> String {
    let text = match (class, code) {
        (ErrorClass::Unauthorized, _) if clock_advice.is_some() => return clock_advice.unwrap_or_default(),
        (ErrorClass::Unauthorized, _) => {
            "check spec.credentials.accessKey and secretKey, and this machine's clock"
        }
        (_, Some(1001)) => "wait: the gateway has seen this request before",
        (_, Some(24601 | 24602)) => "adopt the existing package, or change its version",
        (_, Some(24603)) => "wait: another firmware upload is in progress",
        (_, Some(24604)) => "wait until no device is waiting to be upgraded to it",
        (_, Some(24610)) => "verify the firmware first",
        (ErrorClass::Invalid, _) => "correct the field that the cloud reports",
        (ErrorClass::Forbidden, _) => "check spec.enos.orgId and the permissions of the application",
        (ErrorClass::NotFound, _) => "check spec.enos.orgId and the id",
        (ErrorClass::Conflict, _) => "wait until the state of the resource allows it",
        (ErrorClass::Throttled, _) => "wait, or lower spec.budget",
        (ErrorClass::Unavailable | ErrorClass::NotSent, _) => {
            "wait; if it persists, contact the cloud's support"
        }
        (ErrorClass::Unintelligible, _) => {
            "check that spec.enos.endpoint is the EnOS API gateway, and that no proxy answers for it"
        }
    };
    text.to_owned()
}

/// `code` of the Connect service, `status` of the token service; either may be a string.
fn details(response: &WireResponse) -> Details {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let number = |field: &str| {
        let value = body.get(field)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    };
    let text = |field: &str| body.get(field)?.as_str().filter(|text| !text.is_empty()).map(limited);
    Details {
        code: number("code").or_else(|| number("status")),
        message: text("msg"),
        request_id: text("requestId"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> WireResponse {
        let headers = vec![("date".to_owned(), "Sun, 01 Mar 2026 12:00:00 GMT".to_owned())];
        WireResponse { status, headers, body: body.to_owned().into() }
    }

    fn now() -> Timestamp {
        "2026-03-01T12:00:30Z".parse().unwrap()
    }

    #[test]
    fn codes_settle_who_must_act_whatever_the_status_is() {
        let stop = Call::StopJob { id: "j".into() };
        let cases: [(i64, ErrorClass, Effect); 16] = [
            (1001, ErrorClass::Unavailable, Effect::Unknown),
            (1002, ErrorClass::Unauthorized, Effect::None),
            (1003, ErrorClass::Unauthorized, Effect::None),
            (1203, ErrorClass::Unauthorized, Effect::None),
            (24404, ErrorClass::NotFound, Effect::None),
            (24500, ErrorClass::Unavailable, Effect::Unknown),
            (24601, ErrorClass::Conflict, Effect::None),
            (24603, ErrorClass::Unavailable, Effect::None),
            (24610, ErrorClass::Conflict, Effect::None),
            (24612, ErrorClass::Invalid, Effect::None),
            (24617, ErrorClass::Conflict, Effect::None),
            (99400, ErrorClass::Invalid, Effect::None),
            (99403, ErrorClass::Forbidden, Effect::None),
            (99404, ErrorClass::Unintelligible, Effect::Unknown),
            (24999, ErrorClass::Unintelligible, Effect::Unknown),
            (-1, ErrorClass::Unintelligible, Effect::Unknown),
        ];
        for (code, class, effect) in cases {
            for status in [200, 400, 403, 404, 500] {
                for body in [format!(r#"{{"code":{code},"msg":"m"}}"#), format!(r#"{{"status":"{code}"}}"#)] {
                    let error = of_answer(&stop, &answer(status, &body), now()).unwrap();
                    assert_eq!((error.class, error.effect), (class, effect), "{status} {body}");
                    assert!(!error.next_step.is_empty(), "{body}");
                }
            }
        }
    }

    #[test]
    fn answers_without_a_code_are_judged_by_their_status_and_never_mean_not_found() {
        let show = Call::ShowJob { id: "j".into() };
        for (status, class) in [
            (200, ErrorClass::Unintelligible),
            (302, ErrorClass::Unintelligible),
            (401, ErrorClass::Unauthorized),
            (403, ErrorClass::Forbidden),
            (404, ErrorClass::Unintelligible),
            (429, ErrorClass::Throttled),
            (502, ErrorClass::Unavailable),
        ] {
            for body in ["", "<html>", "[]", r#"{"code":null}"#, r#"{"code":{}}"#] {
                let error = of_answer(&show, &answer(status, body), now()).unwrap();
                assert_eq!((error.class, error.effect), (class, Effect::None), "{status} {body}");
            }
        }
        assert_eq!(of_answer(&show, &answer(200, r#"{"code":0}"#), now()), None);
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let show = Call::ShowJob { id: "j".into() };
        let refused = answer(200, r#"{"code":1003,"msg":"encryption is invalid"}"#);
        let hint = |at: &str| of_answer(&show, &refused, at.parse().unwrap()).unwrap().next_step;
        assert!(hint("2026-03-01T12:20:00Z").contains("20 minutes ahead of"));
        assert!(hint("2026-03-01T11:40:00Z").contains("20 minutes behind"));
        assert!(hint("2026-03-01T12:01:00Z").contains("secretKey"));
    }

    #[test]
    fn what_is_in_the_requested_state_already_is_no_error() {
        let error = |call: &Call, code: &str| {
            of_answer(call, &answer(200, &format!(r#"{{"code":{code}}}"#)), now()).unwrap()
        };
        let stop = Call::StopJob { id: "j".into() };
        let delete = Call::DeleteJob { id: "j".into() };
        assert_eq!(settles(&stop, &error(&stop, "24616")), Some(Reply::Done));
        assert_eq!(settles(&delete, &error(&delete, "24404")), Some(Reply::Done));
        assert_eq!(settles(&stop, &error(&stop, "24404")), None, "it is deleted, not stopped");
        assert_eq!(settles(&delete, &error(&delete, "24618")), None);
    }
}
