//! An upgrade task and its sub tasks, one for each device.

use super::{packages::Package, spec::TimeoutStatus};
use crate::simulator::fleet::{Part, compact_time};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Status of a task, as on the wire. A task is `failed`, a sub task `fail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documented ones")]
pub enum Status {
    Wait,
    Processing,
    Failed,
    Success,
    Stop,
}

impl Status {
    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Processing => "processing",
            Self::Failed => "failed",
            Self::Success => "success",
            Self::Stop => "stop",
        }
    }

    /// Nothing happens any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Success | Self::Stop)
    }
}

/// Where a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the task's counters")]
pub enum SubStatus {
    Wait,
    Processing,
    Success,
    Fail,
    Stop,
    Timeout,
}

impl SubStatus {
    /// Name of its counter.
    #[must_use]
    pub const fn counter(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Fail => "fail",
            Self::Stop => "stop",
            Self::Timeout => "timeout",
        }
    }

    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Wait, Self::Processing, Self::Success, Self::Fail, Self::Stop, Self::Timeout];

    /// Something will still happen to it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Wait | Self::Processing)
    }
}

/// When devices are upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execute {
    /// At once; a device that is not connected fails.
    Now,
    /// When the device is connected.
    DeviceOnline,
    /// Between these times.
    Custom(Timestamp, Timestamp),
}

/// One device of a task.
#[derive(Clone, Debug)]
pub struct Sub {
    /// `subOperationId`.
    pub id: String,
    /// Device id.
    pub device: String,
    /// Where it stands.
    pub status: SubStatus,
    /// Grows with each start and each stop: an event of another attempt is void.
    pub attempt: u32,
    /// `detailInfo`.
    pub detail: String,
    /// `startTime`.
    pub started: Option<Timestamp>,
    /// `stopTime`.
    pub stopped: Option<Timestamp>,
    /// It failed, and the task's policy had it tried again.
    pub retried: bool,
}

/// An upgrade task.
#[derive(Clone, Debug)]
pub struct Task {
    /// `operationId`.
    pub id: String,
    /// What it upgrades.
    pub part: Part,
    /// The package as it was when the task was created.
    pub package: Package,
    /// When devices are upgraded.
    pub execute: Execute,
    /// How often the failed devices are tried again.
    pub retries: u32,
    /// Sub tasks, in the order of the devices.
    pub subs: Vec<Sub>,
    /// `createTime`, in fleet time.
    pub created: Timestamp,
    /// The same in wall time.
    pub created_wall: Timestamp,
    /// Stopped in the portal.
    pub is_stopped: bool,
    /// `targets`, as it was given.
    pub targets: Value,
    /// `policy`, as it was given, with its defaults.
    pub policy: Value,
}

impl Task {
    /// Number of sub tasks in a state.
    #[must_use]
    pub fn count(&self, status: SubStatus) -> usize {
        self.subs.iter().filter(|sub| sub.status == status).count()
    }

    /// The sub task of a device.
    #[must_use]
    pub fn find(&self, device: &str) -> Option<usize> {
        self.subs.iter().position(|sub| sub.device == device)
    }

    /// Failed and timed out sub tasks.
    #[must_use]
    pub fn failures(&self) -> Vec<usize> {
        let failed = |sub: &Sub| matches!(sub.status, SubStatus::Fail | SubStatus::Timeout);
        (0..).zip(&self.subs).filter(|(_, sub)| failed(sub)).map(|(index, _)| index).collect()
    }

    /// Where it stands, by its sub tasks.
    #[must_use]
    pub fn status(&self) -> Status {
        let has = |status| self.count(status) > 0;
        if self.is_stopped {
            Status::Stop
        } else if self.subs.iter().any(|sub| sub.status.is_open()) {
            let untouched = self.subs.iter().all(|sub| sub.started.is_none());
            if untouched { Status::Wait } else { Status::Processing }
        } else if has(SubStatus::Fail) || has(SubStatus::Timeout) {
            Status::Failed
        } else {
            Status::Success
        }
    }

    /// The `Operation` object.
    #[must_use]
    pub fn json(&self) -> Value {
        let started = self.subs.iter().filter_map(|sub| sub.started).min();
        let ended = self.subs.iter().filter_map(|sub| sub.stopped).max();
        let stopped = ended.filter(|_| self.status().is_final());
        let mut counters = json!({"total": self.subs.len()});
        for status in SubStatus::ALL {
            counters[status.counter()] = json!(self.count(status));
        }
        json!({
            "operationId": self.id,
            "createTime": compact_time(self.created),
            "startTime": started.map(compact_time),
            "stopTime": stopped.map(compact_time),
            "operateType": self.operate_type(),
            "targets": self.targets,
            "policy": self.policy,
            "status": self.status().as_str(),
            "staResult": counters,
            "extendPara": {},
        })
    }

    /// `firmware_upgrade` or `software_upgrade`.
    #[must_use]
    pub const fn operate_type(&self) -> &'static str {
        match self.part {
            Part::Firmware => "firmware_upgrade",
            Part::Software => "software_upgrade",
        }
    }

    /// The `SubOperation` object of a sub task.
    #[must_use]
    pub fn sub_json(&self, sub: &Sub, timeouts: TimeoutStatus) -> Value {
        json!({
            "subOperationId": sub.id,
            "createTime": compact_time(self.created),
            "startTime": sub.started.map(compact_time),
            "stopTime": sub.stopped.map(compact_time),
            "operateType": self.operate_type(),
            "deviceId": sub.device,
            "status": sub.wire_status(timeouts),
            "detailInfo": sub.detail,
            "extendInfo": {},
        })
    }
}

impl Sub {
    /// Its status as on the wire: documents list no status for a device that timed out.
    #[must_use]
    pub fn wire_status(&self, timeouts: TimeoutStatus) -> &'static str {
        match (self.status, timeouts) {
            (SubStatus::Timeout, TimeoutStatus::Fail) => SubStatus::Fail.counter(),
            (status, _) => status.counter(),
        }
    }
}
