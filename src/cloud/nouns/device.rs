//! Devices, and their results in jobs.

use super::PackageKind;
use std::fmt;

/// The devices of a product, whole or one module of each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceScope {
    /// The cloud's product id.
    pub product: String,
    /// The module whose versions are read, if the cloud has modules; none: the whole device.
    pub module: Option<String>,
}

impl DeviceScope {
    /// The devices of a product, as a whole.
    #[must_use]
    pub fn whole(product: impl Into<String>) -> Self {
        Self { product: product.into(), module: None }
    }
}

/// Some devices of a product, by their ids, which are unique within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedDevices {
    /// The cloud's product id.
    pub product: String,
    /// Cloud's ids.
    pub ids: Vec<String>,
}

/// A set of devices of a product that the cloud keeps, by the name that manifests use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceSet {
    /// The devices of a group, by the cloud's id of the group.
    Group(String),
    /// The devices that carry a tag with one of these values.
    Tag {
        /// Tag key.
        key: String,
        /// Any of these values; sorted.
        values: Vec<String>,
    },
    /// The devices that have one of these values as an attribute.
    Attribute {
        /// Name of the attribute.
        name: String,
        /// Any of these values; sorted.
        values: Vec<String>,
    },
}

impl fmt::Display for DeviceSet {
    /// `group north`, `tag site=north,south`, `attribute model=x1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => write!(f, "group {group}"),
            Self::Tag { key, values } => write!(f, "tag {key}={}", values.join(",")),
            Self::Attribute { name, values } => write!(f, "attribute {name}={}", values.join(",")),
        }
    }
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Cloud's id.
    pub id: String,
    /// The cloud's product id.
    pub product: String,
    /// Firmware version that it last reported; that of the module if one was requested.
    pub firmware: Option<String>,
    /// Software version that it last reported.
    pub software: Option<String>,
    /// Whether it is connected, if the cloud reports it.
    pub online: Option<bool>,
    /// Whether any job is upgrading it now, if the cloud reports it.
    pub upgrading: Option<bool>,
}

impl Device {
    /// The version that it last reported for this kind of package.
    #[must_use]
    pub fn version(&self, kind: PackageKind) -> Option<&str> {
        match kind {
            PackageKind::Firmware => self.firmware.as_deref(),
            PackageKind::Software => self.software.as_deref(),
        }
    }
}

/// Whether a device is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePresence {
    /// Device id.
    pub device: String,
    /// None where the cloud's state is neither: never connected, disabled, or undocumented.
    pub online: Option<bool>,
}

/// The result of one device in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceResult {
    /// Device id.
    pub device: String,
    /// State of the device in the job.
    pub outcome: DeviceOutcome,
    /// The cloud's reason, verbatim.
    pub reason: Option<String>,
}

/// State of a device in a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceOutcome {
    /// Not begun.
    Queued,
    /// Upgrading.
    InFlight,
    /// Successful according to the cloud.
    Succeeded,
    /// Failed permanently.
    Failed,
    /// Failed, and will be retried.
    Retrying,
    /// Stopped by a request.
    Stopped,
    /// Removed from the job.
    Removed,
    /// An undocumented state.
    Unknown(String),
}
