//! Devices that become eligible after their stage was sent.

use super::world::{Fate, World, device};
use rollwave::api::{Object, RolloutPhase};
use rollwave::decide::explain::explain;
use rollwave::decide::{Action, Plan, Requeue};
use serde_json::{Value, json};

fn completed(rollout: Value) -> World {
    let mut world = World::new(40, rollout);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
    world
}

fn register(world: &mut World, ids: &[&str]) {
    for id in ids {
        world.devices.insert((*id).to_owned(), device(id, "V1"));
    }
    world.pass(30);
}

fn sent<S>(plan: &Plan<S>) -> Vec<String> {
    let jobs = plan.actions.iter().filter_map(|action| match action {
        Action::CreateJob { job, .. } => Some(job.devices.clone()),
        _ => None,
    });
    jobs.flatten().collect()
}

#[test]
fn a_device_that_registers_later_is_sent_the_package_and_the_rollout_completes_again() {
    let mut world = completed(json!({}));
    register(&mut world, &["new-1", "new-2"]);
    let plan = world.reconcile();
    assert_eq!(
        (plan.status.phase, sent(&plan)),
        (RolloutPhase::Progressing, vec!["new-1".into(), "new-2".into()])
    );
    insta::assert_snapshot!(plan.status.message, @"follow-up for 2 devices that became eligible late: sent now in stage rest");
    world.pass(30);
    world.run_devices(|id| if id == "new-1" { Fate::Succeeds } else { Fate::Sleeps });
    let plan = world.reconcile();
    assert_eq!(
        (plan.status.phase, plan.requeue),
        (RolloutPhase::Progressing, Requeue::After(rollwave::decide::POLL))
    );
    insta::assert_snapshot!(format!("{} ({})", plan.status.message, plan.status.progress), @"follow-up: 2 devices in 1 job of stage rest, sent after all stages had passed; 41 of 42 devices succeeded in total, 0 failed (follow-up 41/42)");
    let object = Object::Rollout(world.rollout.clone());
    insta::assert_snapshot!(explain(&object, &[object.clone(), Object::Package(world.package.clone())], world.now).next.join("\n"), @"All stages have passed. Devices that became eligible later get the package in jobs of the last stage, under the same stop rules; the rollout completes again when those jobs have ended.");
    // Another one does not wait for the first ones.
    register(&mut world, &["new-3"]);
    assert_eq!(sent(&world.reconcile()), ["new-3"]);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.phase, world.jobs.len()), (RolloutPhase::Completed, 4));
    insta::assert_snapshot!(plan.status.message, @"43 of 43 devices run V2, 0 failed; 0 already ran it");
    let tokens: std::collections::BTreeSet<_> = world.jobs.iter().map(|job| job.token.clone()).collect();
    assert_eq!(tokens.len(), 4);
}

#[test]
fn new_devices_that_are_ignored_are_counted_and_named() {
    let mut world = completed(json!({"newDevices": "Ignore"}));
    register(&mut world, &["new-1", "new-2"]);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.phase, plan.status.excluded.ignored_new), (RolloutPhase::Completed, 2));
    assert_eq!(world.jobs.len(), 2);
    insta::assert_snapshot!(plan.status.message, @"40 of 40 devices run V2, 0 failed; 0 already ran it; 2 became eligible after their stage was dispatched and are ignored (spec.newDevices: Ignore): new-1, new-2");
    world.edit_rollout(|rollout| rollout.spec.new_devices = rollwave::api::NewDevices::Include);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((world.jobs.len(), plan.status.excluded.ignored_new), (3, 0));
}

#[test]
fn a_device_whose_stage_was_not_sent_yet_joins_it_in_either_case() {
    for mode in ["Include", "Ignore"] {
        let stages = json!([
            {"name": "canary", "select": {"percent": "50%"}, "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%"}}]},
            {"name": "rest", "select": {"rest": true}},
        ]);
        let mut world = World::new(40, json!({"stages": stages, "newDevices": mode}));
        world.reconcile();
        world.reconcile();
        let ids: Vec<String> = (0..20).map(|n| format!("new-{n}")).collect();
        register(&mut world, &ids.iter().map(String::as_str).collect::<Vec<_>>());
        let plan = world.settle(|_| Fate::Succeeds);
        let late = plan.status.excluded.ignored_new;
        let succeeded: u32 = plan.status.stages.iter().map(|stage| stage.counts.succeeded).sum();
        assert_eq!(succeeded + late, 60, "{mode}");
        assert_eq!(late > 0, mode == "Ignore", "some of them would have been in the canary");
    }
}

