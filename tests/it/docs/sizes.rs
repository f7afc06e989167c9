//! The table of canary sizes is computed again: no number in it is written by hand.

use super::text;
use rollwave::decide::stats::evidence::{Term, ln_evidence, threshold};
use rollwave::decide::stats::{binomial, risk, wilson};

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
