//! Packages, as they are and as they are to be created.

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
    /// Part of the device that it upgrades, where the cloud knows parts; none: the device as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

impl PackageKey {
    /// The devices that it is for, and whose versions say whether they run it.
    #[must_use]
    pub fn scope(&self) -> DeviceScope {
        DeviceScope { product: self.product.clone(), module: self.module.clone() }
    }
}

/// A package as a list shows it: without its artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageRow {
    /// Cloud's id.
    pub id: String,
    /// Natural key.
    pub key: PackageKey,
    /// Its name, where packages have one that is not made by the client.
    pub name: Option<String>,
    /// Versions that may be upgraded to it; empty where the cloud does not say.
    pub source_versions: Vec<String>,
    /// Its bytes are the difference from its one source version, as the cloud tells devices.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delta: bool,
    /// For people.
    pub description: Option<String>,
    /// Handed to the device.
    pub custom_info: Option<String>,
    /// Where the cloud's own verification of it stands; none where a cloud has no such thing.
    pub verification: Option<CloudVerification>,
    /// When the cloud created it.
    pub created_at: Option<Timestamp>,
}

/// Where a cloud's own verification of a package stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum CloudVerification {
    /// The package was created without.
    NotNeeded,
    /// Not begun.
    Pending,
    /// A verify job runs.
    Running,
    /// Passed: upgrade jobs are allowed.
    Passed,
    /// Failed: another verify job is allowed.
    Failed,
    /// A state that no document names: nothing is concluded from it.
    Unknown(String),
}

impl CloudVerification {
    /// In our words, for people.
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
    /// Hash of everything that every list shows. While it stays the same, the details need not be read again.
    #[must_use]
    pub fn hash(&self) -> String {
        // Lists of some clouds leave it out, and the row of the details must hash alike.
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
    /// Where its bytes are; absent when the cloud does not say.
    pub artifact: Option<ArtifactRef>,
}

/// Where the bytes of a package are, as the cloud says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum ArtifactRef {
    /// In a bucket of the user.
    Obs(ObsArtifact),
    /// In the cloud itself.
    Held(HeldArtifact),
    /// In the cloud itself, as several files.
    Files(Vec<HeldFile>),
}

/// One of several files that the cloud holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldFile {
    /// Name that devices are told.
    pub name: String,
    /// Its bytes.
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
    /// SHA-256 in lower-case hex; absent when the cloud holds none.
    pub sha256: Option<String>,
}

/// Bytes that the cloud holds itself, with what it says of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldArtifact {
    /// SHA-256 in lower-case hex.
    pub sha256: Option<String>,
    /// MD5 in lower-case hex.
    pub md5: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
}

/// Where the bytes of a package to be created come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum NewArtifact {
    /// From a bucket of the user.
    Obs(ObsArtifact),
    /// From a file of ours.
    File(LocalFile),
    /// From a file of ours that [`Call::Upload`](crate::cloud::Call::Upload) has handed to the cloud.
    Uploaded {
        /// The file.
        file: LocalFile,
        /// What the cloud calls it, such as its address.
        handle: String,
    },
    /// From several files of ours, which devices are sent together.
    Files(Vec<NewFile>),
    /// From the cloud's portal, by hand.
    Portal,
}

/// One of several files of a package to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewFile {
    /// Name that devices are told.
    pub name: String,
    /// The file.
    pub file: LocalFile,
    /// What the cloud calls it once [`Call::Upload`](crate::cloud::Call::Upload) has handed it over.
    pub handle: Option<String>,
}

impl NewArtifact {
    /// What a cloud that takes it will say of it.
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

/// A file of ours, to be uploaded. Its bytes must have these digests, or nothing is created from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalFile {
    /// Where it is.
    pub path: PathBuf,
    /// Folder beneath which it has to be, whatever links there are.
    #[serde(skip)]
    pub root: PathBuf,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// MD5 in lower-case hex, for clouds that keep no other digest.
    pub md5: Option<String>,
    /// Size in bytes, when the manifest says.
    pub size: Option<u64>,
}

impl LocalFile {
    /// What a cloud that keeps it will say of it.
    fn held(&self) -> HeldArtifact {
        HeldArtifact { sha256: Some(self.sha256.clone()), md5: self.md5.clone(), size: self.size }
    }
}

/// A package to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewPackage {
    /// Natural key.
    pub key: PackageKey,
    /// Name for people, where the cloud wants one: the object's own.
    pub name: String,
    /// Versions that may be upgraded to it; all when empty.
    pub source_versions: Vec<String>,
    /// Its bytes are the difference from its one source version.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delta: bool,
    /// For people.
    pub description: Option<String>,
    /// Handed to the device.
    pub custom_info: Option<String>,
    /// Where its bytes come from.
    pub artifact: NewArtifact,
    /// What the cloud's own verification shall ask for; none: the cloud holds nothing back.
    pub verification: Option<NewVerification>,
}

/// What the cloud's own verification of a package shall ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NewVerification {
    /// Devices that take part.
    pub devices: u32,
    /// Devices that must succeed.
    pub min_success: u32,
}
