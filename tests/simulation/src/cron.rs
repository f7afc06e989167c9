//! A process that lives for seconds and is started periodically, as cron starts `rollwave apply`. Like that it ends once it has come
//! round to each object: one that never answers makes it live longer, and keeps it from no other.

use super::dice::Dice;
use super::{Home, Law, Outcome, Profile, Selection, Violation, World, play};
use jiff::SignedDuration;
use rollwave::api::ObjectKey;
use std::collections::BTreeSet;

/// In a thousand runs of a folder so many are of short-lived processes.
const SHORT_LIVED: u32 = 150;
/// What a rollout waits for until it is completed, at most: each may take another process.
const STEPS: i64 = 24;
/// What a process of any length may take longer.
const SLACK: i64 = 600;

/// How long each process lives at least, and the time from the beginning of one that lives so long to that of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    pub(super) lives: SignedDuration,
    pub(super) every: SignedDuration,
}

/// Objects that a process has not come round to yet; none before it has read the manifests.
#[derive(Debug, Default)]
pub(super) struct Round(Option<BTreeSet<ObjectKey>>);

impl Round {
    /// A process begins.
    pub(super) fn begin(&mut self) {
        self.0 = None;
    }

    /// It has read the manifests: these objects are there.
    pub(super) fn read(&mut self, objects: impl Iterator<Item = ObjectKey>) {
        self.0.get_or_insert_with(|| objects.collect());
    }

    /// It came round to this one.
    pub(super) fn done(&mut self, key: &ObjectKey) {
        if let Some(outstanding) = &mut self.0 {
            outstanding.remove(key);
        }
    }

    /// It has come round to all of them.
    pub(super) fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(BTreeSet::is_empty)
    }
}

impl Cron {
    /// Whether the processes of a seed are short-lived when nobody chooses.
    pub(super) fn is_drawn(seed: u64, home: Home) -> bool {
        home == Home::Local && Dice::new(seed, "cron").permille(SHORT_LIVED)
    }

    /// The lives of a seed.
    pub(super) fn of_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "cron lives");
        let seconds = |seconds: u64| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(60));
        let lives = dice.between(30, 60);
        Self { lives: seconds(lives), every: seconds(lives + dice.between(15, 120)) }
    }
}

/// Plays a run to its end. Law (i) is held where short-lived processes never come to rest, and where nothing goes wrong and nobody
/// changes anything, so that both have the same to do: what one long process completes,
/// short-lived ones complete, too, and not much later.
pub(super) fn run(world: World, selection: &Selection) -> Outcome {
    let mut outcome = play::run(world, selection);
    if !world.short_lives || world.home != Home::Local || !world.laws.has(Law::ShortLives) {
        return outcome;
    }
    let never_rests =
        outcome.violation.as_ref().is_some_and(|violation| violation.what.starts_with(play::NO_REST));
    let is_alike = world.profile == Profile::CALM && outcome.turns.is_empty() && outcome.violation.is_none();
    if never_rests || is_alike {
        let long = play::run(World { short_lives: false, ..world }, selection);
        let law = makes_the_same_progress(Cron::of_seed(world.seed), &outcome, &long);
        let law = law.err().filter(|_| long.violation.is_none());
        let last_events = |told: &Violation| told.last_events.clone();
        let last_events = outcome.violation.as_ref().map(last_events).unwrap_or_default();
        outcome.violation = law.map(|what| Violation { what, last_events }).or(outcome.violation);
    }
    outcome
}

fn makes_the_same_progress(cron: Cron, short: &Outcome, long: &Outcome) -> Result<(), String> {
    let most = cron.every.as_secs() * STEPS + SLACK;
    for (name, at) in &long.completed {
        let law = Law::ShortLives.letter();
        let one = format!("law ({law}): {name} is completed after {at} s by one process");
        match short.completed.get(name) {
            None => return Err(format!("{one}, and never by short-lived ones")),
            Some(later) if *later > at + most => {
                return Err(format!("{one}, and after {later} s by short-lived ones"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lives_may_take_longer_but_not_much() {
        let cron = Cron { lives: SignedDuration::from_secs(30), every: SignedDuration::from_secs(100) };
        let outcome = |at: Option<i64>| Outcome {
            completed: at.map(|at| ("rollout".to_owned(), at)).into_iter().collect(),
            ..Outcome::default()
        };
        let long = outcome(Some(1_000));
        for (at, expected) in [(Some(900), true), (Some(4_000), true), (Some(4_001), false), (None, false)] {
            assert_eq!(makes_the_same_progress(cron, &outcome(at), &long).is_ok(), expected, "{at:?}");
        }
        assert!((0..100).any(|seed| Cron::is_drawn(seed, Home::Local)));
        assert!(!(0..100).any(|seed| Cron::is_drawn(seed, Home::Kubernetes)));
    }
}
