//! A batch task and its sub tasks. The counters are the sizes of the sets, so they always add up to the total.

use super::paging::Record;
use crate::simulator::fleet::{Part, compact_time};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Status of a task, spelled as on the wire (`Waitting`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documented ones")]
pub enum Status {
    Initializing,
    Waitting,
    Processing,
    Success,
    Fail,
    PartialSuccess,
    Stopped,
    Stopping,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Initializing,
        Self::Waitting,
        Self::Processing,
        Self::Success,
        Self::Fail,
        Self::PartialSuccess,
        Self::Stopped,
        Self::Stopping,
    ];

    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Waitting => "Waitting",
            Self::Processing => "Processing",
            Self::Success => "Success",
            Self::Fail => "Fail",
            Self::PartialSuccess => "PartialSuccess",
            Self::Stopped => "Stopped",
            Self::Stopping => "Stopping",
        }
    }

    /// Nothing happens any more without an order.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Fail | Self::PartialSuccess | Self::Stopped)
    }
}

/// Status of a sub task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the documented ones")]
pub enum SubStatus {
    Waitting,
    Processing,
    Success,
    Fail,
    FailWaitRetry,
    Stopped,
    Removed,
}

impl SubStatus {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Waitting,
        Self::Processing,
        Self::Success,
        Self::Fail,
        Self::FailWaitRetry,
        Self::Stopped,
        Self::Removed,
    ];

    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waitting => "Waitting",
            Self::Processing => "Processing",
            Self::Success => "Success",
            Self::Fail => "Fail",
            Self::FailWaitRetry => "FailWaitRetry",
            Self::Stopped => "Stopped",
            Self::Removed => "Removed",
        }
    }

    /// Something will still happen to it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Waitting | Self::Processing | Self::FailWaitRetry)
    }
}

/// One device of a task.
#[derive(Clone, Debug)]
pub struct Sub {
    /// Device id.
    pub target: String,
    /// Where it stands.
    pub status: SubStatus,
    /// Waits for `/confirm`.
    pub held: bool,
    /// Grows with each start and each stop: an event of another attempt is void.
    pub attempt: u32,
    /// Automatic retries so far.
    pub retries: u32,
    /// `output`.
    pub output: Option<String>,
    /// `error`: code and text.
    pub error: Option<(&'static str, String)>,
}

/// A package as far as a task needs it.
#[derive(Clone, Debug)]
pub struct Used {
    /// `package_id`.
    pub id: String,
    /// Product id.
    pub product: String,
    /// Version.
    pub version: String,
    /// Versions that it may be installed on; all when empty.
    pub sources: Vec<String>,
}

/// A batch task.
#[derive(Clone, Debug)]
pub struct Task {
    /// `task_id`.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// What it upgrades.
    pub part: Part,
    /// Resource space.
    pub app: String,
    /// Packages that it sends.
    pub packages: Vec<Used>,
    /// Automatic retries of a sub task, and the time between them.
    pub retry: Option<(u32, SignedDuration)>,
    /// When it may begin.
    pub begin_at: Timestamp,
    /// Sub tasks have been started.
    pub begun: bool,
    /// Wall time of its creation.
    pub created_wall: Timestamp,
    /// Record of the first sub task; the others follow.
    pub first_row: Record,
    subs: Vec<Sub>,
    sets: BTreeMap<SubStatus, BTreeSet<u32>>,
    by_target: BTreeMap<String, u32>,
    shown: Map<String, Value>,
}

/// A field of a task as it is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Shown<'a> {
    /// As the request gave it.
    Given(&'a Value),
    /// Where it stands.
    Text(&'static str),
    /// `task_progress`.
    Progress(Progress),
}

/// Sub tasks by status; fields in the order of their names.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Progress {
    pub fail: usize,
    pub fail_wait_retry: usize,
    pub processing: usize,
    pub removed: usize,
    pub stopped: usize,
    pub success: usize,
    pub total: usize,
    pub waitting: usize,
}

/// What a new task is made of.
#[derive(Debug)]
pub struct NewTask {
    /// `task_id`.
    pub id: String,
    /// What it upgrades.
    pub part: Part,
    /// Resource space.
    pub app: String,
    /// Packages that it sends.
    pub packages: Vec<Used>,
    /// Automatic retries of a sub task, and the time between them.
    pub retry: Option<(u32, SignedDuration)>,
    /// When it may begin.
    pub begin_at: Timestamp,
    /// Sub tasks wait for `/confirm`.
    pub need_confirm: bool,
    /// Device ids.
    pub targets: Vec<String>,
    /// Fields of the request that are shown as they were given.
    pub shown: Map<String, Value>,
}

impl Task {
    /// A task that begins to live now. Rows of its sub tasks start at `first_row`.
    #[must_use]
    pub fn new(new: NewTask, first_row: Record, fleet: Timestamp, wall: Timestamp) -> Self {
        let NewTask { id, part, app, packages, retry, begin_at, need_confirm, targets, mut shown } = new;
        shown.insert("task_id".to_owned(), json!(id));
        shown.insert("create_time".to_owned(), json!(compact_time(fleet)));
        let subs: Vec<Sub> = targets.into_iter().map(|target| Sub::new(target, need_confirm)).collect();
        let by_target = (0..).zip(&subs).map(|(i, sub)| (sub.target.clone(), i)).collect();
        let waiting = (0..).zip(&subs).map(|(i, _)| i).collect();
        let sets = BTreeMap::from([(SubStatus::Waitting, waiting)]);
        let (status, begun) = (Status::Initializing, false);
        Self {
            id,
            status,
            part,
            app,
            packages,
            retry,
            begin_at,
            begun,
            created_wall: wall,
            first_row,
            subs,
            sets,
            by_target,
            shown,
        }
    }

