//! Batch tasks: create, list, show, stop, retry, confirm, delete.

use super::{
    Account, Iotda, codes,
    paging::{Page, PageQuery, Record},
    request::{
        Answer, DEVICE_ID, Fields, GROUP_ID, Handled, ID, Refusal, Request, Rule, id_char, invalid,
        is_chinese, parse_time,
    },
    task::{NewTask, Shown, Status, SubStatus, Task, Used},
    upgrade::Upgrade,
};
use crate::simulator::{draw, fleet::Fleet, fleet::Part, world::Policy};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const TYPES: [&str; 13] = [
    "softwareUpgrade",
    "firmwareUpgrade",
    "moduleUpgrade",
    "createDevices",
    "deleteDevices",
    "freezeDevices",
    "unfreezeDevices",
    "createCommands",
    "createAsyncCommands",
    "createMessages",
    "updateDeviceShadows",
    "updateDevices",
    "changeGateway",
];

const MOST_TARGETS: usize = 30_000;
const MOST_ORDERED: usize = 100;
const SHOWN: [&str; 9] = [
    "task_name",
    "task_type",
    "task_mode",
    "need_confirm",
    "task_ext_info",
    "targets",
    "targets_filter",
    "document",
    "task_policy",
];

/// The batch tasks of an account.
#[derive(Debug, Default)]
pub struct Tasks {
    rows: BTreeMap<Record, Task>,
    by_id: BTreeMap<String, Record>,
}

impl Tasks {
    /// A task by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Task> {
        self.rows.get(self.by_id.get(id)?)
    }

    /// A task by its record.
    pub fn at(&mut self, record: Record) -> Option<&mut Task> {
        self.rows.get_mut(&record)
    }

    /// All tasks, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Task> {
        self.rows.values()
    }

    /// Records of the tasks that have this device and are not final.
    #[must_use]
    pub fn with_open(&self, device: &str) -> Vec<(Record, u32)> {
        let open = self.rows.iter().filter(|(_, task)| !task.status.is_final());
        open.filter_map(|(record, task)| Some((*record, task.find(device)?))).collect()
    }
}

/// POST `/batchtasks`.
///
/// # Errors
/// A field breaks its rule; an unknown package, group or (when the world file rejects those) device.
pub fn create(iotda: &mut Iotda, fleet: &mut Fleet, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_object()?;
    let fields = Fields::new(&body);
    let part = read_type(fields)?;
    let name_rule = Rule::new(128, |c| c.is_ascii_alphanumeric() || c == '_' || is_chinese(c));
    fields.required("task_name", &name_rule)?;
    fields.one_of("task_mode", &["GATEWAY"])?;
    let app = fields.text("app_id", &ID)?;
    let need_confirm = fields.boolean("need_confirm")?.unwrap_or(false);
    if let Some(info) = fields.object("task_ext_info")? {
        Rule::any(512).check("task_ext_info", &json!(info).to_string())?;
    }
    let (begin_at, retry) = read_policy(fields, request.times.fleet)?;
    let targets = read_targets(iotda.account(account)?, fleet, fields, request.times.fleet)?;
    if iotda.switches.unknown_targets == Policy::Reject
        && let Some(id) = targets.iter().find(|id| !iotda.holds_device(account, id))
    {
        return Err(Refusal::new(&codes::NO_DEVICE, format!("device_id {id}.")));
    }
    let holder = iotda.account(account)?;
    holder.check_app(app)?;
    let app = app.unwrap_or(&holder.spec.app_id).to_owned();
    let packages = read_packages(holder, fields, part)?;
    let shown =
        SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), fields.get(name)?.clone()))).collect();
    let count = u32::try_from(targets.len()).unwrap_or(u32::MAX);
    let first_row = iotda.records.reserve(request.times.fleet, count);
    let record = iotda.records.reserve(request.times.fleet, 1);
    let id = draw::hex_id(iotda.seed, 24, &["task", &record.to_string()]);
    let new = NewTask { id, part, app, packages, retry, begin_at, need_confirm, targets, shown };
    let task = Task::new(new, first_row, request.times.fleet, request.times.wall);
    let answer = Answer::json(201, &task.json(true));
    let tasks = &mut iotda.account_mut(account)?.tasks;
    tasks.by_id.insert(task.id.clone(), record);
    tasks.rows.insert(record, task);
    iotda.upgrade(fleet, account, record, request.times.fleet, |upgrade| {
        upgrade.launch();
    });
    Ok(answer)
}

