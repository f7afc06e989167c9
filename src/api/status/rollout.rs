//! Status of an `OtaRollout`: its stages, their jobs, and who is left out.

use super::counts::is_zero;
use super::{
    Decision, Evidence, Finding, Intent, RefusedCreate, StageClock, StageCounts, Uptime, conditions,
    never_observed, timestamp,
};
use crate::api::Condition;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Status of an `OtaRollout`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OtaRolloutStatus {
    /// Generation that this status speaks of.
    #[serde(default = "never_observed")]
    #[schemars(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: `Ready`, `Progressing`, `Healthy`, and while true `Reconciling`, `Stalled`, `Suspended`.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// One sentence with its numbers; says why when the rollout is held.
    #[serde(default)]
    pub message: String,
    /// For `kubectl get`: `canary 58/60, stage 1 of 3`.
    #[serde(default)]
    pub progress: String,
    /// Hash of everything that decides who gets what when. A new hash is a new plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// Number of the run that the stages speak of, from 1 on; 0 before the first. A run is one attempt to bring the targets to one
    /// package: it begins when the package changes, also back to an earlier one, or by `rollwave restart`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub run: u32,
    /// Version of the package of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of the package of the run before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_version: Option<String>,
    /// Identity of the package that the stages speak of: account, product, module, version and bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_identity: Option<String>,
    /// Name of the `OtaCloud` in whose account the jobs of the stages are. Its worker settles them, also when the package has
    /// moved to another account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Where the rollout as a whole stands.
    #[serde(default)]
    pub phase: RolloutPhase,
    /// The stages in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageStatus>,
    /// The stages, gates and stop rules of the spec that is followed: an edit that removes some of them is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub safeguards: Vec<String>,
    /// Devices that the targets name and that are left out.
    #[serde(default)]
    pub excluded: Excluded,
    /// The stop rule that fired, with its numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<Evidence>,
    /// Calls that left, or were about to, and whose outcome is not settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Intent>,
    /// The last create that the cloud refused, until one is let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedCreate>,
    /// The last decisions, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// Since when it has waited for something that is not its own to end: its package, or other jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub waits_since: Option<Timestamp>,
    /// Since when it stands still because somebody asked for it, and not because of `spec.suspend`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub paused_at: Option<Timestamp>,
    /// The `reconcile-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The `pause-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_pause_at: Option<String>,
    /// The `resume-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_resume_at: Option<String>,
    /// The `retry-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_retry_at: Option<String>,
    /// The `restart-requested-at` that was handled last.
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

/// Where a rollout as a whole stands.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RolloutPhase {
    /// Waits for its package, its cloud or its first observation.
    #[default]
    Pending,
    /// A stage is being dispatched, watched or judged.
    Progressing,
    /// Held: by `suspend`, a stop rule, a gate that failed, or something that cannot be told.
    Held,
    /// Cancelled for good by a stop rule.
    Aborted,
    /// Every stage passed.
    Completed,
    /// It is being deleted: its jobs are stopped first.
    Deleting,
}

/// One stage.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StageStatus {
    /// Name of the stage.
    pub name: String,
    /// Where it stands.
    pub phase: StagePhase,
    /// What became of its devices.
    #[serde(default)]
    pub counts: StageCounts,
    /// The cloud's jobs for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobRef>,
    /// When it may be sent: its window opens then. Only while it waits for that alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub opens_at: Option<Timestamp>,
    /// When its first job left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub dispatched_at: Option<Timestamp>,
    /// Digest of the `select` that its devices were chosen by. A later edit of `select` is not followed within a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_by: Option<String>,
    /// What its deadline is counted by, once it has a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<StageClock>,
    /// What is known of devices that do not run the version, the commonest first of each kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// When enough of its devices had answered for the soak to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub observed_at: Option<Timestamp>,
    /// When that had been at the latest by the cloud's own clock, where it says what time it is: ours may be set before a soak is
    /// over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub observed_cloud_at: Option<Timestamp>,
    /// The same by the time since the machine was booted, which nobody sets: processes of one boot count a soak together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_uptime: Option<Uptime>,
    /// When its soak is over at the latest, if Rollwave goes on working. Only while it soaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub soaks_until: Option<Timestamp>,
    /// When its gates passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub passed_at: Option<Timestamp>,
    /// What each gate saw when it was last asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Evidence>,
}

/// Where a stage stands.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StagePhase {
    /// Not released yet.
    #[default]
    Waiting,
    /// Its jobs are being created.
    Dispatching,
    /// Devices are upgrading.
    Running,
    /// Devices have answered; the soak time runs.
    Soaking,
    /// A gate failed, or stays inconclusive.
    Held,
    /// Its gates passed.
    Passed,
}

/// One job of the cloud.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct JobRef {
    /// Our token, part of the job's name in the cloud.
    pub token: String,
    /// The cloud's id.
    pub id: String,
    /// Devices it was created for.
    pub devices: u32,
    /// The cloud's state of it, in our words; empty until a list shows the job.
    pub state: String,
    /// When its create call was confirmed, or a look found it: a list may lack it for a while after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub created_at: Option<Timestamp>,
    /// When its create call was confirmed, by the time since the machine was booted: processes of one boot know together from when on
    /// lists must show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_uptime: Option<Uptime>,
    /// When it was first seen to be final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub finished_at: Option<Timestamp>,
    /// When it was first seen to be stopped, by the time since the machine was booted; until it is final. Lists show later what its
    /// devices did before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_uptime: Option<Uptime>,
    /// Devices that it reported as successful, and whose versions were read after that: those that do not report the version have
    /// gone back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub successes_read: u32,
    /// Devices that it reported as successful at `successes_at`; their versions are read next.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub successes: u32,
    /// When it reported so many successes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub successes_at: Option<Timestamp>,
    /// True once this object wanted it stopped: its unfinished devices get another job when the hold ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop_ordered: bool,
    /// True once another attempt was asked for those of its devices that failed, until they have got it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_ordered: bool,
    /// True when it was sent after its stage had passed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow_up: bool,
}

/// Devices that the targets name and that are left out of the denominator.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Excluded {
    /// Named in `exclude.devices`.
    pub by_spec: u32,
    /// Report a version that is not in `fromVersions` or not in the package's `sourceVersions`.
    pub by_version: u32,
    /// Ran the target version before they were dispatched.
    pub already_current: u32,
    /// Named in the manifest, and of another product than the package.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other_product: u32,
    /// Some of them, each with its product.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_product_examples: Vec<String>,
    /// Named in `exclude.devices`, and no device of the targets: a typing mistake leaves a device in that was meant to be left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exclude_unmatched: u32,
    /// Some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_unmatched_examples: Vec<String>,
    /// Owned by another rollout that targets them, too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owned_elsewhere: u32,
    /// Rollouts that own most of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
    /// Became eligible after their stage was sent, and are left alone because `newDevices` is `Ignore`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ignored_new: u32,
    /// Some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored_new_examples: Vec<String>,
    /// Named in the manifest, but the cloud does not know them.
    pub unknown: u32,
    /// Some of the unknown ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_examples: Vec<String>,
}

/// A rollout that owns devices which this one targets, too.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Name of the OtaRollout.
    pub rollout: String,
    /// How many of them it owns.
    pub devices: u32,
    /// Why it owns them: `priority 10 is higher than 0`.
    pub why: String,
}
