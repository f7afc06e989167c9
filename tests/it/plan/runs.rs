//! Runs: the fleet goes to the package that the spec names now, also back to an earlier one.

use super::world::{Fate, World};
use rollwave::api::{Object, OtaRolloutStatus, Request, RolloutPhase};
use rollwave::decide::explain::explain;
use rollwave::decide::{Action, POLL, Requeue};
use serde_json::json;
use std::collections::BTreeMap;

/// Points the rollout at the package of this version.
fn turn_to(world: &mut World, version: &str, digest: &str) {
    world.package.metadata.name = Some(format!("meter-{}", version.to_lowercase()));
    world.package.spec.version = version.to_owned();
    world.package.spec.artifact.sha256 = Some(digest.repeat(32));
    world.package.status = None;
    world.make_ready();
    let name = world.package.metadata.name.clone().unwrap();
    world.edit_rollout(|rollout| rollout.spec.package_ref.name = name);
    world.pass(60);
}

fn versions(world: &World) -> BTreeMap<String, usize> {
    let mut versions = BTreeMap::new();
    for device in world.devices.values() {
        *versions.entry(device.firmware.clone().unwrap()).or_default() += 1;
    }
    versions
}

fn of(versions: &[(&str, usize)]) -> BTreeMap<String, usize> {
    versions.iter().map(|(version, count)| ((*version).to_owned(), *count)).collect()
}

#[test]
fn a_package_ref_that_goes_back_takes_every_device_back() {
    let mut world = World::new(30, json!({}));
    for (run, version) in [(1, "V2"), (2, "V3"), (3, "V2"), (4, "V3")] {
        if run > 1 {
            turn_to(&mut world, version, if version == "V2" { "ab" } else { "cd" });
        }
        let plan = world.settle(|_| Fate::Succeeds);
        assert_eq!(versions(&world), of(&[(version, 30)]), "run {run}");
        assert_eq!((plan.status.run, plan.status.phase), (run, RolloutPhase::Completed));
        let started = plan.status.decisions.iter().any(|decision| decision.rule == "RunStarted");
        assert_eq!(started, run > 1);
    }
}

#[test]
fn devices_of_a_canary_that_failed_go_back() {
    let mut world = World::new(30, json!({}));
    world.settle(|_| Fate::Succeeds);
    turn_to(&mut world, "V3", "cd");
    let mut odd = 0_u32;
    let fates: BTreeMap<String, Fate> = world
        .devices
        .keys()
        .map(|id| {
            odd += 1;
            (id.clone(), if odd.is_multiple_of(2) { Fate::Succeeds } else { Fate::Fails })
        })
        .collect();
    let held = world.settle(|id| fates[id]);
    assert_eq!(held.status.phase, RolloutPhase::Held, "{}", held.status.message);
    assert!(versions(&world)["V3"] > 0);
    turn_to(&mut world, "V2", "ab");
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(versions(&world), of(&[("V2", 30)]), "{}", plan.status.message);
    assert_eq!(plan.status.run, 3);
}

/// The state is a backup from before: the status knows neither the run nor the package of the job that runs.
#[test]
fn a_deleted_rollout_stops_jobs_of_runs_that_its_state_has_lost() {
    let mut world = World::new(30, json!({}));
    world.reconcile();
    let backup = world.rollout_status();
    world.settle(|_| Fate::Succeeds);
    turn_to(&mut world, "V3", "cd");
    world.reconcile();
    world.reconcile();
    let id = world.jobs.iter().find(|job| !job.state.is_final()).map(|job| job.id.clone()).unwrap();
    world.rollout.status = Some(backup);
    world.delete_rollout();
    let plan = world.plan_rollout();
    assert!(plan.actions.contains(&Action::StopJob { id }), "{:?}", plan.actions);
    assert!(!plan.actions.contains(&Action::Release), "{:?}", plan.actions);
}

