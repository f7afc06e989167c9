//! What people ask for beside the spec: each request is followed once, and never past a stop.

use super::world::{Fate, World};
use rollwave::api::{OtaRolloutStatus, Request, RolloutPhase, StagePhase, condition_is_true};
use rollwave::decide::Action;
use serde_json::{Value, json};

fn reason(world: &World) -> String {
    let status = world.rollout_status();
    rollwave::api::find_condition(&status.conditions, "Ready").map(|c| c.reason.clone()).unwrap_or_default()
}

fn rules(status: &OtaRolloutStatus) -> Vec<&str> {
    status.decisions.iter().map(|decision| decision.rule.as_str()).collect()
}

/// Ten canaries of which two fail, and their gate with them.
fn with_a_failed_gate(spec: Value) -> World {
    let mut world = World::new(40, spec);
    world.reconcile();
    let failing: Vec<String> = world.jobs[0].devices.iter().take(2).cloned().collect();
    world.run_devices(|id| if failing.contains(&id.to_owned()) { Fate::Fails } else { Fate::Succeeds });
    world.pass(30);
    world.reconcile();
    world
}

#[test]
fn a_pause_sends_nothing_stops_what_runs_and_ends_with_resume_however_often_it_is_looked_at() {
    let mut world = World::new(40, json!({}));
    world.reconcile();
    world.ask(Request::Pause);
    let plan = world.reconcile();
    assert_eq!(plan.actions, [Action::StopJob { id: "job-2".into() }]);
    assert_eq!((reason(&world).as_str(), plan.status.phase), ("Paused", RolloutPhase::Held));
    assert!(plan.status.message.starts_with("paused by request since 2023-"), "{}", plan.status.message);
    for (type_, holds) in [("Suspended", true), ("Stalled", false), ("Reconciling", false), ("Ready", false)]
    {
        assert_eq!(condition_is_true(&plan.status.conditions, type_), holds, "{type_}");
    }
    assert_eq!(
        plan.status.last_handled_pause_at,
        Request::Pause.of(&world.rollout.metadata).map(str::to_owned)
    );
    // The annotation is lost, say by a restore: it stays paused.
    world.rollout.metadata.annotations = None;
    world.pass(30);
    assert_eq!(world.reconcile().status.paused_at, plan.status.paused_at);
    // The note is lost, and the annotation is not: it stays paused, too.
    world.ask(Request::Pause);
    world.rollout.status.as_mut().unwrap().paused_at = None;
    world.reconcile();
    assert_eq!(reason(&world), "Paused");
    world.pass(1);
    world.ask(Request::Resume);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.phase, plan.status.paused_at), (RolloutPhase::Completed, None));
    assert!(!condition_is_true(&plan.status.conditions, "Suspended"));
    assert!(rules(&plan.status).contains(&"Resumed"), "{:?}", rules(&plan.status));
    assert_eq!(plan.status.stages[0].jobs.len(), 2, "those that were stopped got another job");
}

#[test]
fn paused_before_anything_was_sent_and_suspended_are_told_apart_and_both_must_end() {
    let mut world = World::new(40, json!({"suspend": true}));
    world.ask(Request::Pause);
    let message = world.reconcile().status.message;
    assert!(message.starts_with("suspended, and paused by request since"), "{message}");
    world.edit_rollout(|rollout| rollout.spec.suspend = false);
    let message = world.reconcile().status.message;
    assert!(
        message.starts_with("paused by request since") && message.ends_with("nothing was sent yet"),
        "{message}"
    );
    assert_eq!(world.jobs.len(), 0);
    world.delete_rollout();
    assert_eq!(world.plan_rollout().actions, [Action::Release], "a paused rollout can be deleted");
}

#[test]
fn a_pause_outlives_another_package() {
    let mut world = World::new(40, json!({}));
    world.reconcile();
    world.run_devices(|_| Fate::Succeeds);
    world.ask(Request::Pause);
    world.reconcile();
    world.package.spec.version = "V3".into();
    world.rollout.metadata.annotations = None;
    world.pass(30);
    let plan = world.reconcile();
    assert_eq!(reason(&world), "Paused", "{}", plan.status.message);
    assert!(plan.status.stages.iter().all(|stage| stage.jobs.is_empty()), "the stages speak of the new one");
}

