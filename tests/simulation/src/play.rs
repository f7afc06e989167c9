//! The play of a world: bad luck and edits first, then calm, then rest.

mod calls;
mod outcome;

use super::asked::Ask;
use super::checkers::{Checkers, Facts, Rest, Unrest};
use super::clock::{Timeline, WallClock};
use super::clouds::{self, Deed};
use super::cluster::{ApiServer, Seats};
use super::control::Breaks;
use super::cron::Cron;
use super::disk::Disk;
use super::edits;
use super::executor::{self, Idle};
use super::faults::Chaos;
use super::lives::Lives;
use super::log::LogReader;
use super::misfortune::{self, Misfortune, OfCluster};
use super::network::{Network, Request};
use super::portal::{self, Portal};
use super::process::Start;
use super::scenario::{self, Scenario, Turn};
use super::selection::{Ledger, Selection};
use super::trace::Trace;
use super::{Home, Outcome, Shared, Violation, World, lock};
use jiff::{SignedDuration, Timestamp};
use rollwave::simulator::truth::DeviceChange;
use rollwave::simulator::{Simulator, faults::Fault, faults::Kind};
use rollwave::state::local::Asked;
use serde_json::Value;
use std::collections::BTreeSet;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

/// 2026-01-05T00:00:00Z, a Monday.
pub(super) const START: Timestamp = Timestamp::constant(1_767_571_200, 0);
/// So often at most one address is asked within [`QUIET`]: twice as often as a poll every 30 s would.
const MOST_ASKED: u64 = 100;
/// More jumps than any world needs: it runs hot.
const MOST_STEPS: u64 = 200_000;
/// How often a world that should come to rest is asked whether it has.
const ASK: SignedDuration = SignedDuration::from_mins(5);
/// A world comes to rest within this time after the faults, unless something in the cloud goes on.
const BOUND: SignedDuration = SignedDuration::from_hours(3);
/// What is told of a world that does not.
pub(super) const NO_REST: &str = "no rest";
/// Longest wait for a window that is borne.
const LONGEST_WINDOW_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// While something in the cloud goes on that may never end (a device that does not answer), the world is let go once it
/// has written nothing for this long: longer than the timeouts and soaks of its manifests.
const STILL: SignedDuration = SignedDuration::from_mins(45);
/// A world at rest stays so for this long: longer than two drift intervals.
const QUIET: SignedDuration = SignedDuration::from_mins(25);

pub(super) fn run(world: World, selection: &Selection) -> Outcome {
    let failed = |what: String| Outcome {
        violation: Some(Violation { what, last_events: Vec::new() }),
        ..Outcome::default()
    };
    let play = match Play::new(world, selection) {
        Ok(play) => play,
        Err(what) => return failed(what),
    };
    let shared = play.shared.clone();
    let reader = LogReader(move |text: &str| shared.checkers().no_secret("the log", text));
    let _log = tracing::subscriber::set_default(reader);
    executor::run(|idle| play.run(idle)).unwrap_or_else(|error| failed(error.to_string()))
}

/// How far a world has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Faults strike until then.
    Chaos(Timestamp),
    /// It must come to rest; asked again then.
    Calm { since: Timestamp, ask: Timestamp },
    /// It is at rest; until then devices may still go back to an old version, and the engine see it.
    Settling { since: Timestamp, until: Timestamp },
    /// It is at rest until then, and has made at most so many writes by then.
    Rest { until: Timestamp, writes: u64 },
}

impl Act {
    const fn due(self) -> Timestamp {
        match self {
            Self::Chaos(at)
            | Self::Calm { ask: at, .. }
            | Self::Settling { until: at, .. }
            | Self::Rest { until: at, .. } => at,
        }
    }
}

