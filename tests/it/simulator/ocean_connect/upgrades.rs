//! How a task goes through the fleet.

use super::*;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn now() -> Value {
    json!({"executeType": "now"})
}

#[test]
fn a_task_upgrades_who_is_connected_and_runs_a_source_version() {
    let mut bench = Bench::new(
        "
devices:
- {id: good, product: Acme/WaterMeter/WM1, firmware: V1}
- {id: same, product: Acme/WaterMeter/WM1, firmware: V2}
- {id: older, product: Acme/WaterMeter/WM1, firmware: V0}
- {id: away, product: Acme/WaterMeter/WM1, firmware: V1, online: false}
",
    );
    let task = bench.task(&["good", "same", "older", "away"], &now());
    let shown = bench.show(&task);
    assert_eq!((shown["status"].as_str(), shown["staResult"]["wait"].as_u64()), (Some("wait"), Some(4)));
    bench.step(SignedDuration::from_secs(2));
    assert_eq!(bench.show(&task)["status"], "processing");
    bench.step(HOUR);
    let shown = bench.show(&task);
    assert_eq!(shown["status"], "failed", "a task is `failed`, a sub task `fail`");
    let counters =
        json!({"total": 4, "wait": 0, "processing": 0, "success": 2, "fail": 2, "stop": 0, "timeout": 0});
    assert_eq!(shown["staResult"], counters);
    let told: Vec<(String, String)> = bench.subs(&task).into_iter().map(|(_, s, d)| (s, d)).collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(s, d)| (s.as_str(), d.as_str())).collect();
    assert_eq!(
        told,
        [
            ("success", ""),
            ("success", "The current version is the same as the target version"),
            ("fail", "Version V0 is not a supported source version"),
            ("fail", "Device Abnormal is not online"),
        ]
    );
    assert_eq!(bench.firmware("good").as_deref(), Some("V2"));
    assert_eq!(bench.firmware("older").as_deref(), Some("V0"));
}

#[test]
fn device_online_waits_for_a_device_and_custom_for_its_window() {
    let mut bench = Bench::new(
        "
devices:
- {id: sleepy, product: Acme/WaterMeter/WM1, firmware: V1, onlineHours: \"20:00-21:00\"}
- {id: night, product: Acme/WaterMeter/WM1, firmware: V1, onlineHours: \"23:00-23:30\"}
",
    );
    let waits = bench.task(&["sleepy"], &json!({"executeType": "device_online"}));
    let window =
        json!({"executeType": "custom", "startTime": "20260301T130000Z", "endTime": "20260301T140000Z"});
    let windowed = bench.task(&["night"], &window);
    bench.step(HOUR * 7);
    assert_eq!(bench.show(&waits)["status"], "processing", "it is 19:00");
    assert_eq!(bench.show(&windowed)["staResult"]["timeout"], 1, "asleep in its window");
    assert_eq!(bench.subs(&windowed)[0].1, "fail");
    bench.step(HOUR * 2);
    assert_eq!(bench.show(&waits)["status"], "success");
}

#[test]
fn one_upgrade_a_device_at_a_time_and_only_the_portal_stops_one() {
    let mut bench = Bench::new(
        "
devices: [{count: 2, idPrefix: m-, product: Acme/WaterMeter/WM1, firmware: V1, online: false}]
",
    );
    let first = bench.task(&["m-0000", "m-0001"], &json!({"executeType": "device_online"}));
    bench.step(HOUR);
    let second = bench.task(&["m-0000"], &json!({"executeType": "device_online"}));
    bench.step(HOUR);
    assert_eq!(bench.subs(&second)[0].2, "Task Conflict");
    for (method, path) in [("POST", "stop"), ("DELETE", ""), ("PUT", "")] {
        let path = format!("operations/{first}/{path}");
        let (status, _) = bench.upgrade(method, path.trim_end_matches('/'), "");
        assert_eq!(status, 404, "{method} {path}");
    }
    assert_eq!(bench.upgrade("DELETE", &format!("category/{}", bench.simulator.packages()[0].id), "").0, 400);
    assert!(
        bench.simulator.stop_by_hand(&first, bench.wall) && !bench.simulator.stop_by_hand("t", bench.wall)
    );
    let shown = bench.show(&first);
    assert_eq!((&shown["status"], &shown["staResult"]["stop"]), (&json!("stop"), &json!(2)));
    let third = bench.task(&["m-0000"], &json!({"executeType": "device_online"}));
    bench.step(HOUR);
    assert_eq!(bench.subs(&third)[0].1, "wait", "its device is free again");
    let (_, list) = bench.upgrade("GET", "operations", "deviceId=m-0001&operationType=firmware_upgrade");
    assert_eq!((list["totalCount"].as_u64(), &list["data"][0]["operationId"]), (Some(1), &json!(first)));
}

#[test]
fn failed_devices_are_retried_once_all_have_ended() {
    let world = "
devices: [{count: 3, idPrefix: m-, product: Acme/WaterMeter/WM1, firmware: V1}]
behaviours: [{version: V2, failureRate: 100%, failingAttempts: 1, duration: {min: 60s, max: 60s}}]
";
    let mut bench = Bench::new(world);
    let task = bench.task(
        &["m-0000", "m-0001", "m-0002"],
        &json!({"executeType": "now", "retryType": true, "retryTimes": 1}),
    );
    bench.step(HOUR);
    assert_eq!(bench.show(&task)["status"], "success");
    assert_eq!(bench.firmware("m-0002").as_deref(), Some("V2"));
}

#[test]
fn a_device_that_times_out_is_counted_separately_and_its_spelling_can_be_switched() {
    let world = "
devices: [{id: m, product: Acme/WaterMeter/WM1, firmware: V1}]
behaviours: [{version: V2, stuckRate: 100%}]
";
    for (switches, status) in [("", "fail"), ("timeoutStatus: timeout", "timeout")] {
        let mut bench = Bench::with(switches, world);
        let task = bench.task(&["m"], &now());
        bench.step(HOUR * 25);
        assert_eq!(bench.show(&task)["staResult"]["timeout"], 1);
        assert_eq!(bench.subs(&task)[0].1, status);
        let (code, _) =
            bench.upgrade("GET", &format!("operations/{task}/subOperations"), "subOperationStatus=timeout");
        assert_eq!(code, 400);
    }
}
