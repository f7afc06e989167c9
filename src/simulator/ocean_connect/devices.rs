//! Devices as the platform registers them: list and show. What they run is the fleet's.

use super::{
    OceanConnect, codes,
    request::{Answer, Handled, Refusal, Request, invalid, parse_time},
    spec::Product,
};
use crate::simulator::fleet::{Device, Fleet, Presence, compact_time};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Default and largest page of devices.
const PAGE: (usize, usize) = (25, 250);

/// A registered device.
#[derive(Clone, Debug)]
pub struct Registered {
    /// `deviceId`.
    pub id: String,
    /// Product.
    pub product: Product,
    /// When it was registered, in fleet time.
    pub created: Timestamp,
    /// When it was registered, in wall time.
    pub created_wall: Timestamp,
}

/// The devices of an application, in the order of their registration.
#[derive(Debug, Default)]
pub struct Devices {
    rows: Vec<Registered>,
    by_id: BTreeMap<String, usize>,
    by_type: BTreeMap<String, Vec<usize>>,
}

impl Devices {
    /// A device by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Registered> {
        self.rows.get(*self.by_id.get(id)?)
    }

    /// Takes a device out; false when there is none of this id.
    pub fn remove(&mut self, id: &str) -> bool {
        let others = std::mem::take(self).rows;
        let before = others.len();
        others.into_iter().filter(|device| device.id != id).for_each(|device| self.insert(device));
        self.rows.len() < before
    }

    /// Registers a device; its id must be free.
    pub fn insert(&mut self, device: Registered) {
        let place = self.rows.len();
        self.by_id.insert(device.id.clone(), place);
        self.by_type.entry(device.product.device_type.clone()).or_default().push(place);
        self.rows.push(device);
    }
}

/// `ONLINE`, `OFFLINE` or `INACTIVE`. A device that sleeps for hours is `ONLINE`: it would be `ABNORMAL` after 25 hours of
/// silence and `OFFLINE` after 49. One that the world file switched off is taken to have been silent for longer.
#[must_use]
pub const fn status(device: &Device) -> &'static str {
    match (device.presence, device.activated) {
        (_, false) => "INACTIVE",
        (Presence::Offline, true) => "OFFLINE",
        (Presence::Online | Presence::Daily(_), true) => "ONLINE",
    }
}

fn shown(device: &Registered, running: Option<&Device>) -> Value {
    let product = &device.product;
    let time = compact_time(device.created);
    json!({
        "deviceId": device.id,
        "gatewayId": device.id,
        "nodeType": "ENDPOINT",
        "createTime": time,
        "lastModifiedTime": time,
        "deviceInfo": {
            "nodeId": device.id,
            "name": device.id,
            "manufacturerId": product.manufacturer,
            "manufacturerName": product.manufacturer,
            "deviceType": product.device_type,
            "model": product.model,
            "swVersion": running.and_then(|device| device.software.clone()),
            "fwVersion": running.and_then(|device| device.firmware.clone()),
            "hwVersion": null,
            "protocolType": "CoAP",
            "status": running.map_or("INACTIVE", status),
            "statusDetail": "NONE",
        },
        "services": [],
    })
}

/// GET `/devices`.
///
/// # Errors
/// A parameter breaks its rule.
pub fn list(cloud: &OceanConnect, fleet: &Fleet, app: usize, request: &Request<'_>) -> Handled {
    if request.param("gatewayId").is_none() && request.param("pageNo").is_none() {
        return Err(invalid("gatewayId and pageNo must not both be empty."));
    }
    let page = request.page(PAGE.0, PAGE.1, &codes::BAD_INPUT)?;
    let newest_first = request.choice("sort", &["ASC", "DESC"], &codes::BAD_INPUT)? != Some("ASC");
    let states = ["ONLINE", "OFFLINE", "INACTIVE", "ABNORMAL"];
    let state = request.choice("status", &states, &codes::BAD_INPUT)?;
    let kind = request.choice("nodeType", &["ENDPOINT", "GATEWAY", "UNKNOW"], &codes::BAD_INPUT)?;
    let time = |name: &str| {
        let read = |text| parse_time(text).ok_or_else(|| invalid(format!("{name} is malformed.")));
        request.param(name).map(read).transpose()
    };
    let (from, to) = (time("startTime")?, time("endTime")?);
    cloud.check_app(app, request.param("appId"))?;
    let devices = &cloud.app(app)?.devices;
    let places: Box<dyn DoubleEndedIterator<Item = usize>> = match request.param("deviceType") {
        Some(kind) => Box::new(devices.by_type.get(kind).into_iter().flatten().copied()),
        None => Box::new(0..devices.rows.len()),
    };
    let keep = |device: &&Registered| {
        let running = fleet.devices.get(&device.id);
        state.is_none_or(|state| running.map_or("INACTIVE", status) == state)
            && kind.is_none_or(|kind| kind == "ENDPOINT")
            && request.param("gatewayId").is_none_or(|gateway| device.id == gateway)
            && request.param("name").is_none_or(|name| device.id == name)
            && from.is_none_or(|from| device.created >= from)
            && to.is_none_or(|to| device.created <= to)
            && request.shows(device.created_wall)
    };
    let rows = places.filter_map(|place| devices.rows.get(place));
    let (rows, total) =
        if newest_first { page.of(rows.rev().filter(keep)) } else { page.of(rows.filter(keep)) };
    let shown: Vec<Value> =
        rows.into_iter().map(|device| shown(device, fleet.devices.get(&device.id))).collect();
    Ok(Answer::json(
        200,
        &json!({
            "totalCount": total, "pageNo": page.number, "pageSize": page.size, "devices": shown,
        }),
    ))
}

/// GET `/devices/{deviceId}`.
///
/// # Errors
/// No such device.
pub fn show(cloud: &OceanConnect, fleet: &Fleet, app: usize, id: &str, request: &Request<'_>) -> Handled {
    cloud.check_app(app, request.param("appId"))?;
    let device = cloud.app(app)?.devices.get(id);
    let device = device.ok_or_else(|| Refusal::new(&codes::NO_DEVICE, format!("deviceId {id}.")))?;
    Ok(Answer::json(200, &shown(device, fleet.devices.get(id))))
}
