//! The driver of a folder: reads its manifests and the requests of users, and runs the engine on them.

use super::rehearsal;
use crate::api::{Object, ObjectKey};
use crate::cloud::TransportError;
use crate::engine::failpoints::Failpoint;
use crate::engine::graph::Graph;
use crate::engine::ports::Ports;
use crate::engine::prune::{Pruning, Withheld, is_confirmed};
use crate::engine::{Engine, Report, admission};
use crate::source::origin::Origin;
use crate::source::{Problem, Snapshot};
use crate::state::{Desired, ManifestStore, StateError};
use async_trait::async_trait;
use std::sync::Arc;

/// Why a folder can no longer be driven.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The HTTP client.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Time would run faster for devices that are not simulated.
    #[error("--time-factor works only with a simulator on this machine, and {cloud} is at {endpoint}")]
    NotARehearsal {
        /// The account.
        cloud: ObjectKey,
        /// Its endpoint.
        endpoint: String,
    },
}

/// Something that happens around the engine.
pub enum Event {
    /// The present content of the folder.
    Manifests(Snapshot),
    /// Users may have requested something.
    Requests,
    /// The machine's clock was set, or the machine slept: the ports to continue with.
    ClockSet(Result<Ports, TransportError>),
}

/// Where events come from: timers and watches of a real process, or a simulation.
#[async_trait]
pub trait Events: Send + Sync {
    /// The next event; waits for ever when none comes. Cancel safe.
    async fn next(&mut self) -> Event;
}

/// What the driver did.
#[derive(Debug)]
pub enum Step {
    /// It took over the content of the folder.
    Took(Taken),
    /// The engine reconciled an object.
    Reconciled(Box<Report>),
    /// It accepted requests of users for these objects.
    Requested(Vec<ObjectKey>),
    /// It started from scratch with another clock.
    BeganAgain,
}

/// What was taken over from a folder.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// What that changed.
    pub desired: Desired,
    /// Problems of the manifests; while there are any, nothing is deleted.
    pub problems: Vec<Problem>,
    /// Objects that are kept although their manifest is missing, until a user confirms their deletion.
    pub withheld: Option<Withheld>,
    /// Objects of other sources that this one does not name: they stay.
    pub elsewhere: Vec<ObjectKey>,
}

/// A folder, its state, and its engine.
pub struct FolderDriver {
    origin: Origin,
    pruning: Pruning,
    state: Arc<dyn ManifestStore>,
    ports: Ports,
    engine: Engine,
    events: Box<dyn Events>,
    is_rehearsal: bool,
    /// Manifests were taken over since the driver was made.
    is_started: bool,
    /// The last content of the folder; objects that are deleted and wanted again are created from here.
    last: Snapshot,
}

impl FolderDriver {
    /// A driver for the manifests of `origin`. Nothing is due before the first manifests are taken over.
    #[must_use]
    pub fn new(origin: Origin, state: Arc<dyn ManifestStore>, ports: Ports, events: Box<dyn Events>) -> Self {
        let engine = Engine::new(state.clone(), ports.clone());
        let (pruning, last) = (Pruning::default(), Snapshot::default());
        Self { origin, pruning, state, ports, engine, events, is_rehearsal: false, is_started: false, last }
    }

    /// The same driver, with what it may delete.
    #[must_use]
    pub fn pruning(self, pruning: Pruning) -> Self {
        Self { pruning, ..self }
    }

    /// The same driver; if `is_rehearsal`, it refuses accounts that are not on this machine.
    #[must_use]
    pub fn rehearsing(self, is_rehearsal: bool) -> Self {
        Self { is_rehearsal, ..self }
    }

    /// The next step; waits while nothing is due.
    ///
    /// # Errors
    /// Errors that end the driver. Requests in progress are in the journal.
    pub async fn step(&mut self) -> Result<Step, DriveError> {
        tokio::select! {
            biased;
            event = self.events.next() => self.follow(event).await,
            report = self.engine.next() => self.reported(report?).await,
        }
    }

    async fn follow(&mut self, event: Event) -> Result<Step, DriveError> {
        match event {
            Event::Manifests(mut snapshot) => {
                self.admit(&mut snapshot).await?;
                self.take(snapshot).await.map(Step::Took)
            }
            // Before anything is due, requests are accepted together with the first manifests.
            Event::Requests if !self.is_started => Ok(Step::Requested(Vec::new())),
            Event::Requests => self.take_requests().await,
            Event::ClockSet(ports) => {
                self.begin_again(ports?).await?;
                Ok(Step::BeganAgain)
            }
        }
    }

