//! The driver of a folder in a real process: its state on the disk, its ports, and what happens around it.

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

/// How often it is checked whether users request something: an empty folder costs nothing to read.
const REQUEST_CHECK: Duration = Duration::from_secs(1);
/// How often it is checked whether the machine's clock was set.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

/// Which source PATH is, and what may be deleted.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct SourceArgs {
    /// Name of the source that PATH is the whole of; otherwise the git remote, or the path.
    ///
    /// An object belongs to the source that brought it, and is deleted once its manifest is gone from that source. Without a
    /// name, PATH is part of the git repository that is checked out there (known by its remote `origin`), else it is known by
    /// its path.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Delete also when PATH is empty, or most of its objects are missing.
    #[arg(long)]
    pub allow_prune: bool,
    /// Delete every object of the state that PATH does not hold: it is the only source.
    #[arg(long)]
    pub prune_all: bool,
}

impl SourceArgs {
    /// True when one of these flags was given.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        self.source.is_some() || self.allow_prune || self.prune_all
    }

    /// The source of these manifests.
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

/// What users are told of objects that other sources brought.
#[must_use]
pub fn elsewhere_text(elsewhere: &[ObjectKey], origin: &Origin) -> String {
    let (count, source, names) = (elsewhere.len(), origin.name(), shown(elsewhere));
    let objects = if count == 1 { "object of this state is" } else { "objects of this state are" };
    format!(
        "{count} {objects} of another source than {source}, and not deleted ({names}): name that source with --source, or delete what is missing here with --prune-all"
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

/// For a process that was given its manifests: users may request something meanwhile, and nothing else happens.
pub struct Requests(Interval);

impl Requests {
    /// Checked every second from now on.
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

/// For a process that keeps on: the folder is watched, and the machine's clock, too.
pub struct Surroundings {
    manifests: mpsc::Receiver<Snapshot>,
    /// Ends with this.
    _watching: JoinSet<()>,
    requests: Requests,
    state: PathBuf,
    clock: SystemClock,
    clock_check: Interval,
}

impl Surroundings {
    /// Begins to watch the manifests under `root`, whose state is in `state`, and the machine's clock against this one.
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
                        self.clock = self.clock.anew();
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
