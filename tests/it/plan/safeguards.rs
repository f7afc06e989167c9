//! What every job must pass before it leaves, whatever was sent before; and what no hold may hide.

use super::world::{Fate, World};
use rollwave::api::{Request, RolloutPhase, StagePhase};
use rollwave::decide::Action;
use serde_json::{Value, json};

fn sent(world: &World) -> Vec<Vec<&str>> {
    world.jobs.iter().map(|job| job.devices.iter().map(String::as_str).collect()).collect()
}

fn reason(world: &World) -> String {
    let conditions = world.rollout_status().conditions;
    conditions.iter().find(|condition| condition.type_ == "Progressing").unwrap().reason.clone()
}

/// Edits that leave out dev-003, which runs V1.
fn edits() -> [(&'static str, Value); 3] {
    let others: Vec<String> = (0..10).filter(|n| *n != 3).map(|n| format!("dev-{n:03}")).collect();
    [
        ("exclude", json!({"all": true, "exclude": {"devices": ["dev-003"]}})),
        ("targets", json!({"devices": others})),
        ("fromVersions", json!({"all": true, "fromVersions": ["V1"]})),
    ]
}

fn leave_out(world: &mut World, name: &str, targets: &Value) {
    if name == "fromVersions" {
        world.devices.get_mut("dev-003").unwrap().firmware = Some("V1.5".into());
    }
    let targets = serde_json::from_value(targets.clone()).unwrap();
    world.edit_rollout(|rollout| rollout.spec.targets = targets);
}

#[test]
fn a_device_that_the_spec_leaves_out_by_now_is_not_sent_after_a_suspension() {
    for (name, targets) in edits() {
        let mut world = World::new(10, json!({}));
        world.reconcile();
        world.edit_rollout(|rollout| rollout.spec.suspend = true);
        world.reconcile();
        leave_out(&mut world, name, &targets);
        world.edit_rollout(|rollout| rollout.spec.suspend = false);
        let done = world.settle(|_| Fate::Succeeds);
        assert_eq!(world.jobs.len(), 2, "{name}");
        assert!(!sent(&world)[1].contains(&"dev-003"), "{name}: {:?}", sent(&world));
        let counts = done.status.stages[0].counts;
        assert_eq!((done.status.phase, counts.assigned), (RolloutPhase::Completed, 9), "{name}");
        let out = done.status.excluded;
        assert_eq!(out.by_spec + out.by_version, u32::from(name != "targets"), "{name}: {out:?}");
    }
}

#[test]
fn a_device_that_the_spec_leaves_out_by_now_is_not_tried_again_and_has_failed_all_the_same() {
    for (name, targets) in edits() {
        let mut world = World::new(10, json!({}));
        world.settle(|id| if id == "dev-003" || id == "dev-004" { Fate::Fails } else { Fate::Succeeds });
        leave_out(&mut world, name, &targets);
        world.ask(Request::Retry);
        let plan = world.settle(|_| Fate::Succeeds);
        assert_eq!(sent(&world).last().unwrap(), &["dev-004"], "{name}");
        assert_eq!(plan.status.stages[0].counts.failures(), 1, "{name}: {}", plan.status.message);
    }
}

#[test]
fn a_gated_stage_that_selects_nobody_is_not_passed_over_because_an_ungated_one_was_tried() {
    let stages = json!([
        {"name": "lab", "select": {"count": 1}, "gates": []},
        {"name": "canary", "select": {"devices": ["dev-099"]},
         "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%"}}]},
        {"name": "rest", "select": {"rest": true}}
    ]);
    let mut world = World::new(20, json!({"stages": stages}));
    world.devices.insert("dev-099".into(), super::world::device("dev-099", "V1"));
    world.edit_rollout(|rollout| {
        let exclude = json!({"devices": ["dev-099"]});
        rollout.spec.targets.exclude = Some(serde_json::from_value(exclude).unwrap());
    });
    let held = world.settle(|_| Fate::Succeeds);
    assert_eq!((reason(&world).as_str(), world.jobs.len()), ("StageEmpty", 1), "{}", held.status.message);
    assert_eq!(held.status.stages[1].phase, StagePhase::Waiting);
}

