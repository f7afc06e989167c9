//! Plays many worlds on all cores, and adds up what became of them.

use rollwave_simulation::{
    Clouds, FIRST_OF_PARTS, Failpoint, Home, Laws, Mutation, Outcome, Profile, Selection, World,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Which worlds are played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// The first seed.
    pub seed: u64,
    /// How many seeds.
    pub runs: u64,
    /// These seeds, if there are any, in their place.
    pub listed: BTreeSet<u64>,
    /// For all of them; drawn by the seed when absent.
    pub profile: Option<Profile>,
    /// For all of them; drawn by the seed when absent.
    pub clouds: Option<Clouds>,
    /// For all of them; drawn by the seed when absent.
    pub home: Option<Home>,
    /// A safeguard that is switched off.
    pub mutation: Option<Mutation>,
    /// Laws of intent, in the place of those that the seed is judged by.
    pub laws: Option<Laws>,
    /// Whether processes live for seconds only; drawn by the seed when absent.
    pub short_lives: Option<bool>,
    /// What may happen.
    pub selection: Selection,
    /// So many of its last events are told of a world that broke a law; 40 when absent.
    pub events: Option<usize>,
    /// Runs that broke a law are reported as they are, and not made smaller first.
    pub whole: bool,
}

/// What became of all worlds of a course.
#[derive(Default)]
pub struct Tally {
    pub worlds: u64,
    pub steps: u64,
    pub hours: i64,
    pub took: Duration,
    pub faults: BTreeMap<String, u64>,
    /// Methods of the stop rules that fired, and in how many worlds.
    pub methods_fired: BTreeMap<String, u64>,
    pub profiles: BTreeMap<&'static str, u64>,
    /// Worlds, and those of them that broke a law.
    pub clouds: BTreeMap<Clouds, (u64, u64)>,
    /// Worlds, and those of them that broke a law.
    pub homes: BTreeMap<Home, (u64, u64)>,
    /// Points that were passed, in worlds of each home.
    pub points: BTreeMap<Home, BTreeSet<Failpoint>>,
    /// The first of the seeds that were played.
    pub oldest: u64,
    /// Worlds that broke a law, by seed.
    pub broken: BTreeMap<u64, (World, Outcome)>,
    /// Hashes of the traces, by seed.
    pub hashes: BTreeMap<u64, u64>,
}

/// Hashes of so many seeds are kept.
const HASHES_KEPT: usize = 50;

impl Course {
    /// Worlds of these seeds, as each of them draws it.
    pub fn of(seed: u64, runs: u64) -> Self {
        Self { seed, runs, ..Self::default() }
    }

    /// Nothing is asked for but seeds.
    pub fn is_usual(&self) -> bool {
        *self == Self::of(self.seed, self.runs)
    }

    pub fn world(&self, seed: u64) -> World {
        let usual = World::of_seed(seed);
        let (profile, clouds) = (self.profile.unwrap_or(usual.profile), self.clouds.unwrap_or(usual.clouds));
        let home = self.home.unwrap_or(usual.home);
        let events_kept = self.events.unwrap_or(usual.events_kept);
        let short_lives = self.short_lives.unwrap_or(usual.short_lives);
        let laws = self.laws.unwrap_or(usual.laws);
        World { profile, clouds, home, mutation: self.mutation, laws, short_lives, events_kept, ..usual }
    }

    pub fn seeds(&self) -> Vec<u64> {
        if self.listed.is_empty() {
            (self.seed..self.seed.saturating_add(self.runs)).collect()
        } else {
            self.listed.iter().copied().collect()
        }
    }

    /// Plays it on all cores; `each` is told what there is by now, and the seed that was played last.
    pub fn play(&self, each: impl Fn(&Tally, u64) + Sync) -> Tally {
        play(&self.seeds(), |seed| self.world(*seed), &self.selection, each)
    }
}

/// Hashes of 50 worlds: of IoTDA and of all clouds, in either home.
pub fn histories() -> BTreeMap<u64, u64> {
    let mut hashes = Course::of(1_000_000, 30).play(|_, _| {}).hashes;
    hashes.extend(Course::of(2_000_000, 20).play(|_, _| {}).hashes);
    hashes
}

/// Plays the worlds of these seeds on all cores, in any order.
pub fn play(
    seeds: &[u64],
    world: impl Fn(&u64) -> World + Sync,
    selection: &Selection,
    each: impl Fn(&Tally, u64) + Sync,
) -> Tally {
    let (next, tally, began) = (AtomicUsize::new(0), Mutex::new(Tally::default()), Instant::now());
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let world = world(seed);
                    let outcome = world.run_selected(selection);
                    let mut tally = tally.lock().unwrap();
                    tally.add(world, outcome);
                    each(&tally, *seed);
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap();
    tally.took = began.elapsed();
    tally
}

impl Tally {
    fn add(&mut self, world: World, outcome: Outcome) {
        self.oldest = if self.worlds == 0 { world.seed } else { self.oldest.min(world.seed) };
        self.worlds += 1;
        self.steps += outcome.steps;
        self.hours += outcome.lasted_secs / 3600;
        *self.profiles.entry(world.profile.name).or_default() += 1;
        let is_broken = u64::from(outcome.violation.is_some());
        for of in [self.clouds.entry(world.clouds).or_default(), self.homes.entry(world.home).or_default()] {
            *of = (of.0 + 1, of.1 + is_broken);
        }
        for method in &outcome.methods_fired {
            *self.methods_fired.entry(method.clone()).or_default() += 1;
        }
        for (kind, count) in &outcome.faults {
            *self.faults.entry(kind.clone()).or_default() += count;
        }
        self.points.entry(world.home).or_default().extend(&outcome.points);
        self.hashes.insert(world.seed, outcome.trace_hash);
        while self.hashes.len() > HASHES_KEPT {
            self.hashes.pop_last();
        }
        if outcome.violation.is_some() {
            self.broken.insert(world.seed, (world, outcome));
        }
    }

    pub fn violations(&self) -> u64 {
        self.broken.len() as u64
    }

    /// Points that the list has and that no world passed, of the homes that were played. In a cluster nobody here writes
    /// manifests; and devices have modules from a seed on.
    pub fn unreached(&self) -> Vec<(Home, Failpoint)> {
        let of = |(home, points): (&Home, &BTreeSet<Failpoint>)| {
            let can_be = |point: &Failpoint| {
                (self.oldest >= FIRST_OF_PARTS || point.at != "CheckModule")
                    && (*home == Home::Local || point.at != "Manifests")
            };
            let missing = Failpoint::all().filter(can_be).filter(|point| !points.contains(point));
            missing.map(|point| (*home, point)).collect::<Vec<_>>()
        };
        self.points.iter().flat_map(of).collect()
    }

    pub fn per_second(&self) -> f64 {
        self.worlds as f64 / self.took.as_secs_f64().max(0.001)
    }
}