#[test]
fn a_stop_rule_is_watched_while_a_follow_up_runs_and_blocks_the_next_one() {
    let stop = json!([{"name": "failures", "method": "Count", "maxFailure": 2}]);
    let mut world = completed(json!({"stop": stop}));
    register(&mut world, &["new-1", "new-2", "new-3"]);
    world.reconcile();
    world.pass(30);
    world.run_devices(|id| if id == "new-3" { Fate::Sleeps } else { Fate::Fails });
    let plan = world.reconcile();
    assert_eq!(plan.status.phase, RolloutPhase::Held);
    assert!(plan.status.stopped_by.is_some());
    assert_eq!(plan.actions, [Action::StopJob { id: world.jobs[2].id.clone() }]);
    register(&mut world, &["new-4"]);
    assert_eq!(sent(&world.settle(|_| Fate::Succeeds)), Vec::<String>::new());
    assert_eq!(world.jobs.len(), 3);
}

#[test]
fn a_stop_rule_that_fires_after_completion_blocks_a_follow_up() {
    let stop = json!([{"name": "failures", "method": "Count", "maxFailure": 2}]);
    let mut world = completed(json!({"stop": stop}));
    for id in ["dev-000", "dev-001"] {
        world.devices.insert(id.to_owned(), device(id, "V1"));
    }
    world.pass(30);
    assert_eq!(world.reconcile().status.phase, RolloutPhase::Completed, "nothing is to be sent");
    register(&mut world, &["new-1"]);
    let plan = world.reconcile();
    assert_eq!((plan.status.phase, sent(&plan)), (RolloutPhase::Held, Vec::new()));
}

#[test]
fn a_follow_up_keeps_to_the_windows_of_the_last_stage() {
    let nights = json!([{"start": "01:00", "duration": "4h", "timeZone": "Asia/Shanghai"}]);
    let stages = json!([{"name": "all", "select": {"rest": true}, "windows": nights}]);
    let mut world = World::new(40, json!({"stages": stages}));
    world.pass(20 * 3600);
    while world.rollout_status().phase != RolloutPhase::Completed {
        world.reconcile();
        world.run_devices(|_| Fate::Succeeds);
        world.pass(30);
    }
    world.pass(6 * 3600);
    register(&mut world, &["new-1"]);
    let plan = world.reconcile();
    assert_eq!(sent(&plan), Vec::<String>::new());
    insta::assert_snapshot!(plan.status.message, @"follow-up for 1 device that became eligible late: sent when stage all opens 2023-11-17 01:00 Asia/Shanghai");
    world.pass(18 * 3600);
    assert_eq!(sent(&world.reconcile()), ["new-1"]);
}

#[test]
fn a_rollout_that_had_nobody_to_send_to_begins_with_the_first_device_that_comes() {
    let mut world = World::new(3, json!({}));
    for device in world.devices.values_mut() {
        device.firmware = Some("V2".into());
    }
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
    register(&mut world, &["new-1"]);
    let plan = world.reconcile();
    assert!(matches!(&plan.actions[..], [Action::CreateJob { stage: Some(stage), .. }] if stage == "canary"));
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
}

#[test]
fn what_no_gate_has_proven_is_not_followed_up() {
    let gate = json!([{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%"}}]);
    let stages = json!([
        {"name": "lab", "select": {"count": 1}, "gates": []},
        {"name": "canary", "select": {"count": 1}, "gates": gate},
        {"name": "rest", "select": {"rest": true}},
    ]);
    let mut world = World::new(1, json!({"stages": stages}));
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
    register(&mut world, &["new-1"]);
    let plan = world.reconcile();
    assert_eq!((plan.status.phase, sent(&plan)), (RolloutPhase::Held, Vec::new()));
    insta::assert_snapshot!(plan.status.message, @"follow-up for 1 device that became eligible late: not sent, because the gates of stage canary have not passed on any device; let that stage select devices, or set spec.newDevices: Ignore");
}

#[test]
fn what_failed_is_not_taken_for_new_when_its_job_is_cleaned_up() {
    let mut world = World::new(40, json!({}));
    let plan = world.settle(|id| if id == "dev-007" { Fate::Fails } else { Fate::Succeeds });
    assert_eq!(plan.status.phase, RolloutPhase::Completed);
    world.jobs.clear();
    world.pass(60);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.phase, world.jobs.len()), (RolloutPhase::Completed, 0));
    insta::assert_snapshot!(plan.status.message, @"39 of 40 devices run V2, 1 failed; 39 already ran it; 1 more eligible and sent nothing: job job-2 is no longer in the cloud, so it is not known which of them it has sent the package to");
}
