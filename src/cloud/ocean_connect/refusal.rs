//! From an answer that is not a success to an error that says who must act, and which field of a manifest caused it.
//! The cloud's code comes first: 403 says "too many calls" and "no such token" alike.

use crate::cloud::{Call, CallError, ErrorClass, WireResponse, effect::maybe_effective};
use serde_json::Value;

/// The token is not the last one of the application, has ended, or belongs to another application.
pub const BAD_TOKEN: &str = "1010005";

/// What a code of the documents means: who must act, and where.
struct Meaning {
    code: &'static str,
    class: ErrorClass,
    next_step: &'static str,
}

const fn meaning(code: &'static str, class: ErrorClass, next_step: &'static str) -> Meaning {
    Meaning { code, class, next_step }
}

const TARGETS: &str = "check spec.targets of the OtaRollout, or spec.verification.devices of the OtaPackage";
const PRODUCT: &str = "check spec.product of the OtaPackage: manufacturer/deviceType/model";
const APP: &str = "check spec.oceanConnect.appId of the OtaCloud";
const SECRET: &str = "check spec.oceanConnect.appId and spec.credentials.appSecret of the OtaCloud";
const OURS: &str = "report this: Rollwave sends no such request";

/// Every code of the documents, in their order.
const MEANINGS: [Meaning; 26] = [
    meaning("100208", ErrorClass::Unauthorized, SECRET),
    meaning(BAD_TOKEN, ErrorClass::Unauthorized, SECRET),
    meaning(
        "1010009",
        ErrorClass::Throttled,
        "wait, or lower spec.budget of the OtaCloud: 100 calls a minute are documented for an application and an API",
    ),
    meaning("100220", ErrorClass::Unauthorized, "check that no proxy takes the header app_key away"),
    meaning("100025", ErrorClass::Unauthorized, "check that no proxy takes the header app_key away"),
    meaning("100203", ErrorClass::Unauthorized, APP),
    meaning(
        "100217",
        ErrorClass::Forbidden,
        "let the platform authorize the application, or check spec.oceanConnect.appId",
    ),
    meaning("50252", ErrorClass::Unavailable, "wait; if it stays, ask the cloud's support"),
    meaning("100501", ErrorClass::Unavailable, "wait: the platform is congested"),
    meaning("120015", ErrorClass::Invalid, "change the field that the cloud names"),
    meaning(
        "123002",
        ErrorClass::NotFound,
        "check that the package is still in the portal, and that every device of spec.targets exists",
    ),
    meaning("123009", ErrorClass::NotFound, "check whether the task was removed in the portal"),
    meaning(
        "123016",
        ErrorClass::Invalid,
        "check spec.targets.fromVersions of the OtaRollout, and the source versions with which the package was uploaded",
    ),
    meaning("123019", ErrorClass::Invalid, PRODUCT),
    meaning("123020", ErrorClass::Invalid, PRODUCT),
    meaning("123021", ErrorClass::Invalid, PRODUCT),
    meaning("123022", ErrorClass::Invalid, TARGETS),
    meaning("123023", ErrorClass::Invalid, TARGETS),
    meaning("123024", ErrorClass::Invalid, TARGETS),
    meaning("123025", ErrorClass::Invalid, "check spec.delivery.start of the OtaRollout"),
    meaning("123026", ErrorClass::Invalid, OURS),
    meaning("123028", ErrorClass::Invalid, "check spec.delivery.retry.limit of the OtaRollout: 1 to 5"),
    meaning("123029", ErrorClass::Invalid, OURS),
    meaning("123032", ErrorClass::Invalid, OURS),
    meaning("123033", ErrorClass::Invalid, OURS),
    meaning("123034", ErrorClass::Invalid, OURS),
];

/// The error that an answer stands for; none when it is a success whose body can be read as one.
#[must_use]
pub fn of_answer(call: &Call, response: &WireResponse) -> Option<CallError> {
    let (code, words) = said(response);
    let is_success = (200..300).contains(&response.status);
    if is_success && code.is_none() {
        return None;
    }
    let known = MEANINGS.iter().find(|meaning| Some(meaning.code) == code.as_deref());
    let class = known.map_or_else(|| class_of(response.status), |meaning| meaning.class);
    let message = words.unwrap_or_else(|| "the answer gives no reason".to_owned());
    let mut error = CallError::new(class, call.operation(), message);
    error.status = Some(response.status);
    error.code = code;
    error.next_step = known.map_or_else(|| next_step(class), |meaning| meaning.next_step).to_owned();
    let is_definite = !matches!(class, ErrorClass::Unavailable | ErrorClass::Unintelligible);
    Some(if is_definite { error } else { maybe_effective(call, error) })
}

/// True when the answer says that the token is not the application's last one.
#[must_use]
pub fn is_bad_token(response: &WireResponse) -> bool {
    said(response).0.as_deref() == Some(BAD_TOKEN)
}

/// A 2xx answer that no document describes: nothing is concluded from it.
#[must_use]
pub fn unintelligible(call: &Call, response: &WireResponse, message: String) -> CallError {
    let mut error = CallError::new(ErrorClass::Unintelligible, call.operation(), message)
        .next_step(next_step(ErrorClass::Unintelligible));
    error.status = Some(response.status);
    maybe_effective(call, error)
}

/// What a status alone says. An error under a 2xx that nobody documents is not understood.
const fn class_of(status: u16) -> ErrorClass {
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

const fn next_step(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Unauthorized => SECRET,
        ErrorClass::Forbidden => "let the platform authorize the application for this call",
        ErrorClass::Invalid => "change the field that the cloud names",
        ErrorClass::NotFound => "check spec.oceanConnect.endpoint and the id",
        ErrorClass::Conflict => "wait until its state allows it",
        ErrorClass::Throttled => "wait, or lower spec.budget",
        ErrorClass::Unavailable | ErrorClass::NotSent => "wait; if it stays, ask the cloud's support",
        ErrorClass::Unintelligible => {
            "check that spec.oceanConnect.endpoint is the platform's application access address, without a proxy that answers for it"
        }
    }
}

/// `error_code` and `error_desc`; old calls give them under HTTP 200, too.
fn said(response: &WireResponse) -> (Option<String>, Option<String>) {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let text = |field: &str| match body.get(field)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let plain = |text: String| text.chars().filter(|c| !c.is_control()).take(500).collect();
    (text("error_code"), text("error_desc").map(plain))
}
