//! A verification that failed is tried again when somebody asks for it: once, under another token, and for those alone that do not
//! run the version.

use super::world::{Fate, World, device};
use rollwave::api::{OtaPackageStatus, Request, VERIFIED, condition_is_true};
use rollwave::cloud::{JobState, NewJob};
use rollwave::decide::Action;
use serde_json::json;

fn world() -> World {
    let verification = json!({"devices": ["dev-000", "dev-001"], "timeout": "1h"});
    World::with_package(4, json!({"verification": verification}), json!({}))
}

/// The first device runs the version, and the other one met its fate.
fn failed(fate: Fate) -> World {
    let mut world = world();
    for _ in 0..3 {
        world.reconcile_package();
    }
    world.run_devices(|id| if id == "dev-000" { Fate::Succeeds } else { fate });
    world.reconcile_package();
    world.pass(3_600);
    world.reconcile_package();
    assert!(status(&world).message.contains("verification failed"), "{fate:?}: {}", status(&world).message);
    world
}

fn ask(world: &mut World) {
    world.pass(1);
    let annotations = world.package.metadata.annotations.get_or_insert_default();
    annotations.insert(Request::Retry.annotation().to_owned(), world.now.to_string());
}

fn status(world: &World) -> &OtaPackageStatus {
    world.package.status.as_ref().unwrap()
}

/// What came of requests, oldest first.
fn answers(world: &World) -> Vec<(&str, &str)> {
    let decisions = status(world).decisions.iter().filter(|decision| decision.rule.starts_with("Retry"));
    decisions.map(|decision| (decision.rule.as_str(), decision.message.as_str())).collect()
}

fn created(actions: &[Action]) -> &NewJob {
    let [Action::CreateJob { stage: None, job }] = actions else { panic!("no verify job: {actions:?}") };
    job
}

#[test]
fn a_request_verifies_once_more_those_that_do_not_run_the_version() {
    for fate in [Fate::Fails, Fate::TimesOut, Fate::Lies, Fate::Sleeps] {
        let mut world = failed(fate);
        let first = status(&world).verification.clone().unwrap();
        ask(&mut world);
        if fate == Fate::Sleeps {
            let id = first.job_id.clone().unwrap();
            let plan = world.reconcile_package();
            assert_eq!(plan.actions, [Action::StopJob { id }], "it waits for a device for ever");
            assert_eq!(plan.status.last_handled_retry_at, None, "it is answered when the job has ended");
        }
        let plan = world.reconcile_package();
        let job = created(&plan.actions);
        assert_eq!((job.devices.as_slice(), job.token == first.token), (&["dev-001".to_owned()][..], false));
        let noted = plan.status.verification.as_ref().unwrap();
        assert_eq!((noted.attempt, &noted.token), (1, &job.token), "noted before it is sent");
        let asked = Request::Retry.of(&world.package.metadata);
        assert_eq!(plan.status.last_handled_retry_at.as_deref(), asked);
        assert_eq!(world.reconcile_package().actions, [], "{fate:?}: it is followed once");
        world.run_devices(|_| Fate::Succeeds);
        let plan = world.reconcile_package();
        assert!(condition_is_true(&plan.status.conditions, VERIFIED), "{fate:?}: {}", plan.status.message);
        assert_eq!((plan.actions, world.jobs.len()), (vec![], 2));
        let words = "verified again by request, on 1 device that does not run the version";
        assert_eq!(answers(&world), [("RetryTaken", words)]);
    }
}

#[test]
fn it_may_fail_again_and_be_tried_again() {
    let mut world = failed(Fate::Fails);
    let mut tokens = vec![status(&world).verification.clone().unwrap().token];
    for attempt in 1..4 {
        ask(&mut world);
        tokens.push(created(&world.reconcile_package().actions).token.clone());
        world.run_devices(|_| Fate::Fails);
        world.reconcile_package();
        let verification = status(&world).verification.as_ref().unwrap();
        assert_eq!((verification.attempt, verification.counts.failed), (attempt, 1));
        assert!(!condition_is_true(&status(&world).conditions, VERIFIED));
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!((tokens.len(), world.jobs.len()), (4, 4));
}

#[test]
fn what_is_already_in_the_cloud_is_found_again_by_whoever_lost_the_state() {
    for keeps_annotation in [true, false] {
        let mut world = failed(Fate::Fails);
        ask(&mut world);
        world.reconcile_package();
        world.package.status = None;
        if !keeps_annotation {
            world.package.metadata.annotations = None;
        }
        for _ in 0..3 {
            world.reconcile_package();
        }
        assert_eq!((world.jobs.len(), status(&world).verification.as_ref().unwrap().attempt), (2, 1));
        world.run_devices(|_| Fate::Succeeds);
        world.reconcile_package();
        assert!(condition_is_true(&status(&world).conditions, VERIFIED));
        assert_eq!(world.jobs.len(), 2, "it was sent to nobody again");
    }
}

#[test]
fn where_a_job_cannot_be_stopped_it_is_waited_for() {
    let mut world = failed(Fate::Sleeps);
    world.capabilities.stops_jobs = false;
    ask(&mut world);
    for _ in 0..2 {
        let plan = world.reconcile_package();
        assert_eq!((plan.actions, plan.status.last_handled_retry_at), (vec![], None));
        let message = &status(&world).message;
        assert!(message.ends_with("it is verified again, as asked, once job job-2 has ended"), "{message}");
    }
    world.jobs[0].state = JobState::Failed;
    assert_eq!(created(&world.reconcile_package().actions).devices, ["dev-001"]);
}

/// A world, how it comes to where it is, and why nothing is tried again there.
type Case<'a> = (World, &'a dyn Fn(&mut World), &'a str);

#[test]
fn where_nothing_can_be_tried_again_it_says_why_once() {
    let verifying = |world: &mut World| drop((0..3).map(|_| world.reconcile_package()).collect::<Vec<_>>());
    let verified = |world: &mut World| {
        verifying(world);
        world.run_devices(|_| Fate::Succeeds);
        world.reconcile_package();
    };
    let none = || World::with_package(1, json!({}), json!({}));
    let cases: [Case<'_>; 3] = [
        (none(), &|world| world.make_ready(), "spec.verification asks for none"),
        (world(), &verifying, "no verification has failed"),
        (world(), &verified, "no verification has failed"),
    ];
    for (mut world, prepare, why) in cases {
        prepare(&mut world);
        let jobs = world.jobs.len();
        ask(&mut world);
        for _ in 0..2 {
            assert_eq!(world.reconcile_package().actions, []);
        }
        assert_eq!(answers(&world), [("RetryRefused", format!("nothing is tried again: {why}").as_str())]);
        assert_eq!((world.jobs.len(), status(&world).last_handled_retry_at.is_some()), (jobs, true));
    }
}

#[test]
fn a_cloud_that_calls_failed_what_every_device_runs_is_told_other_devices() {
    let mut world = world();
    for name in ["dev-000", "dev-001"] {
        world.devices.insert(name.into(), device(name, "V2"));
    }
    world.reconcile_package();
    world.packages[0].row.verification = Some(rollwave::cloud::CloudVerification::Failed);
    world.reconcile_package();
    ask(&mut world);
    assert_eq!(world.reconcile_package().actions, []);
    let [("RetryRefused", why)] = answers(&world)[..] else { panic!("{:?}", answers(&world)) };
    assert!(why.ends_with("name others, that do not run it yet"), "{why}");
}
