//! `OtaPackage`: one immutable firmware or software version.

use super::{AccountRef, Delivery, Kind, ObjectKey, OtaPackageStatus, Percent, Period, pattern};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An immutable firmware or software version, and how it is verified before a rollout.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "ota.rollwave.dev",
    version = "v1alpha1",
    kind = "OtaPackage",
    namespaced,
    status = "OtaPackageStatus",
    shortname = "otap",
    category = "rollwave",
    doc = "An immutable firmware or software version, and how it is verified before a rollout.",
    derive = "PartialEq",
    selectable = ".spec.cloudRef.name",
    selectable = ".spec.product.id",
    selectable = ".spec.version",
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
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(json_path = ".status.message", name = "Message", type_ = "string")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.module) == has(oldSelf.module) && (!has(self.module) || self.module == oldSelf.module)")
        .message("module is immutable: create a new OtaPackage for another module"),
    validation = Rule::new("!has(self.artifact.delta) || !self.artifact.delta || (has(self.sourceVersions) && self.sourceVersions.size() == 1)")
        .message("a delta applies to exactly one version: list it in sourceVersions")
)]
pub struct OtaPackageSpec {
    /// The account that the package belongs to.
    #[x_kube(validation = Rule::new("self == oldSelf").message("cannot be changed: write a new OtaPackage for another account"))]
    pub cloud_ref: AccountRef,
    /// Kind of the package.
    #[serde(rename = "type")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("cannot be changed: write a new OtaPackage for another type"))]
    pub kind: PackageType,
    /// Product whose devices the package is for.
    #[x_kube(validation = Rule::new("self == oldSelf").message("cannot be changed: write a new OtaPackage for another product"))]
    pub product: Product,
    /// Version that a device reports when it runs the package.
    #[schemars(length(min = 1, max = 256), regex(pattern = pattern::VERSION))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("cannot be changed: write a new OtaPackage for another version"))]
    pub version: String,
    /// Module of the product that the package upgrades (Alibaba Cloud); absent or `default` means the whole device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::VERSION))]
    pub module: Option<String>,
    /// Versions that can be upgraded to this one; all when empty (IoTDA `support_source_versions`: at most 20).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 256), regex(pattern = pattern::VERSION)))]
    pub source_versions: Vec<String>,
    /// Order of this release among those of the product: of two packages with a counter the larger one is later; without it,
    /// versions are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 2_147_483_647))]
    pub release_counter: Option<u32>,
    /// Description for users; at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Text that is passed to the device with the upgrade notification; at most 4,096 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub custom_info: Option<String>,
    /// The artifact.
    pub artifact: Artifact,
    /// Devices that must run the package before any rollout starts; no verification when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What to do if the cloud already has this version.
    #[serde(default)]
    #[schemars(default)]
    pub adoption: Adoption,
    /// What to do with the cloud's package when this object is deleted.
    #[serde(default)]
    #[schemars(default)]
    pub deletion_policy: DeletionPolicy,
    /// What to do when the cloud's package differs from this spec.
    #[serde(default)]
    #[schemars(default)]
    pub drift_policy: DriftPolicy,
}

impl OtaPackageSpec {
    /// The module that it upgrades; none for the whole device.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        self.module.as_deref().filter(|module| *module != "default")
    }
}

/// Kind of a package.
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

/// The product whose devices a package is for.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.id) != has(self.manufacturer)")
        .message("set either id, or manufacturer, deviceType and model (oceanConnect)"),
    validation = Rule::new("has(self.manufacturer) == has(self.deviceType) && has(self.manufacturer) == has(self.model)")
        .message("set manufacturer, deviceType and model together")
)]
pub struct Product {
    /// IoTDA `product_id`, Alibaba Cloud `ProductKey`, EnOS `productKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 36), regex(pattern = pattern::ID))]
    pub id: Option<String>,
    /// OceanConnect `manufacturerName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::PRODUCT_TEXT))]
    pub manufacturer: Option<String>,
    /// OceanConnect `deviceType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::PRODUCT_TEXT))]
    pub device_type: Option<String>,
    /// OceanConnect `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::PRODUCT_TEXT))]
    pub model: Option<String>,
}

impl fmt::Display for Product {
    /// The id, or `manufacturer/deviceType/model`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.id, &self.manufacturer, &self.device_type, &self.model];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        f.write_str(&parts.join("/"))
    }
}

