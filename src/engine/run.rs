//! The whole engine: routes what changed to the worker that it belongs to, and passes on what workers report.

use super::claims::Claims;
use super::duplicate;
use super::heartbeat::Pulses;
use super::ports::Ports;
use super::worker::{Report, Worker, home_of};
use crate::api::{Kind, Object, ObjectKey};
use crate::state::{StateError, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

/// All workers, and who needs whom.
pub struct Engine {
    store: Arc<dyn Store>,
    ports: Ports,
    workers: BTreeMap<ObjectKey, mpsc::UnboundedSender<ObjectKey>>,
    running: JoinSet<()>,
    rollouts_of: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// Changed, and their dependents not woken yet: kept here so that a caller may give up waiting at any time.
    changed: Vec<ObjectKey>,
    /// Objects whose last turn ended with an error.
    failing: BTreeSet<ObjectKey>,
    reports_in: mpsc::UnboundedSender<Report>,
    reports: mpsc::UnboundedReceiver<Report>,
    pulses: Pulses,
    claims: Claims,
    /// Rollouts that a worker reported: each goes to the worker that it belongs to now. Kept here as `changed` is.
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
            rollouts_of: BTreeMap::new(),
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
    /// The state's: it could not be told where they belong.
    pub async fn wake(&mut self, keys: impl IntoIterator<Item = ObjectKey>) -> Result<(), StateError> {
        let keys: BTreeSet<ObjectKey> = keys.into_iter().collect();
        self.route(keys.iter().cloned()).await?;
        let rivals = self.rivals_of(&keys).await?;
        self.route(rivals.difference(&keys).cloned()).await
    }

    async fn route(&mut self, keys: impl IntoIterator<Item = ObjectKey>) -> Result<(), StateError> {
        for key in keys {
            let Some(object) = self.store.load(&key).await? else { continue };
            if let Object::Rollout(rollout) = object.as_ref() {
                let package = key.sibling(Kind::OtaPackage, &rollout.spec.package_ref.name);
                self.rollouts_of.entry(package).or_default().insert(key.clone());
            }
            let home = home_of(self.store.as_ref(), &object).await?;
            if key.kind == Kind::OtaCloud {
                self.wake_account(&key).await?;
            } else {
                self.send(&home, key);
            }
        }
        Ok(())
    }

    /// Rollouts that may own other devices now that these objects have changed: those of the products that they were for.
    async fn rivals_of(&self, keys: &BTreeSet<ObjectKey>) -> Result<BTreeSet<ObjectKey>, StateError> {
        let concerns = |(package, rollouts): &(&ObjectKey, &BTreeSet<ObjectKey>)| {
            keys.contains(*package) || !rollouts.is_disjoint(keys)
        };
        let mut products = BTreeSet::new();
        for (package, _) in self.rollouts_of.iter().filter(concerns) {
            products.extend(self.product_of(package).await?);
        }
        let mut rivals = BTreeSet::new();
        for (package, rollouts) in &self.rollouts_of {
            if self.product_of(package).await?.is_some_and(|product| products.contains(&product)) {
                rivals.extend(rollouts.iter().cloned());
            }
        }
        Ok(rivals)
    }

    /// What a package is for: its account, and kind, product and module.
    async fn product_of(&self, key: &ObjectKey) -> Result<Option<(ObjectKey, String)>, StateError> {
        let object = self.store.load(key).await?;
        let Some(Object::Package(package)) = object.as_deref() else { return Ok(None) };
        let spec = &package.spec;
        Ok(Some((package.account(), format!("{:?} {} {:?}", spec.kind, spec.product, spec.module()))))
    }

    /// Another address, other keys or another budget concern everything in the account, and every other `OtaCloud` of it.
    async fn wake_account(&mut self, cloud: &ObjectKey) -> Result<(), StateError> {
        let concerned = duplicate::concerned(self.store.as_ref(), cloud).await?;
        for home in concerned.iter().chain([cloud]) {
            for key in duplicate::all_of(self.store.as_ref(), home).await? {
                self.send(home, key);
            }
        }
        Ok(())
    }

    /// An object went away without a turn of its own: what waited for that is due.
    pub fn gone(&mut self, key: ObjectKey) {
        self.changed.push(key);
    }

    /// Lets every worker finish what it is at, and begins nothing more.
    pub async fn stop(&mut self) {
        self.workers.clear();
        while self.running.join_next().await.is_some() {}
    }

    /// Ends every worker where it waits, as a crash would, and returns when none is left: a worker that outlives the runtime
    /// takes its end for a failure of its files, and writes that down.
    pub async fn cut_off(mut self) {
        self.workers.clear();
        self.running.shutdown().await;
    }

    /// An account whose worker should have moved by now, and has not: it hangs.
    #[must_use]
    pub fn overdue(&self) -> Option<ObjectKey> {
        self.pulses.overdue(self.ports.clock.now())
    }

    /// The next thing that a worker did; waits while nothing is due. What depends on it is woken by the next call, so that a
    /// caller may give up waiting at any time. A panic of a worker is a panic here.
    ///
    /// # Errors
    /// The state's.
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

    /// True when an object failed that had failed before: whatever waits for it learns nothing from another message, and would
    /// forget its own backoff.
    fn fails_still(&mut self, report: &Report) -> bool {
        match report.error {
            Some(_) => !self.failing.insert(report.key.clone()),
            None => {
                self.failing.remove(&report.key);
                false
            }
        }
    }

    /// Wakes a rollout that this account's worker has had in hand, and that belongs to another one's now.
    async fn hand_over(&mut self, rollout: &ObjectKey, account: &ObjectKey) -> Result<(), StateError> {
        let Some(object) = self.store.load(rollout).await? else { return Ok(()) };
        let home = home_of(self.store.as_ref(), &object).await?;
        if home != *account {
            self.send(&home, rollout.clone());
        }
        Ok(())
    }

    /// The rollouts of a package; of a rollout that is gone, the package that could not go before, and whoever owns its devices
    /// now; and every `OtaCloud` that was refused, once one is gone.
    async fn dependents_of(&self, key: &ObjectKey) -> Result<Vec<ObjectKey>, StateError> {
        if key.kind == Kind::OtaCloud {
            let is_gone = self.store.load(key).await?.is_none();
            return if is_gone {
                duplicate::concerned(self.store.as_ref(), key).await
            } else {
                Ok(Vec::new())
            };
        }
        if key.kind != Kind::OtaRollout {
            return Ok(self.rollouts_of.get(key).into_iter().flatten().cloned().collect());
        }
        let mut waiting = Vec::new();
        if self.store.load(key).await?.is_none() {
            for (package, rollouts) in &self.rollouts_of {
                let is_deleting =
                    self.store.load(package).await?.is_some_and(|package| package.is_deleting());
                if rollouts.contains(key) && is_deleting {
                    waiting.push(package.clone());
                }
            }
            waiting.extend(self.rivals_of(&BTreeSet::from([key.clone()])).await?);
        }
        Ok(waiting)
    }

    /// True when the account of this `OtaCloud` is worked on here.
    pub(super) fn serves(&self, account: &ObjectKey) -> bool {
        self.ports.leadership.serves(account)
    }

    fn send(&mut self, home: &ObjectKey, key: ObjectKey) {
        if !self.serves(home) {
            return;
        }
        let worker = self.workers.entry(home.clone()).or_insert_with(|| {
            let (sender, wakes) = mpsc::unbounded_channel();
            let worker = Worker::new(home.clone(), self.store.clone(), self.ports.clone());
            let worker = worker.beside(&self.pulses, &self.claims);
            self.running.spawn(worker.run(wakes, self.reports_in.clone()));
            sender
        });
        // A worker ends only when this engine does.
        let _ = worker.send(key);
    }
}

/// A worker ends only when its engine does, or by a mistake of ours. Its account must not stand still in silence: whoever runs the
/// engine ends, too, and what is begun in its place looks for what was under way.
fn pass_on(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
