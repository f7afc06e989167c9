//! The deterministic world: the real engine, the real client and the simulator's clouds in one process, on virtual time.
//!
//! One seed draws a scenario (`scenario`), bad luck (`faults`) and every delay (`network`). The world runs every task until
//! all of them wait (`executor`), looks whether the laws hold (`checkers`), and jumps to the next moment at which something
//! happens. A crash makes the ports of one run of the process dead; the next run begins from what is durable (`disk`).
//!
//! **Invariant:** nothing here or below reads a real clock, a random source or a hash-ordered container: the same seed gives
//! the same trace on any machine.\
//! **Invariant:** the engine is the shipped one. Mutants (`mutation`) are made at its ports.

mod asked;
mod broken;
mod checkers;
mod clock;
mod clouds;
mod cluster;
mod control;
mod cron;
mod crowd;
mod deadlines;
mod defaults;
mod dice;
mod disk;
mod edits;
mod executor;
mod faults;
mod files;
mod home;
mod hours;
mod lives;
mod log;
mod misfortune;
mod mutation;
mod network;
mod pace;
mod parts;
mod play;
mod portal;
mod process;
mod scenario;
mod selection;
mod shrink;
mod trace;

pub use broken::FIRST_OF_BROKEN;
pub use checkers::{Law, Laws};
pub use clouds::Clouds;
pub use control::FIRST_OF_CONTROL;
pub use deadlines::FIRST_OF_DEADLINES;
pub use defaults::FIRST_OF_DEFAULTS;
pub use edits::FIRST_OF_EDITS;
pub use faults::{Profile, Strike};
pub use home::Home;
pub use mutation::Mutation;
pub use pace::FIRST_OF_PACE;
pub use parts::FIRST_OF_PARTS;
pub use rollwave::engine::failpoints::Failpoint;
pub use selection::{Happened, Selection};
pub use shrink::{Shrunk, shrink};

use checkers::Checkers;
use clock::{Timeline, WallClock};
use clouds::{Deed, Order};
use cluster::ApiServer;
use cron::{Cron, Round};
use disk::Disk;
use faults::{Chaos, Strike as Fault};
use jiff::{SignedDuration, Timestamp};
use network::Network;
use rollwave::api::{Object, ObjectKey};
use rollwave::cloud::{TransportError, WireRequest, WireResponse};
use rollwave::engine::Report;
use rollwave::simulator::Simulator;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use trace::Trace;

/// What a world is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// Everything is drawn from it.
    pub seed: u64,
    /// How much goes wrong.
    pub profile: Profile,
    /// Which clouds its accounts are of.
    pub clouds: Clouds,
    /// Where its state lives.
    pub home: Home,
    /// A safeguard that is switched off.
    pub mutation: Option<Mutation>,
    /// Which laws of intent it is judged by, beside the others.
    pub laws: Laws,
    /// Its processes live for seconds, and are started periodically; where the state is a folder.
    pub short_lives: bool,
    /// How many of the last events are kept for people.
    pub events_kept: usize,
}

/// What became of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The same for the same seed, on any machine and in any build.
    pub trace_hash: u64,
    /// Jumps of time.
    pub steps: u64,
    /// Events of the trace.
    pub events: u64,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<String, u64>,
    /// The faults that struck, one by one.
    pub struck: Vec<Happened>,
    /// What people and fate did, turn by turn.
    pub turns: Vec<Happened>,
    /// Places that were passed at which the process may die.
    pub points: BTreeSet<Failpoint>,
    /// After how many virtual seconds rollouts were first completed, by name.
    pub completed: BTreeMap<String, i64>,
    /// Methods of the stop rules that fired.
    pub methods_fired: BTreeSet<String>,
    /// Virtual seconds that it lasted.
    pub lasted_secs: i64,
    /// The law that was broken, and the last events.
    pub violation: Option<Violation>,
}

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which law, and by what.
    pub what: String,
    /// The last events before it, oldest first.
    pub last_events: Vec<String>,
}

impl World {
    /// The world of a seed, with the profile, the clouds and the home that the seed draws.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let (profile, clouds, home) = (Profile::of_seed(seed), Clouds::of_seed(seed), Home::of_seed(seed));
        let laws = Laws::of_seed(seed);
        let short_lives = laws.has(Law::ShortLives) && Cron::is_drawn(seed, home);
        Self { seed, profile, clouds, home, mutation: None, laws, short_lives, events_kept: 40 }
    }

    /// Plays it to its end.
    #[must_use]
    pub fn run(self) -> Outcome {
        self.run_selected(&Selection::default())
    }

    /// Plays it to its end, and lets only these faults and turns happen.
    #[must_use]
    pub fn run_selected(self, selection: &Selection) -> Outcome {
        cron::run(self, selection)
    }
}

