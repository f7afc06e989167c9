//! The devices of an account, as the Connect service knows them. What they run, and when they are connected, is the fleet's.
//!
//! Search Device: documents search_device of v2.1 (2.1.0 on) and of v2.4 (2.4.0 CU1 on). *Assumed*: devices of one `createTime`
//! stand in the order of their keys; a device has been online since it was registered, but for those that are connected some
//! hours of the day.

use super::{
    Account, Enos,
    expression::{Allowed, Expression, Use},
    firmwares::i18n,
    projection::Projection,
    request::{Fields, Handled, PageQuery, Request, millis},
};
use crate::simulator::{
    clock::Times,
    draw,
    fleet::{Device, Fleet, Presence},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

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

/// `modelId`, `productType` and `firmwareVersion` (2.4 on) are documented, too: the fleet has no models and no gateways, and
/// how a version is compared is not documented.
const FIELDS: Allowed = &[
    ("productKey", Use::In),
    ("deviceKey", Use::In),
    ("assetId", Use::In),
    ("deviceName", Use::Like),
    ("deviceName.", Use::Like),
    ("status", Use::Equal),
    ("deviceAttributes.", Use::In),
    ("deviceTags.", Use::In),
];

/// A device, as registered and as it runs.
struct Row<'a> {
    account: &'a Account,
    key: &'a str,
    device: &'a Registered,
    running: &'a Device,
    seed: u64,
    now: Timestamp,
}

/// `activeTime`, `lastOnlineTime` and `lastOfflineTime`; none: never.
type Activity = [Option<Timestamp>; 3];

impl Row<'_> {
    fn status(&self) -> &'static str {
        match (self.running.activated, self.running.presence.is_online(self.now)) {
            (false, _) => "inactive",
            (true, true) => "online",
            (true, false) => "offline",
        }
    }

    fn field(&self, name: &str) -> Option<String> {
        match name {
            "productKey" => Some(self.device.product.clone()),
            "deviceKey" => Some(self.key.to_owned()),
            "assetId" => Some(self.device.asset.clone()),
            "status" => Some(self.status().to_owned()),
            _ => match name.split_once('.') {
                Some(("deviceAttributes", name)) => self.device.attributes.get(name).cloned(),
                Some(("deviceTags", name)) => self.device.tags.get(name).cloned(),
                _ => i18n(&self.name(), name),
            },
        }
    }

    fn name(&self) -> Value {
        json!({"defaultValue": self.key, "i18nValue": {}})
    }

    fn activity(&self) -> Activity {
        let registered = Some(self.device.created.fleet);
        match (self.running.activated, self.running.presence) {
            (false, _) => [None; 3],
            (true, Presence::Online) => [registered, registered, None],
            (true, Presence::Offline) => [registered; 3],
            (true, Presence::Daily(hours)) => {
                let last = |minute| registered.max(Some(Presence::last_at(minute, self.now)));
                [registered, last(hours.from), last(hours.to)]
            }
        }
    }

    /// The whole row. Without a projection it has the secret of the device (document).
    fn json(&self) -> Value {
        let [active, online, offline] = self.activity().map(|at| at.map_or(json!(0), millis));
        json!({
            "orgId": self.account.spec.org_id,
            "assetId": self.device.asset,
            "productKey": self.device.product,
            "deviceKey": self.key,
            "deviceSecret": draw::hex_id(self.seed, 32, &["enos device secret", self.key]),
            "deviceName": self.name(),
            "deviceAttributes": self.device.attributes,
            "deviceTags": self.device.tags,
            "createTime": millis(self.device.created.fleet),
            "status": self.status(),
            "activeTime": active,
            "lastOnlineTime": online,
            "lastOfflineTime": offline,
        })
    }
}

/// POST `action=search` of `devices`: newest `createTime` first.
///
/// # Errors
/// Expression, page or projection break a rule.
pub fn search(enos: &Enos, fleet: &Fleet, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_or_empty()?;
    let fields = Fields { map: &body, path: "" };
    let page = PageQuery::read(fields)?;
    let expression = Expression::parse(fields.text("expression")?, FIELDS)?;
    let projection = Projection::read(fields)?;
    let account = &enos.accounts[account];
    let row = |key| {
        let (device, running) = (account.devices.get(key)?, fleet.devices.get(key)?);
        Some(Row { account, key, device, running, seed: enos.seed, now: request.times.fleet })
    };
    let fits = |row: &Row<'_>| {
        request.has_settled(enos.settle(), row.device.created) && expression.holds(&|name| row.field(name))
    };
    let mut rows: Vec<Row<'_>> = match expression.only("productKey") {
        Some(product) => account.devices.of_product(product).iter().filter_map(|key| row(key)).collect(),
        None => account.devices.keys().filter_map(|key| row(key)).collect(),
    };
    rows.retain(fits);
    rows.sort_by_key(|row| Reverse(row.device.created.fleet));
    let shown: Vec<_> = rows.iter().map(|row| || projection.of(row.json())).collect();
    Ok(page.answer(&shown))
}
