//! The traps that other rollout engines fell into, one by one.

use super::world::{Fate, World, device};
use rollwave::api::{RolloutPhase, StagePhase, StageStatus};
use rollwave::cloud::{CloudKind, JobState, defaults::capabilities_of};
use rollwave::decide::clocks::{Boot, Clocks, CloudTime};
use rollwave::decide::{Action, Requeue, needs, needs::Need};
use serde_json::{Value, json};

fn reason(world: &World) -> String {
    let status = world.rollout_status();
    rollwave::api::find_condition(&status.conditions, "Ready").map(|c| c.reason.clone()).unwrap_or_default()
}

fn stage(world: &World, index: usize) -> StageStatus {
    world.rollout_status().stages[index].clone()
}

fn ratio(min: &str) -> Value {
    json!([{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": min}}])
}

/// What says that the jobs are looked at.
const JOBS: Need = Need::Jobs(rollwave::cloud::PackageKind::Firmware);

/// A canary that has been sent, and whose devices met their fate.
fn after_canary(spec: Value, fate: impl Fn(&str) -> Fate) -> World {
    let mut world = World::new(40, spec);
    world.reconcile();
    world.run_devices(fate);
    world.pass(30);
    world
}

#[test]
fn a_rollout_that_never_sent_anything_leaves_without_a_look_at_the_cloud() {
    let mut world = World::new(4, json!({}));
    let unseen = |world: &World| rollwave::decide::rollout::plan_unseen(&world.rollout, world.now);
    assert_eq!(unseen(&world), None, "it is wanted");
    world.delete_rollout();
    assert_eq!(unseen(&world).unwrap().actions, [Action::Release]);
    let mut world = World::new(4, json!({}));
    world.reconcile();
    assert!(!world.rollout_status().stages[0].jobs.is_empty());
    world.delete_rollout();
    assert_eq!(unseen(&world), None, "its job has to end");
}

#[test]
fn all_timed_out_or_all_stopped_releases_nothing() {
    let mut silent = after_canary(json!({}), |_| Fate::TimesOut);
    silent.reconcile();
    assert_eq!((reason(&silent).as_str(), silent.jobs.len()), ("GateFailed", 1));

    let mut stopped = after_canary(json!({}), |_| Fate::Sleeps);
    let id = stopped.jobs[0].id.clone();
    stopped.stop(&id);
    stopped.reconcile();
    assert_eq!((reason(&stopped).as_str(), stopped.jobs.len()), ("JobStopped", 1));
}

#[test]
fn targets_that_match_nobody_are_not_a_success() {
    let mut world = World::new(0, json!({}));
    world.reconcile();
    assert_eq!((reason(&world).as_str(), world.rollout_status().phase), ("NoDevices", RolloutPhase::Held));
}

#[test]
fn a_fleet_that_runs_the_version_already_is_done_without_a_job() {
    let mut world = World::new(5, json!({}));
    world.devices.values_mut().for_each(|device| device.firmware = Some("V2".into()));
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.phase, world.jobs.len()), (RolloutPhase::Completed, 0));
    assert_eq!(plan.status.excluded.already_current, 5);
}

#[test]
fn stages_that_disappear_hold() {
    let stages = json!([
        {"name": "canary", "select": {"count": 5}, "gates": ratio("90%")},
        {"name": "half", "select": {"percent": "50%"}, "gates": ratio("90%")}
    ]);
    let world = after_canary(json!({ "stages": stages }), |_| Fate::Succeeds);
    let removed = |index: usize| {
        let mut world = world.clone();
        world.edit_rollout(|rollout| drop(rollout.spec.stages.remove(index)));
        assert_eq!(world.reconcile().actions, [], "{}", world.rollout_status().message);
        assert_eq!(reason(&world), "StagesChanged");
        assert_eq!(world.reconcile().actions, []);
    };
    removed(0);
    removed(1);
}

#[test]
fn an_edited_gate_is_judged_anew_and_sends_nothing_again() {
    let mut world =
        after_canary(json!({}), |id| if id.ends_with('0') { Fate::Fails } else { Fate::Succeeds });
    world.edit_rollout(|r| r.spec.stages[0].gates = serde_json::from_value(ratio("100%")).ok());
    world.reconcile();
    let failed = stage(&world, 0).counts.failed;
    assert!(failed > 0 && reason(&world) == "GateFailed", "{failed}");
    world.edit_rollout(|r| r.spec.stages[0].gates = serde_json::from_value(ratio("50%")).ok());
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
    assert_eq!((world.jobs.len(), stage(&world, 0).counts.failed), (2, failed));
}

#[test]
fn a_gate_that_failed_stays_failed_when_a_device_recovers() {
    let mut world = after_canary(json!({}), |_| Fate::Fails);
    world.reconcile();
    world.devices.values_mut().for_each(|device| device.firmware = Some("V2".into()));
    world.pass(30);
    world.reconcile();
    assert_eq!((reason(&world).as_str(), world.jobs.len()), ("GateFailed", 1));
}

#[test]
fn a_device_that_is_deleted_leaves_the_denominator() {
    let mut world = after_canary(json!({}), |_| Fate::Sleeps);
    let gone = world.jobs[0].devices[0].clone();
    world.devices.remove(&gone);
    world.reconcile();
    assert_eq!(stage(&world, 0).counts.assigned, 9);
}

#[test]
fn a_stage_whose_devices_all_vanish_proves_nothing() {
    let mut world = after_canary(json!({}), |_| Fate::Sleeps);
    for id in world.jobs[0].devices.clone() {
        world.devices.remove(&id);
    }
    assert_eq!(world.reconcile().actions, []);
    assert_eq!(reason(&world), "NoDevicesLeft");
}

#[test]
fn a_device_that_joins_is_taken_by_a_later_stage_only() {
    let mut world = after_canary(json!({}), |_| Fate::Succeeds);
    world.devices.insert("new".into(), device("new", "V1"));
    world.settle(|_| Fate::Succeeds);
    assert_eq!((world.jobs[0].devices.len(), world.jobs[1].devices.len()), (10, 31));
}

#[test]
fn a_stop_rule_fires_at_its_threshold_also_while_a_stage_soaks() {
    let spec = json!({
        "stages": [{"name": "canary", "select": {"count": 10}, "soak": "1d", "gates": ratio("50%")}],
        "stop": [{"name": "too-many", "method": "Count", "maxFailure": 2, "action": "Abort"}]
    });
    let mut world = after_canary(spec, |_| Fate::Succeeds);
    let plan = world.reconcile();
    assert_eq!(
        (reason(&world).as_str(), plan.requeue),
        ("StageSoaking", Requeue::After(jiff::SignedDuration::from_hours(24)))
    );
    for id in world.jobs[0].devices.clone().into_iter().take(2) {
        world.devices.insert(id.clone(), device(&id, "V1"));
    }
    world.pass(600);
    world.reconcile();
    assert_eq!(world.rollout_status().phase, RolloutPhase::Aborted);
    insta::assert_snapshot!(world.rollout_status().message, @"aborted: 2 devices failed; stop rule too-many fires at 2");
    world.pass(86_400);
    assert_eq!(world.reconcile().actions, []);
    assert_eq!(world.rollout_status().phase, RolloutPhase::Aborted);
}

#[test]
fn a_soak_ends_exactly_and_on_a_look_that_was_taken_after_it() {
    let spec =
        json!({"stages": [{"name": "canary", "select": {"count": 10}, "soak": "1h", "gates": ratio("90%")}]});
    let mut world = after_canary(spec, |_| Fate::Succeeds);
    world.reconcile();
    world.pass(3_599);
    let plan = world.reconcile();
    assert_eq!((plan.actions.len(), plan.requeue), (0, Requeue::After(jiff::SignedDuration::from_secs(1))));
    world.pass(1);
    assert!(matches!(world.reconcile().actions[..], [Action::CreateJob { .. }]));
}

#[test]
fn a_soak_that_began_in_the_future_begins_anew() {
    let spec =
        json!({"stages": [{"name": "canary", "select": {"count": 10}, "soak": "1h", "gates": ratio("90%")}]});
    let mut world = after_canary(spec, |_| Fate::Succeeds);
    world.reconcile();
    let began = world.now;
    for stage in &mut world.rollout.status.as_mut().unwrap().stages {
        // Written by a process whose clock was a day ahead.
        stage.observed_at =
            stage.observed_at.map(|at| at.saturating_add(jiff::SignedDuration::from_hours(24)).unwrap());
    }
    world.pass(1);
    let plan = world.reconcile();
    assert_eq!((plan.actions.len(), plan.requeue), (0, Requeue::After(jiff::SignedDuration::from_hours(1))));
    let observed = world.rollout_status().stages[0].observed_at.unwrap();
    assert!(observed > began && observed <= world.now);
    world.pass(3_600);
    assert!(matches!(world.reconcile().actions[..], [Action::CreateJob { .. }]));
}

#[test]
fn a_clock_that_was_set_forward_between_two_processes_ends_no_soak() {
    let spec =
        json!({"stages": [{"name": "canary", "select": {"count": 10}, "soak": "1h", "gates": ratio("90%")}]});
    let says = |said| Some(CloudTime { earliest: said, latest: said });
    // The cloud's time never known; right; an hour ahead after the restart; and known only after it.
    for (name, before, after) in [
        ("no Date", None, None),
        ("a Date", Some(0), Some(0)),
        ("a gateway an hour ahead, too", Some(0), Some(3_600)),
        ("no Date before the restart", None, Some(0)),
    ] {
        let mut world = after_canary(spec.clone(), |_| Fate::Succeeds);
        let truth = world.now;
        let cloud = |ahead: Option<i64>, truth: jiff::Timestamp| {
            ahead.and_then(|ahead| says(truth + jiff::SignedDuration::from_secs(ahead)))
        };
        world.clocks = Clocks { steady_since: truth, boot: None, cloud: cloud(before, truth) };
        world.reconcile();
        // Killed at once, and started a minute later with a clock that is three hours ahead.
        world.pass(3 * 3_600 + 60);
        let truth = truth + jiff::SignedDuration::from_secs(60);
        world.clocks = Clocks { steady_since: world.now, boot: None, cloud: cloud(after, truth) };
        let plan = world.reconcile();
        assert_eq!(plan.actions, [], "{name}");
        let until = world.rollout_status().stages[0].soaks_until.unwrap();
        assert_eq!(until, world.now + jiff::SignedDuration::from_hours(1), "{name}");
        world.pass(3_599);
        assert_eq!(world.reconcile().actions, [], "{name}");
        world.pass(1);
        assert!(matches!(world.reconcile().actions[..], [Action::CreateJob { .. }]), "{name}");
        assert_eq!(world.rollout_status().stages[0].soaks_until, None, "{name}");
    }
}

#[test]
fn processes_that_live_shortly_end_a_soak_on_time_whatever_the_clock_is_set_to() {
    let spec =
        json!({"stages": [{"name": "canary", "select": {"count": 10}, "soak": "1h", "gates": ratio("90%")}]});
    let secs = jiff::SignedDuration::from_secs;
    for (name, set_by) in [("a sane clock", 0), ("set forward", 7_200), ("set back", -7_200)] {
        let mut world = after_canary(spec.clone(), |_| Fate::Succeeds);
        let booted = world.now - secs(86_400);
        // A process a minute, of which each sees the rollout once; the clock is set after the first of them.
        let mut ends = Vec::new();
        for minute in 0..60 {
            let ahead = secs(if minute == 0 { 0 } else { set_by });
            world.clocks.steady_since = world.now;
            world.clocks.boot = Some(Boot { id: 7, at: booted + ahead });
            assert_eq!(world.reconcile().actions, [], "{name}, minute {minute}");
            ends.push(world.rollout_status().stages[0].soaks_until.unwrap() - ahead);
            world.pass(60 + if minute == 0 { set_by } else { 0 });
        }
        assert!(ends.iter().all(|end| *end == booted + secs(86_400 + 3_600)), "{name}: {ends:?}");
        assert!(matches!(world.reconcile().actions[..], [Action::CreateJob { .. }]), "{name}");
    }
}

#[test]
fn another_package_begins_anew_after_the_old_jobs_are_over() {
    let mut world = after_canary(json!({}), |_| Fate::Sleeps);
    let old = world.jobs[0].id.clone();
    world.package.spec.artifact.sha256 = Some("cd".repeat(32));
    assert_eq!(world.reconcile().actions, [Action::StopJob { id: old }]);
    world.pass(30);
    let plan = world.reconcile();
    assert!(matches!(&plan.actions[..], [Action::CreateJob { stage: Some(name), .. }] if name == "canary"));
    assert_ne!(world.jobs[0].token, world.jobs[1].token);
}

#[test]
fn a_stopped_job_that_would_keep_its_package_is_deleted_before_its_rollout_goes() {
    for holds in [false, true] {
        let mut world = after_canary(json!({}), |_| Fate::Sleeps);
        world.capabilities.stopped_jobs_hold = holds;
        let id = world.jobs[0].id.clone();
        world.delete_rollout();
        assert_eq!(world.reconcile().actions, [Action::StopJob { id: id.clone() }]);
        if holds {
            assert_eq!(world.reconcile().actions, [], "first it is written down that it has ended");
            assert_eq!(world.reconcile().actions, [Action::DeleteJob { id }]);
        }
        assert_eq!(world.reconcile().actions, [Action::Release], "holds: {holds}");
    }
}

#[test]
fn a_job_that_ended_under_a_clock_that_was_ahead_is_judged_once_the_clock_is_right() {
    let mut world = World::new(4, json!({"stages": [{"name": "all", "select": {"rest": true}}]}));
    world.reconcile();
    world.run_devices(|_| Fate::Lies);
    let judged = |world: &mut World, seconds: i64| {
        world.pass(seconds);
        world.reconcile();
        let counts = world.rollout_status().stages[0].counts;
        (counts.in_flight, counts.reverted)
    };
    assert_eq!(judged(&mut world, 0), (4, 0), "they may not have reported yet");
    assert_eq!(judged(&mut world, -3_600), (4, 0));
    assert_eq!(judged(&mut world, 11), (0, 4));
}

#[test]
fn chunk_edges() {
    let limits = CloudKind::ALL
        .map(|cloud| capabilities_of(cloud, jiff::SignedDuration::from_secs(30)).max_devices_per_job);
    assert_eq!(limits, [30_000, 256, 200, 1000]);
    for limit in limits {
        for (devices, jobs) in [(limit, vec![limit]), (limit + 1, vec![limit, 1])] {
            let stages = json!({"stages": [{"name": "all", "select": {"rest": true}}]});
            let mut world = World::new(u32::try_from(devices).unwrap(), stages);
            world.capabilities.max_devices_per_job = limit;
            world.settle(|_| Fate::Succeeds);
            assert_eq!(world.jobs.iter().map(|job| job.devices.len()).collect::<Vec<_>>(), jobs, "{devices}");
        }
    }
}

#[test]
fn a_lost_state_finds_every_job_again() {
    let mut world = after_canary(json!({}), |_| Fate::Succeeds);
    world.rollout.status = None;
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.phase, world.jobs.len()), (RolloutPhase::Completed, 2));
}