/// A rollout whose second stage names a device that the first one takes, with this gate.
fn with_an_empty_stage(gate: &Value) -> World {
    let first = json!([{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%"}}]);
    let stages = json!([
        {"name": "canary", "select": {"count": 5}, "gates": first},
        {"name": "early", "select": {"percent": "0.001%"}, "gates": [gate]},
        {"name": "rest", "select": {"rest": true}}
    ]);
    World::new(20, json!({"stages": stages}))
}

#[test]
fn gates_of_an_empty_stage_pass_on_the_devices_of_the_gated_stages_before_it() {
    let ratio = |least: u32| json!({"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%", "minSample": least}});
    let mut world = with_an_empty_stage(&ratio(5));
    let done = world.settle(|_| Fate::Succeeds);
    assert_eq!(
        (done.status.phase, world.jobs.len()),
        (RolloutPhase::Completed, 2),
        "{}",
        done.status.message
    );
    let stage = &done.status.stages[1];
    assert_eq!((stage.jobs.len(), stage.gates[0].sample, stage.gates[0].failures), (0, 5, 0));
    insta::assert_snapshot!(stage.gates[0].message, @"5 of 5 succeeded (100.0 %); needs 90 %: may have no failure; measured on the devices of earlier stages and on those that already run the version, because this stage has no devices to send to");

    let mut world = with_an_empty_stage(&ratio(6));
    let held = world.settle(|_| Fate::Succeeds);
    assert_eq!((reason(&world).as_str(), world.jobs.len()), ("StageEmpty", 1), "{}", held.status.message);

    // Two of five devices are enough for the gate of the first stage, and not for that of the empty one.
    let mut world = with_an_empty_stage(&ratio(1));
    world.edit_rollout(|rollout| {
        let gate = &mut rollout.spec.stages[0].gates.as_mut().unwrap()[0];
        gate.outcome.as_mut().unwrap().min_observed = "40%".parse().unwrap();
    });
    world.reconcile();
    let awake: Vec<String> = world.jobs[0].devices.iter().take(2).cloned().collect();
    world.run_devices(|id| if awake.contains(&id.to_owned()) { Fate::Succeeds } else { Fate::Sleeps });
    for _ in 0..3 {
        world.pass(30);
        world.reconcile();
    }
    let message = world.rollout_status().message;
    assert_eq!((reason(&world).as_str(), world.jobs.len()), ("StageEmpty", 1), "{message}");
}

#[test]
fn a_gate_is_asked_while_its_stage_is_still_being_sent() {
    let mut world = World::new(
        40,
        json!({"stages": [{
            "name": "canary", "select": {"count": 40},
            "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%"}}]
        }]}),
    );
    world.capabilities.max_devices_per_job = 10;
    world.reconcile();
    world.run_devices(|_| Fate::Fails);
    let plan = world.reconcile();
    assert_eq!((reason(&world).as_str(), world.jobs.len()), ("GateFailed", 1), "{}", plan.status.message);
    assert_eq!(plan.status.stages[0].phase, StagePhase::Held);
}

#[test]
fn a_gate_is_asked_while_its_stage_waits_for_a_window_or_is_suspended() {
    let mut world = World::new(40, json!({}));
    world.capabilities.max_devices_per_job = 5;
    world.reconcile();
    let later = world.now + jiff::SignedDuration::from_hours(5);
    world.edit_rollout(|rollout| rollout.spec.stages[0].not_before = Some(later));
    assert_eq!(world.reconcile().actions, []);
    assert_eq!(reason(&world), "WindowClosed");
    world.run_devices(|_| Fate::Fails);
    assert_eq!(world.reconcile().status.stages[0].phase, StagePhase::Held);

    let mut world = World::new(40, json!({}));
    world.reconcile();
    world.run_devices(|id| if id.ends_with('1') { Fate::Sleeps } else { Fate::Fails });
    world.edit_rollout(|rollout| rollout.spec.suspend = true);
    assert_eq!(world.reconcile().status.stages[0].phase, StagePhase::Held, "{}", reason(&world));
    world.edit_rollout(|rollout| rollout.spec.suspend = false);
    world.settle(|_| Fate::Succeeds);
    assert_eq!((reason(&world).as_str(), world.jobs.len()), ("GateFailed", 1));
}

#[test]
fn a_gate_that_is_written_to_a_stage_that_has_passed_is_asked_before_the_next_one_is_sent() {
    let stages = json!([
        {"name": "first", "select": {"count": 10}},
        {"name": "second", "select": {"count": 10}, "soak": "10m"}
    ]);
    let mut world = World::new(30, json!({"stages": stages}));
    while world.jobs.len() < 2 {
        world.run_devices(|id| if id.ends_with('1') { Fate::Fails } else { Fate::Succeeds });
        world.reconcile();
        world.pass(30);
    }
    let gates = json!([{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "100%"}}]);
    world.edit_rollout(|rollout| rollout.spec.stages[0].gates = serde_json::from_value(gates).unwrap());
    let failures = world.rollout_status().stages[0].counts.failures();
    assert!(failures > 0);
    world.settle(|_| Fate::Succeeds);
    assert_eq!((reason(&world).as_str(), world.jobs.len()), ("GateFailed", 2));
}

