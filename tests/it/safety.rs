//! `benches/safety/` with fewer seeds: how many devices a bad build reaches, and how often a good one is held. Not timed.

#[path = "../../benches/safety/draws.rs"]
mod draws;
#[path = "../../benches/safety/expected.rs"]
mod expected;
#[path = "../../benches/safety/fleet.rs"]
mod fleet;
#[path = "../../benches/safety/rollout.rs"]
mod rollout;
#[path = "../../benches/safety/rules/mod.rs"]
mod rules;
#[path = "../../benches/safety/summary.rs"]
mod summary;
#[path = "../../benches/safety/table.rs"]
mod table;

mod page;
mod whole_decision;

use fleet::{SCENARIOS, Scenario};
use rules::{CONTENDERS, Contender, DEFAULT, SHORT_SOAKS};
use summary::{Summary, measure};

/// Enough that the tolerances mean something, few enough for a debug build.
const SEEDS: u32 = 40;
/// Rollouts that are stopped early are cheap.
const MANY_SEEDS: u32 = 200;
/// One build in twenty gets past the canary: fewer seeds do not show the 95th percentile.
const MOST_SEEDS: u32 = 1_000;

fn scenario(name: &str) -> Scenario {
    SCENARIOS.into_iter().find(|scenario| scenario.name == name).unwrap()
}

fn contender(name: &str) -> Contender {
    CONTENDERS.into_iter().find(|contender| contender.name == name).unwrap()
}

fn figures(rule: &str, name: &str, seeds: u32) -> Summary {
    measure(&contender(rule), &scenario(name), seeds)
}

/// Also compared with what two other programs computed.
fn as_expected(rule: &str, name: &str, seeds: u32) -> Summary {
    let found = figures(rule, name, seeds);
    let expected = contender(rule).expected.unwrap();
    let differences = expected::Table::read().differences(expected, name, &found);
    assert!(differences.is_empty(), "{differences:#?}");
    found
}

#[test]
fn a_bad_build_reaches_at_most_160_devices_in_95_of_100_rollouts_with_the_default_stages() {
    for rule in [SHORT_SOAKS, DEFAULT] {
        let found = as_expected(rule, "bad 10", MOST_SEEDS);
        assert!(found.hit_mean <= 150.0 && found.hit_p95 <= 160, "{rule}: {found:?}");
    }
}

#[test]
fn failures_that_report_late_or_never_change_little() {
    for name in ["slow 10", "bricks 10"] {
        let found = as_expected(SHORT_SOAKS, name, MANY_SEEDS);
        assert!(found.hit_p95 <= 160, "{name}: {found:?}");
    }
}

#[test]
fn a_good_build_is_held_in_at_most_one_of_40_rollouts_also_when_its_failures_report_first() {
    for name in ["good 2", "fast good"] {
        let found = as_expected(SHORT_SOAKS, name, SEEDS);
        assert!(found.held <= 0.025, "{name}: {found:?}");
    }
}

#[test]
fn a_build_that_takes_devices_offline_hours_later_reaches_the_canary_alone() {
    for name in ["delayed", "bricks 10"] {
        let found = as_expected(DEFAULT, name, MANY_SEEDS);
        assert!(found.hit_median <= 155 && found.hit_mean <= 180.0, "{name}: {found:?}");
    }
}
