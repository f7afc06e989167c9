//! The clouds over HTTP, and the virtual fleet behind them.
//!
//! Inside is a pure state machine: [`Simulator::handle`] takes a request and a wall time and returns how it ends. `http`
//! puts it behind a socket; a simulation may call it in process instead.
//!
//! **Invariant:** nothing below `http` reads a clock or a random source. The same world file, the same calls at the same
//! times: the same answers; and what becomes of a device depends on the seed alone.

pub mod admin;
pub mod aliyun_iot;
mod answer;
mod bucket;
pub mod clock;
mod draw;
pub mod enos;
mod event;
pub mod faults;
pub mod fleet;
pub mod form;
pub mod http;
pub mod iotda;
pub mod ocean_connect;
pub mod queue;
mod refusal;
mod request;
mod router;
pub mod service;
pub mod truth;
pub mod world;

pub use event::Event;
pub use http::{Running, serve};
pub use truth::{DeviceChange, PackageTruth, TaskTruth};
pub use world::{World, WorldError};

use crate::api::CloudKind;
use crate::cloud::{WireRequest, WireResponse};
use aliyun_iot::AliyunIot;
use clock::{FleetClock, Times};
use enos::Enos;
use faults::{Act, Fault, Faults, Kind};
use fleet::{Device, Fleet, Part, Presence};
use form::Form;
use iotda::Iotda;
use jiff::{SignedDuration, Timestamp};
use ocean_connect::{OceanConnect, UploadSpec};
use request::Received;
use serde::Serialize;
use service::{NewDevice, Service};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use world::DeviceSpec;

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

/// A world file that runs.
#[derive(Debug)]
pub struct Simulator {
    fleet: Fleet,
    /// The clouds that are served, in the order of [`CloudKind::ALL`]; at least one.
    services: Vec<Box<dyn Service>>,
    clock: FleetClock,
    faults: Faults,
    counters: BTreeMap<CloudKind, BTreeMap<String, Calls>>,
    recent: VecDeque<Timestamp>,
    events: u64,
}

/// So many calls are remembered with their times.
const RECENT: usize = 10_000;

impl Simulator {
    /// Starts a world file at a wall time.
    ///
    /// # Errors
    /// [`WorldError`] when two devices have one id, or an id is not one.
    pub fn new(world: &World, wall: Timestamp) -> Result<Self, WorldError> {
        let clock = FleetClock::new(wall, world.start.unwrap_or(wall), world.time_factor);
        let mut simulator = Self {
            fleet: Fleet::new(world),
            services: services_of(world, Times { wall, fleet: clock.fleet(wall) })?,
            clock,
            faults: Faults::new(world.seed),
            counters: BTreeMap::new(),
            recent: VecDeque::new(),
            events: 0,
        };
        let times = simulator.times(wall);
        for group in &world.groups {
            let (service, account) = holder(&mut simulator.services, group.cloud, group.account.as_deref())?;
            service.add_group(account, &group.name, group.id.as_deref(), times);
        }
        for spec in &world.devices {
            simulator.add_devices(spec, wall)?;
        }
        Ok(simulator)
    }

    /// The clouds that are served, in the order of [`CloudKind::ALL`].
    #[must_use]
    pub fn clouds(&self) -> Vec<CloudKind> {
        self.services.iter().map(|service| service.kind()).collect()
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
        let ids = spec.ids()?;
        let seed = self.fleet.seed;
        let (service, account) = holder(&mut self.services, spec.cloud, spec.account.as_deref())?;
        if service.kind() != CloudKind::Enos && !spec.attributes.is_empty() {
            let kind = service.kind();
            return Err(WorldError(format!("devices of cloud {kind}: it knows no attributes (try tags)")));
        }
        if service.kind() != CloudKind::AliyunIot && !spec.modules.is_empty() {
            let kind = service.kind();
            return Err(WorldError(format!("devices of cloud {kind}: it knows no modules")));
        }
        for id in &ids {
            if self.fleet.devices.contains_key(id) {
                return Err(WorldError(format!("device {id}: this id is taken")));
            }
            let running = Self::running(seed, spec, id);
            let DeviceSpec { tags, attributes, modules, groups, .. } = spec;
            let new = NewDevice { id, running, tags, attributes, modules, groups };
            service.add_device(&mut self.fleet, account, new, times)?;
        }
        Ok(ids.len())
    }

    fn running(seed: u64, spec: &DeviceSpec, id: &str) -> Device {
        let dead = draw::unit(seed, &["offline", id]) < spec.offline.share();
        let presence = match (dead || spec.online == Some(false), spec.online_hours) {
            (true, _) => Presence::Offline,
            (false, Some(hours)) => Presence::Daily(hours),
            (false, None) => Presence::Online,
        };
        let mut device = Device::new(spec.product.clone(), presence);
        // A device of the world file has been in the field: offline, but not inactive.
        device.activated = true;
        device.set_version(Part::Firmware, spec.firmware.clone());
        device.set_version(Part::Software, spec.software.clone());
        device
    }

