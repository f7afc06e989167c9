//! Stages that select devices by groups and tags.

use super::preview::preview_rollout;
use super::world::{Fate, World};
use rollwave::api::{OtaRollout, Reason, RolloutPhase, StagePhase};
use rollwave::cloud::{DeviceOutcome, DeviceSet};
use rollwave::decide::{Action, Requeue};
use serde_json::{Value, json};

fn lab() -> DeviceSet {
    DeviceSet::Group("1ab".into())
}

/// 40 devices; the group `1ab` has the devices 5 to 9, and one of another product.
fn world(first: &Value) -> World {
    let gates = json!([{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%"}}]);
    let stages =
        json!([{"name": "lab", "select": first, "gates": gates}, {"name": "rest", "select": {"rest": true}}]);
    let mut world = World::new(40, json!({"stages": stages}));
    world.sets.insert(lab(), ids([5, 6, 7, 8, 9, 99]));
    world
}

fn ids<const N: usize>(numbers: [usize; N]) -> std::collections::BTreeSet<String> {
    numbers.into_iter().map(|n| format!("dev-{n:03}")).collect()
}

fn by_group() -> Value {
    json!({"groups": ["1ab"]})
}

fn reason(rollout: &OtaRollout) -> String {
    let conditions = &rollout.status.as_ref().unwrap().conditions;
    conditions.iter().find(|condition| condition.type_ == "Progressing").unwrap().reason.clone()
}

#[test]
fn a_stage_has_the_devices_of_its_groups_or_tags() {
    let tag = |key: &str, value: &str| DeviceSet::Tag { key: key.into(), values: vec![value.into()] };
    for (select, expected) in [
        (by_group(), vec!["dev-005", "dev-006", "dev-007", "dev-008", "dev-009"]),
        (
            json!({"groups": ["1ab", "4a11"]}),
            vec!["dev-001", "dev-005", "dev-006", "dev-007", "dev-008", "dev-009"],
        ),
        (json!({"tags": {"site": ["north"], "line": ["b"]}}), vec!["dev-011"]),
    ] {
        let mut world = world(&select);
        world.sets.insert(DeviceSet::Group("4a11".into()), ids([1, 5]));
        world.sets.insert(tag("site", "north"), ids([10, 11]));
        world.sets.insert(tag("line", "b"), ids([11, 12]));
        let plan = world.settle(|_| Fate::Succeeds);
        assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
        assert_eq!(world.jobs[0].devices, expected, "{select}");
        assert_eq!(world.jobs[1].devices.len(), 40 - expected.len(), "{select}");
    }
}

#[test]
fn a_dispatched_stage_keeps_its_devices_whoever_joins_or_leaves_the_group() {
    let mut world = world(&by_group());
    world.reconcile();
    world.reconcile();
    world.sets.insert(lab(), ids([9, 10, 11]));
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
    let sizes: Vec<usize> = world.jobs.iter().map(|job| job.devices.len()).collect();
    assert_eq!(sizes, [5, 35]);
}

#[test]
fn a_group_that_cannot_be_read_holds_the_dispatch_and_no_judgement() {
    let mut world = world(&by_group());
    let group = world.sets.remove(&lab()).unwrap();
    let plan = world.reconcile();
    assert!(plan.actions.is_empty(), "it was not read yet: {:?}", plan.actions);
    assert_eq!(reason(&world.rollout), Reason::Observing.as_str());
    world.unread.insert(lab(), "ListGroupDevices: The device group does not exist".into());
    let plan = world.reconcile();
    assert!(plan.actions.is_empty(), "{:?}", plan.actions);
    assert_eq!(reason(&world.rollout), Reason::StageDevicesUnknown.as_str());
    insta::assert_snapshot!(plan.status.message, @"stage lab selects the devices of group 1ab, which cannot be read, so nothing is dispatched: ListGroupDevices: The device group does not exist");

    // A later stage that cannot be known holds the rollout before anything is sent, and stops no stop rule.
    world.unread.clear();
    world.sets.insert(lab(), group);
    world.reconcile();
    assert_eq!(world.jobs.len(), 1);
    world.edit_rollout(|rollout| {
        let mut stage = rollout.spec.stages[0].clone();
        stage.name = "hall".into();
        stage.select = serde_json::from_value(json!({"groups": ["4a11"]})).unwrap();
        rollout.spec.stages.insert(1, stage);
        rollout.spec.stop = Some(vec![
            serde_json::from_value(json!({"name": "few", "method": "Count", "maxFailure": 1})).unwrap(),
        ]);
    });
    world.unread.insert(DeviceSet::Group("4a11".into()), "ListGroupDevices: no".into());
    world.reconcile();
    assert_eq!(reason(&world.rollout), Reason::StageDevicesUnknown.as_str());
    world.run_devices(|_| Fate::Fails);
    world.pass(30);
    world.reconcile();
    assert_eq!(reason(&world.rollout), Reason::StopRuleFired.as_str(), "{}", world.rollout_status().message);
}

#[test]
fn the_group_of_a_stage_that_was_sent_whole_is_not_needed_any_more() {
    let mut world = world(&by_group());
    world.reconcile();
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    world.reconcile();
    world.unread.insert(lab(), "ListGroupDevices: The device group does not exist".into());
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
    assert_eq!(world.jobs.len(), 2);
}

/// Otherwise the unsent devices of the stage would count as none, and its gate would judge a part of it.
#[test]
fn a_stage_in_batches_counts_its_unsent_devices_while_its_group_cannot_be_read() {
    let mut world = world(&by_group());
    world.edit_rollout(|rollout| {
        rollout.spec.stages[0].batch = serde_json::from_value(json!({"size": 2})).unwrap();
    });
    world.reconcile();
    world.reconcile();
    let unsent = world.rollout_status().stages[0].unsent;
    assert_eq!((unsent, world.rollout_status().stages[0].phase), (3, StagePhase::Dispatching));
    world.unread.insert(lab(), "ListGroupDevices: no".into());
    world.run_devices(|_| Fate::Succeeds);
    for _ in 0..3 {
        world.pass(30);
        let plan = world.reconcile();
        assert!(plan.actions.is_empty(), "{:?}", plan.actions);
    }
    let stage = &world.rollout_status().stages[0];
    assert_eq!(
        (stage.unsent, stage.phase),
        (3, StagePhase::Dispatching),
        "{}",
        world.rollout_status().message
    );
    world.unread.clear();
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
}

#[test]
fn an_empty_group_is_no_empty_stage() {
    for members in [ids([]), ids([99])] {
        let mut world = world(&by_group());
        let is_empty = members.is_empty();
        world.sets.insert(lab(), members);
        let plan = world.settle(|_| Fate::Succeeds);
        assert!(world.jobs.is_empty());
        assert_eq!(reason(&world.rollout), Reason::StageDevicesUnknown.as_str());
        insta::allow_duplicates! {
            insta::assert_snapshot!(plan.status.message, @"stage lab has no devices: no registered device of meter matches group 1ab; correct select of the stage, or remove the stage");
        }
        let warnings = preview_rollout(&world, &world.package).warnings;
        let is_warned = warnings.iter().any(|warning| warning == "group 1ab matches no device");
        assert_eq!(is_warned, is_empty, "{warnings:?}");
    }
}

/// Devices that run the version already prove it, as those that a stage names do.
#[test]
fn a_group_whose_devices_all_run_the_version_already_has_proven_it() {
    let mut world = world(&by_group());
    for id in ids([5, 6, 7, 8, 9]) {
        world.devices.get_mut(&id).unwrap().firmware = Some("V2".into());
    }
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
    assert_eq!(world.jobs.len(), 1, "the rest");
    assert_eq!(world.jobs[0].devices.len(), 35);
}

#[test]
fn targets_by_a_tag_that_no_device_has_are_no_completed_rollout() {
    let north = DeviceSet::Tag { key: "site".into(), values: vec!["north".into()] };
    let mut world = world(&json!({"count": 3}));
    world.edit_rollout(|rollout| {
        rollout.spec.targets = serde_json::from_value(json!({"tags": {"site": ["north"]}})).unwrap();
    });
    world.sets.insert(north.clone(), ids([]));
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(
        (plan.requeue, reason(&world.rollout).as_str()),
        (Requeue::AtDriftInterval, Reason::NoDevices.as_str())
    );
    insta::assert_snapshot!(plan.status.message, @"no device of spec.targets is registered in the cloud (0 not found): nothing to do; tag site=north matches no device");
    world.sets.insert(north, ids([1, 2, 3, 4]));
    world.settle(|_| Fate::Succeeds);
    let sent: usize = world.jobs.iter().map(|job| job.devices.len()).sum();
    assert_eq!(sent, 4);
}

#[test]
fn a_plan_shows_how_many_devices_a_group_has() {
    let world = world(&by_group());
    let preview = preview_rollout(&world, &world.package);
    let stages: Vec<(&str, u32)> =
        preview.stages.iter().map(|stage| (stage.name.as_str(), stage.devices)).collect();
    assert_eq!(stages, [("lab", 5), ("rest", 35)]);
    assert!(matches!(preview.steps[0].action, Action::CreateJob { .. }));
    assert!(!world.outcomes.values().flatten().any(|(_, (outcome, _))| *outcome == DeviceOutcome::Failed));
}