#[test]
fn a_job_that_vanished_holds_and_is_not_created_again() {
    let mut world = after_canary(json!({}), |_| Fate::Sleeps);
    world.hidden.push(world.jobs[0].id.clone());
    assert_eq!(world.reconcile().actions, []);
    assert_eq!(reason(&world), "JobVanished");
    world.delete_rollout();
    assert_eq!(world.reconcile().actions, [Action::Release]);
}

#[test]
fn a_state_that_no_document_names_holds() {
    let mut world = after_canary(json!({}), |_| Fate::Succeeds);
    world.jobs[0].state = JobState::Unknown("Frozen".into());
    assert_eq!(world.reconcile().actions, []);
    assert_eq!(reason(&world), "JobStateUnknown");
}

#[test]
fn a_second_job_of_one_token_is_stopped_and_the_oldest_kept() {
    let mut world = after_canary(json!({}), |_| Fate::Sleeps);
    let mut twin = world.jobs[0].clone();
    twin.id = "twin".into();
    twin.created_at = Some(world.now);
    world.outcomes.insert("twin".into(), world.outcomes[&world.jobs[0].id].clone());
    world.jobs.push(twin);
    assert_eq!(world.reconcile().actions, [Action::StopJob { id: "twin".into() }]);
    assert_eq!(reason(&world), "AnotherInstance");
    world.pass(30);
    world.reconcile();
    assert_eq!(reason(&world), "StageRunning");
}

