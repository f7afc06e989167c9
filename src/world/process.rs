//! One run of the process: what `rollwave run` does around the engine, from start to crash.

use super::clock::MachineClock;
use super::clouds;
use super::dice::{Dice, Jitter};
use super::disk::DiskPort;
use super::faults::Life;
use super::mutation::Mutation;
use super::network::{Dialler, Wire};
use super::{Shared, World};
use crate::api::ObjectKey;
use crate::engine::points::Point;
use crate::engine::ports::{Deposed, Leadership, Ports, Silent, Sole};
use crate::engine::{Engine, Report};
use crate::plan::clocks::Boot;
use crate::state::{StateError, Store};
use async_trait::async_trait;
use std::sync::Arc;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
};

/// Where a process may die with a request half taken in: it is no write of the engine's.
const REQUEST: &str = "Request";

/// What a process is started with.
pub(super) struct Start {
    pub(super) shared: Arc<Shared>,
    pub(super) seed: u64,
    /// Number of the run.
    pub(super) run: u64,
    /// The boot of its machine, in true time.
    pub(super) boot: Boot,
    pub(super) mutation: Option<Mutation>,
}

impl Start {
    /// The first process of a world.
    pub(super) fn first(shared: Arc<Shared>, world: &World) -> Self {
        let boot = Boot { id: 0, at: shared.timeline.now() };
        Self { shared, seed: world.seed, run: 0, boot, mutation: world.mutation }
    }
}

/// A process that runs.
pub(super) struct Process {
    pub(super) life: Life,
    changes: UnboundedSender<()>,
    task: JoinHandle<()>,
}

impl Process {
    pub(super) fn start(start: &Start) -> Self {
        let shared = start.shared.clone();
        let life = Life::new(shared.chaos.clone());
        let run = start.run;
        *super::lock(&shared.leader) = run;
        let wire =
            Arc::new(Wire { run, ahead: shared.wall.ahead(), shared: shared.clone(), life: life.clone() });
        let (timeline, wall) = (shared.timeline.clone(), shared.wall.clone());
        let ports = Ports {
            clock: Arc::new(MachineClock { timeline, ahead: wall.ahead(), wall, boot: start.boot }),
            rng: Arc::new(Jitter::new(Dice::new(start.seed, &format!("jitter{}", start.run)))),
            connector: Arc::new(Dialler {
                wire,
                clients: clouds::Run::new(run),
                // The fence of the state is all that the histories of this home know.
                leadership: Arc::new(Sole),
                mutation: start.mutation,
            }),
            recorder: Arc::new(Silent),
            leadership: Arc::new(Lease { shared: shared.clone(), run }),
            faults: Arc::new(life.clone()),
        };
        let store = Arc::new(DiskPort {
            run,
            ahead: shared.wall.ahead(),
            shared: shared.clone(),
            life: life.clone(),
        });
        let store: Arc<dyn Store> = match start.mutation {
            Some(mutation) => mutation.of_store(store),
            None => store,
        };
        let engine = Engine::new(store, ports);
        shared.note(&format!("process {} starts", start.run));
        shared.checkers().process_begins();
        let (changes, changed) = mpsc::unbounded_channel();
        let home = Home { run, shared, engine, life: life.clone() };
        Self { life, changes, task: tokio::spawn(home.run(changed)) }
    }

    /// The manifests changed, or somebody asks for something.
    pub(super) fn look_around(&self) {
        // A process that has ended looks when it starts again.
        let _ = self.changes.send(());
    }

    /// Whatever it was at stops where it is.
    pub(super) fn kill(self) {
        self.life.end();
        self.task.abort();
    }
}

/// Which run of the process leads, as a Lease of Kubernetes says it.
struct Lease {
    run: u64,
    shared: Arc<Shared>,
}

#[async_trait]
impl Leadership for Lease {
    async fn check(&self) -> Result<(), Deposed> {
        if self.shared.leads(self.run) { Ok(()) } else { Err(Deposed) }
    }
}

struct Home {
    run: u64,
    shared: Arc<Shared>,
    engine: Engine,
    life: Life,
}

impl Home {
    async fn run(mut self, mut changes: UnboundedReceiver<()>) {
        if let Err(error) = self.work(&mut changes).await {
            self.shared.note(&format!("process ends: {error}"));
        }
        self.life.end();
    }

    async fn work(&mut self, changes: &mut UnboundedReceiver<()>) -> Result<(), StateError> {
        // Before anything is due: what was to stand still must not move.
        self.take_requests().await?;
        self.take().await?;
        let keys = self.shared.disk.seen().objects().iter().map(|object| object.key()).collect::<Vec<_>>();
        self.engine.wake(keys).await?;
        loop {
            tokio::select! {
                biased;
                change = changes.recv() => match change {
                    Some(()) => {
                        self.take().await?;
                        let asked = self.take_requests().await?;
                        self.engine.wake(asked).await?;
                    }
                    None => return Ok(()),
                },
                report = self.engine.next() => self.reported(report?).await?,
            }
        }
    }

    /// Takes over what the manifests say, and makes what changed due.
    async fn take(&mut self) -> Result<(), StateError> {
        if !self.shared.leads(self.run) {
            return Err(StateError::Deposed);
        }
        let wanted = super::lock(&self.shared.wanted).clone();
        self.life.survive(Point::before("Manifests")).await;
        let desired = self.shared.disk.apply_desired(&wanted, self.shared.timeline.now())?;
        self.life.survive(Point::after("Manifests")).await;
        let keys: Vec<ObjectKey> = desired.changed.into_iter().chain(desired.deleting).collect();
        if !keys.is_empty() {
            let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
            self.shared.note(&format!("manifests change {}", names.join(", ")));
        }
        self.engine.wake(keys).await
    }

    /// Takes in what people ask for, as the state does: a request waits until what it asks is durable. Gives what it concerns.
    async fn take_requests(&self) -> Result<Vec<ObjectKey>, StateError> {
        let mut concerned = Vec::new();
        while let Some((number, asked)) = self.shared.disk.first_asked() {
            self.life.survive(Point::before(REQUEST)).await;
            if !self.shared.leads(self.run) {
                return Err(StateError::Deposed);
            }
            let is_news = self.shared.disk.take_in(&asked);
            let told = if is_news { "is taken in" } else { "changes nothing" };
            self.shared.note(&format!("{} of {} {told}", asked.request.as_str(), asked.object));
            self.life.survive(Point::after(REQUEST)).await;
            self.shared.disk.answered(number);
            concerned.extend(is_news.then_some(asked.object));
        }
        Ok(concerned)
    }

    /// An object that was let go, and is wanted again, comes in anew.
    async fn reported(&mut self, report: Report) -> Result<(), StateError> {
        self.shared.saw_report(&report);
        let is_wanted = super::lock(&self.shared.wanted).contains_key(&report.key);
        let is_there = self.shared.disk.seen().get(&report.key).is_some();
        if is_wanted && !is_there {
            self.take().await?;
        }
        Ok(())
    }
}
