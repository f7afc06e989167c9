//! What goes wrong, how often, and what of it was reached.
//!
//! Every fault is drawn from the world's seed. A crash point is enabled in about every second world and then strikes with
//! the profile's chance, so that each world has its own kind of bad luck.

use super::broken::BrokenThings;
use super::clock::Timeline;
use super::clouds::{Deed, Order};
use super::dice::Dice;
use super::selection::{Happened, Ledger, Selection};
use jiff::{SignedDuration, Timestamp};
use rollwave::engine::failpoints::Failpoint;
use rollwave::engine::ports::Faults;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// How often things go wrong: chances in a thousand, each time that they could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name, for people.
    pub name: &'static str,
    /// A crash, at a point that is enabled.
    pub crash: u32,
    /// Most crashes of one world.
    pub most_crashes: u32,
    /// A write of the state that fails, whether it happened or not.
    pub failed_write: u32,
    /// A fault of a request that is not a create.
    pub request: u32,
    /// A fault of a create.
    pub create: u32,
    /// A list that lags behind.
    pub stale_list: u32,
    /// A job create after which other people create a hundred jobs, and its answer is lost.
    pub crowd: u32,
    /// A page after the first, before which rows go away that were read already.
    pub moving_page: u32,
    /// In every ten minutes: the machine's clock is set.
    pub clock_jump: u32,
    /// In every ten minutes: a second instance takes over, and the first does not know.
    pub takeover: u32,
    /// In every ten minutes: a device vanishes, appears, or goes back to an old version.
    pub device: u32,
    /// For every device: it is out of reach for some time, and answers late.
    pub sleeper: u32,
    /// For every stage: it has windows.
    pub windows: u32,
    /// In every ten minutes: somebody else creates, stops or deletes something in the account.
    pub stranger: u32,
}

impl Profile {
    /// Nothing goes wrong: what a world does then is what it should always come to.
    pub const CALM: Self = Self {
        name: "calm",
        crash: 0,
        most_crashes: 0,
        failed_write: 0,
        request: 0,
        create: 0,
        stale_list: 0,
        crowd: 0,
        moving_page: 0,
        clock_jump: 0,
        takeover: 0,
        device: 0,
        sleeper: 0,
        windows: 0,
        stranger: 0,
    };

    /// Every profile.
    pub const ALL: [Self; 11] = [
        Self::CALM,
        Self { name: "lagging", request: 10, create: 300, stale_list: 500, ..Self::CALM },
        Self { name: "crashing", crash: 60, most_crashes: 8, failed_write: 5, stale_list: 300, ..Self::CALM },
        Self {
            name: "rough",
            crash: 20,
            most_crashes: 5,
            failed_write: 10,
            request: 40,
            create: 250,
            stale_list: 300,
            ..Self::CALM
        },
        Self {
            name: "storm",
            crash: 40,
            most_crashes: 8,
            failed_write: 20,
            request: 150,
            create: 500,
            stale_list: 500,
            ..Self::CALM
        },
        Self {
            name: "restless",
            crash: 20,
            most_crashes: 4,
            failed_write: 5,
            request: 20,
            create: 400,
            stale_list: 300,
            clock_jump: 500,
            takeover: 400,
            ..Self::CALM
        },
        Self {
            name: "crowded",
            request: 10,
            create: 150,
            stale_list: 200,
            crowd: 100,
            moving_page: 300,
            device: 500,
            stranger: 700,
            ..Self::CALM
        },
        Self { name: "thronged", create: 50, crowd: 500, moving_page: 700, ..Self::CALM },
        Self {
            name: "drowsy",
            crash: 10,
            most_crashes: 3,
            request: 10,
            create: 150,
            stale_list: 200,
            sleeper: 400,
            ..Self::CALM
        },
        Self {
            name: "everything",
            crash: 20,
            most_crashes: 4,
            failed_write: 10,
            request: 40,
            create: 300,
            stale_list: 300,
            crowd: 30,
            moving_page: 200,
            clock_jump: 300,
            takeover: 200,
            device: 300,
            sleeper: 100,
            // Its kept seeds have found what they found without any.
            windows: 0,
            stranger: 300,
        },
        Self {
            name: "punctual",
            crash: 10,
            most_crashes: 3,
            request: 40,
            create: 300,
            stale_list: 300,
            takeover: 100,
            windows: 700,
            ..Self::CALM
        },
    ];

