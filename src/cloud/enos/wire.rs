//! Wire format of EnOS: field names and spellings are the cloud's.
//!
//! Numbers may be strings (official samples send them, and the document shows both). Unknown fields are ignored. Facts: Connect
//! service v2.1, OTA pages 2.2 to 3.1.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::Value;
use std::collections::BTreeMap;

/// Body of a request for a token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRequest<'a> {
    pub app_key: &'a str,
    pub encryption: String,
    pub timestamp: i64,
    /// Only to refresh this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<&'a str>,
}

/// `data` of an answer of the token service.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenData {
    pub access_token: String,
    #[serde(deserialize_with = "number")]
    pub expire: i64,
}

/// An answer: `code` of the Connect service, `status` of the token service.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<T> {
    pub data: Option<T>,
    pub pagination: Option<Pagination>,
}

/// Position of a page in a search.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pagination {
    #[serde(deserialize_with = "number")]
    pub page_no: u64,
    #[serde(deserialize_with = "number")]
    pub total_size: u64,
}

/// Body of a search.
#[derive(Serialize)]
pub struct Search {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    pub pagination: PageQuery,
    /// The fields that rows have; all of them when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projection: Option<&'static [&'static str]>,
}

/// Which page.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageQuery {
    pub page_no: u64,
    pub page_size: usize,
}

/// A name in several languages.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StringI18n {
    pub default_value: Option<String>,
    #[serde(default)]
    pub i18n_value: BTreeMap<String, String>,
}

impl StringI18n {
    /// A name in no particular language.
    pub fn plain(name: String) -> Self {
        Self { default_value: Some(name), i18n_value: BTreeMap::new() }
    }
}

/// Part `metadata` of a firmware upload.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FirmwareMetadata<'a> {
    pub name: StringI18n,
    pub version: &'a str,
    pub sign_method: &'static str,
    pub sign: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desc: Option<&'a str>,
    pub enable_verification: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_allowed_for_verification: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_success_for_verified: Option<u32>,
}

/// A firmware.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Firmware {
    pub firmware_id: String,
    pub product_key: Option<String>,
    pub version: String,
    pub desc: Option<String>,
    pub sign_method: Option<String>,
    pub sign: Option<String>,
    #[serde(default, deserialize_with = "maybe_number")]
    pub file_size: Option<u64>,
    pub enable_verification: Option<bool>,
    pub is_verified: Option<bool>,
    #[serde(default, deserialize_with = "maybe_number")]
    pub create_time: Option<i64>,
}

/// `data` of a firmware that was created.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedFirmware {
    pub firmware_id: String,
}

/// `data` of a job that was created.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedJob {
    pub job_id: String,
}

/// Devices that a job is for.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeScope {
    pub r#type: String,
    #[serde(default)]
    pub version_numbers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_keys: Option<Vec<String>>,
}

/// Body of a new job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewJob {
    pub name: StringI18n,
    pub r#type: &'static str,
    pub upgrade_scope: UpgradeScope,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_upgrade_request: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_concurrency: Option<u32>,
}

/// How often a failed device is retried.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    pub enable_retry: bool,
    pub retry_interval: i64,
    pub retry_count: u32,
}

/// A job.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub job_id: String,
    pub name: Option<StringI18n>,
    pub firmware_id: String,
    pub upgrade_scope: Option<UpgradeScope>,
    pub status: String,
    #[serde(default, deserialize_with = "maybe_number")]
    pub create_time: Option<i64>,
}

/// One device of a job.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    pub job_id: String,
    pub product_key: Option<String>,
    pub device_key: String,
    pub desc: Option<String>,
    pub status: String,
}

/// What a device runs. Only these fields of the row are known (`searchDeviceUpgrade`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceFirmware {
    pub product_key: String,
    pub device_key: String,
    pub firmware_version: Option<String>,
    /// Whether a job is upgrading it.
    pub is_upgrading: Option<bool>,
}

/// Whether a device is connected, as Search Device projects it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    pub device_key: String,
    /// `inactive`, `online`, `offline`, `disable` or `mirror`.
    pub status: Option<String>,
}

/// A device that Search Device found, as it is projected.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundDevice {
    pub product_key: String,
    pub device_key: String,
    #[serde(default)]
    pub device_tags: BTreeMap<String, Value>,
    #[serde(default)]
    pub device_attributes: BTreeMap<String, Value>,
}

fn number<'de, D: Deserializer<'de>, N: TryFrom<i64>>(deserializer: D) -> Result<N, D::Error> {
    let value = Value::deserialize(deserializer)?;
    read_number(&value).ok_or_else(|| Error::custom(format!("{value} is not a number")))
}

fn maybe_number<'de, D: Deserializer<'de>, N: TryFrom<i64>>(deserializer: D) -> Result<Option<N>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if value.is_null() { Ok(None) } else { number(value).map(Some).map_err(Error::custom) }
}

fn read_number<N: TryFrom<i64>>(value: &Value) -> Option<N> {
    let number = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())?;
    N::try_from(number).ok()
}