struct Play {
    shared: Arc<Shared>,
    simulator: Simulator,
    lives: Lives,
    plot: VecDeque<(Timestamp, Turn)>,
    turns: Ledger,
    /// Writes so far when they were last seen to grow, and when that was.
    written: (u64, Timestamp),
    /// What the clouds held when the world came to rest.
    facts: Facts,
    original: BTreeMap<String, Value>,
    manifests: BTreeMap<String, Value>,
    act: Act,
    must_complete: bool,
    breaks: Option<Breaks>,
    /// Since when the gateways' clocks are wrong.
    skewed_since: Option<Timestamp>,
    /// When those who lost their state begin again.
    forgets_at: Option<Timestamp>,
    /// What the machine's clock is ahead as long as nobody sets it.
    clock_ahead: SignedDuration,
    steps: u64,
}

impl Play {
    fn new(world: World, selection: &Selection) -> Result<Self, String> {
        let scenario = Scenario::new(world)?;
        let mut simulator = Simulator::new(&scenario.cloud, START).map_err(|error| error.to_string())?;
        for portal in &scenario.portal {
            portal::act(&mut simulator, portal, START);
        }
        let mut checkers = Checkers::new(scenario.secrets, world.laws);
        let mut chaos = Chaos::new(world.seed, world.profile, selection);
        chaos.broken = scenario.broken;
        if scenario.is_quiet {
            checkers.faults_end();
        }
        let shared = Arc::new(Shared {
            timeline: Timeline::new(START),
            chaos: Arc::new(Mutex::new(chaos)),
            network: Mutex::new(Network::new(world.seed)),
            disk: Disk::new(world.mutation),
            trace: Mutex::new(Trace::new(world.events_kept)),
            checkers: Mutex::new(checkers),
            wanted: Mutex::new(scenario::objects(scenario.manifests.values())?),
            wall: Arc::new(WallClock::new(scenario.clock_ahead)),
            leader: Mutex::new(0),
            cluster: (world.home == Home::Kubernetes).then(|| Arc::new(ApiServer::new(world.seed))),
            mutation: world.mutation,
            writes: Mutex::new(0),
            asked: Mutex::default(),
            round: Mutex::default(),
            excused: Mutex::default(),
        });
        let at = |since: SignedDuration| START.saturating_add(since).unwrap_or(Timestamp::MAX);
        let start = Start::first(shared.clone(), &world);
        let lives = match &shared.cluster {
            Some(server) => {
                server.apply(&shared, START);
                Lives::Cluster(Seats::new(start, server.clone(), scenario.replicas, START))
            }
            None => Lives::local(start, START, world.short_lives.then(|| Cron::of_seed(world.seed))),
        };
        let breaks = Breaks::of_seed(world.seed);
        Ok(Self {
            lives,
            shared,
            simulator,
            plot: scenario.plot.into_iter().map(|(since, turn)| (at(since), turn)).collect(),
            written: (0, START),
            facts: Facts::default(),
            turns: Ledger::new(selection.turns.clone()),
            original: scenario.manifests.clone(),
            manifests: scenario.manifests,
            act: Act::Chaos(at(scenario.chaos_ends)),
            must_complete: scenario.must_complete && breaks.is_none(),
            breaks,
            skewed_since: None,
            forgets_at: None,
            clock_ahead: scenario.clock_ahead,
            steps: 0,
        })
    }

    async fn run(mut self, idle: Idle) -> Outcome {
        while !self.is_over() {
            idle.settle().await;
            self.lives.bury(self.shared.timeline.now());
            self.check_gone();
            let Some(next) = self.next_moment() else { break };
            self.shared.timeline.jump(next);
            self.steps += 1;
            self.turn_of_fate(next);
            self.requests_arrive(next);
            if let Some(breaks) = &mut self.breaks {
                breaks.strike(&mut self.simulator, next);
            }
            self.next_act(next);
        }
        for process in self.lives.end() {
            process.kill();
            idle.settle().await;
        }
        self.outcome()
    }

    fn is_over(&self) -> bool {
        if self.steps > MOST_STEPS {
            self.shared.checkers().judge(Err(format!("no rest after {MOST_STEPS} steps: it runs hot")));
        }
        let ended = matches!(self.act, Act::Rest { until, .. } if self.shared.timeline.now() >= until);
        ended || self.shared.checkers().violation().is_some()
    }

