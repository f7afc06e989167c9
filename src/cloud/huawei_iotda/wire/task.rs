//! Batch tasks: `…/batchtasks`.

use super::{ErrorBody, Page};
use serde::{Deserialize, Serialize};
use std::fmt;

wire_enum! {
    /// Kind of a batch task. Only upgrades are listed; other kinds are `Other`.
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
    /// State of a batch task.
    TaskStatus {
        /// Being set up.
        Initializing = "Initializing",
        /// Waits for its time, for a confirmation, or for the first device. Spelled as in the cloud.
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
    /// State of one device of a batch task.
    TargetStatus {
        /// Not begun. Spelled as in the cloud.
        Waitting = "Waitting",
        /// Upgrading.
        Processing = "Processing",
        /// Succeeded.
        Success = "Success",
        /// Failed permanently.
        Fail = "Fail",
        /// Failed, waits for a retry.
        FailWaitRetry = "FailWaitRetry",
        /// Stopped.
        Stopped = "Stopped",
        /// Removed from the task.
        Removed = "Removed",
    }
}

wire_struct! {
    /// Body of `POST …/batchtasks`.
    CreateTask {
        /// At most 128 of Chinese, letters, digits and `_`.
        task_name: String,
        /// Kind of the task.
        task_type: TaskType,
        @optional
        /// Resource space; the default one when absent.
        app_id: String,
        /// `GATEWAY` only.
        task_mode: String,
        /// Every device waits for `/confirm`.
        need_confirm: bool,
        /// Passed to the device; at most 512 characters.
        task_ext_info: serde_json::Value,
        /// Device ids, at most 30,000. Takes precedence over `targets_filter`.
        targets: Vec<String>,
        /// Groups instead of devices.
        targets_filter: TargetsFilter,
        /// An uploaded list instead of devices; not used for upgrades.
        document_source: String,
        /// The package to send; required for upgrades.
        document: Document,
        /// Schedule and retries.
        task_policy: TaskPolicy,
    }

    /// Devices of a task by group.
    TargetsFilter {
        @optional
        /// Groups.
        group_ids: Vec<String>,
    }

    /// The package of an upgrade. SDK 3.1.50 to 3.1.170 document `package_id`, SDK 3.1.185 and later `package_ids`.
    Document {
        @optional
        /// The package, in the form of older platforms.
        package_id: String,
        /// The package, in the form of newer platforms.
        package_ids: Vec<String>,
    }

    /// Schedule and retries of a task.
    TaskPolicy {
        @optional
        /// See [`parse_time`](super::parse_time); within 7 days; now when absent.
        schedule_time: String,
        /// At most 5; used with `retry_interval`.
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
        /// State of the task.
        status: TaskStatus,
        @optional
        /// `GATEWAY` only.
        task_mode: String,
        /// Every device waits for `/confirm`.
        need_confirm: bool,
        /// Passed to the device.
        task_ext_info: serde_json::Value,
        /// Device ids.
        targets: Vec<String>,
        /// Groups instead of devices.
        targets_filter: TargetsFilter,
        /// The package to send.
        document: Document,
        /// Schedule and retries.
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
        /// Total.
        total: u32,
        /// Upgrading.
        processing: u32,
        /// Succeeded.
        success: u32,
        /// Failed permanently.
        fail: u32,
        /// Not begun. Spelled as in the cloud.
        waitting: u32,
        /// Failed, wait for a retry.
        fail_wait_retry: u32,
        /// Stopped.
        stopped: u32,
        /// Removed from the task.
        removed: u32,
    }

    /// Reply to `GET …/batchtasks`.
    TaskList {
        /// At most 50.
        batchtasks: Vec<Task>,
        @optional
        /// Position of the list.
        page: Page,
    }

    /// Reply to `GET …/batchtasks/{task_id}`. Paging is over `task_details` only.
    TaskShow {
        /// The task.
        batchtask: Task,
        @optional
        /// At most 50 of its devices.
        task_details: Vec<TaskDetail>,
        /// Position of the list of devices.
        page: Page,
    }

    /// Result of one device of a task.
    TaskDetail {
        /// Device id.
        target: String,
        /// State of the device.
        status: TargetStatus,
        @optional
        /// Text of the result.
        output: String,
        /// Why it failed.
        error: ErrorBody,
    }
}
