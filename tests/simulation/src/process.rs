//! One run of the process, from start to crash: the shipped driver of a folder, on the ports of a world.

use super::clock::MachineClock;
use super::clouds;
use super::dice::{Dice, Jitter};
use super::disk::DiskPort;
use super::faults::Life;
use super::mutation::Mutation;
use super::network::{Dialler, Wire};
use super::{Shared, World};
use async_trait::async_trait;
use rollwave::api::{Object, ObjectKey};
use rollwave::decide::clocks::Boot;
use rollwave::engine::drive::folder::{Event, Events, FolderDriver, Step};
use rollwave::engine::ports::{Deposed, Leadership, Ports, Silent, Sole};
use rollwave::engine::prune::Pruning;
use rollwave::source::origin::Origin;
use rollwave::source::{Place, Snapshot, Sourced};
use rollwave::state::ManifestStore;
use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
};

/// Where the manifests are.
const ROOT: &str = "/manifests";

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
        let store = DiskPort { run, ahead: shared.wall.ahead(), shared: shared.clone(), life: life.clone() };
        let state: Arc<dyn ManifestStore> = match start.mutation {
            Some(mutation) => Arc::new(store.seen_by(mutation)),
            None => Arc::new(store),
        };
        shared.note(&format!("process {} starts", start.run));
        shared.checkers().process_begins();
        super::lock(&shared.round).begin();
        let (changes, changed) = mpsc::unbounded_channel();
        let events = Folder { shared: shared.clone(), changed, due: VecDeque::from([Due::Manifests]) };
        let driver =
            FolderDriver::new(Origin::by_path(Path::new(ROOT), ROOT.into()), state, ports, Box::new(events))
                // Users of a simulation remove whole folders on purpose.
                .pruning(Pruning { allow: true, all: false });
        let work = work(driver, shared, life.clone());
        Self { life, changes, task: tokio::spawn(work) }
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

/// What is due to be read.
enum Due {
    Manifests,
    Requests,
}

/// The folder of manifests and requests, as the driver learns of it.
struct Folder {
    shared: Arc<Shared>,
    changed: UnboundedReceiver<()>,
    due: VecDeque<Due>,
}

#[async_trait]
impl Events for Folder {
    async fn next(&mut self) -> Event {
        loop {
            match self.due.pop_front() {
                Some(Due::Manifests) => return Event::Manifests(snapshot(&super::lock(&self.shared.wanted))),
                Some(Due::Requests) => return Event::Requests,
                None => match self.changed.recv().await {
                    Some(()) => self.due.extend([Due::Manifests, Due::Requests]),
                    // Nothing changes any more: whoever could say so has ended.
                    None => std::future::pending().await,
                },
            }
        }
    }
}

/// What a folder holds with one file an object.
fn snapshot(wanted: &BTreeMap<ObjectKey, Object>) -> Snapshot {
    let sourced = |(key, object): (&ObjectKey, &Object)| {
        let file = Path::new(ROOT).join(format!("{}.yaml", key.name));
        let place = Place { file, line: 1, column: 1 };
        (key.clone(), Sourced { object: object.clone(), place, fields: Box::default() })
    };
    Snapshot { objects: wanted.iter().map(sourced).collect(), ..Snapshot::default() }
}

async fn work(mut driver: FolderDriver, shared: Arc<Shared>, life: Life) {
    let error = loop {
        match driver.step().await {
            Ok(step) => told(&shared, step),
            Err(error) => break error,
        }
    };
    shared.note(&format!("process ends: {error}"));
    life.end();
}

fn told(shared: &Shared, step: Step) {
    match step {
        Step::Reconciled(report) => shared.saw_report(&report),
        Step::Took(taken) => {
            super::lock(&shared.round).read(shared.durable().iter().map(|object| object.key()));
            let keys = taken.desired.changed.iter().chain(&taken.desired.deleting);
            let names: Vec<String> = keys.map(ToString::to_string).collect();
            if !names.is_empty() {
                shared.note(&format!("manifests change {}", names.join(", ")));
            }
            for problem in taken.problems {
                shared.note(&format!("refused: {problem}"));
            }
        }
        Step::Requested(_) | Step::BeganAgain => {}
    }
}
