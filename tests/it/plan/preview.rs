//! What a preview says is what a run does.

use super::world::{Fate, World};
use rollwave::api::{OtaPackage, OtaRollout};
use rollwave::cloud::{Capabilities, RowsLack};
use rollwave::decide::clocks::Clocks;
use rollwave::decide::preview::{self, End, KNOWN_AFTER_CREATE, Preview};
use rollwave::decide::{Action, Fleet, PackageView, RolloutView, Seen, needs};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn preview_package(world: &World) -> Preview<OtaPackage> {
    preview::package(&PackageView {
        object: &world.package,
        capabilities: &world.capabilities,
        packages: Some(Seen { at: world.now, value: world.packages.clone() }),
        jobs: Some(Seen { at: world.now, value: world.jobs.iter().collect() }),
        devices: Some(Seen { at: world.now, value: world.devices.clone() }),
        results: BTreeMap::new(),
        unasked_jobs: 0,
        now: world.now,
    })
}

pub(super) fn preview_rollout(world: &World, package: &OtaPackage) -> Preview<OtaRollout> {
    let view = RolloutView {
        object: &world.rollout,
        package: Some(package),
        capabilities: Some(&world.capabilities),
        fleet: Some(Seen {
            at: world.now,
            value: Fleet { devices: &world.devices, sets: world.sets(), labels: world.labels.clone() },
        }),
        jobs: Some(Seen { at: world.now, value: world.jobs.iter().collect() }),
        results: BTreeMap::new(),
        unasked_jobs: 0,
        refusal: None,
        package_is_invalid: false,
        package_of_run: None,
        rivals: world.rivals(),
        now: world.now,
        clocks: Clocks::STEADY,
    };
    preview::rollout(&view, !needs::is_dispatchable(&world.package))
}

