//! `SIM_…`: which worlds are asked for.

use super::course::Course;
use rollwave_simulation::{Clouds, Home, Laws, Mutation, Profile, Selection};
use std::collections::BTreeSet;

const KNOWN: &str = "SIM_SEED, SIM_RUNS, SIM_SEEDS, SIM_CLOUD, SIM_HOME, SIM_PROFILE, SIM_MUTATION, SIM_LAWS, SIM_LIVES, SIM_FAULTS, SIM_TURNS, SIM_EVENTS, SIM_SHRINK";

/// Where seeds begin to draw among all clouds.
const FIRST: u64 = 1_000_000;
/// How many worlds are played when nobody says.
const RUNS: u64 = 1000;

/// Reads the variables that begin with `SIM_`; the others are nobody's business here.
pub fn read(variables: impl IntoIterator<Item = (String, String)>) -> Result<Course, String> {
    let mut course = Course { seed: FIRST, runs: RUNS, ..Course::default() };
    for (name, text) in variables {
        let Some(what) = name.strip_prefix("SIM_") else { continue };
        let told = |why: String| format!("{name}={text}: {why}");
        let text = text.trim();
        match what {
            "SEED" => course.seed = text.parse().map_err(|_| told("is not a seed (try 42)".to_owned()))?,
            "SEEDS" => course.listed = seeds(text).map_err(told)?,
            "RUNS" => course.runs = runs(text).map_err(told)?,
            "CLOUD" => course.clouds = Some(clouds(text).map_err(told)?),
            "HOME" => course.home = Some(home(text).map_err(told)?),
            "PROFILE" => course.profile = Some(profile(text).map_err(told)?),
            "MUTATION" => course.mutation = Some(mutation(text).map_err(told)?),
            "LAWS" => course.laws = Some(laws(text).map_err(told)?),
            "LIVES" => course.short_lives = Some(lives(text).map_err(told)?),
            "FAULTS" => course.selection.faults = Some(numbers(text).map_err(told)?),
            "TURNS" => course.selection.turns = Some(numbers(text).map_err(told)?),
            "EVENTS" => course.events = Some(events(text).map_err(told)?),
            "SHRINK" => course.whole = !is_yes(text).map_err(told)?,
            _ => return Err(told(format!("there is no such setting (there are {KNOWN})"))),
        }
    }
    if !course.listed.is_empty() && (course.seed, course.runs) != (FIRST, RUNS) {
        return Err("SIM_SEEDS stands in the place of SIM_SEED and SIM_RUNS: leave those out".to_owned());
    }
    if course.selection != Selection::default() && course.seeds().len() != 1 {
        return Err("SIM_FAULTS and SIM_TURNS are of one world: add SIM_RUNS=1".to_owned());
    }
    Ok(course)
}

fn runs(text: &str) -> Result<u64, String> {
    let runs = text.parse().ok().filter(|runs| (1..=100_000_000).contains(runs));
    runs.ok_or_else(|| "is not a number of worlds (try 1000; at most 100000000)".to_owned())
}

fn seeds(text: &str) -> Result<BTreeSet<u64>, String> {
    let seeds = numbers(text).ok().filter(|seeds| !seeds.is_empty());
    seeds.ok_or_else(|| "is not a list of seeds (try 7,12)".to_owned())
}

fn events(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "is not a number of events (try 400)".to_owned())
}

fn clouds(text: &str) -> Result<Clouds, String> {
    let names = Clouds::ALL.map(Clouds::as_str).join(", ");
    Clouds::named(text).ok_or_else(|| format!("there is no such cloud (there are {names})"))
}

fn home(text: &str) -> Result<Home, String> {
    let names = Home::ALL.map(Home::as_str).join(", ");
    Home::named(text).ok_or_else(|| format!("there is no such home (there are {names})"))
}

fn profile(text: &str) -> Result<Profile, String> {
    let names: Vec<&str> = Profile::ALL.iter().map(|profile| profile.name).collect();
    let found = Profile::ALL.into_iter().find(|profile| profile.name == text);
    found.ok_or_else(|| format!("there is no such profile (there are {})", names.join(", ")))
}

fn mutation(text: &str) -> Result<Mutation, String> {
    let named = |mutation: &Mutation| format!("{mutation:?}");
    let names: Vec<String> = Mutation::ALL.iter().map(named).collect();
    let found = Mutation::ALL.into_iter().find(|mutation| named(mutation) == text);
    found.ok_or_else(|| format!("there is no such mutant (there are {})", names.join(", ")))
}

fn laws(text: &str) -> Result<Laws, String> {
    Laws::named(text)
        .ok_or_else(|| "are no laws of intent (try all, none, or letters such as bcg)".to_owned())
}

fn lives(text: &str) -> Result<bool, String> {
    match text {
        "long" => Ok(false),
        "short" => Ok(true),
        _ => Err("is no length of a process (try long or short)".to_owned()),
    }
}

fn is_yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("is neither yes nor no".to_owned()),
    }
}

fn numbers(text: &str) -> Result<BTreeSet<u64>, String> {
    if text == "none" {
        return Ok(BTreeSet::new());
    }
    let numbers = text.split(',').map(|number| number.trim().parse());
    numbers.collect::<Result<_, _>>().map_err(|_| "is not a list of numbers (try 0,7,12 or none)".to_owned())
}