/// OceanConnect: two tasks that look like what one lost call would have made, and no call that stops one.
#[test]
fn look_alikes_that_nobody_can_stop_are_named_with_what_to_do() {
    let mut world = after_canary(json!({}), |_| Fate::Sleeps);
    world.capabilities.stops_jobs = false;
    let mut twin = world.jobs[0].clone();
    twin.id = "twin".into();
    twin.created_at = Some(world.now);
    world.outcomes.insert("twin".into(), world.outcomes[&world.jobs[0].id].clone());
    world.jobs.push(twin);
    assert_eq!(world.reconcile().actions, []);
    assert_eq!(reason(&world), "DuplicateJob");
    let message = world.rollout_status().message;
    let kept = &world.jobs[0].id;
    for words in ["1 more jobs (twin)", &format!("exactly like job {kept}"), "stop them in the portal"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    world.jobs[1].state = JobState::Stopped;
    world.pass(30);
    world.reconcile();
    assert_eq!(reason(&world), "StageRunning", "it goes on when the other one has ended");
}

/// EnOS: a job that waits to be started looks like one that somebody stopped, and nobody may start what a person stopped.
#[test]
fn a_job_that_never_began_says_that_it_may_be_started_by_hand() {
    let mut world = after_canary(json!({}), |_| Fate::Sleeps);
    let id = world.jobs[0].id.clone();
    world.stop(&id);
    assert_eq!(world.reconcile().actions, []);
    assert_eq!(reason(&world), "JobStopped");
    let message = world.rollout_status().message;
    assert!(message.contains("or never started; start it there"), "{message}");
}

#[test]
fn a_canary_of_unknown_devices_holds_instead_of_passing() {
    let spec = json!({"stages": [{"name": "lab", "select": {"devices": ["ghost"]}, "gates": ratio("90%")}]});
    let mut world = World::new(40, spec);
    assert_eq!(world.reconcile().actions, []);
    assert_eq!(
        (reason(&world).as_str(), world.rollout_status().excluded.unknown),
        ("StageDevicesUnknown", 1)
    );
}

#[test]
fn an_empty_canary_never_lets_the_rest_go() {
    let canary =
        |select: Value| json!({"stages": [{"name": "canary", "select": select, "gates": ratio("90%")}]});
    for select in [json!({"devices": ["dev-000"]}), json!({"percent": "0.001%"})] {
        let mut world = World::new(40, canary(select));
        world.package.spec.source_versions = vec!["V1".into()];
        world.devices.get_mut("dev-000").unwrap().firmware = Some("V0".into());
        assert_eq!(world.reconcile().actions, []);
        assert_eq!(reason(&world), "StageEmpty", "{}", world.rollout_status().message);
        assert!(world.rollout_status().message.contains("39 devices"), "{}", world.rollout_status().message);

        world.devices.get_mut("dev-000").unwrap().firmware = Some("V1".into());
        world.edit_rollout(|rollout| {
            rollout.spec.stages[0].select = serde_json::from_value(json!({"count": 1})).unwrap();
        });
        world.reconcile();
        assert_eq!((reason(&world).as_str(), world.jobs.len()), ("StageDispatching", 1));
    }
    let mut tried_before = World::new(40, canary(json!({"devices": ["dev-000"]})));
    tried_before.devices.get_mut("dev-000").unwrap().firmware = Some("V2".into());
    let plan = tried_before.settle(|_| Fate::Succeeds);
    let sample = plan.status.stages[0].gates[0].sample;
    assert_eq!((plan.status.phase, tried_before.jobs.len(), sample), (RolloutPhase::Completed, 1, 1));
}

#[test]
fn a_rollout_that_nobody_may_begin_passes_no_stage_and_begins_with_its_canary_later() {
    let mut world = World::new(40, json!({"targets": {"fromVersions": ["V1.5"], "all": true}}));
    assert_eq!(world.reconcile().actions, []);
    assert_eq!((reason(&world).as_str(), world.rollout_status().phase), ("NoneEligible", RolloutPhase::Held));
    assert!(world.rollout_status().message.contains("none of 40"), "{}", world.rollout_status().message);
    world.devices.values_mut().for_each(|device| device.firmware = Some("V1.5".into()));
    world.reconcile();
    assert_eq!((world.jobs.len(), world.jobs[0].devices.len()), (1, 10), "the canary comes first");
}

#[test]
fn a_canary_too_small_for_its_gate_waits_while_an_earlier_release_is_on_its_way() {
    let stages = json!([{"name": "canary", "select": {"count": 10},
                         "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%", "minSample": 8}}]}]);
    let targets = json!({"fromVersions": ["V1.5"], "all": true});
    let mut world = World::new(40, json!({"targets": targets, "stages": stages}));
    let arrive = |world: &mut World, count: usize| {
        world.devices.values_mut().take(count).for_each(|device| device.firmware = Some("V1.5".into()));
    };
    arrive(&mut world, 2);
    assert_eq!(world.reconcile().actions, []);
    assert_eq!(reason(&world), "StageTooSmall");
    insta::assert_snapshot!(world.rollout_status().message, @"stage canary is not dispatched: it has 2 devices now, and its gate needs 8; 38 devices report a version that is not upgraded from, and may join later");
    arrive(&mut world, 30);
    world.reconcile();
    assert_eq!(world.jobs[0].devices.len(), 10);
}

