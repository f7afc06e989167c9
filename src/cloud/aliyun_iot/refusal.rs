//! Maps an answer that is not a success to an error that states who must act. There are two envelopes: the gateway's with an HTTP
//! status from 400 on, and the product's under HTTP 200 with `Success: false`.
//!
//! Codes of the gateway are documented. Of the OTA actions hardly any code is: undocumented ones decide nothing, and users see
//! code and message.

use super::{sign, wire::Envelope};
use crate::cloud::{
    Call, CallError, ErrorClass, WireResponse,
    effect::by_class,
    refusal::{self, clock_advice, of_status},
};
use jiff::Timestamp;

/// The error that an answer represents; none when it is a success whose body can be read as one.
#[must_use]
pub fn of_answer(call: &Call, response: &WireResponse, now: Timestamp) -> Option<CallError> {
    let details: Option<Envelope> = serde_json::from_slice(&response.body).ok();
    let has_body = details.is_some();
    let details = details.unwrap_or_default();
    let code = details.code.clone().filter(|code| !code.is_empty());
    let class = match (response.status, &code) {
        (200..=299, None) if details.success == Some(true) => return None,
        (200..=299, Some(code)) if details.success != Some(true) => of_product(code),
        (200..=299, _) => ErrorClass::Unintelligible,
        (status, Some(code)) => of_gateway(status, code),
        (status, None) => of_status(status),
    };
    let words = details.message.or(details.error_message);
    let message = words.map(|words| limited(&words)).unwrap_or_else(|| {
        let what = if has_body { "the response has no message" } else { "the response is not JSON" };
        what.to_owned()
    });
    let mut error = CallError::new(class, call.operation(), message);
    error.status = Some(response.status);
    error.next_step =
        next_step(class, code.as_deref().unwrap_or_default(), clock_advice(response, now, sign::MAX_SKEW));
    error.request_id = details.request_id;
    error.code = code;
    Some(by_class(call, error))
}

/// An answer that no document describes: nothing is concluded from it.
#[must_use]
pub fn unintelligible(call: &Call, response: &WireResponse, message: String) -> CallError {
    let next_step = "check that spec.aliyunIot.endpoint is the service address of the region";
    let mut error = refusal::unintelligible(call, response, message, next_step);
    let details: Option<Envelope> = serde_json::from_slice(&response.body).ok();
    error.request_id = details.and_then(|details| details.request_id);
    error
}

/// A refusal by the object store, in its own envelope: XML.
#[must_use]
pub fn of_store(call: &Call, response: &WireResponse) -> CallError {
    let body = String::from_utf8_lossy(&response.body);
    let between = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| limited(text))
    };
    let message = between("Message").unwrap_or_else(|| "the object store gives no reason".to_owned());
    let class = of_status(response.status);
    let mut error = CallError::new(class, call.operation(), format!("the upload was refused: {message}"));
    error.status = Some(response.status);
    error.code = between("Code");
    error.request_id = between("RequestId");
    let error = error.next_step(match class {
        ErrorClass::Unavailable | ErrorClass::Throttled => {
            "wait; if it persists, contact the cloud's support"
        }
        _ => "check this machine's clock and the network: an upload permit is valid for one minute",
    });
    by_class(call, error)
}

/// Codes of the gateway (public error codes of Alibaba Cloud's APIs).
fn of_gateway(status: u16, code: &str) -> ErrorClass {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| code.starts_with(prefix));
    match code {
        _ if begins(&["Throttling"]) => ErrorClass::Throttled,
        _ if begins(&["InvalidAccessKeyId", "InvalidSecurityToken", "MissingSecurityToken"]) => {
            ErrorClass::Unauthorized
        }
        _ if begins(&["Signature", "IncompleteSignature", "InvalidSignature", "InvalidTimeStamp"]) => {
            ErrorClass::Unauthorized
        }
        _ if begins(&["Forbidden", "NoPermission"]) => ErrorClass::Forbidden,
        "ServiceUnavailable" | "InternalError" => ErrorClass::Unavailable,
        _ if status < 500 && begins(&["Missing", "Invalid", "UnsupportedHTTPMethod"]) => ErrorClass::Invalid,
        _ => of_status(status),
    }
}

/// Codes of the product that a document confirms; all others refuse because of a state or a rule.
fn of_product(code: &str) -> ErrorClass {
    match code {
        "iot.ota.FirmwareNotFound" | "iot.device.NotExistedDevice" => ErrorClass::NotFound,
        "iot.system.SystemException"
        | "iot.common.QueryDeviceActionError"
        | "iot.common.QueryProductActionError" => ErrorClass::Unavailable,
        "iot.common.RamActionPermissionDeny" | "iot.common.InvalidTenant" => ErrorClass::Forbidden,
        "iot.system.InstanceNotFound" | "iot.system.UidNotFound" | "iot.Sre.IotInstanceNotFound" => {
            ErrorClass::Forbidden
        }
        "Iot.system.BillIsOverDue" => ErrorClass::Forbidden,
        _ if ["iot.common.", "iot.system.", "iot.prod.", "iot.device."]
            .iter()
            .any(|p| code.starts_with(p)) =>
        {
            ErrorClass::Invalid
        }
        _ => ErrorClass::Conflict,
    }
}

fn next_step(class: ErrorClass, code: &str, clock_advice: Option<String>) -> String {
    let text = match class {
        ErrorClass::Unauthorized if clock_advice.is_some() => return clock_advice.unwrap_or_default(),
        ErrorClass::Unauthorized if code == "InvalidTimeStamp.Expired" => "set this machine's clock",
        ErrorClass::Unauthorized if code.contains("SecurityToken") => {
            "set spec.credentials.securityToken to a token of this key that has not expired"
        }
        ErrorClass::Unauthorized => "check spec.credentials and spec.aliyunIot.signature",
        ErrorClass::Forbidden if code.contains("Instance") => {
            "check spec.aliyunIot.iotInstanceId and regionId"
        }
        ErrorClass::Forbidden if code.contains("Bill") => "pay the bill of the account",
        ErrorClass::Forbidden => "grant the RAM user of the key this action of the product iot",
        ErrorClass::Invalid => "correct what the cloud reports",
        ErrorClass::NotFound => "check spec.aliyunIot and the id",
        ErrorClass::Conflict => {
            "follow the message of the cloud, or wait until the state of the resource allows it"
        }
        ErrorClass::Throttled => "wait, or lower spec.budget",
        ErrorClass::Unavailable | ErrorClass::NotSent => "wait; if it persists, contact the cloud's support",
        ErrorClass::Unintelligible => {
            "check that spec.aliyunIot.endpoint is the service address of the region, and that no proxy answers for it"
        }
    };
    text.to_owned()
}

/// The message of the cloud, without the string that was signed.
fn limited(message: &str) -> String {
    let message = message.split("server string to sign is").next().unwrap_or(message);
    refusal::limited(message)
}
