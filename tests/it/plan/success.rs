//! Completed means succeeded: what most of a stage's devices refused holds the rollout, before and after the stage has passed.

use super::world::{Fate, World};
use rollwave::api::{HEALTHY, RolloutPhase, StagePhase, find_condition};
use rollwave::decide::Plan;
use serde_json::{Value, json};

/// Two stages without gates, half of the fleet each.
fn ungated() -> Value {
    json!({"stages": [{"name": "half", "select": {"count": 20}, "gates": []}, {"name": "rest", "select": {"rest": true}}]})
}

fn reason(world: &World, type_: &str) -> (String, String) {
    let status = world.rollout_status();
    let condition = find_condition(&status.conditions, type_).unwrap();
    (condition.status.clone(), condition.reason.clone())
}

fn settled(spec: Value, fate: impl Fn(&str) -> Fate) -> (World, Plan<rollwave::api::OtaRolloutStatus>) {
    let mut world = World::new(40, spec);
    let plan = world.settle(fate);
    (world, plan)
}

#[test]
fn a_stage_without_a_gate_in_which_failures_outnumber_successes_holds_and_releases_nothing() {
    let (world, plan) = settled(ungated(), |_| Fate::Fails);
    assert_eq!((plan.status.phase, world.jobs.len()), (RolloutPhase::Held, 1), "{}", plan.status.message);
    assert_eq!(plan.status.stages[0].phase, StagePhase::Held);
    let held = |truth: &str| (truth.to_owned(), "StageFailed".to_owned());
    assert_eq!(
        [reason(&world, "Ready"), reason(&world, HEALTHY), reason(&world, "Stalled")],
        [held("False"), held("False"), held("True")]
    );
    insta::assert_snapshot!(plan.status.message, @"stage half failed: 20 of 20 devices failed, and 0 succeeded; fix the package under a new version, or run `rollwave retry`");
}

#[test]
fn a_last_stage_that_failed_is_no_completed_rollout_and_a_retry_goes_on() {
    let mut world = World::new(40, json!({"stages": [{"name": "rest", "select": {"rest": true}}]}));
    let plan = world.settle(|id| if id == "dev-000" { Fate::Succeeds } else { Fate::Fails });
    assert_eq!(
        (plan.status.phase, plan.status.progress.as_str()),
        (RolloutPhase::Held, "rest 1/40, stage 1 of 1")
    );
    world.ask(rollwave::api::Request::Retry);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(
        (plan.status.phase, world.jobs.len()),
        (RolloutPhase::Completed, 2),
        "{}",
        plan.status.message
    );
}

#[test]
fn a_few_failures_do_not_fail_a_stage_without_a_gate() {
    let (_, plan) = settled(ungated(), |id| if id.ends_with('3') { Fate::Fails } else { Fate::Succeeds });
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
}

#[test]
fn devices_that_go_back_after_the_end_take_completed_away_and_a_retry_is_waited_for() {
    let mut world = World::new(2, json!({"stages": [{"name": "rest", "select": {"rest": true}}]}));
    world.settle(|_| Fate::Succeeds);
    world.devices.values_mut().for_each(|device| device.firmware = Some("V1".into()));
    world.pass(60);
    let plan = world.reconcile();
    assert_eq!((plan.status.phase, reason(&world, HEALTHY).1.as_str()), (RolloutPhase::Held, "StageFailed"));
    assert_eq!(plan.status.progress, "0/2");
    world.ask(rollwave::api::Request::Retry);
    world.reconcile();
    world.pass(30);
    let plan = world.reconcile();
    assert_eq!(plan.status.phase, RolloutPhase::Progressing, "nobody has answered: {}", plan.status.message);
    insta::assert_snapshot!(plan.status.message, @"follow-up: 2 devices in 1 job of stage rest, sent after all stages had passed; 0 of 2 devices succeeded in total, 0 failed");
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
}

#[test]
fn a_gate_that_asks_for_little_is_the_rule_of_its_stage() {
    let gates = json!([{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "30%"}}]);
    let stages = json!({"stages": [{"name": "rest", "select": {"rest": true}, "gates": gates}]});
    let third = |id: &str| if id.ends_with(['1', '2', '3', '4']) { Fate::Succeeds } else { Fate::Fails };
    let (_, plan) = settled(stages, third);
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
    insta::assert_snapshot!(plan.status.message, @"16 of 40 devices run V2, 24 failed; 0 already ran it");
}

#[test]
fn the_end_names_everybody_who_was_left_out() {
    let targets =
        json!({"all": true, "fromVersions": ["V1"], "exclude": {"devices": ["dev-000", "dev-001"]}});
    let gates = json!([{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "80%"}}]);
    let stages = json!([
        {"name": "lab", "select": {"devices": ["dev-002", "ghost"]}}, {"name": "rest", "select": {"rest": true}, "gates": gates}
    ]);
    let mut world = World::new(40, json!({"targets": targets, "stages": stages, "newDevices": "Ignore"}));
    world.devices.values_mut().skip(37).for_each(|device| device.firmware = Some("V0".into()));
    let mut plan = world.reconcile();
    for _ in 0..5 {
        world.run_devices(|id| if id == "dev-009" { Fate::Sleeps } else { Fate::Succeeds });
        world.pass(30);
        plan = world.reconcile();
    }
    world.devices.insert("new".into(), super::world::device("new", "V1"));
    plan = if plan.status.phase == RolloutPhase::Completed { world.reconcile() } else { plan };
    insta::assert_snapshot!(plan.status.message, @"34 of 35 devices run V2, 0 failed; 0 already ran it; 1 without an outcome yet; 3 left out by their version; 2 excluded by the spec; 1 named by spec.targets and not registered in the cloud; 1 became eligible after their stage was dispatched and are ignored (spec.newDevices: Ignore): new");
}
