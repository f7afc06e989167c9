//! A job and its tasks, one a device.

use super::{request::millis, schedule::Schedule, scope::Scope};
use crate::simulator::clock::Times;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It verifies a firmware on a few devices.
    Verify,
    /// It upgrades.
    Upgrade,
}

impl Kind {
    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Upgrade => "upgrade",
        }
    }
}

/// Status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Waits.
    Init,
    /// Pushed to the device.
    Published,
    /// The device is at it.
    Upgrading,
    /// Done.
    Succeeded,
    /// Failed, or cancelled: there is no status of its own for that.
    Failed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Init, Self::Published, Self::Upgrading, Self::Succeeded, Self::Failed];

    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Published => "published",
            Self::Upgrading => "upgrading",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// Something will still happen to it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Init | Self::Published | Self::Upgrading)
    }
}

/// One device of a job.
#[derive(Clone, Debug)]
pub struct Task {
    /// `taskId`: 24 hex digits.
    pub id: String,
    /// Device key.
    pub device: String,
    /// Version that it ran when it came into the job.
    pub from: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Percent; negative when it failed.
    pub progress: i64,
    /// The reason, in words.
    pub desc: String,
    /// Last change.
    pub updated: Timestamp,
    /// When it came into the job.
    pub created: Times,
    /// Grows with each start and each end: an event of another attempt is void.
    pub attempt: u32,
    /// Retries by policy so far.
    pub retries: i64,
}

/// A firmware as far as a job needs it.
#[derive(Clone, Debug)]
pub struct Used {
    /// `firmwareId`.
    pub id: String,
    /// Its name, whole.
    pub name: Value,
    /// Version.
    pub version: String,
    /// Product, when it belongs to one.
    pub product: Option<String>,
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// `jobId`: 24 hex digits.
    pub id: String,
    /// What it is to do.
    pub plan: Plan,
    /// Whether it runs.
    pub is_started: bool,
    /// When that was ordered last.
    pub ordered: Times,
    /// Whether it ran before that.
    pub was_started: bool,
    /// When it was created.
    pub created: Times,
    /// No call shows it any more. Its devices that have begun finish.
    pub is_deleted: bool,
    /// Fields that are shown as they were given.
    pub shown: Map<String, Value>,
    tasks: Vec<Task>,
    by_device: BTreeMap<String, u32>,
    sets: BTreeMap<Status, BTreeSet<u32>>,
    /// Tasks that wait and whose device may be connected.
    pub ready: BTreeSet<u32>,
}

impl Job {
    /// A job without tasks. `shown` are the fields that it was created with.
    #[must_use]
    pub fn new(id: String, plan: Plan, is_started: bool, now: Times, shown: Map<String, Value>) -> Self {
        Self {
            id,
            plan,
            is_started,
            ordered: now,
            was_started: is_started,
            created: now,
            is_deleted: false,
            shown,
            tasks: Vec::new(),
            by_device: BTreeMap::new(),
            sets: BTreeMap::new(),
            ready: BTreeSet::new(),
        }
    }

    /// Takes a device in, unless it is in already.
    pub fn add(&mut self, task: Task) {
        let index = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        if self.by_device.contains_key(&task.device) {
            return;
        }
        self.by_device.insert(task.device.clone(), index);
        self.sets.entry(task.status).or_default().insert(index);
        self.ready.insert(index);
        self.tasks.push(task);
    }

    /// All tasks, in the order in which they came.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// A task.
    #[must_use]
    pub fn task(&self, index: u32) -> Option<&Task> {
        self.tasks.get(index as usize)
    }

    /// A task, to change anything but its status.
    pub fn task_mut(&mut self, index: u32) -> Option<&mut Task> {
        self.tasks.get_mut(index as usize)
    }

    /// The task of a device.
    #[must_use]
    pub fn find(&self, device: &str) -> Option<u32> {
        self.by_device.get(device).copied()
    }

    /// Moves a task to a status.
    pub fn set(&mut self, index: u32, status: Status, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(index as usize) else { return };
        if let Some(set) = self.sets.get_mut(&task.status) {
            set.remove(&index);
        }
        (task.status, task.updated) = (status, now);
        task.attempt += 1;
        self.sets.entry(status).or_default().insert(index);
        self.ready.remove(&index);
        if status == Status::Init {
            self.ready.insert(index);
        }
    }

    /// Tasks in a status.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.sets.get(&status).map_or(0, BTreeSet::len)
    }

    /// Devices whose task is in a status; none when there are none.
    #[must_use]
    pub fn devices_in(&self, status: Status) -> Option<(&'static str, BTreeSet<String>)> {
        let set = self.sets.get(&status).filter(|set| !set.is_empty())?;
        let devices = set.iter().filter_map(|index| Some(self.task(*index)?.device.clone()));
        Some((status.as_str(), devices.collect()))
    }

    /// Whether something will still happen to a device.
    #[must_use]
    pub fn has_open_tasks(&self) -> bool {
        Status::ALL.into_iter().filter(|status| status.is_open()).any(|status| self.count(status) > 0)
    }

    /// Orders it to run, or not to.
    pub const fn order(&mut self, is_started: bool, now: Times) {
        (self.was_started, self.is_started, self.ordered) = (self.is_started, is_started, now);
    }

    /// `JobInfo`; `is_started` may be what it was a moment ago.
    #[must_use]
    pub fn json(&self, organisation: &str, is_started: bool) -> Value {
        let mut shown = self.shown.clone();
        let added = [
            ("orgId", json!(organisation)),
            ("jobId", json!(self.id)),
            ("productKey", json!(self.plan.firmware.product)),
            ("firmwareId", json!(self.plan.firmware.id)),
            ("firmwareVersion", json!(self.plan.firmware.version)),
            ("firmwareName", self.plan.firmware.name.clone()),
            ("status", json!(if is_started { "started" } else { "stopped" })),
            ("createTime", millis(self.created.fleet)),
        ];
        shown.extend(added.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(shown)
    }

    /// `TaskInfo` of a task.
    #[must_use]
    pub fn task_json(&self, task: &Task, organisation: &str, asset: &str) -> Value {
        json!({
            "taskId": task.id,
            "orgId": organisation,
            "assetId": asset,
            "productKey": self.plan.firmware.product,
            "deviceKey": task.device,
            "jobId": self.id,
            "fromVersion": task.from,
            "toVersion": self.plan.firmware.version,
            "progress": task.progress,
            "desc": task.desc,
            "status": task.status.as_str(),
            "updateTime": millis(task.updated),
        })
    }
}

/// What a job is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it is for.
    pub kind: Kind,
    /// What it installs.
    pub firmware: Used,
    /// Which devices.
    pub scope: Scope,
    /// Whether devices that come to fit later join it.
    pub grows: bool,
    /// How long a device may take.
    pub timeout: SignedDuration,
    /// How often a failed task is tried again, and after which time.
    pub retry: Option<(i64, SignedDuration)>,
    /// When devices may be sent it.
    pub schedule: Option<Schedule>,
    /// Most devices at it at a time.
    pub most_at_once: usize,
}