/// Only a user can end the run before, and a request for another attempt is answered.
#[test]
fn a_retry_is_refused_while_a_lost_call_of_the_run_before_stands_in_the_way() {
    let mut world = World::new(30, json!({}));
    world.reconcile();
    let mut status = world.rollout_status();
    let lost = json!([{"token": "t", "operation": "CreateJob", "stage": "canary", "digest": "d",
        "at": "2026-01-05T00:00:00Z", "state": "Lost"}]);
    status.pending = serde_json::from_value(lost).unwrap();
    world.settle(|_| Fate::Fails);
    status.stages = world.rollout_status().stages;
    world.rollout.status = Some(status);
    turn_to(&mut world, "V3", "cd");
    world.ask(Request::Retry);
    let plan = world.reconcile();
    let answer = plan.status.decisions.iter().find(|decision| decision.rule == "RetryRefused");
    assert!(
        answer.is_some_and(|answer| answer.message.contains("cannot be found even if it runs")),
        "{answer:?}"
    );
}

/// Nothing is sent without the package, and what was sent is judged as before.
#[test]
fn a_run_whose_package_ref_names_nothing_is_watched_and_goes_on_when_it_is_put_back() {
    let mut world = World::new(40, json!({"stop": [{"name": "any", "method": "Count", "maxFailure": 1}]}));
    world.reconcile();
    world.package_is_gone = true;
    world.ask(Request::Restart);
    let plan = world.reconcile();
    assert_eq!(plan.requeue, Requeue::After(POLL), "its jobs go on");
    assert!(plan.status.decisions.iter().any(|decision| decision.rule == "RestartRefused"));
    world.pass(3600);
    assert!(world.reconcile().status.message.contains(" does not exist, and nothing is sent"));
    let mut failed = world.clone();
    failed.settle(|_| Fate::Fails);
    assert_eq!(failed.rollout_status().stopped_by.map(|evidence| evidence.rule).as_deref(), Some("any"));
    world.settle(|_| Fate::Succeeds);
    assert_eq!(world.jobs.len(), 1, "no stage is sent without its package");
    world.package_is_gone = false;
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.run, plan.status.phase), (1, RolloutPhase::Completed));
}

#[test]
fn a_run_is_recovered_when_the_state_is_lost() {
    let mut world = World::new(30, json!({}));
    world.settle(|_| Fate::Succeeds);
    turn_to(&mut world, "V3", "cd");
    world.settle(|_| Fate::Succeeds);
    world.rollout.status = None;
    let known = world.settle(|_| Fate::Succeeds);
    assert_eq!((known.status.run, world.jobs.len()), (2, 4), "V3 has its jobs: nothing is sent again");

    turn_to(&mut world, "V2", "ab");
    world.rollout.status = None;
    let back = world.settle(|_| Fate::Succeeds);
    assert_eq!(
        versions(&world),
        of(&[("V2", 30)]),
        "V3 was sent since the jobs of V2: {}",
        back.status.message
    );
    assert_eq!(back.status.run, 2);
    world.rollout.status = None;
    let again = world.settle(|_| Fate::Succeeds);
    assert_eq!((again.status.run, world.jobs.len()), (2, 6), "{}", again.status.message);
}

#[test]
fn a_restart_sends_the_stages_again_once() {
    let mut world = World::new(30, json!({"stop": [{"name": "any", "method": "Count", "maxFailure": 1}]}));
    let stopped = world.settle(|_| Fate::Fails);
    assert!(stopped.status.stopped_by.is_some());
    world.ask(Request::Restart);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.phase, plan.status.run), (RolloutPhase::Completed, 2), "{}", plan.status.message);
    assert_eq!(versions(&world), of(&[("V2", 30)]));
    let OtaRolloutStatus { last_handled_restart_at, run, .. } = world.settle(|_| Fate::Succeeds).status;
    assert_eq!(last_handled_restart_at.as_deref(), Request::Restart.of(&world.rollout.metadata));
    assert_eq!(run, 2, "it is followed once");
}

#[test]
fn new_bytes_under_the_version_of_the_run_before_are_held_and_not_called_completed() {
    let mut world = World::new(30, json!({}));
    world.settle(|_| Fate::Succeeds);
    world.packages.clear();
    turn_to(&mut world, "V2", "cd");
    let plan = world.settle(|_| Fate::Succeeds);
    insta::assert_snapshot!(plan.status.message, @"30 devices report V2 and may run the file that the previous run sent under this version: devices report no digest, so nothing is sent to them; publish the new file under a new version");
    assert_eq!((plan.status.phase, plan.actions.len()), (RolloutPhase::Held, 0));
    turn_to(&mut world, "V3", "cd");
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
}

