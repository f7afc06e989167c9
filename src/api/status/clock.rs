//! Clocks of how long the devices of a stage have been waited for.

use super::{Uptime, fields::timestamp};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long Rollwave has waited for the devices of a stage; basis of its deadline and of `delivery.timeout`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StageClock {
    /// Number of jobs when the clock was last started; another job restarts it.
    pub jobs: u32,
    /// Time at which the last of these jobs was first observed; the deadline counts from here.
    #[schemars(schema_with = "timestamp")]
    pub since: Timestamp,
    /// Latest value of `since` by the cloud's own clock, if the cloud reports one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub since_cloud: Option<Timestamp>,
    /// Latest value of `since` as time since the machine was booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_uptime: Option<Uptime>,
    /// Devices that had not begun at the last observation.
    pub queued: u32,
    /// Time at which a device was last observed to begin, if one has begun since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub begun_at: Option<Timestamp>,
    /// Latest value of `begunAt` by the cloud's own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub begun_cloud_at: Option<Timestamp>,
    /// Latest value of `begunAt` as time since the machine was booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_uptime: Option<Uptime>,
    /// Latest time at which the deadline passes, if Rollwave keeps running; only while devices are outstanding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub deadline_at: Option<Timestamp>,
    /// Time at which `delivery.timeout.queued` had passed: devices that had not begun by then never began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub queued_passed_at: Option<Timestamp>,
    /// Time at which the deadline had passed.
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
