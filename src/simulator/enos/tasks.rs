//! Tasks of jobs: search, cancel, retry.

use super::{
    Enos, codes,
    expression::{Allowed, Expression, Use},
    job::{Job, Status, Task},
    jobs,
    request::{Answer, Fields, Handled, PageQuery, Refusal, Request},
    upgrade::Step,
};
use crate::simulator::fleet::Fleet;

const TASK_FIELDS: Allowed = &[
    ("jobId", Use::In),
    ("deviceKey", Use::In),
    ("fromVersion", Use::In),
    ("toVersion", Use::In),
    ("status", Use::In),
    ("desc", Use::In),
];

fn field(job: &Job, task: &Task, name: &str) -> Option<String> {
    match name {
        "jobId" => Some(job.id.clone()),
        "deviceKey" => Some(task.device.clone()),
        "fromVersion" => task.from.clone(),
        "toVersion" => Some(job.plan.firmware.version.clone()),
        "status" => Some(task.status.as_str().to_owned()),
        "desc" => Some(task.desc.clone()),
        _ => None,
    }
}

/// POST `action=searchTask`. *Assumed*: newest job first, and in a job in the order in which devices came into it.
///
/// # Errors
/// Expression or page break a rule.
pub fn search(enos: &Enos, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_or_empty()?;
    let fields = Fields { map: &body, path: "" };
    let page = PageQuery::read(fields)?;
    let expression = Expression::parse(fields.text("expression")?, TASK_FIELDS)?;
    let wanted = expression.only("jobId");
    let holder = &enos.accounts[account];
    let organisation = &holder.spec.org_id;
    let jobs = holder.jobs.iter().rev();
    let jobs = jobs.filter(|job| !job.is_deleted && wanted.is_none_or(|id| job.id == id));
    let tasks = jobs.flat_map(|job| job.tasks().iter().map(move |task| (job, task)));
    let shown = tasks.filter(|(job, task)| {
        request.has_settled(enos.settle(), task.created) && expression.holds(&|name| field(job, task, name))
    });
    let rows: Vec<_> = shown
        .map(|(job, task)| {
            let asset = holder.devices.get(&task.device).map_or("", |device| device.asset.as_str());
            move || job.task_json(task, organisation, asset)
        })
        .collect();
    Ok(page.answer(&rows))
}

/// A change of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `action=cancelTask`
    Cancel,
    /// `action=retryTask`
    Retry,
}

/// POST `action=cancelTask` and `retryTask`. *Assumed*: all devices or none.
///
/// # Errors
/// No such job, it does not run, or the status of a task is against it.
pub fn order(
    enos: &mut Enos,
    fleet: &mut Fleet,
    account: usize,
    order: Order,
    request: &Request<'_>,
) -> Handled {
    let body = request.json_or_empty()?;
    let fields = Fields { map: &body, path: "" };
    let keys = fields.need("deviceKeys", fields.texts("deviceKeys")?)?;
    let (number, job) = jobs::find(&mut enos.accounts[account], request)?;
    if !job.is_started {
        return Err(Refusal::new(&codes::NOT_RUNNING, ""));
    }
    let (allowed, code): (&[Status], _) = match order {
        Order::Cancel => (&[Status::Init, Status::Published], &codes::NOT_CANCELABLE),
        Order::Retry => (&[Status::Failed], &codes::NOT_RETRYABLE),
    };
    let fits = |key: &String| {
        let index = job.find(key)?;
        job.task(index).filter(|task| allowed.contains(&task.status)).map(|_| index)
    };
    let found: Option<Vec<u32>> = keys.iter().map(fits).collect();
    let found = found.ok_or_else(|| Refusal::new(code, ""))?;
    enos.upgrade(fleet, account, number, request.times, |upgrade| {
        for index in found {
            match order {
                Order::Cancel => upgrade.cancel(index),
                Order::Retry => upgrade.retry(index),
            }
        }
        upgrade.step(Step::Pump);
    });
    Ok(Answer::default())
}
