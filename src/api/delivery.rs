//! How devices get a package: what is handed to the cloud with every job.

use super::Period;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How devices get a package. A field that a cloud cannot honour is refused for it, never dropped; `docs/clouds.md` has the
/// table. What is left out is the cloud's own default.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delivery {
    /// When a device is sent the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<DeliveryStart>,
    /// How long a device may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DeliveryTimeout>,
    /// How often the cloud itself tries a device again that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Most devices that one job sends the package to in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub rate_per_minute: Option<u32>,
    /// Most devices of one job that upgrade at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_in_flight: Option<u32>,
    /// Whether the cloud pushes the package to a device, or waits until the device asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<bool>,
    /// Whether each device waits until its upgrade is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<bool>,
    /// Whether devices may ask for the package by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_initiated: Option<bool>,
    /// How devices download it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_protocol: Option<DownloadProtocol>,
    /// Whether a job that a device has not begun yet is replaced by this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<bool>,
    /// Handed to the devices with the package.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "tags")]
    pub tags: BTreeMap<String, String>,
}

/// Keys and values as Alibaba Cloud documents them for `Tag.N` (CreateOTAVerifyJob), less one for Rollwave's own.
fn tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 9,
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 1024},
        "x-kubernetes-validations": [{
            "rule": "self.all(key, key.matches('^[A-Za-z0-9.]{1,30}$'))",
            "message": "the key of a tag has 1 to 30 letters, digits and dots"
        }]
    })
}

/// When a device is sent a package.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStart {
    /// At once.
    Now,
    /// When it is connected.
    DeviceOnline,
}

/// How long a device may take, by two clocks.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "is a map of two times: write delivery.timeout.inProgress"
)]
pub struct DeliveryTimeout {
    /// From when its job was created until it begins. A device that has not begun by then is no evidence: it leaves the sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<Period>,
    /// From its first report of progress until it runs the new version; it has failed afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<Period>,
}

/// How often the cloud tries a failed device again.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// Further attempts.
    #[schemars(range(min = 1, max = 5))]
    pub limit: u32,
    /// Time between two of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Period>,
}

/// How devices download a package.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadProtocol {
    /// HTTPS.
    Https,
    /// MQTT.
    Mqtt,
}