    fn next_moment(&self) -> Option<Timestamp> {
        let moments = [
            self.shared.timeline.next_due(),
            self.shared.network().next_due(),
            self.plot.front().map(|(at, _)| *at),
            self.lives.next_due(),
            self.shared.cluster.as_ref().and_then(|cluster| cluster.people_look_at()),
            self.shared.cluster.as_ref().and_then(|cluster| cluster.secrets_due()),
            Some(self.act.due()),
        ];
        moments.into_iter().flatten().min()
    }

    fn befall(&mut self, misfortune: &Misfortune, now: Timestamp) {
        self.shared.chaos().count(misfortune.kind());
        match misfortune {
            Misfortune::ClockJump(seconds) => self.set_clock(*seconds, now),
            Misfortune::ClockJumpBetweenLives(jump, seconds) => {
                self.shared.wall.set(*jump);
                self.shared.disk.crash();
                let back = later(now, SignedDuration::from_secs(i64::try_from(*seconds).unwrap_or(1)));
                self.lives.end_until(back);
                self.forgets_at = self.forgets_at.map(|at| at.min(back));
            }
            Misfortune::Takeover(seconds) => self.lives.take_over(*seconds, now),
            Misfortune::GatewaySkew(seconds) => {
                let said = misfortune::befall(&mut self.simulator, misfortune, now);
                self.shared.note(&format!("it ends: {}", said.unwrap_or_default()));
                self.watch_skew(*seconds, now);
            }
            Misfortune::StateLost(ago, seconds) => self.lose_state(*ago, *seconds, now),
            Misfortune::OfCluster(of_cluster) => self.befall_cluster(of_cluster, now),
            _ => {
                let said = misfortune::befall(&mut self.simulator, misfortune, now);
                self.shared.note(&format!("it ends: {}", said.unwrap_or_default()));
                self.forget(&clouds::tellable(&self.simulator));
            }
        }
    }

    fn by_hand(&mut self, portal: &Portal, now: Timestamp) {
        let said = portal::act(&mut self.simulator, portal, now);
        self.shared.note(&format!("it ends: {said}"));
    }

    /// The process notices it within half a minute, and begins anew.
    fn set_clock(&mut self, seconds: i64, now: Timestamp) {
        self.shared.wall.set(seconds);
        let noticed = self.shared.chaos().dice().between(1, 30_000);
        let at = later(now, SignedDuration::from_millis(i64::try_from(noticed).unwrap_or(1)));
        self.lives.notice_clock(at);
    }

    /// While the gateways' clocks are wrong no address is asked hot: not once a second.
    fn watch_skew(&mut self, seconds: i64, now: Timestamp) {
        let since = std::mem::replace(&mut self.skewed_since, (seconds != 0).then_some(now));
        let asked = self.shared.asked_most();
        if let (Some(since), Some((address, times))) = (since, asked) {
            let length = now.duration_since(since).as_secs();
            if times > MOST_ASKED + length.unsigned_abs() {
                let law = format!("{address} was asked {times} times in {length} s under a wrong clock");
                self.shared.checkers().judge(Err(law));
            }
        }
        if seconds != 0 {
            self.shared.count_asked();
        }
    }