#[test]
fn a_job_that_vanished_does_not_hide_what_the_other_one_does() {
    let stop = json!([{"name": "any", "method": "Ratio", "maxFailure": "20%", "minSample": 10}]);
    let stages = json!([{"name": "canary", "select": {"count": 40}}]);
    let mut world = World::new(40, json!({"stages": stages, "stop": stop}));
    world.capabilities.max_devices_per_job = 20;
    world.reconcile();
    world.reconcile();
    world.pass(60);
    world.reconcile();
    assert_eq!(world.jobs.len(), 2);
    let (gone, stays) = (world.jobs[0].id.clone(), world.jobs[1].clone());
    world.hidden = vec![gone];
    world.reconcile();
    assert_eq!(reason(&world), "JobVanished");
    let failing = stays.devices[..17].to_vec();
    world
        .run_devices(|id| if failing.iter().any(|device| device == id) { Fate::Fails } else { Fate::Sleeps });
    let plan = world.reconcile();
    assert_eq!(reason(&world), "StopRuleFired", "{}", plan.status.message);
    assert!(plan.actions.contains(&Action::StopJob { id: stays.id }), "{:?}", plan.actions);
}

#[test]
fn devices_that_went_back_are_failures_although_another_device_keeps_their_job_open() {
    for fate in [Fate::Succeeds, Fate::Lies] {
        let stages = json!([{"name": "canary", "select": {"count": 20}, "soak": "10m",
            "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "95%"}}]}]);
        let mut world = World::new(30, json!({"stages": stages}));
        world.reconcile();
        let members = world.jobs[0].devices.clone();
        let (odd, offline) = (members[..3].to_vec(), members[19].clone());
        world.run_devices(|id| match id {
            id if id == offline => Fate::Sleeps,
            id if odd.iter().any(|odd| odd == id) => fate,
            _ => Fate::Succeeds,
        });
        if fate == Fate::Succeeds {
            world.reconcile();
            odd.iter().for_each(|id| world.devices.get_mut(id).unwrap().firmware = Some("V1".into()));
        }
        world.reconcile();
        assert_eq!(world.rollout_status().stages[0].counts.unconfirmed, 3, "{fate:?}: not read since");
        world.pass(30);
        let plan = world.reconcile();
        assert_eq!(plan.status.stages[0].counts.reverted, 3, "{fate:?}: {}", plan.status.message);
        world.pass(660);
        world.reconcile();
        assert_eq!((reason(&world).as_str(), world.jobs.len()), ("GateFailed", 1), "{fate:?}");
    }
}

/// The device that an earlier stage still waits for was stopped with the canary's.
#[test]
fn a_hopeless_gate_sends_nothing_again_in_any_stage_and_does_not_change_its_mind() {
    let gates = |min: &str| json!([{"name": "proven", "outcome": {"method": "Wilson", "minSuccess": min, "confidence": "60%"}}]);
    let stages = json!([
        {"name": "lab", "select": {"count": 10}, "gates": gates("50%")},
        {"name": "canary", "select": {"count": 20}, "gates": gates("85%")}]);
    let mut world = World::new(60, json!({"stages": stages}));
    world.reconcile();
    let lab = world.jobs[0].devices.clone();
    world.run_devices(|id| if id == lab[0] { Fate::Hangs } else { Fate::Succeeds });
    world.pass(30);
    world.reconcile();
    world.pass(30);
    world.reconcile();
    assert_eq!(world.jobs.len(), 2, "{}", world.rollout_status().message);
    let canary = world.jobs[1].devices.clone();
    let fails = |id: &str| canary.iter().take(3).any(|device| device == id);
    world.run_devices(|id| if fails(id) { Fate::Fails } else { Fate::Hangs });
    for _ in 0..6 {
        world.pass(60);
        world.reconcile();
        world.run_devices(|id| if fails(id) { Fate::Fails } else { Fate::Succeeds });
    }
    assert_eq!((reason(&world).as_str(), world.jobs.len()), ("GateInconclusive", 2));
}

#[test]
fn devices_whose_job_a_hopeless_gate_has_stopped_are_not_sent_again() {
    let gates = json!([{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "79%"}}]);
    let mut world = World::new(
        30,
        json!({"stages": [{"name": "canary", "select": {"count": 5}, "gates": gates, "soak": "1m"}]}),
    );
    world.reconcile();
    let members = world.jobs[0].devices.clone();
    world.run_devices(|id| match id {
        id if id == members[0] => Fate::Fails,
        id if id == members[4] => Fate::Sleeps,
        _ => Fate::Succeeds,
    });
    for _ in 0..6 {
        world.pass(60);
        world.reconcile();
    }
    assert_eq!((reason(&world).as_str(), world.jobs.len()), ("GateInconclusive", 1));
}

/// As after a restart: the first observation shows that a job is over, and not yet whether each of its devices runs the version.
#[test]
fn nothing_is_sent_while_devices_that_may_have_failed_would_fire_a_stop_rule() {
    for (max_failure, is_slow, jobs) in [(2, false, [1, 1]), (2, true, [1, 2]), (3, false, [2, 2])] {
        let stop = json!([{"name": "failures", "method": "Count", "maxFailure": max_failure}]);
        let gates = json!([{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "80%"}}]);
        let stages = json!([{"name": "canary", "select": {"count": 10}, "gates": gates}]);
        let mut world = World::new(30, json!({"stages": stages, "stop": stop}));
        world.reconcile();
        let odd = world.jobs[0].devices[..2].to_vec();
        world.run_devices(|id| match id {
            id if id == odd[0] => Fate::Fails,
            id if id == odd[1] => Fate::Lies,
            _ => Fate::Succeeds,
        });
        let plan = world.reconcile();
        assert_eq!(world.jobs.len(), jobs[0], "{}", plan.status.message);
        if max_failure == 2 {
            insta::allow_duplicates!(insta::assert_snapshot!(
                plan.status.message,
                @"stage rest (20 devices) is not dispatched: waits for the versions of 1 device whose jobs report success: if they have failed, stop rule failures fires"
            ));
        }
        if is_slow {
            world.devices.get_mut(&odd[1]).unwrap().firmware = Some("V2".into());
        }
        world.pass(30);
        let plan = world.reconcile();
        assert_eq!(world.jobs.len(), jobs[1], "{}", plan.status.message);
        assert_eq!(reason(&world) == "StopRuleFired", jobs[1] == 1, "{}", plan.status.message);
    }
}

#[test]
fn a_rate_is_taken_of_all_devices_whose_jobs_answered_and_not_of_those_that_were_read_long_ago() {
    let stop = json!([{"name": "rate", "method": "Ratio", "maxFailure": "5%", "minSample": 20}]);
    let stages = json!([{"name": "canary", "select": {"count": 200}}]);
    let mut world = World::new(200, json!({"stages": stages, "stop": stop}));
    world.reconcile();
    let old = world.devices.clone();
    world.run_devices(|id| match id {
        "dev-000" | "dev-001" | "dev-002" => Fate::Fails,
        id if id.ends_with('9') => Fate::Sleeps,
        _ => Fate::Succeeds,
    });
    // The devices were read before most of them had answered.
    let new = std::mem::replace(&mut world.devices, old);
    for id in (100..120).map(|n| format!("dev-{n:03}")) {
        world.devices.insert(id.clone(), new[&id].clone());
    }
    let plan = world.reconcile();
    assert_eq!(plan.status.stopped_by, None, "3 of 180 failed");
    assert_eq!(plan.status.stages[0].counts.failures(), 3);
}

#[test]
fn a_failure_that_was_seen_counts_when_its_device_is_deleted() {
    let stages = json!([{"name": "canary", "select": {"count": 10},
        "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%", "minObserved": "100%"}}]}]);
    for rows_go_too in [false, true] {
        let mut world = World::new(30, json!({"stages": stages}));
        world.reconcile();
        let bricked = world.jobs[0].devices[..3].to_vec();
        let offline = world.jobs[0].devices[9].clone();
        world.run_devices(|id| match id {
            id if bricked.iter().any(|device| device == id) => Fate::Fails,
            id if id == offline => Fate::Sleeps,
            _ => Fate::Succeeds,
        });
        world.edit_rollout(|rollout| rollout.spec.stages[0].gates = Some(Vec::new()));
        world.reconcile();
        for id in &bricked {
            world.devices.remove(id);
            if rows_go_too {
                let job = world.jobs[0].id.clone();
                world.outcomes.get_mut(&job).unwrap().remove(id);
                world.jobs[0].devices.retain(|device| device != id);
                world.recount(&job);
            }
        }
        let plan = world.reconcile();
        let counts = plan.status.stages[0].counts;
        assert_eq!((counts.failed_and_left, counts.failures(), counts.assigned), (3, 3, 10), "{counts:?}");
    }
}

