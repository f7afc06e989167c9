//! Every kind of fault does what it says, and no more.

use super::{Bench, new_package};
use jiff::SignedDuration;
use rollwave::simulator::{End, faults::Fault};
use serde_json::{Value, json};

const WORLD: &str = "products: [{id: meter}]";

fn inject(bench: &mut Bench, fault: Value) {
    let fault: Fault = serde_json::from_value(fault).unwrap();
    bench.simulator.inject(fault, bench.wall).unwrap();
}

fn create(bench: &mut Bench, version: &str) -> End {
    bench.outcome("POST", "/v5/iot/p1/ota-upgrades/packages", "", Some(&new_package(version))).end
}

fn describe(end: &End) -> String {
    match end {
        End::Reply(reply) => reply.status.to_string(),
        End::Truncated(reply) => format!("truncated {}", reply.status),
        End::Reset => "reset".to_owned(),
        End::Hang => "hang".to_owned(),
    }
}

#[test]
fn a_fault_is_injected_before_or_after_the_effect_and_as_often_as_it_states() {
    // fault, what the caller sees, packages that exist afterwards
    let table = [
        (json!({"kind": "error", "status": 503}), "503", 0),
        (json!({"kind": "error", "status": 500, "when": "after"}), "500", 1),
        (json!({"kind": "reset"}), "reset", 0),
        (json!({"kind": "reset", "when": "after"}), "reset", 1),
        (json!({"kind": "hang", "when": "before"}), "hang", 0),
        (json!({"kind": "hang", "when": "after"}), "hang", 1),
        (json!({"kind": "garbage"}), "201", 1),
        (json!({"kind": "truncated"}), "truncated 201", 1),
    ];
    for (fault, seen, packages) in table {
        let mut bench = Bench::new(WORLD);
        let mut once = fault.clone();
        once["operation"] = json!("CreateOtaPackage");
        once["count"] = json!(1);
        inject(&mut bench, once);
        assert_eq!(bench.call("GET", "devices", "", None).0, 200, "{fault}: other operations are spared");
        let end = create(&mut bench, "V1");
        assert_eq!(describe(&end), seen, "{fault}");
        if let End::Reply(reply) = end {
            let is_json = serde_json::from_slice::<Value>(&reply.body).is_ok();
            assert_eq!(is_json, fault["kind"] != "garbage", "{fault}");
        }
        assert_eq!(bench.simulator.packages().len(), packages, "{fault}");
        assert_eq!(describe(&create(&mut bench, "V2")), "201", "{fault}: once only");
    }
}

#[test]
fn latency_delays_an_answer_and_nothing_else() {
    let mut bench = Bench::new(WORLD);
    inject(&mut bench, json!({"kind": "latency", "millis": 1500}));
    let outcome = bench.outcome("GET", "/v5/iot/p1/devices", "", None);
    assert_eq!((outcome.delay.as_millis(), describe(&outcome.end).as_str()), (1500, "200"));
}

#[test]
fn a_chance_affects_its_share_of_calls_and_the_same_ones_for_the_same_seed() {
    let run = || {
        let mut bench = Bench::new(WORLD);
        inject(&mut bench, json!({"kind": "error", "status": 500, "probability": 0.3}));
        (0..200).map(|_| bench.call("GET", "devices", "", None).0).collect::<Vec<_>>()
    };
    let struck = run().iter().filter(|status| **status == 500).count();
    assert!((40..=80).contains(&struck), "{struck} of 200");
    assert_eq!(run(), run());
}

#[test]
fn stale_lists_leave_out_what_is_new_but_show_finds_it() {
    let mut bench = Bench::new(WORLD);
    inject(&mut bench, json!({"kind": "stale", "seconds": 30}));
    let id = bench.package("V1");
    let count = |bench: &mut Bench| {
        let (_, body) = bench.call("GET", "ota-upgrades/packages", "package_type=firmwarePackage", None);
        (body["packages"].as_array().unwrap().len(), body["page"]["count"].as_u64().unwrap())
    };
    assert_eq!(count(&mut bench), (0, 0));
    assert_eq!(bench.call("GET", &format!("ota-upgrades/packages/{id}"), "", None).0, 200);
    bench.wall += SignedDuration::from_secs(30);
    assert_eq!(count(&mut bench), (1, 1));
}

#[test]
fn a_storm_throttles_all_calls_for_its_time() {
    let mut bench = Bench::new(WORLD);
    inject(&mut bench, json!({"kind": "throttle", "seconds": 60}));
    let (status, body) = bench.call("GET", "devices", "", None);
    assert_eq!((status, body["error_code"].as_str()), (429, Some("APIGW.0308")));
    bench.wall += SignedDuration::from_secs(60);
    assert_eq!(bench.call("GET", "devices", "", None).0, 200);
}

#[test]
fn tokens_end_on_request_and_after_a_day_by_the_gateways_clock() {
    let mut bench = Bench::new(WORLD);
    inject(&mut bench, json!({"kind": "expireTokens"}));
    assert_eq!(bench.call("GET", "devices", "", None).0, 401);
    bench.sign_in();
    assert_eq!(bench.call("GET", "devices", "", None).0, 200);
    bench.step(2 * 86_400);
    assert_eq!(bench.call("GET", "devices", "", None).0, 200, "fleet time does not age a token");
    inject(&mut bench, json!({"kind": "skew", "seconds": 86_400}));
    assert_eq!(bench.call("GET", "devices", "", None).0, 401);
    bench.simulator.clear_faults();
    assert_eq!(bench.call("GET", "devices", "", None).0, 200);
}

#[test]
fn calls_are_counted_by_operation_and_by_what_the_caller_saw() {
    let mut bench = Bench::new(WORLD);
    bench.simulator.reset_counters();
    inject(&mut bench, json!({"kind": "reset", "operation": "CreateOtaPackage", "count": 1}));
    create(&mut bench, "V1");
    create(&mut bench, "V1");
    create(&mut bench, "V1");
    let counters = json!(bench.simulator.counters());
    let expected = json!({"total": 3, "byEnd": {"reset": 1, "201": 1, "403": 1}});
    assert_eq!(counters, json!({"CreateOtaPackage": expected}));
}

#[test]
fn a_fault_for_an_operation_that_does_not_exist_is_refused() {
    let mut bench = Bench::new(WORLD);
    let fault: Fault =
        serde_json::from_value(json!({"kind": "garbage", "operation": "CreatePackage"})).unwrap();
    let refused = bench.simulator.inject(fault, bench.wall).unwrap_err().to_string();
    assert_eq!(refused, "operation CreatePackage: no such operation (try CreateBatchTask)");
    for wrong in [
        json!({"kind": "garbage", "every": 2}),
        json!({"kind": "reset", "wehn": "after"}),
        json!({"kind": "x"}),
    ] {
        assert!(serde_json::from_value::<Fault>(wrong.clone()).is_err(), "{wrong}");
    }
}