    /// Whoever works is killed, and begins again once all that was sent has had its effect: tests/simulation/README.md explains it.
    fn lose_state(&mut self, ago: u64, seconds: u64, now: Timestamp) {
        let length = |seconds: u64| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(1));
        let back = later(now, length(seconds));
        self.lives.end_until(back);
        match &self.shared.cluster {
            Some(cluster) => {
                cluster.restore(now.saturating_sub(length(ago)).unwrap_or(START), back);
                cluster.apply(&self.shared, now);
            }
            None => self.shared.disk.lose(),
        }
        self.shared.checkers().forget_packages();
        self.forget(&clouds::tellable(&self.simulator));
        self.forgets_at = Some(back);
    }

    /// Of our jobs, the cloud tells these to whoever does not know their ids.
    fn forget(&self, told: &BTreeSet<String>) {
        let there = self.job_ids();
        self.shared.checkers().forget(&self.shared.durable(), &there, told);
    }

    fn job_ids(&self) -> BTreeSet<String> {
        clouds::jobs(&self.simulator).into_iter().map(|job| job.id).collect()
    }

    fn befall_cluster(&self, misfortune: &OfCluster, now: Timestamp) {
        let Some(cluster) = &self.shared.cluster else { return };
        match misfortune {
            OfCluster::Meddles(meddling, pick) => cluster.meddle(&self.shared, *meddling, *pick, now),
            OfCluster::ServerAway(seconds) => {
                cluster.go_away(later(now, SignedDuration::from_secs(i64::try_from(*seconds).unwrap_or(1))));
            }
            OfCluster::WatchesEnd { compacted } => cluster.cut_watches_off(*compacted),
        }
    }

    fn turn_of_fate(&mut self, now: Timestamp) {
        // Until somebody works again, requests of before arrive, and other people delete.
        if self.forgets_at.take_if(|at| *at <= now).is_some() {
            self.forget(&clouds::tellable(&self.simulator));
        }
        self.lives.turn(now);
        if let Some(cluster) = &self.shared.cluster {
            if cluster.people_look_at().is_some_and(|at| at <= now) {
                cluster.apply(&self.shared, now);
            }
            cluster.delete_secrets(&self.shared, now);
        }
        while let Some((_, turn)) = self.plot.pop_front_if(|(at, _)| *at <= now) {
            if self.turns.lets(|| format!("{turn:?}")) {
                self.shared.note(&format!("{turn:?}"));
                if turn.stops_an_account(&self.original) {
                    self.shared.checkers().faults_begin();
                }
                // What users ask for comes before everything else, also of an object that fails.
                self.shared.checkers().process_begins();
                self.turn(turn, now);
            }
        }
    }

    fn turn(&mut self, turn: Turn, now: Timestamp) {
        let kind = match turn {
            Turn::Edit(..) | Turn::Rewrite(..) | Turn::Write(..) | Turn::Remove(_) => {
                edits::follow(&mut self.manifests, &turn);
                return self.manifests_changed(now);
            }
            Turn::Restore(name) => {
                let original = self.original.get(&name).cloned();
                self.manifests.extend(original.map(|manifest| (name, manifest)));
                return self.manifests_changed(now);
            }
            Turn::Kill => return self.lives.kill(now),
            Turn::Ask(ask) => return self.ask(&ask, now),
            Turn::Befall(misfortune) => return self.befall(&misfortune, now),
            Turn::Portal(portal) => return self.by_hand(&portal, now),
            Turn::Device(id, online) => {
                let change = DeviceChange { online: Some(online), ..DeviceChange::default() };
                // The scenario names devices of its own fleet.
                let _ = self.simulator.change_device(&id, change, now);
                return;
            }
            Turn::Storm(seconds) => Kind::Throttle { seconds },
            Turn::ExpireTokens => Kind::ExpireTokens {},
        };
        self.shared.chaos().count(if matches!(kind, Kind::Throttle { .. }) {
            "Storm"
        } else {
            "ExpiredTokens"
        });
        let fault = Fault { cloud: None, operation: "*".to_owned(), count: None, probability: None, kind };
        // `*` is an operation, and no chance is given.
        let _ = self.simulator.inject(fault, now);
    }

    fn manifests_changed(&self, now: Timestamp) {
        match scenario::objects(self.manifests.values()) {
            Ok(wanted) => *lock(&self.shared.wanted) = wanted,
            Err(why) => self.shared.checkers().judge(Err(why)),
        }
        self.lives.look_around();
        if let Some(cluster) = &self.shared.cluster {
            cluster.apply(&self.shared, now);
        }
    }

    fn ask(&self, ask: &Ask, now: Timestamp) {
        let object = self.original.get(&ask.name).and_then(|manifest| scenario::object(manifest).ok());
        let Some(key) = object.map(|object| object.key()) else { return };
        self.shared.chaos().count("Requested");
        match &self.shared.cluster {
            Some(cluster) => cluster.ask(&self.shared, &key, ask, now),
            None => {
                self.shared.disk.ask(Asked { object: key, request: ask.request, at: now.to_string() });
                self.lives.look_around();
            }
        }
    }

    fn requests_arrive(&mut self, now: Timestamp) {
        loop {
            let request = self.shared.network().next_request(now);
            let Some(request) = request else { break };
            let before = self.before(&request);
            let answer = request.arrive(&mut self.simulator, now);
            self.shared.note(&format!("{} arrives", request.order.operation));
            self.check_creates(&request, &before);
            // What they create is not what the request made.
            request.brings_others(&mut self.simulator, now);
            // A job may take a device on to another version before anybody looks again.
            if request.order.shows_versions || matches!(request.order.deed, Deed::CreateJob { .. }) {
                self.shared.checkers().versions_are(clouds::versions(&self.simulator));
            }
            self.shared.truth_is(&self.simulator, request.changes(), now);
            self.shared.network().reply(now, request, answer);
        }
    }

    /// Ids of what a create is not, because it was there before.
    fn before(&self, request: &Request) -> Vec<String> {
        match request.order.deed {
            Deed::CreatePackage { .. } => {
                clouds::packages(&self.simulator).into_iter().map(|package| package.id).collect()
            }
            Deed::CreateJob { .. } if !clouds::side(request.order.cloud).jobs_carry_tokens() => {
                clouds::jobs(&self.simulator).into_iter().map(|job| job.id).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The laws of what exists, whenever something may have come to exist.
    fn check_creates(&self, request: &Request, before: &[String]) {
        let mut checkers = self.shared.checkers();
        match &request.order.deed {
            Deed::CreatePackage { .. } => {
                let packages = clouds::packages(&self.simulator);
                let new = packages.iter().filter(|package| !before.contains(&package.id));
                checkers.our_packages.extend(new.map(|package| package.id.clone()));
                let law = super::checkers::packages_are(&packages, &checkers.our_packages);
                checkers.judge(law);
            }
            Deed::CreateJob { token, likeness, .. } => {
                let jobs = clouds::jobs(&self.simulator);
                let made = jobs.iter().filter(|job| likeness.is_some() && !before.contains(&job.id));
                for (job, token) in made.zip(token) {
                    checkers.creates.made(job.id.clone(), token.clone());
                }
                checkers.jobs_are(&jobs);
            }
            _ => {}
        }
    }

    fn next_act(&mut self, now: Timestamp) {
        if now < self.act.due() {
            return;
        }
        match self.act {
            Act::Chaos(_) => {
                self.shared.note("the faults end");
                self.shared.chaos().end();
                self.shared.checkers().faults_end();
                let wrong = self.shared.wall.ahead() - self.clock_ahead;
                if !wrong.is_zero() {
                    self.set_clock(-wrong.as_secs(), now);
                }
                self.simulator.clear_faults();
                self.skewed_since = None;
                if let Some(cluster) = &self.shared.cluster {
                    cluster.let_go(&self.shared, now);
                }
                self.act = Act::Calm { since: now, ask: later(now, ASK) };
            }
            Act::Calm { since, .. } => {
                self.lives.settle();
                self.act = self.has_come_to_rest(since, now, false);
            }
            Act::Settling { since, .. } => self.act = self.has_come_to_rest(since, now, true),
            Act::Rest { writes, .. } => self.end_rest(writes, now),
        }
    }

    fn end_rest(&mut self, writes: u64, now: Timestamp) {
        // A device went back, or a job ended that a silent device had held: that is written down, and the world rests anew.
        if self.facts(now) != self.facts {
            self.act = Act::Settling { since: now, until: later(now, QUIET) };
            return;
        }
        let more = self.shared.writes().saturating_sub(writes);
        if more > 0 {
            self.shared.checkers().judge(Err(format!("a world at rest made {more} writes too many")));
        }
        self.check_rest(now);
        self.check_calls();
    }

    fn has_come_to_rest(&mut self, since: Timestamp, now: Timestamp, has_settled: bool) -> Act {
        let is_late = now.duration_since(since.max(self.last_opening(since))) >= BOUND;
        let is_still = now.duration_since(self.last_written(now)) >= STILL;
        match self.unrest(now) {
            // People are not done yet.
            None if !self.plot.is_empty() => Act::Calm { since, ask: later(now, ASK) },
            None => {
                // What happened while it settled may be written down at the next look only.
                let facts = self.facts(now);
                let before = std::mem::replace(&mut self.facts, facts);
                if !has_settled || self.facts != before {
                    return Act::Settling { since, until: later(now, QUIET) };
                }
                self.shared.count_asked();
                let borne =
                    self.at_rest(now, |rest, _| rest.writes_of_retries() + rest.writes_of_comparisons());
                Act::Rest { until: later(now, QUIET), writes: self.shared.writes() + borne }
            }
            // Something in the cloud goes on: the world is right to wait, and its end is not waited for.
            Some(Unrest { is_justified: true, .. }) if is_late || is_still => {
                let law = self.at_rest(now, |rest, checkers| checkers.waits_at_rest(rest, now));
                self.shared.checkers().judge(law);
                self.shared.count_asked();
                Act::Rest { until: now, writes: self.shared.writes() }
            }
            Some(Unrest { why, .. }) if is_late => {
                self.shared.checkers().judge(Err(format!("{NO_REST} {BOUND:#} after the faults: {why}")));
                Act::Calm { since, ask: later(now, ASK) }
            }
            Some(_) => Act::Calm { since, ask: later(now, ASK) },
        }
    }

    fn last_written(&mut self, now: Timestamp) -> Timestamp {
        let writes = self.shared.writes();
        if writes != self.written.0 {
            self.written = (writes, now);
        }
        self.written.1
    }

    fn unrest(&mut self, now: Timestamp) -> Option<Unrest> {
        if let Some((_, asked)) = self.shared.disk.first_asked() {
            return Some(Unrest { why: format!("nobody takes in {asked:?}"), is_justified: false });
        }
        self.at_rest(now, |rest, checkers| rest.unrest(&checkers.creates))
    }

    fn facts(&mut self, now: Timestamp) -> Facts {
        self.at_rest(now, |rest, _| Facts::of(rest, now))
    }

    fn check_rest(&mut self, now: Timestamp) {
        let must_complete = self.must_complete;
        let laws = self.at_rest(now, |rest, checkers| {
            [
                checkers.intent_at_rest(rest, now),
                if must_complete { rest.all_completed() } else { Ok(()) },
                rest.counts_are_true(&checkers.creates),
                rest.packages_are_there(),
            ]
        });
        let mut checkers = self.shared.checkers();
        laws.into_iter().for_each(|law| checkers.judge(law));
    }

    /// A finalizer has kept each object until its work in the cloud was over.
    fn check_gone(&self) {
        let Some(cluster) = &self.shared.cluster else { return };
        for object in cluster.gone() {
            let (jobs, packages) = (clouds::jobs(&self.simulator), clouds::packages(&self.simulator));
            let mut checkers = self.shared.checkers();
            let law = checkers.has_left(&object, &self.shared.durable(), &jobs, &packages);
            checkers.judge(law);
        }
    }

    fn at_rest<T>(&mut self, now: Timestamp, look: impl FnOnce(&Rest<'_>, &Checkers) -> T) -> T {
        self.simulator.advance(now);
        let broken = self.shared.chaos().broken.broken();
        let objects = self.shared.durable();
        let (jobs, packages) = (clouds::jobs(&self.simulator), clouds::packages(&self.simulator));
        let excused = self.shared.checkers().excused(&broken, &objects, &jobs, &packages);
        let rest = Rest {
            objects: &objects,
            excused: &excused,
            wanted: &lock(&self.shared.wanted),
            jobs: &jobs,
            packages: &packages,
            versions: &clouds::versions(&self.simulator).collect::<Vec<_>>(),
            online: &clouds::online(&self.simulator, now),
        };
        *lock(&self.shared.excused) = excused.iter().cloned().chain(rest.changing()).collect();
        look(&rest, &self.shared.checkers())
    }
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}
