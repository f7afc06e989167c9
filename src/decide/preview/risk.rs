//! How far a bad build would get, and how often a good one would be held: exact, and the same on every machine.

use super::PreviewStage;
use super::comparison::{Comparison, Healthy, comparisons, healthy};
use crate::api::{OtaRolloutSpec, Stage, StopRule};
use crate::decide::defaults;
use crate::decide::rollout::gates::required;
use crate::decide::rollout::gates::requirement::{GOOD, HOLDS_GOOD, Requirement};
use crate::decide::rollout::stop_rules;
use crate::decide::stats::risk::{Boundary, Limit, Outlook, Stage as Sent, outlook, reached_in_whole_stages};
use crate::decide::stats::{binomial, millionths};

/// Failure rates that are tried, in percent.
const RATES: [u32; 5] = [2, 5, 10, 20, 40];
/// A build that fails this often is bad.
const BAD: f64 = 0.1;
/// Larger stages are not searched for.
const MOST_DEVICES: u32 = 20_000;

/// What the stages, gates and stop rules of a rollout let through.
#[derive(Clone, Debug, PartialEq)]
pub struct Risk {
    /// By failure rate of the build, lowest first.
    pub builds: Vec<Build>,
    /// What each gate proves.
    pub gates: Vec<GateRisk>,
    /// What the stop rules of method `Control` compare; not part of the chances above.
    pub comparisons: Vec<Comparison>,
    /// What gates that compare a stage with its control group let pass.
    pub healthy: Vec<Healthy>,
}

/// How far a build gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// Share of devices on which it fails, in percent.
    pub fails_on: u32,
    /// Chance that nothing holds or stops it.
    pub goes_through: f64,
    /// Devices that are sent it on average: when they begin one by one, and when all of a stage begin at once.
    pub reached: [f64; 2],
    /// Stages in which it is held or stopped, with the chance of each, likeliest first.
    pub ends_at: Vec<(String, f64)>,
}

/// What a gate proves.
#[derive(Clone, Debug, PartialEq)]
pub struct GateRisk {
    /// Its stage.
    pub stage: String,
    /// Devices of the stage.
    pub devices: u32,
    /// What the gate requires, with its name.
    pub required: Requirement,
    /// Failures with which it passes.
    pub allowed: u32,
    /// How often it holds a build that fails on 2 %: when all devices begin, and when only `minObserved` of them do.
    pub holds_good: [f64; 2],
    /// How often it passes a build that fails on 10 %.
    pub passes_bad: f64,
}

impl GateRisk {
    /// What a gate proves of a stage with so many devices; none when it proves nothing.
    #[must_use]
    pub fn new(stage: &str, devices: u32, required: Requirement) -> Option<Self> {
        let allowed = required.allowed(devices)?;
        Some(Self {
            stage: stage.to_owned(),
            devices,
            allowed,
            holds_good: [devices, required.fewest(devices)]
                .map(|sample| millionths(required.holds_good(sample))),
            passes_bad: millionths(binomial::at_most(allowed, devices, BAD)),
            required,
        })
    }

    /// A warning when a good build is held too often, with its stage and gate.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let advice = self.advice()?;
        Some(format!("stage {}, gate {}: {advice}", self.stage, self.required.gate))
    }

    /// How often a good build is held, when that is too often, with the size of a stage in which it is not.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let (required, [all, few]) = (&self.required, self.holds_good);
        if all.max(few) <= HOLDS_GOOD {
            return None;
        }
        let fits = |devices: u32| {
            [devices, required.fewest(devices)]
                .into_iter()
                .all(|sample| required.holds_good(sample) <= HOLDS_GOOD)
        };
        let held = percent(all.max(few));
        // Rates above are met by no size, and the default rate of a larger stage is another one.
        let is_possible = required.goal.fraction() < 1.0 - GOOD;
        let size = (self.devices..MOST_DEVICES).find(|devices| is_possible && fits(*devices));
        let advice = match size {
            _ if required.is_default => "select 8 devices or more".to_owned(),
            Some(devices) => format!("{devices} devices would do, or lower minSuccess"),
            None => "lower minSuccess".to_owned(),
        };
        Some(format!("a good build, which fails on 2 % of the devices, is held in up to {held}: {advice}"))
    }
}

/// A chance for people: `0.5 %`.
#[must_use]
pub fn percent(chance: f64) -> String {
    format!("{:.1} %", chance * 100.0)
}

/// A stage that has devices.
struct Sized<'a> {
    stage: &'a PreviewStage,
    batch: u32,
    batch_limit: Option<u32>,
    gates: Vec<Requirement>,
    is_last: bool,
}

