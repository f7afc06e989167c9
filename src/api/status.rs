//! What Rollwave observed and decided. Every number that a person sees can be redone from what stands beside it.
//! Nothing per device is kept here: counts, and at most [`MAX_EXAMPLES`] device ids as examples.

use super::Condition;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Device ids shown as examples in a status.
pub const MAX_EXAMPLES: usize = 10;
/// Decisions kept in a status, newest last.
pub const MAX_DECISIONS: usize = 10;

/// `observedGeneration` before the first reconcile, so that kstatus sees the object as not yet reconciled.
const fn never_observed() -> i64 {
    -1
}

fn timestamp(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let item = generator.subschema_for::<Condition>();
    json_schema!({
        "type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]
    })
}

/// Status of an `OtaCloud`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OtaCloudStatus {
    /// Generation that this status speaks of.
    #[serde(default = "never_observed")]
    #[schemars(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: `Ready` says whether the account answers.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// One sentence with its numbers.
    #[serde(default)]
    pub message: String,
    /// The `reconcile-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// Status of an `OtaPackage`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OtaPackageStatus {
    /// Generation that this status speaks of.
    #[serde(default = "never_observed")]
    #[schemars(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: `Ready`, `Verified`, `InSync`, and while true `Reconciling`, `Stalled`.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// One sentence with its numbers.
    #[serde(default)]
    pub message: String,
    /// The cloud's id of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_id: Option<String>,
    /// How the package came to be ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Since when the id is known: a list may lack the package for a while after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub known_since: Option<Timestamp>,
    /// Hash of the listed row whose details were last compared; while the row keeps it, no detail call is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_row: Option<String>,
    /// Verification on named devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationStatus>,
    /// Calls that left, or were about to, and whose outcome is not settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Intent>,
    /// The last decisions, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// The `reconcile-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The `retry-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_retry_at: Option<String>,
}

const fn is_first(attempt: &u32) -> bool {
    *attempt == 0
}

/// How a package came to be ours.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Rollwave created it.
    Created,
    /// It was there, and equal.
    Adopted,
}

/// Verification of a package on named devices.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VerificationStatus {
    /// The job's token; part of its name in the cloud.
    pub token: String,
    /// Which attempt it is: more than 0 after a retry by request.
    #[serde(default, skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// The cloud's id of the verify job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// When the job was dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub dispatched_at: Option<Timestamp>,
    /// When the job was first seen to be final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub finished_at: Option<Timestamp>,
    /// Outcomes so far.
    #[serde(default)]
    pub counts: StageCounts,
}

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
    /// Identity of the package that the stages speak of. Another package is another rollout, from the first stage on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_identity: Option<String>,
    /// Where the rollout as a whole stands.
    #[serde(default)]
    pub phase: RolloutPhase,
    /// The stages in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageStatus>,
    /// Devices that the targets name and that are left out.
    #[serde(default)]
    pub excluded: Excluded,
    /// The stop rule that fired, with its numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<Evidence>,
    /// Calls that left, or were about to, and whose outcome is not settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Intent>,
    /// The last decisions, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
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
    /// When enough of its devices had answered for the soak to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub observed_at: Option<Timestamp>,
    /// When that had been at the latest by the cloud's own clock, where it says what time it is: ours may be set before a soak is
    /// over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub observed_cloud_at: Option<Timestamp>,
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
    /// When it was first seen to be final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub finished_at: Option<Timestamp>,
    /// True once this object wanted it stopped: its unfinished devices get another job when the hold ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop_ordered: bool,
    /// True once another attempt was asked for those of its devices that failed, until they have got it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_ordered: bool,
}

/// What became of the devices of a stage. `assigned` is the sum of the others, but for `superseded` and `unseen`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StageCounts {
    /// Devices that the stage was dispatched for, less those that left: deleted in the cloud, or `unseen`.
    pub assigned: u32,
    /// The cloud has not begun with them (offline, or waiting).
    pub queued: u32,
    /// Upgrading.
    pub in_flight: u32,
    /// Report the new version, or were seen to until a later job took them on to another one.
    pub succeeded: u32,
    /// Among those that succeeded: devices that a later job took on to another version.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub superseded: u32,
    /// Taken on by a later job before anybody saw what they ran: they prove nothing, and are not in `assigned`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unseen: u32,
    /// The cloud reports a failure, and they do not run the new version.
    pub failed: u32,
    /// Never answered in time.
    pub timed_out: u32,
    /// The cloud reported success, but they do not run the new version.
    pub reverted: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl StageCounts {
    /// Counts devices that a later job took on as successes only as far as they were seen to run the version before: the
    /// job's word alone is no proof. Those that ran it when last looked at still do, left it, or were taken on since.
    #[must_use]
    pub fn believing(mut self, before: Self) -> Self {
        let ran = before.succeeded.saturating_sub(before.superseded);
        let left = self.reverted.saturating_sub(before.reverted)
            + self.queued.saturating_sub(before.queued)
            + self.in_flight.saturating_sub(before.in_flight);
        let taken_on = ran.saturating_sub(self.succeeded - self.superseded + left);
        let proven =
            self.superseded.saturating_sub(before.unseen).min(before.superseded.saturating_add(taken_on));
        let unseen = self.superseded - proven;
        self.succeeded -= unseen;
        self.assigned -= unseen;
        self.superseded = proven;
        self.unseen = unseen;
        self
    }

    /// Devices with a final outcome.
    #[must_use]
    pub const fn finished(self) -> u32 {
        self.succeeded + self.failures()
    }

    /// Failed, timed out and reverted together.
    #[must_use]
    pub const fn failures(self) -> u32 {
        self.failed + self.timed_out + self.reverted
    }
}

