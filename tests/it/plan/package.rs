//! What a package does: create, adopt, verify, drift, delete.

use super::world::{Fate, World, device};
use rollwave::api::{
    Condition, CreateOperation, IN_SYNC, Intent, IntentState, Origin, READY, STALLED, Time, Truth, VERIFIED,
    condition_is_true, find_condition,
};
use rollwave::cloud::{ArtifactRef, CloudKind, CloudVerification, HeldArtifact, ObsArtifact, Package};
use rollwave::decide::{Action, needs};
use serde_json::{Value, json};

fn world(package: Value) -> World {
    World::with_package(4, package, json!({}))
}

fn verified_on(devices: &[&str]) -> Value {
    json!({"verification": {"devices": devices, "timeout": "1h"}})
}

fn condition<'a>(world: &'a World, type_: &str) -> Option<&'a Condition> {
    find_condition(&world.package.status.as_ref()?.conditions, type_)
}

fn reason(world: &World) -> &str {
    condition(world, READY).map_or("", |ready| &ready.reason)
}

fn message(world: &World) -> &str {
    condition(world, READY).map_or("", |ready| &ready.message)
}

/// A package of the same key that somebody else made, equal to the spec but for what `edit` changes.
fn foreign(world: &mut World, edit: impl FnOnce(&mut Package)) -> String {
    let Some(Action::CreatePackage { package, .. }) = world.plan_package().actions.first().cloned() else {
        panic!("nothing to create")
    };
    let id = world.create_package(&package);
    edit(world.packages.last_mut().unwrap());
    id
}

#[test]
fn an_absent_package_is_created_once_and_then_left_alone() {
    let mut world = world(json!({}));
    assert!(matches!(world.reconcile_package().actions[..], [Action::CreatePackage { .. }]));
    assert_eq!(world.reconcile_package().actions, []);
    let before = world.package.status.clone();
    world.pass(300);
    assert_eq!(world.reconcile_package().actions, []);
    assert_eq!(world.package.status, before);
    assert_eq!(before.unwrap().origin, Some(Origin::Created));
    assert!(needs::is_dispatchable(&world.package));
}

#[test]
fn an_equal_package_is_adopted_whatever_the_case_of_its_digest() {
    let mut world = world(json!({}));
    let id = foreign(&mut world, |package| {
        let artifact = object_of(package);
        artifact.sha256 = Some("AB".repeat(32));
    });
    assert_eq!(world.reconcile_package().actions, []);
    let status = world.package.status.unwrap();
    assert_eq!((status.package_id, status.origin), (Some(id), Some(Origin::Adopted)));
}

#[test]
fn adoption_never_refuses_what_it_did_not_create() {
    let mut world = world(json!({"adoption": "Never"}));
    foreign(&mut world, |_| {});
    assert_eq!(world.reconcile_package().actions, []);
    assert_eq!(reason(&world), "AdoptionRefused");
    assert!(condition(&world, STALLED).is_some());
}

#[test]
fn a_package_whose_answer_was_lost_is_found_and_is_ours() {
    use rollwave::api::{CreateOperation, Intent, IntentState};
    let mut world = world(json!({"adoption": "Never"}));
    let plan = world.plan_package();
    let Some(Action::CreatePackage { token, package }) = plan.actions.first() else { panic!("no create") };
    let mut status = plan.status.clone();
    status.pending.push(Intent {
        token: token.clone(),
        operation: CreateOperation::CreatePackage,
        stage: None,
        digest: String::new(),
        at: world.now,
        state: IntentState::Ambiguous,
        cloud_at: None,
        uptime: None,
        likeness: None,
        package_id: None,
    });
    world.package.status = Some(status);
    world.create_package(package);
    assert_eq!(world.reconcile_package().actions, []);
    let status = world.package.status.unwrap();
    assert_eq!((status.origin, status.pending.len()), (Some(Origin::Created), 0));
}