    /// The profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name == name)
    }

    /// The profile of a seed, when none is asked for.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Dice::new(seed, "profile").pick(&Self::ALL).copied().unwrap_or(Self::CALM)
    }
}

/// What happens to a request on its way, and to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is said by its name and done by one line of `network`")]
pub enum Strike {
    ConnectionRefused,
    RequestLost,
    ReplyLost,
    ReplyNever,
    ReplyLate,
    RequestLate,
    ErrorBefore,
    ErrorAfter,
    Garbage,
    Truncated,
    StaleList,
    DuplicateRows,
    Crowd,
    MovingPage,
}

impl Strike {
    /// All but those that are drawn by themselves.
    const ANY: [Self; 10] = [
        Self::ConnectionRefused,
        Self::RequestLost,
        Self::ReplyLost,
        Self::ReplyNever,
        Self::ReplyLate,
        Self::RequestLate,
        Self::ErrorBefore,
        Self::ErrorAfter,
        Self::Garbage,
        Self::Truncated,
    ];
}

/// The bad luck of one world.
pub(super) struct Chaos {
    seed: u64,
    pub(super) profile: Profile,
    pub(super) dice: Dice,
    pub(super) on: bool,
    crashes: u32,
    ledger: Ledger,
    pub(super) faults: BTreeMap<String, u64>,
    pub(super) points: BTreeSet<Failpoint>,
    /// The points at which crashes strike in this world, as far as it was asked.
    enabled: BTreeMap<Failpoint, bool>,
    /// What fails for ever.
    pub(super) broken: BrokenThings,
}

impl Chaos {
    pub(super) fn new(seed: u64, profile: Profile, selection: &Selection) -> Self {
        let dice = selection.luck.as_deref().map_or_else(|| Dice::new(seed, "chaos"), Dice::given);
        let ledger = Ledger::new(selection.faults.clone());
        let (faults, points, enabled) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let broken = BrokenThings::default();
        Self { seed, profile, dice, on: true, crashes: 0, ledger, faults, points, enabled, broken }
    }

    /// From now on nothing goes wrong any more, but for what fails for ever.
    pub(super) fn end(&mut self) {
        self.on = false;
        self.broken.faults_end();
    }

    pub(super) const fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    /// True when the process dies at this point.
    pub(super) fn crashes_at(&mut self, point: Failpoint) -> bool {
        self.points.insert(point);
        if !self.on || self.profile.crash == 0 || self.crashes >= self.profile.most_crashes {
            return false;
        }
        let seed = self.seed;
        let draw = || Dice::new(seed, &point.to_string()).permille(500);
        let enabled = *self.enabled.entry(point).or_insert_with(draw);
        if !enabled || !self.dice.permille(self.profile.crash) {
            return false;
        }
        let dies = self.lets_happen("Crash", || format!("Crash at {point}"));
        self.crashes += u32::from(dies);
        dies
    }

    /// A write that fails; whether it happened all the same.
    pub(super) fn fails_write(&mut self) -> Option<bool> {
        if !self.on || !self.dice.permille(self.profile.failed_write) {
            return None;
        }
        let happens = self.dice.permille(500);
        let what = || format!("FailedWrite that {}", if happens { "happened" } else { "did not happen" });
        self.lets_happen("FailedWrite", what).then_some(happens)
    }

