//! Stages that may be sent at certain times only.

use super::world::{Fate, World};
use jiff::SignedDuration;
use rollwave::api::{RolloutPhase, StagePhase};
use rollwave::decide::{Action, Requeue};
use serde_json::{Value, json};

/// A night in Shanghai. The world begins on Tuesday 2023-11-14 at 22:13:20 UTC, when it is Wednesday 06:13:20 there.
fn nights() -> Value {
    json!([{"start": "01:00", "duration": "4h", "timeZone": "Asia/Shanghai"}])
}

fn world(stage: &Value) -> World {
    let mut rest = json!({"name": "rest", "select": {"rest": true}});
    rest.as_object_mut().unwrap().extend(stage.as_object().unwrap().clone());
    World::new(20, json!({"stages": [{"name": "canary", "select": {"count": 5}}, rest]}))
}

fn sent(world: &World) -> Vec<usize> {
    world.jobs.iter().map(|job| job.devices.len()).collect()
}

/// Until the last stage waits for its window.
fn waiting(stage: &Value) -> World {
    let mut world = world(stage);
    world.reconcile();
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    world.reconcile();
    assert_eq!(sent(&world), [5], "the canary has no windows");
    world
}

#[test]
fn a_stage_waits_for_its_window_and_is_looked_at_when_it_opens() {
    let mut world = waiting(&json!({"windows": nights()}));
    let plan = world.reconcile();
    assert_eq!(plan.actions, []);
    assert_eq!(
        plan.status.message,
        "stage rest (15 devices) is not released: it opens 2023-11-16 01:00 Asia/Shanghai"
    );
    let (opens, left) = (plan.status.stages[1].opens_at.unwrap(), SignedDuration::from_mins(18 * 60 + 46));
    assert_eq!(opens.to_string(), "2023-11-15T17:00:00Z");
    assert_eq!(plan.requeue, Requeue::After(left + SignedDuration::from_secs(10)));
    assert_eq!(world.reconcile().status, plan.status, "waiting writes nothing");

    world.now = opens - SignedDuration::from_secs(1);
    assert_eq!(world.reconcile().actions, []);
    world.now = opens;
    let plan = world.reconcile();
    assert!(matches!(&plan.actions[..], [Action::CreateJob { job, .. }] if job.devices.len() == 15));
    assert_eq!(plan.status.stages[1].opens_at, None);
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
}

#[test]
fn a_window_that_closes_while_a_stage_is_being_sent_leaves_the_rest_for_the_next_one() {
    let mut world = waiting(&json!({"windows": nights()}));
    world.capabilities.max_devices_per_job = 10;
    world.now = world.rollout_status().stages[1].opens_at.unwrap();
    let plan = world.plan_rollout();
    let [Action::CreateJob { job, .. }, Action::CreateJob { .. }] = &plan.actions[..] else {
        panic!("{:?}", plan.actions)
    };
    // The engine sends one job at a time, and asks again after each.
    world.rollout.status = Some(plan.status.clone());
    let id = world.create_job(job);
    let mut status = plan.status.clone();
    rollwave::decide::confirm::job_created(&mut status, "rest", job, &id, world.now);
    world.rollout.status = Some(status);
    world.pass(4 * 3600);
    let plan = world.reconcile();
    assert_eq!((sent(&world), plan.status.stages[1].phase), (vec![5, 10], StagePhase::Dispatching));
    assert!(
        plan.status.message.contains("(5 devices) is not released: it opens 2023-11-17 01:00"),
        "{plan:?}"
    );
    assert_eq!(plan.requeue, Requeue::After(rollwave::decide::POLL), "a job runs, and is looked at");
    world.run_devices(|_| Fate::Succeeds);
    world.now = plan.status.stages[1].opens_at.unwrap();
    world.reconcile();
    assert_eq!(sent(&world), [5, 10, 5]);
}

#[test]
fn devices_whose_job_was_stopped_are_sent_another_one_within_a_window_only() {
    let mut world = waiting(&json!({"windows": nights()}));
    world.now = world.rollout_status().stages[1].opens_at.unwrap();
    world.reconcile();
    world.pass(30);
    assert_eq!(world.reconcile().status.stages[1].phase, StagePhase::Running);
    world.edit_rollout(|rollout| rollout.spec.suspend = true);
    world.reconcile();
    assert!(world.rollout_status().stages[1].opens_at.is_none(), "it waits for somebody, and for no window");
    world.pass(5 * 3600);
    world.edit_rollout(|rollout| rollout.spec.suspend = false);
    let plan = world.reconcile();
    assert_eq!((sent(&world), plan.actions), (vec![5, 15], vec![]));
    assert_eq!(
        plan.status.message,
        "stage rest: 15 devices whose job was stopped get another one when it opens 2023-11-17 01:00 Asia/Shanghai"
    );
    world.now = plan.status.stages[1].opens_at.unwrap();
    world.reconcile();
    assert_eq!(sent(&world), [5, 15, 15]);
}

#[test]
fn nothing_is_sent_before_its_time() {
    let mut world = waiting(&json!({"notBefore": "2023-11-20T08:00:00+08:00"}));
    let plan = world.reconcile();
    assert_eq!(plan.status.message, "stage rest (15 devices) is not released: it opens 2023-11-20 00:00:00Z");
    world.now = plan.status.stages[1].opens_at.unwrap();
    assert_eq!(world.reconcile().actions.len(), 1);
}
