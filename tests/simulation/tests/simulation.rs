//! `make simulation`: any number of deterministic worlds on all cores. `SIM_SEED` and `SIM_RUNS` say which; one failing world
//! is played again with the command that is printed with it. Ends with status 1 when a law was broken, a point was never
//! reached, or debug and release builds went different ways, and with 2 when it was asked for nonsense.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "laws/course.rs"]
mod course;
#[path = "laws/history.rs"]
mod history;
#[path = "laws/options.rs"]
mod options;
#[path = "laws/report.rs"]
mod report;

use history::Compared;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many broken worlds are told in full in the end; each is told in a line as soon as it breaks.
const TOLD: usize = 3;
/// From so many worlds on every point must have been reached.
const ENOUGH: u64 = 3_000;
/// How often a long run says how far it is.
const PROGRESS: u64 = 10_000;

fn main() -> ExitCode {
    let course = match options::read(std::env::vars()) {
        Ok(course) => course,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let is_same = !course.is_usual() || same_history();
    let tally = course.play(|tally, seed| {
        if let Some((world, outcome)) = tally.broken.get(&seed) {
            println!("{}", report::headline(world, outcome));
        }
        if tally.worlds.is_multiple_of(PROGRESS) {
            println!("{} worlds, {} violations", tally.worlds, tally.violations());
        }
    });
    for (world, outcome) in tally.broken.values().take(TOLD) {
        println!("{}\n", report::failure(world, outcome, course.whole));
    }
    println!("{}", report::counts(&tally));
    let is_long = course.is_usual() && tally.worlds >= ENOUGH;
    let unreached = report::unreached(&tally).filter(|_| is_long);
    if let Some(why) = &unreached {
        println!("{why}");
    }
    println!("{}", report::summary(&tally));
    if is_same && unreached.is_none() && tally.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Plays the same seeds as the test of the debug build.
fn same_history() -> bool {
    match history::compare(&course::histories()) {
        Ok(Compared::Same(seeds)) => println!("{seeds} seeds are the same history in the debug build"),
        Ok(Compared::NotThere) => {
            println!("no debug build of this source to compare with (cargo test --test it world)");
        }
        Ok(Compared::Differ(seeds)) => {
            println!("another history than in the debug build: seeds {seeds:?}");
            return false;
        }
        Err(why) => {
            println!("the hashes of histories cannot be written down: {why}");
            return false;
        }
    }
    true
}
