//! Jobs and tasks that exist: query, list, cancel, confirm, run again.

use super::{
    Account, AliyunIot, codes, devices,
    job::{Job, JobStatus, Purpose, TaskStatus},
    request::{DEVICE_NAME, Handled, ID, MODULE, Paging, Refusal, Request, invalid, members},
};
use crate::simulator::fleet::Fleet;
use serde_json::{Map, Value, json};

const MOST_TASK_IDS: usize = 10;
/// `DeviceNames` of ListOTATaskByJob.
const MOST_NAMES: usize = 50;
/// `CurrentPage` × `PageSize` of ListOTATaskByJob.
const DEEPEST: usize = 100_000;
/// Statuses that ListOTAUnfinishedTaskByDevice knows.
const UNFINISHED: [&str; 4] = ["CONFIRM", "QUEUED", "NOTIFIED", "IN_PROGRESS"];

impl Account {
    /// # Errors
    /// There is no such job.
    fn job(&self, id: &str) -> Result<(u64, &Job), Refusal> {
        let found = self.jobs.iter().find(|(_, job)| job.id == id);
        found.map(|(record, job)| (*record, job)).ok_or_else(|| Refusal::new(&codes::NO_JOB, id))
    }
}

/// QueryOTAJob.
///
/// # Errors
/// Unknown job.
pub fn query_job(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let (_, job) = cloud.account(index)?.job(request.required("JobId", &ID)?)?;
    let mut whole = job.whole();
    if let Some(group) = job.settings.group.as_ref().and_then(|id| cloud.account(index).ok()?.groups.get(id))
    {
        whole.insert("GroupName".to_owned(), json!(group.name));
    }
    Ok(members([("Data", json!(whole))]))
}

/// ListOTAJobByFirmware: newest first (*assumed*).
///
/// # Errors
/// Unknown package, or a parameter breaks its rule.
pub fn jobs_by_firmware(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    jobs(cloud, index, request, 200, |_| true)
}

/// ListOTAJobByDevice.
///
/// # Errors
/// Unknown package or device, or a parameter breaks its rule.
pub fn jobs_by_device(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let (_, name) = devices::named(cloud, index, request)?;
    jobs(cloud, index, request, 100, |job| job.tasks.iter().any(|task| task.device == name))
}

fn jobs(
    cloud: &AliyunIot,
    index: usize,
    request: &Request<'_>,
    most: usize,
    keep: impl Fn(&Job) -> bool,
) -> Handled {
    let paging = Paging::read(request, 10, most)?;
    let id = request.required("FirmwareId", &ID)?;
    let account = cloud.account(index)?;
    account.firmware(id)?;
    let fits = |job: &&Job| job.firmware == id && request.shows(job.created_wall) && keep(job);
    let found: Vec<&Job> = account.jobs.values().rev().filter(fits).collect();
    let (page, mut answer) = paging.of(found, "CurrentPage");
    let rows: Vec<Map<String, Value>> = page.into_iter().map(Job::row).collect();
    answer.insert("Data".to_owned(), json!({"SimpleOTAJobInfo": rows}));
    Ok(answer)
}

/// ListOTATaskByJob. At most 50 names; where names are given, pages do not count: all of their tasks come at once.
///
/// # Errors
/// Unknown job, a parameter breaks its rule, or too deep.
pub fn tasks_by_job(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let (_, job) = cloud.account(index)?.job(request.required("JobId", &ID)?)?;
    let names = request.list("DeviceNames", MOST_NAMES, &DEVICE_NAME)?;
    let status = request.one_of("TaskStatus", &TaskStatus::ALL.map(TaskStatus::as_str))?;
    let fits = |task: &&super::Task| {
        status.is_none_or(|status| task.status.as_str() == status)
            && (names.is_empty() || names.contains(&task.device))
    };
    let found: Vec<&super::Task> = job.tasks.iter().filter(fits).collect();
    let paging = if names.is_empty() { task_pages(request)? } else { Paging::all_of(found.len()) };
    let (page, mut answer) = paging.of(found, "CurrentPage");
    let product = cloud.product_name(&job.product);
    let rows: Vec<_> = page.into_iter().map(|task| job.task_row(task, product)).collect();
    answer.insert("Data".to_owned(), json!({"SimpleOTATaskInfo": rows}));
    Ok(answer)
}

