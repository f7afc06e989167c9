//! How a job passes through the fleet, event by event.
//!
//! Documented: the five statuses, `upgradeTimeout` (from `upgrading` on, in a verification from `published` on), retries,
//! `maximumConcurrency`, what may be cancelled and retried, when a firmware is verified. *Assumed*: a device that is not
//! connected waits in `init` and takes no place of `maximumConcurrency`; a device that another job is at fails; a failed
//! task that will be retried waits in `init`; a cancelled task is `failed`; a stopped job lets devices that are at it
//! finish; a device whose version is there already succeeds.

use super::{
    devices::Devices,
    firmwares::{Firmware, Firmwares},
    job::{Job, Kind, Status, Task},
};
use crate::simulator::{
    Event,
    clock::Times,
    draw,
    fleet::{Fate, Fleet, Part},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Why a task fails whose device is not there.
const NO_DEVICE: &str = "Device not found";
/// How often an incremental job searches for devices that have come to fit.
const SWEEP: SignedDuration = SignedDuration::from_mins(10);

/// Devices that were sent something: the number of the job and the task.
pub type Busy = BTreeMap<String, (usize, u32)>;

/// Something that happens to a job.
#[derive(Clone, Debug)]
pub enum Step {
    /// It has been created.
    Launch,
    /// A later verification of the firmware takes its place.
    Superseded,
    /// Its window opens, or a place in it is free.
    Pump,
    /// It searches for devices that have come to fit.
    Sweep,
    /// Something happens to a task, if it still is at this attempt.
    Task(u32, u32, TaskStep),
}

/// Something that happens to a task.
#[derive(Clone, Debug)]
pub enum TaskStep {
    /// Its device comes online.
    Online,
    /// The time before another try has passed.
    Requeue,
    /// Its device begins, and this will become of it.
    Begins(Fate),
    /// It took too long.
    TimedOut,
    /// It failed.
    Failed(String),
    /// The cloud reports success. The device runs the version, unless that is false; and reverts after that time.
    Succeeded {
        /// The device runs the version.
        installed: bool,
        /// The old version comes back after that time.
        reverts: Option<SignedDuration>,
    },
}

/// A job in the hands of the fleet, at one instant.
pub struct Upgrade<'a> {
    /// Index of the account.
    pub account: usize,
    /// The account's devices.
    pub devices: &'a Devices,
    /// The account's busy devices.
    pub busy: &'a mut Busy,
    /// The account's firmware.
    pub firmwares: &'a mut Firmwares,
    /// Number of the job.
    pub number: usize,
    /// The job.
    pub job: &'a mut Job,
    /// The fleet.
    pub fleet: &'a mut Fleet,
    /// Both times.
    pub now: Times,
}

