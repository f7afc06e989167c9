//! The clouds over HTTP, and the virtual fleet behind them.
//!
//! Inside is a pure state machine: [`Simulator::handle`] takes a request and a wall time and says how it ends. `http`
//! puts it behind a socket; a test world may call it in process instead.
//!
//! **Invariant:** nothing below `http` reads a clock or a random source. The same world, the same calls at the same
//! times: the same answers; and what becomes of a device depends on the seed alone.

pub mod admin;
pub mod clock;
mod draw;
pub mod faults;
pub mod fleet;
pub mod http;
pub mod iotda;
pub mod queue;
pub mod truth;
pub mod world;

pub use http::{Running, serve};
pub use truth::{PackageTruth, TaskTruth};
pub use world::{World, WorldError};

use crate::cloud::{WireRequest, WireResponse};
use clock::{FleetClock, Times};
use faults::{Act, Fault, Faults, Kind};
use fleet::{Device, Fleet, Part, Presence};
use iotda::{Iotda, NewDevice, Record, Route, Step};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use world::DeviceSpec;

/// Something that will happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// A device goes back to its old version, if it still runs the new one.
    Revert {
        /// Device id.
        device: String,
        /// What goes back.
        part: Part,
        /// The new version.
        version: String,
        /// The old one.
        old: Option<String>,
    },
    /// Something happens to a batch task of IoTDA.
    Iotda {
        /// Its account.
        account: usize,
        /// Its record.
        task: Record,
        /// What happens.
        step: Step,
    },
}

/// How a call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How much later, in wall time.
    pub delay: Duration,
    /// With what.
    pub end: End,
}

/// What a call ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// An answer.
    Reply(WireResponse),
    /// Half of this answer, then the connection is cut.
    Truncated(WireResponse),
    /// The connection is cut.
    Reset,
    /// Nothing.
    Hang,
}

/// Calls of one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calls {
    /// All of them.
    pub total: u64,
    /// By what the caller saw: an HTTP status, `reset`, `truncated` or `hang`.
    pub by_end: BTreeMap<String, u64>,
}

/// A world that runs.
#[derive(Debug)]
pub struct Simulator {
    fleet: Fleet<Event>,
    iotda: Iotda,
    clock: FleetClock,
    faults: Faults,
    counters: BTreeMap<String, Calls>,
    recent: VecDeque<Timestamp>,
}

/// So many calls are remembered with their times.
const RECENT: usize = 10_000;

impl Simulator {
    /// Starts a world at a wall time.
    ///
    /// # Errors
    /// [`WorldError`] when two devices have one id, or an id is not one.
    pub fn new(world: &World, wall: Timestamp) -> Result<Self, WorldError> {
        let mut simulator = Self {
            fleet: Fleet::new(world),
            iotda: Iotda::new(world),
            clock: FleetClock::new(wall, world.start.unwrap_or(wall), world.time_factor),
            faults: Faults::new(world.seed),
            counters: BTreeMap::new(),
            recent: VecDeque::new(),
        };
        let times = simulator.times(wall);
        for group in &world.groups {
            let account = simulator.account(group.project.as_deref())?;
            simulator.iotda.ensure_group(account, &group.name, group.id.as_deref(), times);
        }
        for spec in &world.devices {
            simulator.add_devices(spec, wall)?;
        }
        Ok(simulator)
    }

    fn account(&self, project: Option<&str>) -> Result<usize, WorldError> {
        let unknown = || WorldError(format!("project {}: no account has it", project.unwrap_or_default()));
        self.iotda.index_of(project).ok_or_else(unknown)
    }

    /// Both times at a wall time.
    #[must_use]
    pub fn times(&self, wall: Timestamp) -> Times {
        Times { wall, fleet: self.clock.fleet(wall) }
    }

    /// Adds a device or a series of devices; gives their number.
    ///
    /// # Errors
    /// [`WorldError`]: an id is taken or not allowed, or no account has the project.
    pub fn add_devices(&mut self, spec: &DeviceSpec, wall: Timestamp) -> Result<usize, WorldError> {
        self.advance(wall);
        let times = self.times(wall);
        let account = self.account(spec.project.as_deref())?;
        let ids = spec.ids()?;
        for id in &ids {
            let running = self.running(spec, id);
            let new = NewDevice { id, running, tags: &spec.tags, groups: &spec.groups };
            self.iotda.add(&mut self.fleet, account, new, times)?;
        }
        Ok(ids.len())
    }

    fn running(&self, spec: &DeviceSpec, id: &str) -> Device {
        let dead = draw::unit(self.fleet.seed, &["offline", id]) < spec.offline.share();
        let presence = match (dead || spec.online == Some(false), spec.online_hours) {
            (true, _) => Presence::Offline,
            (false, Some(hours)) => Presence::Daily(hours),
            (false, None) => Presence::Online,
        };
        let mut device = Device::new(spec.product.clone(), presence);
        // A device that the world names has been in the field: offline, but not inactive.
        device.activated = true;
        device.set_version(Part::Firmware, spec.firmware.clone());
        device.set_version(Part::Software, spec.software.clone());
        device
    }

    /// Lets everything happen that is due at a wall time.
    pub fn advance(&mut self, wall: Timestamp) {
        let now = self.clock.fleet(wall);
        while let Some((at, event)) = self.fleet.queue.pop_due(now) {
            match event {
                Event::Revert { device, part, version, old } => {
                    self.fleet.revert(&device, part, &version, old);
                }
                Event::Iotda { account, task, step } => {
                    self.iotda.step(&mut self.fleet, account, task, step, at);
                }
            }
        }
    }

