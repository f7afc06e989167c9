//! Jobs: create, get, search, start, stop, delete.

use super::{
    Account, Enos, codes,
    expression::{Allowed, Expression, Use},
    firmwares::{Firmware, i18n},
    job::{Job, Kind, Plan, Used},
    request::{Answer, Fields, Handled, PageQuery, Refusal, Request},
    schedule::Schedule,
    scope::{Filter, Scope},
    spec::NewJobs,
    upgrade::Step,
};
use crate::simulator::{draw, fleet::Fleet, world::Policy};
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

/// Most devices of a verification when the firmware sets no limit (console of 2019).
const MOST_TO_VERIFY: i64 = 5;
const SHOWN: [&str; 8] = [
    "name",
    "type",
    "enableUpgradeRequest",
    "upgradePolicy",
    "upgradeScope",
    "upgradeTimeout",
    "retryPolicy",
    "schedulePolicy",
];

/// The jobs of an account, oldest first.
#[derive(Debug, Default)]
pub struct Jobs(Vec<Job>);

impl Jobs {
    /// All jobs, oldest first; deleted ones, too.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.0.iter()
    }

    /// A job by its number.
    pub fn at(&mut self, number: usize) -> Option<&mut Job> {
        self.0.get_mut(number)
    }

    /// How many there have been.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    fn push(&mut self, job: Job) -> usize {
        self.0.push(job);
        self.0.len() - 1
    }

    /// The number of the job with this id.
    ///
    /// # Errors
    /// There is none, or it has been deleted.
    pub fn number(&self, id: &str) -> Result<usize, Refusal> {
        let found = self.0.iter().position(|job| job.id == id && !job.is_deleted);
        found.ok_or_else(|| Refusal::new(&codes::NO_JOB, ""))
    }

    /// The job with this id.
    ///
    /// # Errors
    /// There is none, or it has been deleted.
    pub fn get(&self, id: &str) -> Result<&Job, Refusal> {
        self.number(id).map(|number| &self.0[number])
    }
}

/// POST `action=create`.
///
/// # Errors
/// A field breaks its rule; the firmware does not allow the job.
pub fn create(enos: &mut Enos, fleet: &mut Fleet, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_or_empty()?;
    let fields = Fields { map: &body, path: "" };
    let firmware = enos.accounts[account].firmware(request.required("firmwareId")?)?.clone();
    let plan = read(fields, &firmware, enos.switches.policy_upgrade)?;
    check_verification(&plan, &firmware)?;
    if let (Filter::Keys(keys), Policy::Reject) = (&plan.scope.filter, enos.switches.unknown_targets)
        && keys.iter().any(|key| enos.accounts[account].devices.get(key).is_none())
    {
        return Err(Refusal::new(&codes::NO_DEVICE, ""));
    }
    let mut shown: Map<String, Value> =
        SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), fields.get(name)?.clone()))).collect();
    shown.entry("upgradeTimeout").or_insert(json!(plan.timeout.as_secs()));
    shown.insert("maximumConcurrency".to_owned(), json!(plan.most_at_once));
    let (kind, scheduled) = (plan.kind, plan.schedule.is_some());
    let runs = scheduled || enos.switches.new_jobs == NewJobs::Started;
    let number = enos.number();
    let id = draw::hex_id(enos.seed, 24, &["enos job", &number.to_string()]);
    let job = Job::new(id.clone(), plan, runs, request.times, shown);
    if kind == Kind::Verify {
        supersede(enos, fleet, account, &firmware.id, request);
    }
    let number = enos.accounts[account].jobs.push(job);
    enos.upgrade(fleet, account, number, request.times, |upgrade| upgrade.step(Step::Launch));
    Ok(Answer::data(json!({"jobId": id})))
}

/// A new verification ends the one before it (console of 2019).
fn supersede(enos: &mut Enos, fleet: &mut Fleet, account: usize, firmware: &str, request: &Request<'_>) {
    let is_old =
        |job: &Job| job.plan.kind == Kind::Verify && job.plan.firmware.id == firmware && !job.is_deleted;
    for number in 0..enos.accounts[account].jobs.len() {
        if enos.accounts[account].jobs.at(number).is_some_and(|job| is_old(job) && job.has_open_tasks()) {
            enos.upgrade(fleet, account, number, request.times, |upgrade| upgrade.step(Step::Superseded));
        }
    }
}

fn read(fields: Fields<'_>, firmware: &Firmware, policy_upgrade: Policy) -> Result<Plan, Refusal> {
    let kind = match fields.need("type", fields.one_of("type", &["verify", "upgrade"])?)? {
        "verify" => Kind::Verify,
        _ => Kind::Upgrade,
    };
    fields.name("name")?;
    let scope = Scope::read(fields, kind, &firmware.version)?;
    let timeout = fields.integer("upgradeTimeout", 300, 172_800)?.unwrap_or(7200);
    let policies: &[&str] = match policy_upgrade {
        Policy::Reject => &["snapshot", "incremental"],
        Policy::Allow => &["snapshot", "incremental", "upgrade"],
    };
    let policy = fields.one_of("upgradePolicy", policies)?;
    let on_request = fields.boolean("enableUpgradeRequest")?;
    if kind == Kind::Upgrade {
        fields.need("upgradePolicy", policy)?;
        fields.need("enableUpgradeRequest", on_request)?;
    }
    Ok(Plan {
        kind,
        firmware: Used {
            id: firmware.id.clone(),
            name: json!({"defaultValue": firmware.name, "i18nValue": {}}),
            version: firmware.version.clone(),
            product: firmware.product.clone(),
        },
        scope,
        grows: policy == Some("incremental"),
        timeout: SignedDuration::from_secs(timeout),
        retry: read_retry(fields)?,
        schedule: Schedule::read(fields)?,
        most_at_once: fields.integer("maximumConcurrency", 1, i64::from(i32::MAX))?.unwrap_or(300) as usize,
    })
}

