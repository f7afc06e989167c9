//! `aliyunIot`: an instance of Alibaba Cloud IoT Platform.

use crate::api::pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An instance of Alibaba Cloud IoT Platform (API version 2018-01-20).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AliyunIot {
    /// Service address, such as `https://iot.cn-shanghai.aliyuncs.com`.
    #[schemars(length(max = 2048), regex(pattern = pattern::ADDRESS))]
    pub endpoint: String,
    /// Region id, such as `cn-shanghai`.
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::REGION))]
    pub region_id: String,
    /// Instance id, sent as `IotInstanceId`; omit it for old public instances without an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::ID))]
    pub iot_instance_id: Option<String>,
    /// Signature method of requests.
    #[serde(default)]
    #[schemars(default)]
    pub signature: AliyunSignature,
}

/// Signature methods of requests to Alibaba Cloud.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AliyunSignature {
    /// ACS3-HMAC-SHA256.
    #[default]
    Acs3,
    /// RPC style 1.0 with HMAC-SHA1.
    Rpc,
}
