//! `oceanConnect`: an application of Huawei OceanConnect.

use super::SecretSource;
use crate::api::pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An application of Huawei OceanConnect (northbound API).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OceanConnect {
    /// Address of the platform, such as `https://device.api.ct10649.com:8743`.
    #[schemars(length(max = 2048), regex(pattern = pattern::ADDRESS))]
    pub endpoint: String,
    /// Application id. Only the newest token of an application is valid: nothing else may sign in with it.
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::ID))]
    pub app_id: String,
    /// CA certificates (PEM) that the platform's certificate is checked against; those of the system by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<SecretSource>,
    /// Client certificate that the platform requires; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<ClientCert>,
}

/// A client certificate with its key.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCert {
    /// Certificate, with its chain (PEM).
    pub certificate: SecretSource,
    /// Private key (PEM, PKCS#8 or PKCS#1).
    pub key: SecretSource,
}
