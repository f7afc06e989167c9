//! The devices of an account, as the Connect service knows them. What they run is the fleet's.

use super::Account;
use crate::simulator::{clock::Times, fleet::Fleet};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A registered device.
#[derive(Clone, Debug)]
pub struct Registered {
    /// `assetId`.
    pub asset: String,
    /// Product.
    pub product: String,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Nodes of asset trees that it hangs below: ids of trees to ids of nodes.
    pub trees: BTreeMap<String, BTreeSet<String>>,
    /// When it was registered.
    pub created: Times,
}

/// The devices of an account.
#[derive(Debug, Default)]
pub struct Devices {
    by_key: BTreeMap<String, Registered>,
    /// Keys in order.
    by_product: BTreeMap<String, Vec<String>>,
}

impl Devices {
    /// A device by its key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Registered> {
        self.by_key.get(key)
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.by_key.keys()
    }

    /// Keys of the devices of a product, in order.
    #[must_use]
    pub fn of_product(&self, product: &str) -> &[String] {
        self.by_product.get(product).map_or(&[], Vec::as_slice)
    }

    /// Takes a device out; false when there is none of this key.
    pub fn remove(&mut self, key: &str) -> bool {
        let Some(device) = self.by_key.remove(key) else { return false };
        if let Some(keys) = self.by_product.get_mut(&device.product) {
            keys.retain(|other| other != key);
        }
        true
    }

    /// Registers a device; its key must be free.
    pub fn insert(&mut self, key: String, device: Registered) {
        let keys = self.by_product.entry(device.product.clone()).or_default();
        let at = keys.partition_point(|other| *other < key);
        keys.insert(at, key.clone());
        self.by_key.insert(key, device);
    }
}

impl Account {
    /// `DeviceFirmware`.
    #[must_use]
    pub fn device_firmware(&self, fleet: &Fleet, key: &str) -> Option<Value> {
        let (device, running) = (self.devices.get(key)?, fleet.devices.get(key)?);
        Some(json!({
            "orgId": self.spec.org_id,
            "assetId": device.asset,
            "productKey": device.product,
            "deviceKey": key,
            "firmwareVersion": running.firmware,
            "isUpgrading": self.busy.contains_key(key),
        }))
    }
}
