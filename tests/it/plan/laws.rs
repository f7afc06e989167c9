//! Laws that hold whatever devices, clouds and people do: random histories in the tiny world.

use super::world::{Fate, World, device};
use proptest::prelude::*;
use rollwave::api::{CreateOperation, Intent, IntentState, Request, RolloutPhase, StagePhase};
use rollwave::cloud::{DeviceOutcome, Job, JobState};
use rollwave::decide::{Action, needs};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Something that happens between two passes.
#[derive(Clone, Debug)]
enum Event {
    Devices {
        seed: u8,
    },
    Time {
        seconds: u16,
    },
    Suspend {
        on: bool,
    },
    Asked {
        request: Request,
    },
    DeviceJoins,
    DeviceLeaves {
        seed: u8,
    },
    DeviceGoesBack {
        seed: u8,
    },
    StoppedInTheConsole {
        seed: u8,
    },
    LastJobHides,
    ListsAreWhole,
    PackageBreaks {
        broken: bool,
    },
    GateIsEdited {
        percent: u8,
    },
    /// The next create call takes effect, and its answer is lost.
    AnswerIsLost,
    /// The next create call is written down, and never leaves.
    CallIsLost,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => any::<u8>().prop_map(|seed| Event::Devices { seed }),
        6 => (1_u16..200).prop_map(|seconds| Event::Time { seconds }),
        1 => any::<bool>().prop_map(|on| Event::Suspend { on }),
        4 => prop::sample::select(&Request::ALL[..]).prop_map(|request| Event::Asked { request }),
        2 => Just(Event::DeviceJoins),
        1 => any::<u8>().prop_map(|seed| Event::DeviceLeaves { seed }),
        1 => any::<u8>().prop_map(|seed| Event::DeviceGoesBack { seed }),
        1 => any::<u8>().prop_map(|seed| Event::StoppedInTheConsole { seed }),
        1 => Just(Event::LastJobHides),
        2 => Just(Event::ListsAreWhole),
        1 => any::<bool>().prop_map(|broken| Event::PackageBreaks { broken }),
        1 => (50_u8..100).prop_map(|percent| Event::GateIsEdited { percent }),
        2 => Just(Event::AnswerIsLost),
        1 => Just(Event::CallIsLost),
    ]
}

struct History {
    world: World,
    /// By run and device.
    stage_of: BTreeMap<(u32, String), String>,
    /// Run of each job, by its id.
    run_of: BTreeMap<String, u32>,
    joined: u32,
    lose_answer: bool,
    lose_call: bool,
    paused: bool,
    retried: bool,
}

