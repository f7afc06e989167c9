//! Stages that are sent in pieces.

use super::preview::preview_rollout;
use super::world::{Fate, World};
use rollwave::api::{Object, RolloutPhase, StagePhase};
use rollwave::decide::{Action, explain::explain};
use serde_json::json;

/// A canary of 30 in batches of 10, which may have 6 failures.
fn batched() -> World {
    World::new(
        50,
        json!({"stages": [
            {"name": "canary", "select": {"count": 30}, "batch": {"size": 10},
             "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "80%"}}]},
            {"name": "rest", "select": {"rest": true}},
        ]}),
    )
}

fn sizes(world: &World) -> Vec<usize> {
    world.jobs.iter().map(|job| job.devices.len()).collect()
}

#[test]
fn the_next_batch_is_sent_when_enough_of_those_before_have_an_outcome() {
    let mut world = batched();
    world.reconcile();
    assert_eq!(sizes(&world), [10]);
    let asleep: Vec<String> = world.jobs[0].devices.iter().take(3).cloned().collect();
    world.run_devices(|id| if asleep.contains(&id.to_owned()) { Fate::Sleeps } else { Fate::Succeeds });
    world.pass(30);
    let waiting = world.reconcile();
    insta::assert_snapshot!(waiting.status.message, @"stage canary: 7 of 10 devices have an outcome, 0 failed; the next batch of 10 is sent at 80 %");
    let object = Object::Rollout(world.rollout.clone());
    insta::assert_snapshot!(explain(&object, std::slice::from_ref(&object), world.now).next[1..].join("\n"), @r"
    stage canary: 7 of 10 devices have an outcome, 0 failed; the next batch of 10 is sent at 80 %.
    Gate proven of stage canary passes after 17 more successes in a row; with 23 devices without an outcome yet, it tolerates 6 more failures.
    At this pace stage canary ends at about 2023-11-14 22:16:00Z, and the rollout at about 2023-11-14 22:17:00Z if later stages answer as fast.
    The deadline of the 3 devices without an outcome is 2023-11-21 22:13:50Z; then devices that never began leave the sample, and devices that are upgrading time out.
    ");
    assert_eq!(sizes(&world), [10]);
    // The eighth of ten: 80 % are what the gate needs to decide.
    world.run_devices(|id| if asleep[1..].contains(&id.to_owned()) { Fate::Sleeps } else { Fate::Succeeds });
    world.pass(30);
    world.reconcile();
    assert_eq!(sizes(&world), [10, 10]);
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
    assert_eq!(sizes(&world), [10, 10, 10, 20]);
}

#[test]
fn a_batch_with_more_failures_than_the_whole_stage_may_have_is_the_last_one() {
    let mut world = batched();
    let held = world.settle(|_| Fate::Fails);
    assert_eq!((held.status.phase, sizes(&world)), (RolloutPhase::Held, vec![10]), "{}", held.status.message);
    // 3 of the first 10 are too many for them, and not for the 30 that the gate judges.
    let mut world = batched();
    world.reconcile();
    let failing: Vec<String> = world.jobs[0].devices.iter().take(3).cloned().collect();
    let end = world.settle(|id| if failing.contains(&id.to_owned()) { Fate::Fails } else { Fate::Succeeds });
    assert_eq!((end.status.phase, world.jobs.len()), (RolloutPhase::Completed, 4), "{}", end.status.message);
}

#[test]
fn a_batch_that_was_stopped_is_sent_again_before_the_next_one() {
    let mut world = batched();
    world.reconcile();
    world.edit_rollout(|rollout| rollout.spec.suspend = true);
    let stops = world.reconcile().actions;
    assert!(matches!(stops[..], [Action::StopJob { .. }]), "{stops:?}");
    let id = world.jobs[0].id.clone();
    world.stop(&id);
    world.edit_rollout(|rollout| rollout.spec.suspend = false);
    world.settle(|_| Fate::Succeeds);
    assert_eq!(sizes(&world)[1..], [10, 10, 10, 20]);
    assert_eq!(world.jobs[0].devices, world.jobs[1].devices);
}

#[test]
fn a_batch_after_a_lost_state_is_not_sent_twice_and_an_edit_goes_on_where_it_was() {
    let mut world = batched();
    world.reconcile();
    world.rollout.status = None;
    assert_eq!(world.reconcile().actions, []);
    world.edit_rollout(|rollout| rollout.spec.stages[0].soak = "1m".parse().ok());
    assert_eq!(world.reconcile().status.stages[0].phase, StagePhase::Dispatching);
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
    assert_eq!(sizes(&world), [10, 10, 10, 20]);
}

#[test]
fn a_plan_shows_every_batch() {
    let world = batched();
    let rehearsed = preview_rollout(&world, &world.package);
    let steps = rehearsed.steps.iter().map(|step| match &step.action {
        Action::CreateJob { job, .. } => format!("{} devices, {}", job.devices.len(), step.when),
        other => format!("{other:?}"),
    });
    insta::assert_snapshot!(steps.collect::<Vec<_>>().join("\n"), @r"
    10 devices, now
    10 devices, when enough devices of stage canary have an outcome
    10 devices, when enough devices of stage canary have an outcome
    20 devices, after stage canary passes
    ");
}

#[test]
fn a_batch_with_more_failures_than_it_may_have_ends_the_stage_and_an_edit_continues_it() {
    let mut world = batched();
    world.edit_rollout(|rollout| {
        rollout.spec.stages[0].batch.as_mut().unwrap().max_failures = Some(1);
    });
    world.reconcile();
    let failing = |world: &World, job: usize, count: usize| -> Vec<String> {
        world.jobs[job].devices.iter().take(count).cloned().collect()
    };
    let first = failing(&world, 0, 1);
    world.run_devices(|id| if first.contains(&id.to_owned()) { Fate::Fails } else { Fate::Succeeds });
    world.pass(30);
    world.reconcile();
    assert_eq!(sizes(&world), [10, 10], "one failure of the first batch is accepted");
    let second = failing(&world, 1, 2);
    let held = world.settle(|id| if second.contains(&id.to_owned()) { Fate::Fails } else { Fate::Succeeds });
    insta::assert_snapshot!(held.status.message, @"stage canary, gate batch.maxFailures: 2 devices failed since the last batch was sent, and at most 1 may");
    assert_eq!(sizes(&world), [10, 10]);
    let evidence = &held.status.stages[0].gates;
    assert_eq!(
        evidence.iter().filter(|gate| gate.failures == 2 && gate.allowed == Some(1)).count(),
        1,
        "{evidence:?}"
    );
    world.edit_rollout(|rollout| rollout.spec.stages[0].soak = "1m".parse().ok());
    assert_eq!(
        world.settle(|_| Fate::Succeeds).status.phase,
        RolloutPhase::Held,
        "another edit changes nothing"
    );
    world.edit_rollout(|rollout| rollout.spec.stages[0].batch.as_mut().unwrap().max_failures = Some(2));
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
    assert_eq!(sizes(&world), [10, 10, 10, 20]);
}
