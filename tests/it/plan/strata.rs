//! Stages that have devices of every stratum.

use super::preview::preview_rollout;
use super::world::{Fate, World};
use rollwave::api::{Object, OtaRolloutStatus, RolloutPhase, StagePhase};
use rollwave::decide::explain::explain;
use rollwave::decide::strata::label;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// 300 devices: 240 on V1.0, 50 on V1.1, 10 on V0.9.
fn mixed(stages: &Value) -> World {
    let mut world = World::new(300, json!({"order": {"stratifyBy": ["sourceVersion"]}, "stages": stages}));
    for (n, device) in world.devices.values_mut().enumerate() {
        let version = match n % 30 {
            0 => "V0.9",
            1..=5 => "V1.1",
            _ => "V1.0",
        };
        device.firmware = Some(version.to_owned());
    }
    world
}

fn canary(count: u32) -> Value {
    json!([
        {"name": "canary", "select": {"count": count},
         "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "50%"}}]},
        {"name": "rest", "select": {"rest": true}},
    ])
}

fn sent(status: &OtaRolloutStatus, stage: usize) -> BTreeMap<String, u32> {
    let strata = status.stages[stage].strata.as_ref().unwrap();
    strata.counts.iter().map(|row| (row.name.clone(), row.devices)).collect()
}

fn of(rows: &[(&str, u32)]) -> BTreeMap<String, u32> {
    rows.iter().map(|(name, devices)| ((*name).to_owned(), *devices)).collect()
}

/// Devices of the jobs by the version that they had in the beginning.
fn truth(world: &World, before: &World, stage: usize) -> BTreeMap<String, u32> {
    let title = format!("meter/{}", before.rollout.spec.stages[stage].name);
    let jobs = world.jobs.iter().filter(|job| job.title == title);
    let versions = jobs.flat_map(|job| &job.devices).map(|id| before.devices[id].firmware.clone().unwrap());
    versions.fold(BTreeMap::new(), |mut counts, version| {
        *counts.entry(version).or_default() += 1;
        counts
    })
}

#[test]
fn a_stage_gets_its_part_of_each_stratum_however_it_is_sent() {
    for (devices_per_job, batch) in [(30_000, None), (7, None), (30_000, Some(4)), (3, Some(10))] {
        let mut world = mixed(&canary(30));
        world.capabilities.max_devices_per_job = devices_per_job;
        if let Some(size) = batch {
            world.edit_rollout(|rollout| {
                rollout.spec.stages[0].batch = serde_json::from_value(json!({"size": size})).unwrap();
            });
        }
        let before = world.clone();
        // Devices report the new version as soon as their job exists: the record alone knows what they were.
        let end = world.settle(|_| Fate::Succeeds);
        assert_eq!(end.status.phase, RolloutPhase::Completed, "{}", end.status.message);
        let expected = of(&[("V0.9", 1), ("V1.0", 24), ("V1.1", 5)]);
        assert_eq!(sent(&end.status, 0), expected, "{devices_per_job} {batch:?}");
        assert_eq!(truth(&world, &before, 0), expected, "{devices_per_job} {batch:?}");
        assert_eq!(sent(&end.status, 1), truth(&world, &before, 1));
        assert_eq!(end.status.stages[0].strata.as_ref().unwrap().unknown, 0);
    }
}

#[test]
fn a_percent_stage_gets_the_lowest_rank_of_a_stratum_that_it_would_not_have() {
    let stages = json!([
        {"name": "canary", "select": {"percent": "1%"},
         "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "50%"}}]},
        {"name": "rest", "select": {"rest": true}},
    ]);
    let mut plain = mixed(&stages);
    plain.edit_rollout(|rollout| rollout.spec.order = None);
    plain.reconcile();
    let by_rank = truth(&plain, &mixed(&stages), 0);
    assert!(!by_rank.contains_key("V0.9"), "{by_rank:?}");
    let mut world = mixed(&stages);
    let before = world.clone();
    world.reconcile();
    let found = truth(&world, &before, 0);
    let expected: BTreeMap<String, u32> = ["V0.9", "V1.0", "V1.1"]
        .into_iter()
        .map(|name| (name.to_owned(), by_rank.get(name).copied().unwrap_or(1)))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_plan_shows_the_strata_and_warns_of_those_that_a_stage_has_none_of() {
    let world = mixed(&canary(30));
    let preview = preview_rollout(&world, &world.package);
    let shown: Vec<(&str, u32, u32)> = preview.stages[0]
        .strata
        .counts
        .iter()
        .map(|row| (row.name.as_str(), row.devices, row.available))
        .collect();
    assert_eq!(shown, [("V0.9", 1, 10), ("V1.0", 24, 240), ("V1.1", 5, 50)]);
    assert!(!preview.warnings.iter().any(|warning| warning.contains("has no device of")));
    let world = mixed(&canary(2));
    let warnings = preview_rollout(&world, &world.package).warnings;
    assert!(warnings.contains(&"stage canary has no device of V0.9".to_owned()), "{warnings:?}");
}

#[test]
fn more_strata_than_are_recorded_are_one_named_others() {
    let mut world = mixed(&canary(60));
    for (n, device) in world.devices.values_mut().enumerate() {
        // 0..=23, the first ones larger.
        device.firmware = Some(format!("V1.{:02}", (n % 25).min(n % 24)));
    }
    let before = world.clone();
    world.reconcile();
    let status = world.rollout_status();
    let record = status.stages[0].strata.as_ref().unwrap();
    assert_eq!((record.counts.len(), record.known()), (21, 60), "{record:?}");
    let found = truth(&world, &before, 0);
    for (name, devices) in sent(&status, 0) {
        let expected = match name.as_str() {
            "others" => {
                found.iter().filter(|(name, _)| !sent(&status, 0).contains_key(*name)).map(|(_, n)| n).sum()
            }
            name => found[name],
        };
        assert_eq!(devices, expected, "{name}");
    }
}

#[test]
fn after_a_lost_state_the_strata_are_unknown_and_the_rest_is_chosen_in_rank_order() {
    let mut world = mixed(&canary(30));
    world.capabilities.max_devices_per_job = 10;
    world.reconcile();
    world.run_devices(|_| Fate::Succeeds);
    world.rollout.status = None;
    let before = world.clone();
    let end = world.settle(|_| Fate::Succeeds);
    let record = end.status.stages[0].strata.clone().unwrap();
    assert!(record.unknown > 0, "{record:?}");
    assert_eq!(end.status.stages[0].responders, None);
    assert_eq!(end.status.phase, RolloutPhase::Completed, "{}", end.status.message);
    let canary: usize =
        world.jobs.iter().filter(|job| job.title == "meter/canary").map(|job| job.devices.len()).sum();
    assert_eq!(canary, 30, "{:?}", before.jobs);
}

#[test]
fn an_edit_of_what_devices_are_divided_by_changes_only_stages_that_were_not_sent() {
    let mut world = mixed(&canary(30));
    world.capabilities.max_devices_per_job = 10;
    let before = world.clone();
    world.reconcile();
    world.run_devices(|_| Fate::Succeeds);
    world.pass(30);
    world.edit_rollout(|rollout| rollout.spec.order = None);
    let end = world.settle(|_| Fate::Succeeds);
    assert_eq!(end.status.phase, RolloutPhase::Completed, "{}", end.status.message);
    assert_eq!(truth(&world, &before, 0), of(&[("V0.9", 1), ("V1.0", 24), ("V1.1", 5)]));
    assert_eq!(end.status.stages[1].strata, None);
}

/// Half of the canary is V1.1, of which most are silent.
fn silent() -> World {
    let mut world = mixed(&json!([
        {"name": "canary", "select": {"count": 100}, "deadline": {"after": "1h"},
         "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "50%"}}]},
        {"name": "rest", "select": {"rest": true}},
    ]));
    for (n, device) in world.devices.values_mut().enumerate() {
        device.firmware = Some(if n % 5 == 0 { "V1.1" } else { "V1.0" }.to_owned());
    }
    world.reconcile();
    let versions = world.devices.clone();
    world.run_devices(|id| {
        let is_silent = versions[id].firmware.as_deref() == Some("V1.1") && !id.ends_with('0');
        if is_silent { Fate::Hangs } else { Fate::Succeeds }
    });
    world.pass(30);
    world
}

#[test]
fn a_gate_does_not_pass_while_a_stratum_is_silent() {
    let mut world = silent();
    let held = world.reconcile().status;
    let record = held.stages[0].strata.clone().unwrap();
    let answered: Vec<(&str, u32, Option<u32>)> =
        record.counts.iter().map(|row| (row.name.as_str(), row.devices, row.answered)).collect();
    assert_eq!(answered[0], ("V1.0", 80, Some(80)));
    assert_eq!((answered[1].0, answered[1].1), ("V1.1", 20));
    assert_ne!(held.stages[0].phase, StagePhase::Passed, "{}", held.message);
    insta::assert_snapshot!(held.message, @"stage canary, gate proven: 88 of 100 succeeded (88.0 %), 12 without an outcome; needs 50 %: may have 50 failures; only 8 of 20 devices of V1.1 have an outcome, and 80 of 80 others; by chance once in 10^9; it waits until 80 % of them have one (minObserved)");
    let object = Object::Rollout(world.rollout.clone());
    let why = explain(&object, std::slice::from_ref(&object), world.now);
    insta::assert_snapshot!(why.seen[1], @"Strata of stage canary by sourceVersion: 80 of 240 devices of V1.0 (80 have an outcome, 0 failed); 20 of 60 devices of V1.1 (8 have an outcome, 0 failed).");
    insta::assert_snapshot!(why.next[1], @"Gate proven of stage canary waits for outcomes: only 8 of 20 devices of V1.1 have an outcome, and 80 of 80 others; by chance once in 10^9; it waits until 80 % of them have one (minObserved).");
    // They answer late, and it goes on by itself.
    let end = world.settle(|_| Fate::Succeeds).status;
    assert_eq!(end.phase, RolloutPhase::Completed, "{}", end.message);
}

#[test]
fn upgraded_devices_are_compared_with_others_of_their_group() {
    let mut world = World::new(
        800,
        json!({
            "order": {"stratifyBy": ["sourceVersion", "group"]},
            "stages": [{"name": "canary", "select": {"count": 80}, "soak": "8h"}, {"name": "rest", "select": {"rest": true}}],
            "stop": [{"name": "control", "method": "Control"}],
        }),
    );
    world.devices.values_mut().for_each(|device| device.online = Some(true));
    let ids: Vec<String> = world.devices.keys().cloned().collect();
    let (north, south) = ids.split_at(200);
    label(&mut world.labels, "group", "north", north);
    label(&mut world.labels, "group", "south", south);
    world.reconcile();
    assert_eq!(sent(&world.rollout_status(), 0), of(&[("V1 / north", 20), ("V1 / south", 60)]));
    world.run_devices(|_| Fate::Succeeds);
    // North is a site with a bad network, also for devices that nothing was sent to.
    for (n, id) in north.iter().enumerate() {
        world.devices.get_mut(id).unwrap().online = Some(n % 2 == 0);
    }
    world.pass(30);
    world.reconcile();
    world.pass(3_600);
    let fine = world.reconcile().status;
    assert_eq!(fine.stopped_by, None, "{}", fine.message);
    let last = fine.stages[0].control.as_ref().unwrap().last.clone().unwrap();
    let rows: Vec<(&str, u32, u32)> = last
        .strata
        .iter()
        .map(|row| (row.name.as_str(), row.upgraded.devices, row.control.offline))
        .collect();
    assert_eq!((rows.len(), rows[0].0, rows[0].1, rows[1]), (2, "north", 20, ("south", 60, 0)), "{rows:?}");
    assert_eq!(rows[0].2, last.control.offline);
    // What fails in the south is seen beside it.
    let upgraded: Vec<String> =
        world.jobs[0].devices.iter().filter(|id| south.contains(id)).cloned().collect();
    for id in upgraded.iter().take(30) {
        world.devices.get_mut(id).unwrap().online = Some(false);
    }
    world.pass(3_600);
    let stopped = world.reconcile().status;
    assert!(
        stopped.message.contains("other devices are offline, compared in 2 strata; evidence"),
        "{}",
        stopped.message
    );
    assert_eq!(stopped.stopped_by.map(|evidence| evidence.rule), Some("control".to_owned()));
}