#[test]
fn a_retry_after_a_failed_gate_sends_to_those_that_failed_alone_and_asks_the_gate_anew() {
    let mut world = with_a_failed_gate(json!({}));
    assert_eq!(reason(&world), "GateFailed");
    world.ask(Request::Retry);
    let plan = world.reconcile();
    let [Action::CreateJob { job, .. }] = plan.actions.as_slice() else { panic!("{:?}", plan.actions) };
    assert_eq!(job.devices, world.jobs[0].devices[..2]);
    assert_eq!((reason(&world).as_str(), plan.status.stages[0].counts.failures()), ("StageRetried", 0));
    assert!(rules(&plan.status).contains(&"RetryTaken"), "{:?}", rules(&plan.status));
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(
        (plan.status.phase, world.jobs.len()),
        (RolloutPhase::Completed, 3),
        "{}",
        plan.status.message
    );
    assert!(plan.status.stages[0].jobs.iter().all(|job| !job.retry_ordered), "it was followed once");
}

#[test]
fn a_gate_that_fails_again_after_a_retry_holds_again() {
    let mut world = with_a_failed_gate(json!({}));
    world.ask(Request::Retry);
    let plan = world.settle(|_| Fate::Fails);
    assert_eq!((reason(&world).as_str(), world.jobs.len()), ("GateFailed", 2), "{}", plan.status.message);
    assert_eq!(world.reconcile().actions, [], "one attempt a request");
}

/// The state was restored to what it was before the request was taken, and the job that was sent for it has failed by then.
#[test]
fn a_request_that_a_restored_state_has_not_taken_does_not_try_a_device_twice() {
    let mut world = with_a_failed_gate(json!({}));
    world.ask(Request::Retry);
    let before = world.rollout.status.clone();
    world.settle(|_| Fate::Fails);
    assert_eq!(world.jobs.len(), 2);
    world.rollout.status = before;
    let plan = world.settle(|_| Fate::Fails);
    assert_eq!((reason(&world).as_str(), world.jobs.len()), ("GateFailed", 2), "{}", plan.status.message);
}

#[test]
fn a_retry_of_a_completed_rollout_leaves_its_stages_passed() {
    let mut world = World::new(10, json!({}));
    world.reconcile();
    let failing = world.jobs[0].devices[0].clone();
    let plan = world.settle(|id| if id == failing { Fate::TimesOut } else { Fate::Succeeds });
    assert_eq!(plan.status.phase, RolloutPhase::Completed);
    world.ask(Request::Retry);
    world.reconcile();
    assert_eq!(world.jobs[1].devices, [failing]);
    world.pass(30);
    let plan = world.settle(|_| Fate::Succeeds);
    assert!(condition_is_true(&plan.status.conditions, "Ready"));
    assert_eq!(
        (plan.status.stages[0].phase, plan.status.stages[0].counts.succeeded),
        (StagePhase::Passed, 10)
    );
}

#[test]
fn devices_that_went_back_are_tried_again_and_only_while_a_request_is_fresh() {
    let mut world = World::new(10, json!({"stages": [{"name": "all", "select": {"rest": true}}]}));
    world.reconcile();
    let liar = world.jobs[0].devices[3].clone();
    world.settle(|id| if id == liar { Fate::Lies } else { Fate::Succeeds });
    world.ask(Request::Retry);
    world.settle(|_| Fate::Succeeds);
    assert_eq!(world.jobs[1].devices, std::slice::from_ref(&liar));
    // It goes back later: nobody asked about that.
    world.devices.get_mut(&liar).unwrap().firmware = Some("V1".into());
    world.pass(3_600);
    world.settle(|_| Fate::Succeeds);
    assert_eq!(world.jobs.len(), 2);
}

