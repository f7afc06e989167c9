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
#[x_kube(
    validation = Rule::new("!has(self.order) || !has(self.order.stratifyBy) || !self.order.stratifyBy.exists(by, by == 'group') || has(self.targets.groups)")
        .message("order.stratifyBy: group divides devices by the groups of targets.groups: name groups there, or use sourceVersion"),
    validation = Rule::new("!has(self.order) || !has(self.order.stratifyBy) || self.order.stratifyBy.all(by, !by.startsWith('tag:') || (has(self.targets.tags) && by.substring(4) in self.targets.tags))")
        .message("order.stratifyBy: tag:KEY divides devices by the values of a key of targets.tags: name the key there, or use sourceVersion")
)]
pub struct OtaRolloutSpec {
    /// Package that devices are upgraded to.
    pub package_ref: LocalRef,
    /// Which rollout owns a device that several rollouts of the same product, type and module target: the highest priority; if
    /// equal, the later release.
    #[serde(default, skip_serializing_if = "is_usual_priority")]
    #[schemars(default, range(min = -1_000_000, max = 1_000_000))]
    pub priority: i32,
    /// Devices to upgrade.
    pub targets: Targets,
    /// What to do with devices that become eligible after their stage was dispatched, for example because they register later.
    #[serde(default, skip_serializing_if = "NewDevices::is_usual")]
    #[schemars(default)]
    pub new_devices: NewDevices,
    /// Order in which devices are upgraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Stages in order; a last stage with the remaining devices is implied. When absent, the default stages: `probe` (25 devices
    /// of which 70% must succeed, soak 30m), `canary` (130, 90%, soak 24h; from 300 targeted devices on), `tenth` (10% of the fleet,
    /// soak 24h; from 1,500 on) and `rest`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(
        validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("stage names must be unique"),
        validation = Rule::new("!self.exists_one(s, has(s.select.rest)) || has(self[size(self) - 1].select.rest)")
            .message("the stage with select.rest must be the last one"),
        validation = Rule::new("self.filter(s, has(s.select.rest)).size() <= 1").message("only one stage may have select.rest"),
        merge_strategy = ListMerge::Map(vec!["name".to_owned()])
    )]
    pub stages: Vec<Stage>,
    /// Rules that are evaluated in every stage, also while it soaks. When absent, `failures`, which is `EProcess` with
    /// `maxFailure: 5%`, and `control`, which is `Control`. With `[]` only gates stop a bad package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10))]
    #[x_kube(
        validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("stop rule names must be unique"),
        merge_strategy = ListMerge::Map(vec!["name".to_owned()])
    )]
    pub stop: Option<Vec<StopRule>>,
    /// How the cloud delivers the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// When the condition `Ready` becomes true, which a sync wave of Argo CD or a `dependsOn` of Flux waits for.
    #[serde(default, skip_serializing_if = "ReadyWhen::is_usual")]
    #[schemars(default)]
    pub ready_when: ReadyWhen,
    /// Pauses the rollout: nothing new is dispatched, and running jobs are stopped where the cloud supports it.
    #[serde(default)]
    #[schemars(default)]
    pub suspend: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_usual_priority(priority: &i32) -> bool {
    *priority == 0
}

/// When a rollout is ready; one that needs a user's action never is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadyWhen {
    /// Its package and cloud exist and it has no problem; dependents do not wait for devices.
    Accepted,
    /// The first stage has passed.
    CanaryPassed,
    /// Every stage has passed.
    #[default]
    Completed,
}

/// What to do with devices that become eligible after their stage was dispatched.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewDevices {
    /// They join a later stage, or are sent the package once every stage has passed, under the same stop rules.
    #[default]
    Include,
    /// They are counted, and not upgraded.
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

