//! The truth behind the API: what there really is, whatever lists show; and devices changed by hand.

use super::{
    Simulator, WorldError,
    fleet::{Device, Part, Presence},
};
use crate::api::CloudKind;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A package that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageTruth {
    /// Its cloud.
    pub cloud: CloudKind,
    /// Name of its account: the id that manifests give.
    pub account: String,
    /// The cloud's id of it.
    pub id: String,
    /// `firmwarePackage`, …, as on the wire.
    pub kind: String,
    /// Product id.
    pub product: String,
    /// Version.
    pub version: String,
}

/// A task that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskTruth {
    /// Its cloud.
    pub cloud: CloudKind,
    /// Name of its account: the id that manifests give.
    pub account: String,
    /// The cloud's id of it.
    pub id: String,
    /// What it carries of our identity: a name or a tag; empty where the cloud has neither.
    pub name: String,
    /// `firmwareUpgrade`, `softwareUpgrade`, …, as on the wire.
    pub kind: String,
    /// Status, as on the wire.
    pub status: String,
    /// Ids of its packages.
    pub packages: Vec<String>,
    /// Device ids by status of their sub tasks.
    pub targets: BTreeMap<&'static str, BTreeSet<String>>,
    /// Ids of devices that it calls failed because they never came online: they have not begun.
    #[serde(skip)]
    pub never_began: BTreeSet<String>,
    /// Ids of devices that had failed, and that it has tried again by itself.
    #[serde(skip)]
    pub retried: BTreeSet<String>,
}

/// Devices by the status that a task has for them.
pub(super) fn by_status<'a>(
    devices: impl Iterator<Item = (&'static str, &'a String)>,
) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut found: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for (status, device) in devices {
        found.entry(status).or_default().insert(device.clone());
    }
    found
}

/// A device as it really is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceTruth {
    /// Device id.
    pub id: String,
    /// Product id.
    pub product: String,
    /// Firmware version that it runs.
    pub firmware: Option<String>,
    /// Software version that it runs.
    pub software: Option<String>,
    /// Whether it is connected now.
    pub online: bool,
}

/// A change of a device by hand.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceChange {
    /// Firmware version that it runs from now on.
    #[serde(default)]
    pub firmware: Option<String>,
    /// Software version that it runs from now on.
    #[serde(default)]
    pub software: Option<String>,
    /// Connected or not from now on.
    #[serde(default)]
    pub online: Option<bool>,
}

impl Simulator {
    /// All packages of all clouds, those of an account oldest first.
    #[must_use]
    pub fn packages(&self) -> Vec<PackageTruth> {
        self.services.iter().flat_map(|service| service.packages()).collect()
    }

    /// All upgrade jobs of all clouds, those of an account oldest first.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskTruth> {
        self.services.iter().flat_map(|service| service.tasks()).collect()
    }

    /// A device as it is at a wall time.
    #[must_use]
    pub fn device(&self, id: &str, wall: Timestamp) -> Option<DeviceTruth> {
        self.fleet.devices.get(id).map(|device| self.truth_of(id, device, wall))
    }

    /// What all devices run, by id, as of the last time that was reached.
    pub fn fleet(&self) -> impl Iterator<Item = (&str, &Device)> {
        self.fleet.devices.iter().map(|(id, device)| (id.as_str(), device))
    }

    /// All devices as they are at a wall time, by id.
    #[must_use]
    pub fn devices(&self, wall: Timestamp) -> Vec<DeviceTruth> {
        self.fleet.devices.iter().map(|(id, device)| self.truth_of(id, device, wall)).collect()
    }

    fn truth_of(&self, id: &str, device: &Device, wall: Timestamp) -> DeviceTruth {
        DeviceTruth {
            id: id.to_owned(),
            product: device.product.clone(),
            firmware: device.firmware.clone(),
            software: device.software.clone(),
            online: device.presence.is_online(self.times(wall).fleet),
        }
    }

    /// Takes a device out of service by hand; false when there is none of this id.
    pub fn remove_device(&mut self, id: &str, wall: Timestamp) -> bool {
        self.advance(wall);
        let now = self.times(wall);
        let fleet = &mut self.fleet;
        let was_there = self.services.iter_mut().any(|service| service.remove_device(fleet, id, now));
        self.fleet.devices.remove(id);
        was_there
    }

    /// Changes a device by hand. One that is switched on continues with an upgrade that waits for it.
    ///
    /// # Errors
    /// [`WorldError`]: there is no such device.
    pub fn change_device(
        &mut self,
        id: &str,
        change: DeviceChange,
        wall: Timestamp,
    ) -> Result<(), WorldError> {
        self.advance(wall);
        let device = self.fleet.devices.get_mut(id);
        let device = device.ok_or_else(|| WorldError(format!("device {id} does not exist")))?;
        for (part, version) in [(Part::Firmware, change.firmware), (Part::Software, change.software)] {
            if version.is_some() {
                device.set_version(part, version);
            }
        }
        if let Some(online) = change.online {
            device.presence = if online { Presence::Online } else { Presence::Offline };
            device.activated |= online;
        }
        if change.online == Some(true) {
            let now = self.times(wall).fleet;
            for service in &mut self.services {
                service.wake(&mut self.fleet, id, now);
            }
        }
        Ok(())
    }
}
