//! The fleet: what becomes of devices depends on the seed alone, and the counters always add up.

use super::{Bench, meters};
use proptest::prelude::*;
use serde_json::{Value, json};

const WORLD: &str = "
seed: 11
devices:
- {product: meter, count: 40, idPrefix: m-, firmware: V1, offline: 10%}
- {product: meter, count: 10, idPrefix: night-, firmware: V1, onlineHours: '22:00-02:00'}
behaviours:
- version: V2
  failureRate: 20%
  silentRate: 10%
  stuckRate: 10%
  lieRate: 10%
  revertRate: 20%
  revertAfter: 1h
";

fn all() -> Vec<String> {
    let nights = (0..10).map(|n| format!("night-{n:04}"));
    meters(40).into_iter().chain(nights).collect()
}

/// Three days of a task, advanced in steps of this many seconds: what devices run, and how their sub tasks ended.
fn three_days(step: i64) -> (Vec<Value>, Value) {
    let mut bench = Bench::new(WORLD);
    let package = bench.package("V2");
    let task =
        bench.task(&package, &all(), &json!({"task_policy": {"retry_count": 1, "retry_interval": 30}}));
    for _ in 0..(3 * 86_400 / step) {
        bench.step(step);
    }
    let shown = bench.show(&task);
    let devices = bench.simulator.devices(bench.wall).iter().map(|device| json!(device)).collect();
    (devices, shown)
}

#[test]
fn outcomes_do_not_depend_on_how_often_time_is_advanced() {
    let (devices, shown) = three_days(3 * 86_400);
    for step in [600, 3600, 43_200] {
        let (others, other) = three_days(step);
        assert_eq!(devices, others, "steps of {step} s");
        assert_eq!(shown["task_details"], other["task_details"], "steps of {step} s");
    }
    let progress = &shown["batchtask"]["task_progress"];
    for counter in ["success", "fail"] {
        assert!(progress[counter].as_u64().unwrap() > 0, "the world is lively: {progress}");
    }
}

#[test]
fn every_fate_is_met_and_shows_as_documented() {
    let (devices, shown) = three_days(3600);
    let details = shown["task_details"].as_array().unwrap();
    let runs = |id: &str| {
        let device = devices.iter().find(|device| device["id"] == id).unwrap();
        device["firmware"].as_str().unwrap().to_owned()
    };
    let with = |text: &str| details.iter().filter(|row| row["error"]["error_msg"] == text).count();
    assert!(with("Waiting for the device online timeout") > 0, "a device that is never online");
    assert!(with("Waiting for report device firmware version timeout") > 0, "a silent device");
    assert!(with("Wait for the device to report upgrade result timeout") > 0, "a stuck device");
    let success = || details.iter().filter(|row| row["status"] == "Success");
    let old = success().filter(|row| runs(row["target"].as_str().unwrap()) == "V1").count();
    assert!(old > 0, "devices that lied or went back run the old version");
    assert!(success().count() > old, "others run the new one");
    assert!(
        success().any(|row| row["target"].as_str().unwrap().starts_with("night-")),
        "night devices wait for night"
    );
}

#[test]
fn another_seed_is_another_fleet() {
    let runs = |seed: u32| {
        let mut bench = Bench::new(&WORLD.replace("seed: 11", &format!("seed: {seed}")));
        let package = bench.package("V2");
        bench.task(&package, &all(), &json!({}));
        bench.step(86_400);
        bench.simulator.devices(bench.wall)
    };
    assert_eq!(runs(11), runs(11));
    assert_ne!(runs(11), runs(12));
}

#[derive(Clone, Debug)]
enum Act {
    Step(i64),
    Order(&'static str, Option<Vec<u32>>),
    Task(bool),
    Delete(u32),
    Switch(u32, bool),
}

fn act() -> impl Strategy<Value = Act> {
    let verb = prop::sample::select(vec!["stop", "retry", "confirm"]);
    prop_oneof![
        4 => (1_i64..100_000).prop_map(Act::Step),
        3 => (verb, prop::option::of(prop::collection::vec(0_u32..40, 1..8))).prop_map(|(verb, ids)| Act::Order(verb, ids)),
        1 => any::<bool>().prop_map(Act::Task),
        1 => (0_u32..40).prop_map(Act::Delete),
        1 => (0_u32..40, any::<bool>()).prop_map(|(id, on)| Act::Switch(id, on)),
    ]
}

fn carry_out(bench: &mut Bench, package: &str, tasks: &mut Vec<String>, act: Act) {
    match act {
        Act::Step(seconds) => bench.step(seconds),
        Act::Order(verb, ids) => {
            let ids = ids.map(|ids| ids.iter().map(|n| format!("m-{n:04}")).collect::<Vec<_>>());
            let body = ids.map_or_else(|| json!({}), |ids| json!({"targets": ids}));
            for task in tasks.clone() {
                bench.call("POST", &format!("batchtasks/{task}/{verb}"), "", Some(&body));
            }
        }
        Act::Task(confirm) => tasks.push(bench.task(package, &all(), &json!({"need_confirm": confirm}))),
        Act::Delete(n) => drop(bench.call("DELETE", &format!("devices/m-{n:04}"), "", None)),
        Act::Switch(n, on) => {
            let change = serde_json::from_value(json!({"online": on})).unwrap();
            // A deleted device cannot be switched.
            let _ = bench.simulator.change_device(&format!("m-{n:04}"), change, bench.wall);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn counters_add_up_and_every_task_ends(acts in prop::collection::vec(act(), 1..14)) {
        let mut bench = Bench::new(WORLD);
        let package = bench.package("V2");
        let mut tasks = vec![bench.task(&package, &all(), &json!({}))];
        for act in acts {
            carry_out(&mut bench, &package, &mut tasks, act.clone());
            for task in &tasks {
                let progress = bench.show(task)["batchtask"]["task_progress"].clone();
                let parts = progress.as_object().unwrap().iter().filter(|(name, _)| *name != "total");
                let sum: u64 = parts.map(|(_, count)| count.as_u64().unwrap()).sum();
                prop_assert_eq!(Some(sum), progress["total"].as_u64(), "after {:?}: {}", act, progress);
            }
        }
        for task in &tasks {
            bench.call("POST", &format!("batchtasks/{task}/confirm"), "", Some(&json!({})));
        }
        bench.step(30 * 86_400);
        for task in &tasks {
            let status = bench.status(task);
            prop_assert!(["Success", "Fail", "PartialSuccess", "Stopped"].contains(&status.as_str()), "{}", status);
        }
    }
}
