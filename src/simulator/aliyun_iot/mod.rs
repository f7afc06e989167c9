//! Alibaba Cloud IoT Platform, product `Iot`, version `2018-01-20`: the cloud's side of the wire, as a pure state machine.
//!
//! A request passes `action` ▸ `auth` ▸ throttling ▸ a handler, which reads its parameters by the documented rules
//! and answers or refuses, in one of two envelopes (`codes`). The client's wire types are not used here: a mistake in
//! them must not meet its mirror image.

mod action;
mod auth;
pub mod codes;
mod devices;
mod firmware;
mod job;
mod jobs;
mod modules;
mod object_store;
mod request;
mod service;
mod spec;
mod tasks;
mod upgrade;
mod xml;

pub use action::Action;
pub use firmware::Firmware;
pub use job::{Job, JobStatus, Purpose, Task, TaskStatus};
pub use object_store::PREFIX as STORE;
pub use spec::{AliyunAccount, AliyunSpec, SchemeName};
pub use upgrade::Step;

use super::{
    answer::Answer,
    bucket::Bucket,
    draw,
    fleet::Fleet,
    request::{Received, header},
    router,
    world::{Policy, World},
};
use crate::cloud::{
    WireRequest, WireResponse,
    aliyun_iot::sign::{self, Subject},
};
use devices::{Devices, Group, Key};
use jiff::Timestamp;
use modules::Module;
use object_store::Object;
use request::{Handled, Refusal, Request};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use upgrade::Upgrade;

/// The module that is the whole device.
pub const DEFAULT_MODULE: &str = "default";
/// The module whose version is the software of a device of the world file.
pub const SOFTWARE_MODULE: &str = "software";
/// Longest body of a call: a form of 200 names is a tenth of it.
pub const MAX_BODY: usize = 256 * 1024;

/// One account.
#[derive(Debug)]
pub struct Account {
    /// Region, instance and keys.
    pub spec: AliyunAccount,
    /// Packages, oldest first.
    pub firmwares: BTreeMap<u64, Firmware>,
    /// Jobs, oldest first.
    pub jobs: BTreeMap<u64, Job>,
    /// Registered devices.
    pub devices: Devices,
    /// Uploaded files by key.
    pub objects: BTreeMap<String, Object>,
    modules: BTreeMap<(String, String), Module>,
    groups: BTreeMap<String, Group>,
    /// Keys that may be uploaded to.
    keys: BTreeSet<String>,
    task_ids: BTreeMap<String, (u64, u32)>,
    /// Devices, or modules of them, that have a task: the job and the place of the task.
    busy: BTreeMap<(String, String), (u64, u32)>,
    buckets: BTreeMap<Action, Bucket>,
    nonces: BTreeMap<String, Timestamp>,
}

impl Account {
    fn new(spec: AliyunAccount) -> Self {
        Self {
            spec,
            firmwares: BTreeMap::new(),
            jobs: BTreeMap::new(),
            devices: Devices::default(),
            objects: BTreeMap::new(),
            modules: BTreeMap::new(),
            groups: BTreeMap::new(),
            keys: BTreeSet::new(),
            task_ids: BTreeMap::new(),
            busy: BTreeMap::new(),
            buckets: BTreeMap::new(),
            nonces: BTreeMap::new(),
        }
    }

    /// The version of a module that a device runs.
    #[must_use]
    pub fn version(&self, fleet: &Fleet, key: &Key, module: &str) -> Option<String> {
        let running = fleet.devices.get(&key.1)?;
        match module {
            DEFAULT_MODULE => running.firmware.clone(),
            SOFTWARE_MODULE => running.software.clone(),
            other => self.devices.get(key)?.modules.get(other).cloned(),
        }
    }

    fn set_version(&mut self, fleet: &mut Fleet, key: &Key, module: &str, version: Option<String>) {
        if matches!(module, DEFAULT_MODULE | SOFTWARE_MODULE) {
            if let Some(running) = fleet.devices.get_mut(&key.1) {
                running.set_version(upgrade::part_of(module), version);
            }
        } else if let Some(device) = self.devices.get_mut(key) {
            match version {
                Some(version) => device.modules.insert(module.to_owned(), version),
                None => device.modules.remove(module),
            };
        }
    }
}

