//! How a job passes through the fleet, event by event.
//!
//! Documented: a task waits until its device is connected; success is the device reporting the target version; the
//! timeout's clock starts at the first progress report, is never restarted, and a timeout is a failure without retry; a
//! device that has a task already makes a later one fail at once, unless that one overwrites and the first has not
//! begun. *Assumed*, because no document settles it: a failure that will be retried is `QUEUED` once more; a device that is
//! not pushed checks by itself within an hour; what `ScheduleFinishTime` finds unfinished is `CANCELED`; a job all of whose
//! tasks are `CANCELED` is, too; a verification that is cancelled has failed.

use super::{
    Account,
    job::{Job, JobStatus, Purpose, Task, TaskStatus},
};
use crate::simulator::{
    Event, draw,
    fleet::{Fate, Fleet, Part},
};
use jiff::{SignedDuration, Timestamp};

const POLL: SignedDuration = SignedDuration::from_hours(1);
/// Matches of one device in one dynamic job.
const MOST_MATCHES: u32 = 10;

/// Something that happens in an account.
#[derive(Clone, Debug)]
pub enum Step {
    /// A job's time has come.
    Begin(u64),
    /// A job's time is over.
    Finish(u64),
    /// Something happens to a task of a job, if it still is at this attempt.
    Task(u64, u32, u32, TaskStep),
    /// A device reverts to its old version of a module, if it still runs the new one.
    Revert {
        /// Product and name.
        device: (String, String),
        /// Module.
        module: String,
        /// The new version.
        version: String,
        /// The old one.
        old: Option<String>,
    },
}

/// Something that happens to a task.
#[derive(Clone, Debug)]
pub enum TaskStep {
    /// It is pushed to its device, if that is connected.
    Push,
    /// Its device reports for the first time.
    Answered(Fate),
    /// Its device reports the target version; and reverts after that time.
    Installed(Option<SignedDuration>),
    /// The cloud believes in the target version, which the device does not run.
    Lied,
    /// Its device reports a failure.
    Failed(String),
    /// It took too long.
    TimedOut,
}

/// An account in the hands of the fleet, at one instant.
pub struct Upgrade<'a> {
    /// Index of the account.
    pub index: usize,
    /// The account.
    pub account: &'a mut Account,
    /// The fleet.
    pub fleet: &'a mut Fleet,
    /// Fleet time.
    pub now: Timestamp,
}

