//! The one table of error codes.
//!
//! A code that begins with `SIM_` is assumed: no document that can be reached confirms it, and its form shows that
//! it is not official. So is every entry whose `documented` is false, and these behaviours, which no document
//! settles: a create answers 201 (`createStatus`); lists of packages and tasks come newest first; an upgrade task is
//! `failed` as soon as one of its devices is; a device that timed out is `fail` and counted under `timeout`
//! (`timeoutStatus`); `now` fails for a device that is not connected, `device_online` waits for it; a package that a task
//! still needs is not deleted (`deletePackageInUse`); names of the members' query and the shape of group lists.

use crate::simulator::refusal::{Code, assumed, documented};

/// Login without one of its fields.
pub const NO_PARAMETER: Code = assumed(400, "100449", "A mandatory parameter is missing.");
/// Login or refresh with the wrong keys.
pub const WRONG_SECRET: Code = documented(401, "100208", "AppId or secret is not right.");
/// Refresh with a refresh token that is not the last one; 401 is documented, its code is not.
pub const WRONG_REFRESH: Code = assumed(401, "SIM_REFRESH_TOKEN", "The refresh token is not right.");
/// A call without the header `app_key`.
pub const NO_APP_KEY: Code = documented(500, "100220", "Get AppKey from header failed.");
/// A token that is not the last one of the application, has ended, or belongs to another application.
pub const BAD_TOKEN: Code = documented(403, "1010005", "Invalid access token or appId.");
/// More than 100 calls a minute, an application and an API.
pub const THROTTLED: Code = documented(403, "1010009", "app throttle exceed.");
/// A query or body that names another application.
pub const NO_RIGHT: Code = assumed(403, "100217", "The application hasn't been authorized.");
/// An injected server error.
pub const INTERNAL: Code = documented(500, "50252", "Internal error.");
/// The status of an unknown path is assumed.
pub const NO_API: Code = assumed(404, "SIM_NO_API", "The API does not exist.");

/// Anything else that is wrong with an upgrade request.
pub const BAD_REQUEST: Code = documented(400, "120015", "Bad request error.");
/// `pageNo` or `pageSize` of an upgrade list.
pub const BAD_PAGE: Code = documented(400, "123029", "pageNo or pageSize beyond the limit.");
/// Unknown package, or a device that does not exist.
pub const NO_FILE: Code = documented(404, "123002", "Device or package file not found.");
/// Unknown task.
pub const NO_TASK: Code = documented(404, "123009", "The requested task does not exist.");
/// A device of another manufacturer, type or model; what exactly is compared is assumed.
pub const NO_MATCH: Code = documented(400, "123016", "The targetversion is not match with device.");
/// Groups without `manufacturerName`.
pub const NO_MANUFACTURER: Code = documented(400, "123019", "The manufacturerName is null.");
/// Groups without `deviceType`.
pub const NO_TYPE: Code = documented(400, "123020", "The deviceType is null.");
/// Groups without `model`.
pub const NO_MODEL: Code = documented(400, "123021", "The model is null.");
/// Neither groups nor devices.
pub const NO_TARGETS: Code = documented(400, "123022", "The deviceGroups and devices are null.");
/// Groups and devices.
pub const BOTH_TARGETS: Code = documented(400, "123023", "The deviceGroups and devices both exist.");
/// More than 256 of either.
pub const MANY_TARGETS: Code =
    documented(400, "123024", "The number of deviceGroups or devices is over 256.");
/// `policy.executeType`.
pub const BAD_EXECUTE_TYPE: Code = documented(400, "123025", "The executeType is wrong.");
/// `custom` without two well-formed times.
pub const BAD_PERIOD: Code = documented(400, "123026", "The startTime or endTime is null or malformed.");
/// `retryType` without `retryTimes` from 1 to 5.
pub const BAD_RETRY: Code = documented(400, "123028", "The retryTimes is null or beyond the limit.");
/// The start is after the end.
pub const START_AFTER_END: Code = documented(400, "123032", "The startTime is later than the endTime.");
/// The start has passed.
pub const START_IN_PAST: Code = documented(400, "123033", "The startTime is earlier than now.");
/// The window is too short.
pub const SHORT_PERIOD: Code =
    documented(400, "123034", "The endTime must be greater than the startTime for more than 5 minutes.");
/// A package that a running task needs.
pub const FILE_IN_USE: Code = assumed(400, "SIM_FILE_IN_USE", "The package file is in use.");

/// Unknown device. The code is widely seen; its page is not among the documents that were read.
pub const NO_DEVICE: Code = assumed(404, "100403", "The device is not existed.");
/// Anything that is wrong with a request of device management.
pub const BAD_INPUT: Code = assumed(400, "SIM_INPUT", "The request is invalid.");
/// Unknown group.
pub const NO_GROUP: Code = assumed(404, "SIM_NO_GROUP", "The device group does not exist.");
/// A group that is full, or a name that is taken.
pub const GROUP_CONFLICT: Code = assumed(400, "SIM_GROUP_CONFLICT", "The device group does not allow this.");
