//! The context of one reconcile: what its steps share, and what ends with it.

use super::basis::Basis;
use super::caller::Caller;
use super::freshness::{Evidence, within};
use super::graph::Graph;
use super::inventory::Inventory;
use super::journal::Times;
use super::link::Link;
use super::priority::Priority;
use super::slice::Slice;
use super::trouble::Trouble;
use super::worker::Worker;
use crate::api::{Object, ObjectKey, OtaPackage};
use crate::cloud::Capabilities;
use crate::decide::clocks::Clocks;
use crate::state::Store;
use jiff::{SignedDuration, Timestamp};

/// One reconcile of one object.
pub(super) struct Reconcile<'w> {
    /// The worker of its account.
    pub(super) worker: &'w mut Worker,
    /// How urgent it is.
    pub(super) priority: Priority,
    /// When it began, including its interruptions.
    pub(super) began: Timestamp,
    /// How fresh its observations must be.
    pub(super) evidence: Evidence,
    /// When other due objects come first.
    pub(super) slice: Slice,
    /// Prefixes of the idempotency keys of the object's jobs, recorded or not.
    pub(super) own_keys: Vec<String>,
    /// The link matches the `OtaCloud`: checked once per pass, so that no pass uses two accounts.
    pub(super) is_connected: bool,
}

impl<'w> Reconcile<'w> {
    /// A reconcile that began then, whose observations must be so fresh.
    pub(super) fn new(
        worker: &'w mut Worker,
        priority: Priority,
        (began, evidence): (Timestamp, Evidence),
    ) -> Self {
        let slice = Slice::after(worker.link.as_ref().map_or(0, |link| link.account.requests()));
        Self { worker, priority, began, evidence, slice, own_keys: Vec::new(), is_connected: false }
    }

    /// The current time.
    pub(super) fn now(&self) -> Timestamp {
        self.worker.ports.clock.now()
    }

    /// The stored objects.
    pub(super) fn store(&self) -> &dyn Store {
        self.worker.store.as_ref()
    }

    /// The dependencies between the stored objects.
    pub(super) fn graph(&self) -> Graph<'_> {
        Graph(self.store())
    }

    /// A stored package.
    pub(super) async fn package(&self, key: &ObjectKey) -> Result<Option<OtaPackage>, Trouble> {
        Ok(match self.store().load(key).await?.as_deref() {
            Some(Object::Package(package)) => Some(package.clone()),
            _ => None,
        })
    }

    /// True when the object belongs to this worker now.
    pub(super) async fn owns(&self, object: &Object) -> Result<bool, Trouble> {
        Ok(self.graph().account_of(object).await? == self.worker.cloud)
    }

    /// True while the account of this reconcile exists.
    pub(super) async fn has_account(&self) -> Result<bool, Trouble> {
        Ok(self.store().load(&self.worker.cloud).await?.is_some())
    }

    /// The times that the journal uses.
    pub(super) fn times(&self) -> Times {
        let (born, now, clocks) = (self.worker.born, self.now(), self.clocks());
        Times { born, turn_began: self.began, now, clocks }
    }

    /// What the time of decisions is based on.
    pub(super) fn clocks(&self) -> Clocks {
        self.worker.clocks()
    }

    /// When an observation must have begun to be no older than `age`. An observation of this reconcile always serves.
    pub(super) fn since(&self, age: SignedDuration) -> Timestamp {
        let by_age = self.now().saturating_sub(age).unwrap_or(Timestamp::MIN);
        by_age.min(self.began)
    }

    /// How old an observation may be that nothing depends on but the comparison with the specs.
    pub(super) fn drift(&self) -> SignedDuration {
        within(self.worker.link.as_ref().map_or(SignedDuration::ZERO, |link| link.drift_interval))
    }

    /// What the connected account can do.
    pub(super) fn capabilities(&self) -> Option<&Capabilities> {
        self.worker.link.as_ref().map(|link| link.account.cloud().capabilities())
    }

    /// The account and what is known of it, to read more; none while it is not connected.
    pub(super) fn reader(&mut self) -> Option<(Caller<'_>, &mut Inventory)> {
        let Worker { link, inventory, .. } = &mut *self.worker;
        Some((link.as_mut()?.account.at(self.priority), inventory))
    }

    /// The connected account; or why it cannot be used now.
    pub(super) async fn connect(&mut self) -> Result<&mut Link, Trouble> {
        self.worker.check_outage()?;
        if !self.is_connected {
            self.worker.connect_as_wanted().await?;
            self.is_connected = true;
        }
        self.worker.linked()
    }

    /// The connected account at the priority of this reconcile.
    pub(super) async fn caller(&mut self) -> Result<Caller<'_>, Trouble> {
        let priority = self.priority;
        Ok(self.connect().await?.account.at(priority))
    }

    /// Waits until the budget allows a request; true when the decision is still current.
    pub(super) async fn may_send(&mut self, basis: &Basis) -> Result<bool, Trouble> {
        self.caller().await?.wait_for_budget().await;
        Ok(basis.still_stands(self.store()).await?)
    }

    /// What the account can do, once it is connected.
    pub(super) async fn limits(&mut self) -> Result<Capabilities, Trouble> {
        Ok(self.connect().await?.account.cloud().capabilities().clone())
    }
}
