//! What a controller tells as Events: each thing that happened, once, and nothing when nothing happens.

use super::control_plane::{CONTROLLER, shared};
use super::harness::{Field, condition};
use crate::engine::harness::{PACKAGE, Process, ROLLOUT};
use rollwave::api::Reason;
use serde_json::Value;

/// Reasons of the events of an object, sorted.
fn reasons(field: &Field<'_>, name: &str) -> Vec<String> {
    let events = field.list("Event");
    let about = |event: &&Value| event["regarding"]["name"] == name;
    let mut reasons: Vec<String> =
        events.iter().filter(about).map(|event| event["reason"].as_str().unwrap().to_owned()).collect();
    reasons.sort();
    reasons
}

/// Requests that wrote events.
fn told(field: &Field<'_>) -> usize {
    field.plane.writes_of("events.k8s.io", CONTROLLER, &field.namespace).len()
}

#[test]
fn a_release_is_told_step_by_step_and_a_quiet_cluster_hears_nothing() {
    let field = Field::new(shared());
    let controller = Process::start(&mut field.controller());
    field.apply(PACKAGE);
    field.apply(ROLLOUT);
    field.assert_converges("while events are told");
    field.lab.until("everything is told", || told(&field) >= 8);
    assert_eq!(reasons(&field, "lab"), ["AccountReachable"]);
    assert_eq!(reasons(&field, "meter-v2"), ["PackageCreated", "PackageVerified"]);
    let expected = ["RolloutCompleted", "StageDispatched", "StageDispatched", "StagePassed", "StagePassed"];
    // It may have been seen before its package was.
    let rollout: Vec<String> =
        reasons(&field, "meter").into_iter().filter(|reason| reason != "Held").collect();
    assert_eq!(rollout, expected);
    for event in field.list("Event") {
        let known = event["reason"].as_str().and_then(Reason::of).and_then(Reason::event).unwrap();
        assert_eq!(event["type"], known.as_str(), "{event:#}");
        assert_eq!(event["reportingController"], "ota.rollwave.dev/controller");
        assert!(event["note"].as_str().is_some_and(|note| !note.is_empty()), "{event:#}");
    }
    let (calls, before) = (field.lab.all_calls(), told(&field));
    field.lab.until("three more rounds of drift", || field.lab.all_calls() >= calls + 3);
    assert_eq!(told(&field), before);
    drop(controller);
}

#[test]
fn what_is_stuck_is_told_once_and_what_is_wrong_by_its_reason() {
    let field = Field::new(shared());
    let (unverified, _) = PACKAGE.split_once("  verification").unwrap();
    field.apply(&unverified.replace("version: V2", "version: bad"));
    field.apply(&ROLLOUT.replace("maxFailure: 2", "maxFailure: 100"));
    field.apply("apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {name: own}\nspec:\n  enos: {endpoint: \"http://127.0.0.1:1\", orgId: o}\n  credentials: {accessKey: \"env:A\", secretKey: \"env:B\"}\n");
    let controller = Process::start(&mut field.controller());
    field.until("OtaRollout", "meter", "its gate fails", |rollout| {
        condition(rollout, "Stalled")["reason"] == "GateFailed"
    });
    field.lab.until("it is told", || reasons(&field, "meter").contains(&"GateFailed".to_owned()));
    field.lab.until("the other one is told", || reasons(&field, "own") == ["InvalidObject"]);
    let (calls, before) = (field.lab.all_calls(), told(&field));
    field.lab.until("three more rounds of drift", || field.lab.all_calls() >= calls + 3);
    assert_eq!(told(&field), before, "stuck, and silent");
    drop(controller);
}