#[test]
fn of_several_equal_packages_the_newest_is_kept_and_the_others_are_named() {
    let mut world = world(json!({}));
    let first = foreign(&mut world, |_| {});
    let second = world.packages[0].clone();
    world.packages.push(second);
    world.packages[1].row.id = "pkg-9".into();
    world.reconcile_package();
    assert_eq!(world.package.status.as_ref().unwrap().package_id.as_deref(), Some("pkg-9"));
    assert!(
        condition(&world, IN_SYNC).unwrap().message.contains(&format!("1 more of this version: {first}"))
    );
    // Once known, it stays the one.
    world.packages.swap(0, 1);
    world.reconcile_package();
    assert_eq!(world.package.status.as_ref().unwrap().package_id.as_deref(), Some("pkg-9"));
}

#[test]
fn a_difference_is_reported_field_by_field() {
    let mut world = world(json!({"description": "b", "sourceVersions": ["V1"]}));
    foreign(&mut world, |package| {
        package.row.description = Some("a".into());
        package.row.source_versions = vec!["V0".into(), "V1".into()];
        object_of(package).key = "other.bin".into();
    });
    assert_eq!(world.reconcile_package().actions, []);
    assert_eq!(reason(&world), "Drifted");
    insta::assert_snapshot!(message(&world), @r#"package pkg-1 differs from the spec: sourceVersions is "V0, V1" in the cloud, "V1" in the spec; description is "a" in the cloud, "b" in the spec; artifact.obs.key is "other.bin" in the cloud, "v2.bin" in the spec"#);
}

#[test]
fn drift_is_corrected_only_for_what_is_ours_and_only_when_nothing_runs() {
    let edit = |world: &mut World| world.packages[0].row.description = Some("edited".into());
    let mut foreign_one = world(json!({"driftPolicy": "Correct"}));
    foreign(&mut foreign_one, |package| package.row.description = Some("theirs".into()));
    assert_eq!(foreign_one.reconcile_package().actions, []);
    assert_eq!(reason(&foreign_one), "DriftedNotOwned");

    let mut world = world(json!({"driftPolicy": "Correct"}));
    world.make_ready();
    world.reconcile();
    edit(&mut world);
    assert_eq!(world.reconcile_package().actions, []);
    insta::assert_snapshot!(message(&world), @r#"package pkg-1 differs from the spec: description is "edited" in the cloud, "" in the spec; it cannot be replaced while jobs use it: job job-2 (4 of 4 devices outstanding)"#);
    world.run_devices(|_| Fate::Succeeds);
    world.pass(60);
    assert_eq!(world.reconcile_package().actions, [Action::DeletePackage { id: "pkg-1".into() }]);
    assert!(matches!(world.reconcile_package().actions[..], [Action::CreatePackage { .. }]));
    world.pass(60);
    world.reconcile_package();
    assert!(condition_is_true(&world.package.status.as_ref().unwrap().conditions, READY));
}

#[test]
fn a_package_that_vanished_is_reported_or_created_anew_but_not_while_a_list_may_lag() {
    for (policy, creates) in [("Report", false), ("Correct", true)] {
        let mut world = world(json!({"driftPolicy": policy}));
        world.make_ready();
        world.packages.clear();
        assert_eq!(world.reconcile_package().actions, [], "a list may lag");
        world.pass(60);
        assert_eq!(!world.reconcile_package().actions.is_empty(), creates, "{policy}");
    }
}

#[test]
fn an_artifact_that_the_cloud_does_not_show_is_neither_equal_nor_different() {
    let mut world = world(json!({}));
    foreign(&mut world, |package| package.artifact = None);
    assert_eq!(world.reconcile_package().actions, []);
    assert_eq!(reason(&world), "ArtifactUnknown");
    assert_eq!(condition(&world, IN_SYNC).unwrap().status, Truth::Unknown.as_str());
}

#[test]
fn an_unchanged_row_needs_no_details() {
    let mut world = world(json!({}));
    world.make_ready();
    world.package.status.as_mut().unwrap().compared_row = Some(world.packages[0].row.hash());
    assert!(!needs::details_needed(&world.package, &world.packages[0].row.hash()));
    world.packages[0].artifact = None;
    world.reconcile_package();
    assert!(condition_is_true(&world.package.status.as_ref().unwrap().conditions, READY));
}

#[test]
fn verification_runs_one_job_and_passes_by_the_reported_version() {
    let mut world = world(verified_on(&["dev-000", "dev-001"]));
    world.reconcile_package();
    let plan = world.reconcile_package();
    assert!(matches!(plan.actions[..], [Action::CreateJob { stage: None, .. }]));
    assert_eq!(world.plan_rollout().actions, [], "no rollout before the verification");
    world.reconcile_package();
    assert_eq!(condition(&world, VERIFIED).unwrap().status, "Unknown");
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    world.reconcile_package();
    assert_eq!(condition(&world, VERIFIED).unwrap().status, "True");
    assert_eq!(world.jobs.len(), 1);
    insta::assert_snapshot!(message(&world), @"package pkg-1 was created by Rollwave; 2 of 2 devices run it (100.0 %), 0 failed, 0 timed out, 0 reverted");
    // Later versions of these devices are none of its business.
    world.devices.insert("dev-000".into(), device("dev-000", "V1"));
    let plan = world.reconcile_package();
    assert!(plan.actions.is_empty() && condition_is_true(&plan.status.conditions, VERIFIED));
}

#[test]
fn devices_that_run_the_version_already_need_no_job() {
    let mut world = world(verified_on(&["dev-000"]));
    world.devices.insert("dev-000".into(), device("dev-000", "V2"));
    world.make_ready();
    assert!(world.jobs.is_empty());
    insta::assert_snapshot!(message(&world), @"package pkg-1 was created by Rollwave; 1 of 1 devices run it (100.0 %), 0 failed, 0 timed out, 0 reverted; they ran it before anything was sent, so the files of this package itself are not tested");
}

#[test]
fn a_verification_device_of_another_product_is_named_and_nothing_is_sent() {
    let mut world = world(verified_on(&["dev-000", "dev-001"]));
    world.devices.get_mut("dev-001").unwrap().product = "lamp".into();
    for _ in 0..4 {
        world.reconcile_package();
    }
    assert_eq!((reason(&world), world.jobs.len()), ("VerificationDevicesUnfit", 0));
    insta::assert_snapshot!(message(&world), @"1 of 2 devices of spec.verification belongs to another product: dev-001 (lamp); name devices of product meter");
}

#[test]
fn a_verification_that_fails_stalls_and_no_rollout_starts() {
    for (fate, seconds) in [
        (Fate::Fails, 60),
        (Fate::TimesOut, 60),
        (Fate::NeverOnline, 60),
        (Fate::Lies, 60),
        (Fate::Sleeps, 3600),
    ] {
        let mut world = world(verified_on(&["dev-000", "dev-001"]));
        world.reconcile_package();
        world.reconcile_package();
        world.reconcile_package();
        world.run_devices(|id| if id == "dev-000" { Fate::Succeeds } else { fate });
        world.reconcile_package();
        world.pass(seconds);
        world.reconcile_package();
        assert_eq!(reason(&world), "VerificationFailed", "{fate:?}: {}", message(&world));
        assert_eq!(condition(&world, VERIFIED).unwrap().status, "False");
        assert_eq!(world.reconcile().actions, []);
        assert_eq!(world.jobs.len(), 1);
    }
}

#[test]
fn a_device_that_the_cloud_does_not_know_is_named() {
    let mut world = world(verified_on(&["dev-000", "ghost"]));
    world.reconcile_package();
    world.reconcile_package();
    assert!(world.jobs.is_empty());
    insta::assert_snapshot!(message(&world), @"1 of 2 devices of spec.verification are not registered in the cloud: ghost");
}

#[test]
fn a_verify_job_that_vanished_is_not_created_again() {
    let mut world = world(verified_on(&["dev-000"]));
    world.reconcile_package();
    world.reconcile_package();
    world.hidden.push("job-2".into());
    assert_eq!(world.reconcile_package().actions, []);
    assert_eq!(reason(&world), "Verifying");
    world.pass(60);
    assert_eq!(world.reconcile_package().actions, []);
    assert_eq!(reason(&world), "JobVanished");
}

#[test]
fn other_bytes_or_other_devices_are_verified_anew() {
    let mut world = world(verified_on(&["dev-000"]));
    world.devices.insert("dev-000".into(), device("dev-000", "V2"));
    world.make_ready();
    world.package.spec.verification.as_mut().unwrap().devices = vec!["dev-001".into()];
    world.package.metadata.generation = Some(2);
    assert!(!needs::is_dispatchable(&world.package));
    let plan = world.reconcile_package();
    assert!(matches!(&plan.actions[..], [Action::CreateJob { job, .. }] if job.devices == ["dev-001"]));
    assert!(!condition_is_true(&plan.status.conditions, VERIFIED));
}

#[test]
fn a_verified_package_is_not_verified_any_more_once_more_is_asked_of_it() {
    let half =
        json!({"verification": {"devices": ["dev-000", "dev-001"], "minSuccess": "50%", "timeout": "1h"}});
    let mut world = world(half);
    world.reconcile_package();
    world.reconcile_package();
    world.run_devices(|id| if id == "dev-000" { Fate::Succeeds } else { Fate::Fails });
    world.reconcile_package();
    world.reconcile_package();
    assert!(needs::is_dispatchable(&world.package), "{}", message(&world));
    world.package.spec.verification.as_mut().unwrap().min_success = "77%".parse().unwrap();
    world.package.metadata.generation = Some(2);
    world.reconcile_package();
    assert_eq!(reason(&world), "VerificationFailed", "{}", message(&world));
    assert!(!needs::is_dispatchable(&world.package));
}

#[test]
fn deletion_follows_the_policy_and_waits_for_jobs() {
    let deleted = |world: &mut World| {
        world.package.metadata.deletion_timestamp = Some(Time(world.now));
        world.reconcile_package().actions
    };
    let mut orphan = world(json!({}));
    orphan.make_ready();
    assert_eq!(deleted(&mut orphan), [], "whoever wrote it again now would not see it, and make it twice");
    insta::assert_snapshot!(message(&orphan), @"the package stays in the cloud (deletionPolicy: Orphan); the cloud's lists may not show it before 2023-11-14 22:13:30Z");
    orphan.pass(10);
    assert_eq!(deleted(&mut orphan), [Action::Release]);
    let mut after_a_clock_ahead = world(json!({"verification": {"devices": ["dev-000"], "timeout": "1h"}}));
    after_a_clock_ahead.reconcile_package();
    after_a_clock_ahead.reconcile_package();
    assert_eq!(after_a_clock_ahead.jobs.len(), 1);
    after_a_clock_ahead.now -= jiff::SignedDuration::from_hours(6);
    assert_eq!(deleted(&mut after_a_clock_ahead), []);
    after_a_clock_ahead.pass(10);
    assert_eq!(deleted(&mut after_a_clock_ahead), [Action::Release]);
    let mut in_doubt = world(json!({}));
    in_doubt.make_ready();
    in_doubt.pass(10);
    let call = json!({"token": "t", "operation": "CreateJob", "digest": "d", "at": "2023-11-14T22:13:20Z", "state": "Ambiguous"});
    in_doubt.package.status.as_mut().unwrap().pending = vec![serde_json::from_value(call).unwrap()];
    assert_eq!(deleted(&mut in_doubt), []);
    insta::assert_snapshot!(message(&in_doubt), @"deletion waits: the outcome of request t is not known yet");

    let mut adopted = world(json!({"deletionPolicy": "Delete"}));
    foreign(&mut adopted, |_| {});
    adopted.reconcile_package();
    adopted.pass(10);
    assert_eq!(deleted(&mut adopted), [Action::Release]);
    assert_eq!(adopted.packages.len(), 1);

    let mut ours = world(json!({"deletionPolicy": "Delete"}));
    ours.make_ready();
    ours.reconcile();
    assert_eq!(deleted(&mut ours), []);
    insta::assert_snapshot!(message(&ours), @"deletion of package pkg-1 waits for job job-2 (4 of 4 devices outstanding)");
    ours.run_devices(|_| Fate::Succeeds);
    assert_eq!(deleted(&mut ours), [Action::DeletePackage { id: "pkg-1".into() }]);
    assert_eq!(deleted(&mut ours), [Action::Release]);
}

#[test]
fn where_stopped_jobs_hold_a_package_it_waits_for_them_and_names_them() {
    for replaced in [false, true] {
        let mut world = world(json!({"deletionPolicy": "Delete", "driftPolicy": "Correct"}));
        world.capabilities.stopped_jobs_hold = true;
        world.make_ready();
        world.reconcile();
        world.run_devices(|device| if device == "dev-000" { Fate::Succeeds } else { Fate::Sleeps });
        let job = world.jobs[0].id.clone();
        world.stop(&job);
        if replaced {
            world.packages[0].row.description = Some("edited by hand".into());
        } else {
            world.package.metadata.deletion_timestamp = Some(Time(world.now));
        }
        for _ in 0..2 {
            assert_eq!(world.reconcile_package().actions, [], "the cloud would refuse it");
        }
        let told = message(&world).to_owned();
        let holder = "job job-2 (stopped with 3 of 4 devices outstanding); a stopped job is deleted with its rollout, or by you in the cloud";
        assert!(told.ends_with(holder), "{told}");
        assert_eq!(condition(&world, STALLED).is_some(), replaced);
        world.jobs.clear();
        let expected = [Action::DeletePackage { id: "pkg-1".into() }];
        assert_eq!(world.reconcile_package().actions, expected);
    }
}

#[test]
fn a_package_of_which_nothing_was_created_leaves_without_a_look_at_the_cloud() {
    let mut world = world(json!({"deletionPolicy": "Delete"}));
    let unseen = |world: &World| rollwave::decide::package::plan_unseen(&world.package, None, world.now);
    assert_eq!(unseen(&world), None, "it is wanted");
    world.package.metadata.deletion_timestamp = Some(Time(world.now));
    assert_eq!(unseen(&world).unwrap().actions, [Action::Release]);

    world.package.metadata.deletion_timestamp = None;
    world.make_ready();
    world.package.metadata.deletion_timestamp = Some(Time(world.now));
    assert_eq!(unseen(&world), None, "it is in the cloud");
}

#[test]
fn a_package_whose_account_is_gone_leaves_unless_something_of_ours_would_stay_behind() {
    let plan = |world: &World| rollwave::decide::package::plan_without_account(&world.package, world.now);
    for (policy, origin, is_released) in [
        ("Delete", Origin::Created, false),
        ("Delete", Origin::Adopted, true),
        ("Orphan", Origin::Created, true),
    ] {
        let mut world = world(json!({"deletionPolicy": policy}));
        world.make_ready();
        world.package.status.as_mut().unwrap().origin = Some(origin);
        assert_eq!(plan(&world), None, "it is wanted");
        world.package.metadata.deletion_timestamp = Some(Time(world.now));
        let planned = plan(&world).unwrap();
        assert_eq!(planned.actions == [Action::Release], is_released, "{policy} {origin:?}");
        if !is_released {
            insta::assert_snapshot!(planned.status.message, @"deletion waits for OtaCloud/lab, which does not exist: package pkg-1 was created through it (deletionPolicy: Delete); apply that OtaCloud again, or set deletionPolicy: Orphan to leave the package in the cloud");
        }
    }
}

#[test]
fn a_cloud_without_digests_is_a_difference() {
    let mut world = world(json!({}));
    foreign(&mut world, |package| {
        object_of(package).sha256 = None;
    });
    world.reconcile_package();
    assert_eq!(reason(&world), "Drifted");
}

#[test]
fn a_package_whose_create_was_in_doubt_goes_with_its_object() {
    let mut world = world(json!({"deletionPolicy": "Delete"}));
    let Some(Action::CreatePackage { token, package }) = world.plan_package().actions.first().cloned() else {
        panic!("nothing to create")
    };
    let intent = Intent {
        cloud_at: None,
        uptime: None,
        likeness: None,
        package_id: None,
        token,
        operation: CreateOperation::CreatePackage,
        stage: None,
        digest: String::new(),
        at: world.now,
        state: IntentState::Ambiguous,
    };
    world.package.status.get_or_insert_default().pending.push(intent);
    world.package.metadata.deletion_timestamp = Some(Time(world.now));
    assert_eq!(world.plan_package().actions, [], "it may still appear");
    let id = world.create_package(&package);
    assert_eq!(world.plan_package().actions, [Action::DeletePackage { id }]);
}

fn object_of(package: &mut Package) -> &mut ObsArtifact {
    match &mut package.artifact {
        Some(ArtifactRef::Obs(object)) => object,
        other => panic!("{other:?} is not an object in OBS"),
    }
}

/// A package that was verified, on a cloud that verifies, too.
fn verified_by_the_cloud() -> World {
    let mut asked = verified_on(&["dev-000"]);
    asked["driftPolicy"] = json!("Correct");
    let mut world = world(asked);
    world.capabilities.verifies = true;
    world.reconcile_package();
    world.reconcile_package();
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    world.reconcile_package();
    assert!(needs::is_dispatchable(&world.package));
    world
}

#[test]
fn what_was_verified_is_created_anew_without_a_verification_of_the_cloud() {
    let mut world = verified_by_the_cloud();
    world.package.spec.description = Some("another text".into());
    world.package.metadata.generation = Some(2);
    assert!(matches!(world.reconcile_package().actions[..], [Action::DeletePackage { .. }]));
    world.pass(30);
    let plan = world.reconcile_package();
    let [Action::CreatePackage { package, .. }] = &plan.actions[..] else { panic!("{:?}", plan.actions) };
    assert_eq!(package.verification, None, "its devices run it: they could not be asked again");
}

#[test]
fn a_package_that_the_cloud_holds_back_is_not_ready_although_it_was_verified() {
    let mut world = verified_by_the_cloud();
    world.packages[0].row.verification = Some(CloudVerification::Pending);
    assert_eq!(world.reconcile_package().actions, []);
    assert_eq!(reason(&world), "VerificationNeeded");
    assert!(!needs::is_dispatchable(&world.package));
    world.packages[0].row.verification = Some(CloudVerification::Passed);
    world.reconcile_package();
    assert!(needs::is_dispatchable(&world.package));
}

#[test]
fn a_package_is_not_replaced_before_its_verify_job_is_found_or_known_to_be_lost() {
    let mut asked = verified_on(&["dev-000"]);
    asked["driftPolicy"] = json!("Correct");
    let mut world = world(asked);
    world.reconcile_package();
    let plan = world.plan_package();
    let [Action::CreateJob { job, .. }] = &plan.actions[..] else { panic!("{:?}", plan.actions) };
    let intent = Intent {
        cloud_at: None,
        uptime: None,
        likeness: None,
        package_id: None,
        token: job.token.clone(),
        operation: CreateOperation::CreateJob,
        stage: None,
        digest: String::new(),
        at: world.now,
        state: IntentState::Ambiguous,
    };
    world.package.status.get_or_insert_default().pending.push(intent);
    world.packages[0].row.description = Some("edited by hand".into());
    assert_eq!(world.reconcile_package().actions, [], "the job may still appear");
    let id = world.create_job(job);
    world.run_devices(|_| Fate::Fails);
    assert!(matches!(world.reconcile_package().actions[..], [Action::DeletePackage { .. }]));
    let status = world.package.status.unwrap();
    assert_eq!((status.pending, status.verification.unwrap().job_id), (vec![], Some(id)));
}

#[test]
fn a_job_like_ours_that_comes_after_a_failed_verification_does_not_pass_it() {
    let mut world = world(verified_on(&["dev-000", "dev-001"]));
    world.reconcile_package();
    world.reconcile_package();
    world.run_devices(|device| if device == "dev-000" { Fate::Succeeds } else { Fate::Lies });
    for _ in 0..2 {
        world.pass(30);
        world.reconcile_package();
    }
    assert_eq!(reason(&world), "VerificationFailed");
    // Somebody sends the package to others, and the device that never ran it another one.
    for (package, device) in [("pkg-1", "dev-002"), ("pkg-next", "dev-001")] {
        world.pass(30);
        let mut job = world.jobs[0].clone();
        job.id = format!("job-of-{package}");
        (job.token, job.package_ids) = (Some("0123456789abcdef".into()), vec![package.into()]);
        (job.devices, job.created_at) = (vec![device.into()], Some(world.now));
        world.outcomes.insert(job.id.clone(), std::collections::BTreeMap::new());
        world.jobs.push(job);
        world.reconcile_package();
    }
    assert!(!needs::is_dispatchable(&world.package), "{}", message(&world));
}

#[test]
fn a_package_that_was_found_under_a_clock_that_was_ahead_is_not_waited_for_longer() {
    let mut world = world(json!({"driftPolicy": "Correct"}));
    world.make_ready();
    world.packages.clear();
    world.pass(-3_600);
    assert_eq!(world.reconcile_package().actions, [], "it may not be listed yet");
    world.pass(11);
    assert!(matches!(world.reconcile_package().actions[..], [Action::CreatePackage { .. }]));
}

/// A package whose file was uploaded, by a controller that is started without a folder of files now.
fn uploaded_without_files() -> World {
    let mut world = world(json!({"driftPolicy": "Correct"}));
    world.reconcile_package();
    world.reconcile_package();
    world.package.spec.artifact =
        serde_json::from_value(json!({"sha256": "ab".repeat(32), "file": "v2.bin"})).unwrap();
    world.capabilities.cloud = CloudKind::Enos;
    world
}

const NO_FILES: &str = "spec.artifact.file: this controller has no artifact folder: start it with --artifacts DIR, \
                        or use spec.artifact.obs";

#[test]
fn without_a_folder_of_files_only_the_creation_of_a_package_is_refused() {
    let mut world = uploaded_without_files();
    let stored = world.packages[0].clone();
    world.packages[0].artifact =
        Some(ArtifactRef::Held(HeldArtifact { sha256: Some("ab".repeat(32)), ..HeldArtifact::default() }));
    assert_eq!(world.reconcile_package().actions, []);
    assert!(needs::is_dispatchable(&world.package), "{}", message(&world));
    world.packages[0] = stored;
    assert_eq!(world.reconcile_package().actions, [], "it could not be created again");
    assert_eq!(reason(&world), "DriftBlocked", "{}", message(&world));
    assert!(message(&world).ends_with(NO_FILES), "{}", message(&world));
    world.packages.clear();
    world.pass(600);
    assert_eq!(world.reconcile_package().actions, []);
    assert_eq!((reason(&world), message(&world)), ("FilesUnavailable", NO_FILES));
}
