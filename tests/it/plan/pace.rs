//! `delivery.ratePerMinute` and `delivery.maxInFlight` on a cloud that has neither.

use super::preview::preview_rollout;
use super::world::{Fate, World};
use jiff::SignedDuration;
use proptest::prelude::*;
use rollwave::api::{Batch, OtaRolloutStatus, Request, RolloutPhase};
use rollwave::cloud::DeviceOutcome;
use rollwave::decide::preview::End;
use rollwave::decide::{Action, Plan};
use serde_json::{Value, json};

fn paced(devices: u32, delivery: &Value) -> World {
    World::new(
        devices,
        json!({"delivery": delivery, "stages": [{"name": "rest", "select": {"rest": true}, "gates": []}]}),
    )
}

fn sizes(world: &World) -> Vec<usize> {
    world.jobs.iter().map(|job| job.devices.len()).collect()
}

/// Devices that a job may upgrade at this moment.
fn in_flight(world: &World) -> usize {
    let may_begin =
        |outcome: &DeviceOutcome| matches!(outcome, DeviceOutcome::Queued | DeviceOutcome::InFlight);
    let outcomes = world.outcomes.values().flat_map(|devices| devices.values());
    outcomes.filter(|(outcome, _)| may_begin(outcome)).count()
}

/// The most devices that were sent the package within a minute.
fn busiest_minute(world: &World) -> usize {
    let sent = world.jobs.iter().filter_map(|job| Some((job.created_at?, job.devices.len())));
    let sent: Vec<_> = sent.collect();
    let within = |from: &jiff::Timestamp| {
        let until = *from + SignedDuration::from_secs(59);
        sent.iter().filter(|(at, _)| (*from..=until).contains(at)).map(|(_, devices)| devices).sum::<usize>()
    };
    sent.iter().map(|(at, _)| within(at)).max().unwrap_or(0)
}

#[test]
fn a_rate_is_a_job_each_minute() {
    let mut world = paced(25, &json!({"ratePerMinute": 10}));
    world.reconcile();
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    insta::assert_snapshot!(world.reconcile().status.message, @"stage rest: sends 10 devices a minute (delivery.ratePerMinute); the next at 2023-11-14 22:14:50Z");
    assert_eq!(world.settle(|_| Fate::Succeeds).status.phase, RolloutPhase::Completed);
    assert_eq!(sizes(&world), [10, 10, 5]);
    assert_eq!(busiest_minute(&world), 10);
}

#[test]
fn the_next_devices_take_the_places_of_those_with_an_outcome() {
    let mut world = paced(30, &json!({"maxInFlight": 10}));
    world.reconcile();
    let done: Vec<String> = world.jobs[0].devices.iter().take(4).cloned().collect();
    world.run_devices(|id| if done.contains(&id.to_owned()) { Fate::Succeeds } else { Fate::Hangs });
    world.pass(30);
    insta::assert_snapshot!(world.reconcile().status.message, @"stage rest: 6 devices without an outcome, and 10 may upgrade at the same time (delivery.maxInFlight); the next 5 are sent when 5 places are free");
    world.run_devices(|id| if done.contains(&id.to_owned()) { Fate::Succeeds } else { Fate::Fails });
    world.pass(30);
    world.reconcile();
    assert_eq!(sizes(&world), [10, 10]);
}

#[test]
fn a_request_of_unknown_outcome_is_repeated_with_no_more_devices_than_there_are_places() {
    let mut world = paced(12, &json!({"maxInFlight": 5}));
    world.reconcile();
    let hanging: Vec<String> = world.jobs[0].devices.iter().take(2).cloned().collect();
    world.run_devices(|id| if hanging.contains(&id.to_owned()) { Fate::Hangs } else { Fate::Succeeds });
    world.pass(30);
    let sizes = |plan: &Plan<OtaRolloutStatus>| match &plan.actions[..] {
        [Action::CreateJob { job, .. }] => (job.token.clone(), job.devices.len()),
        other => panic!("{other:?}"),
    };
    let plan = world.plan_rollout();
    let (token, devices) = sizes(&plan);
    assert_eq!(devices, 3);
    // The reply is lost, and no list shows the job.
    let intent = json!({"token": token, "operation": "CreateJob", "stage": "rest", "digest": "", "at": world.now,
        "state": "Ambiguous"});
    let mut status = plan.status;
    status.pending.push(serde_json::from_value(intent).unwrap());
    world.rollout.status = Some(status);
    world.pass(300);
    assert_eq!(sizes(&world.plan_rollout()), (token, 3));
}

