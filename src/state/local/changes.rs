//! Notifies readers of changes of the mirror, while another process works.

use super::mirror::View;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Events of the operating system for the objects of a state.
pub struct Changes {
    changed: UnboundedReceiver<()>,
    _watcher: RecommendedWatcher,
}

impl View {
    /// Changes of the objects from now on.
    ///
    /// # Errors
    /// The error of the system: it has no watches left, or cannot watch this file system.
    pub fn changes(&self) -> Result<Changes, notify::Error> {
        let (sender, changed) = unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // The reader reads the files, and that is an event too.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                // The receiver is absent only while this is being dropped.
                let _ = sender.send(());
            }
        })?;
        watcher.watch(self.folder(), RecursiveMode::NonRecursive)?;
        Ok(Changes { changed, _watcher: watcher })
    }
}

impl Changes {
    /// Returns once something has changed since it last did. May be dropped at any `.await` without losing a change.
    pub async fn next(&mut self) {
        // The watcher holds the sender for as long as this lives.
        let _ = self.changed.recv().await;
        while self.changed.try_recv().is_ok() {}
    }
}