fn read_type(fields: Fields<'_>) -> Result<Part, Refusal> {
    match fields.one_of("task_type", &TYPES)? {
        Some("firmwareUpgrade") => Ok(Part::Firmware),
        Some("softwareUpgrade") => Ok(Part::Software),
        Some(other) => Err(Refusal::new(&codes::NOT_SIMULATED, format!("task_type {other}."))),
        None => Err(invalid("task_type is mandatory.")),
    }
}

type Schedule = (Timestamp, Option<(u32, SignedDuration)>);

fn read_policy(fields: Fields<'_>, now: Timestamp) -> Result<Schedule, Refusal> {
    let Some(policy) = fields.object("task_policy")? else { return Ok((now, None)) };
    let policy = Fields { map: policy, path: "task_policy." };
    let begin_at = match policy.text("schedule_time", &Rule::any(64))? {
        Some(text) => parse_time("task_policy.schedule_time", text)?,
        None => now,
    };
    if begin_at.duration_since(now) > SignedDuration::from_hours(7 * 24) {
        return Err(invalid("task_policy.schedule_time must be within 7 days."));
    }
    let count = policy.integer("retry_count", 0, 5)?.and_then(|count| u32::try_from(count).ok());
    let interval = policy.integer("retry_interval", 0, 1440)?.and_then(|minutes| i64::try_from(minutes).ok());
    match (count, interval) {
        (Some(count), Some(minutes)) => Ok((begin_at, Some((count, SignedDuration::from_mins(minutes))))),
        (None, None) => Ok((begin_at, None)),
        _ => Err(invalid("task_policy.retry_count and task_policy.retry_interval must be given together.")),
    }
}

/// `targets` before `targets_filter`; a device named twice counts once (assumed).
fn read_targets(
    account: &Account,
    fleet: &Fleet,
    fields: Fields<'_>,
    now: Timestamp,
) -> Result<Vec<String>, Refusal> {
    let targets = fields.texts("targets", MOST_TARGETS, &DEVICE_ID)?;
    let filter = fields.object("targets_filter")?;
    let given: Vec<String> = match (targets, filter) {
        (Some(targets), _) => targets,
        (None, Some(filter)) => {
            let filter = Fields { map: filter, path: "targets_filter." };
            let groups = filter.texts("group_ids", MOST_TARGETS, &GROUP_ID)?;
            let groups = groups.ok_or_else(|| invalid("targets_filter.group_ids is mandatory."))?;
            members(account, fleet, &groups, now)?
        }
        (None, None) => return Err(invalid("one of targets and targets_filter is mandatory.")),
    };
    let mut seen = BTreeSet::new();
    let targets: Vec<String> = given.into_iter().filter(|id| seen.insert(id.clone())).collect();
    match targets.len() {
        0 => Err(invalid("the task has no targets.")),
        count if count > MOST_TARGETS => {
            Err(invalid(format!("{count} targets are more than {MOST_TARGETS}.")))
        }
        _ => Ok(targets),
    }
}

fn members(
    account: &Account,
    fleet: &Fleet,
    groups: &[String],
    now: Timestamp,
) -> Result<Vec<String>, Refusal> {
    let mut all = BTreeSet::new();
    for id in groups {
        let group =
            account.groups.get(id).ok_or_else(|| invalid(format!("group_id {id} does not exist.")))?;
        all.extend(account.group_members(fleet, group, now));
    }
    Ok(all.iter().filter_map(|record| account.devices.at(*record)).map(|device| device.id.clone()).collect())
}

/// `document`: `package_ids` (SDK 3.1.185 and later) or `package_id` (up to 3.1.170).
fn read_packages(account: &Account, fields: Fields<'_>, part: Part) -> Result<Vec<Used>, Refusal> {
    let document = fields.object("document")?.ok_or_else(|| invalid("document is mandatory."))?;
    let document = Fields { map: document, path: "document." };
    let rule = Rule::new(36, |c| id_char(c) && c != '_');
    let ids = match document.texts("package_ids", 50, &rule)? {
        Some(ids) => ids,
        None => document.text("package_id", &rule)?.map(str::to_owned).into_iter().collect(),
    };
    if ids.is_empty() {
        return Err(invalid("document.package_ids is mandatory."));
    }
    let used = |id: String| {
        let package =
            account.packages.get(&id).ok_or_else(|| invalid(format!("package_id {id} does not exist.")))?;
        if package.part() != Some(part) {
            return Err(invalid(format!("package_id {id} is a {}.", package.kind)));
        }
        let (product, version) = (package.product.clone(), package.version.clone());
        Ok(Used { id, product, version, sources: package.sources.clone() })
    };
    ids.into_iter().map(used).collect()
}

#[derive(Serialize)]
struct Listed<'a> {
    batchtasks: Vec<BTreeMap<&'a str, Shown<'a>>>,
    page: Value,
}

