//! Huawei OceanConnect, the application's (northbound) side: the cloud's side of the wire, as a pure state machine.
//!
//! A request goes through `route` ▸ `auth` ▸ a handler, which reads its fields by the documented rules and answers or
//! refuses. Packages come in by [`OceanConnect::upload`], tasks are stopped by [`OceanConnect::stop`]: the portal can do
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

use super::{
    Event,
    clock::Times,
    draw,
    fleet::{Device, Fleet, Part},
    world::WorldError,
};
use crate::cloud::{WireRequest, WireResponse};
use auth::{Session, Throttle};
use devices::{Devices, Registered};
use groups::Group;
use jiff::{SignedDuration, Timestamp};
use request::{Handled, PageQuery, Refusal, Request};
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
    /// The cloud of a world, without devices yet.
    ///
    /// # Errors
    /// A package that the world names cannot be.
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

    /// Index of the application with this id; the first one when none is named.
    #[must_use]
    pub fn index_of(&self, app: Option<&str>) -> Option<usize> {
        match app {
            None => (!self.apps.is_empty()).then_some(0),
            Some(id) => self.apps.iter().position(|app| app.spec.app_id == id),
        }
    }

    /// Registers a device that the world names, in groups that are created when they are not there.
    ///
    /// # Errors
    /// Its id is taken, its product is not one, or the application does not exist.
    pub fn add(
        &mut self,
        fleet: &mut Fleet<Event>,
        app: usize,
        (id, running): (&str, Device),
        groups: &[String],
        times: Times,
    ) -> Result<(), WorldError> {
        if fleet.devices.contains_key(id) {
            return Err(WorldError(format!("device {id}: this id is taken")));
        }
        let product = Product::parse(&running.product)?;
        let gone = || WorldError("the application does not exist".to_owned());
        let holder = self.apps.get_mut(app).ok_or_else(gone)?;
        let (created, created_wall) = (times.fleet, times.wall);
        holder.devices.insert(Registered { id: id.to_owned(), product, created, created_wall });
        fleet.devices.insert(id.to_owned(), running);
        for name in groups {
            self.ensure_group(app, name, None);
            let holder = self.apps.get_mut(app).ok_or_else(gone)?;
            let group = holder.groups.iter_mut().find(|group| group.name == *name);
            group.ok_or_else(gone)?.members.insert(id.to_owned());
        }
        Ok(())
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

    /// Stops a task as the portal does; false when there is no such task.
    pub fn stop(&mut self, fleet: &mut Fleet<Event>, id: &str, now: Timestamp) -> bool {
        let place = |app: &App| app.tasks.iter().position(|task| task.id == id);
        let found = self.apps.iter().enumerate().find_map(|(index, app)| Some((index, place(app)?)));
        if let Some((app, task)) = found {
            self.upgrade(fleet, app, task, now, |upgrade| {
                upgrade.stop();
            });
        }
        found.is_some()
    }

    /// Lets something happen to a task.
    pub fn step(&mut self, fleet: &mut Fleet<Event>, app: usize, task: usize, step: Step, now: Timestamp) {
        self.upgrade(fleet, app, task, now, |upgrade| upgrade.step(step));
    }

    fn upgrade(
        &mut self,
        fleet: &mut Fleet<Event>,
        app: usize,
        index: usize,
        now: Timestamp,
        act: impl FnOnce(&mut Upgrade<'_>),
    ) {
        let Some(holder) = self.apps.get_mut(app) else { return };
        let Some(task) = holder.tasks.get_mut(index) else { return };
        act(&mut Upgrade { app, index, task, busy: &mut holder.busy, fleet, now });
    }

    /// A device has gone out of service: its groups forget it, and what has not ended for it fails.
    fn forget(&mut self, fleet: &mut Fleet<Event>, app: usize, device: &str, now: Timestamp) {
        let Some(holder) = self.apps.get_mut(app) else { return };
        for group in &mut holder.groups {
            group.members.remove(device);
        }
        for task in 0..holder.tasks.len() {
            self.upgrade(fleet, app, task, now, |upgrade| upgrade.lose(device));
        }
    }

    /// A device has been switched on: an upgrade that waits for it goes on.
    pub fn wake(&mut self, fleet: &mut Fleet<Event>, device: &str, now: Timestamp) {
        let mut apps = self.apps.iter().enumerate();
        let busy = apps.find_map(|(index, app)| Some((index, *app.busy.get(device)?)));
        if let Some((app, (task, sub))) = busy {
            self.upgrade(fleet, app, task, now, |upgrade| upgrade.wake(sub));
        }
    }

    /// Answers a request. `stale`: lists leave out what was created less than this long ago.
    pub fn handle(
        &mut self,
        fleet: &mut Fleet<Event>,
        route: Option<Route>,
        request: &WireRequest,
        times: Times,
        stale: Option<SignedDuration>,
    ) -> WireResponse {
        respond(self.dispatch(fleet, route, request, times, stale))
    }

    fn dispatch(
        &mut self,
        fleet: &mut Fleet<Event>,
        route: Option<Route>,
        wire: &WireRequest,
        times: Times,
        stale: Option<SignedDuration>,
    ) -> Handled {
        let Route { operation, id } = route.ok_or(&codes::NO_API)?;
        if matches!(operation, Operation::Login | Operation::RefreshToken | Operation::Logout) {
            return self.sign_in(operation, wire, times.wall);
        }
        let app = self.authenticate(wire, operation, times.wall)?;
        let request = Request { query: request::pairs(&wire.query), body: &wire.body, times, stale };
        self.call(fleet, app, operation, &id, &request)
    }

    fn call(
        &mut self,
        fleet: &mut Fleet<Event>,
        app: usize,
        operation: Operation,
        id: &str,
        request: &Request<'_>,
    ) -> Handled {
        match operation {
            Operation::ListUpgradePackages => packages::list(self, app, request),
            Operation::ShowUpgradePackage => packages::show(self, app, id),
            Operation::DeleteUpgradePackage => packages::delete(self, app, id),
            Operation::CreateSoftwareUpgradeTask => tasks::create(self, fleet, app, Part::Software, request),
            Operation::CreateFirmwareUpgradeTask => tasks::create(self, fleet, app, Part::Firmware, request),
            Operation::ShowUpgradeTask => tasks::show(self, app, id),
            Operation::ListUpgradeSubTasks => tasks::subs(self, app, id, request),
            Operation::ListUpgradeTasks => tasks::list(self, app, request),
            Operation::ListDevices => devices::list(self, fleet, app, request),
            Operation::ShowDevice => devices::show(self, fleet, app, id, request),
            Operation::CreateDeviceGroup => groups::create(self, app, request),
            Operation::ListDeviceGroups => groups::list(self, app, request),
            Operation::ShowDeviceGroup => groups::show(self, app, id, request),
            Operation::UpdateDeviceGroup => groups::update(self, app, id, request),
            Operation::DeleteDeviceGroup => groups::delete(self, app, id, request),
            Operation::ListGroupMembers => groups::members(self, app, request),
            Operation::AddGroupMembers => groups::change_members(self, app, true, request),
            Operation::DeleteGroupMembers => groups::change_members(self, app, false, request),
            Operation::Login | Operation::RefreshToken | Operation::Logout => Err((&codes::NO_API).into()),
        }
    }
}

/// A page of the upgrade lists.
fn listed(rows: &[Value], page: PageQuery, total: usize) -> Value {
    json!({"data": rows, "pageNo": page.number, "pageSize": page.size, "totalCount": total})
}

/// A refusal, as an answer on the wire.
fn refused(code: &'static codes::Code, detail: &str) -> WireResponse {
    respond(Err(Refusal::new(code, detail)))
}

fn respond(handled: Handled) -> WireResponse {
    let (status, body) = match handled {
        Ok(answer) => (answer.status, answer.body),
        Err(refusal) => {
            let body = json!({"error_code": refusal.code.code, "error_desc": refusal.message()});
            (refusal.code.status, Some(body))
        }
    };
    let headers = body.iter().map(|_| ("content-type".to_owned(), "application/json".to_owned())).collect();
    WireResponse { status, headers, body: body.map(|body| body.to_string()).unwrap_or_default().into() }
}