    /// `task_name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.shown.get("task_name").and_then(Value::as_str).unwrap_or_default()
    }

    /// A sub task.
    #[must_use]
    pub fn sub(&self, index: u32) -> Option<&Sub> {
        self.subs.get(index as usize)
    }

    /// A sub task, to change anything but its status.
    pub fn sub_mut(&mut self, index: u32) -> Option<&mut Sub> {
        self.subs.get_mut(index as usize)
    }

    /// The sub task of a device.
    #[must_use]
    pub fn find(&self, target: &str) -> Option<u32> {
        self.by_target.get(target).copied()
    }

    /// All sub tasks, in the order of the targets.
    #[must_use]
    pub fn subs(&self) -> &[Sub] {
        &self.subs
    }

    /// Sub tasks in one of these states, in order.
    #[must_use]
    pub fn in_status(&self, wanted: &[SubStatus]) -> Vec<u32> {
        let mut found: Vec<u32> =
            wanted.iter().filter_map(|status| self.sets.get(status)).flatten().copied().collect();
        found.sort_unstable();
        found
    }

    /// Number of sub tasks in a state.
    #[must_use]
    pub fn count(&self, status: SubStatus) -> usize {
        self.sets.get(&status).map_or(0, BTreeSet::len)
    }

    /// Moves a sub task to a state. The task's own status follows with [`Self::settle`].
    pub fn set(&mut self, index: u32, status: SubStatus) {
        let Some(sub) = self.subs.get_mut(index as usize) else { return };
        if let Some(set) = self.sets.get_mut(&sub.status) {
            set.remove(&index);
        }
        sub.status = status;
        self.sets.entry(status).or_default().insert(index);
    }

    /// Brings the task's status in line with its sub tasks.
    pub fn settle(&mut self) {
        let waiting = self.count(SubStatus::Waitting);
        let open = waiting + self.count(SubStatus::Processing) + self.count(SubStatus::FailWaitRetry);
        self.status = match self.status {
            Status::Stopping | Status::Stopped | Status::Initializing => self.status,
            _ if open == 0 => self.verdict(),
            Status::Waitting if !self.begun || self.is_untouched() => Status::Waitting,
            _ => Status::Processing,
        };
    }

    /// No sub task has been started yet; some may have been stopped or removed.
    fn is_untouched(&self) -> bool {
        let idle = [SubStatus::Waitting, SubStatus::Stopped, SubStatus::Removed];
        idle.iter().map(|status| self.count(*status)).sum::<usize>() == self.subs.len()
    }

    /// The final status, once nothing is open.
    fn verdict(&self) -> Status {
        let judged = self.subs.len() - self.count(SubStatus::Removed);
        let success = self.count(SubStatus::Success);
        if success > 0 {
            if success == judged { Status::Success } else { Status::PartialSuccess }
        } else if self.count(SubStatus::Stopped) > 0 && self.count(SubStatus::Fail) == 0 {
            Status::Stopped
        } else {
            Status::Fail
        }
    }

    /// `task_progress`.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            fail: self.count(SubStatus::Fail),
            fail_wait_retry: self.count(SubStatus::FailWaitRetry),
            processing: self.count(SubStatus::Processing),
            removed: self.count(SubStatus::Removed),
            stopped: self.count(SubStatus::Stopped),
            success: self.count(SubStatus::Success),
            total: self.subs.len(),
            waitting: self.count(SubStatus::Waitting),
        }
    }

    /// The `Task` object of the API, with or without its `targets`.
    #[must_use]
    pub fn json(&self, with_targets: bool) -> BTreeMap<&str, Shown<'_>> {
        let fields = self.shown.iter().filter(|(name, _)| with_targets || *name != "targets");
        let mut shown: BTreeMap<&str, Shown<'_>> =
            fields.map(|(name, value)| (name.as_str(), Shown::Given(value))).collect();
        shown.insert("status", Shown::Text(self.status.as_str()));
        if self.status == Status::Fail {
            shown.insert("status_desc", Shown::Text("All sub tasks failed."));
        }
        shown.insert("task_progress", Shown::Progress(self.progress()));
        shown
    }

    /// The `TaskDetail` object of a sub task.
    #[must_use]
    pub fn detail(&self, index: u32) -> Option<Value> {
        let sub = self.sub(index)?;
        let mut detail = Map::new();
        detail.insert("target".to_owned(), json!(sub.target));
        detail.insert("status".to_owned(), json!(sub.status.as_str()));
        if let Some(output) = &sub.output {
            detail.insert("output".to_owned(), json!(output));
        }
        if let Some((code, text)) = &sub.error {
            detail.insert("error".to_owned(), json!({"error_code": code, "error_msg": text}));
        }
        Some(Value::Object(detail))
    }
}

impl Sub {
    const fn new(target: String, held: bool) -> Self {
        Self { target, status: SubStatus::Waitting, held, attempt: 0, retries: 0, output: None, error: None }
    }
}