fn read_retry(fields: Fields<'_>) -> Result<Option<(i64, SignedDuration)>, Refusal> {
    let Some(map) = fields.object("retryPolicy")? else { return Ok(None) };
    let fields = Fields { map, path: "retryPolicy." };
    let count = fields.integer("retryCount", 1, 5)?;
    let interval = fields.integer("retryInterval", 0, 86_400)?;
    if !fields.boolean("enableRetry")?.unwrap_or(false) {
        return Ok(None);
    }
    let interval = fields.need("retryInterval", interval)?;
    Ok(Some((fields.need("retryCount", count)?, SignedDuration::from_secs(interval))))
}

fn check_verification(plan: &Plan, firmware: &Firmware) -> Result<(), Refusal> {
    match (&plan.scope.filter, plan.kind) {
        (_, Kind::Upgrade) if firmware.needs_verification && !firmware.is_verified => {
            Err(Refusal::new(&codes::NOT_VERIFIED, ""))
        }
        (Filter::Keys(keys), Kind::Verify) => {
            let most = firmware.most_to_verify.unwrap_or(MOST_TO_VERIFY);
            let fits = i64::try_from(keys.len()).is_ok_and(|count| count <= most);
            let text = format!("{}[{most}]", codes::TOO_MANY_TO_VERIFY.text);
            let refusal = Refusal { text: "", ..Refusal::new(&codes::TOO_MANY_TO_VERIFY, text) };
            if fits { Ok(()) } else { Err(refusal) }
        }
        _ => Ok(()),
    }
}

/// GET `action=get`.
///
/// # Errors
/// No such job.
pub fn get(enos: &Enos, account: usize, request: &Request<'_>) -> Handled {
    let holder = &enos.accounts[account];
    let job = holder.jobs.get(request.required("jobId")?)?;
    Ok(Answer::data(job.json(&holder.spec.org_id, job.is_started)))
}

const JOB_FIELDS: Allowed = &[
    ("productKey", Use::In),
    ("firmwareId", Use::In),
    ("firmwareVersion", Use::In),
    ("type", Use::Equal),
    ("status", Use::Equal),
    ("name", Use::Like),
    ("name.", Use::Like),
    ("firmwareName", Use::Like),
    ("firmwareName.", Use::Like),
];

fn field(job: &Job, is_started: bool, name: &str) -> Option<String> {
    match name {
        "productKey" => job.plan.firmware.product.clone(),
        "firmwareId" => Some(job.plan.firmware.id.clone()),
        "firmwareVersion" => Some(job.plan.firmware.version.clone()),
        "type" => Some(job.plan.kind.as_str().to_owned()),
        "status" => Some(if is_started { "started" } else { "stopped" }.to_owned()),
        _ if name.starts_with("firmwareName") => i18n(&job.plan.firmware.name, name),
        _ => i18n(job.shown.get("name")?, name),
    }
}

/// POST `action=search`: newest first; what was ordered a moment ago is not shown yet.
///
/// # Errors
/// Expression or page break a rule.
pub fn search(enos: &Enos, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_or_empty()?;
    let fields = Fields { map: &body, path: "" };
    let page = PageQuery::read(fields)?;
    let expression = Expression::parse(fields.text("expression")?, JOB_FIELDS)?;
    let seen = |job: &Job| {
        if request.has_settled(enos.settle(), job.ordered) { job.is_started } else { job.was_started }
    };
    let shown = |job: &&Job| {
        let started = seen(job);
        !job.is_deleted
            && request.has_settled(enos.settle(), job.created)
            && expression.holds(&|name| field(job, started, name))
    };
    let holder = &enos.accounts[account];
    let rows = holder.jobs.iter().rev().filter(shown);
    let rows: Vec<_> = rows.map(|job| move || job.json(&holder.spec.org_id, seen(job))).collect();
    Ok(page.answer(&rows))
}

/// A change of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `action=start`
    Start,
    /// `action=stop`
    Stop,
    /// `action=delete`
    Delete,
}

/// POST `action=start`, `stop` and `delete`.
///
/// # Errors
/// No such job, or its status is against it.
pub fn order(
    enos: &mut Enos,
    fleet: &mut Fleet,
    account: usize,
    order: Order,
    request: &Request<'_>,
) -> Handled {
    let (number, job) = find(&mut enos.accounts[account], request)?;
    let refused = match (order, job.is_started) {
        (Order::Start, true) => Some(&codes::STARTED),
        (Order::Stop, false) => Some(&codes::STOPPED),
        (Order::Delete, true) => Some(&codes::RUNNING),
        _ => None,
    };
    if let Some(code) = refused {
        return Err(Refusal::new(code, ""));
    }
    match order {
        // Assumed: a task that no device has begun is deleted with its job; no document settles it.
        Order::Delete => {
            job.is_deleted = true;
            enos.upgrade(fleet, account, number, request.times, |upgrade| upgrade.step(Step::Superseded));
        }
        Order::Start | Order::Stop => {
            job.order(order == Order::Start, request.times);
            enos.upgrade(fleet, account, number, request.times, |upgrade| upgrade.step(Step::Pump));
        }
    }
    Ok(Answer::default())
}

/// The job that a call names.
///
/// # Errors
/// No such job.
pub fn find<'a>(account: &'a mut Account, request: &Request<'_>) -> Result<(usize, &'a mut Job), Refusal> {
    let number = account.jobs.number(request.required("jobId")?)?;
    account.jobs.at(number).map(|job| (number, job)).ok_or_else(|| Refusal::new(&codes::NO_JOB, ""))
}