/// The whole cloud.
#[derive(Debug)]
pub struct AliyunIot {
    /// Its accounts, in the order of the world file.
    pub accounts: Vec<Account>,
    seed: u64,
    switches: AliyunSpec,
    /// Product names by key.
    products: BTreeMap<String, String>,
    numbers: u64,
    tokens_end: bool,
}

/// An id in the form of the cloud's: 22 letters and digits, and a tail.
fn opaque_id(seed: u64, parts: &[&str]) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digest = draw::digest(seed, parts);
    let letter =
        |byte: &u8| DIGITS.get(usize::from(*byte) % DIGITS.len()).map_or('0', |digit| char::from(*digit));
    let body: String = digest.iter().take(22).map(letter).collect();
    format!("{body}0100")
}

impl AliyunIot {
    /// The cloud of a world file, without devices yet.
    #[must_use]
    pub fn new(world: &World, switches: &AliyunSpec) -> Self {
        Self {
            accounts: switches.accounts.iter().cloned().map(Account::new).collect(),
            seed: world.seed,
            switches: switches.clone(),
            products: world.product_names(),
            numbers: 0,
            tokens_end: false,
        }
    }

    fn next(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn account(&self, index: usize) -> Result<&Account, Refusal> {
        self.accounts.get(index).ok_or_else(|| Refusal::new(&codes::FORBIDDEN, ""))
    }

    fn account_mut(&mut self, index: usize) -> Result<&mut Account, Refusal> {
        self.accounts.get_mut(index).ok_or_else(|| Refusal::new(&codes::FORBIDDEN, ""))
    }

    fn product_name<'a>(&'a self, key: &'a str) -> &'a str {
        self.products.get(key).map_or(key, String::as_str)
    }

    /// A world file without products allows any.
    fn check_product(&self, key: &str) -> Result<(), Refusal> {
        let known = self.products.is_empty() || self.products.contains_key(key);
        if known || self.switches.unknown_products == Policy::Allow {
            Ok(())
        } else {
            Err(Refusal::new(&codes::NO_PRODUCT, key))
        }
    }

    fn upgrade<T>(
        &mut self,
        fleet: &mut Fleet,
        index: usize,
        now: Timestamp,
        act: impl FnOnce(&mut Upgrade<'_>) -> T,
    ) -> Option<T> {
        let account = self.accounts.get_mut(index)?;
        Some(act(&mut Upgrade { index, account, fleet, now }))
    }

    fn reply(&mut self, fleet: &mut Fleet, received: Received<'_>) -> WireResponse {
        let Received { wire, times, .. } = received;
        let id = self.request_id();
        if wire.path.starts_with(STORE) {
            return self.post_object(object_store::read(wire), times.wall, times.fleet, &id);
        }
        let query = sign::parse_query(&wire.query);
        let form = form_of(wire);
        let parameters: BTreeMap<String, String> = query.iter().chain(&form).cloned().collect();
        let action = action_name(wire, &parameters).unwrap_or_default().to_owned();
        let (style, handled) = match Style::of(wire, &parameters) {
            Err(refusal) => (Style::Json, Err(refusal)),
            Ok(style) => {
                let call = Read { received, query: &query, form: &form, parameters, action: &action };
                (style, self.dispatch(fleet, call))
            }
        };
        respond(handled, &action, style, host_of(wire), &id)
    }

    fn request_id(&mut self) -> String {
        let number = self.next();
        let hex = draw::hex_id(self.seed, 32, &["request", &number.to_string()]).to_uppercase();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }

    fn dispatch(&mut self, fleet: &mut Fleet, call: Read<'_>) -> Handled {
        let Read { received, query, form, parameters, action } = call;
        let Received { wire, times, lag } = received;
        if !matches!(wire.method, "GET" | "POST") {
            return Err(Refusal::new(&codes::METHOD, ""));
        }
        if action.is_empty() {
            return Err(Refusal::missing("Action"));
        }
        let version = header(wire, "x-acs-version").or(parameters.get("Version").map(String::as_str));
        match version {
            None => return Err(Refusal::missing("Version")),
            Some(sign::VERSION) => {}
            Some(_) => return Err(Refusal::new(&codes::VERSION, "")),
        }
        let action = Action::named(action).ok_or_else(|| Refusal::new(&codes::NO_ACTION, ""))?;
        let subject = Subject {
            method: wire.method,
            path: &wire.path,
            query,
            headers: &wire.headers,
            body: &wire.body,
        };
        let index = self.authenticate(&subject, form, times.wall)?;
        self.admit(index, action, times.wall)?;
        let request = Request { parameters, host: host_of(wire), times, lag };
        let own = self.account(index)?.spec.iot_instance_id.as_deref();
        if request.get("IotInstanceId") != own {
            return Err(Refusal::new(&codes::NO_INSTANCE, ""));
        }
        action.answer(router::Call { cloud: self, fleet, account: index, id: "", request: &request })
    }
}

/// What was read of one request.
struct Read<'a> {
    received: Received<'a>,
    query: &'a [(String, String)],
    form: &'a [(String, String)],
    parameters: BTreeMap<String, String>,
    action: &'a str,
}

fn host_of(request: &WireRequest) -> &str {
    header(request, "host").unwrap_or("localhost")
}

fn form_of(request: &WireRequest) -> sign::Pairs {
    let is_form = header(request, "content-type")
        .is_some_and(|kind| kind.trim_start().starts_with("application/x-www-form-urlencoded"));
    if is_form { sign::parse_query(&String::from_utf8_lossy(&request.body)) } else { Vec::new() }
}

fn action_name<'a>(wire: &'a WireRequest, parameters: &'a BTreeMap<String, String>) -> Option<&'a str> {
    header(wire, "x-acs-action").or(parameters.get("Action").map(String::as_str))
}

/// The action of a request, if there is one.
#[must_use]
pub fn operation_of(wire: &WireRequest) -> Option<&'static str> {
    if wire.path.starts_with(STORE) {
        return Some(Action::PostObject.as_str());
    }
    let parameters = sign::parse_query(&wire.query).into_iter().chain(form_of(wire)).collect();
    action_name(wire, &parameters).and_then(Action::named).map(Action::as_str)
}

