//! References to the keys of an account.

use crate::api::{LocalRef, pattern};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// References to the keys of an account: a Secret in a cluster, otherwise `env:VAR`, `file:PATH` or `exec:CMD` for each key.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.accessKey) == has(self.secretKey)")
        .message("set accessKey and secretKey together"),
    validation = Rule::new(
        "has(self.username) == has(self.password) && has(self.username) == has(self.domain)"
    ).message("set username, password and domain together"),
    validation = Rule::new("[has(self.secretRef), has(self.accessKey), has(self.username), has(self.appSecret)].filter(x, x).size() == 1")
        .message("set exactly one of secretRef, accessKey with secretKey, username with password and domain, or appSecret"),
    validation = Rule::new("!has(self.securityToken) || has(self.accessKey)")
        .message("securityToken requires accessKey and secretKey")
)]
pub struct Credentials {
    /// Secret in the same namespace, with keys named like the fields below (`accessKey`, `secretKey`, …), and for OceanConnect
    /// optionally `ca.crt`, `tls.crt` and `tls.key`. Only in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
    /// Access key id (AK); for EnOS the access key of the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<SecretSource>,
    /// Secret access key (SK); for EnOS the secret key of the application.
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
    /// Account (domain) of the IAM user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<SecretSource>,
    /// Secret of the application, for OceanConnect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_secret: Option<SecretSource>,
}

/// Source of one secret: `env:VAR`, `file:PATH` (relative to the manifest) or `exec:CMD`; never the secret itself.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "secret-source"))]
pub struct SecretSource(#[schemars(length(max = 4096), regex(pattern = pattern::SECRET_SOURCE))] pub String);
