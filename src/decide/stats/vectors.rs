//! Every formula against `tests/vectors/statistics/`, computed by two other programs.

use super::comparison::{Group, difference, harm};
use super::hypergeometric::Draw;
use super::sprt::Sprt;
use super::strata::allocate;
use super::{binomial, evidence, risk, wilson};
use serde_json::Value;

fn vectors(name: &str) -> Value {
    let path = format!("{}/tests/vectors/statistics/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn rows(name: &str, table: &str) -> Vec<Value> {
    let rows = vectors(name)[table].as_array().unwrap().clone();
    assert!(!rows.is_empty(), "{name}.{table}");
    rows
}

fn whole(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// -1 in the vectors is none here.
fn limit(value: &Value) -> Option<u32> {
    u32::try_from(value.as_i64().unwrap()).ok()
}

fn is_near(found: f64, wanted: f64, relative: f64) -> bool {
    (found - wanted).abs() <= relative * wanted.abs().max(f64::MIN_POSITIVE)
}

#[test]
fn the_difference_of_two_groups() {
    let group =
        |devices: &Value, unhealthy: &Value| Group { devices: whole(devices), unhealthy: whole(unhealthy) };
    for row in rows("control", "newcombe_k1_n1_k2_n2_confidenceTwoSided_lower_upper") {
        let z = wilson::quantile(f64::midpoint(number(&row[4]), 1.0)).unwrap();
        let (lower, upper) = difference(group(&row[1], &row[0]), group(&row[3], &row[2]), z).unwrap();
        assert!((lower - number(&row[5])).abs() < 1e-9 && (upper - number(&row[6])).abs() < 1e-9, "{row}");
    }
    for row in rows("control", "nonInferiority_kt_nt_kc_nc_margin_confidenceOneSided_upper_passes") {
        let z = wilson::quantile(number(&row[5])).unwrap();
        let (_, upper) = difference(group(&row[1], &row[0]), group(&row[3], &row[2]), z).unwrap();
        assert!((upper - number(&row[6])).abs() < 1e-9, "{row}: {upper}");
        assert_eq!(upper <= number(&row[4]), row[7].as_bool().unwrap(), "{row}");
    }
}

#[test]
fn wilson_bounds_and_what_they_allow() {
    for row in rows("binomial", "wilsonLower_failures_n_confidence_bound") {
        let (failures, n) = (whole(&row[0]), whole(&row[1]));
        let z = wilson::quantile(number(&row[2])).unwrap();
        let bound = wilson::lower_bound(n - failures, n, z).unwrap();
        assert!(is_near(bound, number(&row[3]), 1e-9), "{row}: {bound}");
    }
    for row in rows("binomial", "allowed_n_minSuccess_confidence_failures") {
        let allowed = wilson::allowed(whole(&row[0]), 1.0 - number(&row[1]), number(&row[2]));
        assert_eq!(allowed, limit(&row[3]), "{row}");
    }
}

#[test]
fn the_allowed_failures_are_those_at_which_the_bound_still_reaches_the_goal() {
    for (goal, confidence) in
        [(0.5, 0.95), (0.9, 0.95), (0.95, 0.95), (0.95, 0.99), (0.99, 0.9), (0.999, 0.95)]
    {
        let z = wilson::quantile(confidence).unwrap();
        for n in (1..400).chain([1_000, 5_000, 30_000]) {
            let proves =
                |failures: u32| failures <= n && wilson::lower_bound(n - failures, n, z).unwrap() >= goal;
            match wilson::allowed(n, 1.0 - goal, confidence) {
                None => assert!(!proves(0), "{goal} {confidence} {n}"),
                Some(most) => assert!(proves(most) && !proves(most + 1), "{goal} {confidence} {n} {most}"),
            }
        }
    }
}

#[test]
fn binomial_sums_and_exact_limits() {
    for row in rows("binomial", "cdf_k_n_p_P") {
        let found = binomial::at_most(whole(&row[0]), whole(&row[1]), number(&row[2]));
        assert!(is_near(found, number(&row[3]), 1e-7), "{row}: {found}");
    }
    for row in rows("binomial", "allowedExact_n_minSuccess_confidence_failures") {
        let allowed = binomial::allowed(whole(&row[0]), 1.0 - number(&row[1]), number(&row[2]));
        assert_eq!(allowed, limit(&row[3]), "{row}");
    }
    for row in rows("binomial", "clopperPearsonUpper_failures_n_confidence_bound") {
        let bound = binomial::upper_bound(whole(&row[0]), whole(&row[1]), number(&row[2]));
        assert!(is_near(bound, number(&row[3]), 1e-9), "{row}: {bound}");
    }
}

fn ln_evidence(devices: u32, failures: u32, budget: f64) -> f64 {
    evidence::ln_evidence(&[evidence::Term { devices, failures, budget }])
}

#[test]
fn evidence_against_a_budget() {
    let near = |found: f64, wanted: &Value| {
        let wanted = number(wanted);
        (found - wanted).abs() <= 1e-9 * (wanted.abs() / 1_000.0).max(1.0)
    };
    for row in rows("evidence", "lnE_n_k_budget") {
        let found = ln_evidence(whole(&row[0]), whole(&row[1]), number(&row[2]));
        assert!(near(found, &row[3]), "{row}: {found}");
    }
    for row in rows("evidence", "lnE_terms") {
        let terms: Vec<evidence::Term> = row[0]
            .as_array()
            .unwrap()
            .iter()
            .map(|term| evidence::Term {
                devices: whole(&term[0]),
                failures: whole(&term[1]),
                budget: number(&term[2]),
            })
            .collect();
        assert!(near(evidence::ln_evidence(&terms), &row[1]), "{row}");
    }
    for row in rows("evidence", "firstStop_budget_confidence_n_k") {
        let (n, first) = (whole(&row[2]), whole(&row[3]));
        let stops =
            |failures| ln_evidence(n, failures, number(&row[0])) >= evidence::threshold(number(&row[1]));
        assert!(stops(first) && !stops(first - 1), "{row}");
    }
}

fn plan(stages: &Value) -> Vec<risk::Stage> {
    let limit =
        |limit: &Value| limit.as_u64().map_or(risk::Limit::Any, |_| risk::Limit::AtMost(whole(limit)));
    stages
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| risk::Stage {
            devices: whole(&stage[1]),
            batch: whole(&stage[1]),
            batch_limit: None,
            limit: limit(&stage[2]),
        })
        .collect()
}

fn agrees(found: &risk::Outlook, wanted: &Value) {
    let near = |found: f64, wanted: f64| (found - wanted).abs() <= 1e-5 * wanted.abs().max(1.0);
    for (list, name) in [(&found.released, "released"), (&found.stopped, "stopped"), (&found.held, "held")] {
        for (found, wanted) in list.iter().zip(wanted[name].as_array().unwrap()) {
            assert!(near(*found, number(wanted)), "{name}: {found}, wanted {wanted}");
        }
    }
    assert!(near(found.completes, number(&wanted["completes"])), "{found:?}");
}

#[test]
fn the_risk_of_a_plan() {
    let vectors = vectors("risk");
    let ratio = |n: u32| if n < 20 { None } else { Some(n.div_ceil(10)) };
    let evidence =
        |n: u32| risk::first_stop(n, |failures| ln_evidence(n, failures, 0.05) >= evidence::threshold(0.95));
    let ratio = risk::Boundary { first_stop: &ratio, steady_from: 20 };
    let evidence = risk::Boundary { first_stop: &evidence, steady_from: 2 };
    for (name, boundary) in [("readme10000", &ratio), ("readme398", &ratio), ("default10000", &evidence)] {
        let stages = plan(&vectors[name]["stages"]);
        for row in vectors[name]["oneByOne"].as_array().unwrap() {
            let found = risk::outlook(&stages, boundary, number(&row["p"]), false);
            agrees(&found, row);
            let whole_stages = risk::reached_in_whole_stages(&stages, &found);
            for (found, wanted) in [(found.reached, "reached_one_by_one"), (whole_stages, "reached_at_once")]
            {
                let Some(wanted) = row[wanted].as_f64() else { continue };
                assert!(is_near(found, wanted, 1e-5), "{name} {row}: {found}");
            }
        }
        for row in vectors[name]["atOnce"].as_array().into_iter().flatten() {
            let found = risk::outlook(&stages, boundary, number(&row["p"]), true);
            agrees(&found, row);
        }
    }
}

proptest::proptest! {
    #[test]
    fn evidence_rises_with_failures_and_falls_with_devices(devices in 0..5_000_u32, failures in 0..5_000_u32, budget in 1..99_u32) {
        let (failures, budget) = (failures.min(devices), f64::from(budget) / 100.0);
        let now = ln_evidence(devices + 1, failures, budget);
        proptest::prop_assert!(ln_evidence(devices + 1, failures + 1, budget) > now);
        proptest::prop_assert!(ln_evidence(devices, failures, budget) > now);
    }
}

#[test]
fn harm_to_upgraded_devices_beside_a_control_group() {
    for row in rows("control", "harm_kt_nt_kc_nc_lnE_stopsAt99") {
        let [upgraded, control] =
            [0, 2].map(|index| Group { devices: whole(&row[index + 1]), unhealthy: whole(&row[index]) });
        let found = harm(upgraded, control);
        assert!((found - number(&row[4])).abs() < 1e-6, "{row}: {found}");
        assert_eq!(found >= evidence::threshold(0.99), row[5].as_bool().unwrap(), "{row}");
    }
}

#[test]
fn the_ratio_of_walds_test() {
    for row in rows("evidence", "sprt_p0_p1_alpha_beta_A_B") {
        let [p0, p1, alpha, beta] = [0, 1, 2, 3].map(|index| number(&row[index]));
        let found = Sprt { p0, p1, alpha, beta }.bad_at();
        assert!(is_near(found, number(&row[4]), 1e-9), "{row}: {found}");
    }
    for row in rows("evidence", "sprt_p0_p1_n_k_lnLR") {
        let test = Sprt { p0: number(&row[0]), p1: number(&row[1]), alpha: 0.05, beta: 0.05 };
        let found = test.ln_ratio(whole(&row[2]), whole(&row[3]));
        assert!(is_near(found, number(&row[4]), 1e-9), "{row}: {found}");
    }
}

#[test]
fn devices_of_each_stratum() {
    for row in rows("strata", "allocate_n_sizes_result") {
        // A map of serde_json is in the order of its keys.
        let sizes: Vec<(&String, u32)> =
            row[1].as_object().unwrap().iter().map(|(key, size)| (key, whole(size))).collect();
        let given = allocate(whole(&row[0]), &sizes.iter().map(|(_, size)| *size).collect::<Vec<_>>());
        for ((key, _), given) in sizes.iter().zip(given) {
            assert_eq!(u64::from(given), row[2][key.as_str()].as_u64().unwrap_or(0), "{row} {key}");
        }
    }
}

#[test]
fn devices_of_a_stratum_that_answered_or_failed() {
    let draw = |row: &Value| Draw {
        all: whole(&row[0]),
        drawn: whole(&row[1]),
        part: whole(&row[2]),
        part_drawn: whole(&row[3]),
    };
    for row in rows("responders", "lowerTail_assigned_answered_assignedHere_answeredHere_P") {
        let found = draw(&row).at_most();
        assert!(is_near(found, number(&row[4]), 1e-8), "{row}: {found}");
    }
    for row in rows("responders", "failuresConcentrated_finals_failures_finalsHere_failuresHere_upperP") {
        let found = draw(&row).at_least();
        assert!(is_near(found, number(&row[4]), 1e-8), "{row}: {found}");
    }
}
