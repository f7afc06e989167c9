//! The stop rule `Control`: upgraded devices beside a control group.

use super::world::{Fate, World};
use jiff::SignedDuration;
use rollwave::api::{ControlGroup, Object, OtaRolloutStatus, Reason, RolloutPhase, StagePhase};
use rollwave::decide::explain::explain;
use rollwave::decide::{Plan, Requeue};
use serde_json::{Value, json};

const HOUR: i64 = 3_600;

/// A canary of 60 of 800 connected devices that soaks for eight hours, then the rest.
fn compared(action: &str) -> World {
    let mut world = World::new(
        800,
        json!({
            "stages": [
                {"name": "canary", "select": {"count": 60}, "soak": "8h",
                 "gates": [{"name": "proven", "outcome": {"minSuccess": "90%"}}]},
                {"name": "half", "select": {"count": 200}, "soak": "8h",
                 "gates": [{"name": "proven", "outcome": {"minSuccess": "90%"}}]},
                {"name": "rest", "select": {"rest": true}},
            ],
            "stop": [{"name": "control", "method": "Control", "action": action}],
        }),
    );
    world.devices.values_mut().for_each(|device| device.online = Some(true));
    world
}

/// Every device of the canary has answered, and it soaks.
fn soaking(action: &str) -> World {
    let mut world = compared(action);
    world.reconcile();
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    assert_eq!(world.reconcile().status.stages[0].phase, StagePhase::Soaking);
    world
}

fn group(status: &OtaRolloutStatus, stage: usize) -> &ControlGroup {
    status.stages[stage].control.as_ref().unwrap()
}

fn go_offline(world: &mut World, count: usize, is_meant: impl Fn(&World, &str) -> bool) {
    let ids: Vec<String> =
        world.devices.keys().filter(|id| is_meant(world, id)).take(count).cloned().collect();
    assert_eq!(ids.len(), count);
    ids.iter().for_each(|id| world.devices.get_mut(id).unwrap().online = Some(false));
}

fn is_upgraded(world: &World, id: &str) -> bool {
    world.jobs.iter().any(|job| job.devices.iter().any(|device| device == id))
}

fn is_other(world: &World, id: &str) -> bool {
    !is_upgraded(world, id)
}

fn after_an_hour(world: &mut World) -> Plan<OtaRolloutStatus> {
    world.pass(HOUR);
    world.reconcile()
}

#[test]
fn upgraded_devices_that_go_offline_after_they_succeeded_stop_the_rollout() {
    let mut world = soaking("Pause");
    let fine = after_an_hour(&mut world);
    assert_eq!((group(&fine.status, 0).devices, group(&fine.status, 0).comparisons), (600, 1));
    let object = Object::Rollout(world.rollout.clone());
    let seen = explain(&object, std::slice::from_ref(&object), world.now).seen;
    insta::assert_snapshot!(seen.last().unwrap(), @"Stop rule control (Control) passed at 2023-11-14 23:13:50Z: 0 of 60 upgraded and 0 of 600 other devices are offline; evidence 1 to 1 that the upgrade does it; stop rule control fires at 100 to 1.");
    go_offline(&mut world, 12, is_upgraded);
    go_offline(&mut world, 4, is_other);
    world.pass(HOUR - 60);
    assert!(world.reconcile().status.stopped_by.is_none(), "they are compared once an hour");
    world.pass(60);
    let stopped = world.reconcile().status;
    assert_eq!(stopped.phase, RolloutPhase::Held);
    let evidence = stopped.stopped_by.clone().unwrap();
    assert_eq!((evidence.sample, evidence.failures, evidence.value >= evidence.threshold), (60, 12, true));
    assert_eq!(evidence.control.map(|control| control.devices), Some(600));
    insta::assert_snapshot!(stopped.message, @"stopped: 12 of 60 upgraded and 3 of 600 other devices are offline; evidence more than a million to 1 that the upgrade does it; stop rule control fires at 100 to 1");
    // The evidence stays when the devices come back, until the spec changes.
    world.devices.values_mut().for_each(|device| device.online = Some(true));
    assert_eq!(after_an_hour(&mut world).status.stopped_by, Some(evidence));
    world.edit_rollout(|rollout| rollout.spec.stop.as_mut().unwrap()[0].min_sample = Some(60));
    world.pass(30);
    assert_eq!(world.reconcile().status.stopped_by, None, "the next comparison decides");
    world.pass(8 * HOUR);
    world.reconcile();
    assert_eq!(world.jobs.len(), 2, "{}", world.rollout_status().message);
}

