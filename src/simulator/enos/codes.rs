//! The one table of error codes.
//!
//! Negative codes are *assumed*: no document shows one for the case. They are made so that nobody takes them for official
//! ones. Also assumed: every refusal comes with HTTP 200, because the official Python SDK drops the body of any other
//! answer; signed calls are refused with the codes of the token service, in the envelope of the Connect service.

/// One error.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// HTTP status.
    pub status: u16,
    /// `code` (`status` in the token service).
    pub code: i64,
    /// `msg`, or its start.
    pub text: &'static str,
    /// False when no document confirms that this case has this code.
    pub documented: bool,
}

const fn documented(code: i64, text: &'static str) -> Code {
    Code { status: 200, code, text, documented: true }
}

const fn assumed(status: u16, code: i64, text: &'static str) -> Code {
    Code { status, code, text, documented: false }
}

/// Token service: this digest has been seen before.
pub const REPEATED: Code = documented(1001, "repeated request");
/// Token service: nobody has this key.
pub const UNKNOWN_KEY: Code = documented(1002, "appKey does not exist");
/// Token service: the digest is wrong.
pub const WRONG_ENCRYPTION: Code = documented(1003, "encryption is invalid");
/// Token service: a field has another form.
pub const BAD_PARAMETER: Code = documented(1004, "invalid parameter");
/// Token service: a field is missing.
pub const EMPTY_PARAMETER: Code = documented(1202, "parameter is empty");
/// The token has ended, or nobody knows it.
pub const TOKEN_EXPIRED: Code = documented(1203, "token is expired");
/// Token service: no such token to refresh.
pub const REFRESH_FAILED: Code = documented(1204, "refresh token failed");
/// A signed call whose digest is wrong, or whose time is too far away.
pub const WRONG_SIGNATURE: Code = assumed(200, 1003, "signature is invalid");
/// A signed call that has been seen before.
pub const REPEATED_CALL: Code = assumed(200, 1001, "repeated request");
/// Too many calls.
pub const THROTTLED: Code = assumed(429, -429, "too many requests");

/// A parameter is missing or has another form.
pub const INVALID: Code = documented(99400, "Invalid Argument");
/// Another's organisation.
pub const DENIED: Code = documented(99403, "Access Denied");
/// No such path or action.
pub const NO_API: Code = documented(99404, "Not Found");
/// An injected fault.
pub const INTERNAL: Code = documented(24500, "OTA service internal error");
/// Unknown firmware.
pub const NO_FIRMWARE: Code = documented(24404, "Firmware not found");
/// Unknown job.
pub const NO_JOB: Code = documented(24404, "Job not found");
/// The product has a firmware of this version.
pub const VERSION_EXISTS: Code = documented(24601, "Firmware version already exists");
/// The product has a firmware of this name.
pub const NAME_EXISTS: Code = documented(24602, "Firmware name already exists");
/// An open task needs the firmware.
pub const FIRMWARE_IN_USE: Code = documented(24604, "Firmware cannot be deleted");
/// An upgrade with a firmware that must be verified first.
pub const NOT_VERIFIED: Code = documented(24610, "Firmware is not verified");
/// A verification of all devices.
pub const TOTAL_NOT_ALLOWED: Code = documented(24611, "Upgrade scope total is not allowed for verify job");
/// A verification of more devices than allowed.
pub const TOO_MANY_TO_VERIFY: Code = documented(24612, "Exceeded max verification deviceKeys, max");
/// `start` of a job that runs.
pub const STARTED: Code = documented(24615, "Job has started");
/// `stop` of a job that does not.
pub const STOPPED: Code = documented(24616, "Job has stopped");
/// An order to tasks of a job that does not run.
pub const NOT_RUNNING: Code = documented(24617, "Job is not running");
/// `delete` of a job that runs.
pub const RUNNING: Code = documented(24618, "Running job cannot be deleted");
/// `cancelTask` of a device that has begun or ended.
pub const NOT_CANCELABLE: Code = documented(24620, "Only init or published task can be canceled");
/// `retryTask` of a device that has not failed.
pub const NOT_RETRYABLE: Code = documented(24621, "Only failed task can be retried");
/// A digest that is not that of the bytes, when the world says that it is checked.
pub const WRONG_DIGEST: Code = assumed(200, -24001, "sign is not the digest of file");
/// A job for a device that does not exist, when the world says that this is refused.
pub const NO_DEVICE: Code = assumed(200, -24002, "Device not found");
