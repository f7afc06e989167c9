//! Maps an answer that is not a success to an error that states who must act. The HTTP status comes first, the cloud's code
//! second: codes of the OTA calls are not documented (only those of [`THROTTLED`], [`STATE`] and a few common ones are).

use super::sign;
use crate::cloud::{
    Call, CallError, ErrorClass, WireResponse,
    effect::by_class,
    refusal::{self, clock_advice, limited, of_status, retry_after, text},
};
use jiff::Timestamp;
use serde_json::Value;

/// Codes for "too many calls" with HTTP 403 (error code page).
const THROTTLED: [&str; 2] = ["IOTDA.021101", "IOTDA.021102"];
/// Codes that refuse because of the state of a task (StopBatchTask).
const STATE: [&str; 1] = ["IOTDA.014219"];
/// The resource space does not exist (error code page).
const NO_APP: &str = "IOTDA.001000";
/// The device does not exist; HTTP status not documented, *assumed* to be 400, 403 or 404.
const NO_DEVICE: &str = "IOTDA.014000";
/// A command timed out: an error under HTTP 200 (error code page).
const TIMED_OUT: &str = "IOTDA.014111";

/// The cloud's code, message and request id in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Details {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

/// The error that an answer represents; none when it is a success whose body can be read as one.
#[must_use]
pub fn of_answer(call: &Call, response: &WireResponse, now: Timestamp) -> Option<CallError> {
    if (200..300).contains(&response.status) && !may_name_an_error(&response.body) {
        return None;
    }
    let details = details(response);
    let code = details.code.as_deref().unwrap_or_default();
    let class = match response.status {
        200..=299 if code.is_empty() => return None,
        200..=299 => class_under_success(code),
        status => class_of(status, code),
    };
    let message = details.message.clone().unwrap_or_else(|| "the response has no message".to_owned());
    let mut error = CallError::new(class, call.operation(), message);
    error.status = Some(response.status);
    error.next_step = next_step(&error, code, clock_advice(response, now, sign::MAX_SKEW));
    error.retry_after = retry_after(response, now);
    error.request_id = details.request_id;
    error.code = details.code;
    Some(by_class(call, error))
}

/// A 2xx answer that no document describes: nothing is concluded from it.
#[must_use]
pub fn unintelligible(call: &Call, response: &WireResponse, message: String) -> CallError {
    let next_step = "check that spec.huaweiIotda.endpoint is the application access address of the instance";
    let mut error = refusal::unintelligible(call, response, message, next_step);
    error.request_id = details(response).request_id;
    error
}

fn class_of(status: u16, code: &str) -> ErrorClass {
    match (status, code) {
        (400 | 403, NO_DEVICE) => ErrorClass::NotFound,
        (403, code) if THROTTLED.contains(&code) => ErrorClass::Throttled,
        (400 | 403, code) if STATE.contains(&code) => ErrorClass::Conflict,
        _ => of_status(status),
    }
}

fn class_under_success(code: &str) -> ErrorClass {
    match code {
        TIMED_OUT => ErrorClass::Unavailable,
        code if STATE.contains(&code) => ErrorClass::Conflict,
        _ => ErrorClass::Unintelligible,
    }
}

fn next_step(error: &CallError, code: &str, clock_advice: Option<String>) -> String {
    let text = match error.class {
        ErrorClass::Unauthorized if clock_advice.is_some() => return clock_advice.unwrap_or_default(),
        ErrorClass::Unauthorized => "check spec.credentials, spec.huaweiIotda.auth and this machine's clock",
        ErrorClass::Forbidden if code == NO_APP => "check spec.huaweiIotda.appId",
        ErrorClass::Forbidden => {
            "grant the user of the keys the IAM action of this call, and check appId and instanceId"
        }
        ErrorClass::Invalid => "correct the field that the cloud reports",
        ErrorClass::NotFound => "check endpoint, projectId and the id",
        ErrorClass::Conflict => "wait until the state of the resource allows it",
        ErrorClass::Throttled => "wait, or lower spec.budget",
        ErrorClass::Unavailable | ErrorClass::NotSent => "wait; if it persists, contact the cloud's support",
        ErrorClass::Unintelligible => {
            "check that spec.huaweiIotda.endpoint is the application access address of the instance, and that no proxy answers for it"
        }
    };
    text.to_owned()
}

/// Almost no answer has an error code, so long lists need not be parsed twice. A field may be written with escapes.
fn may_name_an_error(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| text.contains("error_code") || text.contains("\\u"))
}

/// Reads every form of error body that the SDK's parser accepts: `error_code`/`error_msg`, `errorCode`/`errorMsg`,
/// `code`/`message`, or one of these one level down. Under a 2xx only `error_code` is an error.
fn details(response: &WireResponse) -> Details {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let header_id = response.header("x-request-id").map(str::to_owned);
    let request_id = header_id.or_else(|| text(&body, "request_id"));
    let success = (200..300).contains(&response.status);
    let found = if success { pair(&body, "error_code", "error_msg") } else { any_pair(&body) };
    let (code, message) = found.map_or((None, None), |(code, message)| (Some(code), message));
    Details { code, message: message.map(|message| limited(&message)), request_id }
}

fn any_pair(body: &Value) -> Option<(String, Option<String>)> {
    let nested = body.as_object().into_iter().flat_map(|fields| fields.values());
    std::iter::once(body).chain(nested).find_map(|level| {
        pair(level, "error_code", "error_msg")
            .or_else(|| pair(level, "errorCode", "errorMsg"))
            .or_else(|| pair(level, "code", "message"))
    })
}

fn pair(level: &Value, code: &str, message: &str) -> Option<(String, Option<String>)> {
    Some((text(level, code)?, text(level, message)))
}