    /// Answers a request to the clouds; `wall` is the gateway's clock as long as no fault makes it wrong.
    pub fn handle(&mut self, request: &WireRequest, wall: Timestamp) -> Outcome {
        self.advance(wall);
        let route = Route::of(request.method, &request.path);
        let operation = route.as_ref().map_or("unknown", |route| route.operation.as_str());
        let plan = self.faults.plan(operation);
        let end = match plan.before {
            Some(act) => self.struck(act, None),
            None if self.faults.is_storm(wall) => End::Reply(iotda::storm(&self.fault_id())),
            None => {
                let fleet = self.clock.fleet(wall);
                let times = Times { wall: self.faults.gateway_time(wall), fleet };
                let factor = i32::try_from(self.clock.factor().max(1)).unwrap_or(i32::MAX);
                let lag = plan.stale.map(|lag| lag / factor);
                let reply = self.iotda.handle(&mut self.fleet, route, request, times, lag);
                match plan.after {
                    Some(act) => self.struck(act, Some(reply)),
                    None => End::Reply(reply),
                }
            }
        };
        self.count(operation, &end, wall);
        Outcome { delay: plan.delay, end }
    }

    fn struck(&self, act: Act, reply: Option<WireResponse>) -> End {
        let mut reply = reply.unwrap_or_else(|| WireResponse {
            status: 200,
            headers: Vec::new(),
            body: Vec::new().into(),
        });
        match act {
            Act::Reset => End::Reset,
            Act::Hang => End::Hang,
            Act::Truncated => End::Truncated(reply),
            Act::Garbage => {
                reply.body = "<html>It works!</html>".into();
                End::Reply(reply)
            }
            Act::Status(status) => {
                let mut error = iotda::refused(
                    &iotda::codes::INTERNAL,
                    "An injected fault.".to_owned(),
                    &self.fault_id(),
                );
                error.status = status;
                End::Reply(error)
            }
        }
    }

    fn fault_id(&self) -> String {
        draw::hex_id(self.fleet.seed, 32, &["fault", &self.total_calls().to_string()])
    }

    fn count(&mut self, operation: &str, end: &End, wall: Timestamp) {
        self.recent.push_back(wall);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let end = match end {
            End::Reply(reply) => reply.status.to_string(),
            End::Truncated(_) => "truncated".to_owned(),
            End::Reset => "reset".to_owned(),
            End::Hang => "hang".to_owned(),
        };
        let calls = self.counters.entry(operation.to_owned()).or_default();
        calls.total += 1;
        *calls.by_end.entry(end).or_default() += 1;
    }

    /// Calls by operation since the start or the last reset.
    #[must_use]
    pub const fn counters(&self) -> &BTreeMap<String, Calls> {
        &self.counters
    }

    /// Calls of one operation, such as `CreateOtaPackage`.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.counters.get(operation).map_or(0, |calls| calls.total)
    }

    /// Calls of all operations.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.counters.values().map(|calls| calls.total).sum()
    }

    /// Wall times of the last 10,000 calls since the start or the last reset, oldest first.
    #[must_use]
    pub const fn recent_calls(&self) -> &VecDeque<Timestamp> {
        &self.recent
    }

    /// Counts from zero again.
    pub fn reset_counters(&mut self) {
        self.recent.clear();
        self.counters.clear();
    }

    /// Injects a fault.
    ///
    /// # Errors
    /// [`WorldError`]: it names an operation that does not exist, or a chance that is none.
    pub fn inject(&mut self, fault: Fault, wall: Timestamp) -> Result<(), WorldError> {
        let known =
            |name: &str| name == "*" || iotda::Operation::ALL.iter().any(|known| known.as_str() == name);
        if !known(&fault.operation) {
            return Err(WorldError(format!(
                "operation {}: no such operation (try CreateBatchTask)",
                fault.operation
            )));
        }
        if fault.probability.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err(WorldError("probability: must be from 0 to 1".to_owned()));
        }
        if matches!(fault.kind, Kind::ExpireTokens {}) {
            self.iotda.expire_tokens();
        }
        self.faults.inject(fault, wall);
        Ok(())
    }

    /// Takes all faults away.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Faults that will still strike.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        self.faults.active()
    }

    /// Lets fleet time jump forward, and everything happen in between.
    pub fn step(&mut self, by: SignedDuration, wall: Timestamp) {
        self.clock.step(wall, by);
        self.advance(wall);
    }

    /// Lets fleet time run this many times faster than wall time from now on; 0 stops it.
    pub fn set_factor(&mut self, factor: u32, wall: Timestamp) {
        self.advance(wall);
        self.clock.set_factor(wall, factor);
    }

    /// How many times faster fleet time runs.
    #[must_use]
    pub const fn factor(&self) -> u32 {
        self.clock.factor()
    }

    /// Replaces what devices do when they are sent a version.
    ///
    /// # Errors
    /// [`WorldError`]: shares of one behaviour add up to more than 100%.
    pub fn set_behaviours(&mut self, behaviours: Vec<world::Behaviour>) -> Result<(), WorldError> {
        behaviours.iter().try_for_each(world::Behaviour::check)?;
        self.fleet.set_behaviours(behaviours);
        Ok(())
    }
}
