//! One rollout owns a device, whoever comes first.

use super::preview::preview_rollout;
use super::world::{Fate, World};
use rollwave::api::{Object, RolloutPhase};
use rollwave::decide::explain::explain;
use rollwave::decide::{Action, Plan};
use serde_json::json;
use std::collections::BTreeSet;

fn sent<S>(plan: &Plan<S>) -> BTreeSet<&str> {
    let jobs = plan.actions.iter().filter_map(|action| match action {
        Action::CreateJob { job, .. } => Some(&job.devices),
        _ => None,
    });
    jobs.flatten().map(String::as_str).collect()
}

fn ids(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("dev-{n:03}")).collect()
}

/// Another rollout, of these devices alone.
fn add_rival_of(world: &mut World, version: &str, devices: std::ops::Range<u32>) {
    let (rollout, _) = world.add_rival("rival", version);
    rollout.spec.targets.all = None;
    rollout.spec.targets.devices = Some(ids(devices));
}

#[test]
fn what_a_later_release_targets_is_left_to_it() {
    let mut world = World::new(40, json!({}));
    world.add_rival("rival", "V3");
    let plan = world.settle(|_| Fate::Succeeds);
    assert!(world.jobs.is_empty());
    assert_eq!(plan.status.phase, RolloutPhase::Completed);
    assert_eq!(plan.status.excluded.owned_elsewhere, 40);
    insta::assert_snapshot!(plan.status.message, @"nothing is sent to any of 40 targeted devices: 40 devices belong to OtaRollout rival (V3 is later than V2)");
    insta::assert_snapshot!(plan.status.decisions[0].message, @"40 devices belong to OtaRollout rival (V3 is later than V2)");
    let object = Object::Rollout(world.rollout.clone());
    insta::assert_snapshot!(explain(&object, std::slice::from_ref(&object), world.now).seen.join("\n"), @"
    Stage canary (1 of 2): 0 of 0 devices updated.
    Gate proven requires a success rate of at least 90 %, from at least 1 device and 80 % of the stage.
    Left out: 40 that other rollouts own.
    OtaRollout rival owns 40 devices that this one also targets: V3 is later than V2.
    ");
}

#[test]
fn a_rollout_completes_for_what_it_owns() {
    let mut world = World::new(40, json!({}));
    add_rival_of(&mut world, "V3", 0..25);
    let plan = world.settle(|_| Fate::Succeeds);
    let sent: BTreeSet<String> = world.jobs.iter().flat_map(|job| job.devices.clone()).collect();
    assert_eq!(sent, ids(25..40).into_iter().collect());
    assert_eq!((plan.status.phase, plan.status.excluded.owned_elsewhere), (RolloutPhase::Completed, 25));
    insta::assert_snapshot!(plan.status.message, @"15 of 15 devices run V2, 0 failed; 0 already ran it; 25 devices belong to OtaRollout rival (V3 is later than V2)");
}

#[test]
fn equal_claims_hold_both_and_a_priority_frees_one() {
    let mut world = World::new(40, json!({}));
    add_rival_of(&mut world, "V2", 0..12);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.phase, world.jobs.len()), (RolloutPhase::Held, 0));
    insta::assert_snapshot!(plan.status.message, @"12 of 40 targeted devices are also targeted by OtaRollout rival with equal precedence (priority 0 and release V2), so nothing is sent; give one rollout a higher spec.priority, or let them target different devices");
    let warned = preview_rollout(&world, &world.package);
    assert!(warned.steps.is_empty(), "{:?}", warned.steps);
    insta::assert_snapshot!(format!("{:?}", warned.end), @"Held(\"12 of 40 targeted devices are also targeted by OtaRollout rival with equal precedence (priority 0 and release V2), so nothing is sent; give one rollout a higher spec.priority, or let them target different devices\")");
    world.edit_rollout(|rollout| rollout.spec.priority = 1);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.phase, plan.status.excluded.owned_elsewhere), (RolloutPhase::Completed, 0));
    assert_eq!(plan.status.stages.iter().map(|stage| stage.counts.succeeded).sum::<u32>(), 40);
}

