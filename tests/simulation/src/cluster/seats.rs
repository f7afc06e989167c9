//! The controllers of a world, dead and alive.

use super::super::{Shared, lock};
use super::ApiServer;
use super::controller::Controller;
use super::time::LeaseTime;
use crate::process::Start;
use jiff::{SignedDuration, Timestamp};
use rollwave::decide::clocks::Boot;
use std::sync::Arc;

/// A Deployment of one controller, or of two.
pub(crate) struct Seats {
    start: Start,
    server: Arc<ApiServer>,
    seats: Vec<Seat>,
    /// When processes notice that the clock was set.
    clock_noticed: Timestamp,
}

struct Seat {
    name: String,
    /// Each has a machine of its own.
    boot: Boot,
    controller: Option<Controller>,
    starts_at: Option<Timestamp>,
}

impl Seats {
    pub(crate) fn new(start: Start, server: Arc<ApiServer>, replicas: u64, now: Timestamp) -> Self {
        let seat = |n: u64| Seat {
            name: format!("controller-{n}"),
            boot: Boot { id: n, at: now },
            controller: None,
            starts_at: Some(now),
        };
        Self { start, server, seats: (0..replicas).map(seat).collect(), clock_noticed: Timestamp::MAX }
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let starts = self.seats.iter().filter_map(|seat| seat.starts_at);
        starts.chain([self.clock_noticed]).min()
    }

    pub(crate) fn turn(&mut self, now: Timestamp) {
        if self.clock_noticed <= now {
            self.clock_noticed = Timestamp::MAX;
            self.seats.iter().filter_map(|seat| seat.controller.as_ref()).for_each(Controller::clock_was_set);
        }
        for seat in &mut self.seats {
            if seat.starts_at.is_some_and(|at| at <= now) {
                seat.starts_at = None;
                seat.controller = Some(Controller::start(&self.start, &self.server, &seat.name, seat.boot));
            }
        }
    }

    /// Processes that died are gone, and start again some time later.
    pub(crate) fn bury(&mut self, now: Timestamp) {
        for seat in &mut self.seats {
            if seat.controller.as_ref().is_some_and(|controller| controller.life.is_over()) {
                seat.kill(&self.start.shared, now);
            }
        }
    }

    /// The one that leads is killed, or the first.
    pub(crate) fn kill(&mut self, now: Timestamp) {
        let shared = self.start.shared.clone();
        if let Some(seat) = self.leading() {
            seat.kill(&shared, now);
        }
    }

    /// The one that leads is stopped for so many seconds, and then goes on.
    pub(crate) fn freeze(&mut self, seconds: u64) {
        if let Some(controller) = self.leading().and_then(|seat| seat.controller.as_ref()) {
            controller.link.freeze(seconds);
        }
    }

    pub(crate) const fn notice_clock(&mut self, at: Timestamp) {
        self.clock_noticed = at;
    }

    /// Nobody competes for the Lease any more, if somebody holds it.
    pub(crate) fn settle(&mut self) {
        let is_held = |seat: &Seat| seat.controller.as_ref().is_some_and(|one| one.held.is_held());
        if self.seats.iter().any(is_held) {
            LeaseTime::stop(&self.start.shared, &mut lock(&self.server.still));
        }
    }

    pub(crate) fn end(&mut self) {
        for seat in &mut self.seats {
            if let Some(controller) = seat.controller.take() {
                controller.kill();
            }
        }
    }

    /// All of them start then.
    pub(crate) fn start_at(&mut self, at: Timestamp) {
        self.seats.iter_mut().for_each(|seat| seat.starts_at = Some(at));
    }

    fn leading(&mut self) -> Option<&mut Seat> {
        let leads = |seat: &Seat| seat.controller.as_ref().is_some_and(|one| one.held.is_held());
        let leader = self.seats.iter().position(leads).unwrap_or(0);
        self.seats.get_mut(leader).filter(|seat| seat.controller.is_some())
    }
}

impl Seat {
    fn kill(&mut self, shared: &Shared, now: Timestamp) {
        let Some(controller) = self.controller.take() else { return };
        controller.kill();
        shared.note(&format!("{} is dead", self.name));
        let wait = shared.chaos().dice().between(100, 300_000);
        let wait = SignedDuration::from_millis(i64::try_from(wait).unwrap_or(100));
        self.starts_at = now.saturating_add(wait).ok();
    }
}
