//! The home without a cluster: a folder of manifests, the state beside it, and the engine over both.

use super::ports::{self, SystemClock};
use crate::api::{CloudRef, Object, ObjectKey};
use crate::cloud::TransportError;
use crate::engine::account::Calls;
use crate::engine::points::Point;
use crate::engine::ports::{Clock as _, Faults};
use crate::engine::{Engine, Report, intake};
use crate::source::Snapshot;
use crate::state::{Desired, local::Local};
use crate::state::{StateError, Store};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior};

/// Why there is no home.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The HTTP client.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Time would run faster for devices that are not simulated.
    #[error(
        "--time-factor is for rehearsals against a simulator on this machine, and {cloud} is at {endpoint}"
    )]
    NotARehearsal {
        /// The account.
        cloud: ObjectKey,
        /// Where it is.
        endpoint: String,
    },
}

/// A folder, its state, and the engine that makes the cloud agree with it.
pub struct Home {
    root: PathBuf,
    state: Arc<Local>,
    clock: SystemClock,
    engine: Engine,
    faults: Arc<dyn Faults>,
    /// What the folder said last; objects that are deleted first and wanted again come in from here.
    last: Snapshot,
    /// When to look what people asked for.
    glance: Interval,
}

/// How often it is looked what people ask for: an empty folder costs nothing to read.
const GLANCE: Duration = Duration::from_secs(1);