#[test]
fn a_preview_names_the_owner() {
    let mut world = World::new(40, json!({}));
    add_rival_of(&mut world, "V3", 0..25);
    let preview = preview_rollout(&world, &world.package);
    let owner = preview.warnings.iter().find(|warning| warning.contains("left out"));
    insta::assert_snapshot!(owner.unwrap(), @"25 devices are left out: OtaRollout rival owns them (V3 is later than V2)");
}

#[test]
fn a_job_whose_devices_all_belong_to_another_rollout_by_now_is_stopped() {
    let mut world = World::new(40, json!({}));
    world.reconcile();
    assert_eq!(world.jobs.len(), 1);
    world.pass(30);
    world.run_devices(|id| if id.ends_with('1') { Fate::Succeeds } else { Fate::Sleeps });
    world.add_rival("rival", "V3");
    let plan = world.reconcile();
    assert_eq!(plan.actions, [Action::StopJob { id: world.jobs[0].id.clone() }]);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!((plan.status.phase, world.jobs.len()), (RolloutPhase::Completed, 1));
    insta::assert_snapshot!(plan.status.message, @"1 of 1 devices run V2, 0 failed; 0 already ran it; 39 devices belong to OtaRollout rival (V3 is later than V2)");
}

#[test]
fn a_job_that_has_other_devices_left_goes_on() {
    let mut world = World::new(40, json!({}));
    let plan = world.reconcile();
    let mut first = sent(&plan).into_iter().map(str::to_owned);
    let devices = vec![first.next().unwrap()];
    let (rival, _) = world.add_rival("rival", "V3");
    rival.spec.targets.all = None;
    rival.spec.targets.devices = Some(devices.clone());
    let plan = world.reconcile();
    assert!(plan.actions.is_empty(), "{:?}", plan.actions);
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
}

#[test]
fn what_was_stopped_or_failed_is_not_sent_again_once_another_rollout_owns_it() {
    for retried in [false, true] {
        let mut world = World::new(40, json!({"stages": [{"name": "all", "select": {"rest": true}}]}));
        world.reconcile();
        world.pass(30);
        if retried {
            world.run_devices(|id| if id.ends_with('1') { Fate::Fails } else { Fate::Succeeds });
            world.settle(|_| Fate::Succeeds);
            world.ask(rollwave::api::Request::Retry);
        } else {
            world.run_devices(|id| if id.ends_with('1') { Fate::Sleeps } else { Fate::Succeeds });
            world.edit_rollout(|rollout| rollout.spec.suspend = true);
            world.reconcile();
            world.edit_rollout(|rollout| rollout.spec.suspend = false);
        }
        let (rival, _) = world.add_rival("rival", "V3");
        rival.spec.targets.all = None;
        rival.spec.targets.devices = Some(vec!["dev-001".into(), "dev-011".into()]);
        world.pass(30);
        let plan = world.reconcile();
        let expected = ["dev-021", "dev-031"].into_iter().collect();
        assert_eq!(sent(&plan), expected, "retried: {retried}; {}", plan.status.message);
        let plan = world.settle(|_| Fate::Succeeds);
        let counts = plan.status.stages[0].counts;
        assert_eq!((counts.succeeded, counts.queued, counts.failed), (38, 0, if retried { 2 } else { 0 }));
        assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
    }
}

#[test]
fn groups_of_a_rival_that_were_not_read_hold_what_would_be_sent() {
    let mut world = World::new(40, json!({}));
    let (rival, _) = world.add_rival("rival", "V3");
    rival.spec.targets.all = None;
    rival.spec.targets.groups = Some(vec!["north".into()]);
    let plan = world.reconcile();
    assert!(plan.actions.is_empty());
    insta::assert_snapshot!(plan.status.message, @"waits for the groups or tags of OtaRollout rival, which cannot be read: it may own some of these devices; its status shows the error");
}

#[test]
fn a_chain_of_rollouts_goes_from_one_to_the_next() {
    let mut world = World::new(40, json!({}));
    let (rival, _) = world.add_rival("rival", "V3");
    rival.spec.targets.from_versions = vec!["V2".into()];
    let plan = world.settle(|_| Fate::Succeeds);
    assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
    assert_eq!(plan.status.stages.iter().map(|stage| stage.counts.succeeded).sum::<u32>(), 40);
}
