//! Upgrade tasks: create, list, show, sub tasks. There is no call that stops one: [`stop`] is the portal's button.

use super::{
    App, OceanConnect, codes,
    packages::{PAGE, Package},
    request::{Answer, Handled, Refusal, Request, parse_time, text, texts},
    spec::Product,
    task::{Execute, Sub, SubStatus, Task},
};
use crate::simulator::{draw, fleet::Fleet, fleet::Part};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

const MOST_TARGETS: usize = 256;
const SHORTEST_PERIOD: SignedDuration = SignedDuration::from_mins(5);

/// POST `/operations/firmwareUpgrade` and `/operations/softwareUpgrade`.
///
/// # Errors
/// A field breaks its rule; an unknown package, device or group.
pub fn create(
    cloud: &mut OceanConnect,
    fleet: &mut Fleet,
    app: usize,
    part: Part,
    request: &Request<'_>,
) -> Handled {
    let body = request.json_or(&codes::BAD_REQUEST)?;
    let now = request.times.fleet;
    let holder = cloud.app(app)?;
    let file = text(&body, "fileId").ok_or_else(|| Refusal::new(&codes::BAD_REQUEST, "fileId is null."))?;
    let targets = body.get("targets").and_then(Value::as_object).ok_or(&codes::NO_TARGETS)?;
    let named = read_targets(targets)?;
    let (execute, retries, policy) = read_policy(&body, now)?;
    let package = holder.packages.iter().find(|package| package.id == file && package.part() == part);
    let package = package.ok_or_else(|| Refusal::new(&codes::NO_FILE, format!("fileId {file}.")))?.clone();
    let devices = holder.devices_of(&named, &package)?;
    let id = draw::hex_id(cloud.seed, 24, &["operation", &cloud.number().to_string()]);
    let sub_id = |device: &str| draw::hex_id(cloud.seed, 24, &["sub operation", &id, device]);
    let sub = |device: String| Sub {
        id: sub_id(&device),
        device,
        status: SubStatus::Wait,
        attempt: 0,
        detail: String::new(),
        started: None,
        stopped: None,
        retried: false,
    };
    let subs = devices.into_iter().map(sub).collect();
    let (created, created_wall) = (now, request.times.wall);
    let targets = Value::Object(targets.clone());
    let (is_stopped, answer) = (false, json!({"operationId": id}));
    let task = Task {
        id,
        part,
        package,
        execute,
        retries,
        subs,
        created,
        created_wall,
        is_stopped,
        targets,
        policy,
    };
    let tasks = &mut cloud.app_mut(app)?.tasks;
    tasks.push(task);
    let index = tasks.len() - 1;
    cloud.upgrade(fleet, app, index, now, |upgrade| {
        upgrade.launch();
    });
    Ok(Answer::json(cloud.switches.create_status, &answer))
}

/// What `targets` names.
enum Named {
    Devices(Vec<String>),
    /// Names, and the product that is mandatory beside them.
    Groups(Vec<String>, Product),
}

fn read_targets(targets: &Map<String, Value>) -> Result<Named, Refusal> {
    let list = |name: &str| {
        texts(targets, name, &codes::BAD_REQUEST).map(|list| list.filter(|list| !list.is_empty()))
    };
    let named = match (list("devices")?, list("deviceGroups")?) {
        (None, None) => return Err((&codes::NO_TARGETS).into()),
        (Some(_), Some(_)) => return Err((&codes::BOTH_TARGETS).into()),
        (Some(devices), None) => Named::Devices(devices),
        (None, Some(groups)) => {
            let field = |name: &str, code| text(targets, name).map(str::to_owned).ok_or(Refusal::from(code));
            let product = Product {
                manufacturer: field("manufacturerName", &codes::NO_MANUFACTURER)?,
                device_type: field("deviceType", &codes::NO_TYPE)?,
                model: field("model", &codes::NO_MODEL)?,
            };
            Named::Groups(groups, product)
        }
    };
    let (Named::Devices(list) | Named::Groups(list, _)) = &named;
    if list.len() > MOST_TARGETS { Err((&codes::MANY_TARGETS).into()) } else { Ok(named) }
}

/// When, how often again, and the policy as it is shown.
fn read_policy(body: &Map<String, Value>, now: Timestamp) -> Result<(Execute, u32, Value), Refusal> {
    let policy = match body.get("policy") {
        None | Some(Value::Null) => {
            return Ok((Execute::Now, 0, json!({"executeType": "now", "retryType": false})));
        }
        Some(policy) => policy.as_object().ok_or(&codes::BAD_REQUEST)?,
    };
    let execute = match text(policy, "executeType") {
        Some("now") => Execute::Now,
        Some("device_online") => Execute::DeviceOnline,
        Some("custom") => {
            let time = |name: &str| text(policy, name).and_then(parse_time).ok_or(&codes::BAD_PERIOD);
            let (start, end) = (time("startTime")?, time("endTime")?);
            check_period(start, end, now)?;
            Execute::Custom(start, end)
        }
        _ => return Err((&codes::BAD_EXECUTE_TYPE).into()),
    };
    let again = match policy.get("retryType") {
        None | Some(Value::Null) => false,
        Some(value) => value.as_bool().ok_or(&codes::BAD_REQUEST)?,
    };
    let times = policy.get("retryTimes").and_then(Value::as_u64).filter(|times| (1..=5).contains(times));
    let times = times.and_then(|times| u32::try_from(times).ok());
    let retries = if again { times.ok_or(&codes::BAD_RETRY)? } else { 0 };
    let mut shown = policy.clone();
    shown.insert("retryType".to_owned(), json!(again));
    Ok((execute, retries, Value::Object(shown)))
}

