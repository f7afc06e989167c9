//! One term of a controller: from when it becomes the leader until it no longer is. A term begins by listing
//! everything: what was known before is outdated, because another leader may have acted meanwhile.

pub use super::broken::Broken;
use super::broken::{Write, Writes, Written};
use crate::api::{ObjectKey, Scope};
use crate::engine::{Engine, Report};
use crate::source::kubernetes::Seen;
use crate::state::kubernetes::Cluster;
use crate::state::{StateError, Store as _};
use futures::{FutureExt as _, StreamExt as _, stream::BoxStream};
use kube::runtime::watcher;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The engine on the objects of a cluster.
pub struct Term {
    cluster: Arc<Cluster>,
    engine: Engine,
    seen: BoxStream<'static, Seen>,
    /// Scopes without a complete list so far. The engine begins when there is none left: an object must not seem to be
    /// deleted.
    unlisted: BTreeSet<Scope>,
    /// Problems of objects that are being written into their statuses.
    writes: Writes,
    tell: Tell,
}

/// The watched scopes, and the watches.
pub type Watches = (BTreeSet<Scope>, BoxStream<'static, Seen>);

/// Called for an object once its status shows what is wrong with it.
pub type Tell = Box<dyn Fn(&Broken) + Send + Sync>;

/// What happens next in a term.
pub enum Step {
    /// A watch reported something.
    Seen(Box<Seen>),
    /// What is wrong with an object was written into its status, or the write failed.
    Written(Box<Broken>, Written),
    /// A worker did something.
    Done(Result<Box<Report>, StateError>),
}

/// The result of a step, for users.
pub enum Told {
    /// All objects are known, and the engine begins. Their number.
    Known(usize),
    /// An object was reconciled.
    Turn(Box<Report>),
    /// A watch failed, and is restarted.
    WatchFailed(Scope, watcher::Error),
    /// Nothing of interest.
    Nothing,
}

impl Term {
    /// A term of an engine whose store is `cluster`, with the watches of these scopes.
    #[must_use]
    pub fn new(cluster: Arc<Cluster>, engine: Engine, watches: Watches, tell: Tell) -> Self {
        let writer = cluster.clone();
        let write = move |broken: Broken| {
            let cluster = writer.clone();
            async move { cluster.say_broken(&broken.key, &broken.meta, &broken.why).await }.boxed()
        };
        Self::writing(cluster, engine, watches, tell, Box::new(write))
    }

    /// A term that writes problems of objects this way.
    fn writing(
        cluster: Arc<Cluster>,
        engine: Engine,
        (unlisted, seen): Watches,
        tell: Tell,
        write: Write,
    ) -> Self {
        Self { cluster, engine, seen, unlisted, writes: Writes::new(write), tell }
    }

    /// Waits for the next step. A caller may stop waiting at any time, and must pass the step to [`Self::take`].
    pub async fn next(&mut self) -> Step {
        let is_complete = self.is_complete();
        tokio::select! {
            biased;
            Some(seen) = self.seen.next() => Step::Seen(Box::new(seen)),
            Some((broken, written)) = self.writes.next() => Step::Written(Box::new(broken), written),
            report = self.engine.next(), if is_complete => Step::Done(report.map(Box::new)),
        }
    }

    /// Handles a step.
    ///
    /// # Errors
    /// The state's error: the term is over.
    pub async fn take(&mut self, step: Step) -> Result<Told, StateError> {
        match step {
            Step::Seen(seen) => self.take_seen(*seen).await,
            Step::Written(broken, written) => {
                if let Some(broken) = self.writes.take(*broken, written) {
                    (self.tell)(&broken);
                }
                Ok(Told::Nothing)
            }
            Step::Done(report) => report.map(Told::Turn),
        }
    }

    /// An account whose worker hangs.
    #[must_use]
    pub fn overdue(&self) -> Option<ObjectKey> {
        self.engine.overdue()
    }

    /// Retries failed writes of what is wrong with invalid objects.
    pub fn say_again(&mut self) {
        for broken in self.writes.take_failed() {
            self.set_aside(broken);
        }
    }

    /// Lets running steps finish, and begins nothing more.
    pub async fn stop(&mut self) {
        self.engine.stop().await;
    }

    /// Ends everything where it waits.
    pub async fn cut_off(self) {
        self.engine.cut_off().await;
    }

    fn is_complete(&self) -> bool {
        self.unlisted.is_empty()
    }

    async fn take_seen(&mut self, seen: Seen) -> Result<Told, StateError> {
        match seen {
            Seen::ListBegins(scope) => self.cluster.begin_list(scope),
            Seen::Listed(object) => {
                let key = object.key();
                self.writes.forget(&key);
                if self.cluster.take_listed(object) {
                    self.wake([key]).await?;
                }
            }
            Seen::Changed(object) => {
                let key = object.key();
                self.writes.forget(&key);
                if self.cluster.take(object) {
                    self.wake([key]).await?;
                }
            }
            Seen::ListEnds(scope) => return self.end_list(&scope).await,
            Seen::Broken { key, meta, why } => self.set_aside(Broken { key, meta, why }),
            Seen::Gone(key) => {
                self.writes.forget(&key);
                if self.cluster.remove(&key) {
                    self.engine.gone(key);
                }
            }
            Seen::Failed(scope, error) => return Ok(Told::WatchFailed(scope, error)),
        }
        Ok(Told::Nothing)
    }

    async fn end_list(&mut self, scope: &Scope) -> Result<Told, StateError> {
        self.cluster.end_list(scope).into_iter().for_each(|key| self.engine.gone(key));
        if self.unlisted.remove(scope) && self.is_complete() {
            let keys = self.cluster.keys().await?;
            let known = keys.len();
            self.engine.wake(keys).await?;
            return Ok(Told::Known(known));
        }
        Ok(Told::Nothing)
    }

    /// Objects that are reported before everything is known are woken with the rest.
    async fn wake(&mut self, keys: impl IntoIterator<Item = ObjectKey>) -> Result<(), StateError> {
        if self.is_complete() { self.engine.wake(keys).await } else { Ok(()) }
    }

    /// Where the account of an invalid object is unknown, the object's own name decides which instance writes its
    /// status.
    fn set_aside(&mut self, broken: Broken) {
        self.engine.gone(broken.key.clone());
        self.cluster.set_aside(&broken.key);
        if !self.engine.serves(&broken.key) {
            return;
        }
        tracing::warn!(object = %broken.key, "{}", broken.why);
        self.writes.say(broken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;
    use crate::engine::testing::{Bench, WORLD};
    use crate::state::kubernetes::{election::Candidate, time::MachineTime};
    use futures::stream;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_not_answered_keeps_no_watch_waiting_and_is_told_of_once_it_is() {
        let client = kube::Client::new(axum::Router::new(), "default");
        let time = Arc::new(MachineTime::default());
        let held = Candidate::new(client.clone(), "n", "lease", "me".into(), time).held();
        let cluster = Arc::new(Cluster::new(client, held, None));
        let key = ObjectKey { kind: Kind::OtaCloud, namespace: "n".into(), name: "broken".into() };
        let broken = Seen::Broken { key: key.clone(), meta: Box::default(), why: "wrong".into() };
        let scopes = Scope::of_namespaces(&[]);
        let seen = [broken].into_iter().chain(scopes.clone().into_iter().map(Seen::ListEnds));
        let seen = stream::iter(seen).chain(stream::pending()).boxed();
        let told = Arc::new(AtomicBool::new(false));
        let tell = {
            let told = told.clone();
            move |broken: &Broken| told.store(broken.key == key, Ordering::Relaxed)
        };
        let slow = |_| tokio::time::sleep(Duration::from_mins(10)).map(|()| Ok(true)).boxed();
        let engine = Bench::new(WORLD).site().engine;
        let mut term = Term::writing(cluster, engine, (scopes, seen), Box::new(tell), Box::new(slow));
        let mut steps = Vec::new();
        for _ in 0..4 {
            let step = term.next().await;
            steps.push(matches!(term.take(step).await, Ok(Told::Known(0))));
        }
        assert_eq!((steps, told.load(Ordering::Relaxed)), (vec![false, false, false, true], false));
        let step = term.next().await;
        assert!(matches!(term.take(step).await, Ok(Told::Nothing)));
        assert!(told.load(Ordering::Relaxed));
    }
}
