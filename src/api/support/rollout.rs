//! The fields of `OtaRollout`.

use super::row::Row;
use super::row::Support::{self, Emulated, Native, Refused};

const OURS: [Support; 4] = [Emulated("by Rollwave"); 4];
const RESOLVED: [Support; 4] = [Emulated("resolved to devices by Rollwave"); 4];

pub(super) const START: [Support; 4] = [
    Refused("a device that is not connected gets the package when it connects: remove it"),
    Native("policy.executeType now, device_online"),
    Refused("a device that is not connected gets the package when it connects: remove it"),
    Refused("a device that is not connected gets the package when it connects: remove it"),
];
const WHO_NEVER_BEGAN: &str = "a device that has not begun by then leaves the sample; the job continues";
const QUEUED: [Support; 4] = [
    Emulated(
        "a device that has not begun by then leaves the sample; IoTDA itself gives up after 25h offline",
    ),
    Emulated(WHO_NEVER_BEGAN),
    Emulated(WHO_NEVER_BEGAN),
    Emulated(WHO_NEVER_BEGAN),
];
const WHO_TIMED_OUT: &str = "measured for a stage, from the last time one of its devices began: a device that takes longer has failed; the job continues";
const IN_PROGRESS: [Support; 4] =
    [Emulated(WHO_TIMED_OUT), Emulated(WHO_TIMED_OUT), Native("TimeoutInMinutes"), Native("upgradeTimeout")];
const A_PIECE_A_MINUTE: &str = "a job of this many devices each minute";
const PLACES: &str =
    "a device takes a place until it has an outcome; the next job is sent when half of the places are free";
pub(super) const PUSH: [Support; 4] = [
    Refused("IoTDA always pushes: remove it"),
    Refused("the platform always pushes: remove it"),
    Native("NeedPush"),
    Refused("EnOS always pushes: use deviceInitiated to let devices request the package as well"),
];
pub(super) const CONFIRM: [Support; 4] = [
    Native("need_confirm"),
    Refused("the platform has no confirmation: remove it"),
    Native("NeedConfirm"),
    Refused("EnOS has no confirmation: remove it"),
];
pub(super) const PROTOCOL: [Support; 4] = [
    Refused("the product of the device determines it: remove it"),
    Refused("the product of the device determines it: remove it"),
    Native("DownloadProtocol"),
    Refused("the product of the device determines it: remove it"),
];
pub(super) const TAGS: [Support; 4] = [
    Native("task_ext_info"),
    Refused("tags are not passed to the device: remove them"),
    Native("Tag.N"),
    Refused("tags are not passed to the device: remove them"),
];

const BY_TAG: &str = "sourceVersion, group with targets.groups, or tag:KEY with targets.tags";

