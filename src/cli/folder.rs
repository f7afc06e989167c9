//! The driver of a folder in a real process: its state on the disk, its ports, and what happens around it.

use super::ports::{self, SystemClock};
use crate::engine::drive::folder::{DriveError, Event, Events, FolderDriver};
use crate::source::Snapshot;
use crate::source::folder::{TokioSettle, Watch, WatchOptions};
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

/// Opens the state in `dir` for the manifests under `root`.
///
/// # Errors
/// The state is in use, damaged or cannot be written; or there can be no HTTP client.
pub fn open(
    root: &Path,
    dir: &Path,
    clock: SystemClock,
    events: Box<dyn Events>,
) -> Result<FolderDriver, DriveError> {
    let state = Arc::new(Local::open(dir)?);
    let ports = ports::of_state(clock, dir)?;
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    Ok(FolderDriver::new(&root, state, ports, events).rehearsing(clock.is_faster()))
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
