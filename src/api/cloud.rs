//! `OtaCloud`: one cloud account.

use super::{OtaCloudStatus, Period, pattern};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One cloud account: where it is, how to sign in, and how many calls a second it may cost.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "ota.rollwave.dev",
    version = "v1alpha1",
    kind = "OtaCloud",
    namespaced,
    status = "OtaCloudStatus",
    shortname = "otac",
    category = "rollwave",
    doc = "One cloud account: where it is, how to sign in, and how many calls a second it may cost.",
    derive = "PartialEq",
    printcolumn(
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        name = "Ready",
        type_ = "string"
    ),
    printcolumn(json_path = ".status.message", name = "Message", type_ = "string"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.huaweiIotda.auth != 'Token' || has(self.credentials.username)")
        .message("auth: Token signs in with credentials.username, password and domain"),
    validation = Rule::new("self.huaweiIotda.auth == 'Token' || has(self.credentials.accessKey)")
        .message("signing needs credentials.accessKey and secretKey; auth: Token signs in with a username")
)]
pub struct OtaCloudSpec {
    /// Huawei Cloud IoTDA.
    pub huawei_iotda: HuaweiIotda,
    /// Where the keys are; never the keys themselves.
    pub credentials: Credentials,
    /// Calls that this account may cost; the cloud's documented limit with headroom when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// How often the account is compared with the specs when nothing happens.
    #[serde(default = "five_minutes")]
    #[schemars(default = "five_minutes")]
    pub drift_interval: Period,
}

const fn five_minutes() -> Period {
    Period::minutes(5)
}

/// A Huawei Cloud IoTDA instance (API v5).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.auth != 'Token' || has(self.iamEndpoint) || has(self.region)")
        .message("auth: Token needs iamEndpoint, or region to derive it from")
)]
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

/// Where the keys of an account are: `env:VAR`, `file:PATH` or `exec:CMD`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.accessKey) == has(self.secretKey)")
        .message("accessKey and secretKey go together"),
    validation = Rule::new(
        "has(self.username) == has(self.password) && has(self.username) == has(self.domain)"
    ).message("username, password and domain go together"),
    validation = Rule::new("has(self.accessKey) != has(self.username)")
        .message("give either accessKey and secretKey, or username, password and domain"),
    validation = Rule::new("!has(self.securityToken) || has(self.accessKey)")
        .message("securityToken belongs to a temporary accessKey and secretKey")
)]
pub struct Credentials {
    /// Access key id (AK).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<SecretSource>,
    /// Secret access key (SK).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<SecretSource>,
    /// Security token of a temporary access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_token: Option<SecretSource>,
    /// IAM user name, for `auth: Token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<SecretSource>,
    /// Password of the IAM user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretSource>,
    /// Account (domain) that the IAM user belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<SecretSource>,
}

/// Where one secret is: `env:VAR`, `file:PATH` (relative to the manifest) or `exec:CMD`; never the secret.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "secret-source"))]
pub struct SecretSource(#[schemars(length(max = 4096), regex(pattern = pattern::SECRET_SOURCE))] pub String);

/// Calls that one account may cost, over all its objects.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// Calls a second over a longer time.
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: u32,
    /// Calls at once after a quiet time.
    #[schemars(range(min = 1, max = 1000))]
    pub burst: u32,
}
