//! The one table of error codes.
//!
//! Codes named `IOTDA.SIM_…` are assumed: the API reference lists codes for OTA packages and batch tasks, but no
//! reachable copy shows them. Their form shows that they are not official; a client must use the HTTP
//! status first.

use crate::simulator::refusal::{Code, assumed, documented};

/// Bad signature, unknown key, wrong algorithm, expired token.
pub const UNAUTHENTICATED: Code = documented(401, "IOTDA.000002", "The request is unauthorized.");
/// Any constraint of a field.
pub const INVALID_INPUT: Code = documented(400, "IOTDA.000006", "Invalid input data.");
/// Not JSON, or another media type.
pub const BAD_FORMAT: Code = documented(400, "IOTDA.000008", "The request message format is invalid.");
/// A time of another form.
pub const INVALID_TIME: Code = documented(400, "IOTDA.000009", "The time format is invalid.");
/// A start that is not before its end.
pub const INVALID_PERIOD: Code =
    documented(400, "IOTDA.000010", "The start time must be earlier than the end time.");
/// `limit` of a list.
pub const INVALID_LIMIT: Code = documented(400, "IOTDA.000017", "The limit is out of range.");
/// `marker` of a list.
pub const INVALID_MARKER: Code = documented(400, "IOTDA.000018", "The marker is out of range.");
/// Right key, wrong project or instance. Seen by third parties.
pub const FORBIDDEN: Code = assumed(403, "IOTDA.000021", "The user has no permission.");
/// Unknown resource space.
pub const NO_APP: Code = documented(403, "IOTDA.001000", "The application does not exist.");
/// Unknown device. Code seen by third parties; status assumed.
pub const NO_DEVICE: Code = assumed(404, "IOTDA.014000", "The device does not exist.");
/// Device id taken. Code seen by third parties; status assumed.
pub const DEVICE_EXISTS: Code = assumed(403, "IOTDA.014115", "The device already exists.");
/// Against the state of a task. Documented inside a 200 for single targets; status for a whole task assumed.
pub const NOT_ALLOWED: Code = assumed(403, "IOTDA.014219", "Invalid operation in this state.");
/// Unknown package.
pub const NO_PACKAGE: Code = assumed(404, "IOTDA.SIM_NO_PACKAGE", "The package does not exist.");
/// Second package of one product, type and version.
pub const PACKAGE_EXISTS: Code = assumed(403, "IOTDA.SIM_PACKAGE_EXISTS", "The package already exists.");
/// A task that is not final needs the package.
pub const PACKAGE_IN_USE: Code = assumed(403, "IOTDA.SIM_PACKAGE_IN_USE", "The package is in use.");
/// Unknown product.
pub const NO_PRODUCT: Code = assumed(403, "IOTDA.SIM_NO_PRODUCT", "The product does not exist.");
/// Unknown task.
pub const NO_TASK: Code = assumed(404, "IOTDA.SIM_NO_TASK", "The batch task does not exist.");
/// Unknown group.
pub const NO_GROUP: Code = assumed(404, "IOTDA.SIM_NO_GROUP", "The device group does not exist.");
/// Group name taken, or a group that has child groups.
pub const GROUP_CONFLICT: Code =
    assumed(403, "IOTDA.SIM_GROUP_CONFLICT", "The device group does not allow this.");
/// A task type that the simulator does not run.
pub const NOT_SIMULATED: Code = assumed(403, "IOTDA.SIM_NOT_SIMULATED", "The simulator does not run this.");
/// `error_code` of a failed sub task: the documents give its texts only.
pub const UPGRADE_FAILED: Code = assumed(200, "IOTDA.SIM_UPGRADE_FAILED", "");
/// An injected server error.
pub const INTERNAL: Code = assumed(500, "IOTDA.000001", "Internal server error.");

/// Gateway: no such path and method.
pub const NO_API: Code = documented(404, "APIGW.0101", "The API does not exist or has not been published.");
/// Gateway: body over 12 MB.
pub const TOO_LARGE: Code = documented(413, "APIGW.0201", "The request entity is too large.");
/// Gateway: too many calls.
pub const THROTTLED: Code = documented(429, "APIGW.0308", "The throttling threshold has been reached:");

/// Identity and access management has another envelope; it takes the status and the text only.
pub const IAM_REFUSED: Code = documented(401, "IAM.401", "The username or password is wrong.");
