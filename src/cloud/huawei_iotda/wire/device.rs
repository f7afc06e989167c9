//! Devices, groups and tags: `…/devices`, `…/device-group`, `…/tags`.

use super::Page;
use serde::{Deserialize, Serialize};
use std::fmt;

wire_enum! {
    /// Connection state of a device.
    DeviceStatus {
        /// Connected.
        Online = "ONLINE",
        /// Not connected.
        Offline = "OFFLINE",
        /// Abnormal.
        Abnormal = "ABNORMAL",
        /// Never connected.
        Inactive = "INACTIVE",
        /// Frozen.
        Frozen = "FROZEN",
    }
}

wire_struct! {
    /// A device; lists and show return different sets of optional fields.
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
        /// Id on the device itself: IMEI, MAC, serial number.
        node_id: String,
        /// Gateway that it is connected to; itself when directly connected.
        gateway_id: String,
        /// Display name.
        device_name: String,
        /// `ENDPOINT`, `GATEWAY` or `UNKNOWN`.
        node_type: String,
        /// Name of the product.
        product_name: String,
        /// Description.
        description: String,
        /// Firmware version that it last reported.
        fw_version: String,
        /// Software version that it last reported.
        sw_version: String,
        /// Connection state.
        status: DeviceStatus,
        /// Its tags.
        tags: Vec<Tag>,
        /// See [`parse_time`](super::parse_time).
        create_time: String,
        /// When it first connected; see [`parse_time`](super::parse_time).
        active_time: String,
        /// When `status` last changed; see [`parse_time`](super::parse_time).
        connection_status_update_time: String,
    }

    /// Reply to `GET …/devices`, and, with fewer fields a row, to `GET …/device-group/{group_id}/devices`.
    DeviceList {
        /// At most 50.
        devices: Vec<Device>,
        @optional
        /// Position of the list.
        page: Page,
    }

    /// A device group.
    Group {
        /// Cloud's id.
        group_id: String,
        /// Display name.
        name: String,
        @optional
        /// Description.
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
        /// Position of the list.
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

    /// Body of `POST …/tags/query-resources`: resources with any one of these tags.
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
        /// Position of the list.
        page: Page,
    }

    /// A resource with a tag.
    TaggedResource {
        /// Device id.
        resource_id: String,
    }
}
