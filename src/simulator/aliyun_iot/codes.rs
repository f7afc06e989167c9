//! The one table of error codes.
//!
//! There are two envelopes: the gateway's, with an HTTP status from 400 on, and the product's, which is HTTP 200 with
//! `Success: false` (that it is 200 is *assumed*: every response model has the member). Codes named `iot.sim.…` are
//! assumed: only one `iot.ota.…` code stands in any document that could be read, and
//! their form shows that they are not official.

use crate::simulator::refusal::{Code, assumed, documented};

/// The access key does not exist.
pub const UNKNOWN_KEY: Code =
    documented(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.");
/// Another request, or another secret, was signed. The SDK needs the colon.
pub const MISMATCH: Code = documented(400, "SignatureDoesNotMatch", "");
/// `Authorization` cannot be read, or does not cover what it must.
pub const INCOMPLETE: Code = documented(400, "IncompleteSignature", "");
/// Another method or version of signing.
pub const UNSUPPORTED: Code = documented(400, "InvalidSignatureMethod", "");
/// The nonce was there before.
pub const NONCE_USED: Code =
    documented(400, "SignatureNonceUsed", "Specified signature nonce was used already.");
/// The time is more than 15 minutes off.
pub const SKEWED: Code = documented(400, "InvalidTimeStamp.Expired", "");
/// The time is no time.
pub const TIME_FORMAT: Code = documented(400, "InvalidTimeStamp.Format", "");
/// No such action.
pub const NO_ACTION: Code = documented(
    404,
    "InvalidAction.NotFound",
    "Specified api is not found, please check your url and method.",
);
/// Another version of the API.
pub const VERSION: Code = documented(400, "InvalidVersion", "Specified parameter Version is not valid.");
/// A method other than GET and POST.
pub const METHOD: Code = documented(400, "UnsupportedHTTPMethod", "The HTTP method is not supported.");
/// `Format` is neither JSON nor XML.
pub const FORMAT: Code =
    documented(400, "InvalidParameter.Format", "The specified Format must be XML or JSON.");
/// Too many calls of one action.
pub const THROTTLED: Code =
    documented(400, "Throttling.User", "Request was denied due to user flow control.");
/// The key may not call the action.
pub const FORBIDDEN: Code =
    documented(403, "Forbidden.RAM", "User not authorized to operate on the specified resource.");
/// The token has ended. Code documented, status *assumed*.
pub const TOKEN_EXPIRED: Code =
    assumed(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.");
/// The token is not that of the key. Code documented, status *assumed*.
pub const TOKEN_WRONG: Code =
    assumed(400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.");
/// A temporary key without its token. Code documented, status *assumed*.
pub const TOKEN_MISSING: Code =
    assumed(400, "MissingSecurityToken", "SecurityToken is mandatory for this action.");
/// An injected server error.
pub const INTERNAL: Code =
    documented(500, "InternalError", "The request processing has failed due to some unknown error.");

/// The instance is not that of the caller.
pub const NO_INSTANCE: Code = documented(200, "iot.Sre.IotInstanceNotFound", "The instance does not exist.");
/// `CurrentPage` or `PageSize` out of range.
pub const PAGE: Code = documented(200, "iot.common.InvalidPageParams", "Invalid page parameters.");
/// No such product.
pub const NO_PRODUCT: Code = documented(200, "iot.prod.NotExistedProduct", "The product does not exist.");
/// No such device.
pub const NO_DEVICE: Code = documented(200, "iot.device.NotExistedDevice", "The device does not exist.");
/// No such package.
pub const NO_FIRMWARE: Code =
    documented(200, "iot.ota.FirmwareNotFound", "The specified firmware does not exist.");
/// A value that breaks a documented rule.
pub const INVALID: Code = assumed(200, "iot.sim.InvalidParameter", "");
/// No such job.
pub const NO_JOB: Code = assumed(200, "iot.sim.JobNotFound", "The job does not exist.");
/// No such task.
pub const NO_TASK: Code = assumed(200, "iot.sim.TaskNotFound", "The task does not exist.");
/// No such module.
pub const NO_MODULE: Code = assumed(200, "iot.sim.ModuleNotFound", "The module does not exist.");
/// No such group.
pub const NO_GROUP: Code = assumed(200, "iot.sim.GroupNotFound", "The group does not exist.");
/// The name is taken.
pub const TAKEN: Code = assumed(200, "iot.sim.NameTaken", "The name is taken.");
/// The state of the thing does not allow it.
pub const STATE: Code = assumed(200, "iot.sim.StateNotAllowed", "The state does not allow this.");
/// There are as many as there may be.
pub const QUOTA: Code = assumed(200, "iot.sim.QuotaExceeded", "There are too many.");
/// No uploaded object has this address.
pub const NO_OBJECT: Code =
    assumed(200, "iot.sim.ObjectNotFound", "The file was not uploaded, or was swept.");