impl History {
    fn new(chunk: usize, stop_at: u32) -> Self {
        let mut world = World::new(
            30,
            json!({
                "stages": [
                    {"name": "canary", "select": {"count": 6}, "soak": "1m",
                     "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "60%", "minObserved": "80%"}}]},
                    {"name": "half", "select": {"percent": "50%"},
                     "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "60%", "minObserved": "100%"}}]}
                ],
                "stop": [{"name": "too-many", "method": "Count", "maxFailure": stop_at}]
            }),
        );
        world.capabilities.max_devices_per_job = chunk;
        Self {
            world,
            stage_of: BTreeMap::new(),
            run_of: BTreeMap::new(),
            joined: 0,
            lose_answer: false,
            lose_call: false,
            paused: false,
            retried: false,
        }
    }

    fn happen(&mut self, event: &Event) {
        let world = &mut self.world;
        match event {
            Event::Devices { seed } => world.run_devices(|id| fate(id, *seed)),
            Event::Time { seconds } => world.pass(i64::from(*seconds)),
            Event::Suspend { on } => world.edit_rollout(|rollout| rollout.spec.suspend = *on),
            Event::Asked { request } => {
                // No two requests have the same time.
                world.pass(1);
                world.ask(*request);
                self.retried |= matches!(request, Request::Retry | Request::Restart);
                self.paused = match request {
                    Request::Pause => true,
                    Request::Resume => false,
                    _ => self.paused,
                };
            }
            Event::DeviceJoins => {
                self.joined += 1;
                let id = format!("new-{:03}", self.joined);
                world.devices.insert(id.clone(), device(&id, "V1"));
            }
            Event::DeviceLeaves { seed } => {
                let id = world.devices.keys().nth(usize::from(*seed) % 30).cloned();
                id.into_iter().for_each(|id| drop(world.devices.remove(&id)));
            }
            Event::DeviceGoesBack { seed } => {
                let device = world.devices.values_mut().nth(usize::from(*seed) % 30);
                device.into_iter().for_each(|device| device.firmware = Some("V1".into()));
            }
            Event::StoppedInTheConsole { seed } => {
                let id = world.jobs.get(usize::from(*seed) % 5).filter(|job| !job.state.is_final());
                let id = id.map(|job| job.id.clone());
                id.into_iter().for_each(|id| world.stop(&id));
            }
            Event::LastJobHides => world.hidden.extend(world.jobs.last().map(|job| job.id.clone())),
            Event::ListsAreWhole => world.hidden.clear(),
            Event::PackageBreaks { broken } => {
                world.package.metadata.generation = Some(if *broken { 2 } else { 1 });
            }
            Event::GateIsEdited { percent } => world.edit_rollout(|rollout| {
                let min_success = format!("{percent}%").parse().unwrap();
                rollout.spec.stages[0].gates.as_mut().unwrap()[0].outcome.as_mut().unwrap().min_success =
                    Some(min_success);
            }),
            Event::AnswerIsLost => self.lose_answer = true,
            Event::CallIsLost => self.lose_call = true,
        }
    }

    /// One pass of an engine whose calls may be lost.
    fn reconcile(&mut self) {
        self.is_idempotent();
        let plan = self.world.plan_rollout();
        let first = plan.actions.iter().find_map(|action| match action {
            Action::CreateJob { stage, job } => Some((stage.clone(), job.clone())),
            _ => None,
        });
        if let Some((stage, job)) = &first {
            for before in plan.status.stages.iter().take_while(|before| Some(&before.name) != stage.as_ref())
            {
                assert_eq!(before.phase, StagePhase::Passed, "{} was left without passing", before.name);
                assert!(before.passed_at.is_some());
            }
            assert!(!self.paused, "sent while paused");
            // A call whose answer was lost may be asked for again: the journal finds what it made.
            if !self.has_token(&job.token) {
                self.check_devices(&job.devices);
            }
            assert!(needs::is_dispatchable(&self.world.package), "sent before the package was ready");
            assert!(!self.world.rollout.spec.suspend, "sent while suspended");
        }
        // The journal makes a call again only when it is sure that it did not take effect.
        let taken = first.as_ref().is_some_and(|(_, job)| self.has_token(&job.token));
        let lost = self.lose_answer || self.lose_call;
        match first.filter(|_| lost || taken) {
            Some((stage, job)) => {
                self.world.rollout.status = Some(plan.status);
                self.write_down(&job.token, stage);
                if self.lose_answer && !self.has_token(&job.token) {
                    self.world.create_job(&job);
                }
                (self.lose_answer, self.lose_call) = (false, false);
            }
            None => drop(self.world.reconcile()),
        }
        self.check();
    }

    /// Nobody is sent what they run, and nobody is tried again unless somebody asked for it.
    fn check_devices(&self, devices: &[String]) {
        for device in devices {
            let version = self.world.devices.get(device).and_then(|device| device.firmware.as_deref());
            assert_ne!(version, Some("V2"), "{device} runs it already");
            assert!(self.retried || !self.has_failed(device), "{device} was tried again unasked");
        }
    }

    /// The last job that has the device says that it failed.
    fn has_failed(&self, device: &str) -> bool {
        let last = self.world.jobs.iter().rev().find_map(|job| self.world.outcomes[&job.id].get(device));
        last.is_some_and(|(outcome, _)| *outcome == DeviceOutcome::Failed)
    }

    fn has_token(&self, token: &str) -> bool {
        self.world.jobs.iter().any(|job| job.token.as_deref() == Some(token))
    }

    fn write_down(&mut self, token: &str, stage: Option<String>) {
        let pending = &mut self.world.rollout.status.as_mut().unwrap().pending;
        pending.retain(|intent| intent.token != token);
        pending.push(Intent {
            cloud_at: None,
            uptime: None,
            likeness: None,
            package_id: None,
            token: token.into(),
            operation: CreateOperation::CreateJob,
            stage,
            digest: String::new(),
            at: self.world.now,
            state: IntentState::Ambiguous,
        });
    }

    /// The same look at the status that was just written gives the same status and the same orders.
    fn is_idempotent(&self) {
        let first = self.world.plan_rollout();
        let mut again = self.world.clone();
        again.rollout.status = Some(first.status.clone());
        let second = again.plan_rollout();
        assert_eq!(first.status, second.status);
        assert_eq!(first.actions, second.actions);
    }

    fn check(&mut self) {
        let world = &self.world;
        let mut tokens = BTreeSet::new();
        let mut live: BTreeMap<&str, &str> = BTreeMap::new();
        for job in &world.jobs {
            assert!(tokens.insert(job.token.clone()), "a token was used twice");
            for device in job.devices.iter().filter(|_| !job.state.is_final()) {
                let other = live.insert(device, &job.id);
                assert_eq!(other, None, "{device} is in two live jobs");
            }
        }
        for job in &world.jobs {
            let stage = job.title.rsplit('/').next().unwrap_or_default();
            let now = world.rollout_status().run;
            let run = *self.run_of.entry(job.id.clone()).or_insert(now);
            for device in &job.devices {
                let key = (run, device.clone());
                let before = self.stage_of.entry(key).or_insert_with(|| stage.to_owned());
                assert_eq!(before, stage, "{device} moved");
            }
        }
        self.check_status();
    }

    fn check_status(&self) {
        let status = self.world.rollout_status();
        if status.stopped_by.is_some() {
            // Pending: a restart was asked for, and waits for the jobs that the rule stops.
            assert!(matches!(status.phase, RolloutPhase::Held | RolloutPhase::Pending), "{:?}", status.phase);
            let runs = |job: &&Job| job.state == JobState::Running && !self.world.hidden.contains(&job.id);
            let known =
                |job: &&Job| status.stages.iter().flat_map(|s| &s.jobs).any(|known| known.id == job.id);
            let running = self.world.jobs.iter().filter(runs).find(known);
            assert_eq!(running.map(|job| &job.id), None, "runs although a stop rule fired");
        }
        for stage in &status.stages {
            let counts = stage.counts;
            assert_eq!(counts.assigned, counts.finished() + counts.queued + counts.in_flight);
        }
    }
}

/// A device's fate, by a fixed hash: mostly good.
fn fate(id: &str, seed: u8) -> Fate {
    let hash =
        id.bytes().fold(u32::from(seed), |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    match hash % 16 {
        0 => Fate::Fails,
        1 => Fate::TimesOut,
        2 => Fate::Lies,
        3..=6 => Fate::Sleeps,
        _ => Fate::Succeeds,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn no_history_breaks_a_law(
        events in prop::collection::vec(event(), 0..50), chunk in 1_usize..12, stop_at in 1_u32..8,
    ) {
        let mut history = History::new(chunk, stop_at);
        for event in &events {
            history.happen(event);
            history.reconcile();
        }
    }

    #[test]
    fn a_fleet_that_always_succeeds_always_converges(
        events in prop::collection::vec((1_u16..90, any::<bool>()), 0..20), chunk in 1_usize..12,
    ) {
        let mut history = History::new(chunk, 1);
        for (seconds, lost) in events {
            history.lose_answer = lost;
            history.happen(&Event::Time { seconds });
            history.world.run_devices(|_| Fate::Succeeds);
            history.reconcile();
        }
        history.lose_answer = false;
        let plan = history.world.settle(|_| Fate::Succeeds);
        prop_assert_eq!(plan.status.phase, RolloutPhase::Completed, "{}", plan.status.message);
        prop_assert_eq!(plan.status.stages.iter().map(|s| s.counts.succeeded).sum::<u32>(), 30);
        let jobs: u32 = plan.status.stages.iter().map(|s| s.jobs.len() as u32).sum();
        prop_assert_eq!(jobs as usize, history.world.jobs.len());
    }
}
