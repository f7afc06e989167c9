//! What applies where a rollout does not say: its stages, its gates and its stop rules.

use crate::api::{
    CountOrPercent, Gate, GateMethod, OtaRolloutSpec, OtaRolloutStatus, OutcomeGate, Percent, Period, Select,
    Stage, StopAction, StopMethod, StopRule,
};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Name of the gate of a stage that has none in the spec.
pub const GATE: &str = "default";

/// A default stage, and the targeted devices from which on it is used.
struct Standard {
    name: &'static str,
    from: u32,
    select: Select,
    soak: Period,
    /// Success rate in percent; none where the size of the stage varies with the fleet, so that it decides.
    goal: Option<u32>,
}

impl Standard {
    fn stage(self) -> Stage {
        let with_goal = |goal| {
            let outcome = OutcomeGate { min_success: Some(Percent::whole(goal)), ..outcome() };
            vec![Gate::of_outcome(GATE.to_owned(), outcome)]
        };
        let gates = self.goal.map(with_goal);
        Stage { gates, ..stage(self.name.to_owned(), self.select, Some(self.soak)) }
    }
}

/// The first stage finds what fails on every fourth device at the price of 25, the second proves 90 % with enough devices to
/// hold hardly any good build. The third has few devices in a fleet of little more than 1,500, and could not prove a fixed rate
/// there. The rest is implied.
fn standard() -> [Standard; 3] {
    let count = |count| Select { count: Some(count), ..Select::default() };
    let tenth = Select { percent: Some(Percent::whole(10)), ..Select::default() };
    [
        Standard {
            name: "probe",
            from: 0,
            select: count(25),
            soak: Period::seconds(30 * 60),
            goal: Some(70),
        },
        Standard { name: "canary", from: 300, select: count(130), soak: Period::hours(24), goal: Some(90) },
        Standard { name: "tenth", from: 1_500, select: tenth, soak: Period::hours(24), goal: None },
    ]
}

fn stage(name: String, select: Select, soak: Option<Period>) -> Stage {
    Stage {
        name,
        select,
        not_before: None,
        windows: Vec::new(),
        batch: None,
        soak,
        deadline: None,
        gates: None,
    }
}

/// The stages of a rollout to so many targeted devices, with the last one that the spec implies: all devices that no other
/// stage selects.
#[must_use]
pub fn stages(spec: &OtaRolloutSpec, targeted: u32) -> Vec<Stage> {
    let sized = |standard: Standard| (targeted >= standard.from).then(|| standard.stage());
    with_rest(match spec.stages.is_empty() {
        true => standard().into_iter().filter_map(sized).collect(),
        false => spec.stages.clone(),
    })
}

/// The stages that a rollout began with, by its status.
#[must_use]
pub fn begun_stages(spec: &OtaRolloutSpec, status: &OtaRolloutStatus) -> Vec<Stage> {
    let names: BTreeSet<&str> = status.stages.iter().map(|stage| stage.name.as_str()).collect();
    let last = standard().into_iter().rfind(|standard| names.contains(standard.name));
    stages(spec, last.map_or(0, |standard| standard.from))
}

/// The stage of this name, except the implied last one, which has no settings.
#[must_use]
pub fn stage_named<'a>(spec: &'a OtaRolloutSpec, name: &str) -> Option<Cow<'a, Stage>> {
    if let Some(written) = spec.stages.iter().find(|stage| stage.name == name) {
        return Some(Cow::Borrowed(written));
    }
    let standard = standard().into_iter().find(|standard| spec.stages.is_empty() && standard.name == name)?;
    Some(Cow::Owned(standard.stage()))
}

fn with_rest(mut stages: Vec<Stage>) -> Vec<Stage> {
    if stages.last().is_none_or(|last| last.select.rest != Some(true)) {
        let select = Select { rest: Some(true), ..Select::default() };
        stages.push(stage(free_name(&stages), select, None));
    }
    stages
}

fn free_name(stages: &[Stage]) -> String {
    let names: BTreeSet<&str> = stages.iter().map(|s| s.name.as_str()).collect();
    let candidates = std::iter::once("rest".to_owned()).chain((2..=60).map(|n| format!("rest-{n}")));
    candidates.into_iter().find(|name| !names.contains(name.as_str())).unwrap_or_default()
}

