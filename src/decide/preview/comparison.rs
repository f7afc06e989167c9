//! What the stop rule `Control` would see: in which stage, and how much worse the upgraded devices have to be.

use crate::api::{OtaRolloutSpec, Percent, Period, Stage, StopMethod, StopRule};
use crate::cloud::{Capabilities, Device};
use crate::decide::defaults;
use crate::decide::rollout::gates::control::passes_equal;
use crate::decide::rollout::stop_rules::control::{limit, min_sample};
use crate::decide::rollout::{control, gates};
use crate::decide::stats::comparison::chance_to_see;
use crate::decide::stats::millionths;
use std::collections::BTreeMap;

/// A difference that is seen this often is called seen.
const OFTEN: f64 = 0.8;
/// More devices see no more: the difference is below a point by then.
const MOST_DEVICES: u32 = 20_000;

/// Upgraded devices beside a control group, at the end of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Name of the stop rule.
    pub rule: String,
    /// The stage.
    pub stage: String,
    /// Devices that were sent the package by then.
    pub upgraded: u32,
    /// Devices that were not.
    pub control: u32,
    /// Share of the fleet that is offline now.
    pub offline: f64,
    /// Percentage points more of the upgraded devices that must be offline for a single comparison to fire in 80 %; none when even all
    /// of them would not.
    pub sees: Option<u32>,
}

/// What each rule of method `Control` compares in each stage that leaves a control group. `stages` are their names and devices.
#[must_use]
pub fn comparisons(
    spec: &OtaRolloutSpec,
    written: &[Stage],
    stages: &[(&str, u32)],
    offline: f64,
) -> Vec<Comparison> {
    let rules = defaults::stop_rules(spec);
    let rules = rules.iter().filter(|rule| rule.method == StopMethod::Control);
    rules.flat_map(|rule| of_rule(rule, written, stages, offline)).collect()
}

fn of_rule(rule: &StopRule, written: &[Stage], stages: &[(&str, u32)], offline: f64) -> Vec<Comparison> {
    let compared = groups(written, stages);
    let compared = compared.filter(|(_, upgraded, control)| *upgraded >= min_sample(rule) && *control > 0);
    let comparison = |(stage, upgraded, control): (&str, u32, u32)| Comparison {
        rule: rule.name.clone(),
        stage: stage.to_owned(),
        upgraded,
        control,
        offline: millionths(offline),
        sees: sees(upgraded, control, offline, limit(rule)),
    };
    compared.map(comparison).collect()
}

/// Each stage, with the devices that were sent the package by its end, and those of its control group.
fn groups<'s>(
    written: &'s [Stage],
    stages: &'s [(&'s str, u32)],
) -> impl Iterator<Item = (&'s str, u32, u32)> {
    let all: u32 = stages.iter().map(|(_, devices)| devices).sum();
    stages.iter().scan((0, all), |(upgraded, left), (name, devices)| {
        *left -= devices;
        *upgraded += if control::is_drawn(written, name) { *devices } else { 0 };
        Some((*name, *upgraded, control::size(*upgraded, *left)))
    })
}

/// A gate that compares a stage with its control group.
#[derive(Clone, Debug, PartialEq)]
pub struct Healthy {
    /// Name of the gate.
    pub gate: String,
    /// The stage.
    pub stage: String,
    /// Devices that were sent the package by its end.
    pub upgraded: u32,
    /// Devices of the control group.
    pub control: u32,
    /// Share of the fleet that is offline now.
    pub offline: f64,
    /// Difference that is accepted.
    pub margin: Percent,
    /// How often a build passes that changes nothing.
    pub passes_equal: f64,
}

impl Healthy {
    /// Warns of a gate that holds good builds.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let Self { gate, stage, upgraded, control, passes_equal, .. } = self;
        if *control == 0 {
            return Some(format!(
                "stage {stage}, gate {gate}: no device is left for a control group, so the gate cannot pass; remove it or select fewer devices"
            ));
        }
        (*passes_equal < OFTEN).then(|| {
            format!(
                "stage {stage}, gate {gate}: {upgraded} devices beside {control} are too few for this margin, so a build that changes nothing passes in {:.0} %; raise margin or select more devices",
                passes_equal * 100.0
            )
        })
    }
}

/// What each gate `control` lets pass. `stages` are the names of the stages and their devices.
#[must_use]
pub fn healthy(written: &[Stage], stages: &[(&str, u32)], offline: f64) -> Vec<Healthy> {
    let of_stage = |(name, upgraded, control): (&str, u32, u32)| {
        let spec = written.iter().find(|stage| stage.name == name);
        let gates = spec.into_iter().flat_map(gates::controls);
        let healthy = gates.map(|(gate, spec)| Healthy {
            gate: gate.to_owned(),
            stage: name.to_owned(),
            upgraded,
            control,
            offline: millionths(offline),
            margin: spec.margin,
            passes_equal: millionths(passes_equal(spec, upgraded.min(MOST_DEVICES), control, offline)),
        });
        healthy.collect::<Vec<_>>()
    };
    groups(written, stages).flat_map(of_stage).collect()
}

/// The least difference in whole percentage points that a single comparison sees in 80 % of the rollouts, beside a control group of which
/// this share is offline; none when it sees none. `limit` is what the logarithm of the evidence has to reach.
#[must_use]
pub fn sees(upgraded: u32, control: u32, offline: f64, limit: f64) -> Option<u32> {
    let upgraded = upgraded.min(MOST_DEVICES);
    let is_seen = |points: &u32| {
        let rate = (offline + f64::from(*points) / 100.0).min(1.0);
        chance_to_see((upgraded, rate), (control, offline), limit) >= OFTEN
    };
    (1..=100).find(is_seen)
}

/// Warns of soaks that end before the cloud shows anybody as offline.
pub(super) fn warning(
    written: &[Stage],
    comparisons: &[Comparison],
    limits: &Capabilities,
) -> Option<String> {
    let (first, after) = (comparisons.first()?, limits.shows_offline_after?);
    let stages = comparisons.iter().filter(|one| one.rule == first.rule).map(|one| &one.stage);
    let is_short = |name: &&String| {
        let stage = written.iter().find(|stage| stage.name == **name);
        let soak = stage.and_then(|stage| stage.soak).map_or(0, Period::as_secs);
        soak < after.as_secs().unsigned_abs()
    };
    let short: Vec<&str> = stages.filter(is_short).map(String::as_str).collect();
    let hours = after.as_hours();
    (!short.is_empty()).then(|| {
        format!(
            "stop rule {} sees nothing in {}: the cloud shows a device as offline {hours} h after it was last heard of; let it soak longer than {hours}h",
            first.rule,
            short.join(", ")
        )
    })
}

/// The share of the devices that are offline; none when the cloud does not report it of enough of them.
pub(super) fn offline(fleet: &BTreeMap<String, Device>) -> Option<f64> {
    let all = control::presence(fleet.values());
    let known = all.devices - all.unknown;
    (known > 0 && all.is_known()).then(|| f64::from(all.offline) / f64::from(known))
}
