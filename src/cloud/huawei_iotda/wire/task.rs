//! Batch tasks: `…/batchtasks`.

use super::{ErrorBody, Page};
use serde::{Deserialize, Serialize};
use std::fmt;

wire_enum! {
    /// What a batch task does. Only upgrades are named; the others fall under `Other`.
    TaskType {
        /// Upgrades software.
        Software = "softwareUpgrade",
        /// Upgrades firmware.
        Firmware = "firmwareUpgrade",
        /// Upgrades a module; newer platforms only.
        Module = "moduleUpgrade",
    }
}

wire_enum! {
    /// Where a batch task stands.
    TaskStatus {
        /// Being set up.
        Initializing = "Initializing",
        /// Waits for its time, for a confirmation, or for the first device. Spelled as the cloud spells it.
        Waitting = "Waitting",
        /// At least one device has begun.
        Processing = "Processing",
        /// Every device succeeded. Final.
        Success = "Success",
        /// Every device failed. Final.
        Fail = "Fail",
        /// Some devices succeeded. Final.
        PartialSuccess = "PartialSuccess",
        /// Stopped. Final.
        Stopped = "Stopped",
        /// Being stopped.
        Stopping = "Stopping",
    }
}

wire_enum! {
    /// Where one device of a batch task stands.
    TargetStatus {
        /// Not begun. Spelled as the cloud spells it.
        Waitting = "Waitting",
        /// Upgrading.
        Processing = "Processing",
        /// Succeeded.
        Success = "Success",
        /// Failed for good.
        Fail = "Fail",
        /// Failed, waits to be tried again.
        FailWaitRetry = "FailWaitRetry",
        /// Stopped.
        Stopped = "Stopped",
        /// Left the task.
        Removed = "Removed",
    }
}

wire_struct! {
    /// Body of `POST …/batchtasks`.
    CreateTask {
        /// At most 128 of Chinese, letters, digits and `_`.
        task_name: String,
        /// What it does.
        task_type: TaskType,
        @optional
        /// Resource space; the default one when absent.
        app_id: String,
        /// `GATEWAY` only.
        task_mode: String,
        /// Every device waits for `/confirm`.
        need_confirm: bool,
        /// Handed to the device; at most 512 characters.
        task_ext_info: serde_json::Value,
        /// Device ids, at most 30,000. Goes before `targets_filter`.
        targets: Vec<String>,
        /// Groups instead of devices.
        targets_filter: TargetsFilter,
        /// An uploaded list instead of devices; never for upgrades.
        document_source: String,
        /// What to send; needed for upgrades.
        document: Document,
        /// When, and how often again.
        task_policy: TaskPolicy,
    }

    /// Devices of a task by group.
    TargetsFilter {
        @optional
        /// Groups.
        group_ids: Vec<String>,
    }

    /// What an upgrade sends. SDK 3.1.50 to 3.1.170 document `package_id`, SDK 3.1.185 and later `package_ids`.
    Document {
        @optional
        /// The package, as older platforms write it.
        package_id: String,
        /// The package, as newer platforms write it.
        package_ids: Vec<String>,
    }

    /// When a task starts, and how often it tries again.
    TaskPolicy {
        @optional
        /// See [`parse_time`](super::parse_time); within 7 days; now when absent.
        schedule_time: String,
        /// At most 5; goes with `retry_interval`.
        retry_count: u32,
        /// Minutes, at most 1,440.
        retry_interval: u32,
    }

    /// A batch task: reply to create, row of the list, and `batchtask` of show.
    Task {
        /// Cloud's id.
        task_id: String,
        /// Its name; not known to be unique.
        task_name: String,
        /// What it does.
        task_type: TaskType,
        /// Where it stands.
        status: TaskStatus,
        @optional
        /// `GATEWAY` only.
        task_mode: String,
        /// Every device waits for `/confirm`.
        need_confirm: bool,
        /// Handed to the device.
        task_ext_info: serde_json::Value,
        /// Device ids.
        targets: Vec<String>,
        /// Groups instead of devices.
        targets_filter: TargetsFilter,
        /// What it sends.
        document: Document,
        /// When, and how often again.
        task_policy: TaskPolicy,
        /// Why the task as a whole failed.
        status_desc: String,
        /// Counters of its devices.
        task_progress: TaskProgress,
        /// See [`parse_time`](super::parse_time).
        create_time: String,
    }

    /// Counters of a task's devices.
    TaskProgress {
        @optional
        /// All.
        total: u32,
        /// Upgrading.
        processing: u32,
        /// Succeeded.
        success: u32,
        /// Failed for good.
        fail: u32,
        /// Not begun. Spelled as the cloud spells it.
        waitting: u32,
        /// Failed, wait to be tried again.
        fail_wait_retry: u32,
        /// Stopped.
        stopped: u32,
        /// Left the task.
        removed: u32,
    }

    /// Reply to `GET …/batchtasks`.
    TaskList {
        /// At most 50.
        batchtasks: Vec<Task>,
        @optional
        /// Where the list stands.
        page: Page,
    }

    /// Reply to `GET …/batchtasks/{task_id}`. Paging is over `task_details` only.
    TaskShow {
        /// The task.
        batchtask: Task,
        @optional
        /// At most 50 of its devices.
        task_details: Vec<TaskDetail>,
        /// Where the list of devices stands.
        page: Page,
    }

    /// What a task says of one device.
    TaskDetail {
        /// Device id.
        target: String,
        /// Where it stands.
        status: TargetStatus,
        @optional
        /// Text of its result.
        output: String,
        /// Why it failed.
        error: ErrorBody,
    }

    /// Body of stop, retry and confirm: these devices (at most 100), or all when absent.
    TaskOrder {
        @optional
        /// Device ids.
        targets: Vec<String>,
    }

    /// Reply to stop, retry and confirm.
    TaskOrderReply {
        @optional
        /// One row for each device that was named.
        targets: Vec<TargetResult>,
    }

    /// Whether an order reached one device.
    TargetResult {
        /// Device id.
        target: String,
        /// `success` or `failure`.
        status: String,
        @optional
        /// Why not.
        error_code: String,
        /// Why not, in words.
        error_msg: String,
    }
}
