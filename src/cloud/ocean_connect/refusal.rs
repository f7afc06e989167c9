//! Maps an answer that is not a success to an error that states who must act, and which field of a manifest caused it. The
//! cloud's code comes first: 403 means both "too many calls" and "no such token".

use crate::cloud::{
    Call, CallError, ErrorClass, WireResponse,
    effect::by_class,
    refusal::{self, limited, of_status, text},
};
use serde_json::Value;

/// The token is not the newest one of the application, has expired, or belongs to another application.
pub const BAD_TOKEN: &str = "1010005";

/// Meaning of a documented code: who must act, and on what.
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
const OURS: &str = "report a bug: Rollwave should not send this request";

/// Every documented code, in the order of the documents.
const MEANINGS: [Meaning; 26] = [
    meaning("100208", ErrorClass::Unauthorized, SECRET),
    meaning(BAD_TOKEN, ErrorClass::Unauthorized, SECRET),
    meaning(
        "1010009",
        ErrorClass::Throttled,
        "wait, or lower spec.budget of the OtaCloud: an application may send 100 requests per minute to an API",
    ),
    meaning("100220", ErrorClass::Unauthorized, "check that no proxy removes the header app_key"),
    meaning("100025", ErrorClass::Unauthorized, "check that no proxy removes the header app_key"),
    meaning("100203", ErrorClass::Unauthorized, APP),
    meaning(
        "100217",
        ErrorClass::Forbidden,
        "authorize the application on the platform, or check spec.oceanConnect.appId",
    ),
    meaning("50252", ErrorClass::Unavailable, "wait; if it persists, contact the cloud's support"),
    meaning("100501", ErrorClass::Unavailable, "wait: the platform is congested"),
    meaning("120015", ErrorClass::Invalid, "correct the field that the cloud reports"),
    meaning(
        "123002",
        ErrorClass::NotFound,
        "check that the package is still in the portal, and that every device of spec.targets exists",
    ),
    meaning("123009", ErrorClass::NotFound, "check whether the task was removed in the portal"),
    meaning(
        "123016",
        ErrorClass::Invalid,
        "check spec.targets.fromVersions of the OtaRollout, and the source versions of the uploaded package",
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

/// The error that an answer represents; none when it is a success whose body can be read as one.
#[must_use]
pub fn of_answer(call: &Call, response: &WireResponse) -> Option<CallError> {
    let (code, words) = details(response);
    let is_success = (200..300).contains(&response.status);
    if is_success && code.is_none() {
        return None;
    }
    let known = MEANINGS.iter().find(|meaning| Some(meaning.code) == code.as_deref());
    let class = known.map_or_else(|| of_status(response.status), |meaning| meaning.class);
    let message = words.unwrap_or_else(|| "the response has no message".to_owned());
    let mut error = CallError::new(class, call.operation(), message);
    error.status = Some(response.status);
    error.code = code;
    error.next_step = known.map_or_else(|| next_step(class), |meaning| meaning.next_step).to_owned();
    Some(by_class(call, error))
}

/// True when the answer means that the token is not the newest one of the application.
#[must_use]
pub fn is_bad_token(response: &WireResponse) -> bool {
    details(response).0.as_deref() == Some(BAD_TOKEN)
}

/// A 2xx answer that no document describes: nothing is concluded from it.
#[must_use]
pub fn unintelligible(call: &Call, response: &WireResponse, message: String) -> CallError {
    refusal::unintelligible(call, response, message, next_step(ErrorClass::Unintelligible))
}

const fn next_step(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Unauthorized => SECRET,
        ErrorClass::Forbidden => "authorize the application for this call on the platform",
        ErrorClass::Invalid => "correct the field that the cloud reports",
        ErrorClass::NotFound => "check spec.oceanConnect.endpoint and the id",
        ErrorClass::Conflict => "wait until the state of the resource allows it",
        ErrorClass::Throttled => "wait, or lower spec.budget",
        ErrorClass::Unavailable | ErrorClass::NotSent => "wait; if it persists, contact the cloud's support",
        ErrorClass::Unintelligible => {
            "check that spec.oceanConnect.endpoint is the application access address of the platform, and that no proxy answers for it"
        }
    }
}

/// `error_code` and `error_desc`; old calls give them under HTTP 200, too.
fn details(response: &WireResponse) -> (Option<String>, Option<String>) {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    (text(&body, "error_code"), text(&body, "error_desc").map(|words| limited(&words)))
}