#[test]
fn an_outage_of_both_groups_stops_nothing_and_holds_back_the_next_stage_until_it_is_over() {
    let mut world = soaking("Pause");
    go_offline(&mut world, 6, is_upgraded);
    go_offline(&mut world, 70, is_other);
    world.pass(8 * HOUR);
    let waiting = world.reconcile();
    assert_eq!((waiting.status.stopped_by.clone(), world.jobs.len()), (None, 1));
    insta::assert_snapshot!(waiting.status.message, @"stage half (200 devices) is not dispatched: 52 of 600 devices of the control group are offline, 0 when stage canary was sent; it continues by itself when they are back");
    assert_eq!(waiting.requeue, Requeue::AtDriftInterval, "it may last for days");
    world.devices.values_mut().for_each(|device| device.online = Some(true));
    world.pass(30);
    world.reconcile();
    assert_eq!(world.jobs.len(), 2);
}

#[test]
fn a_rule_that_aborts_only_pauses_when_the_control_group_got_worse_too() {
    for (others, phase) in [(0, RolloutPhase::Aborted), (70, RolloutPhase::Held)] {
        let mut world = soaking("Abort");
        go_offline(&mut world, 40, is_upgraded);
        go_offline(&mut world, others, is_other);
        let status = after_an_hour(&mut world).status;
        assert_eq!(status.phase, phase, "{}", status.message);
        assert_eq!(group(&status, 0).outage.is_some(), phase == RolloutPhase::Held);
        if phase == RolloutPhase::Held {
            insta::assert_snapshot!(status.message, @"stopped: 40 of 60 upgraded and 52 of 600 other devices are offline; evidence more than a million to 1 that the upgrade does it; stop rule control fires at 100 to 1; the package may not be the cause: 52 of 600 devices of the control group are offline, 0 when stage canary was sent");
            let reason = Reason::SharedOutageSuspected.to_string();
            assert!(status.conditions.iter().any(|condition| condition.reason == reason));
            let object = Object::Rollout(world.rollout.clone());
            let next = explain(&object, std::slice::from_ref(&object), world.now).next;
            assert!(next[0].contains("holds the rollout until the spec changes"), "{next:?}");
        }
    }
}

#[test]
fn a_gate_that_fails_in_an_outage_says_that_the_package_may_not_be_the_cause() {
    let mut world = compared("Pause");
    world.reconcile();
    world.pass(30);
    world.reconcile();
    go_offline(&mut world, 70, is_other);
    world.run_devices(|_| Fate::Fails);
    world.pass(30);
    let held = world.reconcile().status;
    assert_eq!(held.phase, RolloutPhase::Held);
    insta::assert_snapshot!(held.message, @"stage canary, gate proven: 0 of 60 succeeded (0.0 %), Wilson lower bound 0.0 % at 95 % confidence; needs 90 %, and at most 0.0 % can succeed; the package may not be the cause: 52 of 600 devices of the control group are offline, 0 when stage canary was sent");
}

#[test]
fn a_soak_has_eight_comparisons_and_one_more_before_a_gate_that_waited_passes() {
    let mut world = compared("Pause");
    world.reconcile();
    let late: Vec<String> = world.jobs[0].devices.iter().take(6).cloned().collect();
    world.run_devices(|id| if late.contains(&id.to_owned()) { Fate::Hangs } else { Fate::Succeeds });
    world.pass(30);
    let began = world.now;
    world.reconcile();
    let mut comparisons: Vec<SignedDuration> = Vec::new();
    for _ in 0..200 {
        world.pass(180);
        let status = world.reconcile().status;
        let last = group(&status, 0).last.as_ref().map(|comparison| comparison.at.duration_since(began));
        comparisons.extend(last.filter(|at| comparisons.last() != Some(at)));
    }
    let hours: Vec<i64> = comparisons.iter().map(SignedDuration::as_hours).collect();
    assert_eq!(hours, [1, 2, 3, 4, 5, 6, 7, 8], "the gate waits, and nothing is compared");
    go_offline(&mut world, 12, is_upgraded);
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    let status = world.reconcile().status;
    assert_eq!((group(&status, 0).comparisons, world.jobs.len()), (9, 1), "{}", status.message);
    assert!(status.stopped_by.is_some(), "{}", status.message);
}

#[test]
fn the_next_comparison_is_the_next_thing_to_wait_for() {
    let mut world = soaking("Pause");
    world.pass(60);
    let requeue = world.reconcile().requeue;
    assert_eq!(requeue, Requeue::After(SignedDuration::from_mins(59)));
}

