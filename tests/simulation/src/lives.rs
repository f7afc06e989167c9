//! The processes of a world: one with the lock of its state, or the controllers of a cluster.

use super::Shared;
use super::cluster::Seats;
use super::cron::Cron;
use super::dice::Dice;
use super::process::{Process, Start};
use jiff::{SignedDuration, Timestamp};
use rollwave::decide::clocks::Boot;
use std::sync::Arc;

/// In a thousand processes as many start on a machine that was booted since the one before, or on another one.
const BOOTED_MEANWHILE: u32 = 250;

/// How often a short-lived process is asked whether it has come round to all objects.
const ASK: SignedDuration = SignedDuration::from_secs(1);

/// Every process of a world.
pub(super) enum Lives {
    Local(Local),
    Cluster(Seats),
}

/// One process, and those that do not know that they do not lead any more.
pub(super) struct Local {
    shared: Arc<Shared>,
    start: Start,
    process: Option<Process>,
    starts_at: Option<Timestamp>,
    /// Processes that do not lead any more and do not know it, and when they end.
    deposed: Vec<(Timestamp, Process)>,
    /// When the process notices that the clock was set.
    clock_noticed: Timestamp,
    /// Processes live for seconds, and begin periodically.
    cron: Option<Cron>,
    /// When a short-lived process ends.
    ends_at: Option<Timestamp>,
}

impl Lives {
    pub(super) fn local(start: Start, now: Timestamp, cron: Option<Cron>) -> Self {
        let (shared, process, starts_at) = (start.shared.clone(), None, Some(now));
        let (deposed, clock_noticed, ends_at) = (Vec::new(), Timestamp::MAX, None);
        Self::Local(Local { shared, start, process, starts_at, deposed, clock_noticed, cron, ends_at })
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        match self {
            Self::Local(local) => local.next_due(),
            Self::Cluster(seats) => seats.next_due(),
        }
    }

    /// Whoever died is gone, and starts again some time later.
    pub(super) fn bury(&mut self, now: Timestamp) {
        match self {
            Self::Local(local) => {
                if local.process.as_ref().is_some_and(|process| process.life.is_over()) {
                    local.kill();
                }
            }
            Self::Cluster(seats) => seats.bury(now),
        }
    }

    /// Whoever leads is killed.
    pub(super) fn kill(&mut self, now: Timestamp) {
        match self {
            Self::Local(local) => local.kill(),
            Self::Cluster(seats) => seats.kill(now),
        }
    }

    /// Another one takes over, and whoever led does not know it for so long.
    pub(super) fn take_over(&mut self, seconds: u64, now: Timestamp) {
        match self {
            Self::Local(local) => local.take_over(seconds, now),
            Self::Cluster(seats) => seats.freeze(seconds),
        }
    }

    /// The machine's clock was set; it is noticed then.
    pub(super) const fn notice_clock(&mut self, at: Timestamp) {
        match self {
            Self::Local(local) => local.clock_noticed = at,
            Self::Cluster(seats) => seats.notice_clock(at),
        }
    }

    /// Whoever is due begins, begins anew or ends.
    pub(super) fn turn(&mut self, now: Timestamp) {
        match self {
            Self::Local(local) => local.turn(now),
            Self::Cluster(seats) => seats.turn(now),
        }
    }

    /// The manifests changed, or somebody asks for something: a process of a folder looks there. In a cluster people write
    /// both themselves.
    pub(super) fn look_around(&self) {
        if let Self::Local(Local { process: Some(process), .. }) = self {
            process.look_around();
        }
    }

    /// Everybody is killed, and begins again then.
    pub(super) fn end_until(&mut self, at: Timestamp) {
        for process in self.end() {
            process.kill();
        }
        match self {
            Self::Local(local) => local.starts_at = Some(at),
            Self::Cluster(seats) => seats.start_at(at),
        }
    }

    /// How many short-lived processes begin within this time.
    pub(super) fn begun_within(&self, time: SignedDuration) -> u64 {
        let Self::Local(Local { cron: Some(cron), .. }) = self else { return 0 };
        u64::try_from(time.as_secs() / cron.every.as_secs().max(1)).unwrap_or(0) + 1
    }

    /// The faults have ended a while ago.
    pub(super) fn settle(&mut self) {
        if let Self::Cluster(seats) = self {
            seats.settle();
        }
    }

    /// The world ends. What is given has still to be killed, one by one.
    pub(super) fn end(&mut self) -> Vec<Process> {
        match self {
            Self::Local(local) => {
                let deposed: Vec<Process> = local.deposed.drain(..).map(|(_, process)| process).collect();
                local.process.take().into_iter().chain(deposed).collect()
            }
            Self::Cluster(seats) => {
                seats.end();
                Vec::new()
            }
        }
    }
}

impl Local {
    fn next_due(&self) -> Option<Timestamp> {
        let deposed = self.deposed.iter().map(|(until, _)| *until).min();
        [self.starts_at, self.ends_at, deposed, Some(self.clock_noticed)].into_iter().flatten().min()
    }

    fn kill(&mut self) {
        let Some(process) = self.process.take() else { return };
        process.kill();
        self.shared.disk.crash();
        self.shared.note("the process is dead");
        let wait = self.shared.chaos().dice().between(100, 300_000);
        let wait = SignedDuration::from_millis(i64::try_from(wait).unwrap_or(100));
        self.starts_at = self.shared.timeline.now().saturating_add(wait).ok();
    }

    fn begin(&mut self) {
        let after = |length: SignedDuration| self.shared.timeline.now().saturating_add(length).ok();
        self.starts_at = None;
        self.ends_at = self.cron.and_then(|cron| after(cron.lives));
        self.start.run += 1;
        let mut dice = Dice::new(self.start.seed, &format!("boot{}", self.start.run));
        // Cron starts its processes on one machine.
        if self.cron.is_none() && dice.permille(BOOTED_MEANWHILE) {
            self.start.boot = Boot { id: self.start.run, at: self.shared.timeline.now() };
        }
        self.process = Some(Process::start(&self.start));
    }

    /// A short-lived process ends once it has come round to all objects; the next one begins when it is its time.
    fn end_short_life(&mut self, now: Timestamp) {
        let (Some(cron), Some(_)) = (self.cron, self.ends_at.take_if(|at| *at <= now)) else { return };
        if self.process.is_some() && !super::lock(&self.shared.round).is_over() {
            self.ends_at = now.saturating_add(ASK).ok();
            return;
        }
        let Some(process) = self.process.take() else { return };
        process.kill();
        let pause = cron.every.saturating_sub(cron.lives);
        self.starts_at = self.shared.timeline.now().saturating_add(pause).ok();
    }

    fn take_over(&mut self, seconds: u64, now: Timestamp) {
        let Some(process) = self.process.take() else { return };
        let until = now.saturating_add(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(1)));
        self.deposed.push((until.unwrap_or(Timestamp::MAX), process));
        self.begin();
    }

    fn turn(&mut self, now: Timestamp) {
        for (_, process) in self.deposed.extract_if(.., |(until, _)| *until <= now) {
            process.kill();
        }
        if self.clock_noticed <= now {
            self.clock_noticed = Timestamp::MAX;
            if let Some(process) = self.process.take() {
                process.kill();
                self.begin();
            }
        }
        self.end_short_life(now);
        if self.starts_at.is_some_and(|at| at <= now) {
            self.begin();
        }
    }
}