fn task_pages(request: &Request<'_>) -> Result<Paging, Refusal> {
    let paging = Paging::read(request, 10, 100)?;
    if paging.reach() > DEEPEST {
        return Err(Refusal::new(&codes::PAGE, format!("CurrentPage x PageSize is at most {DEEPEST}.")));
    }
    Ok(paging)
}

/// ListOTAUnfinishedTaskByDevice: without pages.
///
/// # Errors
/// Unknown device, or a parameter breaks its rule.
pub fn unfinished_by_device(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let (product, name) = devices::named(cloud, index, request)?;
    let module = request.text("ModuleName", &MODULE)?;
    let mut statuses = request.list("TaskStatusList", 4, &ID)?;
    statuses.extend(request.text("TaskStatus", &ID)?.map(str::to_owned));
    if let Some(status) = statuses.iter().find(|status| !UNFINISHED.contains(&status.as_str())) {
        return Err(invalid(format!("TaskStatus {status} is not one of {}.", UNFINISHED.join(", "))));
    }
    let account = cloud.account(index)?;
    let jobs = account
        .jobs
        .values()
        .filter(|job| job.product == product && module.is_none_or(|module| job.module == module));
    let mut rows = Vec::new();
    for job in jobs {
        let open = job.tasks.iter().filter(|task| task.device == name && !task.status.is_final());
        let selected = open.filter(|task| {
            statuses.is_empty() || statuses.iter().any(|status| status == task.status.as_str())
        });
        rows.extend(selected.map(|task| job.unfinished_row(task, cloud.product_name(&job.product))));
    }
    Ok(members([("Data", json!({"SimpleOTATaskInfo": rows}))]))
}

/// CancelOTAStrategyByJob: dynamic jobs only; their tasks go on.
///
/// # Errors
/// Unknown job, another kind of job, or one that is over.
pub fn cancel_strategy(
    cloud: &mut AliyunIot,
    fleet: &mut Fleet,
    index: usize,
    request: &Request<'_>,
) -> Handled {
    let (record, job) = cloud.account(index)?.job(request.required("JobId", &ID)?)?;
    if job.purpose != Purpose::Dynamic || job.status.is_final() {
        return Err(Refusal::new(&codes::STATE, "Only a dynamic job that runs has a strategy to cancel."));
    }
    cloud.upgrade(fleet, index, request.times.fleet, |upgrade| upgrade.cancel_strategy(record));
    Ok(Map::new())
}

/// CancelOTATaskByJob: flags select the tasks; one of them must be given.
///
/// # Errors
/// Unknown job, or no flag.
pub fn cancel_by_job(
    cloud: &mut AliyunIot,
    fleet: &mut Fleet,
    index: usize,
    request: &Request<'_>,
) -> Handled {
    let (record, job) = cloud.account(index)?.job(request.required("JobId", &ID)?)?;
    let flag = |name: &str| request.boolean(name);
    let scheduled = flag("CancelScheduledTask")?;
    let (queued, unconfirmed) = (flag("CancelQueuedTask")?, flag("CancelUnconfirmedTask")?);
    let (notified, in_progress) = (flag("CancelNotifiedTask")?, flag("CancelInProgressTask")?);
    if [scheduled, queued, unconfirmed, notified, in_progress].iter().all(Option::is_none) {
        return Err(invalid("at least one of the five flags must be given."));
    }
    let is_planned = job.status == JobStatus::Planned;
    // Queued ones without a word on unconfirmed ones means both.
    let confirm = unconfirmed.or(queued) == Some(true);
    let chosen = [
        (TaskStatus::Confirm, confirm || (is_planned && scheduled == Some(true))),
        (TaskStatus::Queued, if is_planned { scheduled == Some(true) } else { queued == Some(true) }),
        (TaskStatus::Notified, notified == Some(true)),
        (TaskStatus::InProgress, in_progress == Some(true)),
    ];
    let statuses: Vec<TaskStatus> =
        chosen.into_iter().filter(|(_, is_meant)| *is_meant).map(|(status, _)| status).collect();
    cloud.upgrade(fleet, index, request.times.fleet, |upgrade| {
        upgrade.cancel(record, &statuses, "Canceled");
    });
    Ok(Map::new())
}

