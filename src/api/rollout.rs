//! `OtaRollout`: a staged upgrade of a set of devices to a package.

use super::{CountOrPercent, Delivery, LocalRef, OtaRolloutStatus, Percent, Period, Window, pattern};
use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// A staged upgrade of a set of devices to a package.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "ota.rollwave.dev",
    version = "v1alpha1",
    kind = "OtaRollout",
    namespaced,
    status = "OtaRolloutStatus",
    shortname = "otar",
    category = "rollwave",
    doc = "A staged upgrade of a set of devices to a package.",
    derive = "PartialEq",
    selectable = ".spec.packageRef.name",
    selectable = ".status.phase",
    printcolumn(json_path = ".spec.packageRef.name", name = "Package", type_ = "string"),
    printcolumn(json_path = ".status.phase", name = "Phase", type_ = "string"),
    printcolumn(json_path = ".status.progress", name = "Progress", type_ = "string"),
    printcolumn(
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        name = "Ready",
        type_ = "string"
    ),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(json_path = ".status.message", name = "Message", type_ = "string")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtaRolloutSpec {
    /// The package that devices are upgraded to.
    pub package_ref: LocalRef,
    /// Who owns a device that several rollouts of the same product, type and module target: the highest priority does; among
    /// equal ones, the later release.
    #[serde(default, skip_serializing_if = "is_usual_priority")]
    #[schemars(default, range(min = -1_000_000, max = 1_000_000))]
    pub priority: i32,
    /// The devices.
    pub targets: Targets,
    /// What happens to devices that become eligible after their stage was sent: they register later, are replaced, or get a version
    /// that fits.
    #[serde(default, skip_serializing_if = "NewDevices::is_usual")]
    #[schemars(default)]
    pub new_devices: NewDevices,
    /// Who comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The stages, in order. A last stage with the rest of the devices is implied.
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(
        validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("stage names must differ"),
        validation = Rule::new("!self.exists_one(s, has(s.select.rest)) || has(self[size(self) - 1].select.rest)")
            .message("the stage that selects the rest must be the last"),
        validation = Rule::new("self.filter(s, has(s.select.rest)).size() <= 1").message("only one stage can select the rest"),
        merge_strategy = ListMerge::Map(vec!["name".to_owned()])
    )]
    pub stages: Vec<Stage>,
    /// Rules that are watched in every stage, also while it soaks. Without any, nothing but the gates stops a bad package.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(
        validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("stop rule names must differ"),
        merge_strategy = ListMerge::Map(vec!["name".to_owned()])
    )]
    pub stop: Vec<StopRule>,
    /// How devices get the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// When the condition `Ready` holds, which a sync wave of Argo CD or a `dependsOn` of Flux waits for.
    #[serde(default, skip_serializing_if = "ReadyWhen::is_usual")]
    #[schemars(default)]
    pub ready_when: ReadyWhen,
    /// True: nothing new is dispatched, and running tasks are stopped where the cloud can.
    #[serde(default)]
    #[schemars(default)]
    pub suspend: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_usual_priority(priority: &i32) -> bool {
    *priority == 0
}

/// When a rollout is ready. Whatever is asked for, one that only a person can bring further is not.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadyWhen {
    /// Its package and its cloud are there, and nothing is wrong with it: what waits for it does not wait for devices.
    Accepted,
    /// The first stage has passed.
    CanaryPassed,
    /// Every stage has passed.
    #[default]
    Completed,
}

/// What happens to devices that become eligible after their stage was sent.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewDevices {
    /// They join a later stage, or are sent the package once every stage has passed, under the same stop rules.
    #[default]
    Include,
    /// They are counted, and left alone.
    Ignore,
}

impl NewDevices {
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    const fn is_usual(&self) -> bool {
        matches!(self, Self::Include)
    }
}

impl ReadyWhen {
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    const fn is_usual(&self) -> bool {
        matches!(self, Self::Completed)
    }
}

