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
    /// Project id, part of every path.
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::ID))]
    pub project_id: String,
    /// Sent as `Instance-Id`; the professional edition needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::ID))]
    pub instance_id: Option<String>,
    /// Resource space that packages, devices and tasks belong to. IoTDA creates no package without one.
    #[schemars(length(min = 1, max = 36), regex(pattern = pattern::ID))]
    pub app_id: String,
    /// How requests are authenticated.
    #[serde(default)]
    #[schemars(default)]
    pub auth: IotdaAuth,
    /// IAM address for `auth: Token`; `https://iam.{region}.myhuaweicloud.com` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = pattern::ADDRESS))]
    pub iam_endpoint: Option<String>,
    /// Key of a batch task's `document` that names the package. Newer platforms document `package_ids`, older ones
    /// `package_id`.
    #[serde(default)]
    #[schemars(default)]
    pub document_key: DocumentKey,
}

/// How requests to IoTDA are authenticated.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IotdaAuth {
    /// By the endpoint, as the official SDK does: the shared `iotda.{region}.…` endpoint takes `SdkHmac`, all others `V11`.
    #[default]
    Auto,
    /// SDK-HMAC-SHA256 with access key and secret key (basic edition).
    SdkHmac,
    /// V11-HMAC-SHA256, the derived key (standard and enterprise edition).
    V11,
    /// An IAM token, fetched with user name, password and account.
    Token,
}

/// Key of a batch task's `document`.
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