/// The artifact of a package: its location and digests.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.obs), has(self.file), has(self.files), has(self.portal)].filter(x, x).size() == 1")
        .message("set exactly one of obs, file, files, portal"),
    validation = Rule::new("has(self.files) || has(self.sha256)")
        .message("sha256 is required: it identifies the artifact"),
    validation = Rule::new("!has(self.files) || [has(self.sha256), has(self.md5), has(self.size)].all(x, !x)")
        .message("set sha256, md5 and size on each item of files")
)]
pub struct Artifact {
    /// SHA-256 of the artifact, 64 hex digits; with `files`, each file has its own. IoTDA passes it to the device as `sign`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = pattern::SHA256))]
    pub sha256: Option<String>,
    /// Size in bytes, checked against the cloud's limit (IoTDA: 1 GB) before anything is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub size: Option<i64>,
    /// MD5 of the artifact, 32 hex digits; required by Alibaba Cloud, which stores no other digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = pattern::MD5))]
    pub md5: Option<String>,
    /// True when the artifact is a delta to the one version in `sourceVersions`, which devices apply by themselves (Alibaba
    /// Cloud).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<bool>,
    /// Object in Huawei OBS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obs: Option<ObsObject>,
    /// Path of the file to upload, relative to the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = pattern::ARTIFACT_FILE))]
    pub file: Option<String>,
    /// Several files that are sent to devices together (Alibaba Cloud); at most 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("self.all(x, self.exists_one(y, y.name == x.name))").message("names of files must differ"))]
    pub files: Option<Vec<ArtifactFile>>,
    /// Upload by hand in the cloud's portal, for a cloud without an upload API (OceanConnect).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal: Option<PortalUpload>,
}

impl Artifact {
    /// True when the artifact is a delta to a version.
    #[must_use]
    pub fn is_delta(&self) -> bool {
        self.delta == Some(true)
    }

    /// Paths of all files, each with the field that names it.
    pub fn paths(&self) -> impl Iterator<Item = (String, &str)> {
        let one = self.file.iter().map(|file| ("spec.artifact.file".to_owned(), file.as_str()));
        let several = self.files.iter().flatten().enumerate();
        one.chain(several.map(|(n, file)| (format!("spec.artifact.files[{n}].file"), file.file.as_str())))
    }
}

/// A file of a package with several files.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArtifactFile {
    /// Name that is passed to devices to identify the file.
    #[schemars(length(min = 1, max = 32), regex(pattern = pattern::PRODUCT_TEXT))]
    pub name: String,
    /// Path of the file to upload, relative to the manifest.
    #[schemars(length(min = 1, max = 1024), regex(pattern = pattern::ARTIFACT_FILE))]
    pub file: String,
    /// SHA-256 of the file, 64 hex digits.
    #[schemars(length(max = 64), regex(pattern = pattern::SHA256))]
    pub sha256: String,
    /// MD5 of the file, 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = pattern::MD5))]
    pub md5: Option<String>,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub size: Option<i64>,
}

/// A package that is uploaded by hand in the cloud's portal.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortalUpload {
    /// Name of the package in the portal, to distinguish packages of the same product and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub name: Option<String>,
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
    /// Key of the object, with an extension that IoTDA accepts.
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
        inner(length(min = 1, max = 128), regex(pattern = pattern::DEVICE))
    )]
    pub devices: Vec<String>,
    /// Share of the devices that must report the new version.
    #[serde(default = "all_of_them")]
    #[schemars(default = "all_of_them")]
    pub min_success: Percent,
    /// Time after which a device that has not reported the new version counts as failed.
    #[serde(default = "one_day")]
    #[schemars(default = "one_day")]
    pub timeout: Period,
    /// How these devices get the package; same fields as `delivery` of an OtaRollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
}

const fn all_of_them() -> Percent {
    Percent::FULL
}

const fn one_day() -> Period {
    Period::hours(24)
}

/// What to do if the cloud already has this version.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adoption {
    /// Take over an equal package; a different one is drift.
    #[default]
    IfMatches,
    /// Stall if a package exists that Rollwave did not create.
    Never,
}

/// What to do with the cloud's package when its object is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// Keep it in the cloud.
    #[default]
    Orphan,
    /// Delete it, once no running job uses it; an adopted package is kept.
    Delete,
}

/// What to do when the cloud's package differs from the spec.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    /// Delete it and create it again, once no running job uses it.
    Correct,
    /// Report it and change nothing.
    #[default]
    Report,
}

impl OtaPackage {
    /// The account that the package belongs to.
    #[must_use]
    pub fn account(&self) -> ObjectKey {
        self.spec.cloud_ref.key(&ObjectKey::of(Kind::OtaPackage, &self.metadata).namespace)
    }
}
