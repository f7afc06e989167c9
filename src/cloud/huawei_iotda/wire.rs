//! What goes over the wire to and from IoTDA: field names and spellings are the cloud's (`Waitting` has two t).
//!
//! The client reads with these types what the simulator writes with them. A field that the documents call optional is
//! left out when absent; fields that nobody here knows are ignored. Facts: SDK 3.1.219 unless a line says otherwise.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;

pub use super::wire_iam::*;

const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A time as IoTDA writes it: `20240305T060708Z`, always UTC.
#[must_use]
pub fn format_time(time: Timestamp) -> String {
    time.strftime(TIME_FORMAT).to_string()
}

/// Reads a time as IoTDA writes it; none when it has another form.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let civil = if text.len() == 16 { DateTime::strptime(TIME_FORMAT, text).ok()? } else { return None };
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Declares an enum whose values are strings on the wire, with room for one that no document names.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
            /// A value that no document names.
            #[serde(untagged)]
            Other(String),
        }

        impl $name {
            /// As it stands on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

wire_enum! {
    /// What a package upgrades.
    PackageType {
        /// The device's software.
        Software = "softwarePackage",
        /// The device's firmware.
        Firmware = "firmwarePackage",
        /// One module of the device; newer platforms only.
        Module = "modulePackage",
    }
}

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

wire_enum! {
    /// Connection state of a device.
    DeviceStatus {
        /// Connected.
        Online = "ONLINE",
        /// Not connected.
        Offline = "OFFLINE",
        /// In trouble.
        Abnormal = "ABNORMAL",
        /// Never connected.
        Inactive = "INACTIVE",
        /// Locked out.
        Frozen = "FROZEN",
    }
}

/// Declares wire structs: fields after `@optional` are left out when absent, and may be absent or null when read.
macro_rules! wire_struct {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$required_doc:meta])* $required:ident: $required_type:ty,)*
        $(@optional $($(#[$optional_doc:meta])* $optional:ident: $optional_type:ty,)+)?
    })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
            pub struct $name {
                $($(#[$required_doc])* pub $required: $required_type,)*
                $($(
                    $(#[$optional_doc])*
                    #[serde(skip_serializing_if = "Option::is_none")]
                    pub $optional: Option<$optional_type>,
                )+)?
            }
        )+
    };
}

wire_struct! {
    /// Body of `POST …/ota-upgrades/packages`. Limits: [`super::limits`].
    CreatePackage {
        /// Resource space.
        app_id: String,
        /// Firmware or software.
        package_type: PackageType,
        /// Product.
        product_id: String,
        /// Version that a device reports once it runs the package.
        version: String,
        /// Where the bytes are.
        file_location: FileLocation,
        @optional
        /// Module; with `modulePackage` only.
        module_name: String,
        /// Versions that may be upgraded to this one.
        support_source_versions: Vec<String>,
        /// For people.
        description: String,
        /// Handed to the device.
        custom_info: String,
    }

    /// Where the bytes of a package are.
    FileLocation {
        @optional
        /// An object in OBS: the only variant that is documented.
        obs_location: ObsLocation,
    }

    /// An object in OBS.
    ObsLocation {
        /// Region of the bucket.
        region_name: String,
        /// Bucket.
        bucket_name: String,
        /// Key of the object.
        object_key: String,
        @optional
        /// SHA-256 of the bytes, hex.
        sign: String,
        /// Algorithm of `sign`: `SHA256`.
        sign_method: String,
    }

    /// A package. Lists leave `file_location` out.
    OtaPackage {
        /// Cloud's id.
        package_id: String,
        /// Firmware or software.
        package_type: PackageType,
        /// Product.
        product_id: String,
        /// Version.
        version: String,
        @optional
        /// Resource space.
        app_id: String,
        /// Name of the product; newer platforms only.
        product_name: String,
        /// Module; newer platforms only.
        module_name: String,
        /// Versions that may be upgraded to this one.
        support_source_versions: Vec<String>,
        /// For people.
        description: String,
        /// Handed to the device.
        custom_info: String,
        /// See [`parse_time`].
        create_time: String,
        /// Where the bytes are.
        file_location: FileLocation,
    }

    /// Reply to `GET …/ota-upgrades/packages`.
    PackageList {
        /// At most 50.
        packages: Vec<OtaPackage>,
        @optional
        /// Where the list stands.
        page: Page,
    }

    /// Where a list stands.
    Page {
        @optional
        /// Rows that match the filter, on all pages.
        count: u64,
        /// Id of the last row of this page.
        marker: String,
    }

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
        /// See [`parse_time`]; within 7 days; now when absent.
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
        /// See [`parse_time`].
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

    /// A device; lists and show give different sets of optional fields.
    Device {
        /// Cloud's id.
        device_id: String,
        @optional
        /// Product.
        product_id: String,
        /// Resource space.
        app_id: String,
        /// Name of the resource space.
        app_name: String,
        /// Id that the device itself knows: IMEI, MAC, serial number.
        node_id: String,
        /// Gateway that it hangs on; itself when directly connected.
        gateway_id: String,
        /// Name for people.
        device_name: String,
        /// `ENDPOINT`, `GATEWAY` or `UNKNOWN`.
        node_type: String,
        /// Name of the product.
        product_name: String,
        /// Text for people.
        description: String,
        /// Firmware version that it reported last.
        fw_version: String,
        /// Software version that it reported last.
        sw_version: String,
        /// Connection state.
        status: DeviceStatus,
        /// Its tags.
        tags: Vec<Tag>,
        /// See [`parse_time`].
        create_time: String,
        /// When it first connected; see [`parse_time`].
        active_time: String,
        /// When `status` last changed; see [`parse_time`].
        connection_status_update_time: String,
    }

    /// Reply to `GET …/devices`, and, with fewer fields a row, to `GET …/device-group/{group_id}/devices`.
    DeviceList {
        /// At most 50.
        devices: Vec<Device>,
        @optional
        /// Where the list stands.
        page: Page,
    }

    /// A device group.
    Group {
        /// Cloud's id.
        group_id: String,
        /// Name for people.
        name: String,
        @optional
        /// Text for people.
        description: String,
        /// The group that it belongs to.
        super_group_id: String,
        /// `STATIC` or `DYNAMIC`.
        group_type: String,
    }

    /// Reply to `GET …/device-group`.
    GroupList {
        /// At most 50.
        device_groups: Vec<Group>,
        @optional
        /// Where the list stands.
        page: Page,
    }

    /// A tag.
    Tag {
        /// At most 64 of Chinese, letters, digits and `_.-`.
        tag_key: String,
        @optional
        /// At most 128 of the same.
        tag_value: String,
    }

    /// Body of `POST …/tags/query-resources`: things that carry any one of these tags.
    TagQuery {
        /// `device`.
        resource_type: String,
        /// Any of these.
        tags: Vec<Tag>,
    }

    /// Reply to `POST …/tags/query-resources`.
    TaggedList {
        /// At most 50.
        resources: Vec<TaggedResource>,
        @optional
        /// Where the list stands.
        page: Page,
    }

    /// A thing that carries a tag.
    TaggedResource {
        /// Device id.
        resource_id: String,
    }

    /// An error, of a whole call or of one device.
    ErrorBody {
        @optional
        /// Such as `IOTDA.000006`.
        error_code: String,
        /// In words.
        error_msg: String,
        /// Id of the request; the gateway alone writes it into the body.
        request_id: String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written_and_nothing_else_is() {
        let time = parse_time("20240305T060708Z").unwrap();
        assert_eq!(time.to_string(), "2024-03-05T06:07:08Z");
        assert_eq!(format_time(time), "20240305T060708Z");
        for wrong in ["", "20240305T060708", "2024-03-05T06:07:08Z", "20241305T060708Z", "20240305T06070éZ"]
        {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn statuses_keep_the_clouds_spelling_and_unknown_ones_their_text() {
        let read: TaskStatus = serde_json::from_str("\"Waitting\"").unwrap();
        assert_eq!(read, TaskStatus::Waitting);
        assert_eq!(serde_json::to_string(&read).unwrap(), "\"Waitting\"");
        let other: TargetStatus = serde_json::from_str("\"Waiting\"").unwrap();
        assert_eq!(other, TargetStatus::Other("Waiting".to_owned()));
        assert_eq!(serde_json::to_string(&other).unwrap(), "\"Waiting\"");
    }

    #[test]
    fn absent_fields_are_left_out_and_null_or_unknown_ones_are_read() {
        let text = r#"{"package_id":"p","package_type":"firmwarePackage","product_id":"q","version":"V1",
            "description":null,"tomorrow":{"a":1}}"#;
        let package: OtaPackage = serde_json::from_str(text).unwrap();
        let written = serde_json::to_string(&package).unwrap();
        assert_eq!(
            written,
            r#"{"package_id":"p","package_type":"firmwarePackage","product_id":"q","version":"V1"}"#
        );
    }
}