/// The gates of a stage. One that has none in the spec has the default gate, unless it is the last: nothing comes after it.
#[must_use]
pub fn gates(stage: &Stage, is_last: bool) -> Cow<'_, [Gate]> {
    let default = || Cow::Owned(if is_last { Vec::new() } else { vec![gate()] });
    stage.gates.as_deref().map_or_else(default, Cow::Borrowed)
}

fn gate() -> Gate {
    Gate::of_outcome(GATE.to_owned(), outcome())
}

/// What the default gate requires: what a stage of its size can prove.
#[must_use]
pub const fn outcome() -> OutcomeGate {
    OutcomeGate {
        method: GateMethod::Wilson,
        min_success: None,
        confidence: Percent::whole(95),
        min_sample: 1,
        min_observed: Percent::whole(80),
    }
}

/// The stop rules of a rollout: one that has none in the spec is stopped when more than 5 % of its devices fail, and when more of
/// them are offline than of those that nothing was sent to.
#[must_use]
pub fn stop_rules(spec: &OtaRolloutSpec) -> Cow<'_, [StopRule]> {
    let default = || {
        let budget = CountOrPercent::Percent(Percent::whole(5));
        let failures = StopRule { max_failure: Some(budget), ..rule("failures", StopMethod::EProcess) };
        Cow::Owned(vec![failures, rule("control", StopMethod::Control)])
    };
    spec.stop.as_deref().map_or_else(default, Cow::Borrowed)
}

/// True when a stop rule or gate of the rollout compares its devices with a control group.
#[must_use]
pub fn compares(spec: &OtaRolloutSpec) -> bool {
    let mut gates = spec.stages.iter().flat_map(|stage| stage.gates.iter().flatten());
    stop_rules(spec).iter().any(|rule| rule.method == StopMethod::Control)
        || gates.any(|gate| gate.control.is_some())
}

/// A rule that pauses, with the settings that its method has when nothing is written.
pub(super) fn rule(name: &str, method: StopMethod) -> StopRule {
    StopRule {
        name: name.to_owned(),
        method,
        max_failure: None,
        confidence: None,
        min_sample: None,
        p0: None,
        p1: None,
        alpha: None,
        beta: None,
        action: StopAction::Pause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::rollout::waiting_stage;
    use crate::decide::testing::rollout;

    fn names(stages: &[Stage]) -> Vec<&str> {
        stages.iter().map(|stage| stage.name.as_str()).collect()
    }

    fn without_stages() -> OtaRolloutSpec {
        OtaRolloutSpec { stages: Vec::new(), ..rollout().spec }
    }

    #[test]
    fn the_fleet_decides_which_default_stages_there_are() {
        let spec = without_stages();
        for (targeted, expected) in [
            (0, vec!["probe", "rest"]),
            (299, vec!["probe", "rest"]),
            (300, vec!["probe", "canary", "rest"]),
            (1_499, vec!["probe", "canary", "rest"]),
            (1_500, vec!["probe", "canary", "tenth", "rest"]),
            (u32::MAX, vec!["probe", "canary", "tenth", "rest"]),
        ] {
            assert_eq!(names(&stages(&spec, targeted)), expected, "{targeted}");
        }
    }

    #[test]
    fn a_rollout_keeps_the_default_stages_that_it_began_with() {
        for targeted in [10, 300, 1_500] {
            let spec = without_stages();
            let first = stages(&spec, targeted);
            let stages = first.iter().map(|stage| waiting_stage(&stage.name)).collect();
            let status = OtaRolloutStatus { stages, ..OtaRolloutStatus::default() };
            assert_eq!(begun_stages(&spec, &status), first, "{targeted}");
        }
    }

    #[test]
    fn a_list_of_stages_that_ends_without_rest_gets_it_under_a_free_name() {
        let mut spec = rollout().spec;
        spec.stages[0].name = "rest".to_owned();
        assert_eq!(names(&stages(&spec, 9)).last(), Some(&"rest-2"));
        spec.stages.truncate(1);
        spec.stages[0].select = Select { rest: Some(true), ..Select::default() };
        assert_eq!(names(&stages(&spec, 9)), ["rest"]);
    }

    #[test]
    fn an_empty_list_of_stop_rules_is_not_an_absent_one() {
        let mut spec = rollout().spec;
        spec.stop = None;
        assert_eq!(stop_rules(&spec)[0].name, "failures");
        spec.stop = Some(Vec::new());
        assert!(stop_rules(&spec).is_empty());
    }
}
