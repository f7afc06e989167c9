//! What people read about statuses that the judge itself wrote: the tree, and the reasons.

use crate::plan::world::{Fate, World};
use rollwave::{
    api::Object,
    cli::{tree, why},
    decide::explain::explain,
};
use serde_json::{Value, json};

fn wilson_canary() -> Value {
    json!({"stages": [{
        "name": "canary", "select": {"count": 60}, "soak": "1h",
        "gates": [{"name": "proven", "outcome": {"minSuccess": "95%", "minSample": 52}}]
    }]})
}

/// The tree and the reasons, without styles.
fn read(world: &World) -> String {
    let objects = [Object::Package(world.package.clone()), Object::Rollout(world.rollout.clone())];
    let reasons = why::text(&explain(&objects[1], &objects, world.now));
    let text = format!("{}\n{reasons}", tree::draw(&tree::forest(&objects)));
    let text = anstream::adapter::strip_str(&text).to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn begun(spec: Value, fate: impl Fn(&str) -> Fate) -> World {
    let mut world = World::new(300, spec);
    for _ in 0..4 {
        world.reconcile();
        world.run_devices(&fate);
        world.pass(30);
    }
    world.reconcile();
    world
}

#[test]
fn a_stage_that_waits_for_its_window() {
    let stages = json!({"stages": [{
        "name": "canary", "select": {"count": 60},
        "windows": [{"start": "01:00", "duration": "4h", "timeZone": "Asia/Shanghai"}]
    }]});
    let world = begun(stages, |_| Fate::Succeeds);
    insta::assert_snapshot!(read(&world));
}

#[test]
fn a_canary_that_soaks() {
    insta::assert_snapshot!(read(&begun(wilson_canary(), |_| Fate::Succeeds)));
}

#[test]
fn a_canary_with_sleepers_tells_how_many_are_missing() {
    let sleepy = |id: &str| if id.ends_with(['1', '2', '3', '4']) { Fate::Sleeps } else { Fate::Succeeds };
    insta::assert_snapshot!(read(&begun(wilson_canary(), sleepy)));
}

#[test]
fn a_bad_build_is_held_at_its_canary() {
    let flaky = |id: &str| if id.ends_with(['1', '2', '3']) { Fate::Fails } else { Fate::Succeeds };
    let mut world = World::new(300, wilson_canary());
    world.settle(flaky);
    insta::assert_snapshot!(read(&world));
}

#[test]
fn a_stop_rule_that_aborts() {
    let mut spec = wilson_canary();
    spec["stop"] =
        json!([{"name": "many", "method": "Ratio", "maxFailure": "10%", "minSample": 20, "action": "Abort"}]);
    let mut world = World::new(300, spec);
    world.settle(|id| if id.ends_with(['1', '2', '3']) { Fate::Lies } else { Fate::Succeeds });
    insta::assert_snapshot!(read(&world));
}

#[test]
fn a_canary_that_is_too_small() {
    let mut spec = wilson_canary();
    spec["stages"][0]["select"] = json!({"count": 10});
    let mut world = World::new(300, spec);
    world.settle(|_| Fate::Succeeds);
    insta::assert_snapshot!(read(&world));
}

#[test]
fn suspended() {
    let mut world = begun(wilson_canary(), |_| Fate::Sleeps);
    world.edit_rollout(|rollout| rollout.spec.suspend = true);
    world.reconcile();
    insta::assert_snapshot!(read(&world));
}

#[test]
fn done() {
    let mut world = World::new(300, wilson_canary());
    world.settle(|_| Fate::Succeeds);
    insta::assert_snapshot!(read(&world));
}
