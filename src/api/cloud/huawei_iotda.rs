//! `huaweiIotda`: an instance of Huawei Cloud IoTDA.

use crate::api::pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Huawei Cloud IoTDA instance (API v5).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HuaweiIotda {
    /// Application access address of the instance, such as
    /// `https://9bc34a0001.st1.iotda-app.cn-north-4.myhuaweicloud.com`.
    #[schemars(length(max = 2048), regex(pattern = pattern::ADDRESS))]
    pub endpoint: String,
    /// Region id, such as `cn-north-4`; part of the derived signing key.
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::REGION))]
    pub region: String,
    /// Project id; part of every request path.
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::ID))]
    pub project_id: String,
    /// Instance id, sent as `Instance-Id`; required by the professional edition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::ID))]
    pub instance_id: Option<String>,
    /// Resource space of packages, devices and tasks; IoTDA creates no package without one.
    #[schemars(length(min = 1, max = 36), regex(pattern = pattern::ID))]
    pub app_id: String,
    /// How requests are authenticated.
    #[serde(default)]
    #[schemars(default)]
    pub auth: IotdaAuth,
    /// IAM address for `auth: Token`; `https://iam.{region}.myhuaweicloud.com` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = pattern::ADDRESS))]
    pub iam_endpoint: Option<String>,
    /// Key in a batch task's `document` that names the package: `package_ids` on newer platforms, `package_id` on older ones.
    #[serde(default)]
    #[schemars(default)]
    pub document_key: DocumentKey,
}

/// How requests to IoTDA are authenticated.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IotdaAuth {
    /// Chosen by the endpoint, as in the official SDK: `SdkHmac` for the shared `iotda.{region}.…` endpoint, `V11` for all
    /// others.
    #[default]
    Auto,
    /// SDK-HMAC-SHA256 with access key and secret key (basic edition).
    SdkHmac,
    /// V11-HMAC-SHA256, the derived key (standard and enterprise edition).
    V11,
    /// An IAM token, fetched with user name, password and account.
    Token,
}

/// Key in a batch task's `document`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DocumentKey {
    /// `{"package_ids": ["…"]}`
    #[default]
    #[serde(rename = "package_ids")]
    PackageIds,
    /// `{"package_id": "…"}`
    #[serde(rename = "package_id")]
    PackageId,
}
