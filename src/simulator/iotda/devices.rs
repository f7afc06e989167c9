//! Devices as IoTDA registers them: create, list, show, delete, shadow. What they run is the fleet's.

use super::{
    Account, Iotda, codes,
    paging::{PageQuery, Record},
    request::{
        Answer, DEVICE_ID, Fields, Handled, ID, NODE_ID, Refusal, Request, Rule, invalid, name_char,
        parse_time,
    },
};
use crate::simulator::{
    draw,
    fleet::{Device, Fleet, Presence, compact_time, long_time},
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A registered device.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Device id.
    pub id: String,
    /// `node_id`.
    pub node: String,
    /// `device_name`.
    pub name: String,
    /// Resource space.
    pub app: String,
    /// Product id.
    pub product: String,
    /// Id of its gateway; its own when it is connected directly.
    pub gateway: String,
    /// For people.
    pub description: Option<String>,
    /// Tags, at most 10.
    pub tags: BTreeMap<String, String>,
    /// When it was registered, in fleet time.
    pub created: Timestamp,
    /// When it was registered, in wall time.
    pub created_wall: Timestamp,
}

impl Registered {
    /// Device, node and name are all this id.
    #[must_use]
    pub fn plain(id: &str, app: &str, product: &str, created: Timestamp, created_wall: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            node: id.to_owned(),
            name: id.to_owned(),
            app: app.to_owned(),
            product: product.to_owned(),
            gateway: id.to_owned(),
            description: None,
            tags: BTreeMap::new(),
            created,
            created_wall,
        }
    }

    /// `node_type`.
    #[must_use]
    pub fn node_type(&self) -> &'static str {
        if self.gateway == self.id { "GATEWAY" } else { "ENDPOINT" }
    }

    /// A row of a list.
    fn row<'a>(
        &'a self,
        device: Option<&'a Device>,
        product_name: Option<&'a str>,
        now: Timestamp,
    ) -> Row<'a> {
        Row {
            active_time: None,
            app_id: &self.app,
            auth_info: None,
            connection_status_update_time: None,
            create_time: None,
            description: self.description.as_deref(),
            device_id: &self.id,
            device_name: &self.name,
            fw_version: device.and_then(|device| device.firmware.as_deref()),
            gateway_id: &self.gateway,
            node_id: &self.node,
            node_type: self.node_type(),
            product_id: &self.product,
            product_name,
            status: device.map_or("INACTIVE", |device| status(device, now)),
            sw_version: device.and_then(|device| device.software.as_deref()),
            tags: self.tags.iter().map(|(key, value)| Tag { tag_key: key, tag_value: value }).collect(),
        }
    }

    /// With its times, as it is shown by itself.
    fn whole<'a>(
        &'a self,
        device: Option<&'a Device>,
        product_name: Option<&'a str>,
        now: Timestamp,
    ) -> Row<'a> {
        let active = device.is_some_and(|device| device.activated).then(|| long_time(self.created));
        Row {
            create_time: Some(compact_time(self.created)),
            connection_status_update_time: active.clone(),
            active_time: active,
            ..self.row(device, product_name, now)
        }
    }
}

/// A device as it is shown; fields in the order of their names.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    active_time: Option<String>,
    app_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_info: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_status_update_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    device_id: &'a str,
    device_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fw_version: Option<&'a str>,
    gateway_id: &'a str,
    node_id: &'a str,
    node_type: &'static str,
    product_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_name: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sw_version: Option<&'a str>,
    tags: Vec<Tag<'a>>,
}

#[derive(Serialize)]
struct Tag<'a> {
    tag_key: &'a str,
    tag_value: &'a str,
}

#[derive(Serialize)]
struct Listed<'a> {
    devices: Vec<Row<'a>>,
    page: Value,
}

/// `ONLINE`, `OFFLINE` or `INACTIVE`.
#[must_use]
pub fn status(device: &Device, now: Timestamp) -> &'static str {
    match (device.presence.is_online(now), device.activated) {
        (true, _) => "ONLINE",
        (false, true) => "OFFLINE",
        (false, false) => "INACTIVE",
    }
}

/// The devices of an account.
#[derive(Debug, Default)]
pub struct Devices {
    rows: BTreeMap<Record, Registered>,
    by_id: BTreeMap<String, Record>,
    all: BTreeSet<Record>,
    nodes: BTreeSet<(String, String)>,
    by_product: BTreeMap<String, BTreeSet<Record>>,
    by_tag: BTreeMap<(String, String), BTreeSet<Record>>,
}

impl Devices {
    /// The record of a device.
    #[must_use]
    pub fn record(&self, id: &str) -> Option<Record> {
        self.by_id.get(id).copied()
    }