#[test]
fn what_cannot_be_compared_is_in_nobodys_way() {
    let unknown = |world: &mut World| world.devices.values_mut().for_each(|device| device.online = None);
    let few = |world: &mut World| {
        world.edit_rollout(|rollout| {
            rollout.spec.stages[0].select.count = Some(10);
            rollout.spec.stages[0].gates = None;
        });
        world.devices.values_mut().take(400).for_each(|device| device.online = Some(false));
    };
    let named = |world: &mut World| {
        let ids: Vec<String> = world.devices.keys().take(60).cloned().collect();
        ids.iter().for_each(|id| world.devices.get_mut(id).unwrap().online = Some(false));
        world.edit_rollout(|rollout| {
            let select = &mut rollout.spec.stages[0].select;
            (select.count, select.devices) = (None, Some(ids));
        });
    };
    for (name, prepare) in [
        ("the cloud does not tell", &unknown as &dyn Fn(&mut World)),
        ("a small stage", &few),
        ("a stage that names its devices", &named),
    ] {
        let mut world = compared("Pause");
        prepare(&mut world);
        world.reconcile();
        world.run_devices(|_| Fate::Succeeds);
        for _ in 0..3 {
            world.pass(8 * HOUR);
            world.reconcile();
        }
        assert_eq!((world.rollout_status().stopped_by, world.jobs.len()), (None, 2), "{name}");
    }
}

#[test]
fn the_control_group_is_the_end_of_the_ranking_and_nobody_takes_the_place_of_one_that_left() {
    let mut world = soaking("Pause");
    let status = after_an_hour(&mut world).status;
    assert_eq!(group(&status, 0).last.as_ref().unwrap().control.devices, 600);
    // The rank of a device is the head of sha256(seed ‖ id); the seed is the package's digest.
    let from = u64::from_str_radix(&group(&status, 0).from_rank, 16).unwrap();
    let members: Vec<String> = world.devices.keys().filter(|id| rank(id) >= from).cloned().collect();
    assert_eq!(members.len(), 600);
    members.iter().take(5).for_each(|id| drop(world.devices.remove(id)));
    world.devices.get_mut(&members[7]).unwrap().firmware = Some("V2".into());
    let status = after_an_hour(&mut world).status;
    assert_eq!(
        (group(&status, 0).devices, group(&status, 0).last.as_ref().unwrap().control.devices),
        (600, 594)
    );
}

fn rank(id: &str) -> u64 {
    rollwave::decide::cohort::rank(&"ab".repeat(32), id)
}

#[test]
fn a_preview_says_what_the_comparison_sees() {
    let mut world = compared("Pause");
    go_offline(&mut world, 16, is_other);
    let preview = super::preview::preview_rollout(&world, &world.package);
    let lines: Vec<Value> = preview
        .risk
        .iter()
        .flat_map(|risk| &risk.comparisons)
        .map(|one| json!([one.stage, one.upgraded, one.control, one.offline, one.sees]))
        .collect();
    insta::assert_snapshot!(json!(lines).to_string(), @r#"[["canary",60,600,0.02,15],["half",260,540,0.02,8]]"#);
    world.capabilities.shows_offline_after = Some(SignedDuration::from_hours(25));
    let warnings = super::preview::preview_rollout(&world, &world.package).warnings;
    insta::assert_snapshot!(warnings[0], @"stop rule control sees nothing in canary, half: the cloud shows a device as offline 25 h after it was last heard of; let it soak longer than 25h");
    world.devices.values_mut().for_each(|device| device.online = None);
    insta::assert_snapshot!(super::preview::preview_rollout(&world, &world.package).warnings[0], @"stop rule control cannot compare devices: the cloud does not report whether 800 of 800 devices are connected");
}

/// EnOS: the application is given the permission to search for devices while a rollout is under way.
#[test]
fn what_was_unknown_when_the_stage_was_sent_is_no_outage_once_it_is_known() {
    let mut world = compared("Pause");
    world.devices.values_mut().for_each(|device| device.online = None);
    world.reconcile();
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    assert!(world.reconcile().status.stages[0].control.is_none());
    world.devices.values_mut().for_each(|device| device.online = Some(true));
    go_offline(&mut world, 70, is_other);
    for _ in 0..2 {
        world.pass(8 * HOUR);
        world.reconcile();
    }
    assert_eq!(world.jobs.len(), 2, "{}", world.rollout_status().message);
}
