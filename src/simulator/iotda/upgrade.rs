//! How a task passes through the fleet, event by event.
//!
//! Documented: the texts, the three timeouts (25 h for the device to come online, 3 min for its version, 24 h for
//! download and result), success without a push when the version is there already. Assumed, because no document settles
//! it: an offline device's sub task is `Waitting`; a device that waits for or runs an upgrade makes a second one fail
//! with "Task Conflict"; a stop calls back what a device has not finished.

use super::{
    codes,
    paging::Record,
    task::{Status, Sub, SubStatus, Task, Used},
};
use crate::simulator::{
    Event,
    fleet::{Fate, Fleet},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

const INITIALIZING: SignedDuration = SignedDuration::from_secs(1);
const STOPPING: SignedDuration = SignedDuration::from_secs(1);
const ONLINE_TIMEOUT: SignedDuration = SignedDuration::from_hours(25);
/// What a device fails with that did not come online in that time.
pub const NEVER_ONLINE: &str = "Waiting for the device online timeout";
const VERSION_TIMEOUT: SignedDuration = SignedDuration::from_mins(3);
const RESULT_TIMEOUT: SignedDuration = SignedDuration::from_hours(24);

/// Devices that wait for or run an upgrade: the task and the sub task.
pub type Busy = BTreeMap<String, (Record, u32)>;

/// Something that happens to a task.
#[derive(Clone, Debug)]
pub enum Step {
    /// It has been distributed.
    Distributed,
    /// Its time has come.
    Begin,
    /// It has stopped.
    Stopped,
    /// Something happens to a sub task, if it still is at this attempt.
    Sub(u32, u32, SubStep),
}

/// Something that happens to a sub task.
#[derive(Clone, Debug)]
pub enum SubStep {
    /// Its device comes online.
    Online,
    /// Its device reports its version.
    Reported(Fate),
    /// It is over.
    Ended(End),
    /// It is tried again.
    Requeue,
}

/// How a sub task ends.
#[derive(Clone, Debug)]
pub enum End {
    /// The cloud reports success. The device runs the version, unless that is false; and reverts after that time.
    Success {
        /// The device runs the version.
        installed: bool,
        /// The old version comes back after that time.
        reverts: Option<SignedDuration>,
    },
    /// It failed.
    Failure(String),
}

/// A task in the hands of the fleet, at one instant.
pub struct Upgrade<'a> {
    /// Account that the task belongs to.
    pub account: usize,
    /// Record of the task.
    pub record: Record,
    /// The task.
    pub task: &'a mut Task,
    /// The account's busy devices.
    pub busy: &'a mut Busy,
    /// The fleet.
    pub fleet: &'a mut Fleet,
    /// Fleet time.
    pub now: Timestamp,
}