#[test]
fn a_device_of_another_product_is_never_sent_and_is_named_with_its_product() {
    let stages = json!([{"name": "lab", "select": {"devices": ["gate-1"]}}, {"name": "rest", "select": {"rest": true}}]);
    let targets = json!({"devices": ["dev-000", "gate-1"]});
    let mut world = World::new(2, json!({"targets": targets, "stages": stages}));
    let gate = rollwave::cloud::Device { product: "gate".into(), ..super::world::device("gate-1", "V1") };
    world.devices.insert("gate-1".into(), gate);
    let held = world.settle(|_| Fate::Succeeds);
    assert_eq!(world.jobs.len(), 0);
    insta::assert_snapshot!(held.status.message, @"stage lab has no devices: 1 of 1 that it names cannot be sent the package; gate-1 belongs to product gate");
    assert_eq!(held.status.excluded.other_product_examples, ["gate-1 (gate)"]);
    world.edit_rollout(|rollout| rollout.spec.stages.remove(0).select = rollwave::api::Select::default());
    let done = world.settle(|_| Fate::Succeeds);
    assert_eq!(sent(&world), [["dev-000"]]);
    assert!(done.status.message.contains("1 of another product"), "{}", done.status.message);
}

#[test]
fn ids_of_a_stage_and_of_exclude_that_match_nothing_are_told_apart() {
    let stages = json!([{"name": "lab", "select": {"devices": ["dev-001"]}}]);
    let targets = json!({"devices": ["dev-000"], "exclude": {"devices": ["DEV-000"]}});
    let mut world = World::new(2, json!({"targets": targets, "stages": stages}));
    let held = world.settle(|_| Fate::Succeeds);
    insta::assert_snapshot!(held.status.message, @"stage lab has no devices: 1 of 1 that it names cannot be sent the package; dev-001 is not in spec.targets");
    assert_eq!(held.status.excluded.exclude_unmatched_examples, ["DEV-000"]);
}