/// Its job said success, so it went back, whatever the others of the job did.
#[test]
fn a_device_that_went_back_is_not_sent_again_with_those_that_a_pause_had_stopped() {
    let mut world = World::new(40, json!({}));
    world.reconcile();
    let [liar, updated] = [0, 1].map(|n| world.jobs[0].devices[n].clone());
    world.run_devices(|id| match id {
        _ if id == liar => Fate::Lies,
        _ if id == updated => Fate::Succeeds,
        _ => Fate::Sleeps,
    });
    for request in [Request::Pause, Request::Resume] {
        world.ask(request);
        world.reconcile();
        world.pass(60);
    }
    assert_eq!(world.jobs[1].devices.len(), 8, "those that were stopped");
    world.settle(|_| Fate::Succeeds);
    let resent = world.jobs.iter().skip(1).filter(|job| job.devices.contains(&liar)).count();
    assert_eq!(resent, 0, "{:?}", world.rollout_status().stages[0]);
    assert_eq!(world.rollout_status().stages[0].counts.reverted, 1);
}

#[test]
fn a_retry_waits_for_the_job_to_end_and_for_a_pause_to_end() {
    let mut world = World::new(40, json!({}));
    world.reconcile();
    let failing = world.jobs[0].devices[0].clone();
    world.run_devices(|id| if id == failing { Fate::Fails } else { Fate::Sleeps });
    world.reconcile();
    world.ask(Request::Retry);
    world.pass(30);
    assert_eq!(world.reconcile().actions, [], "its job still runs");
    world.ask(Request::Pause);
    world.reconcile();
    world.pass(30);
    assert_eq!(world.reconcile().actions, []);
    world.ask(Request::Resume);
    let plan = world.reconcile();
    let [Action::CreateJob { job, .. }] = plan.actions.as_slice() else { panic!("{:?}", plan.actions) };
    assert_eq!(job.devices.len(), 10, "nine were stopped, and one had failed");
}

/// A request that nobody answers is waited for by whoever made it.
#[test]
fn a_retry_is_refused_at_once_where_nothing_was_sent_the_package_is_gone_or_the_stages_cannot_be_followed() {
    let mut suspended = World::new(40, json!({"suspend": true}));
    let mut waiting = World::new(40, json!({}));
    waiting.package.status = None;
    let mut without_package = with_a_failed_gate(json!({}));
    without_package.package_is_gone = true;
    let mut renamed = with_a_failed_gate(json!({}));
    renamed.edit_rollout(|rollout| rollout.spec.stages[0].name = "other".into());
    let cases = [
        (&mut suspended, "no device has failed"),
        (&mut waiting, "no device has failed"),
        (&mut without_package, "OtaPackage meter-v2 does not exist"),
        (&mut renamed, "stage canary was dispatched as number 1"),
    ];
    for (world, why) in cases {
        world.ask(Request::Retry);
        let status = world.reconcile().status;
        let answer = status.decisions.iter().rfind(|decision| decision.rule == "RetryRefused");
        let answer = answer.map(|decision| decision.message.clone()).unwrap_or_default();
        assert!(answer.starts_with(&format!("retry refused: {why}")), "{why}: {status:?}");
        assert_eq!(status.last_handled_retry_at.as_deref(), Request::Retry.of(&world.rollout.metadata));
    }
}

#[test]
fn what_a_stop_rule_stopped_is_not_tried_again_and_nothing_is_where_nothing_failed() {
    let stop = json!([{"name": "any", "method": "Count", "maxFailure": 1}]);
    let mut world = with_a_failed_gate(json!({ "stop": stop }));
    assert_eq!(reason(&world), "StopRuleFired");
    world.ask(Request::Retry);
    let plan = world.reconcile();
    assert_eq!((plan.actions.as_slice(), reason(&world).as_str()), (&[][..], "StopRuleFired"));
    assert!(rules(&plan.status).contains(&"RetryRefused"), "{:?}", rules(&plan.status));
    // A rule that would fire on what was seen just now is stronger, too.
    let mut world = World::new(40, json!({ "stop": stop }));
    world.reconcile();
    world.run_devices(|_| Fate::Fails);
    world.ask(Request::Retry);
    world.reconcile();
    assert_eq!(reason(&world), "StopRuleFired");
    let mut world = World::new(40, json!({}));
    world.reconcile();
    world.ask(Request::Retry);
    assert!(rules(&world.reconcile().status).contains(&"RetryRefused"));
}
