//! A job and its tasks, as the cloud keeps them.

use super::request::members;
use crate::simulator::fleet::long_time;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Tries a package on a few devices.
    Verify,
    /// Upgrades a set of devices that is fixed when it is created.
    Static,
    /// Upgrades whatever comes to fit, until its strategy is cancelled.
    Dynamic,
}

/// Status of a job; that of a finished one is spelled differently in lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documented ones")]
pub enum JobStatus {
    Planned,
    InProgress,
    Completed,
    Canceled,
}

impl JobStatus {
    /// As QueryOTAJob spells it, or as the lists do.
    #[must_use]
    pub const fn as_str(self, in_list: bool) -> &'static str {
        match self {
            Self::Planned => "PLANNED",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed if in_list => "COMPLETE",
            Self::Completed => "COMPLETED",
            Self::Canceled => "CANCELED",
        }
    }

    /// True when nothing will change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled)
    }
}

/// Status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the documented ones")]
pub enum TaskStatus {
    Confirm,
    Queued,
    Notified,
    InProgress,
    Succeeded,
    Failed,
    Canceled,
}

impl TaskStatus {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Confirm,
        Self::Queued,
        Self::Notified,
        Self::InProgress,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
    ];

    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "CONFIRM",
            Self::Queued => "QUEUED",
            Self::Notified => "NOTIFIED",
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
        }
    }

    /// True when nothing will change any more without an order.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

/// One device in a job.
#[derive(Clone, Debug)]
pub struct Task {
    /// `TaskId`.
    pub id: String,
    /// `DeviceName`.
    pub device: String,
    /// `IotId`.
    pub iot_id: String,
    /// Version that it ran when the task was made.
    pub src_version: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// Percent, of what the device has reported.
    pub progress: u8,
    /// Why it failed.
    pub desc: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When its status changed last.
    pub modified: Timestamp,
    /// When the device has reported for the first time: the timeout's clock starts once.
    pub started: bool,
    /// What was scheduled for an earlier number is void.
    pub attempt: u32,
    /// Retries so far.
    pub retries: u32,
}

