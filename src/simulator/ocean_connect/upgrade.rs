//! How a task passes through the fleet, event by event.
//!
//! Documented (FAQ): the texts; an equal version is not installed again; the version that a device runs must be one of the
//! package's source versions; one upgrade a device at a time; failed devices are tried again only once all have ended.
//! Assumed: how long each wait is.

use super::{
    Busy,
    task::{Execute, SubStatus, Task},
};
use crate::simulator::{
    Event,
    fleet::{Fate, Fleet},
};
use jiff::{SignedDuration, Timestamp};

const BEGIN: SignedDuration = SignedDuration::from_secs(1);
const ONLINE_TIMEOUT: SignedDuration = SignedDuration::from_hours(25);
/// What a device fails with that did not come online in that time.
pub const NEVER_ONLINE: &str = "Waiting for the device online timeout";
/// What a device fails with that was not online when it was to be sent its package.
pub const NOT_ONLINE: &str = "Device Abnormal is not online";
const VERSION_TIMEOUT: SignedDuration = SignedDuration::from_mins(3);
const RESULT_TIMEOUT: SignedDuration = SignedDuration::from_hours(24);

/// Something that happens to a task.
#[derive(Clone, Debug)]
pub enum Step {
    /// Its time has come.
    Begin,
    /// Something happens to a sub task, if it still is at this attempt.
    Sub(usize, u32, SubStep),
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
}

/// How a sub task ends.
#[derive(Clone, Debug)]
pub enum End {
    /// The cloud reports success. The device runs the version if it is installed, and reverts after the time.
    Success(bool, Option<SignedDuration>),
    /// It failed.
    Failure(String),
    /// Nothing came back in time.
    Timeout(&'static str),
}

/// A task in the hands of the fleet, at one instant.
pub struct Upgrade<'a> {
    /// Application that the task belongs to.
    pub app: usize,
    /// Place of the task.
    pub index: usize,
    /// The task.
    pub task: &'a mut Task,
    /// The application's busy devices.
    pub busy: &'a mut Busy,
    /// The fleet.
    pub fleet: &'a mut Fleet,
    /// Fleet time.
    pub now: Timestamp,
}