/// Two devices that run the version already prove it in the place of their stage, and one of them goes back.
#[test]
fn a_stage_that_was_proven_by_devices_that_go_back_is_opened_again() {
    let stages = json!([{
        "name": "lab", "select": {"devices": ["dev-000", "dev-001"]},
        "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%"}}]
    }]);
    let mut world = World::new(10, json!({ "stages": stages }));
    let run = |world: &mut World, id: &str, version: &str| {
        world.devices.get_mut(id).unwrap().firmware = Some(version.to_owned());
    };
    for id in ["dev-000", "dev-001"] {
        run(&mut world, id, "V2");
    }
    world.unasked_jobs = 41;
    world.reconcile();
    assert_eq!(reason(&world), "TooManyExternalJobs");
    run(&mut world, "dev-001", "V1");
    world.unasked_jobs = 0;
    world.reconcile();
    world.reconcile();
    assert_eq!(world.jobs.iter().map(|job| job.counts.queued).collect::<Vec<_>>(), [1], "the lab first");
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
}

/// The rollout was completed without the last answers when the rule fired, so that its stage has passed.
#[test]
fn a_stop_rule_that_fired_fires_again_after_an_edit_and_nothing_is_sent() {
    let gates = json!([{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "70%"}}]);
    let stages = json!([{"name": "all", "select": {"rest": true}, "gates": gates}]);
    let stop = json!([{"name": "few", "method": "Count", "maxFailure": 3, "action": "Abort"}]);
    let mut world = World::new(13, json!({"stages": stages, "stop": stop}));
    world.reconcile();
    let devices = world.jobs[0].devices.clone();
    let fate = |failing: usize| {
        let devices = devices.clone();
        move |id: &str| match devices.iter().position(|device| device == id).unwrap_or_default() {
            place if place < failing => Fate::Fails,
            place if place < 4 => Fate::Sleeps,
            _ => Fate::Succeeds,
        }
    };
    for (failing, expected) in [(2, "Completed"), (3, "Aborted")] {
        world.run_devices(fate(failing));
        for _ in 0..3 {
            world.pass(60);
            world.reconcile();
        }
        assert_eq!(reason(&world), expected, "{}", world.rollout_status().message);
    }
    world.edit_rollout(|rollout| rollout.spec.stages[0].soak = Some("3m".parse().unwrap()));
    world.pass(60);
    assert_eq!(world.reconcile().actions, []);
    assert_eq!(reason(&world), "Aborted", "{}", world.rollout_status().message);
}
