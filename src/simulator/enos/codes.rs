//! The one table of error codes.
//!
//! Negative codes are *assumed*: no document shows one for the case, and their form shows that they are not official. The tables
//! have numbers as text. Also assumed: every refusal comes with HTTP 200, because the official Python SDK drops the body of any other
//! answer; signed calls are refused with the codes of the token service, in the envelope of the Connect service.

use crate::simulator::refusal::{Code, assumed, documented};

/// Token service: this digest has been seen before.
pub const REPEATED: Code = documented(200, "1001", "repeated request");
/// Token service: the key does not exist.
pub const UNKNOWN_KEY: Code = documented(200, "1002", "appKey does not exist");
/// Token service: the digest is wrong.
pub const WRONG_ENCRYPTION: Code = documented(200, "1003", "encryption is invalid");
/// Token service: a field has another form.
pub const BAD_PARAMETER: Code = documented(200, "1004", "invalid parameter");
/// Token service: a field is missing.
pub const EMPTY_PARAMETER: Code = documented(200, "1202", "parameter is empty");
/// The token has ended, or does not exist.
pub const TOKEN_EXPIRED: Code = documented(200, "1203", "token is expired");
/// Token service: no such token to refresh.
pub const REFRESH_FAILED: Code = documented(200, "1204", "refresh token failed");
/// A signed call whose digest is wrong, or whose time is too far away.
pub const WRONG_SIGNATURE: Code = assumed(200, "1003", "signature is invalid");
/// A signed call that has been seen before.
pub const REPEATED_CALL: Code = assumed(200, "1001", "repeated request");
/// Too many calls.
pub const THROTTLED: Code = assumed(429, "-429", "too many requests");

/// A parameter is missing or has another form.
pub const INVALID: Code = documented(200, "99400", "Invalid Argument");
/// Another's organisation, or no permission for the operation.
pub const DENIED: Code = documented(200, "99403", "Access Denied");
/// No such path or action.
pub const NO_API: Code = documented(200, "99404", "Not Found");
/// An injected fault.
pub const INTERNAL: Code = documented(200, "24500", "OTA service internal error");
/// Unknown firmware.
pub const NO_FIRMWARE: Code = documented(200, "24404", "Firmware not found");
/// Unknown job.
pub const NO_JOB: Code = documented(200, "24404", "Job not found");
/// The product has a firmware of this version.
pub const VERSION_EXISTS: Code = documented(200, "24601", "Firmware version already exists");
/// The product has a firmware of this name.
pub const NAME_EXISTS: Code = documented(200, "24602", "Firmware name already exists");
/// An open task needs the firmware.
pub const FIRMWARE_IN_USE: Code = documented(200, "24604", "Firmware cannot be deleted");
/// An upgrade with a firmware that must be verified first.
pub const NOT_VERIFIED: Code = documented(200, "24610", "Firmware is not verified");
/// A verification of all devices.
pub const TOTAL_NOT_ALLOWED: Code =
    documented(200, "24611", "Upgrade scope total is not allowed for verify job");
/// A verification of more devices than allowed.
pub const TOO_MANY_TO_VERIFY: Code = documented(200, "24612", "Exceeded max verification deviceKeys, max");
/// `start` of a job that runs.
pub const STARTED: Code = documented(200, "24615", "Job has started");
/// `stop` of a job that does not.
pub const STOPPED: Code = documented(200, "24616", "Job has stopped");
/// An order to tasks of a job that does not run.
pub const NOT_RUNNING: Code = documented(200, "24617", "Job is not running");
/// `delete` of a job that runs.
pub const RUNNING: Code = documented(200, "24618", "Running job cannot be deleted");
/// `cancelTask` of a device that has begun or ended.
pub const NOT_CANCELABLE: Code = documented(200, "24620", "Only init or published task can be canceled");
/// `retryTask` of a device that has not failed.
pub const NOT_RETRYABLE: Code = documented(200, "24621", "Only failed task can be retried");
/// A digest that is not that of the bytes, when the world file has it checked.
pub const WRONG_DIGEST: Code = assumed(200, "-24001", "sign is not the digest of file");
/// A job for a device that does not exist, when the world file has this refused.
pub const NO_DEVICE: Code = assumed(200, "-24002", "Device not found");
