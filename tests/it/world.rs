//! The deterministic world: the laws hold in every seed, the same seed is the same history, and a switched-off safeguard
//! is noticed.
//!
//! `SIM_SEED` and `SIM_RUNS` choose other seeds for `worlds_of_the_seed_that_is_asked_for`; `make world` does so.

use rollwave::world::{Mutation, Outcome, Profile, World};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Plays these worlds on all cores, in any order.
fn play(worlds: &[World]) -> Vec<(World, Outcome)> {
    let next = Arc::new(AtomicU64::new(0));
    let done = Arc::new(Mutex::new(Vec::new()));
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(world) = worlds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let outcome = world.run();
                    done.lock().unwrap().push((*world, outcome));
                }
            });
        }
    });
    let mut done = std::mem::take(&mut *done.lock().unwrap());
    done.sort_by_key(|(world, _)| world.seed);
    done
}

fn report(world: &World, outcome: &Outcome) -> Option<String> {
    let violation = outcome.violation.as_ref()?;
    Some(format!(
        "SIM_SEED={} ({}), step {}: {}\n  {}",
        world.seed,
        world.profile.name,
        outcome.steps,
        violation.what,
        violation.last_events.join("\n  ")
    ))
}

fn assert_lawful(done: &[(World, Outcome)]) {
    let reports: Vec<String> = done.iter().filter_map(|(world, outcome)| report(world, outcome)).collect();
    let first: Vec<&String> = reports.iter().take(3).collect();
    assert!(
        reports.is_empty(),
        "{} of {} worlds broke a law; replay one with `make world SIM_SEED=… SIM_RUNS=1`\n{first:#?}",
        reports.len(),
        done.len()
    );
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn the_same_seed_is_the_same_history() {
    let worlds: Vec<World> = (0..50).map(World::of_seed).collect();
    let hashes = |done: Vec<(World, Outcome)>| -> Vec<(u64, u64, u64)> {
        done.iter().map(|(world, outcome)| (world.seed, outcome.trace_hash, outcome.events)).collect()
    };
    let first = hashes(play(&worlds));
    assert_eq!(first, hashes(play(&worlds)));
    let distinct: BTreeSet<u64> = first.iter().map(|(_, hash, _)| *hash).collect();
    assert_eq!(distinct.len(), worlds.len(), "different seeds are different histories");
}

#[test]
fn worlds_of_the_seed_that_is_asked_for() {
    let (from, runs) = (number("SIM_SEED", 1_000), number("SIM_RUNS", 40));
    let worlds: Vec<World> = (from..from.saturating_add(runs)).map(asked_for).collect();
    let began = Instant::now();
    let done = play(&worlds);
    for (world, outcome) in &done {
        if let Some(violation) = &outcome.violation {
            println!("SIM_SEED={} ({}): {}", world.seed, world.profile.name, violation.what);
        }
    }
    println!("{}", summary(&done, began.elapsed().as_secs_f64()));
    assert_lawful(&done);
}

#[test]
fn worlds_that_once_broke_a_law_are_lawful() {
    let lines = include_str!("world/seeds/found.txt").lines().filter(|line| !line.starts_with('#'));
    let seeds: Vec<u64> = lines.map(|line| line.split_once(' ').unwrap().0.parse().unwrap()).collect();
    assert!(seeds.len() >= 8, "a seed that found something is never taken out");
    assert_lawful(&play(&seeds.into_iter().map(World::of_seed).collect::<Vec<_>>()));
}

fn asked_for(seed: u64) -> World {
    let usual = World::of_seed(seed);
    World { events_kept: number("SIM_EVENTS", 40) as usize, ..usual }
}

fn summary(done: &[(World, Outcome)], seconds: f64) -> String {
    let (mut faults, mut points, mut hours, mut steps) = (BTreeMap::new(), BTreeMap::new(), 0, 0);
    let mut profiles = BTreeMap::new();
    for (world, outcome) in done {
        for (kind, count) in &outcome.faults {
            *faults.entry(kind.as_str()).or_insert(0) += count;
        }
        for (what, when) in &outcome.points {
            *points.entry(format!("{what}.{when}")).or_insert(0_u64) += 1;
        }
        *profiles.entry(world.profile.name).or_insert(0) += 1;
        hours += outcome.lasted_secs / 3600;
        steps += outcome.steps;
    }
    let broken = done.iter().filter(|(_, outcome)| outcome.violation.is_some()).count();
    let rate = done.len() as f64 / seconds.max(0.001);
    format!(
        "faults: {faults:?}\npoints: {points:?}\nprofiles: {profiles:?}\n{} worlds, {broken} violations, {hours} virtual hours, {steps} steps in {seconds:.1} s: {rate:.0} worlds a second",
        done.len()
    )
}

#[test]
fn every_switched_off_safeguard_is_noticed() {
    let rough = Profile::ALL.into_iter().find(|profile| profile.name == "storm").unwrap();
    for mutation in Mutation::ALL {
        let caught = (0..200).find(|seed| {
            World { profile: rough, mutation: Some(mutation), ..World::of_seed(*seed) }
                .run()
                .violation
                .is_some()
        });
        println!("{mutation:?}: seed {caught:?}");
        assert!(caught.is_some(), "{mutation:?} was not noticed");
    }
}
