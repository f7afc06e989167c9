//! Nothing waits for ever: devices that do not answer are judged, or hold the stage, when its deadline has passed.

use super::world::{Fate, World};
use jiff::SignedDuration;
use rollwave::api::{
    OtaRollout, OtaRolloutStatus, Request, RolloutPhase, STALLED, StageCounts, StagePhase, find_condition,
};
use rollwave::cloud::{CloudKind, DeviceOutcome, defaults::capabilities_of};
use rollwave::decide::clocks::{Boot, Clocks, CloudTime};
use rollwave::decide::{Plan, Requeue};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DAY: i64 = 86_400;

/// A canary of ten devices that asks for eight answers, with this deadline, and the rest.
fn canary(deadline: &Value) -> Value {
    let gates = json!([{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%"}}]);
    json!({"stages": [{"name": "canary", "select": {"count": 10}, "gates": gates, "deadline": deadline}]})
}

/// The first devices of a job do this, the others succeed.
fn begun(spec: Value, fates: &[Fate]) -> World {
    let mut world = World::new(40, spec);
    world.reconcile();
    let devices = world.jobs[0].devices.clone();
    let fate = |id: &str| {
        let place = devices.iter().position(|device| device == id);
        place.and_then(|place| fates.get(place).copied()).unwrap_or(Fate::Succeeds)
    };
    world.run_devices(fate);
    world.pass(30);
    world.reconcile();
    world
}

fn after(world: &mut World, seconds: i64) -> Plan<OtaRolloutStatus> {
    world.pass(seconds);
    world.reconcile()
}

fn enough_with_seven(rollout: &mut OtaRollout) {
    rollout.spec.stages[0].gates.as_mut().unwrap()[0].outcome.as_mut().unwrap().min_observed =
        "70%".parse().unwrap();
}

fn counts(world: &World) -> StageCounts {
    world.rollout_status().stages[0].counts
}

fn reason(world: &World) -> String {
    let status = world.rollout_status();
    find_condition(&status.conditions, "Progressing").map(|c| c.reason.clone()).unwrap_or_default()
}

#[test]
fn devices_that_never_began_leave_the_sample_after_seven_days_and_the_stage_goes_on() {
    let mut world = begun(canary(&json!(null)), &[Fate::Sleeps; 3]);
    after(&mut world, 7 * DAY - 60);
    assert_eq!((reason(&world).as_str(), counts(&world).queued), ("StageRunning", 3));
    let plan = after(&mut world, 60);
    let canary = &plan.status.stages[0];
    assert_eq!((canary.phase, canary.counts.never_began, canary.counts.sample()), (StagePhase::Held, 3, 7));
    insta::assert_snapshot!(plan.status.message, @"stage canary, gate proven: 7 of 7 succeeded (100.0 %), 3 never began and are left out; needs 90 %: may have no failure; only 70.0 % of the stage began, and minObserved is 80 %: bring the others online, or lower minObserved");
    world.edit_rollout(enough_with_seven);
    let plan = world.reconcile();
    let canary = &plan.status.stages[0];
    assert_eq!((canary.phase, canary.sample), (StagePhase::Passed, Some(7)));
    assert_eq!(world.jobs.len(), 2, "{}", plan.status.message);
    insta::assert_snapshot!(canary.gates[0].message, @"7 of 7 succeeded (100.0 %), 3 never began and are left out; needs 90 %: may have no failure");
}

#[test]
fn devices_that_began_and_did_not_end_are_failures_after_the_deadline() {
    let mut world = begun(canary(&json!({"after": "2d"})), &[Fate::Hangs; 3]);
    assert_eq!(counts(&world).in_flight, 3);
    after(&mut world, 2 * DAY);
    assert_eq!(
        (counts(&world).timed_out, counts(&world).overdue, reason(&world).as_str()),
        (3, 3, "GateFailed")
    );
}

#[test]
fn a_last_stage_without_a_gate_ends_and_names_who_never_began() {
    let rest = json!({"stages": [{"name": "rest", "select": {"rest": true}, "deadline": {"after": "1d"}}]});
    let mut world = begun(rest, &[Fate::Sleeps; 2]);
    let plan = after(&mut world, DAY);
    assert_eq!((plan.status.phase, plan.requeue), (RolloutPhase::Completed, Requeue::AtDriftInterval));
    insta::assert_snapshot!(plan.status.message, @"38 of 40 devices run V2, 0 failed; 0 already ran it; 2 never began, and get it when they come online");
    // Late, and counted all the same.
    world.run_devices(|_| Fate::Succeeds);
    let plan = after(&mut world, 30);
    assert_eq!((counts(&world).succeeded, counts(&world).never_began), (40, 0), "{}", plan.status.message);
}

#[test]
fn a_late_failure_counts_and_a_late_beginning_is_none() {
    let mut world = begun(canary(&json!({"after": "1d"})), &[Fate::Sleeps; 3]);
    after(&mut world, DAY);
    let (first, job) = (world.jobs[0].devices[0].clone(), world.jobs[0].id.clone());
    world.outcomes.get_mut(&job).unwrap().insert(first.clone(), (DeviceOutcome::InFlight, ""));
    world.recount(&job);
    after(&mut world, 30);
    assert_eq!((counts(&world).never_began, counts(&world).failures()), (3, 0), "it only began");
    world.outcomes.get_mut(&job).unwrap().insert(first, (DeviceOutcome::Failed, "Updating failed"));
    world.recount(&job);
    after(&mut world, 30);
    assert_eq!((counts(&world).never_began, counts(&world).failures()), (2, 1));
}

#[test]
fn a_stage_in_which_nobody_began_proves_nothing_and_goes_on_when_they_do() {
    let mut world = begun(canary(&json!({"after": "1d"})), &[Fate::Sleeps; 10]);
    let plan = after(&mut world, DAY);
    assert_eq!((plan.status.phase, reason(&world).as_str()), (RolloutPhase::Held, "StageDeadline"));
    assert!(find_condition(&plan.status.conditions, STALLED).is_some());
    assert_eq!((plan.requeue, world.jobs.len()), (Requeue::AtDriftInterval, 1));
    insta::assert_snapshot!(plan.status.message, @"stage canary: none of its 10 devices began, so there is no evidence; they still get the package when they come online: wait, or let the stage select other devices");
    assert_eq!(world.reconcile().status, plan.status, "an idle pass changes nothing");
    world.run_devices(|_| Fate::Succeeds);
    assert_eq!(world.reconcile().status.stages[0].phase, StagePhase::Passed);
}

#[test]
fn then_hold_waits_for_a_user_or_the_devices() {
    let hold = json!({"after": "1d", "then": "Hold"});
    let mut held = begun(canary(&hold), &[Fate::Sleeps; 3]);
    let plan = after(&mut held, DAY);
    assert_eq!((plan.status.phase, reason(&held).as_str()), (RolloutPhase::Held, "StageDeadline"));
    assert_eq!((counts(&held).queued, counts(&held).never_began), (3, 0));
    insta::assert_snapshot!(plan.status.message, @"stage canary: 3 of 10 devices have no outcome after its deadline of 1d, 7 succeeded, 0 failed; set deadline.then to Judge to continue without them, raise deadline.after, or wait");
    let mut answered = held.clone();
    answered.run_devices(|_| Fate::Succeeds);
    assert_eq!(answered.reconcile().status.stages[0].phase, StagePhase::Passed);
    held.edit_rollout(|rollout| {
        rollout.spec.stages[0].deadline.as_mut().unwrap().then = None;
        enough_with_seven(rollout);
    });
    held.reconcile();
    assert_eq!((counts(&held).never_began, held.jobs.len()), (3, 2), "{}", held.rollout_status().message);
}

#[test]
fn a_longer_deadline_takes_the_judgement_back() {
    let mut world = begun(canary(&json!({"after": "1d", "then": "Hold"})), &[Fate::Sleeps; 3]);
    after(&mut world, DAY);
    world.edit_rollout(|rollout| {
        rollout.spec.stages[0].deadline.as_mut().unwrap().after = Some(rollwave::api::Period::hours(48));
    });
    world.reconcile();
    assert_eq!(reason(&world), "StageRunning");
}

#[test]
fn the_two_delivery_clocks_pass_before_the_deadline() {
    let with = |timeout: Value| {
        let mut spec = canary(&json!(null));
        spec["delivery"] = json!({"timeout": timeout});
        spec
    };
    let mut queued = begun(with(json!({"queued": "2h"})), &[Fate::Sleeps, Fate::Sleeps, Fate::Hangs]);
    after(&mut queued, 2 * 3_600);
    assert_eq!((counts(&queued).never_began, counts(&queued).in_flight), (2, 1));

    let mut stuck = begun(with(json!({"inProgress": "1h"})), &[Fate::Sleeps, Fate::Hangs, Fate::Hangs]);
    let job = stuck.jobs[0].id.clone();
    stuck.pass(3_000);
    let sleeper = stuck.jobs[0].devices[0].clone();
    stuck.outcomes.get_mut(&job).unwrap().insert(sleeper, (DeviceOutcome::InFlight, ""));
    stuck.recount(&job);
    stuck.reconcile();
    after(&mut stuck, 3_000);
    assert_eq!((counts(&stuck).timed_out, counts(&stuck).in_flight), (0, 3), "one has just begun");
    after(&mut stuck, 600);
    assert_eq!((counts(&stuck).timed_out, counts(&stuck).overdue), (3, 3));

    let native = with(json!({"inProgress": "1h"}));
    let mut native = World::new(40, native);
    native.capabilities = capabilities_of(CloudKind::AliyunIot, SignedDuration::from_secs(30));
    native.reconcile();
    native.run_devices(|_| Fate::Hangs);
    after(&mut native, 2 * 3_600);
    assert_eq!(counts(&native).timed_out, 0, "the cloud has that clock itself");
}

#[test]
fn a_new_process_does_not_believe_that_time_has_passed_unless_the_cloud_says_so() {
    let mut world = begun(canary(&json!({"after": "1d"})), &[Fate::Sleeps; 3]);
    world.pass(30 * DAY);
    world.clocks = Clocks { steady_since: world.now, boot: None, cloud: None };
    world.reconcile();
    assert_eq!(reason(&world), "StageRunning", "our clock may have been set");
    after(&mut world, DAY);
    assert_eq!(counts(&world).never_began, 3, "one process has counted all of it");

    let mut short = World::new(40, canary(&json!({"after": "1d"})));
    let told = |now| Some(CloudTime { earliest: now, latest: now });
    short.clocks.cloud = told(short.now);
    short.reconcile();
    short.run_devices(|id| if id.ends_with(['1', '2', '3']) { Fate::Sleeps } else { Fate::Succeeds });
    for _ in 0..27 {
        short.clocks = Clocks { steady_since: short.now, boot: None, cloud: told(short.now) };
        short.reconcile();
        short.pass(3_600);
    }
    assert_eq!(counts(&short).outstanding(), 0, "processes that live shortly come to the end, too");
}

/// A stage of ten devices of which three upgrade for ever, or sleep, watched by a process every half an hour: when it was settled.
fn settled_by_short_processes(fates: &[Fate], spec: Value) -> Option<i64> {
    let mut world = begun(spec, fates);
    let began = world.now;
    let mut told = BTreeSet::new();
    for _ in 0..100 {
        let boot = Some(Boot { id: 1, at: began - SignedDuration::from_hours(5) });
        world.clocks = Clocks { steady_since: world.now, boot, cloud: None };
        world.reconcile();
        told.extend(world.rollout_status().stages[0].clock.as_ref().and_then(|clock| clock.deadline_at));
        if counts(&world).outstanding() == 0 {
            assert!(told.len() < 3, "each process says the same: {told:?}");
            return Some(world.now.duration_since(began).as_hours());
        }
        world.pass(1_800);
    }
    None
}

#[test]
fn processes_of_one_boot_that_live_shortly_come_to_each_deadline_in_time_although_no_cloud_tells_the_time() {
    let with = |timeout: Value| {
        let mut spec = canary(&json!({"after": "1d"}));
        spec["delivery"] = json!({"timeout": timeout});
        spec
    };
    for (name, fate, timeout, expected) in [
        ("the deadline", Fate::Sleeps, json!(null), 24),
        ("queued", Fate::Sleeps, json!({"queued": "2h"}), 2),
        ("in progress", Fate::Hangs, json!({"inProgress": "3h"}), 3),
    ] {
        let settled = settled_by_short_processes(&[fate; 3], with(timeout));
        assert_eq!(settled, Some(expected), "{name}");
    }
}

#[test]
fn time_under_a_pause_does_not_count_and_a_resumed_stage_has_all_of_its_time() {
    let mut world = begun(canary(&json!({"after": "1d"})), &[Fate::Sleeps; 3]);
    world.ask(Request::Pause);
    world.reconcile();
    after(&mut world, 10 * DAY);
    assert_eq!(
        (counts(&world).never_began, counts(&world).queued),
        (0, 3),
        "{}",
        world.rollout_status().message
    );
    world.ask(Request::Resume);
    world.reconcile();
    after(&mut world, 30);
    after(&mut world, DAY - 60);
    assert_eq!(counts(&world).never_began, 0, "it was sent anew");
    after(&mut world, 60);
    assert_eq!(counts(&world).never_began, 3);
}

#[test]
fn a_rollout_that_a_job_of_somebody_else_keeps_waiting_is_stalled_after_seven_days_and_goes_on_when_that_ends()
 {
    let mut world = World::new(10, json!({}));
    let mut other = world.clone();
    other.rollout.metadata.uid = Some("other".into());
    other.reconcile();
    (world.jobs, world.outcomes) = (other.jobs, other.outcomes);
    world.jobs[0].token = None;
    world.reconcile();
    assert_eq!(reason(&world), "DispatchBlocked", "{}", world.rollout_status().message);
    after(&mut world, 7 * DAY - 1);
    let stalled = |world: &World| find_condition(&world.rollout_status().conditions, STALLED).is_some();
    assert!(!stalled(&world));
    let plan = after(&mut world, 1);
    assert!(stalled(&world) && plan.status.phase == RolloutPhase::Held, "{}", plan.status.message);
    assert_eq!(world.reconcile().status, plan.status, "an idle pass changes nothing");
    let job = world.jobs[0].id.clone();
    world.stop(&job);
    after(&mut world, 30);
    assert!(!stalled(&world) && world.jobs.len() == 2, "{}", world.rollout_status().message);
}

#[test]
fn devices_that_the_cloud_gives_up_because_they_never_came_online_are_no_failures_and_can_be_sent_again() {
    let mut world = begun(canary(&json!(null)), &[Fate::NeverOnline; 10]);
    assert_eq!((counts(&world).never_began, reason(&world).as_str()), (10, "StageDeadline"));
    insta::assert_snapshot!(world.rollout_status().message, @"stage canary: none of its 10 devices began, so there is no evidence; bring them online and run `rollwave retry`, or let the stage select other devices");
    world.ask(Request::Retry);
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
}

/// The stage that was sent has another name in the spec, so that the edit is not followed.
#[test]
fn a_deadline_passes_once_while_an_edit_cannot_be_followed() {
    let mut world = begun(canary(&json!({"after": "2d"})), &[Fate::Hangs]);
    world.edit_rollout(|rollout| rollout.spec.stages[0].name = "other".into());
    after(&mut world, 2 * DAY);
    assert_eq!((reason(&world).as_str(), counts(&world).overdue), ("StagesChanged", 1));
    let clock = world.rollout_status().stages[0].clock.clone();
    after(&mut world, 30);
    assert_eq!(world.rollout_status().stages[0].clock, clock, "nothing is news");
}