pub(super) const ROWS: &[Row] = &[
    Row { field: "spec.packageRef", clouds: OURS },
    Row { field: "spec.priority", clouds: OURS },
    Row {
        field: "spec.targets.fromVersions",
        clouds: [RESOLVED[0], RESOLVED[1], RESOLVED[2], Native("upgradeScope.versionNumbers")],
    },
    Row { field: "spec.targets.all", clouds: RESOLVED },
    Row {
        field: "spec.targets.devices",
        clouds: [
            Native("targets"),
            Native("targets.devices"),
            Native("TargetDeviceName.N"),
            Native("upgradeScope.deviceKeys"),
        ],
    },
    Row {
        field: "spec.targets.groups",
        clouds: [
            RESOLVED[0],
            RESOLVED[1],
            RESOLVED[2],
            Refused("the OTA service of EnOS has no groups: use targets.tags or targets.devices"),
        ],
    },
    Row {
        field: "spec.targets.tags",
        clouds: [
            RESOLVED[0],
            Refused("the platform has no tags: use targets.groups or targets.devices"),
            RESOLVED[2],
            Emulated("resolved to devices by Rollwave, with `deviceTags` of Search Device"),
        ],
    },
    Row {
        field: "spec.targets.attributes",
        clouds: [
            Refused("devices have no attributes: use targets.tags"),
            Refused("devices have no attributes: use targets.groups or targets.devices"),
            Refused("devices have no attributes: use targets.tags"),
            Emulated("resolved to devices by Rollwave, with `deviceAttributes` of Search Device"),
        ],
    },
    Row { field: "spec.targets.exclude", clouds: RESOLVED },
    Row { field: "spec.newDevices", clouds: OURS },
    Row { field: "spec.order.seed", clouds: OURS },
    Row {
        field: "spec.order.stratifyBy",
        clouds: [
            Emulated(BY_TAG),
            Emulated("sourceVersion, or group with targets.groups"),
            Emulated(BY_TAG),
            Emulated("sourceVersion"),
        ],
    },
    Row { field: "spec.stages[].name", clouds: OURS },
    Row { field: "spec.stages[].select.count", clouds: OURS },
    Row { field: "spec.stages[].select.percent", clouds: OURS },
    Row { field: "spec.stages[].select.devices", clouds: OURS },
    Row {
        field: "spec.stages[].select.groups",
        clouds: [
            RESOLVED[0],
            RESOLVED[1],
            RESOLVED[2],
            Refused("the OTA service of EnOS has no groups: use select.tags or select.devices"),
        ],
    },
    Row {
        field: "spec.stages[].select.tags",
        clouds: [
            RESOLVED[0],
            Refused("the platform has no tags: use select.groups or select.devices"),
            RESOLVED[2],
            Emulated("resolved to devices by Rollwave, with `deviceTags` of Search Device"),
        ],
    },
    Row {
        field: "spec.stages[].select.attributes",
        clouds: [
            Refused("devices have no attributes: use select.tags"),
            Refused("devices have no attributes: use select.groups or select.devices"),
            Refused("devices have no attributes: use select.tags"),
            Emulated("resolved to devices by Rollwave, with `deviceAttributes` of Search Device"),
        ],
    },
    Row { field: "spec.stages[].select.rest", clouds: OURS },
    Row {
        field: "spec.stages[].notBefore",
        clouds: [Emulated("jobs are created from then on, not scheduled in the cloud"); 4],
    },
    Row {
        field: "spec.stages[].windows",
        clouds: [Emulated("jobs are created while a window is open, not scheduled in the cloud"); 4],
    },
    Row { field: "spec.stages[].batch", clouds: OURS },
    Row { field: "spec.stages[].soak", clouds: OURS },
    Row { field: "spec.stages[].deadline", clouds: OURS },
    Row { field: "spec.stages[].gates", clouds: OURS },
    Row {
        field: "spec.stop",
        clouds: [
            Emulated("by Rollwave; Control reads `status` of the listed devices"),
            Emulated(
                "by Rollwave; Control needs a soak of more than 25h: the platform shows a device as offline that late",
            ),
            Emulated(
                "by Rollwave; Control reads `Status` of the listed devices, and decides nothing for packages of a module",
            ),
            Emulated("by Rollwave; Control reads `status` of Search Device"),
        ],
    },
    Row { field: "spec.delivery.start", clouds: START },
    Row { field: "spec.delivery.timeout.queued", clouds: QUEUED },
    Row { field: "spec.delivery.timeout.inProgress", clouds: IN_PROGRESS },
    Row {
        field: "spec.delivery.retry.limit",
        clouds: [
            Native("task_policy.retry_count"),
            Native("policy.retryType, retryTimes"),
            Native("RetryCount"),
            Native("retryPolicy.retryCount"),
        ],
    },
    Row {
        field: "spec.delivery.retry.interval",
        clouds: [
            Native("task_policy.retry_interval"),
            Refused("the platform determines it: remove it"),
            Native("RetryInterval"),
            Native("retryPolicy.retryInterval"),
        ],
    },
    Row {
        field: "spec.delivery.ratePerMinute",
        clouds: [
            Emulated(A_PIECE_A_MINUTE),
            Emulated(A_PIECE_A_MINUTE),
            Native("MaximumPerMinute"),
            Emulated(A_PIECE_A_MINUTE),
        ],
    },
    Row {
        field: "spec.delivery.maxInFlight",
        clouds: [Emulated(PLACES), Emulated(PLACES), Emulated(PLACES), Native("maximumConcurrency")],
    },
    Row { field: "spec.delivery.push", clouds: PUSH },
    Row { field: "spec.delivery.confirm", clouds: CONFIRM },
    Row {
        field: "spec.delivery.deviceInitiated",
        clouds: [
            Refused("IoTDA always pushes: remove it"),
            Refused("the platform always pushes: remove it"),
            Refused("use delivery.push: false"),
            Native("enableUpgradeRequest"),
        ],
    },
    Row { field: "spec.delivery.downloadProtocol", clouds: PROTOCOL },
    Row {
        field: "spec.delivery.overwrite",
        clouds: [
            Refused("a job that holds the devices must end first: remove it"),
            Refused("a job that holds the devices must end first: remove it"),
            Native("OverwriteMode"),
            Refused("a job that holds the devices must end first: remove it"),
        ],
    },
    Row { field: "spec.delivery.tags", clouds: TAGS },
    Row { field: "spec.readyWhen", clouds: OURS },
    Row { field: "spec.suspend", clouds: OURS },
];