/// The risk of a rollout that has sent nothing yet; none for another one, and without devices. `written` are the stages of its
/// spec, or the default ones; `offline` is the share of the fleet that is offline now, if the cloud tells.
#[must_use]
pub fn risk(
    spec: &OtaRolloutSpec,
    written: &[Stage],
    stages: &[PreviewStage],
    offline: Option<f64>,
) -> Option<Risk> {
    let last = written.len().saturating_sub(1);
    let sized: Vec<Sized<'_>> = stages
        .iter()
        .filter(|stage| stage.devices > 0)
        .filter_map(|stage| {
            let index = written.iter().position(|spec| spec.name == stage.name)?;
            let gates = required(spec, &written[index], index == last, stage.devices);
            let pieces = written[index].batch;
            let batch = pieces.map_or(stage.devices, |batch| batch.size);
            let batch_limit = pieces.and_then(|batch| batch.max_failures);
            Some(Sized { stage, batch, batch_limit, gates, is_last: index == last })
        })
        .collect();
    if sized.is_empty() || stages.iter().any(|stage| stage.dispatched > 0) {
        return None;
    }
    let gates = sized.iter().flat_map(|sized| {
        sized
            .gates
            .iter()
            .filter_map(|gate| GateRisk::new(&sized.stage.name, sized.stage.devices, gate.clone()))
    });
    let builds = RATES.iter().map(|rate| build(*rate, &sized, &defaults::stop_rules(spec)));
    let sizes: Vec<(&str, u32)> = stages.iter().map(|stage| (stage.name.as_str(), stage.devices)).collect();
    let comparisons = offline.map(|offline| comparisons(spec, written, &sizes, offline)).unwrap_or_default();
    let healthy = offline.map(|offline| healthy(written, &sizes, offline)).unwrap_or_default();
    Some(Risk { builds: builds.collect(), gates: gates.collect(), comparisons, healthy })
}

