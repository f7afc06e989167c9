//! Devices and groups, as far as they can be queried. What devices run is the fleet's.

use super::{
    AliyunIot, DEFAULT_MODULE, codes,
    request::{DEVICE_NAME, Handled, ID, Paging, Refusal, Request, Rule, invalid, members},
};
use crate::simulator::fleet::{Device, Fleet, long_time};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Product and name.
pub type Key = (String, String);

/// A registered device.
#[derive(Clone, Debug)]
pub struct Registered {
    /// `IotId`.
    pub iot_id: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Versions of modules that the fleet knows nothing of.
    pub modules: BTreeMap<String, String>,
    /// When it was registered.
    pub created: Timestamp,
}

/// The devices of an account.
#[derive(Debug, Default)]
pub struct Devices {
    rows: BTreeMap<Key, Registered>,
    by_product: BTreeMap<String, Vec<String>>,
    by_iot_id: BTreeMap<String, Key>,
}

impl Devices {
    /// A device.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Registered> {
        self.rows.get(key)
    }

    /// A device, to be changed.
    pub fn get_mut(&mut self, key: &Key) -> Option<&mut Registered> {
        self.rows.get_mut(key)
    }

    /// Registers a device.
    pub fn insert(&mut self, key: Key, device: Registered) {
        self.by_product.entry(key.0.clone()).or_default().push(key.1.clone());
        self.by_iot_id.insert(device.iot_id.clone(), key.clone());
        self.rows.insert(key, device);
    }

    /// Takes the device of this name out; its product, when there was one.
    pub fn remove(&mut self, name: &str) -> Option<Key> {
        let key = self.rows.keys().find(|key| key.1 == name)?.clone();
        let device = self.rows.remove(&key)?;
        self.by_iot_id.remove(&device.iot_id);
        if let Some(names) = self.by_product.get_mut(&key.0) {
            names.retain(|other| other != name);
        }
        Some(key)
    }

    /// Products that have devices.
    pub fn products(&self) -> impl Iterator<Item = &String> {
        self.by_product.keys()
    }

    /// Names of a product's devices, oldest first.
    #[must_use]
    pub fn of_product(&self, product: &str) -> &[String] {
        self.by_product.get(product).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A group of devices.
#[derive(Clone, Debug)]
pub struct Group {
    /// `GroupId`.
    pub id: String,
    /// `GroupName`.
    pub name: String,
    /// Its members follow a rule; here they are named by the world file nevertheless.
    pub is_dynamic: bool,
    /// Members, oldest first.
    pub members: Vec<Key>,
    /// When it was created.
    pub created: Timestamp,
}

impl Group {
    /// `GroupType`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        if self.is_dynamic { "LINK_PLATFORM_DYNAMIC" } else { "LINK_PLATFORM" }
    }
}

fn status(device: Option<&Device>, now: Timestamp) -> &'static str {
    match device {
        Some(device) if device.presence.is_online(now) => "ONLINE",
        Some(device) if device.activated => "OFFLINE",
        _ => "UNACTIVE",
    }
}

