//! Huawei OceanConnect, the application's (northbound) side: the cloud's side of the wire, as a pure state machine.
//!
//! A request passes `route` ▸ `auth` ▸ a handler, which reads its fields by the documented rules and answers or
//! refuses. Packages come in by [`OceanConnect::upload`], tasks are stopped by `stop_by_hand`: the portal can do
//! both, the API neither. The client's wire types are not used here: a mistake in them must not meet its mirror image.

mod auth;
pub mod codes;
mod devices;
mod groups;
mod packages;
mod request;
mod route;
mod service;
mod spec;
mod task;
mod tasks;
mod upgrade;

pub use packages::Package;
pub use route::{Operation, Route};
pub use spec::{AppSpec, FileType, OceanConnectSpec, Product, TimeoutStatus, UploadSpec};
pub use task::{Status, Sub, SubStatus, Task};
pub use upgrade::Step;

use super::{clock::Times, draw, fleet::Fleet, request::Received, router::Call, world::WorldError};
use crate::cloud::WireResponse;
use auth::{Session, Throttle};
use devices::Devices;
use groups::Group;
use jiff::Timestamp;
use request::{Answer, Handled, PageQuery, Refusal};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use upgrade::Upgrade;

/// Devices that wait for or run an upgrade: the task and the sub task.
type Busy = BTreeMap<String, (usize, usize)>;

/// One application.
#[derive(Debug)]
pub struct App {
    /// Id and secret.
    pub spec: AppSpec,
    /// Packages, oldest first.
    pub packages: Vec<Package>,
    /// Upgrade tasks, oldest first.
    pub tasks: Vec<Task>,
    /// Registered devices.
    pub devices: Devices,
    groups: Vec<Group>,
    busy: Busy,
    session: Option<Session>,
    throttle: Throttle,
}

impl App {
    fn new(spec: AppSpec) -> Self {
        Self {
            spec,
            packages: Vec::new(),
            tasks: Vec::new(),
            devices: Devices::default(),
            groups: Vec::new(),
            busy: Busy::new(),
            session: None,
            throttle: Throttle::default(),
        }
    }

    fn check_devices(&self, ids: &[String]) -> Result<(), Refusal> {
        match ids.iter().find(|id| self.devices.get(id).is_none()) {
            Some(id) => Err(Refusal::new(&codes::NO_DEVICE, format!("deviceId {id}."))),
            None => Ok(()),
        }
    }
}

/// The whole cloud.
#[derive(Debug)]
pub struct OceanConnect {
    /// Its applications, in the order of the world file.
    pub apps: Vec<App>,
    seed: u64,
    switches: OceanConnectSpec,
    numbers: u64,
}

impl OceanConnect {
    /// The cloud of a world file, without devices yet.
    ///
    /// # Errors
    /// A package of the world file is not valid.
    pub fn new(spec: &OceanConnectSpec, seed: u64, times: Times) -> Result<Self, WorldError> {
        let apps = spec.apps.iter().cloned().map(App::new).collect();
        let mut cloud = Self { apps, seed, switches: spec.clone(), numbers: 0 };
        for app in &spec.apps {
            for package in &app.packages {
                let package = UploadSpec { app: Some(app.app_id.clone()), ..package.clone() };
                cloud.upload(&package, times)?;
            }
        }
        Ok(cloud)
    }

    fn app(&self, index: usize) -> Result<&App, Refusal> {
        self.apps.get(index).ok_or_else(|| (&codes::BAD_TOKEN).into())
    }

    fn app_mut(&mut self, index: usize) -> Result<&mut App, Refusal> {
        self.apps.get_mut(index).ok_or_else(|| (&codes::BAD_TOKEN).into())
    }

    /// A number that never repeats, for ids.
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn check_app(&self, index: usize, named: Option<&str>) -> Result<(), Refusal> {
        match named {
            Some(named) if named != self.app(index)?.spec.app_id => {
                Err(Refusal::new(&codes::NO_RIGHT, format!("appId {named}.")))
            }
            _ => Ok(()),
        }
    }

    /// Makes a group of this name, when it is not there; its id is derived from the name unless one is given.
    pub fn ensure_group(&mut self, app: usize, name: &str, id: Option<&str>) {
        let seed = self.seed;
        let Some(app) = self.apps.get_mut(app) else { return };
        if app.groups.iter().all(|group| group.name != name) {
            let derived = || draw::hex_id(seed, 24, &["group", &app.spec.app_id, name]);
            let id = id.map_or_else(derived, str::to_owned);
            app.groups.push(Group::new(id, name.to_owned()));
        }
    }

    fn upgrade(
        &mut self,
        fleet: &mut Fleet,
        app: usize,
        index: usize,
        now: Timestamp,
        act: impl FnOnce(&mut Upgrade<'_>),
    ) {
        let Some(holder) = self.apps.get_mut(app) else { return };
        let Some(task) = holder.tasks.get_mut(index) else { return };
        act(&mut Upgrade { app, index, task, busy: &mut holder.busy, fleet, now });
    }

    /// A device was taken out of service: its groups forget it, and what has not ended for it fails.
    fn forget(&mut self, fleet: &mut Fleet, app: usize, device: &str, now: Timestamp) {
        let Some(holder) = self.apps.get_mut(app) else { return };
        for group in &mut holder.groups {
            group.members.remove(device);
        }
        for task in 0..holder.tasks.len() {
            self.upgrade(fleet, app, task, now, |upgrade| upgrade.lose(device));
        }
    }

    fn dispatch(&mut self, fleet: &mut Fleet, route: Option<Route>, received: Received<'_>) -> Handled {
        let (wire, wall) = (received.wire, received.times.wall);
        let Route { operation, id, .. } = route.ok_or(&codes::NO_API)?;
        if matches!(operation, Operation::Login | Operation::RefreshToken | Operation::Logout) {
            return self.sign_in(operation, wire, wall);
        }
        let app = self.authenticate(wire, operation, wall)?;
        let request = received.read(request::pairs(&wire.query));
        operation.answer(Call { cloud: self, fleet, account: app, id: &id, request: &request })
    }
}

/// A page of the upgrade lists.
fn listed(rows: &[Value], page: PageQuery, total: usize) -> Value {
    json!({"data": rows, "pageNo": page.number, "pageSize": page.size, "totalCount": total})
}

fn respond(handled: Handled) -> WireResponse {
    let answer = handled.unwrap_or_else(|refusal| {
        let body = json!({"error_code": refusal.code, "error_desc": refusal.message()});
        Answer::json(refusal.status, &body)
    });
    answer.on_wire("application/json")
}