#[test]
fn devices_with_the_wrong_version_are_left_out_and_counted() {
    let mut world = World::new(
        4,
        json!({"targets": {"all": true, "fromVersions": ["V1"], "exclude": {"devices": ["dev-000"]}}}),
    );
    world.devices.get_mut("dev-001").unwrap().firmware = Some("V0".into());
    world.devices.get_mut("dev-002").unwrap().firmware = None;
    let plan = world.settle(|_| Fate::Succeeds);
    let excluded = &plan.status.excluded;
    assert_eq!((excluded.by_spec, excluded.by_version), (1, 2));
    assert_eq!(world.jobs[0].devices, ["dev-003"]);
}

#[test]
fn a_device_that_goes_back_after_the_end_is_reported() {
    let mut world = World::new(12, json!({}));
    world.settle(|_| Fate::Succeeds);
    world.devices.insert("dev-003".into(), device("dev-003", "V1"));
    world.pass(300);
    let plan = world.reconcile();
    assert_eq!((plan.status.phase, plan.actions.len()), (RolloutPhase::Completed, 0));
    let healthy = rollwave::api::find_condition(&plan.status.conditions, "Healthy").unwrap();
    assert_eq!((healthy.status.as_str(), healthy.reason.as_str()), ("False", "Reverted"));
}