impl Upgrade<'_> {
    /// Lets something happen.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Begin(job) => self.begin(job),
            Step::Finish(job) => {
                let open =
                    [TaskStatus::Confirm, TaskStatus::Queued, TaskStatus::Notified, TaskStatus::InProgress];
                self.cancel(job, &open, "The job has ended");
            }
            Step::Task(job, index, attempt, step) => {
                if self
                    .task(job, index)
                    .is_some_and(|task| task.attempt == attempt && !task.status.is_final())
                {
                    self.task_step(job, index, step);
                    self.settle(job);
                }
            }
            Step::Revert { device, module, version, old } => {
                if self.account.version(self.fleet, &device, &module).as_ref() == Some(&version) {
                    self.account.set_version(self.fleet, &device, &module, old);
                    self.reported(&device, &module);
                }
            }
        }
    }

    fn job(&mut self, job: u64) -> Option<&mut Job> {
        self.account.jobs.get_mut(&job)
    }

    fn task(&mut self, job: u64, index: u32) -> Option<&mut Task> {
        self.job(job)?.tasks.get_mut(usize::try_from(index).ok()?)
    }

    fn after(&mut self, wait: SignedDuration, step: Step) {
        let at = self.now.checked_add(wait).unwrap_or(Timestamp::MAX);
        self.fleet.queue.schedule(at, Event::AliyunIot { account: self.index, step });
    }

    fn task_after(&mut self, wait: SignedDuration, job: u64, index: u32, step: TaskStep) {
        let attempt = self.task(job, index).map_or(0, |task| task.attempt);
        self.after(wait, Step::Task(job, index, attempt, step));
    }

    /// Sends a new job on its way.
    pub fn launch(&mut self, record: u64, devices: &[String]) {
        let Some(job) = self.job(record) else { return };
        let (begins, ends) = (job.settings.begins, job.settings.ends);
        self.add_tasks(record, devices);
        let now = self.now;
        match begins {
            Some(at) => self.after(at.duration_since(now), Step::Begin(record)),
            None => self.begin(record),
        }
        if let Some(at) = ends {
            self.after(at.duration_since(now), Step::Finish(record));
        }
        self.settle(record);
    }

    /// Gives each device a task; one that has another already fails at once.
    fn add_tasks(&mut self, record: u64, devices: &[String]) -> Vec<u32> {
        let now = self.now;
        let Some(job) = self.account.jobs.get(&record) else { return Vec::new() };
        let (product, module) = (job.product.clone(), job.module.clone());
        let status = if job.settings.need_confirm { TaskStatus::Confirm } else { TaskStatus::Queued };
        let mut added = Vec::new();
        for name in devices {
            let device = (product.clone(), name.clone());
            let iot_id = self.account.devices.get(&device).map(|d| d.iot_id.clone()).unwrap_or_default();
            let src_version = self.account.version(self.fleet, &device, &module).unwrap_or_default();
            let Some(job) = self.account.jobs.get_mut(&record) else { return added };
            let Ok(index) = u32::try_from(job.tasks.len()) else { return added };
            let id = super::opaque_id(self.fleet.seed, &["task", &record.to_string(), &index.to_string()]);
            self.account.task_ids.insert(id.clone(), (record, index));
            job.tasks.push(Task {
                id,
                device: name.clone(),
                iot_id,
                src_version,
                status,
                progress: 0,
                desc: None,
                created: now,
                modified: now,
                started: false,
                attempt: 0,
                retries: 0,
            });
            added.push(index);
            self.claim(record, index);
        }
        added
    }

    /// What a task keeps for itself: its device, or one module of it.
    fn unit(&mut self, record: u64, index: u32) -> Option<(String, String)> {
        let job = self.account.jobs.get(&record)?;
        let device = &job.tasks.get(usize::try_from(index).ok()?)?.device;
        let part = if job.settings.multi_module { job.module.as_str() } else { "" };
        Some((format!("{}/{device}", job.product), part.to_owned()))
    }

    fn claim(&mut self, record: u64, index: u32) {
        let Some(unit) = self.unit(record, index) else { return };
        let overwrites = self.job(record).is_some_and(|job| job.settings.overwrites);
        if let Some(&(other, place)) = self.account.busy.get(&unit) {
            let waits = self.task(other, place).is_some_and(|task| task.status < TaskStatus::InProgress);
            if !(overwrites && waits) {
                return self.end(record, index, TaskStatus::Failed, Some("The device has another task"));
            }
            self.end(other, place, TaskStatus::Canceled, Some("Overwritten by a later task"));
            self.settle(other);
        }
        self.account.busy.insert(unit, (record, index));
    }

    fn begin(&mut self, record: u64) {
        let now = self.now;
        let Some(job) = self.job(record).filter(|job| !job.status.is_final()) else { return };
        job.status = JobStatus::InProgress;
        (job.started, job.modified) = (Some(now), now);
        for (index, place) in job.in_status(&[TaskStatus::Queued]).into_iter().zip(0..) {
            self.queue(record, index, place);
        }
        self.settle(record);
    }

    /// Lets a task be pushed when its place in the rate of pushes comes.
    fn queue(&mut self, record: u64, index: u32, place: u32) {
        let Some(job) = self.job(record) else { return };
        let (mut wait, pushes) = (job.rate_delay(place), job.settings.need_push);
        if !pushes && let Some(task) = self.task(record, index) {
            let id = task.id.clone();
            let share = draw::unit(self.fleet.seed, &["poll", &id]);
            wait += SignedDuration::from_secs((share * POLL.as_secs() as f64) as i64);
        }
        if wait.is_zero() {
            self.push(record, index);
        } else {
            self.task_after(wait, record, index, TaskStep::Push);
        }
    }

    fn device_of(&mut self, record: u64, index: u32) -> Option<(String, String)> {
        let job = self.job(record)?;
        let task = job.tasks.get(usize::try_from(index).ok()?)?;
        Some((job.product.clone(), task.device.clone()))
    }

    fn push(&mut self, record: u64, index: u32) {
        let now = self.now;
        let Some((_, name)) = self.device_of(record, index) else { return };
        let Some(presence) = self.fleet.devices.get(&name).map(|device| device.presence) else { return };
        match presence.next_online(now) {
            Some(at) if at == now => self.notify(record, index, &name),
            Some(at) => self.task_after(at.duration_since(now), record, index, TaskStep::Push),
            None => {}
        }
    }

    fn notify(&mut self, record: u64, index: u32, name: &str) {
        self.set(record, index, TaskStatus::Notified);
        if let Some(device) = self.fleet.devices.get_mut(name) {
            device.activated = true;
        }
        let Some(job) = self.job(record) else { return };
        let (part, version) = (part_of(&job.module), job.dest_version.clone());
        // A device that never answers stays where it is: the timeout's clock has not started.
        if let Some(fate) = self.fleet.attempt(name, part, &version).filter(|fate| *fate != Fate::Silent) {
            let wait = self.fleet.answer_time(name);
            self.task_after(wait, record, index, TaskStep::Answered(fate));
        }
    }

    fn task_step(&mut self, record: u64, index: u32, step: TaskStep) {
        match step {
            TaskStep::Push => {
                if self.task(record, index).is_some_and(|task| task.status == TaskStatus::Queued) {
                    self.push(record, index);
                }
            }
            TaskStep::Answered(fate) => self.answered(record, index, fate),
            TaskStep::Installed(reverts) => self.installed(record, index, reverts),
            TaskStep::Lied => self.end(record, index, TaskStatus::Succeeded, None),
            TaskStep::Failed(why) => self.failed(record, index, &why),
            TaskStep::TimedOut => {
                self.end(record, index, TaskStatus::Failed, Some("Upgrade timeout"));
            }
        }
    }

    fn answered(&mut self, record: u64, index: u32, fate: Fate) {
        self.set(record, index, TaskStatus::InProgress);
        let Some(job) = self.job(record) else { return };
        let (timeout, delta_from) = (job.settings.timeout, job.delta_from.clone());
        let (module, dest) = (job.module.clone(), job.dest_version.clone());
        let Some(device) = self.device_of(record, index) else { return };
        let runs = self.account.version(self.fleet, &device, &module);
        if runs.as_ref() == Some(&dest) {
            return self.end(record, index, TaskStatus::Succeeded, None);
        }
        if delta_from.is_some() && runs != delta_from {
            let why = "The version of the device is not the source version of the package";
            return self.end(record, index, TaskStatus::Failed, Some(why));
        }
        let starts = self.task(record, index).is_some_and(|task| !std::mem::replace(&mut task.started, true));
        if let Some(minutes) = timeout.filter(|_| starts) {
            // Not of this attempt alone: the clock runs on over retries.
            let wait = SignedDuration::from_mins(minutes);
            let retries = self.job(record).and_then(|job| job.settings.retry).map_or(0, |(count, _)| count);
            let attempt = self.task(record, index).map_or(0, |task| task.attempt);
            for attempt in attempt..=attempt.saturating_add(retries) {
                self.after(wait, Step::Task(record, index, attempt, TaskStep::TimedOut));
            }
        }
        match fate {
            Fate::Silent | Fate::Stuck => {}
            Fate::Fails(wait, why) => self.task_after(wait, record, index, TaskStep::Failed(why)),
            Fate::Lies(wait) => self.task_after(wait, record, index, TaskStep::Lied),
            Fate::Succeeds(wait) => self.task_after(wait, record, index, TaskStep::Installed(None)),
            Fate::Reverts(wait, back) => {
                self.task_after(wait, record, index, TaskStep::Installed(Some(back)));
            }
        }
    }

    fn installed(&mut self, record: u64, index: u32, reverts: Option<SignedDuration>) {
        let Some(device) = self.device_of(record, index) else { return };
        let Some(job) = self.job(record) else { return };
        let (module, version) = (job.module.clone(), job.dest_version.clone());
        let old = self.account.version(self.fleet, &device, &module);
        self.account.set_version(self.fleet, &device, &module, Some(version.clone()));
        self.end(record, index, TaskStatus::Succeeded, None);
        if let Some(wait) = reverts {
            let (device, module) = (device.clone(), module.clone());
            self.after(wait, Step::Revert { device, module, version, old });
        }
        self.reported(&device, &module);
    }

    fn failed(&mut self, record: u64, index: u32, why: &str) {
        let retry = self.job(record).and_then(|job| job.settings.retry);
        let Some(task) = self.task(record, index) else { return };
        match retry {
            Some((count, minutes)) if task.retries < count => {
                task.retries += 1;
                task.attempt += 1;
                task.desc = Some(why.to_owned());
                self.set(record, index, TaskStatus::Queued);
                self.task_after(SignedDuration::from_mins(minutes), record, index, TaskStep::Push);
            }
            _ => self.end(record, index, TaskStatus::Failed, Some(why)),
        }
    }

    fn set(&mut self, record: u64, index: u32, status: TaskStatus) {
        let now = self.now;
        if let Some(task) = self.task(record, index) {
            (task.status, task.modified) = (status, now);
        }
    }

    /// A task is over, and its device free.
    fn end(&mut self, record: u64, index: u32, status: TaskStatus, why: Option<&str>) {
        self.set(record, index, status);
        if let Some(task) = self.task(record, index) {
            task.attempt += 1;
            task.desc = why.map(str::to_owned);
            if status == TaskStatus::Succeeded {
                task.progress = 100;
            }
        }
        if let Some(unit) = self.unit(record, index)
            && self.account.busy.get(&unit) == Some(&(record, index))
        {
            self.account.busy.remove(&unit);
        }
    }

    /// A job whose tasks are all over is over itself, unless it still adds devices.
    fn settle(&mut self, record: u64) {
        let now = self.now;
        let Some(job) = self.job(record) else { return };
        let open = job.tasks.iter().any(|task| !task.status.is_final());
        let waits = job.status == JobStatus::Planned && !job.tasks.is_empty() && open;
        if job.status.is_final() || open || waits || job.purpose == Purpose::Dynamic {
            return;
        }
        let all = |status| job.tasks.iter().all(|task| task.status == status);
        let cancelled = !job.tasks.is_empty() && all(TaskStatus::Canceled);
        job.status = if cancelled { JobStatus::Canceled } else { JobStatus::Completed };
        (job.ended, job.modified) = (Some(now), now);
        if job.purpose == Purpose::Verify {
            let verified = all(TaskStatus::Succeeded);
            let firmware = job.firmware.clone();
            if let Some(firmware) = self.account.firmwares.values_mut().find(|row| row.id == firmware) {
                firmware.status = if verified { 1 } else { 3 };
                firmware.modified = now;
            }
        }
    }

    /// Cancels the tasks of a job in these statuses.
    pub fn cancel(&mut self, record: u64, statuses: &[TaskStatus], why: &str) {
        let found = self.job(record).map(|job| job.in_status(statuses)).unwrap_or_default();
        for index in found {
            self.end(record, index, TaskStatus::Canceled, Some(why));
        }
        self.settle(record);
    }

    /// Cancels one task that is not over.
    pub fn cancel_task(&mut self, record: u64, index: u32) {
        if self.task(record, index).is_some_and(|task| !task.status.is_final()) {
            self.end(record, index, TaskStatus::Canceled, Some("Canceled"));
            self.settle(record);
        }
    }

    /// A device was taken out of service: its groups forget it, and its tasks fail.
    pub fn lose(&mut self, device: &(String, String)) {
        self.account.groups.values_mut().for_each(|group| group.members.retain(|member| member != device));
        let of_device = |task: &Task| task.device == device.1 && !task.status.is_final();
        let jobs = self.account.jobs.iter().filter(|(_, job)| job.product == device.0);
        let tasks = |(record, job): (&u64, &Job)| {
            let open = job.tasks.iter().zip(0..).filter(|(task, _)| of_device(task));
            open.map(|(_, index)| (*record, index)).collect::<Vec<(u64, u32)>>()
        };
        for (record, index) in jobs.flat_map(tasks).collect::<Vec<_>>() {
            self.end(record, index, TaskStatus::Failed, Some("The device does not exist"));
            self.settle(record);
        }
    }

    /// Ends a dynamic job; its tasks go on.
    pub fn cancel_strategy(&mut self, record: u64) {
        let now = self.now;
        if let Some(job) = self.job(record) {
            job.status = JobStatus::Canceled;
            (job.ended, job.modified) = (Some(now), now);
        }
    }

    /// Lets a task go that waits for its confirmation.
    pub fn confirm(&mut self, record: u64, index: u32) {
        self.set(record, index, TaskStatus::Queued);
        if self.job(record).is_some_and(|job| job.status != JobStatus::Planned) {
            self.queue(record, index, 0);
        }
    }

    /// Runs a task again by order.
    pub fn reupgrade(&mut self, record: u64, index: u32) {
        let now = self.now;
        if let Some(task) = self.task(record, index) {
            task.attempt += 1;
            (task.retries, task.started, task.desc) = (0, false, None);
            task.status = TaskStatus::Queued;
        }
        if let Some(job) = self.job(record).filter(|job| job.purpose != Purpose::Dynamic) {
            job.status = JobStatus::InProgress;
            (job.ended, job.modified) = (None, now);
        }
        self.claim(record, index);
        if self.task(record, index).is_some_and(|task| task.status == TaskStatus::Queued) {
            self.queue(record, index, 0);
        }
        self.settle(record);
    }

    /// A device has been switched on.
    pub fn wake(&mut self, name: &str) {
        let products = self.account.devices.products();
        let units = products.flat_map(|product| {
            let unit = format!("{product}/{name}");
            self.account.busy.range((unit.clone(), String::new())..=(unit, "\u{7f}".to_owned()))
        });
        let mine: Vec<(u64, u32)> = units.map(|(_, task)| *task).collect();
        for (record, index) in mine {
            let begun = self.job(record).is_some_and(|job| job.status != JobStatus::Planned);
            if begun && self.task(record, index).is_some_and(|task| task.status == TaskStatus::Queued) {
                self.push(record, index);
            }
        }
    }

    /// A device has reported a version: the newest dynamic job that it fits takes it.
    pub fn reported(&mut self, device: &(String, String), module: &str) {
        let Some(version) = self.account.version(self.fleet, device, module) else { return };
        let fits = |job: &&Job| {
            job.purpose == Purpose::Dynamic
                && !job.status.is_final()
                && (job.product.as_str(), job.module.as_str()) == (device.0.as_str(), module)
                && job.settings.src_versions.contains(&version)
                && job.dest_version != version
        };
        let found = self.account.jobs.iter().rev().find(|(_, job)| fits(job)).map(|(record, _)| *record);
        if let Some(record) = found {
            self.matched(record, std::slice::from_ref(&device.1));
        }
    }

    /// Devices that a dynamic job takes, each of them ten times at most.
    pub fn matched(&mut self, record: u64, devices: &[String]) {
        let Some(job) = self.job(record) else { return };
        let mut taken = Vec::new();
        for name in devices {
            let count = job.matched.entry(name.clone()).or_default();
            if *count < MOST_MATCHES {
                *count += 1;
                taken.push(name.clone());
            }
        }
        for (index, place) in self.add_tasks(record, &taken).into_iter().zip(0..) {
            if self.task(record, index).is_some_and(|task| task.status == TaskStatus::Queued) {
                self.queue(record, index, place);
            }
        }
    }
}

/// Whose fate is drawn: devices of the world file know firmware and software.
#[must_use]
pub fn part_of(module: &str) -> Part {
    if module == super::DEFAULT_MODULE { Part::Firmware } else { Part::Software }
}
