//! Huawei Cloud IoTDA, API v5: the cloud's side of the wire, as a pure state machine.
//!
//! A request passes `route` ▸ `auth` ▸ `throttle` ▸ a handler, which reads its fields by the documented rules and
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
    bucket::Bucket,
    clock::Times,
    draw,
    fleet::{Device, Fleet, Part},
    request::Received,
    router::Call,
    world::{AccountSpec, IotdaSpec, Policy, World},
};
use crate::cloud::{WireResponse, huawei_iotda::sign};
use auth::Token;
use devices::Devices;
use groups::{Group, Groups};
use jiff::Timestamp;
use packages::Packages;
use paging::Records;
use request::{Answer, Handled, Refusal};
use serde_json::json;
use std::collections::BTreeMap;
use tasks::Tasks;
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
    /// The cloud of a world file, without devices yet.
    #[must_use]
    pub fn new(world: &World, switches: &IotdaSpec) -> Self {
        Self {
            accounts: switches.accounts.iter().map(|spec| Account::new(spec.clone(), switches)).collect(),
            seed: world.seed,
            products: world.product_names(),
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

    /// A world file without products allows any.
    fn allows_product(&self, id: &str) -> bool {
        self.switches.unknown_products == Policy::Allow
            || self.products.is_empty()
            || self.products.contains_key(id)
    }

    fn holds_device(&self, account: usize, id: &str) -> bool {
        self.accounts.get(account).is_some_and(|account| account.devices.get(id).is_some())
    }

    fn register(
        &mut self,
        fleet: &mut Fleet,
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

    fn upgrade(
        &mut self,
        fleet: &mut Fleet,
        account: usize,
        record: Record,
        now: Timestamp,
        act: impl FnOnce(&mut Upgrade<'_>),
    ) {
        let Some(holder) = self.accounts.get_mut(account) else { return };
        let Some(task) = holder.tasks.at(record) else { return };
        act(&mut Upgrade { account, record, task, busy: &mut holder.busy, fleet, now });
    }

    fn dispatch(&mut self, fleet: &mut Fleet, route: Option<Route>, received: Received<'_>) -> Handled {
        let (wire, wall) = (received.wire, received.times.wall);
        let route = route.ok_or_else(|| Refusal::new(&codes::NO_API, ""))?;
        if wire.body.len() > MAX_BODY {
            return Err(Refusal::new(&codes::TOO_LARGE, ""));
        }
        match route.operation {
            Operation::CreateToken => return iam::create_token(self, wire, wall),
            Operation::ListProjects => return iam::projects(self, wire, wall),
            _ => {}
        }
        let account = self.authenticate(wire, &route.project, wall)?;
        if let Some(calls) = &mut self.account_mut(account)?.calls
            && !calls.take(wall)
        {
            return Err(Refusal::new(&codes::THROTTLED, throttle_detail(calls.rate())));
        }
        let request = received.read(sign::parse_query(&wire.query));
        let Route { operation, id, .. } = &route;
        operation.answer(Call { cloud: self, fleet, account, id, request: &request })
    }
}

fn respond(handled: Handled, request_id: &str, is_iam: bool) -> WireResponse {
    let mut answer = handled.unwrap_or_else(|refusal| envelope(&refusal, request_id, is_iam));
    answer.headers.insert(0, ("x-request-id".to_owned(), request_id.to_owned()));
    answer.on_wire("application/json;charset=UTF-8")
}

/// Gateway errors name the request in the body, too; IAM has an envelope of its own.
fn envelope(refusal: &Refusal, request_id: &str, is_iam: bool) -> Answer {
    let (status, message) = (refusal.status, refusal.message());
    if is_iam {
        return Answer::json(status, &json!({"error": {"code": status, "message": message}}));
    }
    let mut body = json!({"error_code": refusal.code, "error_msg": message});
    if refusal.code.starts_with("APIGW.")
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("request_id".to_owned(), json!(request_id));
    }
    Answer::json(status, &body)
}

/// What a task upgrades, as its type.
#[must_use]
pub fn task_type(part: Part) -> String {
    format!("{}Upgrade", part.as_str())
}