/// Devices of a rollout: exactly one of `all`, `devices`, `groups`, `tags`, `attributes`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.all), has(self.devices), has(self.groups), has(self.tags), has(self.attributes)].filter(x, x).size() == 1")
        .message("set exactly one of all, devices, groups, tags, attributes")
)]
pub struct Targets {
    /// Only devices that report one of these versions; all when empty. Other devices are counted as excluded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 256), regex(pattern = pattern::VERSION)))]
    pub from_versions: Vec<String>,
    /// Every device of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("all can only be true: leave it out otherwise"))]
    pub all: Option<bool>,
    /// Devices by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 30_000),
        inner(length(min = 1, max = 128), regex(pattern = pattern::DEVICE))
    )]
    pub devices: Option<Vec<String>>,
    /// Devices of any of these groups, by the cloud's id of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 20),
        inner(length(min = 1, max = 64), regex(pattern = pattern::ID))
    )]
    pub groups: Option<Vec<String>>,
    /// Devices that have, for every key, one of its values as a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "tags")]
    pub tags: Option<BTreeMap<String, Vec<String>>>,
    /// Devices that have, for every name, one of its values as an attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "attributes")]
    pub attributes: Option<BTreeMap<String, Vec<String>>>,
    /// Devices that are never upgraded.
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
            {"rule": "self.all(key, size(key) <= 64)", "message": "the key of a tag may have at most 64 characters"}
        ]
    })
}

/// EnOS: no document limits names and values of attributes; *assumed* as those of tags.
fn attributes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "minProperties": 1, "maxProperties": 10,
        "additionalProperties": {
            "type": "array", "minItems": 1, "maxItems": 20,
            "items": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": pattern::TAG_VALUE}
        },
        "x-kubernetes-validations": [{
            "rule": "self.all(name, name.matches('^[A-Za-z0-9_-]{1,64}$'))",
            "message": "the name of an attribute must have 1 to 64 letters, digits, _ or -"
        }]
    })
}

/// Devices that a rollout never upgrades.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exclude {
    /// Device ids.
    #[schemars(length(min = 1, max = 30_000), inner(length(min = 1, max = 128), regex(pattern = pattern::DEVICE)))]
    pub devices: Vec<String>,
}

/// Order of devices: they are ranked by `sha256(seed ‖ device id)`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    /// Seed of the ranking; by default the package's SHA-256, so that canaries rotate from release to release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub seed: Option<String>,
    /// Properties that devices are divided into strata by, so that a stage has devices of each: `sourceVersion`, the version that
    /// they report before the upgrade; `group`, those of `targets.groups` that they are in; `tag:KEY`, their value of that key of
    /// `targets.tags`. A `count` stage takes part of each stratum in proportion and at least one device; a `percent` stage at
    /// least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b == a))").message("list each property once"))]
    #[schemars(length(min = 1, max = 3), inner(length(max = 68), regex(pattern = pattern::STRATIFY_BY)))]
    pub stratify_by: Vec<String>,
}

/// A stage: its devices, how long they are observed, and what must pass before the next stage.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.gates) || !self.gates.exists(gate, has(gate.control)) || (has(self.select.count) || has(self.select.percent))")
        .message("a gate control compares devices that are drawn by rank with those that are left: select count or percent, or remove the gate")
)]
pub struct Stage {
    /// Name of the stage.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// Devices that the stage adds.
    pub select: Select,
    /// Time before which nothing of the stage is dispatched, such as `2026-01-06T01:00:00+08:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "written_time")]
    pub not_before: Option<Timestamp>,
    /// Windows in which the stage may be dispatched; any time when empty. Upgrades may finish after the window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub windows: Vec<Window>,
    /// Sends the stage in pieces: the next one when enough devices of those before have an outcome (the largest `minObserved` of
    /// the gates). When absent, all devices are sent at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// How long the stage is observed after its devices have answered, before its gates are evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Period>,
    /// How long devices may take to answer, counted from the last job of the stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
    /// Gates that must all pass before the next stage is dispatched. When absent, one gate named `default` with the rate that a
    /// stage of this size can prove; none in the last stage. With `[]` the stage has no gate.
    #[serde(default, deserialize_with = "named_gates", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10))]
    #[x_kube(
        validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("gate names must be unique"),
        merge_strategy = ListMerge::Map(vec!["name".to_owned()])
    )]
    pub gates: Option<Vec<Gate>>,
}

