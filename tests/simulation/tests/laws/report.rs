//! What people are told about a course of worlds.

use super::course::Tally;
use rollwave_simulation::{Failpoint, Happened, Home, Outcome, Selection, Shrunk, World, shrink};
use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

/// A world that broke a law, in a line.
pub fn headline(world: &World, outcome: &Outcome) -> String {
    let (seed, profile, clouds, home) = (world.seed, world.profile.name, world.clouds, world.home);
    let what = outcome.violation.as_ref().map(|violation| violation.what.as_str()).unwrap_or_default();
    format!("seed {seed} ({clouds}, {home}, {profile}), step {}: {what}", outcome.steps)
}

/// A world that broke a law, made smaller unless all of it is wanted; ends with the command that plays just that again.
pub fn failure(world: &World, outcome: &Outcome, whole: bool) -> String {
    let shrunk = if whole {
        Shrunk { selection: Selection::default(), outcome: outcome.clone(), runs: 0 }
    } else {
        shrink(*world, outcome)
    };
    let mut text = String::new();
    let Some(violation) = &shrunk.outcome.violation else { return text };
    let _ = writeln!(text, "{}", headline(world, &shrunk.outcome));
    let counts = |outcome: &Outcome| (outcome.struck.len(), outcome.turns.len());
    let (before, after) = (counts(outcome), counts(&shrunk.outcome));
    let _ = writeln!(
        text,
        "  it takes {} of {} faults and {} of {} turns ({} replays):",
        after.0, before.0, after.1, before.1, shrunk.runs
    );
    for (kind, happened) in [("fault", &shrunk.outcome.struck), ("turn", &shrunk.outcome.turns)] {
        for Happened { number, what } in happened {
            let _ = writeln!(text, "    {kind} {number}: {what}");
        }
    }
    let _ = writeln!(text, "  its last {} events:", violation.last_events.len());
    for event in &violation.last_events {
        let _ = writeln!(text, "    {event}");
    }
    let _ = write!(text, "  again: {}", command(world, &shrunk.selection));
    text
}

/// Plays one world again, with what is selected.
pub fn command(world: &World, selection: &Selection) -> String {
    let mut text = format!("make simulation SIM_SEED={} SIM_RUNS=1", world.seed);
    if world.clouds != World::of_seed(world.seed).clouds {
        let _ = write!(text, " SIM_CLOUD={}", world.clouds);
    }
    if world.home != World::of_seed(world.seed).home {
        let _ = write!(text, " SIM_HOME={}", world.home);
    }
    if world.profile != World::of_seed(world.seed).profile {
        let _ = write!(text, " SIM_PROFILE={}", world.profile.name);
    }
    if let Some(mutation) = world.mutation {
        let _ = write!(text, " SIM_MUTATION={mutation:?}");
    }
    if world.laws != World::of_seed(world.seed).laws {
        let _ = write!(text, " SIM_LAWS={}", world.laws);
    }
    if world.short_lives != World::of_seed(world.seed).short_lives {
        let _ = write!(text, " SIM_LIVES={}", if world.short_lives { "short" } else { "long" });
    }
    for (name, numbers) in [("SIM_FAULTS", &selection.faults), ("SIM_TURNS", &selection.turns)] {
        if let Some(numbers) = numbers {
            let _ = write!(text, " {name}={}", list(numbers));
        }
    }
    text
}

fn list(numbers: &BTreeSet<u64>) -> String {
    if numbers.is_empty() {
        return "none".to_owned();
    }
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

/// Faults by kind, and worlds by profile and by cloud.
pub fn counts(tally: &Tally) -> String {
    let joined = |pairs: Vec<String>| pairs.join(", ");
    format!(
        "faults: {}\nstop rules fired: {}\nprofiles: {}\nclouds: {}\nhomes: {}",
        joined(tally.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect()),
        joined(tally.methods_fired.iter().map(|(method, worlds)| format!("{method} {worlds}")).collect()),
        joined(tally.profiles.iter().map(|(name, count)| format!("{name} {count}")).collect()),
        joined(tally.clouds.iter().map(|(clouds, of)| of_which(clouds, *of)).collect()),
        joined(tally.homes.iter().map(|(home, of)| of_which(home, *of)).collect())
    )
}

fn of_which(name: impl Display, (worlds, broken): (u64, u64)) -> String {
    if broken == 0 { format!("{name} {worlds}") } else { format!("{name} {worlds} ({broken} broken)") }
}

/// Points that were never reached; none when there are none.
pub fn unreached(tally: &Tally) -> Option<String> {
    let told = |(home, point): (Home, Failpoint)| format!("{point} ({home})");
    let missing: Vec<String> = tally.unreached().into_iter().map(told).collect();
    (!missing.is_empty()).then(|| format!("never reached in {} worlds: {}", tally.worlds, missing.join(", ")))
}

/// All of it in one line.
pub fn summary(tally: &Tally) -> String {
    let points: usize = tally.homes.keys().map(|_| Failpoint::all().count()).sum();
    format!(
        "{} worlds ({} steps, {} virtual hours) in {:.1} s: {:.0} worlds a second, {} faults, {} of {points} points reached, {} violations",
        tally.worlds,
        tally.steps,
        tally.hours,
        tally.took.as_secs_f64(),
        tally.per_second(),
        tally.faults.values().sum::<u64>(),
        points - tally.unreached().len(),
        tally.violations()
    )
}