/// The devices of a rollout: exactly one of `all`, `devices`, `groups`, `tags`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.all), has(self.devices), has(self.groups), has(self.tags)].filter(x, x).size() == 1")
        .message("give exactly one of all, devices, groups, tags")
)]
pub struct Targets {
    /// Only devices that report one of these versions; any when empty. Others are left out and counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 256), regex(pattern = pattern::VERSION)))]
    pub from_versions: Vec<String>,
    /// Every device of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("all can only be true: leave it out otherwise"))]
    pub all: Option<bool>,
    /// These devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 30_000),
        inner(length(min = 1, max = 128), regex(pattern = pattern::DEVICE))
    )]
    pub devices: Option<Vec<String>>,
    /// The devices of these groups (IoTDA `group_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 20),
        inner(length(min = 1, max = 64), regex(pattern = pattern::ID))
    )]
    pub groups: Option<Vec<String>>,
    /// The devices that carry, for every key, one of its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "tags")]
    pub tags: Option<BTreeMap<String, Vec<String>>>,
    /// Devices that are never touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Exclude>,
}

fn written_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": 40})
}

/// IoTDA: a tag's key has at most 64 characters, its value 128; a device has at most 10 tags.
fn tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "minProperties": 1, "maxProperties": 10,
        "additionalProperties": {
            "type": "array", "minItems": 1, "maxItems": 20,
            "items": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": pattern::TAG_VALUE}
        },
        "x-kubernetes-validations": [
            {"rule": "self.all(key, size(key) <= 64)", "message": "the key of a tag has at most 64 characters"}
        ]
    })
}

/// Devices that a rollout never touches.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exclude {
    /// Device ids.
    #[schemars(length(min = 1, max = 30_000), inner(length(min = 1, max = 128), regex(pattern = pattern::DEVICE)))]
    pub devices: Vec<String>,
}

/// Who comes first: devices are ranked by `sha256(seed ‖ device id)`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    /// Seed of the ranking. Default: the package's SHA-256, so that canaries rotate from release to release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub seed: Option<String>,
}

/// One stage: which devices, how long they are watched, and what must hold before the next stage.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stage {
    /// Name of the stage.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// Which devices.
    pub select: Select,
    /// Nothing of the stage is sent before this time, as in `2026-01-06T01:00:00+08:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "written_time")]
    pub not_before: Option<Timestamp>,
    /// The stage is sent within one of these windows only; at any time when there are none. What was sent may run on after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub windows: Vec<Window>,
    /// How long the stage is watched after its devices have answered, before its gates are asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Period>,
    /// How long its devices are waited for, from its last job on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
    /// What must pass before the next stage is released. All of them must.
    #[serde(default, deserialize_with = "named_gates", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(
        validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("gate names must differ"),
        merge_strategy = ListMerge::Map(vec!["name".to_owned()])
    )]
    pub gates: Vec<Gate>,
}

/// Which devices a stage adds: exactly one of `count`, `percent`, `devices`, `rest`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.count), has(self.percent), has(self.devices), has(self.rest)].filter(x, x).size() == 1")
        .message("give exactly one of count, percent, devices, rest")
)]
pub struct Select {
    /// The next so many devices by rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub count: Option<u32>,
    /// Every device whose rank is below this share of the rank space; cumulative over the stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// These devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 30_000),
        inner(length(min = 1, max = 128), regex(pattern = pattern::DEVICE))
    )]
    pub devices: Option<Vec<String>>,
    /// Every device that no earlier stage took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("rest can only be true: leave it out otherwise"))]
    pub rest: Option<bool>,
}

/// How long the devices of a stage are waited for, and what then. No defaults stand in the schema: Argo CD compares lists as a whole.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deadline {
    /// How long after the stage's last job was created; 7d when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Period>,
    /// What happens with devices that have not answered by then; `Judge` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<AfterDeadline>,
}

/// What happens after a stage's deadline.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterDeadline {
    /// The stage is judged without devices that never began; those that began and did not end have failed.
    #[default]
    Judge,
    /// The stage is held until its devices answer, or a user changes something.
    Hold,
}

