//! Status of an `OtaRollout`: its stages, their jobs, and excluded devices.

use super::counts::is_zero;
use super::fields::{conditions, never_observed, timestamp};
use super::{
    ControlGroup, Decision, Evidence, Finding, Intent, RefusedCreate, Responders, StageClock, StageCounts,
    StageStrata, Uptime,
};
use crate::api::Condition;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Status of an `OtaRollout`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OtaRolloutStatus {
    /// Generation of the spec that this status describes.
    #[serde(default = "never_observed")]
    #[schemars(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: `Ready`, `Progressing`, `Healthy`, and while true `Reconciling`, `Stalled`, `Suspended`.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// Summary of the state with its numbers, and the reason of a hold.
    #[serde(default)]
    pub message: String,
    /// Progress for `kubectl get`, such as `canary 58/60, stage 1 of 3`.
    #[serde(default)]
    pub progress: String,
    /// Hash of everything that decides which device gets what and when; a new hash is a new plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// Number of the current run, from 1 on; 0 before the first. A run is one attempt to bring the targets to one package: it
    /// begins when the package changes, also back to an earlier one, or by `rollwave restart`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub run: u32,
    /// Version of the package of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of the package of the previous run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_version: Option<String>,
    /// Identity of the package of this run: account, product, module, version and digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_identity: Option<String>,
    /// Name of the `OtaCloud` whose account has the jobs of the stages; its worker settles them, even if the package has moved to
    /// another account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Phase of the rollout as a whole.
    #[serde(default)]
    pub phase: RolloutPhase,
    /// The stages in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageStatus>,
    /// Stages, gates and stop rules of the spec; a removal of some of them is reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub safeguards: Vec<String>,
    /// Targeted devices that are excluded.
    #[serde(default)]
    pub excluded: Excluded,
    /// The stop rule that fired, with its numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<Evidence>,
    /// Requests that were, or are about to be, sent and whose outcome is not settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Intent>,
    /// The last create that the cloud refused, until one succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedCreate>,
    /// The last decisions, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// Time since when it waits for something that it cannot end itself: its package, or other jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub waits_since: Option<Timestamp>,
    /// Time since when it is paused by a request, and not by `spec.suspend`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub paused_at: Option<Timestamp>,
    /// Value of the last handled annotation `reconcile-requested-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Value of the last handled annotation `pause-requested-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_pause_at: Option<String>,
    /// Value of the last handled annotation `resume-requested-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_resume_at: Option<String>,
    /// Value of the last handled annotation `retry-requested-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_retry_at: Option<String>,
    /// Value of the last handled annotation `restart-requested-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_restart_at: Option<String>,
}

impl Default for OtaRolloutStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            conditions: Vec::new(),
            message: String::new(),
            progress: String::new(),
            plan_hash: None,
            run: 0,
            version: None,
            previous_version: None,
            package_identity: None,
            account: None,
            last_handled_restart_at: None,
            phase: RolloutPhase::default(),
            stages: Vec::new(),
            safeguards: Vec::new(),
            excluded: Excluded::default(),
            stopped_by: None,
            pending: Vec::new(),
            refused: None,
            decisions: Vec::new(),
            waits_since: None,
            paused_at: None,
            last_handled_reconcile_at: None,
            last_handled_pause_at: None,
            last_handled_resume_at: None,
            last_handled_retry_at: None,
        }
    }
}

/// Phase of a rollout as a whole.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RolloutPhase {
    /// Waits for its package, its cloud or its first observation.
    #[default]
    Pending,
    /// A stage is being dispatched, observed or judged.
    Progressing,
    /// Held by `suspend`, a stop rule, a failed gate, or an unknown outcome.
    Held,
    /// Cancelled permanently by a stop rule.
    Aborted,
    /// Every stage passed.
    Completed,
    /// It is being deleted: its jobs are stopped first.
    Deleting,
}