/// The cloud holds a job of another package, for these devices, and they run what it sent.
fn take_on(world: &mut World, devices: &[&str], token: Option<&str>) {
    let new = rollwave::cloud::NewJob {
        token: "0123456789abcdef".into(),
        title: "next/canary".into(),
        purpose: rollwave::cloud::JobPurpose::Upgrade,
        package: rollwave::cloud::PackageKey {
            kind: rollwave::cloud::PackageKind::Firmware,
            product: "meter".into(),
            version: "V2".into(),
            module: None,
        },
        from_versions: vec![],
        delivery: rollwave::api::Delivery::default(),
        package_id: "pkg-next".into(),
        devices: devices.iter().map(ToString::to_string).collect(),
    };
    let id = world.create_job(&new);
    let job = world.jobs.iter_mut().find(|job| job.id == id).unwrap();
    job.token = token.map(str::to_owned);
    for id in devices {
        world.devices.insert((*id).into(), device(id, "V3"));
    }
}

#[test]
fn devices_that_the_next_rollout_takes_on_did_not_go_back() {
    let mut world = World::new(12, json!({}));
    world.settle(|_| Fate::Succeeds);
    world.pass(300);
    take_on(&mut world, &["dev-003", "dev-004"], Some("0123456789abcdef"));
    let plan = world.reconcile();
    assert_eq!(
        plan.status.message,
        "10 of 12 devices run V2, 0 failed; 0 already ran it; 2 ran it until a later rollout took them over"
    );
    let healthy = rollwave::api::find_condition(&plan.status.conditions, "Healthy").unwrap();
    assert_eq!((healthy.status.as_str(), plan.status.progress.as_str()), ("True", "completed 12/12"));

    take_on(&mut world, &["dev-005"], None);
    let plan = world.reconcile();
    let healthy = rollwave::api::find_condition(&plan.status.conditions, "Healthy").unwrap();
    assert_eq!(healthy.reason, "Reverted", "a job that is not ours is no evidence");
}