#[test]
fn devices_that_stay_offline_free_their_places_after_the_time_that_they_have_to_begin() {
    let mut world = paced(20, &json!({"maxInFlight": 10, "timeout": {"queued": "1h"}}));
    let asleep =
        |id: &str| if id.ends_with('0') || id.ends_with('5') { Fate::Sleeps } else { Fate::Succeeds };
    for _ in 0..4 {
        world.reconcile();
        world.run_devices(asleep);
        world.pass(30);
    }
    let sent = sizes(&world).iter().sum::<usize>();
    assert!(in_flight(&world) <= 10 && sent > 10, "{sent}");
    let mut world = paced(20, &json!({"maxInFlight": 10, "timeout": {"queued": "1h"}}));
    for _ in 0..119 {
        world.reconcile();
        world.run_devices(|_| Fate::Sleeps);
        world.pass(30);
    }
    insta::assert_snapshot!(world.reconcile().status.message, @"stage rest: 10 devices without an outcome (10 have not begun), and 10 may upgrade at the same time (delivery.maxInFlight); the next 5 are sent when 5 places are free; delivery.timeout.queued frees the places of devices that stay offline");
    assert_eq!(sizes(&world), [10]);
    world.pass(60);
    world.reconcile();
    assert_eq!(sizes(&world), [10, 10], "{}", world.rollout_status().message);
}

#[test]
fn a_plan_shows_every_piece() {
    let world = paced(25, &json!({"ratePerMinute": 10}));
    let steps = preview_rollout(&world, &world.package).steps;
    let steps = steps.iter().map(|step| match &step.action {
        Action::CreateJob { job, .. } => format!("{} devices, {}", job.devices.len(), step.when),
        other => format!("{other:?}"),
    });
    insta::assert_snapshot!(steps.collect::<Vec<_>>().join("\n"), @r"
    10 devices, now
    10 devices, when delivery.ratePerMinute and delivery.maxInFlight allow more of stage rest
    5 devices, when delivery.ratePerMinute and delivery.maxInFlight allow more of stage rest
    ");
}

#[test]
fn a_plan_of_many_pieces_ends_and_shows_larger_ones() {
    let mut world = paced(3_000, &json!({"ratePerMinute": 1}));
    world.rollout.spec.stages[0].batch = Some(Batch { size: 1, max_failures: None });
    let plan = preview_rollout(&world, &world.package);
    assert_eq!(plan.end, End::Converged);
    assert_eq!(plan.steps.len(), 100);
    assert!(
        plan.warnings.iter().any(|warning| warning.contains("more than 100 jobs")),
        "{:?}",
        plan.warnings
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever devices do, and although the rollout is paused, resumed and retried.
    #[test]
    fn neither_limit_is_ever_exceeded(
        rate in proptest::option::of(1_u32..20),
        places in proptest::option::of(1_u32..20),
        batch in proptest::option::of(1_u32..20),
        fates in proptest::collection::vec(0_u8..10, 60),
        pauses in proptest::collection::btree_set(0_usize..60, 0..3),
    ) {
        let mut stage = json!({"name": "rest", "select": {"rest": true}, "gates": []});
        if let Some(size) = batch {
            stage["batch"] = json!({"size": size});
        }
        let mut delivery = json!({});
        if let Some(rate) = rate {
            delivery["ratePerMinute"] = json!(rate);
        }
        if let Some(places) = places {
            delivery["maxInFlight"] = json!(places);
        }
        let mut world = World::new(60, json!({"delivery": delivery, "stages": [stage]}));
        for pass in 0..60 {
            if pauses.contains(&pass) {
                let suspend = world.rollout.spec.suspend;
                world.edit_rollout(|rollout| rollout.spec.suspend = !suspend);
            }
            if pass % 20 == 19 {
                world.ask(Request::Retry);
            }
            world.reconcile();
            prop_assert!(in_flight(&world) <= places.unwrap_or(60) as usize);
            prop_assert!(busiest_minute(&world) <= rate.unwrap_or(60) as usize);
            world.run_devices(|id| match fates[id[4..].parse::<usize>().unwrap_or(0)] {
                0..6 => Fate::Succeeds,
                6 => Fate::Fails,
                7 => Fate::Sleeps,
                _ if pass % 3 == 0 => Fate::Succeeds,
                _ => Fate::Hangs,
            });
            world.pass(20);
        }
    }

    /// With devices that answer, every one of them is sent the package.
    #[test]
    fn a_stage_with_limits_ends(rate in 5_u32..30, places in 1_u32..30, fail in 0_u8..2) {
        let mut world = paced(40, &json!({"ratePerMinute": rate, "maxInFlight": places}));
        let failing = |id: &str| if fail == 1 && id.ends_with('3') { Fate::Fails } else { Fate::Succeeds };
        let end = world.settle(failing);
        prop_assert_eq!(end.status.phase, RolloutPhase::Completed, "{}", end.status.message);
        prop_assert_eq!(sizes(&world).iter().sum::<usize>(), 40);
    }
}