/// How an answer is written.
#[derive(Clone, Copy, Debug)]
enum Style {
    Json,
    Xml,
}

impl Style {
    /// `Format` decides, then `Accept`, then JSON. (The documented default is XML; no client that signs omits both.)
    fn of(wire: &WireRequest, parameters: &BTreeMap<String, String>) -> Result<Self, Refusal> {
        let accepts_xml = header(wire, "accept").is_some_and(|accept| {
            accept.contains("xml") && !accept.contains("html") && !accept.contains("json")
        });
        match parameters.get("Format").map(|format| format.to_ascii_uppercase()).as_deref() {
            Some("JSON") => Ok(Self::Json),
            Some("XML") => Ok(Self::Xml),
            Some(_) => Err(Refusal::new(&codes::FORMAT, "")),
            None if accepts_xml => Ok(Self::Xml),
            None => Ok(Self::Json),
        }
    }

    fn write(self, status: u16, root: &str, body: &Value) -> WireResponse {
        let (kind, body) = match self {
            Self::Json => ("application/json;charset=utf-8", body.to_string()),
            Self::Xml => ("text/xml;charset=utf-8", xml::document(root, body)),
        };
        Answer { body: body.into(), ..Answer::empty(status) }.on_wire(kind)
    }
}

fn respond(handled: Handled, action: &str, style: Style, host: &str, id: &str) -> WireResponse {
    let (status, root, members) = match handled {
        Ok(members) => (200, format!("{action}Response"), envelope(id, true, members)),
        Err(refusal @ Refusal { status: 200, .. }) => {
            let members = [("Code", json!(refusal.code)), ("ErrorMessage", json!(refusal.message()))];
            let members = request::members(members);
            (200, format!("{action}Response"), envelope(id, false, members))
        }
        Err(refusal) => {
            let code = &refusal.code;
            let advice = format!("https://api.aliyun.com/troubleshoot?q={code}&product=Iot&requestId={id}");
            let members = request::members([
                ("RequestId", json!(id)),
                ("HostId", json!(host)),
                ("Code", json!(code)),
                ("Message", json!(refusal.message())),
                ("Recommend", json!(advice)),
            ]);
            (refusal.status, "Error".to_owned(), members)
        }
    };
    let mut answer = style.write(status, &root, &Value::Object(members));
    answer.headers.push(("x-acs-request-id".to_owned(), id.to_owned()));
    answer
}

fn envelope(id: &str, success: bool, members: Map<String, Value>) -> Map<String, Value> {
    let mut whole = request::members([("RequestId", json!(id)), ("Success", json!(success))]);
    whole.extend(members);
    whole
}