/// A gate at the end of a stage: a name, and what must hold.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// Name of the gate, unique in its stage. Evidence and messages show it.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// Enough devices run the new version.
    pub outcome: OutcomeGate,
}

/// Reads gates that were stored before gates had names: such a gate gets the name that its evidence in the status carries, so that a
/// rollout that is under way keeps what its gates have proven. Manifests do not come here without a name: the schema requires it.
fn named_gates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Gate>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Stored {
        name: Option<String>,
        outcome: OutcomeGate,
    }
    let stored = Vec::<Stored>::deserialize(deserializer)?.into_iter().enumerate();
    let named = |(index, Stored { name, outcome })| Gate {
        name: name.unwrap_or_else(|| format!("outcome[{index}]")),
        outcome,
    };
    Ok(stored.map(named).collect())
}

/// Passes when enough devices of the stage run the new version.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("(has(self.method) && self.method != 'Wilson') || !self.minSuccess.startsWith('100')")
        .message("no sample proves 100% by method Wilson: ask for less, or use method Ratio"),
    validation = Rule::new("(has(self.method) && self.method != 'Wilson') || !has(self.confidence) || !self.confidence.startsWith('100')")
        .message("no sample proves anything with a confidence of 100%: ask for less")
)]
pub struct OutcomeGate {
    /// `Wilson`: the lower bound of the success rate must reach `minSuccess`. `Ratio`: the rate itself.
    #[serde(default)]
    #[schemars(default)]
    pub method: GateMethod,
    /// Success rate that must be reached.
    pub min_success: Percent,
    /// One-sided confidence of the Wilson bound.
    #[serde(default = "ninety_five")]
    #[schemars(default = "ninety_five")]
    pub confidence: Percent,
    /// Fewer devices with a final outcome than this: inconclusive.
    #[serde(default = "one")]
    #[schemars(default = "one", range(min = 1, max = 10_000_000))]
    pub min_sample: u32,
    /// A smaller share of the stage with a final outcome than this: inconclusive.
    #[serde(default = "eighty")]
    #[schemars(default = "eighty")]
    pub min_observed: Percent,
}

const fn one() -> u32 {
    1
}

const fn eighty() -> Percent {
    Percent::whole(80)
}

const fn ninety_five() -> Percent {
    Percent::whole(95)
}

/// Arithmetic of an outcome gate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GateMethod {
    /// One-sided lower Wilson bound: a small canary cannot prove a high rate by luck.
    #[default]
    Wilson,
    /// Succeeded / (succeeded + failed).
    Ratio,
}

/// A rule that is watched in every stage.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.method != 'Ratio' || string(self.maxFailure).endsWith('%')")
        .message("maxFailure of method Ratio is a percentage (try 5%)"),
    validation = Rule::new("self.method != 'Count' || !string(self.maxFailure).endsWith('%')")
        .message("maxFailure of method Count is a whole number (try 3)")
)]
pub struct StopRule {
    /// Name of the rule.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// What is compared.
    pub method: StopMethod,
    /// The rule fires when failures reach this: a percentage for `Ratio`, a whole number for `Count`.
    pub max_failure: CountOrPercent,
    /// `Ratio` waits for so many devices with a final outcome, over the whole rollout.
    #[serde(default = "one")]
    #[schemars(default = "one", range(min = 1, max = 10_000_000))]
    pub min_sample: u32,
    /// What happens when it fires.
    #[serde(default)]
    #[schemars(default)]
    pub action: StopAction,
}

/// What a stop rule compares with `maxFailure`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMethod {
    /// Failed / (succeeded + failed), over all stages.
    Ratio,
    /// Failed devices, over all stages.
    Count,
}

/// What a stop rule does when it fires.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopAction {
    /// Nothing new is dispatched and running tasks are stopped, until the spec changes.
    #[default]
    Pause,
    /// Everything that still waits is cancelled for good: this spec will not be continued.
    Abort,
}
