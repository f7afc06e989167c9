//! The judge, end to end: what a rollout and a package do in a tiny cloud.

mod batch;
mod control;
mod deadline;
mod defaults;
mod healthy;
mod laws;
mod new_devices;
mod ownership;
mod pace;
mod package;
mod preview;
mod questions;
mod ready_when;
mod requests;
mod retries;
mod runs;
mod safeguards;
mod scenarios;
mod sets;
mod strata;
mod success;
mod windows;
pub(crate) mod world;

use rollwave::api::{RolloutPhase, StagePhase};
use rollwave::decide::{Action, Requeue};
use serde_json::json;
use world::{Fate, World};

#[test]
fn a_good_release_converges_stage_by_stage() {
    let mut world = World::new(40, json!({}));
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
    assert_eq!(plan.requeue, Requeue::AtDriftInterval);
    let stages: Vec<_> =
        plan.status.stages.iter().map(|s| (s.name.as_str(), s.counts.succeeded, s.phase)).collect();
    assert_eq!(stages, [("canary", 10, StagePhase::Passed), ("rest", 30, StagePhase::Passed)]);
    assert_eq!(world.jobs.len(), 2);
    insta::assert_snapshot!(plan.status.message, @"40 of 40 devices run V2, 0 failed; 0 already ran it");
}

#[test]
fn a_bad_release_stops_at_its_canary() {
    let mut world = World::new(40, json!({}));
    let plan = world.settle(|_| Fate::Fails);
    assert_eq!(plan.status.phase, RolloutPhase::Held);
    assert_eq!(world.jobs.len(), 1);
    insta::assert_snapshot!(plan.status.message, @"stage canary, gate proven: 0 of 10 succeeded (0.0 %); needs 90 %, and at most 0.0 % can succeed");
    assert!(!plan.actions.iter().any(|a| matches!(a, Action::CreateJob { .. })));
}

#[test]
fn suspending_stops_jobs_and_resuming_sends_the_unfinished_devices_another_one() {
    let mut world = World::new(40, json!({}));
    world.reconcile();
    world.pass(30);
    world.run_devices(|id| if id.ends_with('1') { Fate::Succeeds } else { Fate::Sleeps });
    world.edit_rollout(|rollout| rollout.spec.suspend = true);
    let plan = world.reconcile();
    assert_eq!(plan.actions, [Action::StopJob { id: world.jobs[0].id.clone() }]);
    assert_eq!(plan.status.phase, RolloutPhase::Held);
    world.pass(30);
    assert_eq!(world.reconcile().actions, []);
    world.edit_rollout(|rollout| rollout.spec.suspend = false);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
    assert_eq!(world.jobs.len(), 3);
    assert_eq!(plan.status.stages[0].counts.succeeded, 10);
}

#[test]
fn a_deleted_rollout_stops_its_jobs_waits_for_them_and_goes() {
    let mut world = World::new(40, json!({}));
    world.reconcile();
    world.delete_rollout();
    let plan = world.reconcile();
    assert_eq!(plan.actions, [Action::StopJob { id: world.jobs[0].id.clone() }]);
    world.pass(30);
    assert_eq!(world.reconcile().actions, [Action::Release]);
}

#[test]
fn success_of_the_cloud_with_the_old_version_and_silence_are_failures() {
    for (fate, pick) in [(Fate::Lies, 0), (Fate::TimesOut, 1)] {
        let mut world = World::new(40, json!({}));
        let plan = world.settle(|_| fate);
        let counts = plan.status.stages[0].counts;
        assert_eq!([counts.reverted, counts.timed_out][pick], 10, "{counts:?}");
        assert_eq!(plan.status.phase, RolloutPhase::Held);
        assert_eq!(world.jobs.len(), 1);
    }
}
