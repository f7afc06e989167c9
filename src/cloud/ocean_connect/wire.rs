//! Wire format, spelled as in the cloud. Documents: createFirmwareUpgradeTask and its seven neighbours
//! (`/iodm/northbound/v1.5.0`), authentication, device management, device groups.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Answer to login and refresh.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenReply {
    pub access_token: String,
    pub refresh_token: Option<String>,
    /// Seconds.
    pub expires_in: Option<i64>,
}

/// Body of a refresh.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefreshRequest<'a> {
    pub app_id: &'a str,
    pub secret: &'a str,
    pub refresh_token: &'a str,
}

/// Position of a page in its list.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageOf {
    /// From 0.
    pub page_no: Option<u64>,
    /// Rows of the list.
    pub total_count: Option<u64>,
}

/// A page of an upgrade list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed<T> {
    pub data: Vec<T>,
    #[serde(flatten)]
    pub page: PageOf,
}

/// A software or firmware package.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradePackage {
    pub file_id: String,
    pub name: Option<String>,
    pub version: String,
    /// `firmwarePackage` or `softwarePackage`.
    pub file_type: String,
    pub device_type: String,
    pub model: String,
    pub manufacturer_name: String,
    pub description: Option<String>,
    pub upload_time: Option<String>,
}

/// Body of the two creates.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateTask<'a> {
    pub file_id: &'a str,
    pub targets: NewTargets<'a>,
    pub policy: Policy,
}

/// Devices of a new task. Groups are never sent: their members may change between plan and call.
#[derive(Serialize)]
pub struct NewTargets<'a> {
    pub devices: &'a [String],
}

/// Schedule and retries.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// `now`, `device_online` or `custom`; mandatory inside a policy.
    pub execute_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_type: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_times: Option<u32>,
}

/// Answer to the two creates.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedTask {
    pub operation_id: String,
}

/// An upgrade task.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    pub operation_id: String,
    pub create_time: Option<String>,
    /// `firmware_upgrade` or `software_upgrade`.
    pub operate_type: String,
    pub targets: Option<Targets>,
    pub policy: Option<Policy>,
    /// `wait`, `processing`, `failed`, `success` or `stop`.
    pub status: String,
    pub sta_result: Option<Counters>,
}

/// Devices or groups of a task.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Targets {
    pub devices: Option<Vec<String>>,
    pub device_groups: Option<Vec<String>>,
}

/// Counters of a task.
#[derive(Deserialize)]
pub struct Counters {
    pub total: Option<u32>,
    pub wait: Option<u32>,
    pub processing: Option<u32>,
    pub success: Option<u32>,
    pub fail: Option<u32>,
    pub stop: Option<u32>,
    pub timeout: Option<u32>,
}

/// A task's device.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubOperation {
    pub device_id: String,
    /// `wait`, `processing`, `fail`, `success` or `stop`.
    pub status: String,
    pub detail_info: Option<String>,
}

/// A page of devices.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceList {
    pub devices: Vec<Device>,
    #[serde(flatten)]
    pub page: PageOf,
}

/// A device.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    pub device_id: String,
    pub device_info: Option<DeviceInfo>,
}

/// Properties of a device.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceInfo {
    pub manufacturer_name: Option<String>,
    pub device_type: Option<String>,
    pub model: Option<String>,
    pub fw_version: Option<String>,
    pub sw_version: Option<String>,
    /// `ONLINE`, `OFFLINE`, `INACTIVE` or `ABNORMAL`.
    pub status: Option<String>,
}

/// A page of a group's members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberList {
    pub device_ids: Vec<String>,
    #[serde(flatten)]
    pub page: PageOf,
}

/// Reads `20151212T121212Z`.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