impl std::ops::Add for StageCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            assigned: self.assigned + other.assigned,
            queued: self.queued + other.queued,
            in_flight: self.in_flight + other.in_flight,
            succeeded: self.succeeded + other.succeeded,
            superseded: self.superseded + other.superseded,
            unseen: self.unseen + other.unseen,
            failed: self.failed + other.failed,
            timed_out: self.timed_out + other.timed_out,
            reverted: self.reverted + other.reverted,
        }
    }
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
    /// Named in the manifest, but the cloud does not know them.
    pub unknown: u32,
    /// Some of the unknown ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_examples: Vec<String>,
}

/// What a gate or stop rule saw, and what it said: enough to redo the arithmetic by hand.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// `outcome[0]`, or the stop rule's name.
    pub rule: String,
    /// `Wilson`, `Ratio` or `Count`.
    pub method: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Devices with a final outcome.
    pub sample: u32,
    /// Failures among them.
    pub failures: u32,
    /// Devices of the stage (or of all dispatched stages, for a stop rule).
    pub assigned: u32,
    /// The number that was compared: a rate, a bound, or a count.
    pub value: f64,
    /// What it was compared with.
    pub threshold: f64,
    /// The sentence that explains it.
    pub message: String,
    /// When it was taken.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
}

/// What a gate says. Only `Pass` advances.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proven.
    Pass,
    /// Disproven.
    Fail,
    /// Not enough to tell: hold.
    Inconclusive,
}

/// A call that is not idempotent, written down before it leaves.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Identity that the request carries.
    pub token: String,
    /// Which call.
    pub operation: CreateOperation,
    /// Name of the stage that a job is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// SHA-256 of the request, shortened.
    pub digest: String,
    /// When it was about to leave.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
    /// What is known of it.
    pub state: IntentState,
    /// What tells the job that it makes, on a cloud whose jobs carry no token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likeness: Option<Likeness>,
    /// Id of the package that a job is of, on a cloud that lists jobs by package: no list shows the job without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_id: Option<String>,
}

impl Intent {
    /// True while a look may still tell what came of it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, IntentState::Intended | IntentState::Ambiguous)
    }
}

/// What tells a job that carries nothing of ours.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Likeness {
    /// SHA-256 of kind, devices and delivery, shortened.
    pub digest: String,
    /// Ids of jobs that looked the same before the call left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
}

/// Calls that must happen once.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOperation {
    /// Create a package.
    CreatePackage,
    /// Create an upgrade job.
    CreateJob,
}

/// What is known of a call that must happen once. A settled intent (confirmed or refused) is removed from `pending`:
/// its id stands in the status proper, its refusal in `decisions`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentState {
    /// Durable, and about to leave. After a restart this means the same as `Ambiguous`.
    Intended,
    /// It left, and no definite answer came back.
    Ambiguous,
    /// No definite answer came back, and nothing can tell any more whether it took effect: it is never sent again.
    Lost,
}

/// A decision and the rule that took it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When.
    #[schemars(schema_with = "timestamp")]
    pub at: Timestamp,
    /// CamelCase name of the rule, the same as a condition's or event's reason.
    pub rule: String,
    /// What was decided, with its numbers.
    pub message: String,
}

impl Default for OtaCloudStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            conditions: Vec::new(),
            message: String::new(),
            last_handled_reconcile_at: None,
        }
    }
}

impl Default for OtaPackageStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            conditions: Vec::new(),
            message: String::new(),
            package_id: None,
            origin: None,
            known_since: None,
            compared_row: None,
            verification: None,
            pending: Vec::new(),
            decisions: Vec::new(),
            last_handled_reconcile_at: None,
            last_handled_retry_at: None,
        }
    }
}

impl Default for OtaRolloutStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            conditions: Vec::new(),
            message: String::new(),
            progress: String::new(),
            plan_hash: None,
            package_identity: None,
            phase: RolloutPhase::default(),
            stages: Vec::new(),
            excluded: Excluded::default(),
            stopped_by: None,
            pending: Vec::new(),
            decisions: Vec::new(),
            paused_at: None,
            last_handled_reconcile_at: None,
            last_handled_pause_at: None,
            last_handled_resume_at: None,
            last_handled_retry_at: None,
        }
    }
}

/// Appends a decision unless the newest one says the same; keeps the last [`MAX_DECISIONS`].
pub fn record_decision(decisions: &mut Vec<Decision>, at: Timestamp, rule: &str, message: impl Into<String>) {
    let message = message.into();
    if decisions.last().is_some_and(|last| last.rule == rule && last.message == message) {
        return;
    }
    decisions.push(Decision { at, rule: rule.to_owned(), message });
    let excess = decisions.len().saturating_sub(MAX_DECISIONS);
    decisions.drain(..excess);
}

/// A share as people read it: `93.3 %`.
#[must_use]
pub fn percent_text(part: u32, whole: u32) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * f64::from(part) / f64::from(whole)) }
}

/// A time as people read it, to the second: `2026-11-02 10:00:00Z`.
#[must_use]
pub fn time_text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
