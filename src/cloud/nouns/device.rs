//! Devices, and what jobs say of them.

use super::PackageKind;

/// The devices of a product, each as a whole or as one part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceScope {
    /// The cloud's product id.
    pub product: String,
    /// The part whose versions are told, where the cloud knows parts; none: the device as a whole.
    pub module: Option<String>,
}

impl DeviceScope {
    /// The devices of a product, each as a whole.
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

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Cloud's id.
    pub id: String,
    /// The cloud's product id.
    pub product: String,
    /// Firmware version that it reported last; that of the module where one was asked for.
    pub firmware: Option<String>,
    /// Software version that it reported last.
    pub software: Option<String>,
    /// Whether it is connected, when the cloud says.
    pub online: Option<bool>,
    /// Whether a job is at it now, whosever, when the cloud says.
    pub upgrading: Option<bool>,
}

impl Device {
    /// The version that it reported last for this kind of package.
    #[must_use]
    pub fn version(&self, kind: PackageKind) -> Option<&str> {
        match kind {
            PackageKind::Firmware => self.firmware.as_deref(),
            PackageKind::Software => self.software.as_deref(),
        }
    }
}

/// What a job says of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceResult {
    /// Device id.
    pub device: String,
    /// Where it stands in the job.
    pub outcome: DeviceOutcome,
    /// The cloud's reason, word for word.
    pub reason: Option<String>,
}

/// Where a device stands in a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceOutcome {
    /// Not begun.
    Queued,
    /// Upgrading.
    InFlight,
    /// The cloud calls it successful.
    Succeeded,
    /// Failed for good.
    Failed,
    /// Failed, and will be tried again.
    Retrying,
    /// Stopped by an order.
    Stopped,
    /// Left the job.
    Removed,
    /// A state that no document names.
    Unknown(String),
}
