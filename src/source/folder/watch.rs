//! Watches a folder, and yields its content whenever it has changed and is stable.

use super::reading::{Reading, read_all};
use crate::source::{Place, Problem, Snapshot};
use async_trait::async_trait;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Timing of a [`Watch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchOptions {
    /// The folder is read once nothing has changed in it for this long.
    pub quiet: Duration,
    /// ... but no later than this after the first event, if it never becomes stable.
    pub at_most: Duration,
    /// The folder is also read at this interval, for file systems without events (network shares).
    pub poll: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(300),
            at_most: Duration::from_secs(2),
            poll: Duration::from_secs(30),
        }
    }
}

/// Waits. Injected, so that a test controls the time.
#[async_trait]
pub trait Settle: Send + Sync {
    /// Returns after `time`.
    async fn sleep(&self, time: Duration);
}

/// Waits for real.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioSettle;

#[async_trait]
impl Settle for TokioSettle {
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A watched folder.
pub struct Watch {
    root: PathBuf,
    options: WatchOptions,
    settle: Arc<dyn Settle>,
    events: Option<Events>,
    /// Something has changed that was not read yet.
    stale: bool,
    /// The previous snapshot was read in a stable state.
    at_rest: bool,
    last: Option<Reading>,
}

/// Events of the operating system for one folder.
struct Events {
    changed: UnboundedReceiver<()>,
    /// Identity of the folder: one that was replaced by another of its name sends no more events.
    identity: Identity,
    _watcher: RecommendedWatcher,
}

type Identity = Option<(u64, u64)>;

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("root", &self.root)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Watch {
    /// Starts to watch a file or folder.
    #[must_use]
    pub fn new(root: &Path, options: WatchOptions, settle: Arc<dyn Settle>) -> Self {
        let events = Events::of(root);
        Self { root: root.to_owned(), options, settle, events, stale: false, at_rest: true, last: None }
    }

    /// The content of the folder: at once the first time, later when it changes. May be dropped at any `.await` without losing a
    /// change.
    pub async fn next(&mut self) -> Snapshot {
        loop {
            let at_rest = self.last.is_none() || self.wait_for_events().await;
            let reading = self.read();
            self.stale = !at_rest;
            let changed = self.last.as_ref().is_none_or(|last| last.digest != reading.digest);
            if changed || at_rest != self.at_rest {
                self.at_rest = at_rest;
                let mut snapshot = reading.snapshot.clone();
                snapshot.problems.extend(self.emptied(&reading));
                snapshot.problems.extend((!at_rest).then(|| self.restless()));
                snapshot.problems.sort();
                self.last = Some(self.keep_sizes(reading));
                return snapshot;
            }
        }
    }

    /// A file may be half written, with a first half that is a valid manifest.
    fn restless(&self) -> Problem {
        let message = "is being changed continuously: nothing is deleted until it is stable";
        problem(&self.root, message)
    }

    fn read(&mut self) -> Reading {
        // Watched again before it is read, so that no change is missed.
        if self.events.as_ref().is_none_or(|events| events.identity != identity(&self.root)) {
            self.events = Events::of(&self.root);
        }
        read_all(std::slice::from_ref(&self.root))
    }

    /// Returns when something has changed and the folder is stable, or when the poll is due. False: it has not become stable.
    async fn wait_for_events(&mut self) -> bool {
        let poll = self.settle.sleep(self.options.poll);
        let Some(events) = &mut self.events else {
            poll.await;
            return true;
        };
        if !self.stale {
            tokio::select! {
                biased;
                Some(()) = events.changed.recv() => self.stale = true,
                () = poll => return true,
            }
        }
        let at_most = self.settle.sleep(self.options.at_most);
        tokio::pin!(at_most);
        loop {
            tokio::select! {
                biased;
                () = &mut at_most => return false,
                Some(()) = events.changed.recv() => {}
                () = self.settle.sleep(self.options.quiet) => return true,
            }
        }
    }

    /// Files that had content before and are empty now: most likely they are about to be written.
    fn emptied(&self, reading: &Reading) -> Vec<Problem> {
        let Some(last) = &self.last else { return Vec::new() };
        let before: BTreeMap<_, _> = last.files.iter().map(|(file, size)| (file, *size)).collect();
        let empty = reading.files.iter().filter(|(_, size)| *size == Some(0));
        let emptied = empty.filter(|(file, _)| before.get(file).copied().flatten() > Some(0));
        let message = "is empty now: delete the file to delete its objects";
        emptied.map(|(file, _)| problem(file, message)).collect()
    }

    /// An emptied file keeps its old size, so that it stays a problem until it is filled or removed.
    fn keep_sizes(&self, mut reading: Reading) -> Reading {
        let Some(last) = &self.last else { return reading };
        let before: BTreeMap<_, _> = last.files.iter().map(|(file, size)| (file, *size)).collect();
        for (file, size) in &mut reading.files {
            if size.is_none_or(|size| size == 0) {
                *size = before.get(file).copied().flatten().or(*size);
            }
        }
        reading
    }
}

fn problem(file: &Path, message: &str) -> Problem {
    let place = Place { file: file.to_owned(), line: 1, column: 1 };
    Problem { place, path: String::new(), message: message.to_owned() }
}

impl Events {
    /// `None` if the root does not exist, or the system has no watches left: the poll finds changes.
    fn of(root: &Path) -> Option<Self> {
        // A file is watched through its folder: an editor replaces the file when it saves.
        let folder = if root.is_dir() { root } else { parent(root) };
        let (sender, changed) = unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is an event too, and would trigger the watch for ever.
            let only_read = event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
            if !only_read {
                // The receiver is absent only while the watch is being dropped.
                let _ = sender.send(());
            }
        })
        .ok()?;
        let mode = if root.is_dir() { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        watcher.watch(folder, mode).ok()?;
        Some(Self { changed, identity: identity(root), _watcher: watcher })
    }
}

fn parent(root: &Path) -> &Path {
    root.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Device and inode of the watched folder.
#[cfg(unix)]
fn identity(root: &Path) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    let folder = if root.is_dir() { root } else { parent(root) };
    std::fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(root: &Path) -> Identity {
    root.exists().then_some((0, 0))
}