/// CancelOTATaskByDevice: tasks of these devices that are not over, of one job or of all jobs of the package.
///
/// # Errors
/// Unknown package or job, or a parameter breaks its rule.
pub fn cancel_by_device(
    cloud: &mut AliyunIot,
    fleet: &mut Fleet,
    index: usize,
    request: &Request<'_>,
) -> Handled {
    let firmware = request.required("FirmwareId", &ID)?;
    let product = request.required("ProductKey", &ID)?;
    let only = request.text("JobId", &ID)?;
    let names = request.list("DeviceName", 200, &DEVICE_NAME)?;
    if names.is_empty() {
        return Err(Refusal::missing("DeviceName.1"));
    }
    let account = cloud.account(index)?;
    account.firmware(firmware)?;
    let only = only.map(|id| account.job(id)).transpose()?.map(|(record, _)| record);
    let mut found = Vec::new();
    for (record, job) in &account.jobs {
        let fits =
            job.firmware == firmware && job.product == product && only.is_none_or(|only| only == *record);
        let tasks = job.tasks.iter().zip(0..).filter(|(task, _)| fits && names.contains(&task.device));
        found.extend(tasks.map(|(_, place)| (*record, place)));
    }
    cloud.upgrade(fleet, index, request.times.fleet, |upgrade| {
        for (record, place) in found {
            upgrade.cancel_task(record, place);
        }
    });
    Ok(Map::new())
}

/// Tasks that a call names, with their jobs.
fn task_ids(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Result<Vec<(u64, u32)>, Refusal> {
    let ids = request.list("TaskId", MOST_TASK_IDS, &ID)?;
    if ids.is_empty() {
        return Err(Refusal::missing("TaskId.1"));
    }
    let account = cloud.account(index)?;
    let find =
        |id: &String| account.task_ids.get(id).copied().ok_or_else(|| Refusal::new(&codes::NO_TASK, id));
    ids.iter().map(find).collect()
}

fn status_of(account: &Account, (record, place): (u64, u32)) -> Option<TaskStatus> {
    let task = account.jobs.get(&record)?.tasks.get(usize::try_from(place).ok()?)?;
    Some(task.status)
}

/// ConfirmOTATask: all of them or none (*assumed*).
///
/// # Errors
/// Unknown task, or one that does not wait to be confirmed.
pub fn confirm(cloud: &mut AliyunIot, fleet: &mut Fleet, index: usize, request: &Request<'_>) -> Handled {
    let tasks = task_ids(cloud, index, request)?;
    let account = cloud.account(index)?;
    if !tasks.iter().all(|task| status_of(account, *task) == Some(TaskStatus::Confirm)) {
        return Err(Refusal::new(&codes::STATE, "A task does not wait to be confirmed."));
    }
    cloud.upgrade(fleet, index, request.times.fleet, |upgrade| {
        tasks.into_iter().for_each(|(record, place)| upgrade.confirm(record, place));
    });
    Ok(Map::new())
}

/// ReupgradeOTATask: tasks of one job that failed or were cancelled (*assumed*: those two).
///
/// # Errors
/// Unknown job or task, or one that cannot run again.
pub fn reupgrade(cloud: &mut AliyunIot, fleet: &mut Fleet, index: usize, request: &Request<'_>) -> Handled {
    let (record, _) = cloud.account(index)?.job(request.required("JobId", &ID)?)?;
    let tasks = task_ids(cloud, index, request)?;
    let account = cloud.account(index)?;
    let may = |task: &(u64, u32)| {
        let status = status_of(account, *task);
        task.0 == record && matches!(status, Some(TaskStatus::Failed | TaskStatus::Canceled))
    };
    if !tasks.iter().all(may) {
        return Err(Refusal::new(
            &codes::STATE,
            "A task of this job that failed or was cancelled is wanted.",
        ));
    }
    cloud.upgrade(fleet, index, request.times.fleet, |upgrade| {
        tasks.into_iter().for_each(|(record, place)| upgrade.reupgrade(record, place));
    });
    Ok(Map::new())
}
