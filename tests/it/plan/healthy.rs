//! The gate `control`: a stage must be as healthy as the devices that are left.

use super::preview::preview_rollout;
use super::world::{Fate, World};
use rollwave::api::{Object, RolloutPhase, StagePhase, Verdict};
use rollwave::decide::explain::explain;
use serde_json::{Value, json};

const HOUR: i64 = 3_600;

/// A canary of 60 of 800 connected devices that soaks for an hour and has a gate `control` with this margin.
fn healthy(margin: &str, stages: &Value) -> World {
    let canary = json!({"name": "canary", "select": {"count": 60}, "soak": "1h", "gates": [
        {"name": "proven", "outcome": {"minSuccess": "90%"}},
        {"name": "as-healthy", "control": {"margin": margin}}]});
    let mut all = vec![canary];
    all.extend(stages.as_array().cloned().unwrap_or_default());
    let mut world = World::new(800, json!({"stages": all, "stop": []}));
    world.devices.values_mut().for_each(|device| device.online = Some(true));
    world
}

fn soaking(margin: &str) -> World {
    let mut world = healthy(margin, &json!([]));
    world.reconcile();
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    assert_eq!(world.reconcile().status.stages[0].phase, StagePhase::Soaking);
    world
}

fn take_upgraded_offline(world: &mut World, count: usize) {
    let ids: Vec<String> = world.jobs[0].devices.iter().take(count).cloned().collect();
    ids.iter().for_each(|id| world.devices.get_mut(id).unwrap().online = Some(false));
}

#[test]
fn a_stage_that_is_as_healthy_as_the_others_passes_after_one_comparison_at_the_end() {
    let mut world = soaking("10%");
    take_upgraded_offline(&mut world, 1);
    let object = Object::Rollout(world.rollout.clone());
    let next = explain(&object, std::slice::from_ref(&object), world.now).next.join("\n");
    insta::assert_snapshot!(next, @r"
    OtaPackage/meter-v2 does not exist: apply it, or point spec.packageRef at another one.
    Stage canary soaks for 1h, until 2023-11-14 23:13:50Z; then its gates decide.
    Gate proven of stage canary passes with the present outcomes.
    Gate as-healthy of stage canary passes when at the end of the soak at most 10 percentage points more of the upgraded devices are offline than of the control group.
    At this pace stage canary ends at about 2023-11-14 23:14:00Z, and the rollout at about 2023-11-14 23:15:00Z if later stages answer as fast.
    ");
    world.pass(HOUR);
    let passed = world.reconcile().status;
    assert_eq!(passed.stages[0].phase, StagePhase::Passed, "{}", passed.message);
    let gate = passed.stages[0].gates.iter().find(|gate| gate.rule == "as-healthy").unwrap();
    assert_eq!((gate.verdict, gate.sample, gate.failures), (Verdict::Pass, 60, 1));
    insta::assert_snapshot!(gate.message, @"1 of 60 upgraded and 0 of 600 other devices are offline: at most 7.1 percentage points more at 95 % confidence, and 10 are accepted");
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
}

#[test]
fn a_stage_that_may_be_worse_is_held_and_is_not_compared_again_until_an_edit() {
    let mut world = soaking("10%");
    take_upgraded_offline(&mut world, 12);
    world.pass(HOUR);
    let held = world.reconcile().status;
    assert_eq!(held.phase, RolloutPhase::Held);
    assert!(
        held.conditions.iter().any(|condition| condition.reason == "GateInconclusive"),
        "{}",
        held.message
    );
    insta::assert_snapshot!(held.message, @"stage canary, gate as-healthy: 12 of 60 upgraded and 0 of 600 other devices are offline: at most 29.7 percentage points more at 95 % confidence, and 10 are accepted; the upgraded ones are worse");
    world.devices.values_mut().for_each(|device| device.online = Some(true));
    for _ in 0..5 {
        world.pass(HOUR);
        assert_eq!(world.reconcile().status.message, held.message, "each comparison is a new draw");
    }
    assert_eq!(world.jobs.len(), 1);
    world.edit_rollout(|rollout| {
        let control = rollout.spec.stages[0].gates.as_mut().unwrap()[1].control.as_mut().unwrap();
        control.margin = "15%".parse().unwrap();
    });
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
}

#[test]
fn a_stop_rule_fires_by_the_comparison_at_which_the_gate_is_judged() {
    let mut world = healthy("10%", &json!([]));
    world.edit_rollout(|rollout| {
        rollout.spec.stop = None;
        rollout.spec.stages[0].soak = None;
    });
    world.reconcile();
    world.run_devices(|_| Fate::Succeeds);
    take_upgraded_offline(&mut world, 30);
    world.pass(30);
    let stopped = world.reconcile().status;
    assert_eq!(
        stopped.stopped_by.map(|evidence| evidence.rule).as_deref(),
        Some("control"),
        "{}",
        stopped.message
    );
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn without_a_control_group_the_gate_holds() {
    let mut world = healthy("10%", &json!([]));
    world.devices.values_mut().for_each(|device| device.online = None);
    let held = world.settle(|_| Fate::Succeeds).status;
    insta::assert_snapshot!(held.message, @"stage canary, gate as-healthy: there is no control group: no device is left for one, or the cloud does not report which devices are connected");
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn a_stage_without_another_gate_is_not_passed_over() {
    let mut world = healthy("10%", &json!([]));
    world.edit_rollout(|rollout| drop(rollout.spec.stages[0].gates.as_mut().unwrap().remove(0)));
    world.reconcile();
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    world.reconcile();
    take_upgraded_offline(&mut world, 30);
    world.pass(HOUR);
    assert_eq!(world.reconcile().status.phase, RolloutPhase::Held);
    // The state is lost: the jobs are found, and the gate holds again.
    world.rollout.status = None;
    for _ in 0..5 {
        world.reconcile();
        world.pass(HOUR);
    }
    assert_eq!(world.jobs.len(), 1, "{}", world.rollout_status().message);
}

#[test]
fn a_plan_says_how_often_the_gate_passes_a_build_that_changes_nothing() {
    let mut world = healthy(
        "3%",
        &json!([{"name": "half", "select": {"count": 740}, "gates": [
        {"name": "as-healthy", "control": {"margin": "10%"}}]}]),
    );
    for id in 0..16 {
        world.devices.get_mut(&format!("dev-{:03}", id * 50)).unwrap().online = Some(false);
    }
    let plan = preview_rollout(&world, &world.package);
    let told = plan.warnings.iter().filter(|warning| warning.contains("as-healthy"));
    insta::assert_snapshot!(told.cloned().collect::<Vec<_>>().join("\n"), @r"
    stage canary, gate as-healthy: 60 devices beside 600 are too few for this margin, so a build that changes nothing passes in 25 %; raise margin or select more devices
    stage half, gate as-healthy: no device is left for a control group, so the gate cannot pass; remove it or select fewer devices
    ");
}
