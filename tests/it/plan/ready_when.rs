//! What `Ready` means to whoever waits for it.

use super::world::{Fate, World};
use rollwave::api::{Request, find_condition};
use serde_json::json;

/// `Ready` and its reason, and which of the other summaries hold.
fn summary(world: &World) -> String {
    let status = world.rollout_status();
    let of = |of_type: &str| find_condition(&status.conditions, of_type).cloned();
    let others = ["Reconciling", "Stalled", "Suspended"].into_iter().filter(|of_type| of(of_type).is_some());
    let others: Vec<&str> = others.collect();
    let ready = of("Ready").unwrap();
    format!("{} {} [{}]", ready.status, ready.reason, others.join(" "))
}

#[test]
fn a_rollout_is_ready_when_its_author_says_so_and_never_while_something_is_wrong() {
    let mut lines = Vec::new();
    for when in ["Accepted", "CanaryPassed", "Completed"] {
        let mut world = World::new(40, json!({"readyWhen": when}));
        world.reconcile();
        lines.push(format!("{when}, canary sent: {}", summary(&world)));
        world.ask(Request::Pause);
        world.reconcile();
        lines.push(format!("{when}, paused: {}", summary(&world)));
        world.pass(1);
        world.ask(Request::Resume);
        world.reconcile();
        let mut bad = world.clone();
        bad.settle(|_| Fate::Fails);
        lines.push(format!("{when}, gate failed: {}", summary(&bad)));
        world.run_devices(|_| Fate::Succeeds);
        world.pass(30);
        world.reconcile();
        lines.push(format!("{when}, rest sent: {}", summary(&world)));
        world.settle(|_| Fate::Succeeds);
        lines.push(format!("{when}, done: {}", summary(&world)));
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    Accepted, canary sent: True Accepted []
    Accepted, paused: True Accepted [Suspended]
    Accepted, gate failed: False GateFailed [Stalled]
    Accepted, rest sent: True Accepted []
    Accepted, done: True Completed []
    CanaryPassed, canary sent: False StageDispatching [Reconciling]
    CanaryPassed, paused: False Paused [Suspended]
    CanaryPassed, gate failed: False GateFailed [Stalled]
    CanaryPassed, rest sent: True CanaryPassed []
    CanaryPassed, done: True Completed []
    Completed, canary sent: False StageDispatching [Reconciling]
    Completed, paused: False Paused [Suspended]
    Completed, gate failed: False GateFailed [Stalled]
    Completed, rest sent: False StageDispatching [Reconciling]
    Completed, done: True Completed []
    ");
}

#[test]
fn a_rollout_that_waits_for_its_package_is_accepted_and_one_without_is_not() {
    let mut world = World::with_package(40, json!({}), json!({"readyWhen": "Accepted"}));
    world.reconcile();
    assert_eq!(summary(&world), "True Accepted []");
    world.rollout.metadata.deletion_timestamp = Some(rollwave::api::Time(world.now));
    world.reconcile();
    assert_eq!(summary(&world), "False Deleting [Reconciling]");
}