fn three_stages() -> Value {
    json!({
        "stages": [
            {"name": "canary", "select": {"count": 10}, "soak": "1d",
             "gates": [{"name": "proven", "outcome": {"minSuccess": "60%"}}]},
            {"name": "half", "select": {"percent": "50%"},
             "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "95%"}}]}
        ],
        "stop": [{"name": "s", "method": "Count", "maxFailure": 3}]
    })
}

#[test]
fn a_preview_says_when_windows_open() {
    let nights = json!([{"start": "01:00", "duration": "4h", "timeZone": "Asia/Shanghai"}]);
    let stages = |canary: Value| {
        let mut spec = json!({"stages": [
            {"name": "canary", "select": {"count": 10}, "soak": "1h"},
            {"name": "rest", "select": {"rest": true}, "windows": nights},
        ]});
        spec["stages"][0].as_object_mut().unwrap().extend(canary.as_object().unwrap().clone());
        let world = World::new(30, spec);
        let preview = preview_rollout(&world, &world.package);
        assert_eq!(preview.end, End::Converged);
        lines(&preview)
    };
    insta::assert_snapshot!(stages(json!({"windows": nights})), @"
    OtaRollout/meter: create job meter/canary of pkg-1 for 10 devices, when it opens 2023-11-16 01:00 Asia/Shanghai, in 18h47m
    OtaRollout/meter: create job meter/rest of pkg-1 for 20 devices, after stage canary passes (soak 1h), and not before it opens 2023-11-16 01:00 Asia/Shanghai, in 18h47m
    ");
    insta::assert_snapshot!(stages(json!({"notBefore": "2023-11-15T17:30:00Z"})), @"
    OtaRollout/meter: create job meter/canary of pkg-1 for 10 devices, when it opens 2023-11-15 17:30:00Z, in 19h17m
    OtaRollout/meter: create job meter/rest of pkg-1 for 20 devices, after stage canary passes (soak 1h), and not before it opens 2023-11-16 01:00 Asia/Shanghai, in 18h47m
    ");
}

fn lines<O>(preview: &Preview<O>) -> String {
    let step = |step: &preview::Step| {
        let what = match &step.action {
            Action::CreatePackage { package, .. } => format!("create package {}", package.key.version),
            Action::CreateJob { job, .. } => {
                format!("create job {} of {} for {} devices", job.title, job.package_id, job.devices.len())
            }
            other => format!("{other:?}"),
        };
        format!("{}: {what}, {}", step.object, step.when)
    };
    preview.steps.iter().map(step).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_preview_from_nothing_goes_through_package_verification_and_stages() {
    let world =
        World::with_package(40, json!({"verification": {"devices": ["dev-000", "dev-001"]}}), three_stages());
    let package = preview_package(&world);
    assert_eq!(package.end, End::Converged);
    insta::assert_snapshot!(lines(&package), @r"
    OtaPackage/meter-v2: create package V2, now
    OtaPackage/meter-v2: create job meter-v2/verify of known-after-create for 2 devices, after the previous step
    ");
    assert_eq!(package.object.status.as_ref().unwrap().package_id.as_deref(), Some(KNOWN_AFTER_CREATE));
    let rollout = preview_rollout(&world, &package.object);
    assert_eq!(rollout.end, End::Converged);
    insta::assert_snapshot!(lines(&rollout), @r"
    OtaRollout/meter: create job meter/canary of known-after-create for 10 devices, after OtaPackage meter-v2 is ready and verified
    OtaRollout/meter: create job meter/half of known-after-create for 13 devices, after stage canary passes (soak 1d)
    OtaRollout/meter: create job meter/rest of known-after-create for 15 devices, after stage half passes
    ");
    assert_eq!(rollout.irreversible, ["an upgrade that a device has received (38 devices)"]);
    assert_eq!(rollout.stages[0].examples.len(), 10);
}

#[test]
fn a_run_where_all_goes_well_does_exactly_what_the_preview_said() {
    let mut world = World::new(40, three_stages());
    world.capabilities.max_devices_per_job = 7;
    let preview = preview_rollout(&world, &world.package);
    let promised: Vec<_> = preview
        .steps
        .iter()
        .map(|step| match &step.action {
            Action::CreateJob { job, .. } => (job.token.clone(), job.devices.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    // A soak of a day is passed in steps of half a minute only while jobs run.
    for _ in 0..20 {
        world.reconcile();
        world.run_devices(|_| Fate::Succeeds);
        world.pass(30);
    }
    world.pass(86_400);
    world.settle(|_| Fate::Succeeds);
    let done: Vec<_> =
        world.jobs.iter().map(|job| (job.token.clone().unwrap(), job.devices.clone())).collect();
    assert_eq!(promised, done);
    assert_eq!(preview_rollout(&world, &world.package).steps, []);
}

#[test]
fn warnings_say_what_is_weak() {
    let world = World::new(
        40,
        json!({
            "stages": [
                {"name": "canary", "select": {"count": 10}, "gates": [{"name": "proven", "outcome": {"minSuccess": "95%"}}]},
                {"name": "none", "select": {"percent": "0%"}, "gates": []},
                {"name": "sized", "select": {"count": 6}},
                {"name": "lab", "gates": [], "select": {"devices": ["dev-000", "dev-001", "dev-002"]}}
            ]
        }),
    );
    insta::assert_snapshot!(preview_rollout(&world, &world.package).warnings.join("\n"), @r"
    no stop rules (stop: []): only the gates stop a bad package
    stage canary (10 devices) cannot prove 95 %: needs 52
    stage none has no gate (gates: []): the next stage starts when its devices have an outcome, unless more of them failed than succeeded
    stage none selects no devices
    stage lab has no gate (gates: []): the next stage starts when its devices have an outcome, unless more of them failed than succeeded
    stage sized, gate default: a good build, which fails on 2 % of the devices, is held in up to 11.4 %: select 8 devices or more
    ");
}

#[test]
fn a_stop_rule_that_asks_for_more_devices_than_there_are_is_named() {
    let stop = json!([
        {"name": "share", "method": "Ratio", "maxFailure": "10%", "minSample": 50},
        {"name": "fits", "method": "Ratio", "maxFailure": "10%", "minSample": 40},
        {"name": "number", "method": "Count", "maxFailure": 41}
    ]);
    let world = World::new(40, json!({"stop": stop, "stages": [{"name": "all", "select": {"rest": true}}]}));
    insta::assert_snapshot!(preview_rollout(&world, &world.package).warnings.join("\n"), @r"
    stop rule share can never fire: it needs 50 devices with an outcome (minSample), and all stages together have 40
    stop rule number can never fire: it needs 41 failed devices (maxFailure), and all stages together have 40
    ");
}

#[test]
fn a_held_rollout_says_where_it_ends() {
    let mut world = World::new(40, json!({"suspend": true}));
    let held = preview_rollout(&world, &world.package);
    assert_eq!((held.steps, held.end), (Vec::new(), End::Held("suspended: nothing was sent yet".into())));
    world.package.status = None;
    world.edit_rollout(|rollout| rollout.spec.suspend = false);
    let End::Held(message) = preview_rollout(&world, &world.package).end else { panic!("not held") };
    assert_eq!(message, "waits for OtaPackage meter-v2 to be ready and verified: it was not reconciled yet");
}

#[test]
fn a_deletion_is_previewed_with_its_stops() {
    let mut world = World::new(40, json!({}));
    world.reconcile();
    world.delete_rollout();
    let preview = preview_rollout(&world, &world.package);
    let id = world.jobs[0].id.clone();
    let actions: Vec<_> = preview.steps.into_iter().map(|step| step.action).collect();
    assert_eq!(actions, [Action::StopJob { id }, Action::Release]);
    assert_eq!(preview.end, End::Released);
}

#[test]
fn watching_costs_pages_not_devices() {
    let mut world = World::new(40, json!({}));
    let needs = needs::for_preview(&world.rollout, &world.package);
    let text = |needs: &[needs::Need], devices| {
        let known = preview::Known { devices, jobs: 120, ..preview::Known::default() };
        let estimates = preview::watching(needs, &world.capabilities, &known);
        let lines = estimates.iter().map(|(_, e)| format!("{} {} {}", e.operation, e.calls, e.formula));
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(text(&needs, 1000), @r"
    ListJobs 4 ⌈120 jobs / 50 per page⌉ + 1 for the other kind
    ListDevices 20 ⌈1000 devices / 50 per page⌉
    ");
    let capabilities = Capabilities {
        job_rows_lack: RowsLack::Devices,
        max_devices_per_question: 50,
        ..world.capabilities.clone()
    };
    let mut known =
        preview::Known { devices_of_jobs: vec![120], devices_asked_for: vec![120, 1], ..Default::default() };
    let tasks = |known: &preview::Known| preview::watching(&needs, &capabilities, known)[1].1.clone();
    assert_eq!(
        (tasks(&known).calls, tasks(&known).formula.as_str()),
        (
            7,
            "devices of 1 jobs of Rollwave / 50 per page + 4 to query 2 external jobs, 50 devices at once, before a job is created"
        )
    );
    known.devices_of_jobs.clear();
    assert_eq!((tasks(&known).operation, tasks(&known).calls), ("ListJobDevices", 4));
    world.rollout.spec.targets.all = None;
    world.rollout.spec.targets.devices = Some(vec!["dev-000".into()]);
    let needs = needs::for_preview(&world.rollout, &world.package);
    let capabilities = &world.capabilities;
    assert_eq!(preview::watching(&needs, capabilities, &preview::Known::default())[1].1.calls, 1);
}
