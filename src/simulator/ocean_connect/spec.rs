//! What a world file has for this cloud.

use crate::simulator::world::{Policy, WorldError};
use serde::Deserialize;
use std::fmt;

/// OceanConnect: its applications, and the switches for what no document settles.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OceanConnectSpec {
    /// HTTP status of a create that succeeds.
    #[serde(default = "created")]
    pub create_status: u16,
    /// Deleting a package that a running task needs.
    #[serde(default)]
    pub delete_package_in_use: Policy,
    /// How the sub task of a device that timed out is spelled: `fail`, or `timeout`, which no document lists.
    #[serde(default)]
    pub timeout_status: TimeoutStatus,
    /// Applications; at least one.
    pub apps: Vec<AppSpec>,
}

const fn created() -> u16 {
    201
}

/// Status of a sub task whose device timed out.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum TimeoutStatus {
    /// `fail`
    #[default]
    Fail,
    /// `timeout`
    Timeout,
}

/// One application (NA).
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppSpec {
    /// `appId`.
    pub app_id: String,
    /// Its secret.
    pub secret: String,
    /// How long a token is good, in wall time.
    #[serde(default = "hour")]
    pub token_seconds: u32,
    /// Calls a minute and API (documented: 100); 0 lifts the limit.
    #[serde(default = "hundred")]
    pub calls_per_minute: u32,
    /// Packages that were uploaded in the portal.
    #[serde(default)]
    pub packages: Vec<UploadSpec>,
}

const fn hour() -> u32 {
    3600
}

const fn hundred() -> u32 {
    100
}

impl fmt::Debug for AppSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppSpec").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

/// A package as the portal's form takes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UploadSpec {
    /// `appId` of the application that gets it; the first one when absent.
    #[serde(default)]
    pub app: Option<String>,
    /// `firmwarePackage` or `softwarePackage`.
    pub file_type: FileType,
    /// Product, written `manufacturer/deviceType/model`.
    pub product: Product,
    /// Version.
    pub version: String,
    /// Versions that it may be installed on; the form insists on at least one.
    pub source_versions: Vec<String>,
    /// Name; made from model and version when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// What a package is for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the documented ones")]
pub enum FileType {
    FirmwarePackage,
    SoftwarePackage,
}

impl FileType {
    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirmwarePackage => "firmwarePackage",
            Self::SoftwarePackage => "softwarePackage",
        }
    }
}

/// A product, which this cloud knows by three texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Product {
    /// `manufacturerName`.
    pub manufacturer: String,
    /// `deviceType`.
    pub device_type: String,
    /// `model`.
    pub model: String,
}

impl Product {
    /// Reads `manufacturer/deviceType/model`.
    ///
    /// # Errors
    /// Not three texts.
    pub fn parse(text: &str) -> Result<Self, WorldError> {
        match text.split('/').collect::<Vec<_>>().as_slice() {
            [manufacturer, device_type, model] if !text.split('/').any(str::is_empty) => Ok(Self {
                manufacturer: (*manufacturer).to_owned(),
                device_type: (*device_type).to_owned(),
                model: (*model).to_owned(),
            }),
            _ => Err(WorldError(format!("product {text}: must be manufacturer/deviceType/model"))),
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.manufacturer, self.device_type, self.model)
    }
}

impl<'de> Deserialize<'de> for Product {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?)
            .map_err(|WorldError(why)| serde::de::Error::custom(why))
    }
}

impl OceanConnectSpec {
    /// # Errors
    /// Two applications have one id, or a create would not answer 2xx.
    pub fn check(&self) -> Result<(), WorldError> {
        let fail = |why: String| Err(WorldError(why));
        if !(200..300).contains(&self.create_status) {
            return fail(format!("clouds.oceanConnect.createStatus: {} is not 2xx", self.create_status));
        }
        for (index, app) in self.apps.iter().enumerate() {
            if self.apps.iter().take(index).any(|other| other.app_id == app.app_id) {
                return fail(format!("clouds.oceanConnect.apps: {} is there twice", app.app_id));
            }
        }
        Ok(())
    }
}