impl Home {
    /// Opens the state in `dir` for the manifests under `root`.
    ///
    /// # Errors
    /// The state is in use, damaged or cannot be written; or there can be no HTTP client.
    pub fn open(root: &Path, dir: &Path, clock: SystemClock) -> Result<Self, HomeError> {
        let (ports, state) = (ports::real(clock)?, Arc::new(Local::open(dir)?));
        // Before anything is due: what was to stand still must not move.
        state.take_requests()?;
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let faults = ports.faults.clone();
        let engine = Engine::new(state.clone(), ports);
        let mut glance = tokio::time::interval(GLANCE);
        glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { root, state, clock, engine, faults, last: Snapshot::default(), glance })
    }

    /// Takes out of the snapshot what may not follow on what is stored, and says so among its problems.
    ///
    /// # Errors
    /// The state's.
    pub async fn admit(&self, snapshot: &mut Snapshot) -> Result<(), StateError> {
        intake::admit(snapshot, &self.objects().await?);
        Ok(())
    }

    /// Takes over what the folder says, and makes what changed due. While something is wrong with the folder nothing is
    /// deleted: an object may only seem to be gone.
    ///
    /// # Errors
    /// The state's, or [`HomeError::NotARehearsal`]: nothing was taken over.
    pub async fn take(&mut self, snapshot: Snapshot) -> Result<Desired, HomeError> {
        self.check_rehearsal(&snapshot)?;
        let stored = self.objects().await?;
        let wanted = intake::wanted(&snapshot, &stored, &self.root);
        let may_delete = snapshot.problems.is_empty();
        self.faults.pass(Point::before("Manifests"));
        let desired = self.state.apply_desired(&wanted, may_delete, self.clock.now())?;
        self.faults.pass(Point::after("Manifests"));
        self.engine.wake(desired.changed.iter().chain(&desired.deleting).cloned()).await?;
        self.last = snapshot;
        Ok(desired)
    }

    /// Soaks that last a sixtieth of their time would let a bad firmware through to real devices.
    fn check_rehearsal(&self, snapshot: &Snapshot) -> Result<(), HomeError> {
        let real = snapshot.objects.iter().find_map(|(key, sourced)| match &sourced.object {
            Object::Cloud(cloud) => {
                let endpoint = cloud.spec.cloud().map_or("", CloudRef::endpoint);
                (!is_loopback(endpoint)).then(|| (key, endpoint.to_owned()))
            }
            _ => None,
        });
        match real.filter(|_| self.clock.is_faster()) {
            Some((key, endpoint)) => Err(HomeError::NotARehearsal { cloud: key.clone(), endpoint }),
            None => Ok(()),
        }
    }

    /// True when the machine's clock was set since the engine began, or the machine slept.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.clock.is_off(Timestamp::now())
    }

    /// Begins anew at the machine's time, as after a restart: nothing that was counted by the clock before still counts.
    ///
    /// # Errors
    /// There can be no HTTP client, or the state's.
    pub async fn begin_anew(&mut self) -> Result<(), HomeError> {
        self.clock = self.clock.anew();
        let engine = Engine::new(self.state.clone(), ports::real(self.clock)?);
        std::mem::replace(&mut self.engine, engine).stop().await;
        Ok(self.wake_all().await?)
    }

    /// Makes every object due.
    ///
    /// # Errors
    /// The state's.
    pub async fn wake_all(&mut self) -> Result<(), StateError> {
        let keys = self.state.keys().await?;
        self.engine.wake(keys).await
    }

    /// The next thing that happened. An object that was let go, and is wanted again, comes in anew.
    ///
    /// # Errors
    /// The state's.
    pub async fn next(&mut self) -> Result<Report, HomeError> {
        let report = loop {
            tokio::select! {
                biased;
                _ = self.glance.tick() => self.take_requests().await?,
                report = self.engine.next() => break report?,
            }
        };
        if self.last.objects.contains_key(&report.key) && self.state.load(&report.key).await?.is_none() {
            let snapshot = std::mem::take(&mut self.last);
            self.take(snapshot).await?;
        }
        Ok(report)
    }

    /// Takes in what people ask for; what cannot be taken in now is tried again.
    async fn take_requests(&mut self) -> Result<(), StateError> {
        match self.state.take_requests() {
            Ok(concerned) => self.engine.wake(concerned).await,
            Err(error) => {
                tracing::warn!("a request could not be taken in: {error}");
                Ok(())
            }
        }
    }

    /// Every object as it stands.
    ///
    /// # Errors
    /// The state's.
    pub async fn objects(&self) -> Result<Vec<Arc<Object>>, StateError> {
        let mut objects = Vec::new();
        for key in self.state.keys().await? {
            objects.extend(self.state.load(&key).await?);
        }
        Ok(objects)
    }

    /// Begins nothing more, and lets what is under way finish within this time; false when something had to be cut off.
    pub async fn stop(mut self, grace: Duration) -> bool {
        let is_done = tokio::time::timeout(grace, self.engine.stop()).await.is_ok();
        self.engine.cut_off().await;
        is_done
    }

    /// One object as it stands.
    ///
    /// # Errors
    /// The state's.
    pub async fn object(&self, key: &ObjectKey) -> Result<Option<Arc<Object>>, StateError> {
        self.state.load(key).await
    }
}

pub(super) fn is_loopback(endpoint: &str) -> bool {
    let url = url::Url::parse(endpoint).ok();
    match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Calls made so far, over all accounts.
#[derive(Clone, Debug, Default)]
pub struct CallCount(BTreeMap<ObjectKey, Calls>);

impl CallCount {
    /// Takes in what a lane reported under the account's name.
    pub fn take(&mut self, account: ObjectKey, calls: Calls) {
        self.0.insert(account, calls);
    }

    /// All calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().flat_map(BTreeMap::values).sum()
    }
}

/// Objects that a run has not come round to yet.
#[derive(Clone, Debug, Default)]
pub struct Outstanding(BTreeSet<ObjectKey>);

impl Outstanding {
    /// All of these.
    #[must_use]
    pub fn of(objects: &[Arc<Object>]) -> Self {
        Self(objects.iter().map(|object| object.key()).collect())
    }

    /// The engine came round to this one; true when none is left.
    pub fn done(&mut self, key: &ObjectKey) -> bool {
        self.0.remove(key);
        self.0.is_empty()
    }

    /// True when none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
