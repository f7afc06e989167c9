//! `OtaPackage`: one immutable firmware or software version.

use super::{LocalRef, OtaPackageStatus, Percent, Period, pattern};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One firmware or software version, and how it is tried before anything is rolled out.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "ota.rollwave.dev",
    version = "v1alpha1",
    kind = "OtaPackage",
    namespaced,
    status = "OtaPackageStatus",
    shortname = "otap",
    category = "rollwave",
    doc = "One firmware or software version, and how it is tried before anything is rolled out.",
    derive = "PartialEq",
    printcolumn(json_path = ".spec.version", name = "Version", type_ = "string"),
    printcolumn(
        json_path = ".status.conditions[?(@.type==\"Verified\")].status",
        name = "Verified",
        type_ = "string"
    ),
    printcolumn(
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        name = "Ready",
        type_ = "string"
    ),
    printcolumn(json_path = ".status.message", name = "Message", type_ = "string"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtaPackageSpec {
    /// The account that holds the package.
    #[x_kube(validation = Rule::new("self == oldSelf").message("cannot be changed: write a new OtaPackage for another account"))]
    pub cloud_ref: LocalRef,
    /// What is upgraded.
    #[serde(rename = "type")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("cannot be changed: write a new OtaPackage for another type"))]
    pub kind: PackageType,
    /// The product whose devices it fits.
    #[x_kube(validation = Rule::new("self == oldSelf").message("cannot be changed: write a new OtaPackage for another product"))]
    pub product: Product,
    /// Version that a device reports once it runs the package.
    #[schemars(length(min = 1, max = 256), regex(pattern = pattern::VERSION))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("cannot be changed: write a new OtaPackage for another version"))]
    pub version: String,
    /// Versions that may be upgraded to this one; all when empty. IoTDA `support_source_versions`: at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 256), regex(pattern = pattern::VERSION)))]
    pub source_versions: Vec<String>,
    /// For people; at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Handed to the device with the upgrade notification; at most 4,096 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub custom_info: Option<String>,
    /// The bytes.
    pub artifact: Artifact,
    /// Devices that must run the package before any rollout starts. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What happens when the cloud already holds this version.
    #[serde(default)]
    #[schemars(default)]
    pub adoption: Adoption,
    /// What happens to the cloud's package when this object is deleted.
    #[serde(default)]
    #[schemars(default)]
    pub deletion_policy: DeletionPolicy,
    /// What happens when the cloud's package differs from this spec.
    #[serde(default)]
    #[schemars(default)]
    pub drift_policy: DriftPolicy,
}

/// What a package upgrades.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PackageType {
    /// The device's firmware.
    Firmware,
    /// The device's software.
    Software,
}

impl PackageType {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Firmware => Self::Software,
            Self::Software => Self::Firmware,
        }
    }
}

/// The product whose devices a package fits.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Product {
    /// IoTDA `product_id`.
    #[schemars(length(min = 1, max = 36), regex(pattern = pattern::ID))]
    pub id: String,
}

/// The bytes of a package: where they are and what they hash to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Artifact {
    /// SHA-256 of the bytes, 64 hex digits. IoTDA passes it to the device as `sign`.
    #[schemars(length(max = 64), regex(pattern = pattern::SHA256))]
    pub sha256: String,
    /// Size in bytes, checked against the cloud's limit (IoTDA: 1 GB) before anything is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub size: Option<i64>,
    /// An object in Huawei OBS.
    pub obs: ObsObject,
}

/// An object in Huawei OBS.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObsObject {
    /// Region of the bucket.
    #[schemars(length(min = 1, max = 256), regex(pattern = pattern::OBS_REGION))]
    pub region: String,
    /// Name of the bucket.
    #[schemars(length(min = 3, max = 63), regex(pattern = pattern::BUCKET))]
    pub bucket: String,
    /// Key of the object; its extension must be one that IoTDA takes.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = pattern::OBJECT_KEY)
    )]
    pub key: String,
}

/// Devices that must run a package before any rollout starts.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verification {
    /// Device ids.
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 128), regex(pattern = pattern::ID))
    )]
    pub devices: Vec<String>,
    /// Share of them that must report the new version.
    #[serde(default = "all_of_them")]
    #[schemars(default = "all_of_them")]
    pub min_success: Percent,
    /// After this long, a device that has not reported the new version counts as failed.
    #[serde(default = "one_day")]
    #[schemars(default = "one_day")]
    pub timeout: Period,
}

const fn all_of_them() -> Percent {
    Percent::FULL
}

const fn one_day() -> Period {
    Period::hours(24)
}

/// What happens when the cloud already holds this version.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adoption {
    /// An equal package is taken over; a different one is drift.
    #[default]
    IfMatches,
    /// Any package that Rollwave did not create stalls this object.
    Never,
}

/// What happens to the cloud's package when its object is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// It stays in the cloud.
    #[default]
    Orphan,
    /// It is deleted, once no running task points at it. A package that was adopted stays.
    Delete,
}

/// What happens when the cloud's package differs from the spec.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    /// It is deleted and created anew, when no running task points at it.
    Correct,
    /// It is reported, and left alone.
    #[default]
    Report,
}