fn check_period(start: Timestamp, end: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let code = if start > end {
        &codes::START_AFTER_END
    } else if start < now {
        &codes::START_IN_PAST
    } else if end.duration_since(start) <= SHORTEST_PERIOD {
        &codes::SHORT_PERIOD
    } else {
        return Ok(());
    };
    Err(code.into())
}

impl App {
    /// The devices that a task is for, each once. Those of groups are the members of the product that is named.
    fn devices_of(&self, named: &Named, package: &Package) -> Result<Vec<String>, Refusal> {
        let mut devices: Vec<String> = Vec::new();
        match named {
            Named::Devices(ids) => {
                for id in ids {
                    let unknown = || Refusal::new(&codes::NO_FILE, format!("deviceId {id}."));
                    let device = self.devices.get(id).ok_or_else(unknown)?;
                    if device.product != package.product {
                        return Err(Refusal::new(&codes::NO_MATCH, format!("deviceId {id}.")));
                    }
                    devices.push(id.clone());
                }
            }
            Named::Groups(names, product) => {
                if *product != package.product {
                    return Err((&codes::NO_MATCH).into());
                }
                for name in names {
                    let group = self.groups.iter().find(|group| group.name == *name);
                    let unknown = || Refusal::new(&codes::BAD_REQUEST, format!("deviceGroup {name}."));
                    let members = group.ok_or_else(unknown)?.members.iter();
                    let fits = |id: &&String| self.devices.get(id).is_some_and(|d| d.product == *product);
                    devices.extend(members.filter(fits).cloned());
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        devices.retain(|id| seen.insert(id.clone()));
        if devices.is_empty() { Err((&codes::NO_TARGETS).into()) } else { Ok(devices) }
    }
}

/// GET `/operations`.
///
/// # Errors
/// A parameter breaks its rule.
pub fn list(cloud: &OceanConnect, app: usize, request: &Request<'_>) -> Handled {
    let page = request.page(PAGE.0, PAGE.1, &codes::BAD_PAGE)?;
    let kinds = ["firmware_upgrade", "software_upgrade"];
    let kind = request.choice("operationType", &kinds, &codes::BAD_REQUEST)?;
    let states = ["wait", "processing", "failed", "success", "stop"];
    let status = request.choice("operationStatus", &states, &codes::BAD_REQUEST)?;
    let filter = |name: &str| request.param(name).map(str::to_owned);
    let (device, manufacturer) = (filter("deviceId"), filter("manufacturerName"));
    let (device_type, model) = (filter("deviceType"), filter("model"));
    let keep = |task: &&Task| {
        let product = &task.package.product;
        kind.is_none_or(|kind| task.operate_type() == kind)
            && status.is_none_or(|status| task.status().as_str() == status)
            && device.as_ref().is_none_or(|device| task.find(device).is_some())
            && manufacturer.as_ref().is_none_or(|name| product.manufacturer == *name)
            && device_type.as_ref().is_none_or(|name| product.device_type == *name)
            && model.as_ref().is_none_or(|name| product.model == *name)
            && request.shows(task.created_wall)
    };
    let (rows, total) = page.of(cloud.app(app)?.tasks.iter().rev().filter(keep));
    let shown: Vec<Value> = rows.into_iter().map(Task::json).collect();
    Ok(Answer::json(200, &super::listed(&shown, page, total)))
}

/// GET `/operations/{operationId}`.
///
/// # Errors
/// No such task.
pub fn show(cloud: &OceanConnect, app: usize, id: &str) -> Handled {
    Ok(Answer::json(200, &find(cloud.app(app)?, id)?.json()))
}

/// GET `/operations/{operationId}/subOperations`.
///
/// # Errors
/// No such task, or a parameter breaks its rule.
pub fn subs(cloud: &OceanConnect, app: usize, id: &str, request: &Request<'_>) -> Handled {
    let page = request.page(PAGE.0, PAGE.1, &codes::BAD_PAGE)?;
    let states = ["wait", "processing", "fail", "success", "stop"];
    let wanted = request.choice("subOperationStatus", &states, &codes::BAD_REQUEST)?;
    let timeouts = cloud.switches.timeout_status;
    let task = find(cloud.app(app)?, id)?;
    let keep = |sub: &&Sub| wanted.is_none_or(|status| sub.wire_status(timeouts) == status);
    let (rows, total) = page.of(task.subs.iter().filter(keep));
    let shown: Vec<Value> = rows.into_iter().map(|sub| task.sub_json(sub, timeouts)).collect();
    Ok(Answer::json(200, &super::listed(&shown, page, total)))
}

fn find<'a>(app: &'a App, id: &str) -> Result<&'a Task, Refusal> {
    app.tasks.iter().find(|task| task.id == id).ok_or_else(|| (&codes::NO_TASK).into())
}