    /// What happens to a request.
    pub(super) fn strikes(&mut self, order: &Order, now: Timestamp) -> Option<Strike> {
        let ledger = &mut self.ledger;
        let of_broken = self.broken.strikes(order, now, |what| ledger.lets(|| what));
        if of_broken.is_some() {
            self.count("Broken");
            return of_broken;
        }
        if !self.on {
            return None;
        }
        let chance = if order.deed.is_create() { self.profile.create } else { self.profile.request };
        let strike = if self.draws_a_crowd(&order.deed) {
            Some(Strike::Crowd)
        } else if self.draws_a_moving_page(&order.deed) {
            Some(Strike::MovingPage)
        } else if self.dice.permille(chance) {
            self.dice.pick(&Strike::ANY).copied()
        } else if matches!(order.deed, Deed::List { .. }) && self.dice.permille(self.profile.stale_list) {
            let lists = [Strike::StaleList, Strike::StaleList, Strike::DuplicateRows];
            self.dice.pick(&lists).copied()
        } else {
            None
        };
        let strike = strike?;
        let what = || format!("{strike:?} of {}", order.operation);
        self.lets_happen(&format!("{strike:?}"), what).then_some(strike)
    }

    fn draws_a_crowd(&mut self, deed: &Deed) -> bool {
        let chance = self.profile.crowd;
        chance > 0 && matches!(deed, Deed::CreateJob { .. }) && self.dice.permille(chance)
    }

    fn draws_a_moving_page(&mut self, deed: &Deed) -> bool {
        let chance = self.profile.moving_page;
        chance > 0 && matches!(deed, Deed::List { goes_on: true }) && self.dice.permille(chance)
    }

    /// A fault is about to strike: whether it may, in this world; then it is counted.
    pub(super) fn lets_happen(&mut self, kind: &str, what: impl FnOnce() -> String) -> bool {
        let lets = self.ledger.lets(what);
        if lets {
            self.count(kind);
        }
        lets
    }

    /// The faults that struck.
    pub(super) fn struck(&self) -> Vec<Happened> {
        self.ledger.happened()
    }

    pub(super) fn count(&mut self, kind: &str) {
        *self.faults.entry(kind.to_owned()).or_default() += 1;
    }
}

/// A process is stopped until then, and goes on.
#[derive(Clone)]
struct Stop {
    timeline: Arc<Timeline>,
    until: Timestamp,
}

/// One run of the process, from start to crash. After the crash none of its ports does anything any more: whatever it was
/// at stops where it is.
#[derive(Clone)]
pub(super) struct Life {
    chaos: Arc<Mutex<Chaos>>,
    is_over: Arc<AtomicBool>,
    /// Stopped until then, as a process is by SIGSTOP.
    stopped: Arc<Mutex<Option<Stop>>>,
}

impl Life {
    pub(super) fn new(chaos: Arc<Mutex<Chaos>>) -> Self {
        Self { chaos, is_over: Arc::new(AtomicBool::new(false)), stopped: Arc::default() }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn chaos(&self) -> MutexGuard<'_, Chaos> {
        self.chaos.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never returns once the process is dead, and lets it die here if that is its luck.
    pub(super) async fn survive(&self, point: Failpoint) {
        if !self.is_over() && self.chaos().crashes_at(point) {
            self.end();
        }
        self.go_on().await;
    }

    /// Stopped for so long: no port answers before.
    pub(super) fn freeze(&self, timeline: &Arc<Timeline>, length: SignedDuration) {
        let until = timeline.now().saturating_add(length).unwrap_or(Timestamp::MAX);
        *super::lock(&self.stopped) = Some(Stop { timeline: timeline.clone(), until });
    }

    /// Never returns once the process is dead, and not while it is stopped.
    pub(super) async fn go_on(&self) {
        let stopped = super::lock(&self.stopped).clone();
        if let Some(stop) = stopped {
            stop.timeline.sleep_until(stop.until).await;
        }
        if self.is_over() {
            std::future::pending::<()>().await;
        }
    }
}

impl Faults for Life {
    /// The engine goes on to its next port, and no further.
    fn pass(&self, point: Failpoint) {
        if !self.is_over() && self.chaos().crashes_at(point) {
            self.end();
        }
    }
}
