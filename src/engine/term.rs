//! One term of a controller: from when it leads until it does not. A term begins with empty hands, by listing everything:
//! what was known before says nothing about what another leader did meanwhile.

use super::{Engine, Report};
use crate::api::{Kind, ObjectKey, ObjectMeta};
use crate::source::kubernetes::Seen;
use crate::state::kubernetes::Cluster;
use crate::state::{StateError, Store as _};
use futures::{StreamExt as _, stream::BoxStream};
use kube::runtime::watcher;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The engine on the objects of a cluster.
pub struct Term {
    cluster: Arc<Cluster>,
    engine: Engine,
    seen: BoxStream<'static, Seen>,
    /// Kinds whose list was complete once. The engine begins when all are: an object must not seem to be gone.
    listed: BTreeSet<Kind>,
    /// Objects of which it could not be written into their status what is wrong with them.
    unsaid: BTreeMap<ObjectKey, Broken>,
    tell: Tell,
}

/// An object that cannot be understood, or cannot work in a cluster.
pub struct Broken {
    /// Which.
    pub key: ObjectKey,
    /// Its metadata.
    pub meta: Box<ObjectMeta>,
    /// What is wrong with it.
    pub why: String,
}

/// Told of an object once its status says what is wrong with it.
pub type Tell = Box<dyn Fn(&Broken) + Send + Sync>;

/// What happens next in a term.
pub enum Step {
    /// A watch told something.
    Seen(Box<Seen>),
    /// A lane did something.
    Done(Result<Box<Report>, StateError>),
}

/// What came of a step, for people.
pub enum Told {
    /// Every object is known: the engine begins. So many there are.
    Known(usize),
    /// An object had its turn.
    Turn(Box<Report>),
    /// A watch failed, and is begun anew.
    WatchFailed(Kind, watcher::Error),
    /// Nothing that anybody asked for.
    Nothing,
}

impl Term {
    /// A term of an engine whose store is `cluster`, told by `seen`.
    #[must_use]
    pub fn new(cluster: Arc<Cluster>, engine: Engine, seen: BoxStream<'static, Seen>, tell: Tell) -> Self {
        Self { cluster, engine, seen, listed: BTreeSet::new(), unsaid: BTreeMap::new(), tell }
    }

    /// Waits for what happens next. A caller may give up waiting at any time, and must [`Self::take`] what it was given.
    pub async fn next(&mut self) -> Step {
        let is_complete = self.is_complete();
        tokio::select! {
            biased;
            Some(seen) = self.seen.next() => Step::Seen(Box::new(seen)),
            report = self.engine.next(), if is_complete => Step::Done(report.map(Box::new)),
        }
    }

    /// Takes in what happened.
    ///
    /// # Errors
    /// The state's: the term is over.
    pub async fn take(&mut self, step: Step) -> Result<Told, StateError> {
        match step {
            Step::Seen(seen) => self.take_seen(*seen).await,
            Step::Done(report) => report.map(Told::Turn),
        }
    }

    /// An account whose lane hangs.
    #[must_use]
    pub fn overdue(&self) -> Option<ObjectKey> {
        self.engine.overdue()
    }

    /// Says again what could not be said of objects that cannot be understood.
    pub async fn say_again(&mut self) {
        for broken in std::mem::take(&mut self.unsaid).into_values() {
            self.set_aside(broken).await;
        }
    }

    /// Lets what is under way finish, and begins nothing more.
    pub async fn stop(&mut self) {
        self.engine.stop().await;
    }

    /// Ends everything where it waits.
    pub async fn cut_off(self) {
        self.engine.cut_off().await;
    }

    fn is_complete(&self) -> bool {
        self.listed.len() == Kind::ALL.len()
    }

    async fn take_seen(&mut self, seen: Seen) -> Result<Told, StateError> {
        match seen {
            Seen::ListBegins(kind) => self.cluster.begin_list(kind),
            Seen::Listed(object) => {
                let key = object.key();
                if self.cluster.take_listed(object) {
                    self.wake([key]).await?;
                }
            }
            Seen::Changed(object) => {
                let key = object.key();
                self.unsaid.remove(&key);
                if self.cluster.take(object) {
                    self.wake([key]).await?;
                }
            }
            Seen::ListEnds(kind) => return self.end_list(kind).await,
            Seen::Broken { key, meta, why } => self.set_aside(Broken { key, meta, why }).await,
            Seen::Gone(key) => {
                self.unsaid.remove(&key);
                if self.cluster.remove(&key) {
                    self.engine.gone(key);
                }
            }
            Seen::Failed(kind, error) => return Ok(Told::WatchFailed(kind, error)),
        }
        Ok(Told::Nothing)
    }

    async fn end_list(&mut self, kind: Kind) -> Result<Told, StateError> {
        self.cluster.end_list(kind).into_iter().for_each(|key| self.engine.gone(key));
        if self.listed.insert(kind) && self.is_complete() {
            let keys = self.cluster.keys().await?;
            let known = keys.len();
            self.engine.wake(keys).await?;
            return Ok(Told::Known(known));
        }
        Ok(Told::Nothing)
    }

    /// Objects that are told of before everything is known are woken with the rest.
    async fn wake(&mut self, keys: impl IntoIterator<Item = ObjectKey>) -> Result<(), StateError> {
        if self.is_complete() { self.engine.wake(keys).await } else { Ok(()) }
    }

    /// Where the account of such an object cannot be told, the object's own name says whose it is to speak.
    async fn set_aside(&mut self, broken: Broken) {
        self.engine.gone(broken.key.clone());
        if !self.engine.serves(&broken.key) {
            self.cluster.remove(&broken.key);
            return;
        }
        tracing::warn!(object = %broken.key, "{}", broken.why);
        match self.cluster.set_aside(&broken.key, &broken.meta, &broken.why).await {
            Ok(true) => (self.tell)(&broken),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(object = %broken.key, "its status could not be written: {error}");
                self.unsaid.insert(broken.key.clone(), broken);
            }
        }
    }
}