#[test]
fn a_state_lost_after_the_next_rollout_finds_everything_done() {
    let mut world = World::new(12, json!({}));
    world.settle(|_| Fate::Succeeds);
    world.pass(300);
    take_on(&mut world, &["dev-003"], Some("0123456789abcdef"));
    world.run_devices(|_| Fate::Lies);
    world.rollout.status = None;
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.phase, world.jobs.len()), (RolloutPhase::Completed, 3));
    assert_eq!(plan.status.progress, "completed 12/12");
}

/// Its create was refused, and then its package left: whoever looked at nothing would stand still in silence.
#[test]
fn a_stage_that_was_released_and_has_no_job_is_looked_at_though_its_package_is_not_ready() {
    let mut world = World::new(4, json!({}));
    assert_eq!(needs::for_rollout(&world.rollout, &world.package).first(), Some(&JOBS), "it may begin");
    let refused = world.plan_rollout().status;
    assert_eq!((refused.stages[0].phase, refused.stages[0].jobs.len()), (StagePhase::Dispatching, 0));
    world.package.status = None;
    assert_eq!(needs::for_rollout(&world.rollout, &world.package), [], "nothing was sent, and nothing is");
    world.rollout.status = Some(refused);
    assert_eq!(needs::for_rollout(&world.rollout, &world.package).first(), Some(&JOBS));
    world.reconcile();
    assert!(world.rollout_status().message.contains("waits for OtaPackage meter-v2"), "{:?}", reason(&world));
}

