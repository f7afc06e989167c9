//! Envision EnOS, Connect service v2.1 (OTA): the cloud's side of the wire, as a pure state machine.
//!
//! A request goes through `route` ▸ `auth` ▸ throttling ▸ a handler, which reads its fields by the documented rules and
//! answers or refuses. The client's wire types are not used here: a mistake in them must not meet its mirror image.

mod auth;
pub mod codes;
mod devices;
mod expression;
mod firmwares;
mod job;
mod jobs;
mod multipart;
mod poseidon;
mod request;
mod route;
mod schedule;
mod scope;
mod service;
mod spec;
mod tasks;
mod upgrade;

pub use route::Operation;
pub use spec::{EnosAccountSpec, EnosSpec, NewJobs, PoseidonSpec, RsaKey};
pub use upgrade::Step;

use super::{
    Event,
    bucket::Bucket,
    clock::Times,
    draw,
    fleet::Fleet,
    service::NewDevice,
    world::{World, WorldError},
};
use crate::cloud::{WireRequest, WireResponse, enos::sign};
use auth::Session;
use devices::{Devices, Registered};
use firmwares::Firmwares;
use jiff::{SignedDuration, Timestamp};
use jobs::Jobs;
use request::{Answer, Handled, Refusal, Request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use upgrade::{Busy, Upgrade};

/// Longest body: the firmware limit of the console of 2019 (100 MB), and room for the form around it. *Assumed*.
pub const MAX_BODY: usize = 101 * 1024 * 1024;

/// One account: an application of an organisation.
#[derive(Debug)]
struct Account {
    spec: EnosAccountSpec,
    session: Session,
    calls: Option<Bucket>,
    firmwares: Firmwares,
    jobs: Jobs,
    devices: Devices,
    busy: Busy,
}

impl Account {
    fn new(spec: EnosAccountSpec) -> Self {
        Self {
            session: Session::default(),
            calls: spec.requests_per_second.map(Bucket::new),
            firmwares: Firmwares::new(),
            jobs: Jobs::default(),
            devices: Devices::default(),
            busy: Busy::new(),
            spec,
        }
    }
}

/// The whole cloud.
#[derive(Debug)]
pub struct Enos {
    accounts: Vec<Account>,
    seed: u64,
    switches: EnosSpec,
    numbers: u64,
    /// Wall time of the last request: what happens between two of them happens then.
    wall: Timestamp,
}

impl Enos {
    /// The cloud of a world, without devices yet.
    #[must_use]
    pub fn new(world: &World, spec: &EnosSpec) -> Self {
        Self {
            accounts: spec.accounts.iter().cloned().map(Account::new).collect(),
            seed: world.seed,
            switches: spec.clone(),
            numbers: 0,
            wall: Timestamp::UNIX_EPOCH,
        }
    }

    /// A number that never repeats.
    const fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Registers a device. A group `plant/hall-1` is the node `hall-1` of the asset tree `plant`.
    ///
    /// # Errors
    /// Its key is taken, or the account does not exist.
    fn add(
        &mut self,
        fleet: &mut Fleet<Event>,
        account: usize,
        new: NewDevice<'_>,
        times: Times,
    ) -> Result<(), WorldError> {
        if fleet.devices.contains_key(new.id) {
            return Err(WorldError(format!("device {}: this id is taken", new.id)));
        }
        let gone = || WorldError("the account does not exist".to_owned());
        let seed = self.seed;
        let holder = self.accounts.get_mut(account).ok_or_else(gone)?;
        let mut trees: BTreeMap<String, _> = BTreeMap::new();
        for group in new.groups {
            let (tree, node) = group.split_once('/').unwrap_or((group, ""));
            let nodes: &mut std::collections::BTreeSet<String> = trees.entry(tree.to_owned()).or_default();
            nodes.insert(node.to_owned());
        }
        let device = Registered {
            asset: draw::hex_id(seed, 8, &["enos asset", new.id]),
            product: new.running.product.clone(),
            attributes: new.attributes.clone(),
            tags: new.tags.clone(),
            trees,
            created: times,
        };
        fleet.devices.insert(new.id.to_owned(), new.running);
        holder.devices.insert(new.id.to_owned(), device);
        Ok(())
    }

    fn upgrade(
        &mut self,
        fleet: &mut Fleet<Event>,
        account: usize,
        number: usize,
        now: Times,
        act: impl FnOnce(&mut Upgrade<'_>),
    ) {
        let Some(holder) = self.accounts.get_mut(account) else { return };
        let Some(job) = holder.jobs.at(number) else { return };
        let Account { devices, busy, firmwares, .. } = holder;
        act(&mut Upgrade { account, devices, busy, firmwares, number, job, fleet, now });
    }

    fn answer(
        &mut self,
        fleet: &mut Fleet<Event>,
        wire: &WireRequest,
        times: Times,
        stale: Option<SignedDuration>,
    ) -> WireResponse {
        self.wall = times.wall;
        let number = self.number().to_string();
        let id = draw::hex_id(self.seed, 32, &["enos request", &number]);
        let query = sign::parse_query(&wire.query);
        let operation = Operation::of(wire.method, &wire.path, &query);
        match operation {
            Some(operation) if operation.is_token() => {
                token_envelope(auth::token(self, operation, wire, times.wall))
            }
            _ => envelope(self.dispatch(fleet, operation, wire, query, times, stale), &id),
        }
    }

    fn dispatch(
        &mut self,
        fleet: &mut Fleet<Event>,
        operation: Option<Operation>,
        wire: &WireRequest,
        query: Vec<(String, String)>,
        times: Times,
        stale: Option<SignedDuration>,
    ) -> Handled {
        let account = self.authenticate(wire, &query, times.wall)?;
        if let Some(calls) = &mut self.accounts[account].calls
            && !calls.take(times.wall)
        {
            return Err(Refusal::new(&codes::THROTTLED));
        }
        let request = Request {
            query,
            body: &wire.body,
            content_type: auth::header(wire, "content-type").unwrap_or_default(),
            times,
            settle: SignedDuration::from_secs(i64::from(self.switches.settle_seconds)),
            stale,
        };
        let Some(operation) = operation else {
            request.required("action")?;
            return Err(Refusal::new(&codes::NO_API));
        };
        self.call(fleet, account, operation, &request)
    }

    fn call(
        &mut self,
        fleet: &mut Fleet<Event>,
        account: usize,
        operation: Operation,
        request: &Request<'_>,
    ) -> Handled {
        match operation {
            Operation::CreateFirmware => firmwares::create(self, account, request),
            Operation::GetFirmware => firmwares::get(self, account, request),
            Operation::SearchFirmwares => firmwares::search(self, account, request),
            Operation::DeleteFirmware => firmwares::delete(self, account, request),
            Operation::ListFirmwareVersions => firmwares::versions(self, fleet, account, request),
            Operation::SearchDeviceUpgrades => firmwares::devices(self, fleet, account, request),
            Operation::CreateJob => jobs::create(self, fleet, account, request),
            Operation::GetJob => jobs::get(self, account, request),
            Operation::SearchJobs => jobs::search(self, account, request),
            Operation::StartJob => jobs::order(self, fleet, account, jobs::Order::Start, request),
            Operation::StopJob => jobs::order(self, fleet, account, jobs::Order::Stop, request),
            Operation::DeleteJob => jobs::order(self, fleet, account, jobs::Order::Delete, request),
            Operation::SearchTasks => tasks::search(self, account, request),
            Operation::CancelTasks => tasks::order(self, fleet, account, tasks::Order::Cancel, request),
            Operation::RetryTasks => tasks::order(self, fleet, account, tasks::Order::Retry, request),
            Operation::GetToken | Operation::RefreshToken => Err(Refusal::new(&codes::NO_API)),
        }
    }
}

/// The envelope of the Connect service.
fn envelope(handled: Handled, request_id: &str) -> WireResponse {
    let (status, mut body) = match handled {
        Ok(Answer { data, pagination }) => {
            let mut body = json!({"code": 0, "msg": "OK", "data": data});
            if let Some(pagination) = pagination {
                body["pagination"] = pagination;
            }
            (200, body)
        }
        Err(refusal) => {
            let code = refusal.code;
            (code.status, json!({"code": code.code, "msg": refusal.message(), "data": null}))
        }
    };
    body["requestId"] = json!(request_id);
    respond(status, &body)
}

/// The envelope of the token service.
fn token_envelope(handled: Handled) -> WireResponse {
    let (status, code, message, data) = match handled {
        Ok(answer) => (200, 0, "SUCCESS".to_owned(), answer.data),
        Err(refusal) => (refusal.code.status, refusal.code.code, refusal.message(), Value::Null),
    };
    let business = "apim-token-service";
    respond(status, &json!({"status": code, "msg": message, "business": business, "data": data}))
}

fn respond(status: u16, body: &Value) -> WireResponse {
    let headers = vec![("content-type".to_owned(), "application/json;charset=UTF-8".to_owned())];
    WireResponse { status, headers, body: body.to_string().into() }
}

/// A refusal by the gateway, as an answer on the wire.
fn refused(code: &'static codes::Code, request_id: &str) -> WireResponse {
    envelope(Err(Refusal::new(code)), request_id)
}
