//! The worker of one cloud account: its queue, its client and its inventory. Workers run concurrently; within a worker
//! one thing happens at a time, so that an account has one budget, one inventory and no races, and an unreachable cloud
//! delays nothing else.

use super::account::{Account, Calls};
use super::claims::Claims;
use super::freshness::Evidence;
use super::heartbeat::{Heartbeat, Pulses};
use super::inventory::Inventory;
use super::link::Link;
use super::outage::Outage;
use super::ports::Ports;
use super::priority::Priority;
use super::queue::Queue;
use super::refused::Refused;
use crate::api::{ObjectKey, Reason};
use crate::cloud::{CallError, ErrorClass};
use crate::decide::clocks::Clocks;
use crate::state::Store;
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeMap, sync::Arc};

/// What a worker reports after each reconcile.
#[derive(Clone, Debug)]
pub struct Report {
    /// The object.
    pub key: ObjectKey,
    /// Its status changed.
    pub changed: bool,
    /// The error of the call that failed.
    pub error: Option<CallError>,
    /// Its status could not be read or written.
    pub state_failed: bool,
    /// The account that it belongs to.
    pub account: ObjectKey,
    /// Calls to that account so far.
    pub calls: Calls,
    /// Calls per second that are allowed at present, in thousandths; none before it was connected.
    pub rate_milli: Option<u64>,
    /// How long the reconcile took, since it was last interrupted.
    pub took: SignedDuration,
    /// Objects of the account in the queue.
    pub queued: usize,
}

/// The worker of one cloud account: what outlives its reconciles.
pub struct Worker {
    /// The `OtaCloud` that describes the account.
    pub(super) cloud: ObjectKey,
    pub(super) store: Arc<dyn Store>,
    pub(super) ports: Ports,
    pub(super) queue: Queue,
    pub(super) link: Option<Link>,
    pub(super) inventory: Inventory,
    pub(super) outage: Outage,
    pub(super) refused: Refused,
    /// When this worker began; its clock is steady since then.
    steady_since: Timestamp,
    /// When this worker began, or last failed to record the result of a create: earlier journal entries may have been
    /// written by another clock, or before their request was sent.
    pub(super) born: Timestamp,
    /// Reconciles that were interrupted between two pages of a list: when they began, and how fresh their evidence must
    /// be.
    pub(super) interrupted: BTreeMap<ObjectKey, (Timestamp, Evidence)>,
    pub(super) heartbeat: Heartbeat,
    /// The rollouts that other workers are reconciling.
    pub(super) claims: Claims,
}

impl Worker {
    /// A worker for the account that `cloud` describes.
    #[must_use]
    pub fn new(cloud: ObjectKey, store: Arc<dyn Store>, ports: Ports) -> Self {
        let (born, heartbeat) = (ports.clock.now(), Pulses::default().of(&cloud));
        Self {
            cloud,
            store,
            ports,
            queue: Queue::default(),
            link: None,
            inventory: Inventory::default(),
            outage: Outage::default(),
            refused: Refused::default(),
            steady_since: born,
            born,
            interrupted: BTreeMap::new(),
            heartbeat,
            claims: Claims::default(),
        }
    }

    /// The same worker, which reports its heartbeat there and shares these claims.
    pub(super) fn beside(mut self, pulses: &Pulses, claims: &Claims) -> Self {
        self.heartbeat = pulses.of(&self.cloud);
        self.claims = claims.clone();
        self
    }

    /// The object changed: it is due now, and its backoff ends.
    pub fn wake(&mut self, key: ObjectKey) {
        self.queue.reset(&key);
        self.refused.forget(&key);
        if key == self.cloud {
            self.outage = Outage::default();
            self.refused.clear();
        }
        self.queue.push(key, Priority::UserChange, self.ports.clock.now());
    }

    /// Queues the account's own object, which checks whether the account answers.
    pub(super) fn observe_account(&mut self, due: Timestamp) {
        if let Some(link) = &mut self.link {
            link.account.doubt();
        }
        let account = self.cloud.clone();
        self.queue.reset(&account);
        self.queue.push(account, Priority::UserChange, due);
    }

    /// Waits from now on for every create with unknown outcome.
    pub(super) fn count_from_now(&mut self) {
        self.born = self.ports.clock.now();
    }

    /// What the time of decisions is based on.
    pub(super) fn clocks(&self) -> Clocks {
        let cloud = self.link.as_ref().and_then(|link| link.account.cloud_time());
        Clocks { steady_since: self.steady_since, boot: self.ports.clock.boot(), cloud }
    }

    /// Calls that succeeded so far.
    pub(super) fn successes(&self) -> u64 {
        self.link.as_ref().map_or(0, |link| link.account.successes())
    }

    /// Why the `OtaCloud` cannot be used: there is none that can be parsed.
    pub(super) fn no_cloud(&self) -> CallError {
        let cloud = &self.cloud;
        if self.store.is_set_aside(cloud) {
            let error = CallError::new(ErrorClass::Invalid, "Connect", format!("{cloud} is invalid"));
            let error = error.next_step("correct that OtaCloud: its status shows what is wrong");
            return CallError { reason: Some(Reason::AccountInvalid), ..error };
        }
        let error = CallError::new(ErrorClass::Invalid, "Connect", format!("{cloud} does not exist"))
            .next_step("apply an OtaCloud of that name");
        CallError { reason: Some(Reason::AccountMissing), ..error }
    }

    /// A report of a reconcile that began then and changed nothing.
    pub(super) fn report(&self, key: ObjectKey, since: Timestamp) -> Report {
        let account = self.link.as_ref().map(|link| &link.account);
        Report {
            key,
            changed: false,
            error: None,
            state_failed: false,
            account: self.cloud.clone(),
            calls: account.map(|account| account.calls().clone()).unwrap_or_default(),
            rate_milli: account.map(Account::rate_milli),
            took: self.ports.clock.now().duration_since(since),
            queued: self.queue.len(),
        }
    }
}
