//! Packages, existing and to be created.

use super::{DeviceScope, PackageKind};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Natural key of a package inside one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PackageKey {
    /// Firmware or software.
    pub kind: PackageKind,
    /// The cloud's product id.
    pub product: String,
    /// Version.
    pub version: String,
    /// Module that it upgrades, if the cloud has modules; none: the whole device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

impl PackageKey {
    /// The devices that it is for, whose versions show whether they run it.
    #[must_use]
    pub fn scope(&self) -> DeviceScope {
        DeviceScope { product: self.product.clone(), module: self.module.clone() }
    }
}

/// A package as lists show it: without its artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageRow {
    /// Cloud's id.
    pub id: String,
    /// Natural key.
    pub key: PackageKey,
    /// Its name, where packages have a name that the client does not generate.
    pub name: Option<String>,
    /// Versions that can be upgraded to it; empty if the cloud does not report them.
    pub source_versions: Vec<String>,
    /// Its artifact is a delta to its one source version, according to the cloud.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delta: bool,
    /// Description for users.
    pub description: Option<String>,
    /// Passed to the device.
    pub custom_info: Option<String>,
    /// State of the cloud's own verification; none on a cloud without one.
    pub verification: Option<CloudVerification>,
    /// When the cloud created it.
    pub created_at: Option<Timestamp>,
}

/// State of a cloud's own verification of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum CloudVerification {
    /// The package was created without verification.
    NotNeeded,
    /// Not begun.
    Pending,
    /// A verify job runs.
    Running,
    /// Passed: upgrade jobs are allowed.
    Passed,
    /// Failed: another verify job is allowed.
    Failed,
    /// An undocumented state: nothing is concluded from it.
    Unknown(String),
}

impl CloudVerification {
    /// Name for users.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::NotNeeded => "NotNeeded",
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::Unknown(text) => text,
        }
    }
}

impl PackageRow {
    /// Hash of everything that every list shows. While it is unchanged, the details need not be read again.
    #[must_use]
    pub fn hash(&self) -> String {
        // Lists of some clouds omit it, and the row of the details must have the same hash.
        let row = Self { custom_info: None, ..self.clone() };
        let text = serde_json::to_vec(&row).unwrap_or_default();
        hex::encode(&Sha256::digest(text)[..8])
    }
}

/// A package with its artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// What lists show of it.
    pub row: PackageRow,
    /// Location of its artifact; absent if the cloud does not report it.
    pub artifact: Option<ArtifactRef>,
}

/// Location of the artifact of a package, as the cloud reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum ArtifactRef {
    /// In a bucket of the user.
    Obs(ObsArtifact),
    /// In the cloud itself.
    Held(HeldArtifact),
    /// In the cloud itself, as several files.
    Files(Vec<HeldFile>),
}

/// One of several files in the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldFile {
    /// Name that is passed to devices.
    pub name: String,
    /// The artifact.
    pub bytes: HeldArtifact,
}

/// An object in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObsArtifact {
    /// Region of the bucket.
    pub region: String,
    /// Bucket.
    pub bucket: String,
    /// Key of the object.
    pub key: String,
    /// SHA-256 in lowercase hex; absent if the cloud stores none.
    pub sha256: Option<String>,
}

/// An artifact in the cloud itself, with its reported properties.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldArtifact {
    /// SHA-256 in lowercase hex.
    pub sha256: Option<String>,
    /// MD5 in lowercase hex.
    pub md5: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
}

/// Source of the artifact of a package to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum NewArtifact {
    /// From a bucket of the user.
    Obs(ObsArtifact),
    /// From a local file.
    File(LocalFile),
    /// From a local file that [`Call::Upload`](crate::cloud::Call::Upload) has uploaded.
    Uploaded {
        /// The file.
        file: LocalFile,
        /// The cloud's name of the file, such as its address.
        handle: String,
    },
    /// From several local files that are sent to devices together.
    Files(Vec<NewFile>),
    /// From the cloud's portal, by hand.
    Portal,
}

/// One of several files of a package to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewFile {
    /// Name that is passed to devices.
    pub name: String,
    /// The file.
    pub file: LocalFile,
    /// The cloud's name of the file once [`Call::Upload`](crate::cloud::Call::Upload) has uploaded it.
    pub handle: Option<String>,
}

impl NewArtifact {
    /// What a cloud reports of the artifact once it is stored.
    #[must_use]
    pub fn stored(&self) -> ArtifactRef {
        match self {
            Self::Obs(object) => ArtifactRef::Obs(object.clone()),
            Self::File(file) | Self::Uploaded { file, .. } => ArtifactRef::Held(file.held()),
            Self::Files(files) => {
                let held = |file: &NewFile| HeldFile { name: file.name.clone(), bytes: file.file.held() };
                ArtifactRef::Files(files.iter().map(held).collect())
            }
            Self::Portal => ArtifactRef::Held(HeldArtifact::default()),
        }
    }
}

/// A local file to upload. Its bytes must have these digests, or nothing is created from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Folder that it must be in, whatever links exist.
    #[serde(skip)]
    pub root: PathBuf,
    /// SHA-256 in lowercase hex.
    pub sha256: String,
    /// MD5 in lowercase hex, for clouds that store no other digest.
    pub md5: Option<String>,
    /// Size in bytes, if the manifest has it.
    pub size: Option<u64>,
}

impl LocalFile {
    /// What a cloud that stores it reports of it.
    fn held(&self) -> HeldArtifact {
        HeldArtifact { sha256: Some(self.sha256.clone()), md5: self.md5.clone(), size: self.size }
    }
}

/// A package to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewPackage {
    /// Natural key.
    pub key: PackageKey,
    /// Name for users, where the cloud requires one: that of the object.
    pub name: String,
    /// Versions that can be upgraded to it; all when empty.
    pub source_versions: Vec<String>,
    /// Its artifact is a delta to its one source version.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delta: bool,
    /// Description for users.
    pub description: Option<String>,
    /// Passed to the device.
    pub custom_info: Option<String>,
    /// Source of its artifact.
    pub artifact: NewArtifact,
    /// Requirements of the cloud's own verification; none: the package needs no verification there.
    pub verification: Option<NewVerification>,
}

/// Requirements of the cloud's own verification of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NewVerification {
    /// Devices that take part.
    pub devices: u32,
    /// Devices that must succeed.
    pub min_success: u32,
}
