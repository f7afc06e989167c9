//! How long the devices of a stage have been waited for.

use super::{Uptime, timestamp};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long the devices of a stage have been waited for: what its deadline and `delivery.timeout` are counted by.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StageClock {
    /// Jobs that the stage had when the clock was last started: another one starts it again.
    pub jobs: u32,
    /// When the last of them was first seen: the deadline is counted from then on.
    #[schemars(schema_with = "timestamp")]
    pub since: Timestamp,
    /// The same by the cloud's own clock, at the latest, where the cloud says what time it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub since_cloud: Option<Timestamp>,
    /// The same by the time since the machine was booted, at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_uptime: Option<Uptime>,
    /// Devices that the cloud had not begun with when it was last asked.
    pub queued: u32,
    /// When a device was last seen to begin, if one has begun since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub begun_at: Option<Timestamp>,
    /// The same by the cloud's own clock, at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub begun_cloud_at: Option<Timestamp>,
    /// The same by the time since the machine was booted, at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_uptime: Option<Uptime>,
    /// When the deadline passes at the latest, if Rollwave goes on working. Only while devices are outstanding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub deadline_at: Option<Timestamp>,
    /// When `delivery.timeout.queued` had passed: devices that had not begun by then never began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub queued_passed_at: Option<Timestamp>,
    /// When the deadline had passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub deadline_passed_at: Option<Timestamp>,
}

impl StageClock {
    /// A clock that starts now.
    #[must_use]
    pub const fn start(jobs: u32, now: Timestamp, queued: u32) -> Self {
        Self {
            jobs,
            since: now,
            since_cloud: None,
            since_uptime: None,
            queued,
            begun_at: None,
            begun_cloud_at: None,
            begun_uptime: None,
            deadline_at: None,
            queued_passed_at: None,
            deadline_passed_at: None,
        }
    }
}