impl Upgrade<'_> {
    /// Takes in the devices that fit now.
    fn gather(&mut self) {
        let devices =
            self.job.plan.scope.devices(self.devices, self.fleet, self.job.plan.firmware.product.as_deref());
        for device in devices {
            let from = self.fleet.devices.get(&device).and_then(|running| running.firmware.clone());
            self.job.add(Task {
                id: draw::hex_id(self.fleet.seed, 24, &["enos task", &self.job.id, &device]),
                device,
                from,
                status: Status::Init,
                progress: 0,
                desc: String::new(),
                updated: self.now.fleet,
                created: self.now,
                attempt: 0,
                retries: 0,
            });
        }
    }

    /// Lets something happen.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Pump => {}
            Step::Superseded => self.cancel_all(),
            Step::Launch => {
                self.gather();
                if self.job.plan.grows {
                    self.after(SWEEP, Step::Sweep);
                }
            }
            Step::Sweep if self.job.is_deleted => return,
            Step::Sweep => {
                self.gather();
                self.after(SWEEP, Step::Sweep);
            }
            Step::Task(index, attempt, step) if self.is_at(index, attempt) => self.task_step(index, step),
            Step::Task(..) => return,
        }
        self.pump();
    }

    fn is_at(&self, index: u32, attempt: u32) -> bool {
        self.job.task(index).is_some_and(|task| task.attempt == attempt && task.status.is_open())
    }

    fn task_step(&mut self, index: u32, step: TaskStep) {
        match step {
            TaskStep::Online | TaskStep::Requeue => {
                self.job.ready.insert(index);
            }
            TaskStep::Begins(fate) => self.begin(index, fate),
            TaskStep::TimedOut => self.fail(index, "Upgrade timeout".to_owned()),
            TaskStep::Failed(text) => self.fail(index, text),
            TaskStep::Succeeded { installed, reverts } => {
                if installed {
                    self.install(index, reverts);
                }
                self.end(index, Status::Succeeded, 100, String::new());
                self.verify();
            }
        }
    }

    /// Sends it to as many devices as may be at it now.
    fn pump(&mut self) {
        if !self.job.is_started || self.job.is_deleted || self.job.ready.is_empty() {
            return;
        }
        match self.job.plan.schedule.map(|schedule| schedule.next_open(self.now.fleet)) {
            Some(None) => return,
            Some(Some(open)) if open > self.now.fleet => {
                return self.after(open.duration_since(self.now.fleet), Step::Pump);
            }
            _ => {}
        }
        while self.job.count(Status::Published) + self.job.count(Status::Upgrading)
            < self.job.plan.most_at_once
        {
            let Some(index) = self.job.ready.pop_first() else { return };
            self.publish(index);
        }
    }

    fn publish(&mut self, index: u32) {
        let Some(key) = self.job.task(index).map(|task| task.device.clone()) else { return };
        let Some(presence) = self.fleet.devices.get(&key).map(|device| device.presence) else {
            return self.end(index, Status::Failed, -1, NO_DEVICE.to_owned());
        };
        if self.busy.contains_key(&key) {
            let text = "Device is being upgraded by another job".to_owned();
            return self.end(index, Status::Failed, -1, text);
        }
        match presence.next_online(self.now.fleet) {
            Some(at) if at == self.now.fleet => {}
            Some(at) => return self.task_after(at.duration_since(self.now.fleet), index, TaskStep::Online),
            None => return,
        }
        self.busy.insert(key.clone(), (self.number, index));
        self.job.set(index, Status::Published, self.now.fleet);
        if let Some(device) = self.fleet.devices.get_mut(&key) {
            device.activated = true;
        }
        if self.job.plan.kind == Kind::Verify {
            self.task_after(self.job.plan.timeout, index, TaskStep::TimedOut);
        }
        match self.fleet.attempt(&key, Part::Firmware, &self.job.plan.firmware.version.clone()) {
            None | Some(Fate::Silent) => {}
            Some(fate) => {
                let wait = self.fleet.answer_time(&key);
                self.task_after(wait, index, TaskStep::Begins(fate));
            }
        }
    }

    fn begin(&mut self, index: u32, fate: Fate) {
        let Some(task) = self.job.task(index) else { return };
        let running = self.fleet.devices.get(&task.device).and_then(|device| device.firmware.as_deref());
        let fate = match fate {
            _ if running == Some(self.job.plan.firmware.version.as_str()) => Fate::Lies(SignedDuration::ZERO),
            fate => fate,
        };
        let published = task.updated;
        self.job.set(index, Status::Upgrading, self.now.fleet);
        let spent = match self.job.plan.kind {
            Kind::Verify => self.now.fleet.duration_since(published),
            Kind::Upgrade => SignedDuration::ZERO,
        };
        self.task_after(self.job.plan.timeout - spent, index, TaskStep::TimedOut);
        let success = |installed, reverts| TaskStep::Succeeded { installed, reverts };
        let (wait, step) = match fate {
            Fate::Silent | Fate::Stuck => return,
            Fate::Fails(wait, text) => (wait, TaskStep::Failed(text)),
            Fate::Lies(wait) => (wait, success(false, None)),
            Fate::Succeeds(wait) => (wait, success(true, None)),
            Fate::Reverts(wait, back) => (wait, success(true, Some(back))),
        };
        self.task_after(wait, index, step);
    }

    fn install(&mut self, index: u32, reverts: Option<SignedDuration>) {
        let Some(key) = self.job.task(index).map(|task| task.device.clone()) else { return };
        let version = self.job.plan.firmware.version.clone();
        let Some(device) = self.fleet.devices.get_mut(&key) else { return };
        let old = device.firmware.clone();
        device.set_version(Part::Firmware, Some(version.clone()));
        if let Some(after) = reverts {
            let event = Event::Revert { device: key, part: Part::Firmware, version, old };
            self.fleet.queue.schedule(later(self.now.fleet, after), event);
        }
    }

    fn fail(&mut self, index: u32, text: String) {
        let retries = self.job.task(index).map_or(0, |task| task.retries);
        match self.job.plan.retry {
            Some((count, interval)) if retries < count => {
                self.end(index, Status::Init, 0, text);
                if let Some(task) = self.job.task_mut(index) {
                    task.retries += 1;
                }
                self.job.ready.remove(&index);
                self.task_after(interval, index, TaskStep::Requeue);
            }
            _ => self.end(index, Status::Failed, -1, text),
        }
    }

    /// The task needs its device no longer.
    fn end(&mut self, index: u32, status: Status, progress: i64, desc: String) {
        self.job.set(index, status, self.now.fleet);
        let Some(task) = self.job.task_mut(index) else { return };
        (task.progress, task.desc) = (progress, desc);
        let mine = (self.number, index);
        if self.busy.get(&task.device) == Some(&mine) {
            self.busy.remove(&task.device);
        }
    }

    /// A verification with enough successes verifies its firmware. *Assumed*: one is enough when the firmware does not
    /// state how many.
    fn verify(&mut self) {
        let successes = i64::try_from(self.job.count(Status::Succeeded)).unwrap_or(i64::MAX);
        let is_ours = |firmware: &&mut Firmware| firmware.id == self.job.plan.firmware.id;
        if self.job.plan.kind == Kind::Verify
            && let Some(firmware) = self.firmwares.values_mut().find(is_ours)
        {
            firmware.is_verified |= successes >= firmware.least_verified.unwrap_or(1);
        }
    }

    /// Cancels a task.
    pub fn cancel(&mut self, index: u32) {
        self.end(index, Status::Failed, -1, "Canceled".to_owned());
    }

    /// A device was taken out of service.
    pub fn lose(&mut self, device: &str) {
        let Some(index) = self.job.find(device) else { return };
        if self.job.task(index).is_some_and(|task| task.status.is_open()) {
            self.end(index, Status::Failed, -1, NO_DEVICE.to_owned());
        }
    }

    /// Cancels what has not begun, and stops the job.
    fn cancel_all(&mut self) {
        let open = |task: &&Task| matches!(task.status, Status::Init | Status::Published);
        let keys: Vec<String> =
            self.job.tasks().iter().filter(open).map(|task| task.device.clone()).collect();
        for index in keys.iter().filter_map(|key| self.job.find(key)).collect::<Vec<_>>() {
            self.cancel(index);
        }
        self.job.order(false, self.now);
    }

    /// Tries a failed task again.
    pub fn retry(&mut self, index: u32) {
        self.end(index, Status::Init, 0, String::new());
        if let Some(task) = self.job.task_mut(index) {
            task.retries = 0;
        }
    }

    /// Its device has been switched on.
    pub fn wake(&mut self, index: u32) {
        if self.job.task(index).is_some_and(|task| task.status == Status::Init) {
            self.job.ready.insert(index);
        }
        self.pump();
    }

    fn after(&mut self, wait: SignedDuration, step: Step) {
        let event = Event::Enos { account: self.account, job: self.number, step };
        self.fleet.queue.schedule(later(self.now.fleet, wait), event);
    }

    fn task_after(&mut self, wait: SignedDuration, index: u32, step: TaskStep) {
        let attempt = self.job.task(index).map_or(0, |task| task.attempt);
        self.after(wait, Step::Task(index, attempt, step));
    }
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