#[test]
fn a_difference_is_not_sent_again_to_a_device_that_left_its_version_meanwhile() {
    let mut world = World::new(10, json!({}));
    world.package.spec.artifact.delta = Some(true);
    world.package.spec.source_versions = vec!["V1".into()];
    world.reconcile();
    world.edit_rollout(|rollout| rollout.spec.suspend = true);
    world.reconcile();
    world.devices.get_mut("dev-003").unwrap().firmware = Some("V1.5".into());
    world.edit_rollout(|rollout| rollout.spec.suspend = false);
    let sent = |world: &World| world.jobs.iter().map(|job| job.devices.len()).collect::<Vec<_>>();
    world.settle(|_| Fate::Succeeds);
    assert_eq!((sent(&world), reason(&world).as_str()), (vec![10, 9], "Completed"));
    let message = world.rollout_status().message;
    assert!(message.contains("1 left out by their version"), "{message}");
    world.devices.get_mut("dev-003").unwrap().firmware = Some("V1".into());
    let done = world.settle(|_| Fate::Succeeds);
    assert_eq!((sent(&world), done.status.phase), (vec![10, 9, 1], RolloutPhase::Completed));
}

#[test]
fn a_job_that_a_clock_ahead_wrote_down_is_not_waited_for_until_that_time() {
    for deletes in [false, true] {
        let mut world = after_canary(json!({}), |_| Fate::Sleeps);
        world.hidden.push(world.jobs[0].id.clone());
        world.now -= jiff::SignedDuration::from_hours(6);
        if deletes {
            world.delete_rollout();
        }
        assert_eq!(world.reconcile().actions, []);
        world.pass(10);
        let last = world.reconcile();
        let expected = if deletes { vec![Action::Release] } else { vec![] };
        assert_eq!(last.actions, expected, "{}", last.status.message);
        assert!(deletes || reason(&world) == "JobVanished", "{}", last.status.message);
    }
}