#[derive(Serialize)]
struct TaskWithSubs<'a> {
    batchtask: BTreeMap<&'a str, Shown<'a>>,
    page: Value,
    task_details: Vec<Value>,
}

/// GET `/batchtasks`.
///
/// # Errors
/// A parameter breaks its rule; `task_type` is mandatory.
pub fn list(iotda: &mut Iotda, account: usize, request: &Request<'_>) -> Handled {
    let page = PageQuery::read(request)?;
    let app = request.checked_param("app_id", &ID)?;
    let kind = request.param("task_type").filter(|kind| TYPES.contains(kind));
    let kind = kind.ok_or_else(|| invalid(format!("task_type must be one of {}.", TYPES.join(", "))))?;
    let status = match request.param("status") {
        None => None,
        Some(text) => {
            Some(Status::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
                invalid(format!("status must be one of {}.", Status::ALL.map(Status::as_str).join(", ")))
            })?)
        }
    };
    let with_targets = iotda.switches.list_task_targets;
    let account = iotda.account(account)?;
    account.check_app(app)?;
    let rows = &account.tasks.rows;
    let keep = |task: &Task| {
        kind == format!("{}Upgrade", task.part.as_str())
            && status.is_none_or(|status| task.status == status)
            && request.shows(task.created_wall)
    };
    let count = rows.values().filter(|task| keep(task)).count();
    let below = rows.range(..page.marker).rev().filter(|(_, task)| keep(task)).map(|(record, _)| *record);
    let page = page.page(below, count);
    let shown = page.rows.iter().filter_map(|row| rows.get(row)).map(|task| task.json(with_targets));
    Ok(Answer::json(200, &Listed { batchtasks: shown.collect(), page: page.json() }))
}

/// GET `/batchtasks/{task_id}`; paging is that of `task_details`.
///
/// # Errors
/// No such task, or a parameter breaks its rule.
pub fn show(iotda: &mut Iotda, account: usize, id: &str, request: &Request<'_>) -> Handled {
    let query = PageQuery::read(request)?;
    let target = request.checked_param("target", &DEVICE_ID)?;
    let status = match request.param("task_detail_status") {
        None => None,
        Some(text) => {
            Some(SubStatus::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
                invalid(format!(
                    "task_detail_status must be one of {}.",
                    SubStatus::ALL.map(SubStatus::as_str).join(", ")
                ))
            })?)
        }
    };
    let task =
        iotda.account(account)?.tasks.get(check_id(id)?).ok_or_else(|| Refusal::new(&codes::NO_TASK, ""))?;
    let page = details(task, &query, status, target);
    let shown: Vec<Value> = page.rows.iter().filter_map(|row| task.detail(index_of(task, *row))).collect();
    Ok(Answer::json(
        200,
        &TaskWithSubs { batchtask: task.json(true), page: page.json(), task_details: shown },
    ))
}

fn details(task: &Task, query: &PageQuery, status: Option<SubStatus>, target: Option<&str>) -> Page {
    let fits =
        |index: u32| status.is_none_or(|status| task.sub(index).is_some_and(|sub| sub.status == status));
    let row = |index: u32| task.first_row.plus(index);
    let ahead = |record: &Record| *record < query.marker;
    if let Some(target) = target {
        let found: Vec<Record> =
            task.find(target).filter(|index| fits(*index)).map(row).into_iter().collect();
        return query.page(found.iter().copied().filter(ahead), found.len());
    }
    match status {
        Some(status) => {
            let found = task.in_status(&[status]);
            query.page(found.iter().rev().copied().map(row).filter(ahead), found.len())
        }
        None => {
            let below = task.first_row.distance(query.marker).min(task.subs().len());
            let below = (0..u32::try_from(below).unwrap_or(u32::MAX)).rev().map(row);
            query.page(below, task.subs().len())
        }
    }
}

fn index_of(task: &Task, row: Record) -> u32 {
    u32::try_from(task.first_row.distance(row)).unwrap_or(u32::MAX)
}

/// The three orders to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stop what is open.
    Stop,
    /// Run failed and stopped sub tasks again.
    Retry,
    /// Let go what waits for it.
    Confirm,
}

impl Order {
    const fn allowed_in(self, status: Status) -> bool {
        match self {
            Self::Stop | Self::Confirm => !status.is_final() && !matches!(status, Status::Stopping),
            Self::Retry => matches!(status, Status::Fail | Status::PartialSuccess | Status::Processing),
        }
    }