impl Upgrade<'_> {
    /// Sends a new task on its way.
    pub fn launch(&mut self) {
        self.after(INITIALIZING, Step::Distributed);
    }

    /// Lets something happen.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Distributed if self.task.status == Status::Initializing => {
                self.task.status = Status::Waitting;
                let wait = self.task.begin_at.duration_since(self.now).max(SignedDuration::ZERO);
                self.after(wait, Step::Begin);
            }
            Step::Begin if self.task.status == Status::Waitting && !self.task.begun => self.begin(),
            Step::Stopped if self.task.status == Status::Stopping => self.task.status = Status::Stopped,
            Step::Sub(index, attempt, step) if self.is_at(index, attempt) => self.sub_step(index, step),
            _ => {}
        }
        self.task.settle();
    }

    fn is_at(&self, index: u32, attempt: u32) -> bool {
        self.task.sub(index).is_some_and(|sub| sub.attempt == attempt && sub.status.is_open())
    }

    fn begin(&mut self) {
        self.task.begun = true;
        for index in self.task.in_status(&[SubStatus::Waitting]) {
            if self.task.sub(index).is_some_and(|sub| !sub.held) {
                self.start(index);
            }
        }
    }

    fn sub_step(&mut self, index: u32, step: SubStep) {
        match step {
            SubStep::Online if self.is_waiting(index) => self.contact(index),
            SubStep::Online => {}
            SubStep::Reported(fate) => self.reported(index, fate),
            SubStep::Ended(end) => self.end(index, end),
            SubStep::Requeue => self.start(index),
        }
    }

    fn is_waiting(&self, index: u32) -> bool {
        self.task.sub(index).is_some_and(|sub| sub.status == SubStatus::Waitting)
    }

    /// Starts a sub task, for the first time or again.
    fn start(&mut self, index: u32) {
        let Some(sub) = self.task.sub_mut(index) else { return };
        sub.attempt += 1;
        (sub.held, sub.output, sub.error) = (false, None, None);
        let target = sub.target.clone();
        let Some(device) = self.fleet.devices.get(&target) else {
            return self.fail_with(index, codes::NO_DEVICE.code, codes::NO_DEVICE.text.to_owned());
        };
        let (product, presence) = (device.product.clone(), device.presence);
        if self.busy.get(&target).is_some_and(|user| *user != (self.record, index)) {
            return self.fail(index, "Task Conflict");
        }
        if !self.task.packages.iter().any(|package| package.product == product) {
            return self.fail(index, "The package is not for the product of the device");
        }
        self.busy.insert(target, (self.record, index));
        match presence.next_online(self.now) {
            Some(at) if at == self.now => self.contact(index),
            next => {
                self.task.set(index, SubStatus::Waitting);
                let wait = next.map(|at| at.duration_since(self.now)).filter(|wait| *wait <= ONLINE_TIMEOUT);
                if let Some(wait) = wait {
                    self.sub_after(wait, index, SubStep::Online);
                }
                let timeout = End::Failure(NEVER_ONLINE.to_owned());
                self.sub_after(ONLINE_TIMEOUT, index, SubStep::Ended(timeout));
            }
        }
    }

    /// Queries an online device for its version.
    fn contact(&mut self, index: u32) {
        let Some(sub) = self.task.sub_mut(index) else { return };
        // The timeout of the wait for the device is void from here on.
        sub.attempt += 1;
        let target = sub.target.clone();
        self.task.set(index, SubStatus::Processing);
        if let Some(device) = self.fleet.devices.get_mut(&target) {
            device.activated = true;
        }
        let part = self.task.part;
        let version = self.package(&target).map(|package| package.version.clone()).unwrap_or_default();
        match self.fleet.attempt(&target, part, &version) {
            None | Some(Fate::Silent) => {
                let timeout = End::Failure("Waiting for report device firmware version timeout".to_owned());
                self.sub_after(VERSION_TIMEOUT, index, SubStep::Ended(timeout));
            }
            Some(fate) => {
                let wait = self.fleet.answer_time(&target);
                self.sub_after(wait, index, SubStep::Reported(fate));
            }
        }
    }

    /// The package for a device: one that may be installed on what it runs, else any of its product.
    fn package(&self, target: &str) -> Option<&Used> {
        let device = self.fleet.devices.get(target)?;
        let current = device.version(self.task.part);
        let mut fitting = self.task.packages.iter().filter(|package| package.product == device.product);
        fitting.clone().find(|package| package.takes(current)).or_else(|| fitting.next())
    }

    /// The device has reported what it runs: nothing to do, nothing allowed, or download and install.
    fn reported(&mut self, index: u32, fate: Fate) {
        let Some(target) = self.task.sub(index).map(|sub| sub.target.clone()) else { return };
        let current = self.fleet.devices.get(&target).and_then(|device| device.version(self.task.part));
        let Some(package) = self.package(&target) else { return };
        if current == Some(package.version.as_str()) {
            if let Some(sub) = self.task.sub_mut(index) {
                sub.output = Some("The current version is the same as the target version".to_owned());
            }
            return self.end(index, End::Success { installed: false, reverts: None });
        }
        if !package.takes(current) {
            let text = format!("Version {} is not a supported source version", current.unwrap_or("(none)"));
            return self.fail(index, &text);
        }
        let success = |installed, reverts| End::Success { installed, reverts };
        let (wait, end) = match fate {
            Fate::Silent | Fate::Stuck => (RESULT_TIMEOUT, None),
            Fate::Fails(wait, text) => (wait, Some(End::Failure(text))),
            Fate::Lies(wait) => (wait, Some(success(false, None))),
            Fate::Succeeds(wait) => (wait, Some(success(true, None))),
            Fate::Reverts(wait, back) => (wait, Some(success(true, Some(back)))),
        };
        let timeout = || End::Failure("Wait for the device to report upgrade result timeout".to_owned());
        let end = end.filter(|_| wait < RESULT_TIMEOUT).unwrap_or_else(timeout);
        self.sub_after(wait.min(RESULT_TIMEOUT), index, SubStep::Ended(end));
    }

    fn end(&mut self, index: u32, end: End) {
        match end {
            End::Failure(text) => self.fail(index, &text),
            End::Success { installed, reverts } => {
                if installed {
                    self.install(index, reverts);
                }
                self.leave(index, SubStatus::Success);
            }
        }
    }

    fn install(&mut self, index: u32, reverts: Option<SignedDuration>) {
        let Some(target) = self.task.sub(index).map(|sub| sub.target.clone()) else { return };
        let Some(version) = self.package(&target).map(|package| package.version.clone()) else { return };
        let part = self.task.part;
        let Some(device) = self.fleet.devices.get_mut(&target) else { return };
        let old = device.version(part).map(str::to_owned);
        device.set_version(part, Some(version.clone()));
        if let Some(after) = reverts {
            self.fleet
                .queue
                .schedule(later(self.now, after), Event::Revert { device: target, part, version, old });
        }
    }

    fn fail(&mut self, index: u32, text: &str) {
        self.fail_with(index, codes::UPGRADE_FAILED.code, text.to_owned());
    }

    fn fail_with(&mut self, index: u32, code: &'static str, text: String) {
        let retry = self.task.retry;
        let Some(sub) = self.task.sub_mut(index) else { return };
        sub.error = Some((code, text));
        match retry {
            Some((count, interval)) if sub.retries < count => {
                sub.retries += 1;
                self.leave(index, SubStatus::FailWaitRetry);
                self.sub_after(interval, index, SubStep::Requeue);
            }
            _ => self.leave(index, SubStatus::Fail),
        }
    }

    /// The sub task needs its device no longer.
    fn leave(&mut self, index: u32, status: SubStatus) {
        self.task.set(index, status);
        let Some(sub) = self.task.sub_mut(index) else { return };
        if self.busy.get(&sub.target) == Some(&(self.record, index)) {
            self.busy.remove(&sub.target);
        }
    }

    fn after(&mut self, wait: SignedDuration, step: Step) {
        let event = Event::Iotda { account: self.account, task: self.record, step };
        self.fleet.queue.schedule(later(self.now, wait), event);
    }

    fn sub_after(&mut self, wait: SignedDuration, index: u32, step: SubStep) {
        let attempt = self.task.sub(index).map_or(0, |sub| sub.attempt);
        self.after(wait, Step::Sub(index, attempt, step));
    }

    /// Stops a sub task that is open.
    pub fn stop_sub(&mut self, index: u32) {
        if let Some(sub) = self.task.sub_mut(index) {
            sub.attempt += 1;
        }
        self.leave(index, SubStatus::Stopped);
    }

    /// Stops the task as a whole.
    pub fn stop_all(&mut self) {
        self.task.status = Status::Stopping;
        self.after(STOPPING, Step::Stopped);
    }

    /// Runs a sub task again by order.
    pub fn retry_sub(&mut self, index: u32) {
        if let Some(sub) = self.task.sub_mut(index) {
            sub.retries = 0;
        }
        self.start(index);
    }

    /// Lets go a sub task that waits for `/confirm`; it starts when the task's time has come.
    pub fn confirm_sub(&mut self, index: u32) {
        let Some(sub) = self.task.sub_mut(index) else { return };
        sub.held = false;
        if self.task.begun {
            self.start(index);
        }
    }

    /// The device has been deleted.
    pub fn remove_sub(&mut self, index: u32) {
        if self.task.sub(index).is_some_and(|sub: &Sub| sub.status.is_open()) {
            self.leave(index, SubStatus::Removed);
            self.task.settle();
        }
    }

    /// The device has been switched on.
    pub fn wake(&mut self, index: u32) {
        if self.is_waiting(index) {
            self.contact(index);
            self.task.settle();
        }
    }
}

impl Used {
    /// Whether it may be installed on a device that runs this version.
    fn takes(&self, current: Option<&str>) -> bool {
        self.sources.is_empty()
            || current.is_some_and(|current| self.sources.iter().any(|source| source == current))
    }
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
