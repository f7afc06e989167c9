//! What external jobs are asked before a stage is sent.

use super::world::{Fate, World};
use rollwave::api::{RolloutPhase, find_condition};
use rollwave::cloud::{Capabilities, Delivery, Job, JobCounts, JobPurpose, JobState, NewJob, PackageKind};
use rollwave::decide::needs;
use serde_json::json;

#[test]
fn jobs_of_somebody_else_are_asked_for_what_is_about_to_be_sent_where_rows_do_not_tell() {
    let job = |id: &str, token: Option<&str>, state, devices: &[&str]| Job {
        id: id.into(),
        token: token.map(str::to_owned),
        title: String::new(),
        kind: PackageKind::Firmware,
        module: None,
        package_ids: Vec::new(),
        devices: devices.iter().map(|id| (*id).to_owned()).collect(),
        delivery: None,
        state,
        counts: JobCounts::default(),
        created_at: None,
    };
    let jobs = [
        job("nameless", None, JobState::Running, &[]),
        job("planned", None, JobState::Queued, &["a", "z"]),
        job("others", None, JobState::Running, &["z"]),
        job("over", None, JobState::Stopped, &[]),
        job("ours", Some("t"), JobState::Running, &["a"]),
        job("odd", None, JobState::Unknown("x".into()), &["b"]),
    ];
    let mut new = NewJob {
        token: "t".into(),
        title: String::new(),
        purpose: JobPurpose::Upgrade,
        package: needs::package_key(&World::new(1, json!({})).package),
        package_id: "p".into(),
        devices: vec!["a".into(), "b".into()],
        from_versions: Vec::new(),
        delivery: Delivery::default(),
    };
    let asked = |new: &NewJob, most| {
        let limits = Capabilities { max_devices_per_question: most, ..World::new(1, json!({})).capabilities };
        let questions = needs::questions(new, jobs.iter(), &limits);
        questions.into_iter().map(|asked| (asked.job, asked.devices.concat())).collect::<Vec<_>>()
    };
    let expected = [("nameless", "ab"), ("odd", "b"), ("planned", "a")];
    assert_eq!(asked(&new, 50), expected.map(|(job, devices)| (job.to_owned(), devices.to_owned())));
    assert_eq!(asked(&new, 0), [], "no call asks so");
    let old = |n: i64| Job {
        created_at: Some(jiff::Timestamp::from_second(n).unwrap()),
        ..job(&format!("j{n}"), None, JobState::Running, &[])
    };
    let thousands: Vec<Job> = (0..5_000).map(old).collect();
    let limits = Capabilities { max_devices_per_question: 1, ..World::new(1, json!({})).capabilities };
    let asked_of = |jobs: &[Job]| needs::within_limit(needs::questions(&new, jobs.iter(), &limits));
    assert_eq!(asked_of(&thousands), Err(5_000), "those that are left out could hold the devices");
    let youngest: Vec<String> = (0..40).rev().map(|n| format!("j{n}")).collect();
    let all = asked_of(&thousands[..40]).unwrap();
    assert_eq!(all.into_iter().map(|asked| asked.job).collect::<Vec<_>>(), youngest, "the youngest first");
    new.delivery.overwrite = Some(true);
    assert_eq!(asked(&new, 50), [], "it takes the place of others");
}

/// The reason of the rollout's or the package's condition `type_`.
fn reason<'a>(conditions: &'a [rollwave::api::Condition], type_: &str) -> &'a str {
    find_condition(conditions, type_).map_or("", |condition| &condition.reason)
}

const TOO_MANY: &str = "60 external jobs may hold these devices, and at most 40 are queried before a dispatch; \
                        stop external jobs that are not needed any more";

#[test]
fn a_rollout_is_held_while_too_many_external_jobs_may_hold_its_devices_and_goes_on_by_itself() {
    let mut world = World::new(10, json!({}));
    world.unasked_jobs = 60;
    let held = world.reconcile();
    assert_eq!((held.actions, held.status.phase), (vec![], RolloutPhase::Held));
    assert_eq!(reason(&held.status.conditions, "Stalled"), "TooManyExternalJobs");
    assert!(held.status.message.ends_with(TOO_MANY), "{}", held.status.message);
    world.unasked_jobs = 0;
    let done = world.settle(|_| Fate::Succeeds);
    assert_eq!(done.status.phase, RolloutPhase::Completed, "{}", done.status.message);
}

#[test]
fn what_runs_is_observed_and_stopped_while_the_rest_waits_for_external_jobs() {
    let stop = json!([{"name": "s", "method": "Count", "maxFailure": 1}]);
    let stages = json!([{"name": "canary", "select": {"count": 20}}]);
    let mut world = World::new(20, json!({"stages": stages, "stop": stop}));
    world.capabilities.max_devices_per_job = 10;
    world.reconcile();
    world.unasked_jobs = 60;
    let held = world.reconcile();
    assert_eq!(
        (world.jobs.len(), reason(&held.status.conditions, "Progressing")),
        (1, "TooManyExternalJobs")
    );
    assert_eq!(held.requeue, rollwave::decide::Requeue::After(rollwave::decide::POLL), "its job is watched");
    world.run_devices(|_| Fate::Fails);
    let stopped = world.reconcile();
    assert_eq!(stopped.status.stages[0].counts.failures(), 10);
    assert_eq!(reason(&stopped.status.conditions, "Progressing"), "StopRuleFired");
}

#[test]
fn a_verification_waits_while_too_many_external_jobs_may_hold_its_devices() {
    let verification = json!({"verification": {"devices": ["dev-000"], "timeout": "1h"}});
    let mut world = World::with_package(4, verification, json!({}));
    world.reconcile_package();
    world.unasked_jobs = 60;
    assert_eq!(world.reconcile_package().actions, []);
    let conditions = &world.package.status.as_ref().unwrap().conditions;
    assert_eq!(reason(conditions, "Stalled"), "TooManyExternalJobs");
    assert_eq!(
        find_condition(conditions, "Stalled").unwrap().message,
        format!("verification waits: {TOO_MANY}")
    );
    world.unasked_jobs = 0;
    assert!(!world.reconcile_package().actions.is_empty(), "it goes on by itself");
}