    /// A device by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Registered> {
        self.at(self.record(id)?)
    }

    /// A device by its record.
    #[must_use]
    pub fn at(&self, record: Record) -> Option<&Registered> {
        self.rows.get(&record)
    }

    /// All devices with their records, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Record, &Registered)> {
        self.rows.iter().map(|(record, device)| (*record, device))
    }

    /// Devices that carry a tag.
    #[must_use]
    pub fn tagged(&self, key: &str, value: &str) -> Option<&BTreeSet<Record>> {
        self.by_tag.get(&(key.to_owned(), value.to_owned()))
    }

    fn has_node(&self, product: &str, node: &str) -> bool {
        self.nodes.contains(&(product.to_owned(), node.to_owned()))
    }

    /// Registers a device; its id must be free.
    pub fn insert(&mut self, record: Record, device: Registered) {
        self.by_id.insert(device.id.clone(), record);
        self.all.insert(record);
        self.nodes.insert((device.product.clone(), device.node.clone()));
        self.by_product.entry(device.product.clone()).or_default().insert(record);
        for (key, value) in &device.tags {
            self.by_tag.entry((key.clone(), value.clone())).or_default().insert(record);
        }
        self.rows.insert(record, device);
    }

    /// Takes a device out.
    pub fn remove(&mut self, id: &str) -> Option<Record> {
        let record = self.by_id.remove(id)?;
        self.all.remove(&record);
        let device = self.rows.remove(&record)?;
        self.nodes.remove(&(device.product.clone(), device.node));
        if let Some(rows) = self.by_product.get_mut(&device.product) {
            rows.remove(&record);
        }
        for tag in device.tags {
            self.untag(record, &tag);
        }
        Some(record)
    }

    /// Changes the tags of a device.
    pub fn set_tags(&mut self, record: Record, tags: BTreeMap<String, String>) {
        let Some(device) = self.rows.get_mut(&record) else { return };
        let old = std::mem::replace(&mut device.tags, tags.clone());
        for tag in old {
            self.untag(record, &tag);
        }
        for tag in tags {
            self.by_tag.entry(tag).or_default().insert(record);
        }
    }

    fn untag(&mut self, record: Record, tag: &(String, String)) {
        if let Some(rows) = self.by_tag.get_mut(tag) {
            rows.remove(&record);
        }
    }
}

/// POST `/devices`.
///
/// # Errors
/// A field breaks its rule, the id is taken, the product or the gateway is unknown.
pub fn create(iotda: &mut Iotda, fleet: &mut Fleet, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_object()?;
    let fields = Fields::new(&body);
    let product = fields.required("product_id", &ID)?.to_owned();
    let node = fields.required("node_id", &NODE_ID)?.to_owned();
    let id = fields.text("device_id", &DEVICE_ID)?.map_or_else(|| format!("{product}_{node}"), str::to_owned);
    let name = fields.text("device_name", &Rule::new(256, name_char))?.unwrap_or(&node).to_owned();
    let description = fields.text("description", &Rule { min: 0, ..Rule::new(2048, name_char) })?;
    let app = fields.text("app_id", &ID)?;
    let gateway = fields.text("gateway_id", &DEVICE_ID)?;
    fields.object("auth_info")?;
    if !iotda.allows_product(&product) {
        return Err(Refusal::new(&codes::NO_PRODUCT, format!("product_id {product}.")));
    }
    let holder = iotda.account(account)?;
    holder.check_app(app)?;
    if fleet.devices.contains_key(&id) || holder.devices.has_node(&product, &node) {
        return Err(Refusal::new(&codes::DEVICE_EXISTS, format!("device_id {id}.")));
    }
    if let Some(gateway) = gateway.filter(|gateway| holder.devices.get(gateway).is_none()) {
        return Err(Refusal::new(&codes::NO_DEVICE, format!("gateway_id {gateway}.")));
    }
    let app = app.unwrap_or(&holder.spec.app_id).to_owned();
    let mut device = Registered::plain(&id, &app, &product, request.times.fleet, request.times.wall);
    device.gateway = gateway.unwrap_or(&id).to_owned();
    (device.node, device.name, device.description) = (node, name, description.map(str::to_owned));
    let secret = draw::hex_id(iotda.seed, 32, &["device secret", &id]);
    let virtual_device = Device::new(product.clone(), Presence::Offline);
    let name = iotda.products.get(&product).map(String::as_str);
    let auth = json!({"auth_type": "SECRET", "secret": secret, "secure_access": true, "timeout": 0});
    let shown = device.whole(Some(&virtual_device), name, request.times.fleet);
    let answer = Answer::json(201, &Row { auth_info: Some(auth), ..shown });
    iotda.register(fleet, account, device, virtual_device, request.times.fleet)?;
    Ok(answer)
}

