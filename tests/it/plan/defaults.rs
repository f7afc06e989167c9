//! What applies where a rollout does not say: its stages, its gates and its stop rules.

use super::world::{Fate, World, device};
use rollwave::api::{Object, OtaRolloutStatus, Reason, RolloutPhase, StagePhase, StageStatus};
use rollwave::decide::explain::explain;
use serde_json::json;

/// A rollout that names a package and its targets, and nothing else.
fn shortest(devices: u32) -> World {
    let mut world = World::new(devices, json!({}));
    (world.rollout.spec.stages, world.rollout.spec.stop) = (Vec::new(), None);
    world
}

/// Hours of passes, devices meeting their fate between them, until the rollout is completed or held.
fn run(world: &mut World, fate: impl Fn(&str) -> Fate) -> OtaRolloutStatus {
    for _ in 0..100 {
        let status = world.reconcile().status;
        if matches!(status.phase, RolloutPhase::Completed | RolloutPhase::Held) {
            return status;
        }
        world.run_devices(&fate);
        world.pass(3_600);
    }
    panic!("still busy: {:?}", world.rollout_status().message);
}

fn sizes(status: &OtaRolloutStatus) -> Vec<(&str, u32)> {
    status.stages.iter().map(|stage: &StageStatus| (stage.name.as_str(), stage.counts.assigned)).collect()
}

#[test]
fn the_shortest_manifest_is_a_staged_rollout_whose_stages_are_judged() {
    for (devices, expected) in [
        (10, vec![("probe", 10), ("rest", 0)]),
        (299, vec![("probe", 25), ("rest", 274)]),
        (400, vec![("probe", 25), ("canary", 130), ("rest", 245)]),
        (2_000, vec![("probe", 25), ("canary", 130), ("tenth", 58), ("rest", 1_787)]),
    ] {
        let mut world = shortest(devices);
        let status = run(&mut world, |_| Fate::Succeeds);
        assert_eq!((status.phase, sizes(&status)), (RolloutPhase::Completed, expected), "{}", status.message);
        let gates = status.stages.iter().map(|stage| (stage.gates.len(), stage.size.is_some()));
        let is_last = |index: usize| index + 1 == status.stages.len();
        assert!(gates.enumerate().all(|(index, (gates, _))| gates == usize::from(!is_last(index))));
    }
}

#[test]
fn a_bad_build_under_the_shortest_manifest_reaches_its_first_stage_only() {
    let mut world = shortest(2_000);
    let status =
        run(&mut world, |id| if id.ends_with(['1', '2', '3', '4']) { Fate::Fails } else { Fate::Succeeds });
    assert_eq!((status.phase, world.jobs.len()), (RolloutPhase::Held, 1));
    assert_eq!(
        status.stopped_by.map(|evidence| evidence.rule).as_deref(),
        Some("failures"),
        "{}",
        status.message
    );
}

#[test]
fn the_default_gate_says_what_it_requires_and_where_that_comes_from() {
    let mut world = shortest(400);
    let status = run(&mut world, |_| Fate::Succeeds);
    insta::assert_snapshot!(status.stages[1].gates[0].message, @"130 of 130 succeeded (100.0 %), Wilson lower bound 98.0 % at 95 % confidence; needs 90 %: may have 7 failures");
    let mut world = shortest(400);
    world.reconcile();
    let object = Object::Rollout(world.rollout.clone());
    insta::assert_snapshot!(explain(&object, std::slice::from_ref(&object), world.now).seen.join("\n"), @r"
    Stage probe (1 of 3): 0 of 0 devices updated.
    Gate default requires a Wilson lower bound of at least 70 % at 95 % confidence, from at least 1 device and 80 % of the stage.
    ");
}

#[test]
fn nothing_is_said_of_a_default_gate_before_its_stage_has_a_size() {
    let mut world = shortest(400);
    let mut status = world.plan_rollout().status;
    status.stages.iter_mut().for_each(|stage| (stage.phase, stage.size) = (StagePhase::Waiting, None));
    world.rollout.status = Some(status);
    let object = Object::Rollout(world.rollout.clone());
    let seen = explain(&object, std::slice::from_ref(&object), world.now).seen;
    assert_eq!(seen, ["Stage probe (1 of 3): 0 of 0 devices updated."]);
}

#[test]
fn a_rollout_keeps_its_default_stages_when_its_fleet_grows() {
    let mut world = shortest(299);
    world.reconcile();
    for n in 0..2_000 {
        let id = format!("new-{n:04}");
        world.devices.insert(id.clone(), device(&id, "V1"));
    }
    let status = run(&mut world, |_| Fate::Succeeds);
    assert_eq!(sizes(&status), [("probe", 25), ("rest", 2_274)], "{}", status.message);
}

#[test]
fn the_rate_of_a_stage_is_chosen_once_and_found_again_after_a_lost_state() {
    let mut world = shortest(400);
    world.reconcile();
    let sent = world.jobs[0].devices.clone();
    // Devices that leave do not lower what the others must prove.
    sent.iter().take(5).for_each(|id| drop(world.devices.remove(id)));
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    assert_eq!(world.reconcile().status.stages[0].size, Some(25));
    world.rollout.status = None;
    let found = world.reconcile();
    assert_eq!((found.status.stages[0].size, world.jobs.len()), (Some(20), 1), "{}", found.status.message);
    assert!(found.actions.is_empty());
}

#[test]
fn an_edit_that_switches_the_default_gates_and_rules_off_is_told() {
    let mut world = shortest(400);
    world.reconcile();
    world.edit_rollout(|rollout| rollout.spec.stop = Some(Vec::new()));
    let status = world.reconcile().status;
    let told = status.decisions.iter().find(|decision| decision.rule == Reason::SafeguardsRemoved);
    insta::assert_snapshot!(told.unwrap().message, @"an edit removed stop rule failures, stop rule control while the rollout was in progress: put it back unless this was intended");
}

#[test]
fn a_stage_without_gates_must_prove_what_its_size_allows() {
    let mut world = World::new(40, json!({"stages": [{"name": "canary", "select": {"count": 20}}]}));
    world.reconcile();
    let object = Object::Rollout(world.rollout.clone());
    let seen = explain(&object, std::slice::from_ref(&object), world.now).seen;
    insta::assert_snapshot!(seen[1], @"Gate default requires a Wilson lower bound of at least 68 % at 95 % confidence, chosen for the size of the stage, from at least 1 device and 80 % of the stage.");
    let status =
        run(&mut world, |id| if id.ends_with(['1', '2', '3']) { Fate::Fails } else { Fate::Succeeds });
    assert_eq!((status.phase, world.jobs.len()), (RolloutPhase::Held, 1), "{}", status.message);
}

#[test]
fn a_default_stage_with_few_devices_must_prove_what_they_can() {
    for (devices, goal) in [(2, "100 %"), (10, "58 %"), (25, "70 %")] {
        let mut world = shortest(devices);
        world.reconcile();
        let object = Object::Rollout(world.rollout.clone());
        let seen = explain(&object, std::slice::from_ref(&object), world.now).seen;
        assert!(seen[1].contains(&format!(" of at least {goal}")), "{devices}: {}", seen[1]);
        assert_eq!(run(&mut world, |_| Fate::Succeeds).phase, RolloutPhase::Completed, "{devices}");
    }
}
