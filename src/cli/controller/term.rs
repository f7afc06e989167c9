//! One term: from when this process leads until it does not. A term begins with empty hands, by listing everything: what
//! was known before says nothing about what another leader did meanwhile.

use super::ports;
use crate::api::{Kind, ObjectKey, ObjectMeta};
use crate::cli::ports::SystemClock;
use crate::cloud::TransportError;
use crate::engine::{Engine, Report};
use crate::source::kubernetes::{Means, Seen, watch};
use crate::state::kubernetes::{Cluster, events::Bulletin, lease::Held};
use crate::state::{StateError, Store as _};
use crate::web::{Board, Reconciled, Role};
use futures::{StreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use kube::Client;
use kube::runtime::watcher;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What is under way at the end may take this long; a call that is cut off is looked for by whoever leads next. Less than
/// the 30 seconds that a Pod is given to end.
const GRACE: Duration = Duration::from_secs(20);
/// How often it is noticed that the machine's clock was set, and said again what could not be said.
const CHECK: Duration = Duration::from_secs(30);

/// What every term begins with.
pub(super) struct Setup {
    pub(super) client: Client,
    /// Name of this process among the controllers.
    pub(super) identity: String,
    pub(super) held: Held,
    pub(super) namespace: Option<String>,
    pub(super) artifacts: Option<PathBuf>,
    pub(super) clock: SystemClock,
    pub(super) board: Arc<Board>,
}

/// Why a term ended by itself.
pub(super) enum Ended {
    /// Somebody else leads, or may lead.
    Deposed,
    /// Nothing that was counted by the clock before still counts.
    ClockSet,
    /// The state.
    Failed(StateError),
}

pub(super) struct Term {
    cluster: Arc<Cluster>,
    bulletin: Arc<Bulletin>,
    engine: Engine,
    board: Arc<Board>,
    clock: SystemClock,
    seen: BoxStream<'static, Seen>,
    /// Kinds whose list was complete once. The engine begins when all are: an object must not seem to be gone.
    listed: BTreeSet<Kind>,
    /// What is wrong with objects, and could not be written into their status.
    unsaid: BTreeMap<ObjectKey, (Box<ObjectMeta>, String)>,
}

impl Term {
    pub(super) fn begin(setup: &Setup) -> Result<Self, TransportError> {
        let clock = setup.clock.anew();
        let bulletin = Arc::new(Bulletin::new(setup.client.clone(), setup.identity.clone()));
        let ports = ports::of(setup.client.clone(), setup.held.clone(), clock, bulletin.clone())?;
        let cluster =
            Arc::new(Cluster::new(setup.client.clone(), setup.held.clone(), setup.artifacts.clone()));
        setup.board.set_role(Role::Listing, Some(cluster.clone()));
        let means = Means { has_files: setup.artifacts.is_some() };
        Ok(Self {
            engine: Engine::new(cluster.clone(), ports),
            cluster,
            bulletin,
            board: setup.board.clone(),
            clock,
            seen: watch(&setup.client, setup.namespace.as_deref(), means).boxed(),
            listed: BTreeSet::new(),
            unsaid: BTreeMap::new(),
        })
    }

    /// Works until the term ends. May be dropped at any `.await`.
    pub(super) async fn work(&mut self) -> Ended {
        let mut check = tokio::time::interval(CHECK);
        loop {
            self.board.beat();
            let step = tokio::select! {
                Some(seen) = self.seen.next() => self.take(seen).await,
                report = self.engine.next(), if self.is_complete() => report.map(|report| {
                    self.board.metrics.reconciled(&turn_of(&report));
                    log(&report);
                }),
                _ = check.tick() => {
                    if self.clock.is_off(Timestamp::now()) {
                        return Ended::ClockSet;
                    }
                    self.say_again().await;
                    Ok(())
                }
            };
            if let Err(error) = step {
                return Ended::Failed(error);
            }
        }
    }

    /// Begins nothing more, and lets what is under way finish.
    pub(super) async fn stop(mut self) {
        if tokio::time::timeout(GRACE, self.engine.stop()).await.is_err() {
            tracing::warn!(
                "a call was cut off: it is in the journal, and is looked for by whoever leads next"
            );
        }
        self.cut_off().await;
    }

    /// Ends everything where it waits.
    pub(super) async fn cut_off(self) {
        self.engine.cut_off().await;
    }

    fn is_complete(&self) -> bool {
        self.listed.len() == Kind::ALL.len()
    }

    async fn take(&mut self, seen: Seen) -> Result<(), StateError> {
        match seen {
            Seen::ListBegins(kind) => self.cluster.begin_list(kind),
            Seen::Listed(object) => {
                let key = object.key();
                if self.cluster.take_listed(object) {
                    return self.wake([key]).await;
                }
            }
            Seen::Changed(object) => {
                let key = object.key();
                self.unsaid.remove(&key);
                if self.cluster.take(object) {
                    return self.wake([key]).await;
                }
            }
            Seen::ListEnds(kind) => return self.end_list(kind).await,
            Seen::Broken { key, meta, why } => self.set_aside(key, meta, why).await,
            Seen::Gone(key) => {
                self.unsaid.remove(&key);
                if self.cluster.remove(&key) {
                    self.engine.gone(key);
                }
            }
            Seen::Failed(kind, error) => {
                self.board.metrics.watch_failed(kind);
                log_failure(kind, &error);
            }
        }
        Ok(())
    }

    async fn end_list(&mut self, kind: Kind) -> Result<(), StateError> {
        self.cluster.end_list(kind).into_iter().for_each(|key| self.engine.gone(key));
        if self.listed.insert(kind) && self.is_complete() {
            let keys = self.cluster.keys().await?;
            tracing::info!(objects = keys.len(), "every object is known");
            self.board.set_leading();
            return self.engine.wake(keys).await;
        }
        Ok(())
    }

    /// Objects that are told of before everything is known are woken with the rest.
    async fn wake(&mut self, keys: impl IntoIterator<Item = ObjectKey>) -> Result<(), StateError> {
        if self.is_complete() { self.engine.wake(keys).await } else { Ok(()) }
    }

    async fn set_aside(&mut self, key: ObjectKey, meta: Box<ObjectMeta>, why: String) {
        tracing::warn!(object = %key, "{why}");
        self.engine.gone(key.clone());
        match self.cluster.set_aside(&key, &meta, &why).await {
            Ok(true) => self.bulletin.take_broken(&key, &meta, &why),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(object = %key, "its status could not be written: {error}");
                self.unsaid.insert(key, (meta, why));
            }
        }
    }

    async fn say_again(&mut self) {
        for (key, (meta, why)) in std::mem::take(&mut self.unsaid) {
            self.set_aside(key, meta, why).await;
        }
    }
}

fn turn_of(report: &Report) -> Reconciled<'_> {
    Reconciled {
        kind: report.key.kind,
        account: &report.account,
        changed: report.changed,
        error: report.error.as_ref().map(|error| error.class.as_str()),
        took: report.took.unsigned_abs(),
        queued: report.queued,
        calls: &report.calls,
    }
}

fn log(report: &Report) {
    let error = report.error.as_ref().map(ToString::to_string);
    if report.changed || error.is_some() {
        tracing::info!(object = %report.key, error, "reconciled");
    } else {
        tracing::debug!(object = %report.key, "as it was");
    }
}

fn log_failure(kind: Kind, error: &watcher::Error) {
    if let watcher::Error::InitialListFailed(kube::Error::Api(status)) = error
        && status.code == 404
    {
        tracing::warn!("the cluster does not know {kind}: rollwave crds | kubectl apply --server-side -f -");
    } else {
        tracing::warn!("the watch of {kind} failed, and is begun anew: {error}");
    }
}