/// How a job is carried out.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `SrcVersion`.
    pub src_versions: Vec<String>,
    /// `RetryCount` and `RetryInterval` in minutes.
    pub retry: Option<(u32, i64)>,
    /// `TimeoutInMinutes`.
    pub timeout: Option<i64>,
    /// `MaximumPerMinute`.
    pub per_minute: Option<u32>,
    /// `OverwriteMode` is 2.
    pub overwrites: bool,
    /// `MultiModuleMode`.
    pub multi_module: bool,
    /// `NeedPush`.
    pub need_push: bool,
    /// `NeedConfirm`.
    pub need_confirm: bool,
    /// `DownloadProtocol`.
    pub protocol: String,
    /// `Tag`, in the order given.
    pub tags: Vec<(String, String)>,
    /// `ScheduleTime`.
    pub begins: Option<Timestamp>,
    /// `ScheduleFinishTime`.
    pub ends: Option<Timestamp>,
    /// `GrayPercent`, as given.
    pub gray_percent: Option<String>,
    /// `GroupId`.
    pub group: Option<String>,
    /// `DynamicMode`.
    pub dynamic_mode: Option<i64>,
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// `JobId`.
    pub id: String,
    /// What it is for.
    pub purpose: Purpose,
    /// `TargetSelection`.
    pub selection: &'static str,
    /// `FirmwareId`.
    pub firmware: String,
    /// `ProductKey`.
    pub product: String,
    /// Module of the package.
    pub module: String,
    /// Name of the package.
    pub name: String,
    /// Version of the package.
    pub dest_version: String,
    /// The one version that a delta package fits.
    pub delta_from: Option<String>,
    /// How it is carried out.
    pub settings: Settings,
    /// Where it stands.
    pub status: JobStatus,
    /// Its devices.
    pub tasks: Vec<Task>,
    /// How often a device was matched, by name.
    pub matched: BTreeMap<String, u32>,
    /// When it was created, in fleet time.
    pub created: Timestamp,
    /// When it was created, in wall time.
    pub created_wall: Timestamp,
    /// When it changed last.
    pub modified: Timestamp,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl Job {
    /// `JobType`, as the Chinese page spells it.
    #[must_use]
    pub const fn job_type(&self) -> &'static str {
        match self.purpose {
            Purpose::Verify => "VERIFY_FIRMWARE",
            Purpose::Static | Purpose::Dynamic => "UPGRADE_FIRMWARE",
        }
    }

    const fn selection_type(&self) -> &'static str {
        match self.purpose {
            Purpose::Verify | Purpose::Static => "STATIC",
            Purpose::Dynamic => "DYNAMIC",
        }
    }

    /// Positions of the tasks in these statuses.
    #[must_use]
    pub fn in_status(&self, statuses: &[TaskStatus]) -> Vec<u32> {
        let found = self.tasks.iter().zip(0..).filter(|(task, _)| statuses.contains(&task.status));
        found.map(|(_, index)| index).collect()
    }

    /// A row of a list.
    #[must_use]
    pub fn row(&self) -> Map<String, Value> {
        let mut row = members([
            ("FirmwareId", json!(self.firmware)),
            ("JobId", json!(self.id)),
            ("JobStatus", json!(self.status.as_str(true))),
            ("JobType", json!(self.job_type())),
            ("ProductKey", json!(self.product)),
            ("SelectionType", json!(self.selection_type())),
            ("TargetSelection", json!(self.selection)),
            ("UtcCreate", json!(long_time(self.created))),
            ("UtcModified", json!(long_time(self.modified))),
        ]);
        optional(&mut row, "Tags", self.tags());
        optional(&mut row, "UtcStartTime", self.started.map(|at| json!(long_time(at))));
        optional(&mut row, "UtcEndTime", self.ended.map(|at| json!(long_time(at))));
        row
    }

    /// `Data` of QueryOTAJob.
    #[must_use]
    pub fn whole(&self) -> Map<String, Value> {
        let settings = &self.settings;
        let mut whole = self.row();
        whole.extend(members([
            ("JobStatus", json!(self.status.as_str(false))),
            ("Name", json!(self.name)),
            ("DestVersion", json!(self.dest_version)),
            ("NeedPush", json!(settings.need_push)),
            ("NeedConfirm", json!(settings.need_confirm)),
            ("DownloadProtocol", json!(settings.protocol)),
            ("MultiModuleMode", json!(settings.multi_module)),
        ]));
        let sources =
            (!settings.src_versions.is_empty()).then(|| json!({"SrcVersion": settings.src_versions}));
        optional(&mut whole, "SrcVersions", sources);
        optional(&mut whole, "RetryCount", settings.retry.map(|(count, _)| json!(count)));
        optional(&mut whole, "RetryInterval", settings.retry.map(|(_, minutes)| json!(minutes)));
        optional(&mut whole, "TimeoutInMinutes", settings.timeout.map(|minutes| json!(minutes)));
        if self.purpose != Purpose::Verify {
            optional(&mut whole, "MaximumPerMinute", settings.per_minute.map(|rate| json!(rate)));
            let mode = if settings.overwrites { 2 } else { 1 };
            optional(&mut whole, "OverwriteMode", Some(json!(mode)));
        }
        optional(&mut whole, "DynamicMode", settings.dynamic_mode.map(|mode| json!(mode)));
        optional(&mut whole, "GrayPercent", settings.gray_percent.as_ref().map(|percent| json!(percent)));
        optional(&mut whole, "GroupId", settings.group.as_ref().map(|group| json!(group)));
        optional(&mut whole, "UtcScheduleTime", settings.begins.map(|at| json!(long_time(at))));
        optional(&mut whole, "UtcScheduleFinishTime", settings.ends.map(|at| json!(long_time(at))));
        whole
    }

    fn tags(&self) -> Option<Value> {
        let tag = |(key, value): &(String, String)| json!({"Key": key, "Value": value});
        let tags: Vec<Value> = self.settings.tags.iter().map(tag).collect();
        (!tags.is_empty()).then(|| json!({"OtaTagDTO": tags}))
    }

    /// A row of ListOTATaskByJob; `product_name` is for people.
    #[must_use]
    pub fn task_row(&self, task: &Task, product_name: &str) -> Map<String, Value> {
        let mut row = self.unfinished_row(task, product_name);
        row.remove("ModuleName");
        row.insert("Progress".to_owned(), json!(task.progress.to_string()));
        let timeout = self.settings.timeout.map(|minutes| json!(minutes.to_string()));
        optional(&mut row, "Timeout", timeout);
        optional(&mut row, "TaskDesc", task.desc.as_ref().map(|text| json!(text)));
        row
    }

    /// A row of ListOTAUnfinishedTaskByDevice, which knows the module, and neither progress nor reason.
    #[must_use]
    pub fn unfinished_row(&self, task: &Task, product_name: &str) -> Map<String, Value> {
        members([
            ("TaskId", json!(task.id)),
            ("JobId", json!(self.id)),
            ("FirmwareId", json!(self.firmware)),
            ("DeviceName", json!(task.device)),
            ("IotId", json!(task.iot_id)),
            ("ProductKey", json!(self.product)),
            ("ProductName", json!(product_name)),
            ("ModuleName", json!(self.module)),
            ("SrcVersion", json!(task.src_version)),
            ("DestVersion", json!(self.dest_version)),
            ("TaskStatus", json!(task.status.as_str())),
            ("UtcCreate", json!(long_time(task.created))),
            ("UtcModified", json!(long_time(task.modified))),
        ])
    }

    /// The time until which a rate of pushes holds back the task of this place.
    #[must_use]
    pub fn rate_delay(&self, place: u32) -> SignedDuration {
        let minutes = self.settings.per_minute.map_or(0, |rate| place / rate.max(1));
        SignedDuration::from_mins(i64::from(minutes))
    }
}

fn optional(row: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        row.insert(name.to_owned(), value);
    }
}
