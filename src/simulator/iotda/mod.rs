//! Huawei Cloud IoTDA, API v5: the cloud's side of the wire, as a pure state machine.
//!
//! A request goes through `route` ▸ `auth` ▸ `throttle` ▸ a handler, which reads its fields by the documented rules and
//! answers or refuses. The client's wire types are not used here: a mistake in them must not meet its mirror image.

mod auth;
pub mod codes;
mod devices;
mod groups;
mod iam;
mod packages;
mod paging;
mod query_sql;
mod request;
mod route;
mod search;
mod service;
mod tags;
mod task;
mod tasks;
mod upgrade;

pub use devices::Registered;
pub use packages::Package;
pub use paging::Record;
pub use route::{Operation, Route};
pub use task::{Status, SubStatus, Task};
pub use upgrade::Step;

use super::{
    Event,
    bucket::Bucket,
    clock::Times,
    draw,
    fleet::{Device, Fleet, Part},
    service::NewDevice,
    world::{AccountSpec, IotdaSpec, Policy, World, WorldError},
};
use crate::cloud::{WireRequest, WireResponse, huawei_iotda::sign};
use auth::Token;
use devices::Devices;
use groups::{Group, Groups};
use jiff::{SignedDuration, Timestamp};
use packages::Packages;
use paging::Records;
use request::{Answer, Handled, Refusal, Request};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tasks::{Order, Tasks};
use upgrade::{Busy, Upgrade};

/// Largest body: 12 MB (API signing guide).
pub const MAX_BODY: usize = 12 * 1024 * 1024;

/// One account.
#[derive(Debug)]
pub struct Account {
    /// Project, keys and users.
    pub spec: AccountSpec,
    /// OTA packages.
    pub packages: Packages,
    /// Batch tasks.
    pub tasks: Tasks,
    /// Registered devices.
    pub devices: Devices,
    groups: Groups,
    busy: Busy,
    calls: Option<Bucket>,
    searches: Option<Bucket>,
}

impl Account {
    fn new(spec: AccountSpec, switches: &IotdaSpec) -> Self {
        let calls = spec.requests_per_second.map(Bucket::new);
        let searches = (switches.searches_per_second > 0).then(|| Bucket::new(switches.searches_per_second));
        Self {
            spec,
            packages: Packages::default(),
            tasks: Tasks::default(),
            devices: Devices::default(),
            groups: Groups::default(),
            busy: Busy::new(),
            calls,
            searches,
        }
    }

    fn check_app(&self, app: Option<&str>) -> Result<(), Refusal> {
        match app {
            Some(app) if app != self.spec.app_id => {
                Err(Refusal::new(&codes::NO_APP, format!("app_id {app} is not known.")))
            }
            _ => Ok(()),
        }
    }
}

/// The whole cloud.
#[derive(Debug)]
pub struct Iotda {
    /// Its accounts, in the order of the world file.
    pub accounts: Vec<Account>,
    seed: u64,
    switches: IotdaSpec,
    /// Product names by id.
    products: BTreeMap<String, String>,
    records: Records,
    tokens: BTreeMap<String, Token>,
}

fn throttle_detail(rate: f64) -> String {
    format!("policy user over ratelimit,limit:{},time:1 minute", (rate * 60.0) as u64)
}

impl Iotda {
    /// The cloud of a world, without devices yet.
    #[must_use]
    pub fn new(world: &World, switches: &IotdaSpec) -> Self {
        let named = world
            .products
            .iter()
            .map(|product| (product.id.clone(), product.name.clone().unwrap_or_else(|| product.id.clone())));
        let implied = world.devices.iter().map(|device| (device.product.clone(), device.product.clone()));
        Self {
            accounts: switches.accounts.iter().map(|spec| Account::new(spec.clone(), switches)).collect(),
            seed: world.seed,
            products: implied.chain(named).collect(),
            switches: switches.clone(),
            records: Records::default(),
            tokens: BTreeMap::new(),
        }
    }

    fn account(&self, index: usize) -> Result<&Account, Refusal> {
        self.accounts.get(index).ok_or_else(|| Refusal::new(&codes::FORBIDDEN, ""))
    }

    fn account_mut(&mut self, index: usize) -> Result<&mut Account, Refusal> {
        self.accounts.get_mut(index).ok_or_else(|| Refusal::new(&codes::FORBIDDEN, ""))
    }

    /// A world that knows no product at all takes any.
    fn allows_product(&self, id: &str) -> bool {
        self.switches.unknown_products == Policy::Allow
            || self.products.is_empty()
            || self.products.contains_key(id)
    }

    fn holds_device(&self, account: usize, id: &str) -> bool {
        self.accounts.get(account).is_some_and(|account| account.devices.get(id).is_some())
    }

    /// Index of the account with this project; the first one when none is named.
    #[must_use]
    pub fn index_of(&self, project: Option<&str>) -> Option<usize> {
        match project {
            None => (!self.accounts.is_empty()).then_some(0),
            Some(project) => self.accounts.iter().position(|account| account.spec.project_id == project),
        }
    }

