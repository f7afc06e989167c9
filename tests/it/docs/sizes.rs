//! The table of canary sizes is computed again: no number in it is written by hand.

use super::text;
use rollwave::api::{ControlGate, OtaRolloutSpec, Percent, Stage, StageStrata};
use rollwave::decide::defaults;
use rollwave::decide::preview::{PreviewStage, risk as risk_of, sees};
use rollwave::decide::rollout::gates::control::passes_equal;
use rollwave::decide::rollout::gates::requirement::Requirement;
use rollwave::decide::stats::comparison::{Group, harm};
use rollwave::decide::stats::evidence::{Term, ln_evidence, odds_text, threshold};
use rollwave::decide::stats::{binomial, risk, wilson};
use serde_json::json;

const PAGE: &str = "docs/guides/size-a-canary.md";
const CONFIDENCE: f64 = 0.95;
/// `minObserved` of a gate that states none, of a hundred.
const OBSERVED: u32 = 80;

fn holds(sample: u32, goal: u32, rate: f64) -> f64 {
    let allowed = wilson::allowed(sample, f64::from(100 - goal) / 100.0, CONFIDENCE);
    allowed.map_or(1.0, |allowed| 1.0 - binomial::at_most(allowed, sample, rate))
}

fn row(goal: u32, devices: u32) -> String {
    let may_fail = wilson::allowed(devices, f64::from(100 - goal) / 100.0, CONFIDENCE).unwrap();
    let few = (devices * OBSERVED).div_ceil(100);
    let held = [holds(devices, goal, 0.01), holds(devices, goal, 0.02), holds(few, goal, 0.02)];
    let passed = [0.05, 0.1, 0.2].map(|rate| 1.0 - holds(devices, goal, rate));
    let shares: Vec<String> =
        held.into_iter().chain(passed).map(|share| format!("{:.1}", (share * 100.0).abs())).collect();
    format!("| {goal} % | {devices} | {may_fail} | {} |", shares.join(" | "))
}

#[test]
fn the_sizes_of_canaries_are_what_the_statistics_say() {
    let page = text(PAGE);
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| 9")).collect();
    assert_eq!(rows.len(), 11, "{PAGE}");
    for found in rows {
        let cells: Vec<&str> = found.split('|').map(str::trim).collect();
        let [goal, devices] = [1, 2].map(|cell: usize| cells[cell].trim_end_matches(" %").parse().unwrap());
        assert_eq!(found, row(goal, devices), "{PAGE}");
    }
}

#[test]
fn the_failures_at_which_evidence_fires_are_what_the_statistics_say() {
    let fires = |devices: u32| {
        let evidence = |failures| ln_evidence(&[Term { devices, failures, budget: 0.05 }]);
        let first =
            risk::first_stop(devices, |failures| evidence(failures) >= threshold(CONFIDENCE)).unwrap();
        format!("{first} of {devices}")
    };
    let [first, .., last] = [5, 20, 50, 100, 1000];
    let said = format!("{} failures of {first} devices", fires(first).split(' ').next().unwrap());
    let others: Vec<String> = [20, 50, 100, last].into_iter().map(fires).collect();
    let page = text("docs/guides/pause-and-stop.md");
    assert!(page.contains(&format!("at {said}, {}", others.join(", "))), "{said}, {others:?}");
}

#[test]
fn the_rates_of_gates_that_state_none_are_what_the_statistics_say() {
    let page = text(PAGE);
    let start = page.find("| devices | must prove | may fail |").unwrap();
    let rows: Vec<&str> = page[start..].lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 7);
    for found in rows {
        let cells: Vec<&str> = found.split('|').map(str::trim).collect();
        let number: u32 = cells[1].split(' ').find_map(|word| word.parse().ok()).unwrap();
        let (devices, of) = match cells[1] {
            text if text.starts_with("fewer than") => (number - 1, String::new()),
            text if text.ends_with("and more") => (number, format!(" of {number}")),
            _ => (number, String::new()),
        };
        let required = Requirement::new("default", &defaults::outcome(), devices);
        let allowed = format!("{}{of}", required.allowed(devices).unwrap());
        assert_eq!((cells[2], cells[3]), (required.goal.text().as_str(), allowed.as_str()), "{found}");
    }
}

#[test]
fn what_the_readme_says_of_the_default_stages_is_what_the_statistics_say() {
    let spec: OtaRolloutSpec =
        serde_json::from_value(json!({"packageRef": {"name": "p"}, "targets": {"all": true}})).unwrap();
    let stages = defaults::stages(&spec, 10_000);
    let stage = |(spec, devices): (&Stage, u32)| PreviewStage {
        name: spec.name.clone(),
        devices,
        dispatched: 0,
        examples: Vec::new(),
        soak: String::new(),
        strata: StageStrata::default(),
    };
    let sized: Vec<PreviewStage> = stages.iter().zip([25, 130, 845, 9_000]).map(stage).collect();
    let risk = risk_of(&spec, &stages, &sized, None).unwrap();
    let build = |fails_on| risk.builds.iter().find(|build| build.fails_on == fails_on).unwrap();
    let [low, high] = build(10).reached;
    let through = build(2).goes_through * 100.0;
    let said = format!(
        "every tenth reaches {low:.0} to {high:.0}; a build that fails on 2 % completes in {through:.1} % of all"
    );
    assert!(text("README.md").replace('\n', " ").contains(&said), "{said}");
}

#[test]
fn the_differences_that_a_control_group_shows_are_what_the_statistics_say() {
    let page = text("docs/guides/compare-with-a-control-group.md");
    let start = page.find("| upgraded | control | sees").unwrap();
    let rows: Vec<&str> = page[start..].lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 4);
    for found in rows {
        let cells: Vec<&str> = found.split('|').map(str::trim).collect();
        let [upgraded, control] = [1, 2].map(|cell: usize| cells[cell].replace(',', "").parse().unwrap());
        let seen = [0.02, 0.1].map(|offline| {
            let points = sees(upgraded, control, offline, threshold(0.99)).unwrap();
            format!("{points} points")
        });
        assert_eq!([cells[3], cells[4]], seen, "{found}");
    }
    for (upgraded, control, odds) in
        [((12, 155), (31, 1_550), "109 to 1"), ((30, 155), (155, 1_550), "13 to 1")]
    {
        let of = |(unhealthy, devices)| Group { devices, unhealthy };
        assert_eq!(odds_text(harm(of(upgraded), of(control))), odds);
        assert!(page.contains(&format!("| {odds} |")), "{odds}");
    }
}

#[test]
fn what_a_gate_beside_a_control_group_passes_is_what_the_statistics_say() {
    let page = text("docs/guides/compare-with-a-control-group.md");
    let start = page.find("| upgraded | control | offline |").unwrap();
    let rows: Vec<&str> = page[start..].lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 4);
    for found in rows {
        let cells: Vec<&str> = found.split('|').map(str::trim).collect();
        let [upgraded, control] = [1, 2].map(|cell: usize| cells[cell].replace(',', "").parse().unwrap());
        let offline: f64 = cells[3].trim_end_matches(" %").parse().unwrap();
        let passes = [3, 5, 10].map(|margin| {
            let gate = ControlGate { margin: Percent::whole(margin), confidence: Percent::whole(95) };
            format!("{:.0} %", 100.0 * passes_equal(&gate, upgraded, control, offline / 100.0))
        });
        assert_eq!([cells[4], cells[5], cells[6]], passes, "{found}");
    }
}