#[test]
fn a_restart_is_refused_while_a_job_that_vanished_holds_the_run() {
    let mut world = World::new(30, json!({}));
    world.reconcile();
    world.hidden.push(world.jobs[0].id.clone());
    world.pass(600);
    world.ask(Request::Restart);
    let plan = world.reconcile();
    assert_eq!((plan.status.phase, plan.status.run), (RolloutPhase::Held, 1), "{}", plan.status.message);
    assert_eq!(plan.status.last_handled_restart_at.as_deref(), Request::Restart.of(&world.rollout.metadata));
    let refused = plan.status.decisions.iter().find(|decision| decision.rule == "RestartRefused").unwrap();
    assert!(refused.message.contains("are no longer in the cloud"), "{}", refused.message);
}

#[test]
fn a_restart_that_waits_for_a_job_to_end_says_so_and_is_followed_then() {
    let mut world = World::new(30, json!({}));
    world.reconcile();
    world.pass(60);
    world.ask(Request::Restart);
    let plan = world.reconcile();
    assert!(
        plan.status.message.starts_with("restart requested: waits until jobs of the previous run "),
        "{}",
        plan.status.message
    );
    assert_eq!((plan.status.run, plan.status.last_handled_restart_at), (1, None));
    assert_eq!(world.settle(|_| Fate::Succeeds).status.run, 2);
}

#[test]
fn a_restart_of_a_rollout_that_has_sent_nothing_is_answered_although_it_is_suspended() {
    let mut world = World::new(30, json!({"suspend": true}));
    world.ask(Request::Restart);
    let plan = world.reconcile();
    assert_eq!(plan.status.last_handled_restart_at.as_deref(), Request::Restart.of(&world.rollout.metadata));
    world.edit_rollout(|rollout| rollout.spec.suspend = false);
    assert_eq!(world.settle(|_| Fate::Succeeds).status.run, 1);
}

#[test]
fn an_edit_of_what_a_sent_stage_selects_is_told_as_not_followed_and_followed_by_a_restart() {
    let stages = |count: u32| {
        json!([{"name": "canary", "select": {"count": count}},
               {"name": "rest", "select": {"rest": true}}])
    };
    let mut world = World::new(20, json!({"stages": stages(3)}));
    world.reconcile();
    let told = |world: &World| {
        let decisions = world.rollout_status().decisions;
        decisions.into_iter().filter(|decision| decision.rule == "SelectNotFollowed").collect::<Vec<_>>()
    };
    world.edit_rollout(|rollout| rollout.spec.stop = Some(Vec::new()));
    world.reconcile();
    assert_eq!(told(&world), [], "another edit");
    world.edit_rollout(|rollout| rollout.spec.stages = serde_json::from_value(stages(5)).unwrap());
    world.reconcile();
    world.reconcile();
    let decisions = told(&world);
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    insta::assert_snapshot!(decisions[0].message, @"select of stage canary was edited after the stage was dispatched: this run keeps its devices; `rollwave restart` starts a new run with the edited select");
    let why = explain(&Object::Rollout(world.rollout.clone()), &[], world.now);
    assert!(why.seen.iter().any(|line| line.contains("keeps the devices")), "{why:#?}");
    world.ask(Request::Restart);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(plan.status.stages[0].counts.assigned, 5, "{}", plan.status.message);
}

#[test]
fn a_run_whose_package_is_not_ready_has_taken_its_number_all_the_same() {
    let mut world = World::new(10, json!({}));
    world.settle(|_| Fate::Succeeds);
    turn_to(&mut world, "V3", "cd");
    world.package.status = None;
    world.reconcile();
    world.reconcile();
    assert_eq!((world.rollout_status().run, world.jobs.len()), (2, 1), "it waits for its package");
    turn_to(&mut world, "V2", "ab");
    world.devices.get_mut("dev-003").unwrap().firmware = Some("V1".into());
    world.settle(|_| Fate::Succeeds);
    let (status, tokens) = (world.rollout_status(), world.jobs.iter().map(|job| job.token.clone()));
    assert_eq!((status.run, status.phase), (3, RolloutPhase::Completed), "{}", status.message);
    let distinct: std::collections::BTreeSet<_> = tokens.collect();
    assert_eq!((distinct.len(), world.jobs.len()), (2, 2), "no key is used twice");
}