impl Upgrade<'_> {
    /// Sends a new task on its way.
    pub fn launch(&mut self) {
        let wait = match self.task.execute {
            Execute::Custom(start, _) => start.duration_since(self.now).max(BEGIN),
            Execute::Now | Execute::DeviceOnline => BEGIN,
        };
        self.after(wait, Step::Begin);
    }

    /// Lets something happen.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Begin if !self.task.is_stopped => (0..self.task.subs.len()).for_each(|sub| self.start(sub)),
            Step::Sub(sub, attempt, step) if self.is_at(sub, attempt) => match step {
                SubStep::Online if self.is_waiting(sub) => self.contact(sub),
                SubStep::Online => {}
                SubStep::Reported(fate) => self.reported(sub, fate),
                SubStep::Ended(end) => self.end(sub, end),
            },
            _ => {}
        }
        self.retry_failed();
    }

    fn is_at(&self, sub: usize, attempt: u32) -> bool {
        self.task.subs.get(sub).is_some_and(|sub| sub.attempt == attempt && sub.status.is_open())
    }

    fn is_waiting(&self, sub: usize) -> bool {
        self.task.subs.get(sub).is_some_and(|sub| sub.status == SubStatus::Wait)
    }

    /// Once all have ended, the failed ones are tried again as often as the policy allows.
    fn retry_failed(&mut self) {
        let failures = self.task.failures();
        if self.task.retries == 0 || !self.task.status().is_final() || self.task.is_stopped {
            return;
        }
        self.task.retries -= 1;
        for index in failures {
            self.task.subs[index].retried = true;
            self.start(index);
        }
    }

    fn start(&mut self, index: usize) {
        let (now, execute) = (self.now, self.task.execute);
        let Some(sub) = self.task.subs.get_mut(index) else { return };
        sub.attempt += 1;
        (sub.status, sub.stopped) = (SubStatus::Wait, None);
        sub.started = sub.started.or(Some(now));
        let device = sub.device.clone();
        if self.busy.get(&device).is_some_and(|user| *user != (self.index, index)) {
            return self.end(index, End::Failure("Task Conflict".to_owned()));
        }
        self.busy.insert(device.clone(), (self.index, index));
        let presence = self.fleet.devices.get(&device).map(|device| device.presence);
        let next = presence.and_then(|presence| presence.next_online(now));
        let deadline = match execute {
            Execute::Now if next != Some(now) => {
                return self.end(index, End::Failure(NOT_ONLINE.to_owned()));
            }
            Execute::Now | Execute::DeviceOnline => ONLINE_TIMEOUT,
            Execute::Custom(_, end) => end.duration_since(now).max(SignedDuration::ZERO),
        };
        if next == Some(now) {
            return self.contact(index);
        }
        let wait = next.map(|at| at.duration_since(now)).filter(|wait| *wait < deadline);
        if let Some(wait) = wait {
            self.sub_after(wait, index, SubStep::Online);
        }
        self.sub_after(deadline, index, SubStep::Ended(End::Timeout(NEVER_ONLINE)));
    }

    /// Queries an online device for its version.
    fn contact(&mut self, index: usize) {
        let Some(sub) = self.task.subs.get_mut(index) else { return };
        // The timeout of the wait for the device is void from here on.
        sub.attempt += 1;
        sub.status = SubStatus::Processing;
        let (device, part) = (sub.device.clone(), self.task.part);
        if let Some(device) = self.fleet.devices.get_mut(&device) {
            device.activated = true;
        }
        match self.fleet.attempt(&device, part, &self.task.package.version) {
            None | Some(Fate::Silent) => {
                let end = End::Timeout("Waiting for report device firmware version timeout");
                self.sub_after(VERSION_TIMEOUT, index, SubStep::Ended(end));
            }
            Some(fate) => {
                let wait = self.fleet.answer_time(&device);
                self.sub_after(wait, index, SubStep::Reported(fate));
            }
        }
    }

    /// The device has reported what it runs: nothing to do, nothing allowed, or download and install.
    fn reported(&mut self, index: usize, fate: Fate) {
        let Some(sub) = self.task.subs.get(index) else { return };
        let running = self.fleet.devices.get(&sub.device).and_then(|device| device.version(self.task.part));
        let package = &self.task.package;
        if running == Some(package.version.as_str()) {
            "The current version is the same as the target version"
                .clone_into(&mut self.task.subs[index].detail);
            return self.end(index, End::Success(false, None));
        }
        if !package.sources.iter().any(|source| running == Some(source.as_str())) {
            let text = format!("Version {} is not a supported source version", running.unwrap_or("(none)"));
            return self.end(index, End::Failure(text));
        }
        let (wait, end) = match fate {
            Fate::Silent | Fate::Stuck => (RESULT_TIMEOUT, None),
            Fate::Fails(wait, text) => (wait, Some(End::Failure(text))),
            Fate::Lies(wait) => (wait, Some(End::Success(false, None))),
            Fate::Succeeds(wait) => (wait, Some(End::Success(true, None))),
            Fate::Reverts(wait, back) => (wait, Some(End::Success(true, Some(back)))),
        };
        let timeout = || End::Timeout("Wait for the device to report upgrade result timeout");
        let end = end.filter(|_| wait < RESULT_TIMEOUT).unwrap_or_else(timeout);
        self.sub_after(wait.min(RESULT_TIMEOUT), index, SubStep::Ended(end));
    }

    fn end(&mut self, index: usize, end: End) {
        let (status, detail) = match end {
            End::Success(installed, reverts) => {
                if installed {
                    self.install(index, reverts);
                }
                (SubStatus::Success, None)
            }
            End::Failure(text) => (SubStatus::Fail, Some(text)),
            End::Timeout(text) => (SubStatus::Timeout, Some(text.to_owned())),
        };
        if let (Some(sub), Some(detail)) = (self.task.subs.get_mut(index), detail) {
            sub.detail = detail;
        }
        self.leave(index, status);
    }

    fn install(&mut self, index: usize, reverts: Option<SignedDuration>) {
        let Some(id) = self.task.subs.get(index).map(|sub| sub.device.clone()) else { return };
        let (part, version) = (self.task.part, self.task.package.version.clone());
        let Some(device) = self.fleet.devices.get_mut(&id) else { return };
        let old = device.version(part).map(str::to_owned);
        device.set_version(part, Some(version.clone()));
        if let Some(after) = reverts {
            let revert = Event::Revert { device: id, part, version, old };
            self.fleet.queue.schedule(later(self.now, after), revert);
        }
    }

    /// The sub task needs its device no longer.
    fn leave(&mut self, index: usize, status: SubStatus) {
        let Some(sub) = self.task.subs.get_mut(index) else { return };
        (sub.status, sub.stopped) = (status, Some(self.now));
        if self.busy.get(&sub.device) == Some(&(self.index, index)) {
            self.busy.remove(&sub.device);
        }
    }

    /// A device was taken out of service.
    pub fn lose(&mut self, device: &str) {
        let open = self.task.find(device);
        let open = open.filter(|index| self.task.subs.get(*index).is_some_and(|sub| sub.status.is_open()));
        if let Some(index) = open {
            self.end(index, End::Failure("Device not exist".to_owned()));
            self.retry_failed();
        }
    }

    /// A user stops the task in the portal.
    pub fn stop(&mut self) {
        if self.task.status().is_final() {
            return;
        }
        for index in 0..self.task.subs.len() {
            if self.task.subs.get(index).is_some_and(|sub| sub.status.is_open()) {
                self.leave(index, SubStatus::Stop);
            }
        }
        self.task.is_stopped = true;
    }

    /// The device has been switched on.
    pub fn wake(&mut self, index: usize) {
        if self.is_waiting(index) {
            self.contact(index);
        }
    }

    fn after(&mut self, wait: SignedDuration, step: Step) {
        let event = Event::OceanConnect { app: self.app, task: self.index, step };
        self.fleet.queue.schedule(later(self.now, wait), event);
    }

    fn sub_after(&mut self, wait: SignedDuration, index: usize, step: SubStep) {
        let attempt = self.task.subs.get(index).map_or(0, |sub| sub.attempt);
        self.after(wait, Step::Sub(index, attempt, step));
    }
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
