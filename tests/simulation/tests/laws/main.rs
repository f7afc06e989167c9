//! The simulation: the laws hold in every seed, the same seed is the same history, a switched-off safeguard is
//! noticed, and what is told of a failure plays it again. `make simulation` (`simulation.rs`) plays any number of worlds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod course;
mod history;
mod options;
mod report;

use course::{Course, Tally, play};
use history::Compared;
use rollwave_simulation::{
    Clouds, FIRST_OF_CONTROL, FIRST_OF_DEADLINES, FIRST_OF_DEFAULTS, FIRST_OF_PACE, Home, Law, Laws,
    Mutation, Profile, Selection, World, shrink,
};
use std::collections::{BTreeMap, BTreeSet};

fn assert_lawful(tally: &Tally) {
    let first = tally.broken.values().next().map(|(world, outcome)| report::failure(world, outcome, false));
    if let Some(first) = first {
        panic!("{} of {} worlds broke a law; the first:\n{first}", tally.violations(), tally.worlds);
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    let first = course::histories();
    assert_eq!(first, course::histories());
    let distinct: BTreeSet<&u64> = first.values().collect();
    assert_eq!(distinct.len(), 50, "different seeds are different histories");
    let compared = history::compare(&first).unwrap();
    assert!(!matches!(compared, Compared::Differ(_)), "the release build goes another way: {compared:?}");
}

/// Worlds of all clouds and of both homes, and the worlds that once broke a law.
#[test]
fn worlds_of_a_fixed_course_are_lawful_and_reach_every_point() {
    let cluster = Course { home: Some(Home::Kubernetes), ..Course::of(2_000_000, 80) };
    let mut points = BTreeMap::new();
    let before = Course::of(FIRST_OF_DEADLINES, 40);
    let latest = Course::of(FIRST_OF_DEFAULTS, 40);
    let paced = Course::of(FIRST_OF_PACE, 60);
    let compared = Course::of(FIRST_OF_CONTROL + 40, 40).play(|_, _| {});
    assert!(compared.methods_fired.contains_key("Control"), "{:?}", compared.methods_fired);
    let short = Course {
        home: Some(Home::Local),
        short_lives: Some(true),
        ..Course::of(FIRST_OF_DEADLINES + 1_000, 20)
    };
    for tally in [
        Course::of(1_000_000, 150).play(|_, _| {}),
        cluster.play(|_, _| {}),
        before.play(|_, _| {}),
        latest.play(|_, _| {}),
        paced.play(|_, _| {}),
        compared,
        short.play(|_, _| {}),
        play_found(),
    ] {
        println!("{}\n{}", report::counts(&tally), report::summary(&tally));
        assert_lawful(&tally);
        for (home, reached) in tally.points {
            points.entry(home).or_insert_with(BTreeSet::new).extend(reached);
        }
    }
    assert_eq!(report::unreached(&Tally { points, oldest: FIRST_OF_DEADLINES, ..Tally::default() }), None);
}

fn play_found() -> Tally {
    let lines = include_str!("../../seeds/found.txt").lines().filter(|line| !line.starts_with('#'));
    let worlds: BTreeMap<u64, World> = (0..).zip(lines.map(found)).collect();
    assert!(worlds.len() >= 30, "a seed that found something is never taken out");
    let numbers: Vec<u64> = worlds.keys().copied().collect();
    play(&numbers, |number| worlds[number], &Selection::default(), |_, _| {})
}

/// A line is a seed, a profile, clouds and a home where they are not the seed's own, and what it found.
fn found(line: &str) -> World {
    let mut words = line.split(' ');
    let seed = words.next().unwrap().parse().unwrap();
    let profile = Profile::named(words.next().unwrap()).unwrap();
    let usual = World::of_seed(seed);
    let more: Vec<&str> = words.take(2).collect();
    let clouds = more.first().and_then(|word| Clouds::named(word));
    let home = more.get(usize::from(clouds.is_some())).and_then(|word| Home::named(word));
    World { profile, clouds: clouds.unwrap_or(usual.clouds), home: home.unwrap_or(usual.home), ..usual }
}

#[test]
fn every_switched_off_safeguard_is_noticed() {
    let iotda = Clouds::named("huaweiIotda").unwrap();
    for mutation in Mutation::ALL.into_iter().filter(|mutation| mutation.breaks().is_none()) {
        assert_noticed(mutation, iotda);
    }
}

/// Each law of intent that is judged has a mutant that breaks it, and it is this law that says so.
#[test]
fn every_switched_off_safeguard_of_intent_is_noticed_by_its_law() {
    let iotda = Clouds::named("huaweiIotda").unwrap();
    let judged = |law: Law| Laws::of_seed(5_000_000).has(law);
    for mutation in Mutation::ALL.into_iter().filter(|mutation| mutation.breaks().is_some_and(judged)) {
        assert_noticed(mutation, iotda);
    }
}

/// Where jobs carry no token, or are found in another place, the same safeguards stand on other ground.
#[test]
fn a_safeguard_of_a_job_s_identity_that_is_switched_off_is_noticed_on_every_cloud() {
    for clouds in ["oceanConnect", "aliyunIot", "enos"].map(|name| Clouds::named(name).unwrap()) {
        assert_noticed(Mutation::JournalNotDurable, clouds);
        assert_noticed(Mutation::NoWait, clouds);
    }
    // On OceanConnect nothing in a list is ours by itself, and so this mutant hides nothing.
    for clouds in ["aliyunIot", "enos"].map(|name| Clouds::named(name).unwrap()) {
        assert_noticed(Mutation::NoLook, clouds);
    }
}

fn assert_noticed(mutation: Mutation, clouds: Clouds) {
    let profile = Profile::named(mutation.weather()).unwrap();
    let first = mutation.first_seed();
    let law = mutation.breaks().map(|law| format!("law ({})", law.letter())).unwrap_or_default();
    let caught = (0..200).find_map(|n| {
        let seed = first + n;
        let home = mutation.home().unwrap_or(Home::Local);
        let usual = World::of_seed(seed);
        let laws = mutation.breaks().map_or(usual.laws, |law| Laws::default().and(law));
        let short_lives = laws.has(Law::ShortLives);
        let world = World { profile, clouds, home, mutation: Some(mutation), laws, short_lives, ..usual };
        let told = world.run().violation.map(|violation| (n + 1, violation.what));
        told.filter(|(_, what)| what.starts_with(&law))
    });
    println!("{mutation:?} ({clouds}, {}): {caught:?}", profile.name);
    assert!(caught.is_some(), "{mutation:?} was not noticed on {clouds}");
}

#[test]
fn a_failing_world_gets_smaller_and_the_printed_command_plays_it_again() {
    let storm = Profile::ALL.into_iter().find(|profile| profile.name == "storm").unwrap();
    let mutant =
        |seed| World { profile: storm, mutation: Some(Mutation::JournalNotDurable), ..World::of_seed(seed) };
    let failing = (0..50).map(mutant).map(|world| (world, world.run()));
    let (world, failed) = failing.into_iter().find(|(_, outcome)| outcome.violation.is_some()).unwrap();
    let shrunk = shrink(world, &failed);
    assert!(shrunk.outcome.violation.is_some());
    let size = |outcome: &rollwave_simulation::Outcome| outcome.struck.len() + outcome.turns.len();
    assert!(size(&shrunk.outcome) < size(&failed), "{} faults are many", shrunk.outcome.struck.len());

    let told = report::failure(&world, &failed, false);
    let command = told.lines().last().unwrap().split_once("again: make simulation ").unwrap().1;
    let variables = command.split(' ').map(|pair| pair.split_once('=').unwrap());
    let again = options::read(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
    assert_eq!(again.runs, 1);
    assert_eq!(again.world(again.seed).run_selected(&again.selection), shrunk.outcome);
}

#[test]
fn a_course_that_makes_no_sense_is_refused_with_what_does() {
    let read = |text: &str| {
        let pairs = text.split_whitespace().map(|pair| pair.split_once('=').unwrap());
        options::read(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
    };
    for (text, why) in [
        ("SIM_SEED=-1", "SIM_SEED=-1: is not a seed (try 42)"),
        ("SIM_RUNS=many", "SIM_RUNS=many: is not a number of worlds (try 1000; at most 100000000)"),
        ("SIM_RUNS=0", "SIM_RUNS=0: is not a number of worlds (try 1000; at most 100000000)"),
        ("SIM_FAULTS=1;2 SIM_RUNS=1", "SIM_FAULTS=1;2: is not a list of numbers (try 0,7,12 or none)"),
        ("SIM_SEEDS=none", "SIM_SEEDS=none: is not a list of seeds (try 7,12)"),
        (
            "SIM_SEEDS=7,12 SIM_RUNS=5",
            "SIM_SEEDS stands in the place of SIM_SEED and SIM_RUNS: leave those out",
        ),
        ("SIM_EVENTS=all", "SIM_EVENTS=all: is not a number of events (try 400)"),
        ("SIM_TURNS=1 SIM_RUNS=2", "SIM_FAULTS and SIM_TURNS are of one world: add SIM_RUNS=1"),
    ] {
        assert_eq!(read(text), Err(why.to_owned()), "{text}");
    }
    for (text, why) in [
        ("SIM_PROFILE=wild", "there is no such profile (there are calm, "),
        (
            "SIM_CLOUD=x",
            "there is no such cloud (there are huaweiIotda, oceanConnect, aliyunIot, enos, mixed)",
        ),
        ("SIM_MUTATION=x", "there is no such mutant (there are JournalNotDurable, "),
        ("SIM_RUN=5", "there is no such setting (there are SIM_SEED, "),
    ] {
        assert!(read(text).unwrap_err().contains(why), "{text}: {:?}", read(text));
    }
    let course = read(
        "HOME=/root SIM_SEED=7 SIM_RUNS=1 SIM_CLOUD=enos SIM_PROFILE=storm SIM_FAULTS=none SIM_TURNS=3,1",
    )
    .unwrap();
    assert_eq!((course.seed, course.runs, course.profile.unwrap().name), (7, 1, "storm"));
    assert_eq!(course.clouds, Clouds::named("enos"));
    assert_eq!(read("SIM_SEEDS=12,7").unwrap().seeds(), [7, 12]);
    assert_eq!(course.selection.faults, Some(BTreeSet::new()));
    assert_eq!(course.selection.turns, Some(BTreeSet::from([1, 3])));
    assert!(!course.is_usual() && read("SIM_SEED=7").unwrap().is_usual());
    assert_eq!(read("").unwrap(), Course::of(1_000_000, 1000));
}