/// Status of one stage.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StageStatus {
    /// Name of the stage.
    pub name: String,
    /// Phase of the stage.
    pub phase: StagePhase,
    /// Outcomes of its devices.
    #[serde(default)]
    pub counts: StageCounts,
    /// Its jobs in the cloud.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobRef>,
    /// Time at which it may be dispatched because its window opens; only while it waits for that alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub opens_at: Option<Timestamp>,
    /// Time at which its first job was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub dispatched_at: Option<Timestamp>,
    /// Digest of the `select` that its devices were chosen by; a later edit of `select` is not applied within a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_by: Option<String>,
    /// Clock of its deadline, once it has a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<StageClock>,
    /// Devices that it was dispatched with; a gate without `minSuccess` requires what so many can prove.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Devices of it that no job was created for yet; they are sent next.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unsent: u32,
    /// Devices of it that had failed when its last piece was sent; `batch.maxFailures` limits those that fail after that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_before: u32,
    /// What is known of devices that do not run the version, the most frequent of each kind first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Time at which enough devices had answered for the soak to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub observed_at: Option<Timestamp>,
    /// Latest value of `observedAt` by the cloud's own clock, if it reports one; the machine's clock may be set before a soak
    /// ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub observed_cloud_at: Option<Timestamp>,
    /// Value of `observedAt` as time since the machine was booted, which cannot be set; processes of one boot measure a soak
    /// together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_uptime: Option<Uptime>,
    /// Latest time at which the soak ends, if Rollwave keeps running; only while it soaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub soaks_until: Option<Timestamp>,
    /// Devices that had begun when the soak was over; its gates judge them, also when more begin later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u32>,
    /// Time at which its gates passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub passed_at: Option<Timestamp>,
    /// Result of each gate at its last evaluation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Evidence>,
    /// Its control group, for a stop rule of method `Control`; none when no device is left for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlGroup>,
    /// Its strata, for an `order.stratifyBy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strata: Option<StageStrata>,
    /// Which stratum had fewer outcomes than the others when the sample was frozen; none with fewer than two strata, or when it is
    /// not known which devices had an outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responders: Option<Responders>,
}

impl StageStatus {
    /// Its counts, where devices that are in no job yet are queued like those that are.
    #[must_use]
    pub fn counts_in_full(&self) -> StageCounts {
        let (assigned, queued) = (self.counts.assigned + self.unsent, self.counts.queued + self.unsent);
        StageCounts { assigned, queued, ..self.counts }
    }

    /// The phase in which a stage that was held continues: it may not have been sent in full.
    #[must_use]
    pub const fn phase_to_continue(&self) -> StagePhase {
        if self.unsent > 0 { StagePhase::Dispatching } else { StagePhase::Running }
    }
}

/// Phase of a stage.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StagePhase {
    /// Not dispatched yet.
    #[default]
    Waiting,
    /// Its jobs are being created.
    Dispatching,
    /// Devices are upgrading.
    Running,
    /// Devices have answered; the soak runs.
    Soaking,
    /// A gate failed, or stays inconclusive.
    Held,
    /// Its gates passed.
    Passed,
}

/// A job in the cloud.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct JobRef {
    /// Idempotency key, part of the job's name in the cloud.
    pub token: String,
    /// Id of the job in the cloud.
    pub id: String,
    /// Number of devices that it was created for.
    pub devices: u32,
    /// State of the job in Rollwave's terms; empty until a list shows the job.
    pub state: String,
    /// Time at which its create was confirmed or it was found; a list may lack it for a while after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub created_at: Option<Timestamp>,
    /// Time at which its create was confirmed, as time since the machine was booted; tells processes of one boot from when on
    /// lists must show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_uptime: Option<Uptime>,
    /// Time at which it was first observed to be final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub finished_at: Option<Timestamp>,
    /// Time at which it was first observed to be stopped, as time since the machine was booted, until it is final; lists show the
    /// earlier results of its devices later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_uptime: Option<Uptime>,
    /// Devices that it reported as successful and whose versions were read after that; those that do not report the version have
    /// reverted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub successes_read: u32,
    /// Devices that it reported as successful at `successesAt`; their versions are read next.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub successes: u32,
    /// Time at which it reported these successes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub successes_at: Option<Timestamp>,
    /// True once this object ordered it to stop; its unfinished devices get another job when the hold ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop_ordered: bool,
    /// True once a retry of its failed devices was requested, until they are retried.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_ordered: bool,
    /// True when it was sent after its stage had passed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow_up: bool,
}

/// Targeted devices that are excluded from the denominator.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Excluded {
    /// Devices that are listed in `exclude.devices`.
    pub by_spec: u32,
    /// Devices that report a version that is not in `fromVersions` or not in the package's `sourceVersions`.
    pub by_version: u32,
    /// Devices that ran the target version before they were dispatched.
    pub already_current: u32,
    /// Devices that the manifest names, but that belong to another product than the package.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other_product: u32,
    /// Some of them, each with its product.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_product_examples: Vec<String>,
    /// Ids in `exclude.devices` that match no device of the targets, possibly misspelled.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exclude_unmatched: u32,
    /// Some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_unmatched_examples: Vec<String>,
    /// Devices that another rollout owns and targets as well.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owned_elsewhere: u32,
    /// Rollouts that own most of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
    /// Devices that became eligible after their stage was dispatched and are not upgraded because `newDevices` is `Ignore`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ignored_new: u32,
    /// Some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored_new_examples: Vec<String>,
    /// Devices that the manifest names, but that the cloud does not know.
    pub unknown: u32,
    /// Some of the unknown devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_examples: Vec<String>,
}

/// A rollout that owns devices which this one targets as well.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Name of the OtaRollout.
    pub rollout: String,
    /// Number of devices that it owns.
    pub devices: u32,
    /// Reason of the ownership, such as `priority 10 is higher than 0`.
    pub why: String,
}
