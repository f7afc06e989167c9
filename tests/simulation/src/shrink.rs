//! Makes a failing world smaller: replays it with fewer of its faults and turns for as long as it still breaks a law
//! (delta debugging, Zeller and Hildebrandt 2002).

use super::{Happened, Outcome, Selection, World};
use std::collections::BTreeSet;

/// Most replays of one world.
const MOST_RUNS: u32 = 300;

/// A world that still breaks a law, with what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// What has to happen.
    pub selection: Selection,
    /// How it ends then.
    pub outcome: Outcome,
    /// Replays that it took.
    pub runs: u32,
}

/// A fault or a turn, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    Fault(u64),
    Turn(u64),
}

/// The smallest selection that was found with which this world breaks a law; `failed` is how it ends with everything.
#[must_use]
pub fn shrink(world: World, failed: &Outcome) -> Shrunk {
    let mut search = Search { world, best: everything(failed), outcome: failed.clone(), runs: 0 };
    let mut parts = 1;
    while parts <= search.best.len().max(1) && search.runs < MOST_RUNS {
        parts = if search.drops_one_of(parts) {
            parts.saturating_sub(1).max(1)
        } else if parts >= search.best.len() {
            break;
        } else {
            parts.saturating_mul(2).min(search.best.len())
        };
    }
    Shrunk { selection: selection(&search.best), outcome: search.outcome, runs: search.runs }
}

struct Search {
    world: World,
    best: Vec<Cause>,
    outcome: Outcome,
    runs: u32,
}

impl Search {
    /// Leaves out one of so many parts of what is left; true when the world fails without it, too.
    fn drops_one_of(&mut self, parts: usize) -> bool {
        let size = self.best.len().div_ceil(parts).max(1);
        for from in (0..self.best.len()).step_by(size) {
            if self.runs >= MOST_RUNS {
                return false;
            }
            let outside = |at: &usize| *at < from || *at >= from + size;
            let rest = (0..self.best.len()).filter(outside).filter_map(|at| self.best.get(at).copied());
            let rest: Vec<Cause> = rest.collect();
            self.runs += 1;
            let outcome = self.world.run_selected(&selection(&rest));
            if kind(&outcome).is_some_and(|of| kind(&self.outcome) == Some(of)) {
                // What was asked for and did not happen is not needed either.
                let happened: BTreeSet<Cause> = everything(&outcome).into_iter().collect();
                self.best = rest.into_iter().filter(|cause| happened.contains(cause)).collect();
                self.outcome = outcome;
                return true;
            }
        }
        false
    }
}

/// How a violation begins, before its numbers: another law that breaks on the way is not what was looked for.
fn kind(outcome: &Outcome) -> Option<String> {
    let what = &outcome.violation.as_ref()?.what;
    Some(what.chars().take_while(|letter| !letter.is_ascii_digit()).take(10).collect())
}

fn everything(outcome: &Outcome) -> Vec<Cause> {
    let numbers = |happened: &[Happened]| happened.iter().map(|one| one.number).collect::<Vec<_>>();
    let faults = numbers(&outcome.struck).into_iter().map(Cause::Fault);
    faults.chain(numbers(&outcome.turns).into_iter().map(Cause::Turn)).collect()
}

fn selection(causes: &[Cause]) -> Selection {
    let faults = causes.iter().filter_map(|cause| if let Cause::Fault(n) = cause { Some(*n) } else { None });
    let turns = causes.iter().filter_map(|cause| if let Cause::Turn(n) = cause { Some(*n) } else { None });
    Selection { faults: Some(faults.collect()), turns: Some(turns.collect()), luck: None }
}