    /// Lets everything happen that is due at a wall time.
    pub fn advance(&mut self, wall: Timestamp) {
        let now = self.clock.fleet(wall);
        while let Some((at, event)) = self.fleet.queue.pop_due(now) {
            self.events += 1;
            match event {
                Event::Revert { device, part, version, old } => {
                    self.fleet.revert(&device, part, &version, old);
                }
                event => {
                    let cloud = event.cloud();
                    for service in self.services.iter_mut().filter(|service| Some(service.kind()) == cloud) {
                        service.happen(&mut self.fleet, event.clone(), at);
                    }
                }
            }
        }
    }

    /// How much has happened by itself. A fleet of which this number is the same has changed by requests alone.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// What the gateways' clock shows.
    #[must_use]
    pub fn gateway_time(&self, wall: Timestamp) -> Timestamp {
        self.faults.gateway_time(wall)
    }

    /// The longest body that the cloud behind this path reads.
    #[must_use]
    pub fn max_body(&self, path: &str) -> usize {
        let service = self.services.iter().find(|service| service.serves(path));
        service.or(self.services.first()).map_or(0, |service| service.max_body())
    }

    /// Answers a request to the clouds; `wall` is the gateway's clock as long as no fault makes it wrong.
    pub fn handle(&mut self, request: &WireRequest, wall: Timestamp) -> Outcome {
        self.answer(request, None, wall)
    }

    /// Whether the form of the request with this head is read piece by piece, for [`Self::handle_upload`].
    #[must_use]
    pub fn takes_upload(&self, head: &WireRequest) -> bool {
        let service = self.services.iter().find(|service| service.serves(&head.path));
        service.is_some_and(|service| service.takes_upload(head))
    }

    /// Answers an upload whose form was read: see [`Self::takes_upload`].
    pub fn handle_upload(
        &mut self,
        head: &WireRequest,
        form: Result<Form, String>,
        wall: Timestamp,
    ) -> Outcome {
        self.answer(head, Some(form), wall)
    }

    fn answer(
        &mut self,
        request: &WireRequest,
        form: Option<Result<Form, String>>,
        wall: Timestamp,
    ) -> Outcome {
        self.advance(wall);
        // A path that no cloud serves is refused by the first one.
        let place = self.services.iter().position(|service| service.serves(&request.path)).unwrap_or(0);
        let (seed, calls) = (self.fleet.seed, self.total_calls());
        let id = || draw::hex_id(seed, 32, &["fault", &calls.to_string()]);
        let Some(service) = self.services.get_mut(place) else {
            return Outcome { delay: Duration::ZERO, end: End::Reset };
        };
        let (cloud, operation) = (service.kind(), service.operation_of(request).unwrap_or("unknown"));
        let plan = self.faults.plan(cloud, operation);
        let end = match plan.before {
            Some(act) => fault_end(service.as_ref(), act, None, &id()),
            None if self.faults.is_storm(cloud, wall) => End::Reply(service.throttled(&id())),
            None => {
                let fleet = self.clock.fleet(wall);
                let times = Times { wall: self.faults.gateway_time(wall), fleet };
                let factor = i32::try_from(self.clock.factor().max(1)).unwrap_or(i32::MAX);
                let lag = plan.stale.map(|lag| lag / factor);
                let reply = match form {
                    Some(form) => service.handle_upload(form, times),
                    None => service.handle(&mut self.fleet, Received { wire: request, times, lag }),
                };
                match plan.after {
                    Some(act) => fault_end(service.as_ref(), act, Some(reply), &id()),
                    None => End::Reply(reply),
                }
            }
        };
        self.count(cloud, operation, &end, wall);
        Outcome { delay: plan.delay, end }
    }

    fn count(&mut self, cloud: CloudKind, operation: &str, end: &End, wall: Timestamp) {
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
        let calls = self.counters.entry(cloud).or_default().entry(operation.to_owned()).or_default();
        calls.total += 1;
        *calls.by_end.entry(end).or_default() += 1;
    }

    /// Calls by cloud and operation since the start or the last reset.
    #[must_use]
    pub const fn counters_by_cloud(&self) -> &BTreeMap<CloudKind, BTreeMap<String, Calls>> {
        &self.counters
    }