/// The device that a call names: `IotId` wins over `ProductKey` and `DeviceName`.
///
/// # Errors
/// Neither is given, or there is no such device.
pub fn named(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Result<Key, Refusal> {
    let devices = &cloud.account(index)?.devices;
    let unknown = || Refusal::new(&codes::NO_DEVICE, "");
    if let Some(id) = request.text("IotId", &ID)? {
        return devices.by_iot_id.get(id).cloned().ok_or_else(unknown);
    }
    let product = request.required("ProductKey", &ID)?.to_owned();
    let key = (product, request.required("DeviceName", &DEVICE_NAME)?.to_owned());
    devices.get(&key).map(|_| key.clone()).ok_or_else(unknown)
}

fn simple(cloud: &AliyunIot, index: usize, (product, name): &Key) -> Map<String, Value> {
    let account = cloud.account(index);
    let iot_id = account.ok().and_then(|account| account.devices.get(&(product.clone(), name.clone())));
    members([
        ("DeviceName", json!(name)),
        ("IotId", json!(iot_id.map(|device| &device.iot_id))),
        ("ProductKey", json!(product)),
        ("ProductName", json!(cloud.product_name(product))),
    ])
}

/// What the detail calls return for a device.
fn detail(cloud: &AliyunIot, fleet: &Fleet, index: usize, key: &Key, now: Timestamp) -> Map<String, Value> {
    let mut row = simple(cloud, index, key);
    let running = fleet.devices.get(&key.1);
    let Ok(account) = cloud.account(index) else { return row };
    let created = account.devices.get(key).map(|device| long_time(device.created));
    row.extend(members([
        ("Status", json!(status(running, now))),
        ("NodeType", json!(0)),
        ("Region", json!(account.spec.region_id)),
        ("UtcCreate", json!(created)),
        ("Nickname", json!("")),
    ]));
    if let Some(version) = running.and_then(|device| device.firmware.as_ref()) {
        row.insert("FirmwareVersion".to_owned(), json!(version));
    }
    row
}

/// How deep QueryDevice pages by number; beyond that it needs `NextToken`.
const DEEPEST: usize = 10_000;

/// QueryDevice: its current page is called `Page`.
///
/// # Errors
/// A parameter breaks its rule, unknown product, or too deep without `NextToken`.
pub fn query(cloud: &AliyunIot, fleet: &Fleet, index: usize, request: &Request<'_>) -> Handled {
    let product = request.required("ProductKey", &ID)?;
    let paging = Paging::read(request, 10, 50)?;
    cloud.check_product(product)?;
    let account = cloud.account(index)?;
    let names = account.devices.of_product(product);
    let token = request.get("NextToken").map(|token| {
        let place = token.strip_prefix("rows-").and_then(|place| place.parse::<usize>().ok());
        place.ok_or_else(|| Refusal::new(&codes::PAGE, "NextToken is not one."))
    });
    let begin = match token.transpose()? {
        // *Assumed*: with a token, the page number is ignored.
        Some(place) => place,
        None if paging.reach() > DEEPEST => {
            return Err(Refusal::new(&codes::PAGE, format!("{DEEPEST} rows need NextToken.")));
        }
        None => paging.reach() - paging.size(),
    };
    let end = begin.saturating_add(paging.size()).min(names.len());
    let (_, mut answer) = paging.of(vec![(); names.len()], "Page");
    let row = |name: &String| {
        let key = (product.to_owned(), name.clone());
        let detail = detail(cloud, fleet, index, &key, request.times.fleet);
        json!({"DeviceId": detail.get("IotId"), "DeviceName": name, "IotId": detail.get("IotId"),
               "ProductKey": product, "DeviceStatus": detail.get("Status"), "DeviceType": "0",
               "UtcCreate": detail.get("UtcCreate"), "Nickname": ""})
    };
    let rows: Vec<Value> = names.get(begin..end).unwrap_or_default().iter().map(row).collect();
    answer.insert("Data".to_owned(), json!({"DeviceInfo": rows}));
    if end < names.len() {
        answer.insert("NextToken".to_owned(), json!(format!("rows-{end}")));
    }
    Ok(answer)
}

/// QueryDeviceDetail.
///
/// # Errors
/// There is no such device.
pub fn show(cloud: &AliyunIot, fleet: &Fleet, index: usize, request: &Request<'_>) -> Handled {
    let key = named(cloud, index, request)?;
    Ok(members([("Data", json!(detail(cloud, fleet, index, &key, request.times.fleet)))]))
}

/// BatchQueryDeviceDetail: unknown names are left out in silence.
///
/// # Errors
/// A parameter breaks its rule, or unknown product.
pub fn batch(cloud: &AliyunIot, fleet: &Fleet, index: usize, request: &Request<'_>) -> Handled {
    let product = request.required("ProductKey", &ID)?;
    cloud.check_product(product)?;
    let names = request.list("DeviceName", 100, &DEVICE_NAME)?;
    if names.is_empty() {
        return Err(Refusal::missing("DeviceName.1"));
    }
    let account = cloud.account(index)?;
    let keys = names.into_iter().map(|name| (product.to_owned(), name));
    let rows: Vec<_> = keys
        .filter(|key| account.devices.get(key).is_some())
        .map(|key| detail(cloud, fleet, index, &key, request.times.fleet))
        .collect();
    Ok(members([("Data", json!({"Data": rows}))]))
}

/// ListOTAModuleVersionsByDevice.
///
/// # Errors
/// There is no such device.
pub fn module_versions(cloud: &AliyunIot, fleet: &Fleet, index: usize, request: &Request<'_>) -> Handled {
    let paging = Paging::read(request, 10, 200)?;
    let key = named(cloud, index, request)?;
    let account = cloud.account(index)?;
    let mut names: BTreeSet<String> = [DEFAULT_MODULE, super::SOFTWARE_MODULE].map(str::to_owned).into();
    names.extend(account.devices.get(&key).into_iter().flat_map(|device| device.modules.keys().cloned()));
    let versions = names.into_iter().filter_map(|name| Some((account.version(fleet, &key, &name)?, name)));
    let device = simple(cloud, index, &key);
    let rows: Vec<Value> = versions
        .map(|(version, module)| {
            json!({"DeviceName": key.1, "IotId": device.get("IotId"), "ModuleName": module,
                   "ModuleVersion": version, "ProductKey": key.0})
        })
        .collect();
    let (rows, mut answer) = paging.of(rows, "CurrentPage");
    answer.insert("Data".to_owned(), json!({"SimpleOTAModuleInfo": rows}));
    Ok(answer)
}

/// QueryDeviceByTags: devices that carry all of the tags (*assumed*: the document does not state all or any).
///
/// # Errors
/// A parameter breaks its rule.
pub fn by_tags(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let paging = Paging::read(request, 10, 50)?;
    let tags = request.structs("Tag");
    if tags.is_empty() {
        return Err(Refusal::missing("Tag.1.TagKey"));
    }
    if tags.len() > 10 {
        return Err(invalid("Tag: 10 are the most."));
    }
    let part = |tag: &BTreeMap<String, String>, name: &str| tag.get(name).cloned().unwrap_or_default();
    let account = cloud.account(index)?;
    let carries = |device: &Registered| {
        tags.iter().all(|tag| device.tags.get(&part(tag, "TagKey")) == Some(&part(tag, "TagValue")))
    };
    let found = account.devices.rows.iter().filter(|(_, device)| carries(device)).map(|(key, _)| key);
    let (keys, mut answer) = paging.of(found.collect(), "Page");
    let rows: Vec<_> = keys.into_iter().map(|key| simple(cloud, index, key)).collect();
    answer.insert("Data".to_owned(), json!({"SimpleDeviceInfo": rows}));
    Ok(answer)
}

impl AliyunIot {
    fn group(&self, index: usize, request: &Request<'_>) -> Result<&Group, Refusal> {
        let id = request.required("GroupId", &ID)?;
        self.account(index)?.groups.get(id).ok_or_else(|| Refusal::new(&codes::NO_GROUP, id))
    }
}

/// QueryDeviceGroupList: `GroupName` fits anywhere in the name.
///
/// # Errors
/// A parameter breaks its rule.
pub fn groups(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let paging = Paging::read(request, 10, 200)?;
    let name = request.text("GroupName", &Rule::any(64))?;
    let types = request.list("GroupTypes", 10, &ID)?;
    let fits = |group: &&Group| {
        name.is_none_or(|name| group.name.contains(name))
            && (types.is_empty() || types.iter().any(|kind| kind == group.kind()))
    };
    let row = |group: &Group| {
        json!({"GroupId": group.id, "GroupName": group.name, "GroupDesc": "", "GroupType": group.kind(),
               "UtcCreate": long_time(group.created)})
    };
    let found: Vec<Value> = cloud.account(index)?.groups.values().filter(fits).map(row).collect();
    let (rows, mut answer) = paging.of(found, "CurrentPage");
    answer.insert("Data".to_owned(), json!({"GroupInfo": rows}));
    Ok(answer)
}

/// QueryDeviceGroupInfo.
///
/// # Errors
/// Unknown group.
pub fn group_info(cloud: &AliyunIot, fleet: &Fleet, index: usize, request: &Request<'_>) -> Handled {
    let group = cloud.group(index, request)?;
    let states = group.members.iter().map(|key| status(fleet.devices.get(&key.1), request.times.fleet));
    let data = json!({
        "GroupId": group.id, "GroupName": group.name, "GroupDesc": "", "DeviceCount": group.members.len(),
        "DeviceActive": states.clone().filter(|state| *state != "UNACTIVE").count(),
        "DeviceOnline": states.filter(|state| *state == "ONLINE").count(),
        "UtcCreate": long_time(group.created),
    });
    Ok(members([("Data", data)]))
}

/// QueryDeviceListByDeviceGroup.
///
/// # Errors
/// Unknown group, or a parameter breaks its rule.
pub fn of_group(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let paging = Paging::read(request, 10, 50)?;
    let group = cloud.group(index, request)?;
    let (keys, mut answer) = paging.of(group.members.iter().collect(), "Page");
    let rows: Vec<_> = keys.into_iter().map(|key| simple(cloud, index, key)).collect();
    answer.insert("Data".to_owned(), json!({"SimpleDeviceInfo": rows}));
    Ok(answer)
}
