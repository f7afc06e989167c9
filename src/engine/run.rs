//! The whole engine: routes changes to the worker that an object belongs to, and passes on what workers report.

use super::claims::Claims;
use super::duplicate;
use super::graph::{Dependents, Graph};
use super::heartbeat::Pulses;
use super::ports::Ports;
use super::worker::{Report, Worker};
use crate::api::{Kind, ObjectKey};
use crate::state::{StateError, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

/// All workers, and the dependencies between objects.
pub struct Engine {
    store: Arc<dyn Store>,
    ports: Ports,
    workers: BTreeMap<ObjectKey, mpsc::UnboundedSender<ObjectKey>>,
    running: JoinSet<()>,
    dependents: Dependents,
    /// Changed objects whose dependents were not woken yet: kept here so that a caller may stop waiting at any time.
    changed: Vec<ObjectKey>,
    /// Objects whose last reconcile ended with an error.
    failing: BTreeSet<ObjectKey>,
    reports_in: mpsc::UnboundedSender<Report>,
    reports: mpsc::UnboundedReceiver<Report>,
    pulses: Pulses,
    claims: Claims,
    /// Rollouts that a worker reported: each is passed to the worker that it belongs to now. Kept here for the same
    /// reason.
    reported: Vec<(ObjectKey, ObjectKey)>,
}

impl Engine {
    /// An engine without work.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ports: Ports) -> Self {
        let (reports_in, reports) = mpsc::unbounded_channel();
        Self {
            store,
            ports,
            workers: BTreeMap::new(),
            running: JoinSet::new(),
            dependents: Dependents::default(),
            changed: Vec::new(),
            failing: BTreeSet::new(),
            reports_in,
            reports,
            pulses: Pulses::default(),
            claims: Claims::default(),
            reported: Vec::new(),
        }
    }

    /// Makes these objects due now: they are new, changed, or being deleted.
    ///
    /// # Errors
    /// The state's error: it is not known which worker they belong to.
    pub async fn wake(&mut self, keys: impl IntoIterator<Item = ObjectKey>) -> Result<(), StateError> {
        let keys: BTreeSet<ObjectKey> = keys.into_iter().collect();
        self.route(keys.iter().cloned()).await?;
        let rivals = self.dependents.rivals_of(self.graph(), &keys).await?;
        self.route(rivals.difference(&keys).cloned()).await
    }

    async fn route(&mut self, keys: impl IntoIterator<Item = ObjectKey>) -> Result<(), StateError> {
        for key in keys {
            let Some(object) = self.store.load(&key).await? else { continue };
            if let Some(package) = object.waits_for().filter(|_| key.kind == Kind::OtaRollout) {
                let left = self.dependents.waiting_for(self.graph(), &key).await?;
                for left in left.into_iter().filter(|left| *left != package) {
                    let Some(object) = self.store.load(&left).await? else { continue };
                    self.send(&self.graph().account_of(&object).await?, left);
                }
            }
            self.dependents.note(&object);
            if key.kind == Kind::OtaCloud {
                self.wake_account(&key).await?;
            } else {
                let account = self.graph().account_of(&object).await?;
                self.send(&account, key);
            }
        }
        Ok(())
    }

    /// Another address, other credentials or another budget concern every object of the account, and every other
    /// `OtaCloud` of it.
    async fn wake_account(&mut self, cloud: &ObjectKey) -> Result<(), StateError> {
        let concerned = duplicate::concerned(self.store.as_ref(), cloud).await?;
        for account in concerned.iter().chain([cloud]) {
            for object in self.graph().served_by(account).await? {
                self.send(account, object.key());
            }
            self.send(account, account.clone());
        }
        Ok(())
    }

    /// An object was deleted without a reconcile of its own: objects that wait for that are due.
    pub fn gone(&mut self, key: ObjectKey) {
        self.changed.push(key);
    }

    /// Lets every worker finish its current step, and begins nothing more.
    pub async fn stop(&mut self) {
        self.workers.clear();
        while self.running.join_next().await.is_some() {}
    }

    /// Ends every worker where it waits, as a crash would, and returns when none is left: a worker that outlives the
    /// runtime would record its end as a failure of its files.
    pub async fn cut_off(mut self) {
        self.workers.clear();
        self.running.shutdown().await;
    }

    /// An account whose worker should have made progress by now, and has not: it hangs.
    #[must_use]
    pub fn overdue(&self) -> Option<ObjectKey> {
        self.pulses.overdue(self.ports.clock.now())
    }

    /// The next result of a worker; waits while nothing is due. Dependents are woken by the next call, so that a caller
    /// may stop waiting at any time. A panic of a worker is propagated.
    ///
    /// # Errors
    /// The state's error.
    pub async fn next(&mut self) -> Result<Report, StateError> {
        while let Some(key) = self.changed.last().cloned() {
            let dependents = self.dependents_of(&key).await?;
            self.route(dependents).await?;
            self.changed.pop();
        }
        while let Some((key, account)) = self.reported.last().cloned() {
            self.hand_over(&key, &account).await?;
            self.reported.pop();
        }
        let report = loop {
            tokio::select! {
                biased;
                // This engine holds a sender itself, so the channel never closes.
                Some(report) = self.reports.recv() => break report,
                Some(ended) = self.running.join_next() => pass_on(ended),
            }
        };
        let fails_still = self.fails_still(&report);
        if report.changed && !fails_still {
            self.changed.push(report.key.clone());
        }
        if report.key.kind == Kind::OtaRollout {
            self.reported.push((report.key.clone(), report.account.clone()));
        }
        Ok(report)
    }

    /// True when an object failed that had failed before: another message would tell its dependents nothing new, and
    /// would reset their backoff.
    fn fails_still(&mut self, report: &Report) -> bool {
        match report.error {
            Some(_) => !self.failing.insert(report.key.clone()),
            None => {
                self.failing.remove(&report.key);
                false
            }
        }
    }

    /// Wakes a rollout that this account's worker has reconciled, and that belongs to another worker now.
    async fn hand_over(&mut self, rollout: &ObjectKey, account: &ObjectKey) -> Result<(), StateError> {
        let Some(object) = self.store.load(rollout).await? else { return Ok(()) };
        let now = self.graph().account_of(&object).await?;
        if now != *account {
            self.send(&now, rollout.clone());
        }
        Ok(())
    }

    /// The rollouts of a package; of a deleted rollout, the package whose deletion waited for it and the new owners of
    /// its devices; and every refused `OtaCloud`, once one is deleted.
    async fn dependents_of(&self, key: &ObjectKey) -> Result<Vec<ObjectKey>, StateError> {
        if key.kind == Kind::OtaCloud {
            let is_gone = self.store.load(key).await?.is_none();
            return if is_gone {
                duplicate::concerned(self.store.as_ref(), key).await
            } else {
                Ok(Vec::new())
            };
        }
        if key.kind == Kind::OtaPackage {
            return Ok(self.dependents.rollouts_of(key).cloned().collect());
        }
        if self.store.load(key).await?.is_some() {
            return Ok(Vec::new());
        }
        let mut waiting = self.dependents.waiting_for(self.graph(), key).await?;
        waiting.extend(self.dependents.rivals_of(self.graph(), &BTreeSet::from([key.clone()])).await?);
        Ok(waiting)
    }

    fn graph(&self) -> Graph<'_> {
        Graph(self.store.as_ref())
    }

    /// True when this engine works on the account of this `OtaCloud`.
    pub(super) fn serves(&self, account: &ObjectKey) -> bool {
        self.ports.leadership.serves(account)
    }

    fn send(&mut self, account: &ObjectKey, key: ObjectKey) {
        if !self.serves(account) {
            return;
        }
        let worker = self.workers.entry(account.clone()).or_insert_with(|| {
            let (sender, wakes) = mpsc::unbounded_channel();
            let worker = Worker::new(account.clone(), self.store.clone(), self.ports.clone());
            let worker = worker.beside(&self.pulses, &self.claims);
            self.running.spawn(worker.run(wakes, self.reports_in.clone()));
            sender
        });
        // A worker ends only when this engine does.
        let _ = worker.send(key);
    }
}

/// A worker ends only when its engine does, or by a bug. Its account must not stop without any sign, so the process
/// ends too, and its successor searches for requests that were in progress.
fn pass_on(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