    /// Calls by operation since the start or the last reset, of all clouds together.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, Calls> {
        let mut all: BTreeMap<String, Calls> = BTreeMap::new();
        for (operation, calls) in self.counters.values().flatten() {
            let sum = all.entry(operation.clone()).or_default();
            sum.total += calls.total;
            for (end, count) in &calls.by_end {
                *sum.by_end.entry(end.clone()).or_default() += count;
            }
        }
        all
    }

    /// Calls of one operation, such as `CreateOtaPackage`.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        let of_cloud = |calls: &BTreeMap<String, Calls>| calls.get(operation).map_or(0, |calls| calls.total);
        self.counters.values().map(of_cloud).sum()
    }

    /// Calls of all operations of all clouds.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.counters.values().flatten().map(|(_, calls)| calls.total).sum()
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

    /// Uploads a package as people do it in a cloud's portal; gives its id.
    ///
    /// # Errors
    /// [`WorldError`]: no cloud with such a portal is served, or there is something wrong with the package.
    pub fn upload_by_hand(&mut self, package: &UploadSpec, wall: Timestamp) -> Result<String, WorldError> {
        self.advance(wall);
        let times = self.times(wall);
        let (service, _) = holder(&mut self.services, Some(CloudKind::OceanConnect), None)?;
        service.upload_by_hand(package, times)
    }

    /// Stops a task as people do it in a cloud's portal; false when no cloud has such a task and such a button.
    pub fn stop_by_hand(&mut self, task: &str, wall: Timestamp) -> bool {
        self.advance(wall);
        let now = self.times(wall).fleet;
        let fleet = &mut self.fleet;
        self.services.iter_mut().any(|service| service.stop_by_hand(fleet, task, now))
    }

    /// Injects a fault.
    ///
    /// # Errors
    /// [`WorldError`]: it names an operation that does not exist, or a chance that is none.
    pub fn inject(&mut self, fault: Fault, wall: Timestamp) -> Result<(), WorldError> {
        let fits = |service: &&mut Box<dyn Service>| fault.cloud.is_none_or(|cloud| service.kind() == cloud);
        let mut services = self.services.iter_mut().filter(fits).peekable();
        if services.peek().is_none() {
            return Err(not_served(fault.cloud));
        }
        if fault.operation != "*"
            && !services.any(|service| service.operations().contains(&fault.operation.as_str()))
        {
            return Err(WorldError(format!(
                "operation {}: no such operation (try CreateBatchTask)",
                fault.operation
            )));
        }
        if fault.probability.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err(WorldError("probability: must be from 0 to 1".to_owned()));
        }
        if matches!(fault.kind, Kind::ExpireTokens {}) {
            self.services.iter_mut().filter(fits).for_each(|service| service.expire_tokens());
        }
        self.faults.inject(fault, wall);
        Ok(())
    }

    /// Takes all faults away.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Faults that are still injected.
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

/// The clouds of a world file, without devices yet.
fn services_of(world: &World, times: Times) -> Result<Vec<Box<dyn Service>>, WorldError> {
    let mut services: Vec<Box<dyn Service>> = Vec::new();
    if let Some(spec) = &world.clouds.huawei_iotda {
        services.push(Box::new(Iotda::new(world, spec)));
    }
    if let Some(spec) = &world.clouds.ocean_connect {
        services.push(Box::new(OceanConnect::new(spec, world.seed, times)?));
    }
    if let Some(spec) = &world.clouds.aliyun_iot {
        services.push(Box::new(AliyunIot::new(world, spec)));
    }
    if let Some(spec) = &world.clouds.enos {
        services.push(Box::new(Enos::new(world, spec)));
    }
    Ok(services)
}

/// The account of this name in this cloud; of the first cloud that is served, and its first account, when none is named.
fn holder<'s>(
    services: &'s mut [Box<dyn Service>],
    cloud: Option<CloudKind>,
    account: Option<&str>,
) -> Result<(&'s mut Box<dyn Service>, usize), WorldError> {
    let fits = |service: &&mut Box<dyn Service>| cloud.is_none_or(|cloud| service.kind() == cloud);
    let service = services.iter_mut().find(fits).ok_or_else(|| not_served(cloud))?;
    let unknown = || WorldError(format!("account {}: no account has this id", account.unwrap_or_default()));
    let account = service.account(account).ok_or_else(unknown)?;
    Ok((service, account))
}

fn not_served(cloud: Option<CloudKind>) -> WorldError {
    let name = cloud.map_or("any", CloudKind::as_str);
    WorldError(format!("cloud {name}: this world does not serve it (see clouds)"))
}

/// What the caller sees of a fault in place of the answer, or after it.
fn fault_end(service: &dyn Service, act: Act, reply: Option<WireResponse>, id: &str) -> End {
    let mut reply =
        reply.unwrap_or_else(|| WireResponse { status: 200, headers: Vec::new(), body: Vec::new().into() });
    match act {
        Act::Reset => End::Reset,
        Act::Hang => End::Hang,
        Act::Truncated => End::Truncated(reply),
        Act::Garbage => {
            reply.body = "<html>It works!</html>".into();
            End::Reply(reply)
        }
        Act::Status(status) => End::Reply(service.failed(status, id)),
    }
}