    fn register(
        &mut self,
        fleet: &mut Fleet<Event>,
        account: usize,
        device: Registered,
        running: Device,
        now: Timestamp,
    ) -> Result<Record, Refusal> {
        let record = self.records.reserve(now, 1);
        fleet.devices.insert(device.id.clone(), running);
        self.account_mut(account)?.devices.insert(record, device);
        Ok(record)
    }

    /// Registers a device that the world names, in groups that are created when they are not there.
    ///
    /// # Errors
    /// Its id is taken, or the account does not exist.
    pub fn add(
        &mut self,
        fleet: &mut Fleet<Event>,
        account: usize,
        new: NewDevice<'_>,
        times: Times,
    ) -> Result<(), WorldError> {
        if fleet.devices.contains_key(new.id) {
            return Err(WorldError(format!("device {}: this id is taken", new.id)));
        }
        request::DEVICE_ID.check("device id", new.id).map_err(|refusal| WorldError(refusal.detail))?;
        let gone = |_| WorldError("the account does not exist".to_owned());
        let app = self.account(account).map_err(gone)?.spec.app_id.clone();
        let mut device = Registered::plain(new.id, &app, &new.running.product, times.fleet, times.wall);
        device.tags = new.tags.clone();
        self.products.entry(device.product.clone()).or_insert_with(|| device.product.clone());
        let record = self.register(fleet, account, device, new.running, times.fleet).map_err(gone)?;
        for name in new.groups {
            let id = self.ensure_group(account, name, None, times);
            if let Some(group) = self.account_mut(account).map_err(gone)?.groups.get_mut(&id) {
                group.members.insert(record);
            }
        }
        Ok(())
    }

    /// Id of the group of this name, which is created when it is not there.
    pub fn ensure_group(&mut self, account: usize, name: &str, id: Option<&str>, times: Times) -> String {
        let record = self.records.reserve(times.fleet, 1);
        let seed = self.seed;
        let Some(account) = self.accounts.get_mut(account) else { return String::new() };
        if let Some(group) = account.groups.iter().find(|group| group.name == name) {
            return group.id.clone();
        }
        let id = id.map_or_else(
            || draw::hex_id(seed, 32, &["group", &account.spec.project_id, name]),
            str::to_owned,
        );
        let app = account.spec.app_id.clone();
        account.groups.insert(record, Group::new(id.clone(), name.to_owned(), app, times.fleet, times.wall));
        id
    }

    /// Lets something happen to a task.
    pub fn step(
        &mut self,
        fleet: &mut Fleet<Event>,
        account: usize,
        task: Record,
        step: Step,
        now: Timestamp,
    ) {
        self.upgrade(fleet, account, task, now, |upgrade| upgrade.step(step));
    }