/// Devices that a stage adds: exactly one of `count`, `percent`, `devices`, `groups`, `tags`, `attributes`, `rest`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.count), has(self.percent), has(self.devices), has(self.groups), has(self.tags), has(self.attributes), has(self.rest)].filter(x, x).size() == 1")
        .message("set exactly one of count, percent, devices, groups, tags, attributes, rest")
)]
pub struct Select {
    /// The next devices in rank order, this many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub count: Option<u32>,
    /// Every device whose rank is below this share of the rank space; cumulative over the stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// Devices by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 30_000),
        inner(length(min = 1, max = 128), regex(pattern = pattern::DEVICE))
    )]
    pub devices: Option<Vec<String>>,
    /// Devices of any of these groups, by the cloud's id of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 20),
        inner(length(min = 1, max = 64), regex(pattern = pattern::ID))
    )]
    pub groups: Option<Vec<String>>,
    /// Devices that have, for every key, one of its values as a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "tags")]
    pub tags: Option<BTreeMap<String, Vec<String>>>,
    /// Devices that have, for every name, one of its values as an attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "attributes")]
    pub attributes: Option<BTreeMap<String, Vec<String>>>,
    /// Every device that no earlier stage selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("rest can only be true: leave it out otherwise"))]
    pub rest: Option<bool>,
}

/// The pieces in which a stage is sent.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Batch {
    /// Devices of a piece.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub size: u32,
    /// Failures since the last piece was sent that are accepted; with one more the stage is held, its jobs are stopped, and
    /// nothing else of it is sent until the spec changes. When absent, only gates and stop rules limit failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub max_failures: Option<u32>,
}

/// How long a stage waits for its devices, and what happens after that.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deadline {
    /// Time after the creation of the stage's last job; 7d by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Period>,
    /// What to do about devices that have not answered by then; `Judge` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<AfterDeadline>,
}

/// What to do after the deadline of a stage.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterDeadline {
    /// Judge the stage without devices that never began; devices that began and did not finish have failed.
    #[default]
    Judge,
    /// Hold the stage until its devices answer or a user changes something.
    Hold,
}

/// A gate at the end of a stage: exactly one of `outcome`, `control`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.outcome), has(self.control)].filter(x, x).size() == 1")
        .message("set exactly one of outcome, control")
)]
pub struct Gate {
    /// Name of the gate, unique in its stage; shown in evidence and messages.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// Passes when enough devices run the new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeGate>,
    /// Passes when not many more of the upgraded devices are offline than of a control group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlGate>,
}

impl Gate {
    /// A gate that judges outcomes.
    #[must_use]
    pub const fn of_outcome(name: String, outcome: OutcomeGate) -> Self {
        Self { name, outcome: Some(outcome), control: None }
    }
}

/// Reads gates that were stored before gates had names: such a gate gets the name that its evidence in the status has, so that a
/// rollout in progress keeps the results of its gates. A manifest always has names: the schema requires them.
fn named_gates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Gate>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Stored {
        name: Option<String>,
        outcome: Option<OutcomeGate>,
        control: Option<ControlGate>,
    }
    let named = |(index, Stored { name, outcome, control })| Gate {
        name: name.unwrap_or_else(|| format!("outcome[{index}]")),
        outcome,
        control,
    };
    let stored = Option::<Vec<Stored>>::deserialize(deserializer)?;
    Ok(stored.map(|gates| gates.into_iter().enumerate().map(named).collect()))
}