/// What every part of one world shares.
struct Shared {
    timeline: Arc<Timeline>,
    chaos: Arc<Mutex<Chaos>>,
    network: Mutex<Network>,
    disk: Disk,
    /// In the place of the disk, where the home is a cluster.
    cluster: Option<Arc<ApiServer>>,
    trace: Mutex<Trace>,
    checkers: Mutex<Checkers>,
    wanted: Mutex<BTreeMap<ObjectKey, Object>>,
    wall: Arc<WallClock>,
    /// The run of the process that leads.
    leader: Mutex<u64>,
    mutation: Option<Mutation>,
    /// Writes of the state and orders to the clouds so far: a world at rest makes none.
    writes: Mutex<u64>,
    /// How often each address was asked since the world came to rest; none before.
    asked: Mutex<Option<BTreeMap<String, u64>>>,
    /// What the process that works has come round to.
    round: Mutex<Round>,
    /// Objects that need something that fails for ever, when that was last asked.
    excused: Mutex<BTreeSet<ObjectKey>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn chaos(&self) -> MutexGuard<'_, Chaos> {
        lock(&self.chaos)
    }

    fn network(&self) -> MutexGuard<'_, Network> {
        lock(&self.network)
    }

    fn checkers(&self) -> MutexGuard<'_, Checkers> {
        lock(&self.checkers)
    }

    fn note(&self, event: &str) {
        self.checkers().no_secret("the trace", event);
        lock(&self.trace).note(self.timeline.now(), event);
    }

    /// Counts from now on what is asked, from zero.
    fn count_asked(&self) {
        *lock(&self.asked) = Some(BTreeMap::new());
    }

    /// The address that was asked most often, and how often.
    fn asked_most(&self) -> Option<(String, u64)> {
        let asked = lock(&self.asked);
        let most = asked.iter().flatten().max_by_key(|(_, times)| **times);
        most.map(|(address, times)| (address.clone(), *times))
    }

    /// What would be there after a crash.
    fn durable(&self) -> Vec<Arc<Object>> {
        self.cluster.as_ref().map_or_else(|| self.disk.durable(), |cluster| cluster.objects())
    }

    /// True while this run of the process may act.
    fn leads(&self, run: u64) -> bool {
        *lock(&self.leader) == run || self.mutation == Some(Mutation::StaleLeaderNotFenced)
    }

    fn writes(&self) -> u64 {
        *lock(&self.writes)
    }

    /// A status was written: news, unless what its object needs fails for ever.
    fn counts_write_of(&self, key: &ObjectKey) {
        if !lock(&self.excused).contains(key) {
            *lock(&self.writes) += 1;
        }
    }

    /// An object asks for it that needs something that fails for ever.
    fn is_of_an_excused(&self, deed: &Deed, durable: &[Arc<Object>]) -> bool {
        let named = match deed {
            Deed::CreateJob { token: Some(token), .. } => token.as_str(),
            Deed::CreatePackage { version } => version.as_str(),
            _ => deed.id(),
        };
        let excused = lock(&self.excused);
        let mut objects = durable.iter().filter(|object| excused.contains(&object.key()));
        !named.is_empty()
            && objects.any(|object| serde_json::to_string(object).is_ok_and(|text| text.contains(named)))
    }

    /// A request has arrived, and may have changed something in the clouds.
    fn truth_is(&self, simulator: &Simulator, changes: bool, now: Timestamp) {
        let broken = self.chaos().broken.broken();
        self.checkers().truth_is(simulator, changes, now);
        if !broken.is_empty() {
            self.checkers().delays_are(&broken, &self.durable(), now);
        }
    }

    fn saw_request(
        &self,
        wire: &network::Wire,
        request: &WireRequest,
        order: &mut Order,
        strike: Option<Fault>,
    ) {
        let struck = strike.map(|strike| format!(", struck by {strike:?}")).unwrap_or_default();
        let what = match order.deed.id() {
            _ if order.deed.is_create() && request.body.is_empty() => format!(" {request}"),
            _ if order.deed.is_create() => format!(" {}", String::from_utf8_lossy(&request.body)),
            "" => String::new(),
            id => format!(" {id}"),
        };
        self.note(&format!("{} of {} leaves {}{struck}{what}", order.operation, order.account, wire.run));
        if let Some(asked) = lock(&self.asked).as_mut() {
            *asked.entry(order.question.clone()).or_default() += 1;
        }
        let durable = self.durable();
        if !order.deed.is_read() && !self.is_of_an_excused(&order.deed, &durable) {
            *lock(&self.writes) += 1;
        }
        if let Some(cluster) = self.cluster.as_ref().filter(|_| !order.deed.is_read()) {
            self.checkers().judge(cluster.leads(wire.run));
        }
        let now = self.timeline.now();
        let machine = now.saturating_add(wire.ahead).unwrap_or(now);
        self.checkers().request_leaves(wire.run, order, &durable, now, machine);
    }

    fn saw_answer(&self, run: u64, order: &Order, answer: &Result<WireResponse, TransportError>) {
        self.checkers().ended(run, self.timeline.now());
        let end = match answer {
            Ok(reply) => {
                self.checkers().answered(run, order, reply, self.timeline.now());
                format!("{}, {} bytes", reply.status, reply.body.len())
            }
            Err(error) => error.message.clone(),
        };
        self.note(&format!("{} ends: {end}", order.operation));
    }

    /// A process whose clock is so much ahead writes a status.
    fn saw_write(&self, object: &Object, ahead: SignedDuration) {
        let key = object.key();
        let text = serde_json::to_string(object).unwrap_or_default();
        let stored = self.disk.seen().get(&key);
        self.checkers().status_written(stored.as_deref(), object, &text);
        self.checkers().status_is(object, &self.disk.seen().objects(), ahead, self.timeline.now());
        self.checkers().intents_are(object, self.timeline.now());
        if stored.is_some_and(|stored| *stored == *object) {
            return;
        }
        self.counts_write_of(&key);
        let status = text.split_once("\"status\":").map_or("", |(_, status)| status);
        self.note(&format!("save {key} {status}"));
    }

    fn saw_report(&self, report: &Report) {
        lock(&self.round).done(&report.key);
        let error = report.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        let changed = if report.changed { "changed" } else { "looked at" };
        self.note(&format!("{changed} {}{error}", report.key));
        self.checkers().reconciled(report, self.timeline.now());
    }
}
