//! The driver of a folder in a real process: its state on disk, its ports, and the events around it.

use super::ports::{self, SystemClock};
use crate::api::ObjectKey;
use crate::engine::drive::folder::{DriveError, Event, Events, FolderDriver};
use crate::engine::ports::{Holder, Ports};
use crate::engine::prune::{Pruning, shown};
use crate::source::Snapshot;
use crate::source::folder::{TokioSettle, Watch, WatchOptions};
use crate::source::origin::Origin;
use crate::state::local::Local;
use async_trait::async_trait;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often requests of users are checked for; reading an empty folder is cheap.
const REQUEST_CHECK: Duration = Duration::from_secs(1);
/// How often it is checked whether the machine's clock was set.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

/// Which source PATH is, and what may be deleted.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct SourceArgs {
    /// Name of the source that PATH is all of; the git remote or PATH by default.
    ///
    /// An object belongs to the source that it came from, and is deleted when its manifest is removed from that source. Without a
    /// name, PATH is part of the git repository that is checked out there (identified by its remote `origin`); outside of a
    /// repository the source is identified by PATH.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Delete even if PATH is empty or most of its objects are missing.
    #[arg(long)]
    pub allow_prune: bool,
    /// Delete every object of the state that PATH does not contain: PATH is the only source.
    #[arg(long)]
    pub prune_all: bool,
}

impl SourceArgs {
    /// True when one of these flags was given.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        self.source.is_some() || self.allow_prune || self.prune_all
    }

    /// The source of the manifests.
    #[must_use]
    pub fn origin(&self, path: &Path) -> Origin {
        Origin::of(path, self.source.as_deref())
    }

    /// What may be deleted.
    #[must_use]
    pub const fn pruning(&self) -> Pruning {
        Pruning { allow: self.allow_prune, all: self.prune_all }
    }
}

/// The message about objects that belong to other sources.
#[must_use]
pub fn elsewhere_text(elsewhere: &[ObjectKey], origin: &Origin) -> String {
    let (count, source, names) = (elsewhere.len(), origin.name(), shown(elsewhere));
    let objects = if count == 1 { "object belongs" } else { "objects belong" };
    format!(
        "{count} {objects} to a source other than {source}, not deleted ({names}): name that source with --source, or delete them with --prune-all"
    )
}

/// Opens the state in `dir` for the manifests of `origin`.
///
/// # Errors
/// The state is in use, damaged or cannot be written; or there can be no HTTP client.
pub fn open(
    origin: Origin,
    dir: &Path,
    clock: SystemClock,
    events: Box<dyn Events>,
) -> Result<FolderDriver, DriveError> {
    let state = Arc::new(Local::open(dir)?);
    let ports = Ports { leadership: Arc::new(Holder(state.clone())), ..ports::of_state(clock, dir)? };
    Ok(FolderDriver::new(origin, state, ports, events).rehearsing(clock.is_faster()))
}

/// For a process that read its manifests once: users may still request something; nothing else changes.
pub struct Requests(Interval);

impl Requests {
    /// Checks every second from now on.
    #[must_use]
    pub fn new() -> Self {
        Self(every(REQUEST_CHECK))
    }
}

impl Default for Requests {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Events for Requests {
    async fn next(&mut self) -> Event {
        self.0.tick().await;
        Event::Requests
    }
}

/// For a process that keeps running: watches the folder and the machine's clock.
pub struct Surroundings {
    manifests: mpsc::Receiver<Snapshot>,
    /// The watch ends when this is dropped.
    _watching: JoinSet<()>,
    requests: Requests,
    state: PathBuf,
    clock: SystemClock,
    clock_check: Interval,
}

impl Surroundings {
    /// Watches the manifests under `root`, whose state is in `state`, and compares the machine's clock with this one.
    #[must_use]
    pub fn watch(root: &Path, state: &Path, clock: SystemClock) -> Self {
        let (sender, manifests) = mpsc::channel(1);
        let mut watch = Watch::new(root, WatchOptions::default(), Arc::new(TokioSettle));
        let mut watching = JoinSet::new();
        watching.spawn(async move { while sender.send(watch.next().await).await.is_ok() {} });
        let (requests, clock_check) = (Requests::new(), every(CLOCK_CHECK));
        let state = state.to_owned();
        Self { manifests, _watching: watching, requests, state, clock, clock_check }
    }
}

#[async_trait]
impl Events for Surroundings {
    async fn next(&mut self) -> Event {
        loop {
            tokio::select! {
                Some(snapshot) = self.manifests.recv() => return Event::Manifests(snapshot),
                event = self.requests.next() => return event,
                _ = self.clock_check.tick() => {
                    if self.clock.is_off(Timestamp::now()) {
                        self.clock = self.clock.restarted();
                        return Event::ClockSet(ports::of_state(self.clock, &self.state));
                    }
                }
            }
        }
    }
}

fn every(time: Duration) -> Interval {
    let mut interval = interval(time);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