    const fn applies_to(self) -> &'static [SubStatus] {
        match self {
            Self::Stop => &[SubStatus::Processing, SubStatus::Waitting, SubStatus::FailWaitRetry],
            Self::Retry => &[SubStatus::Fail, SubStatus::FailWaitRetry, SubStatus::Stopped],
            Self::Confirm => &[SubStatus::Waitting],
        }
    }

    fn applies(self, task: &Task, index: u32) -> bool {
        let sub = task.sub(index);
        sub.is_some_and(|sub| self.applies_to().contains(&sub.status) && (self != Self::Confirm || sub.held))
    }
}

/// POST `/batchtasks/{task_id}/stop`, `/retry` and `/confirm`.
///
/// # Errors
/// No such task; not allowed in its state; more than 100 targets. A single target that is not allowed is a `failure`
/// inside a 200.
pub fn order(
    iotda: &mut Iotda,
    fleet: &mut Fleet,
    account: usize,
    id: &str,
    order: Order,
    request: &Request<'_>,
) -> Handled {
    let body = if request.body.is_empty() { Map::new() } else { request.json_object()? };
    let targets = Fields::new(&body).texts("targets", MOST_ORDERED, &DEVICE_ID)?;
    if targets.as_ref().is_some_and(Vec::is_empty) {
        return Err(invalid("targets must not be empty; leave it out to mean all."));
    }
    let holder = iotda.account(account)?;
    let record =
        holder.tasks.by_id.get(check_id(id)?).copied().ok_or_else(|| Refusal::new(&codes::NO_TASK, ""))?;
    let task = holder.tasks.rows.get(&record).ok_or_else(|| Refusal::new(&codes::NO_TASK, ""))?;
    if !order.allowed_in(task.status) {
        return Err(Refusal::new(&codes::NOT_ALLOWED, format!("The task is {}.", task.status.as_str())));
    }
    let (chosen, refused) = choose(task, order, targets.as_deref());
    let success = chosen.iter().filter_map(|index| task.sub(*index)).map(|sub| sub.target.clone());
    let mut results: Vec<Value> =
        success.map(|target| json!({"target": target, "status": "success"})).collect();
    results.extend(refused);
    let whole = targets.is_none();
    iotda.upgrade(fleet, account, record, request.times.fleet, |upgrade| {
        carry_out(upgrade, order, &chosen, whole);
    });
    Ok(Answer::json(200, &json!({"targets": results})))
}

fn choose(task: &Task, order: Order, targets: Option<&[String]>) -> (Vec<u32>, Vec<Value>) {
    let Some(targets) = targets else {
        let all = task.in_status(order.applies_to());
        return (all.into_iter().filter(|index| order.applies(task, *index)).collect(), Vec::new());
    };
    let (mut chosen, mut refused) = (Vec::new(), Vec::new());
    for target in targets {
        match task.find(target).filter(|index| order.applies(task, *index) && !chosen.contains(index)) {
            Some(index) => chosen.push(index),
            None => refused.push(json!({
                "target": target,
                "status": "failure",
                "error_code": codes::NOT_ALLOWED.code,
                "error_msg": codes::NOT_ALLOWED.text,
            })),
        }
    }
    (chosen, refused)
}

fn carry_out(upgrade: &mut Upgrade<'_>, order: Order, chosen: &[u32], whole: bool) {
    match order {
        Order::Stop => {
            chosen.iter().for_each(|index| upgrade.stop_sub(*index));
            if whole {
                upgrade.stop_all();
            }
        }
        Order::Retry => {
            if !chosen.is_empty() {
                upgrade.task.status = Status::Processing;
            }
            chosen.iter().for_each(|index| upgrade.retry_sub(*index));
        }
        Order::Confirm => chosen.iter().for_each(|index| upgrade.confirm_sub(*index)),
    }
    upgrade.task.settle();
}

/// DELETE `/batchtasks/{task_id}`.
///
/// # Errors
/// No such task, or it is not final.
pub fn delete(iotda: &mut Iotda, account: usize, id: &str) -> Handled {
    let tasks = &mut iotda.account_mut(account)?.tasks;
    let status = tasks.get(check_id(id)?).map(|task| task.status);
    match status {
        None => Err(Refusal::new(&codes::NO_TASK, "")),
        Some(status) if !status.is_final() => {
            Err(Refusal::new(&codes::NOT_ALLOWED, format!("The task is {}.", status.as_str())))
        }
        Some(_) => {
            if let Some(record) = tasks.by_id.remove(id) {
                tasks.rows.remove(&record);
            }
            Ok(Answer::empty(204))
        }
    }
}

fn check_id(id: &str) -> Result<&str, Refusal> {
    let rule = Rule::new(24, |c| matches!(c, 'a'..='f' | '0'..='9'));
    rule.check("task_id", id).map(|()| id)
}