/// GET `/devices`.
///
/// # Errors
/// A parameter breaks its rule.
pub fn list(iotda: &mut Iotda, fleet: &Fleet, account: usize, request: &Request<'_>) -> Handled {
    let page = PageQuery::read(request)?;
    let filter = Filter::read(request)?;
    let products = &iotda.products;
    let account = iotda.account(account)?;
    account.check_app(request.checked_param("app_id", &ID)?)?;
    let none = BTreeSet::new();
    let rows = match request.checked_param("product_id", &ID)? {
        Some(product) => account.devices.by_product.get(product).unwrap_or(&none),
        None => &account.devices.all,
    };
    let keep = |record| {
        account
            .devices
            .at(record)
            .is_some_and(|device| filter.keeps(account, device) && request.shows(device.created_wall))
    };
    let filtered = filter.is_set() || request.lag.is_some();
    let page = page.of(rows, filtered.then_some(&keep));
    let found = page.rows.iter().filter_map(|row| account.devices.at(*row));
    let devices = found.map(|device| {
        let name = products.get(&device.product).map(String::as_str);
        device.row(fleet.devices.get(&device.id), name, request.times.fleet)
    });
    Ok(Answer::json(200, &Listed { devices: devices.collect(), page: page.json() }))
}

struct Filter<'a> {
    gateway: Option<&'a str>,
    cascade: bool,
    node: Option<&'a str>,
    name: Option<&'a str>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl<'a> Filter<'a> {
    fn read(request: &'a Request<'_>) -> Result<Self, Refusal> {
        let time = |name: &str| request.param(name).map(|text| parse_time(name, text)).transpose();
        let cascade = match request.param("is_cascade_query") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(invalid("is_cascade_query must be true or false.")),
        };
        let (from, to) = (time("start_time")?, time("end_time")?);
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(Refusal::new(&codes::INVALID_PERIOD, ""));
        }
        Ok(Self {
            gateway: request.checked_param("gateway_id", &DEVICE_ID)?,
            cascade,
            node: request.checked_param("node_id", &NODE_ID)?,
            name: request.checked_param("device_name", &Rule::new(256, name_char))?,
            from,
            to,
        })
    }

    const fn is_set(&self) -> bool {
        self.gateway.is_some()
            || self.node.is_some()
            || self.name.is_some()
            || self.from.is_some()
            || self.to.is_some()
    }

    fn keeps(&self, account: &Account, device: &Registered) -> bool {
        self.gateway.is_none_or(|gateway| self.is_below(account, device, gateway))
            && self.node.is_none_or(|node| device.node == node)
            && self.name.is_none_or(|name| device.name == name)
            && self.from.is_none_or(|from| device.created > from)
            && self.to.is_none_or(|to| device.created < to)
    }

    fn is_below(&self, account: &Account, device: &Registered, gateway: &str) -> bool {
        if device.id == gateway || device.gateway == device.id {
            return false;
        }
        let parent = account.devices.get(&device.gateway);
        device.gateway == gateway
            || (self.cascade && parent.is_some_and(|parent| self.is_below(account, parent, gateway)))
    }
}

/// GET `/devices/{device_id}`.
///
/// # Errors
/// No such device.
pub fn show(iotda: &mut Iotda, fleet: &Fleet, account: usize, id: &str, now: Timestamp) -> Handled {
    let holder = iotda.account(account)?;
    let device = holder.devices.get(check_id(id)?).ok_or_else(|| Refusal::new(&codes::NO_DEVICE, ""))?;
    let name = iotda.products.get(&device.product).map(String::as_str);
    Ok(Answer::json(200, &device.whole(fleet.devices.get(id), name, now)))
}

/// GET `/devices/{device_id}/shadow`: service properties only, never the versions.
///
/// # Errors
/// No such device.
pub fn shadow(iotda: &mut Iotda, account: usize, id: &str) -> Handled {
    let holder = iotda.account(account)?;
    holder.devices.get(check_id(id)?).ok_or_else(|| Refusal::new(&codes::NO_DEVICE, ""))?;
    Ok(Answer::json(200, &json!({"device_id": id, "shadow": []})))
}

/// DELETE `/devices/{device_id}`: it is removed from its groups, and from the tasks that have not ended for it.
///
/// # Errors
/// No such device.
pub fn delete(iotda: &mut Iotda, fleet: &mut Fleet, account: usize, id: &str, now: Timestamp) -> Handled {
    let holder = iotda.account_mut(account)?;
    let record = holder.devices.remove(check_id(id)?).ok_or_else(|| Refusal::new(&codes::NO_DEVICE, ""))?;
    holder.groups.forget(record);
    for (task, index) in holder.tasks.with_open(id) {
        iotda.upgrade(fleet, account, task, now, |upgrade| upgrade.remove_sub(index));
    }
    fleet.devices.remove(id);
    Ok(Answer::empty(204))
}

fn check_id(id: &str) -> Result<&str, Refusal> {
    DEVICE_ID.check("device_id", id).map(|()| id)
}