/// Passes when enough devices of the stage run the new version.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("(has(self.method) && self.method == 'Ratio') || !has(self.minSuccess) || !self.minSuccess.startsWith('100')")
        .message("methods Wilson and Exact cannot prove a success rate of 100%: lower minSuccess, or use method Ratio"),
    validation = Rule::new("(has(self.method) && self.method == 'Ratio') || !has(self.confidence) || !self.confidence.startsWith('100')")
        .message("methods Wilson and Exact cannot reach a confidence of 100%: lower confidence")
)]
pub struct OutcomeGate {
    /// `Wilson` and `Exact` compare a lower bound of the success rate with `minSuccess`, `Ratio` the rate itself.
    #[serde(default)]
    #[schemars(default)]
    pub method: GateMethod,
    /// Success rate to reach. When absent, the highest whole percentage up to 95% that holds a good build, which fails on 2% of the
    /// devices, at most once in 40 times; below 8 devices every device must succeed. It is chosen when the stage is dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_success: Option<Percent>,
    /// One-sided confidence of the lower bound.
    #[serde(default = "ninety_five")]
    #[schemars(default = "ninety_five")]
    pub confidence: Percent,
    /// Minimum number of devices that have begun; the gate is inconclusive below it.
    #[serde(default = "one")]
    #[schemars(default = "one", range(min = 1, max = 10_000_000))]
    pub min_sample: u32,
    /// Minimum share of the stage that has begun; the gate is inconclusive below it.
    #[serde(default = "eighty")]
    #[schemars(default = "eighty")]
    pub min_observed: Percent,
}

/// Passes when the share of upgraded devices that are offline is at most `margin` above that of the control group: devices that
/// nothing was sent to yet. Compared once, when the soak is over. A cloud that does not report who is connected keeps it inconclusive.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("double(self.margin.split('%')[0]) > 0.0 && double(self.margin.split('%')[0]) < 100.0")
        .message("margin must be above 0% and below 100%"),
    validation = Rule::new("!has(self.confidence) || !self.confidence.startsWith('100')")
        .message("no method can reach a confidence of 100%: lower confidence")
)]
pub struct ControlGate {
    /// Difference between the two shares that is accepted.
    pub margin: Percent,
    /// One-sided confidence of the upper bound of the difference (Newcombe's method 10).
    #[serde(default = "ninety_five")]
    #[schemars(default = "ninety_five")]
    pub confidence: Percent,
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

/// Method of an outcome gate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GateMethod {
    /// One-sided lower Wilson bound: a small canary cannot prove a high rate by chance.
    #[default]
    Wilson,
    /// One-sided lower bound by Clopper and Pearson: it errs never more often than the confidence says, and needs a few more
    /// devices than `Wilson`.
    Exact,
    /// Succeeded / sample.
    Ratio,
}

