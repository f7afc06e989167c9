//! Nothing is created twice, and nothing hurries, whatever the API server answers and whenever etcd is lost.

use super::control_plane::{ControlPlane, shared};
use super::harness::Field;
use super::unruly::{Asked, Fate, Unruly};
use crate::engine::harness::{PACKAGE, Process, ROLLOUT, each};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often trouble strikes.
const STRIKES: u32 = 4;

/// Strikes every so many of the requests of a sort, [`STRIKES`] times.
struct Strikes {
    every: u32,
    left: AtomicU32,
    seen: AtomicU32,
}

impl Strikes {
    fn new(every: u32) -> Self {
        Self { every, left: AtomicU32::new(STRIKES), seen: AtomicU32::new(0) }
    }

    fn strikes(&self, is_of_the_sort: bool) -> bool {
        is_of_the_sort
            && (self.seen.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.every)
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }

    fn has_struck(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

/// What the API server does, to every how many of which requests.
type Trouble = (&'static str, u32, fn(&Asked<'_>) -> bool, fn() -> Fate);

const TROUBLES: [Trouble; 6] = [
    ("writes are throttled", 3, |asked| asked.writes_status(), || Fate::Refused(429, "TooManyRequests")),
    ("writes meet another writer's", 3, |asked| asked.writes_status(), || Fate::Refused(409, "Conflict")),
    ("writes fail", 3, |asked| asked.writes_status(), || Fate::Refused(500, "InternalError")),
    ("answers of writes are lost", 3, |asked| asked.writes_status(), || Fate::AnsweredWith(504, "Timeout")),
    ("watches expire", 1, |asked| asked.is_watch(), || Fate::Expired),
    ("everything is throttled", 3, |_| true, || Fate::Refused(429, "TooManyRequests")),
];

#[test]
fn an_api_server_that_refuses_or_loses_requests_costs_no_second_create_and_no_hot_loop() {
    each(&TROUBLES, |&(what, every, is_of_the_sort, fate)| {
        let field = Field::new(shared());
        field.apply(PACKAGE);
        field.apply(ROLLOUT);
        let (strikes, asked) = (Arc::new(Strikes::new(every)), Arc::new(AtomicU32::new(0)));
        let judge = {
            let (strikes, asked) = (strikes.clone(), asked.clone());
            move |request: &Asked<'_>| {
                asked.fetch_add(1, Ordering::Relaxed);
                if strikes.strikes(is_of_the_sort(request)) { fate() } else { Fate::Passed }
            }
        };
        let unruly = Unruly::before(field.plane, field.lab.path(), judge);
        let controller = Process::start(field.controller().env("KUBECONFIG", unruly.kubeconfig()));
        field.assert_converges(what);
        assert!(strikes.has_struck(), "{what}: not often enough");
        let asked = asked.load(Ordering::Relaxed);
        assert!(asked < 400, "{what}: {asked} requests");
        drop(controller);
    });
}

#[test]
fn etcd_is_lost_between_an_intent_and_its_create() {
    // The proxy kills its etcd for as long as there are requests. Its processes end with this one.
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::bare()));
    plane.install_definitions();
    let field = Field::new(plane);
    field.apply(PACKAGE);
    field.apply(ROLLOUT);
    let strikes = Arc::new(AtomicU32::new(0));
    let judge = {
        let strikes = strikes.clone();
        // The first is of the package, the next ones are of jobs.
        move |request: &Asked<'_>| {
            if request.writes_intent() && strikes.fetch_add(1, Ordering::Relaxed) < 3 {
                return Fate::PassedAnd(Box::new(|| plane.kill_etcd()));
            }
            Fate::Passed
        }
    };
    let unruly = Unruly::before(plane, field.lab.path(), judge);
    let mut controller = Process::start(field.controller().env("KUBECONFIG", unruly.kubeconfig()));
    for lost in 1..=3 {
        field.lab.until("an intent is durable, and etcd gone", || {
            strikes.load(Ordering::Relaxed) >= lost && !plane.has_etcd()
        });
        if lost == 2 {
            // It dies, too, and knows nothing any more when etcd is there again.
            controller.kill();
            plane.start_etcd();
            controller = Process::start(field.controller().env("KUBECONFIG", unruly.kubeconfig()));
        } else {
            plane.start_etcd();
        }
    }
    field.assert_converges("after etcd was lost");
    drop(controller);
}