    /// Removes from the snapshot what must not replace a stored object, and adds it to the problems.
    ///
    /// # Errors
    /// The state's error.
    pub async fn admit(&self, snapshot: &mut Snapshot) -> Result<(), StateError> {
        admission::admit(snapshot, &self.objects().await?);
        Ok(())
    }

    /// Takes over the content of the folder, and makes changed objects due: all of them the first time. While there are
    /// problems nothing is deleted: an object may only seem to be missing.
    ///
    /// # Errors
    /// The state's error, or [`DriveError::NotARehearsal`]: nothing was taken over.
    pub async fn take(&mut self, snapshot: Snapshot) -> Result<Taken, DriveError> {
        if let Some((cloud, endpoint)) = rehearsal::real_account(&snapshot).filter(|_| self.is_rehearsal) {
            return Err(DriveError::NotARehearsal { cloud, endpoint });
        }
        if !self.is_started {
            // Before anything is due: an object that a user pauses must not advance.
            self.state.take_requests().await?;
        }
        let taken = self.take_over(&snapshot).await?;
        let concerned = taken.desired.changed.iter().chain(&taken.desired.deleting);
        self.engine.wake(concerned.cloned()).await?;
        if !self.is_started {
            self.wake_all().await?;
            self.is_started = true;
        }
        self.last = snapshot;
        Ok(taken)
    }

    async fn take_over(&self, snapshot: &Snapshot) -> Result<Taken, StateError> {
        let (stored, now) = (self.objects().await?, self.ports.clock.now());
        let wanted = admission::wanted(snapshot, &stored, &self.origin, self.pruning, now);
        let may_delete = snapshot.problems.is_empty();
        self.ports.faults.pass(Failpoint::before("Manifests"));
        let desired = self.state.take_manifests(&wanted.objects, may_delete, now).await?;
        self.ports.faults.pass(Failpoint::after("Manifests"));
        let problems = snapshot.problems.clone();
        Ok(Taken { desired, problems, withheld: wanted.withheld, elsewhere: wanted.elsewhere })
    }

    /// Starts from scratch at the machine's time, as after a restart: waits counted by the previous clock are void.
    async fn begin_again(&mut self, ports: Ports) -> Result<(), StateError> {
        tracing::warn!("the machine's clock was set, or the machine slept: starting from scratch");
        let ports = Ports { leadership: self.ports.leadership.clone(), ..ports };
        let engine = Engine::new(self.state.clone(), ports.clone());
        self.ports = ports;
        std::mem::replace(&mut self.engine, engine).stop().await;
        self.wake_all().await
    }

    /// Makes every object due.
    ///
    /// # Errors
    /// The state's error.
    pub async fn wake_all(&mut self) -> Result<(), StateError> {
        let keys = self.state.keys().await?;
        self.engine.wake(keys).await
    }

    /// An object that was removed and is wanted again is created as a new one.
    async fn reported(&mut self, report: Report) -> Result<Step, DriveError> {
        if self.last.objects.contains_key(&report.key) && self.state.load(&report.key).await?.is_none() {
            let snapshot = std::mem::take(&mut self.last);
            self.take(snapshot).await?;
        }
        Ok(Step::Reconciled(Box::new(report)))
    }

    /// Accepts the requests of users; a request that cannot be accepted now is retried later.
    async fn take_requests(&mut self) -> Result<Step, DriveError> {
        let concerned = match self.state.take_requests().await {
            Ok(concerned) => concerned,
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => {
                tracing::warn!("cannot accept a request: {error}");
                return Ok(Step::Requested(Vec::new()));
            }
        };
        self.engine.wake(concerned.iter().cloned()).await?;
        for key in &concerned {
            if self.state.load(key).await?.is_some_and(|object| is_confirmed(&object)) {
                let snapshot = std::mem::take(&mut self.last);
                return self.take(snapshot).await.map(Step::Took);
            }
        }
        Ok(Step::Requested(concerned))
    }

    /// Every object with its current status.
    ///
    /// # Errors
    /// The state's error.
    pub async fn objects(&self) -> Result<Vec<Arc<Object>>, StateError> {
        Graph(self.state.as_ref()).all().await
    }

    /// One object with its current status.
    ///
    /// # Errors
    /// The state's error.
    pub async fn object(&self, key: &ObjectKey) -> Result<Option<Arc<Object>>, StateError> {
        self.state.load(key).await
    }

    /// Begins nothing more, and lets running steps finish before `grace` has passed; false when something had to be cut
    /// off.
    pub async fn stop(mut self, grace: impl Future<Output = ()>) -> bool {
        let is_done = tokio::select! {
            biased;
            () = self.engine.stop() => true,
            () = grace => false,
        };
        self.engine.cut_off().await;
        is_done
    }
}