fn build(fails_on: u32, stages: &[Sized<'_>], rules: &[StopRule]) -> Build {
    let sent: Vec<Sent> = stages
        .iter()
        .map(|sized| Sent {
            devices: sized.stage.devices,
            batch: sized.batch,
            batch_limit: sized.batch_limit,
            limit: limit(sized),
        })
        .collect();
    let first_stop =
        |devices: u32| rules.iter().filter_map(|rule| stop_rules::first_stop(rule, devices)).min();
    let boundary = Boundary {
        first_stop: &first_stop,
        steady_from: rules.iter().filter_map(stop_rules::fewest_devices).max().unwrap_or(0),
    };
    let rate = f64::from(fails_on) / 100.0;
    let one_by_one = outlook(&sent, &boundary, rate, false);
    // What counts outcomes may act while a stage runs; what counts devices that have begun cannot, when all begin at once.
    let by_begun = rules.iter().all(stop_rules::is_by_begun);
    let at_once = by_begun.then(|| outlook(&sent, &boundary, rate, true));
    let at_once_reached = at_once
        .as_ref()
        .map_or_else(|| reached_in_whole_stages(&sent, &one_by_one), |at_once| at_once.reached);
    let likely = at_once.as_ref().unwrap_or(&one_by_one);
    Build {
        fails_on,
        goes_through: millionths(likely.completes),
        reached: [one_by_one.reached, at_once_reached].map(millionths),
        ends_at: ends_at(stages, likely),
    }
}

/// Where it is held or stopped, in as much as a tenth of a percent.
fn ends_at(stages: &[Sized<'_>], outlook: &Outlook) -> Vec<(String, f64)> {
    let chances = outlook.stopped.iter().zip(&outlook.held).map(|(stopped, held)| millionths(stopped + held));
    let named = stages.iter().map(|sized| sized.stage.name.clone()).zip(chances);
    let mut ends: Vec<(String, f64)> = named.filter(|(_, chance)| *chance >= 0.0005).collect();
    ends.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    ends
}

/// What a stage lets pass: the strictest of its gates, or without one as many failures as successes.
fn limit(Sized { stage, gates, is_last, .. }: &Sized<'_>) -> Limit {
    let devices = stage.devices;
    if gates.is_empty() {
        return if *is_last { Limit::Any } else { Limit::AtMost(devices / 2) };
    }
    let allowed = |gate: &Requirement| if devices < gate.min_sample { None } else { gate.allowed(devices) };
    let limits: Option<Vec<u32>> = gates.iter().map(allowed).collect();
    limits.and_then(|limits| limits.into_iter().min()).map_or(Limit::Never, Limit::AtMost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::StageStrata;
    use serde_json::{Value, json};

    fn of(stages: &[(&str, u32)], spec: &Value) -> Risk {
        let spec: OtaRolloutSpec = serde_json::from_value(spec.clone()).unwrap();
        let devices = stages.iter().map(|(_, devices)| devices).sum();
        let stage = |(name, devices): &(&str, u32)| PreviewStage {
            name: (*name).to_owned(),
            devices: *devices,
            dispatched: 0,
            examples: Vec::new(),
            soak: String::new(),
            strata: StageStrata::default(),
        };
        risk(
            &spec,
            &defaults::stages(&spec, devices),
            &stages.iter().map(stage).collect::<Vec<_>>(),
            Some(0.02),
        )
        .unwrap()
    }

    fn gated(name: &str, select: &Value, min: &str) -> Value {
        json!({"name": name, "select": select, "gates": [{"name": "proven", "outcome": {"minSuccess": min}}]})
    }

    fn text(risk: &Risk) -> String {
        let lines = risk.builds.iter().map(|build| {
            let [low, high] = build.reached;
            let ends: Vec<String> =
                build.ends_at.iter().map(|(stage, chance)| format!("{stage} {}", percent(*chance))).collect();
            format!(
                "{} %: {} {low:.0} to {high:.0}; {}",
                build.fails_on,
                percent(build.goes_through),
                ends.join(", ")
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_stages_and_rules_of_the_statistics_page_reach_what_it_says() {
        let spec = json!({
            "packageRef": {"name": "p"}, "targets": {"all": true},
            "stages": [gated("probe", &json!({"count": 25}), "70%"), gated("canary", &json!({"count": 130}), "90%"),
                gated("tenth", &json!({"percent": "10%"}), "95%"), json!({"name": "rest", "select": {"rest": true}})],
            "stop": [{"name": "failures", "method": "EProcess", "maxFailure": "5%"}],
        });
        let risk = of(&[("probe", 25), ("canary", 130), ("tenth", 845), ("rest", 9_000)], &spec);
        insta::assert_snapshot!(text(&risk));
        let canary = &risk.gates[1];
        assert_eq!(
            (canary.allowed, percent(canary.holds_good[0]), percent(canary.passes_bad)),
            (7, "0.5 %".into(), "4.6 %".into())
        );
        assert_eq!(canary.warning(), None);
    }

    #[test]
    fn a_rollout_that_states_nothing_has_the_risk_of_the_default_stages() {
        let spec = json!({"packageRef": {"name": "p"}, "targets": {"all": true}});
        let risk = of(&[("probe", 25), ("canary", 130), ("tenth", 845), ("rest", 9_000)], &spec);
        insta::assert_snapshot!(text(&risk));
        let goals: Vec<String> = risk.gates.iter().map(|gate| gate.required.goal.text()).collect();
        assert_eq!(goals, ["70 %", "90 %", "95 %"]);
        assert_eq!(risk.gates.iter().find_map(GateRisk::warning), None);
    }

    #[test]
    fn a_canary_that_is_sent_in_batches_costs_fewer_devices() {
        let mut canary = gated("canary", &json!({"count": 130}), "90%");
        canary["batch"] = json!({"size": 25});
        let spec = json!({"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": [canary]});
        insta::assert_snapshot!(text(&of(&[("canary", 130), ("rest", 9_870)], &spec)), @r"
        2 %: 99.5 % 9938 to 9952; canary 0.5 %
        5 %: 67.5 % 6733 to 6783; canary 32.5 %
        10 %: 0.0 % 119 to 539; canary 95.4 %, rest 4.6 %
        20 %: 0.0 % 30 to 45; canary 100.0 %
        40 %: 0.0 % 8 to 26; canary 100.0 %
        ");
    }

    #[test]
    fn a_canary_that_holds_good_builds_names_the_size_that_would_do() {
        let spec = json!({
            "packageRef": {"name": "p"}, "targets": {"all": true}, "stages": [gated("canary", &json!({"count": 60}), "90%")],
            "stop": [{"name": "failures", "method": "Ratio", "maxFailure": "10%", "minSample": 20}],
        });
        let risk = of(&[("canary", 60), ("rest", 9_940)], &spec);
        insta::assert_snapshot!(risk.gates[0].warning().unwrap(), @"stage canary, gate proven: a good build, which fails on 2 % of the devices, is held in up to 24.9 %: 124 devices would do, or lower minSuccess");
        insta::assert_snapshot!(text(&risk));
    }

    #[test]
    fn the_risk_of_a_million_devices_needs_no_step_for_each() {
        let spec = json!({
            "packageRef": {"name": "p"}, "targets": {"all": true}, "stop": [],
            "stages": [gated("canary", &json!({"count": 130}), "90%")],
        });
        let risk = of(&[("canary", 130), ("rest", 999_870)], &spec);
        insta::assert_snapshot!(text(&risk));
    }
}
