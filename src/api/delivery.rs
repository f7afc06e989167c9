//! How devices get a package: delivery settings that are passed to the cloud with every job.

use super::Period;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the cloud delivers the package; omitted fields use the cloud's default, and a field that a cloud cannot honor is refused
/// (docs/clouds.md).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delivery {
    /// When the package is sent to a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<DeliveryStart>,
    /// How long a device may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DeliveryTimeout>,
    /// Retries by the cloud itself within a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Maximum number of devices that are sent the package in one minute: by each job where the cloud has such a limit
    /// (docs/clouds.md), else by each stage, of which Rollwave sends this many a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub rate_per_minute: Option<u32>,
    /// Maximum number of devices that upgrade at the same time: of each job where the cloud has such a limit (docs/clouds.md),
    /// else of each stage, where devices without an outcome take a place and the next are sent when half of the places are free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_in_flight: Option<u32>,
    /// Whether the cloud pushes the package, or waits until the device requests it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<bool>,
    /// Whether the upgrade of each device waits for a confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<bool>,
    /// Whether devices may request the package by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_initiated: Option<bool>,
    /// Protocol by which devices download the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_protocol: Option<DownloadProtocol>,
    /// Whether this job replaces another job that a device has not begun yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<bool>,
    /// Tags that are passed to the devices with the package.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "tags")]
    pub tags: BTreeMap<String, String>,
}

/// Keys and values as Alibaba Cloud documents them for `Tag.N` (CreateOTAVerifyJob), minus the one that Rollwave uses.
fn tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 9,
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 1024},
        "x-kubernetes-validations": [{
            "rule": "self.all(key, key.matches('^[A-Za-z0-9.]{1,30}$'))",
            "message": "the key of a tag must have 1 to 30 letters, digits or dots"
        }]
    })
}

/// When the package is sent to a device.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStart {
    /// Immediately.
    Now,
    /// When the device is connected.
    DeviceOnline,
}

/// How long a device may take, by two clocks.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "must be a map with queued and inProgress: use delivery.timeout.inProgress"
)]
pub struct DeliveryTimeout {
    /// Time from the creation of the job until a device begins; a device that has not begun by then leaves the sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<Period>,
    /// Time from the first progress report of a device until it runs the new version; after that it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<Period>,
}

/// Retries by the cloud itself within a job.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// Number of further attempts.
    #[schemars(range(min = 1, max = 5))]
    pub limit: u32,
    /// Time between two attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Period>,
}

/// Protocol by which devices download a package.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadProtocol {
    /// HTTPS.
    Https,
    /// MQTT.
    Mqtt,
}
