//! Which order is allowed in which state: the documented table.

use super::{Bench, meters};
use serde_json::{Value, json};

const WORLD: &str = "
devices: [{product: meter, count: 4, idPrefix: m-, firmware: V1}]
behaviours:
- {version: BAD, failureRate: 100%}
- {version: SLOW, duration: {min: 2h, max: 2h}}
";

/// A bench with a task in that state.
fn task_in(state: &str) -> (Bench, String) {
    let mut bench = Bench::new(WORLD);
    let version = match state {
        "Success" => "V2",
        "Fail" => "BAD",
        _ => "SLOW",
    };
    let package = bench.package(version);
    let mut targets = meters(2);
    if state == "PartialSuccess" {
        targets.push("nobody".to_owned());
    }
    let other = if state == "Waitting" { json!({"need_confirm": true}) } else { json!({}) };
    let task = bench.task(&package, &targets, &other);
    match state {
        "Initializing" => {}
        "Success" | "Fail" => bench.step(3600),
        "PartialSuccess" => bench.step(3 * 3600),
        _ => bench.step(60),
    }
    if matches!(state, "Stopping" | "Stopped") {
        assert_eq!(order(&mut bench, &task, "stop", &json!({})).0, 200);
    }
    if state == "Stopped" {
        bench.step(60);
    }
    assert_eq!(bench.status(&task), state);
    (bench, task)
}

fn order(bench: &mut Bench, task: &str, verb: &str, body: &Value) -> (u16, Value) {
    bench.call("POST", &format!("batchtasks/{task}/{verb}"), "", Some(body))
}

#[test]
fn each_order_is_allowed_in_its_documented_states_only() {
    // state, stop, retry, confirm, delete
    let table = [
        ("Initializing", true, false, true, false),
        ("Waitting", true, false, true, false),
        ("Processing", true, true, true, false),
        ("Stopping", false, false, false, false),
        ("Stopped", false, false, false, true),
        ("Success", false, false, false, true),
        ("Fail", false, true, false, true),
        ("PartialSuccess", false, true, false, true),
    ];
    for (state, stop, retry, confirm, delete) in table {
        for (verb, allowed) in [("stop", stop), ("retry", retry), ("confirm", confirm)] {
            let (mut bench, task) = task_in(state);
            let (status, body) = order(&mut bench, &task, verb, &json!({}));
            assert_eq!(status, if allowed { 200 } else { 403 }, "{verb} in {state}: {body}");
        }
        let (mut bench, task) = task_in(state);
        let (status, _) = bench.call("DELETE", &format!("batchtasks/{task}"), "", None);
        assert_eq!(status, if delete { 204 } else { 403 }, "delete in {state}");
    }
}

#[test]
fn a_stop_calls_back_what_is_not_finished_and_a_retry_repeats_it() {
    let (mut bench, task) = task_in("Processing");
    let body = json!({"targets": ["m-0000", "nobody"]});
    let (_, answer) = order(&mut bench, &task, "stop", &body);
    assert_eq!(answer["targets"][0], json!({"target": "m-0000", "status": "success"}));
    assert_eq!(answer["targets"][1]["error_code"], "IOTDA.014219");
    bench.step(3 * 3600);
    assert_eq!(bench.status(&task), "PartialSuccess");
    let version = |bench: &Bench| bench.simulator.device("m-0000", bench.wall).unwrap().firmware.unwrap();
    assert_eq!(version(&bench), "V1", "stopped in time");
    order(&mut bench, &task, "retry", &json!({}));
    assert_eq!(bench.status(&task), "Processing");
    bench.step(3 * 3600);
    assert_eq!((bench.status(&task).as_str(), version(&bench).as_str()), ("Success", "SLOW"));
}

#[test]
fn more_than_100_targets_an_empty_list_or_no_json_are_refused() {
    let (mut bench, task) = task_in("Processing");
    for body in
        [json!({"targets": meters(101)}), json!({"targets": []}), json!({"targets": "m-0000"}), json!([])]
    {
        assert_eq!(order(&mut bench, &task, "stop", &body).0, 400, "{body}");
    }
    assert_eq!(bench.status(&task), "Processing");
}

#[test]
fn a_deleted_device_is_removed_in_its_task() {
    let (mut bench, task) = task_in("Processing");
    assert_eq!(bench.call("DELETE", "devices/m-0001", "", None).0, 204);
    bench.step(3 * 3600);
    let shown = bench.show(&task);
    assert_eq!(shown["batchtask"]["task_progress"]["removed"], 1);
    assert_eq!(shown["batchtask"]["status"], "Success", "the other one");
}

#[test]
fn automatic_retries_come_after_their_interval_and_end() {
    let mut bench = Bench::new(WORLD);
    let package = bench.package("BAD");
    let task =
        bench.task(&package, &meters(1), &json!({"task_policy": {"retry_count": 2, "retry_interval": 60}}));
    let mut seen = Vec::new();
    for _ in 0..4 {
        bench.step(1800);
        seen.push(bench.show(&task)["task_details"][0]["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen[0], "FailWaitRetry");
    bench.step(3 * 3600);
    assert_eq!(bench.status(&task), "Fail");
    let rest = bench.simulator.tasks();
    assert_eq!(rest[0].targets["Fail"].len(), 1);
}