/// A rule that is evaluated in every stage.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!(self.method in ['EProcess', 'Ratio', 'Count']) || has(self.maxFailure)")
        .message("methods EProcess, Ratio and Count need maxFailure, such as 5%"),
    validation = Rule::new("self.method in ['EProcess', 'Ratio', 'Count'] || !has(self.maxFailure)")
        .message("maxFailure belongs to methods EProcess, Ratio and Count: remove it"),
    validation = Rule::new("self.method != 'Ratio' || !has(self.maxFailure) || string(self.maxFailure).endsWith('%')")
        .message("maxFailure of method Ratio must be a percentage, such as 5%"),
    validation = Rule::new("self.method != 'Count' || !has(self.maxFailure) || !string(self.maxFailure).endsWith('%')")
        .message("maxFailure of method Count must be a whole number, such as 3"),
    validation = Rule::new("self.method != 'EProcess' || !has(self.maxFailure) || (string(self.maxFailure).endsWith('%') && string(self.maxFailure) != '0%' && !string(self.maxFailure).startsWith('100'))")
        .message("maxFailure of method EProcess must be a percentage above 0% and below 100%, such as 5%"),
    validation = Rule::new("self.method in ['Ratio', 'Control', 'Count'] || !has(self.minSample) || self.minSample == 1")
        .message("minSample belongs to methods Ratio and Control; EProcess and Sprt are valid from the first device on: remove it"),
    validation = Rule::new("self.method in ['EProcess', 'Control'] || !has(self.confidence)")
        .message("confidence belongs to methods EProcess and Control: remove it"),
    validation = Rule::new("!has(self.confidence) || !self.confidence.startsWith('100')")
        .message("no method can reach a confidence of 100%: lower confidence"),
    validation = Rule::new("self.method != 'Sprt' || (has(self.p0) && has(self.p1))")
        .message("method Sprt needs p0, a failure rate that is good, and p1, one that is bad, such as 2% and 10%"),
    validation = Rule::new("!has(self.p0) || !has(self.p1) || (double(self.p0.split('%')[0]) > 0.0 && double(self.p0.split('%')[0]) < double(self.p1.split('%')[0]) && !self.p1.startsWith('100'))")
        .message("p0 must be above 0% and below p1, and p1 below 100%"),
    validation = Rule::new("[has(self.alpha) ? self.alpha : '5%', has(self.beta) ? self.beta : '5%'].all(error, double(error.split('%')[0]) > 0.0 && double(error.split('%')[0]) < 50.0)")
        .message("alpha and beta must be above 0% and below 50%"),
    validation = Rule::new("self.method == 'Sprt' || !(has(self.p0) || has(self.p1) || has(self.alpha) || has(self.beta))")
        .message("p0, p1, alpha and beta belong to method Sprt: remove them")
)]
pub struct StopRule {
    /// Name of the rule, unique in the rollout.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// What is watched.
    pub method: StopMethod,
    /// Failures that are accepted: a percentage for `EProcess` and `Ratio`, a whole number for `Count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failure: Option<CountOrPercent>,
    /// Confidence at which `EProcess` and `Control` fire; `95%` and `99%` when absent. `EProcess` stops a build that keeps to
    /// `maxFailure` in at most 5 % of all rollouts then, however often it is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Percent>,
    /// Devices that the rule needs before it fires: for `Ratio` those with a final outcome over the whole rollout, 1 when absent;
    /// for `Control` those that were sent the package, 50 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub min_sample: Option<u32>,
    /// `Sprt`: a failure rate that is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p0: Option<Percent>,
    /// `Sprt`: a failure rate that is bad; above `p0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p1: Option<Percent>,
    /// `Sprt`: chance to stop a build that fails on `p0` of the devices; `5%` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<Percent>,
    /// `Sprt`: chance to accept a build that fails on `p1` of them; `5%` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<Percent>,
    /// What to do when the rule fires.
    #[serde(default)]
    #[schemars(default)]
    pub action: StopAction,
}

/// What a stop rule watches.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMethod {
    /// Evidence that more than `maxFailure` of the devices fail, over all devices that have begun. Valid from the first device on,
    /// in any order of arrival.
    EProcess,
    /// Wald's sequential test of the failure rates `p0` and `p1`, over all devices that have begun. It misses builds that are bad
    /// and better than `p1`, which `EProcess` does not.
    Sprt,
    /// Evidence that more of the devices that were sent the package are offline than of a control group: devices that nothing was
    /// sent to yet. Compared eight times in the soak of a stage, and once before it passes.
    Control,
    /// Failed / (succeeded + failed), over all stages.
    Ratio,
    /// Failed devices, over all stages.
    Count,
}

/// What to do when a stop rule fires.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopAction {
    /// Dispatch nothing new and stop running jobs, until the spec changes.
    #[default]
    Pause,
    /// Cancel everything that is queued, permanently: this spec is not continued.
    Abort,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stored_gate_without_a_name_gets_the_one_of_its_evidence_and_is_stored_with_it() {
        let outcome = json!({"method": "Ratio", "minSuccess": "90%"});
        let gates =
            json!([{"outcome": outcome}, {"name": "proven", "outcome": outcome}, {"outcome": outcome}]);
        let stage = json!({"name": "canary", "select": {"rest": true}, "gates": gates});
        let stage: Stage = serde_json::from_value(stage).unwrap();
        let names: Vec<&str> = stage.gates.iter().flatten().map(|gate| gate.name.as_str()).collect();
        assert_eq!(names, ["outcome[0]", "proven", "outcome[2]"]);
        let stored: Stage = serde_json::from_value(serde_json::to_value(&stage).unwrap()).unwrap();
        assert_eq!(stored, stage);
        let unknown = json!({"name": "canary", "select": {"rest": true}, "gates": [{"outcom": outcome}]});
        assert!(serde_json::from_value::<Stage>(unknown).is_err());
    }
}