    fn upgrade(
        &mut self,
        fleet: &mut Fleet<Event>,
        account: usize,
        record: Record,
        now: Timestamp,
        act: impl FnOnce(&mut Upgrade<'_>),
    ) {
        let Some(holder) = self.accounts.get_mut(account) else { return };
        let Some(task) = holder.tasks.at(record) else { return };
        act(&mut Upgrade { account, record, task, busy: &mut holder.busy, fleet, now });
    }

    /// A device has been switched on: an upgrade that waits for it goes on.
    pub fn wake(&mut self, fleet: &mut Fleet<Event>, device: &str, now: Timestamp) {
        let busy =
            self.accounts.iter().enumerate().find_map(|(i, holder)| Some((i, *holder.busy.get(device)?)));
        if let Some((account, (task, index))) = busy {
            self.upgrade(fleet, account, task, now, |upgrade| upgrade.wake(index));
        }
    }

    /// Ends all IAM tokens.
    pub fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Answers a request. `lag`: lists leave out what was created less than this long ago.
    pub fn handle(
        &mut self,
        fleet: &mut Fleet<Event>,
        route: Option<Route>,
        request: &WireRequest,
        times: Times,
        lag: Option<SignedDuration>,
    ) -> WireResponse {
        let is_iam = route.as_ref().is_some_and(|route| route.operation.is_iam());
        let handled = self.dispatch(fleet, route, request, times, lag);
        let id = draw::hex_id(self.seed, 32, &["request", &self.records.number().to_string()]);
        respond(handled, &id, is_iam)
    }

    fn dispatch(
        &mut self,
        fleet: &mut Fleet<Event>,
        route: Option<Route>,
        wire: &WireRequest,
        times: Times,
        stale: Option<SignedDuration>,
    ) -> Handled {
        let route = route.ok_or_else(|| Refusal::new(&codes::NO_API, ""))?;
        if wire.body.len() > MAX_BODY {
            return Err(Refusal::new(&codes::TOO_LARGE, ""));
        }
        match route.operation {
            Operation::CreateToken => return iam::create_token(self, wire, times.wall),
            Operation::ListProjects => return iam::projects(self, wire, times.wall),
            _ => {}
        }
        let account = self.authenticate(wire, &route.project, times.wall)?;
        if let Some(calls) = &mut self.account_mut(account)?.calls
            && !calls.take(times.wall)
        {
            return Err(Refusal::new(&codes::THROTTLED, throttle_detail(calls.rate())));
        }
        let request = Request {
            query: sign::parse_query(&wire.query),
            body: &wire.body,
            content_type: auth::header(wire, "content-type").map(str::to_owned),
            times,
            stale,
        };
        self.call(fleet, account, &route, &request)
    }

    fn call(
        &mut self,
        fleet: &mut Fleet<Event>,
        account: usize,
        route: &Route,
        request: &Request<'_>,
    ) -> Handled {
        let (id, now) = (route.id.as_str(), request.times.fleet);
        match route.operation {
            Operation::CreateOtaPackage => packages::create(self, account, request),
            Operation::ListOtaPackageInfo => packages::list(self, account, request),
            Operation::ShowOtaPackage => packages::show(self, account, id),
            Operation::DeleteOtaPackage => packages::delete(self, account, id),
            Operation::CreateBatchTask => tasks::create(self, fleet, account, request),
            Operation::ListBatchTasks => tasks::list(self, account, request),
            Operation::ShowBatchTask => tasks::show(self, account, id, request),
            Operation::StopBatchTask => tasks::order(self, fleet, account, id, Order::Stop, request),
            Operation::RetryBatchTask => tasks::order(self, fleet, account, id, Order::Retry, request),
            Operation::ConfirmBatchTask => tasks::order(self, fleet, account, id, Order::Confirm, request),
            Operation::DeleteBatchTask => tasks::delete(self, account, id),
            Operation::AddDevice => devices::create(self, fleet, account, request),
            Operation::ListDevices => devices::list(self, fleet, account, request),
            Operation::ShowDevice => devices::show(self, fleet, account, id, now),
            Operation::DeleteDevice => devices::delete(self, fleet, account, id, now),
            Operation::ShowDeviceShadow => devices::shadow(self, account, id),
            Operation::SearchDevices => search::query(self, fleet, account, request),
            Operation::AddDeviceGroup => groups::create(self, account, request),
            Operation::ListDeviceGroups => groups::list(self, account, request),
            Operation::ShowDeviceGroup => groups::show(self, account, id),
            Operation::UpdateDeviceGroup => groups::update(self, account, id, request),
            Operation::DeleteDeviceGroup => groups::delete(self, account, id),
            Operation::CreateOrDeleteDeviceInGroup => groups::action(self, account, id, request),
            Operation::ShowDevicesInGroup => groups::devices(self, fleet, account, id, request),
            Operation::ListDeviceGroupsByDevice => groups::of_device(self, fleet, account, id, now),
            Operation::TagDevice => tags::bind(self, account, request),
            Operation::UntagDevice => tags::unbind(self, account, request),
            Operation::ListResourcesByTags => tags::query(self, account, request),
            Operation::CreateToken | Operation::ListProjects => Err(Refusal::new(&codes::NO_API, "")),
        }
    }
}

/// A refusal by the gateway, as an answer on the wire.
#[must_use]
pub fn refused(code: &'static codes::Code, detail: String, request_id: &str) -> WireResponse {
    respond(Err(Refusal { code, detail }), request_id, false)
}

/// How a storm of throttling is worded.
#[must_use]
pub fn storm(request_id: &str) -> WireResponse {
    refused(&codes::THROTTLED, throttle_detail(0.0), request_id)
}

fn respond(handled: Handled, request_id: &str, is_iam: bool) -> WireResponse {
    let answer = handled.unwrap_or_else(|refusal| envelope(&refusal, request_id, is_iam));
    let mut headers = vec![("x-request-id".to_owned(), request_id.to_owned())];
    headers.extend(answer.headers);
    if !answer.body.is_empty() {
        headers.push(("content-type".to_owned(), "application/json;charset=UTF-8".to_owned()));
    }
    WireResponse { status: answer.status, headers, body: answer.body.into() }
}

/// Gateway errors name the request in the body, too; IAM has an envelope of its own.
fn envelope(refusal: &Refusal, request_id: &str, is_iam: bool) -> Answer {
    let (status, message) = (refusal.code.status, refusal.message());
    if is_iam {
        return Answer::json(status, &json!({"error": {"code": status, "message": message}}));
    }
    let mut body = json!({"error_code": refusal.code.code, "error_msg": message});
    if refusal.code.code.starts_with("APIGW.")
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("request_id".to_owned(), json!(request_id));
    }
    Answer::json(status, &body)
}

/// Statuses of a task's devices, for whoever wants to know the truth.
#[must_use]
pub fn targets_by_status(task: &Task) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut found: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for sub in task.subs() {
        found.entry(sub.status.as_str()).or_default().insert(sub.target.clone());
    }
    found
}

/// What a task upgrades, as its type says it.
#[must_use]
pub fn task_type(part: Part) -> String {
    format!("{}Upgrade", part.as_str())
}
