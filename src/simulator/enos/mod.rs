//! Envision EnOS, Connect service v2.1 (OTA): the cloud's side of the wire, as a pure state machine.
//!
//! A request passes `route` ▸ `auth` ▸ throttling ▸ a handler, which reads its fields by the documented rules and
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
mod projection;
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
    answer, bucket::Bucket, clock::Times, draw, fleet::Fleet, request::Received, router::Call, world::World,
};
use crate::cloud::{WireResponse, enos::sign};
use auth::Session;
use devices::Devices;
use firmwares::Firmwares;
use jiff::{SignedDuration, Timestamp};
use jobs::Jobs;
use request::{Answer, Handled, Refusal};
use serde_json::{Value, json};
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
    /// The cloud of a world file, without devices yet.
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

    /// How long after a change searches show it, in fleet time (document).
    fn settle(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.switches.settle_seconds))
    }

    fn upgrade(
        &mut self,
        fleet: &mut Fleet,
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

    fn answer(&mut self, fleet: &mut Fleet, received: Received<'_>) -> WireResponse {
        let (wire, wall) = (received.wire, received.times.wall);
        self.wall = wall;
        let number = self.number().to_string();
        let id = draw::hex_id(self.seed, 32, &["enos request", &number]);
        let query = sign::parse_query(&wire.query);
        let operation = Operation::of(wire.method, &wire.path, &query);
        match operation {
            Some(operation) if operation.is_token() => {
                token_envelope(auth::token(self, operation, wire, wall))
            }
            _ => envelope(self.dispatch(fleet, operation, query, received), &id),
        }
    }

    fn dispatch(
        &mut self,
        fleet: &mut Fleet,
        operation: Option<Operation>,
        query: Vec<(String, String)>,
        received: Received<'_>,
    ) -> Handled {
        let wall = received.times.wall;
        let account = self.authenticate(received.wire, &query, wall)?;
        if let Some(calls) = &mut self.accounts[account].calls
            && !calls.take(wall)
        {
            return Err(Refusal::new(&codes::THROTTLED, ""));
        }
        let request = received.read(query);
        let Some(operation) = operation else {
            request.required("action")?;
            return Err(Refusal::new(&codes::NO_API, ""));
        };
        if self.accounts[account].spec.forbidden.iter().any(|name| name == operation.as_str()) {
            return Err(Refusal::new(&codes::DENIED, ""));
        }
        operation.answer(Call { cloud: self, fleet, account, id: "", request: &request })
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
            let body = json!({"code": number_of(&refusal), "msg": refusal.message(), "data": null});
            (refusal.status, body)
        }
    };
    body["requestId"] = json!(request_id);
    respond(status, &body)
}

/// The envelope of the token service.
fn token_envelope(handled: Handled) -> WireResponse {
    let (status, code, message, data) = match handled {
        Ok(answer) => (200, Some(0), "SUCCESS".to_owned(), answer.data),
        Err(refusal) => (refusal.status, number_of(&refusal), refusal.message(), Value::Null),
    };
    let business = "apim-token-service";
    respond(status, &json!({"status": code, "msg": message, "business": business, "data": data}))
}

fn respond(status: u16, body: &Value) -> WireResponse {
    answer::Answer::json(status, body).on_wire("application/json;charset=UTF-8")
}

/// The tables have codes as text.
fn number_of(refusal: &Refusal) -> Option<i64> {
    refusal.code.parse().ok()
}
