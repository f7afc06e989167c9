//! The worker of one cloud account: its queue, its client and its inventory. Workers run concurrently; within a worker
//! one thing happens at a time, so that an account has one budget, one inventory and no races, and an unreachable cloud
//! delays nothing else.

use super::account::{Account, Calls};
use super::basis::Wanted;
use super::claims::Claims;
use super::freshness::Evidence;
use super::heartbeat::{Heartbeat, Pulses};
use super::inventory::Inventory;
use super::journal::Times;
use super::outage::{Outage, Suspicion};
use super::ports::Ports;
use super::queue::{Class, Queue};
use super::reconcile::Turn;
use super::refused::Refused;
use super::slice::Slice;
use crate::api::{Kind, Object, ObjectKey, OtaCloudSpec, OtaPackage, Reason};
use crate::cloud::{CallError, Capabilities, ErrorClass};
use crate::decide::clocks::Clocks;
use crate::state::{StateError, Store};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::mpsc::{self, error::TryRecvError};
use tracing::Instrument as _;

/// How often a Secret that does not exist is looked up.
const SECRET_RETRY: SignedDuration = SignedDuration::from_secs(15);

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

/// Why a reconcile ended early.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A call failed.
    Call(CallError),
    /// The state could not be read or written: nothing was sent after that.
    State(StateError),
    /// The account is unreachable; nothing was sent.
    Outage(CallError),
    /// The reconcile needs more requests: more urgent objects come first, then it continues.
    Yield,
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<StateError> for Trouble {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// The connection of a worker.
pub(super) struct Link {
    pub(super) account: Account,
    pub(super) drift_interval: SignedDuration,
    /// When the account is compared with the specs next.
    pub(super) drift_due: Timestamp,
    /// Spec and metadata of its `OtaCloud`.
    pub(super) wanted: Wanted,
    uid: Option<String>,
    spec: OtaCloudSpec,
    /// The cloud refused the credentials: they are read again, since they may have been corrected.
    refused: bool,
}

/// The worker of one cloud account.
pub struct Worker {
    pub(super) home: ObjectKey,
    pub(super) store: Arc<dyn Store>,
    pub(super) ports: Ports,
    pub(super) queue: Queue,
    pub(super) link: Option<Link>,
    /// The link matches the `OtaCloud`: checked once per pass, so that no pass uses two accounts.
    pub(super) is_connected: bool,
    pub(super) inventory: Inventory,
    outage: Outage,
    pub(super) refused: Refused,
    /// When this worker began; its clock is steady since then.
    steady_since: Timestamp,
    /// When this worker began, or last failed to record the result of a create: earlier journal entries may have been
    /// written by another clock, or before their request was sent.
    born: Timestamp,
    /// When the current reconcile began, including its interruptions.
    pub(super) began: Timestamp,
    /// How fresh the evidence of the current reconcile must be.
    pub(super) evidence: Evidence,
    /// Reconciles that were interrupted between two pages of a list: when they began, and how fresh their evidence must
    /// be.
    interrupted: BTreeMap<ObjectKey, (Timestamp, Evidence)>,
    /// When other due objects come first.
    pub(super) slice: Slice,
    /// Prefixes of the idempotency keys of the current object's jobs, recorded or not.
    pub(super) own_keys: Vec<String>,
    heartbeat: Heartbeat,
    /// The rollouts that other workers are reconciling.
    claims: Claims,
}

impl Worker {
    /// A worker for the account that `home`, an `OtaCloud`, describes.
    #[must_use]
    pub fn new(home: ObjectKey, store: Arc<dyn Store>, ports: Ports) -> Self {
        let (born, heartbeat) = (ports.clock.now(), Pulses::default().of(&home));
        Self {
            home,
            store,
            ports,
            queue: Queue::default(),
            link: None,
            is_connected: false,
            inventory: Inventory::default(),
            outage: Outage::default(),
            refused: Refused::default(),
            steady_since: born,
            born,
            began: born,
            evidence: Evidence::Known,
            interrupted: BTreeMap::new(),
            slice: Slice::default(),
            own_keys: Vec::new(),
            heartbeat,
            claims: Claims::default(),
        }
    }

    /// The same worker, which reports its heartbeat there and shares these claims.
    pub(super) fn beside(mut self, pulses: &Pulses, claims: &Claims) -> Self {
        self.heartbeat = pulses.of(&self.home);
        self.claims = claims.clone();
        self
    }

    /// Works until the sender of `wakes` is dropped.
    pub async fn run(
        mut self,
        mut wakes: mpsc::UnboundedReceiver<ObjectKey>,
        reports: mpsc::UnboundedSender<Report>,
    ) {
        loop {
            loop {
                match wakes.try_recv() {
                    Ok(key) => self.wake(key),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let now = self.ports.clock.now();
            if let Some((key, class)) = self.queue.pop(now) {
                self.heartbeat.moves(now);
                let report = self.turn(key, class).await;
                if report.is_some_and(|report| reports.send(report).is_err()) {
                    return;
                }
                continue;
            }
            self.heartbeat.rests();
            let due = self.queue.next_due().unwrap_or(Timestamp::MAX);
            tokio::select! {
                biased;
                woken = wakes.recv() => match woken {
                    Some(key) => self.wake(key),
                    None => return,
                },
                () = self.ports.clock.sleep_until(due) => {}
            }
        }
    }

    /// The object changed: it is due now, and its backoff ends.
    pub fn wake(&mut self, key: ObjectKey) {
        self.queue.reset(&key);
        self.refused.forget(&key);
        if key == self.home {
            self.outage = Outage::default();
            self.refused.clear();
        }
        self.queue.push(key, Class::UserChange, self.ports.clock.now());
    }

    /// Reconciles one object; none when it was interrupted and continues after more urgent ones.
    async fn turn(&mut self, key: ObjectKey, class: Class) -> Option<Report> {
        // Another worker reports when it is done, and then the object comes to the worker that it belongs to.
        let _claim = self.claims.claim(&key)?;
        let now = self.ports.clock.now();
        self.is_connected = false;
        self.begin_slice();
        (self.began, self.evidence) = self.interrupted.remove(&key).unwrap_or((now, Evidence::Known));
        let successes = self.successes();
        let span = tracing::info_span!("reconcile", object = %key);
        let result = self.reconcile(&key, class).instrument(span).await;
        let has_succeeded = self.successes() > successes;
        if has_succeeded && self.outage.note_success() {
            self.observe_account(now);
        }
        if let Err(Trouble::Yield) = result {
            self.interrupted.insert(key.clone(), (self.began, self.evidence));
            self.queue.push(key, class.max(Class::Verify), now);
            return None;
        }
        let state_failed = matches!(result, Err(Trouble::State(_)));
        let (changed, error) = self.end(&key, class, result, has_succeeded).await;
        Some(Report { changed, error, state_failed, ..self.report(key, now) })
    }

    /// Queues the next reconcile of the object; returns whether its status changed, and the error of a call.
    async fn end(
        &mut self,
        key: &ObjectKey,
        class: Class,
        result: Result<Turn, Trouble>,
        has_succeeded: bool,
    ) -> (bool, Option<CallError>) {
        let now = self.ports.clock.now();
        match result {
            Ok(turn) => {
                self.queue.succeeded(key);
                if let Some((class, due)) = turn.requeue {
                    self.queue.push(key.clone(), class, due);
                }
                (turn.changed, None)
            }
            Err(Trouble::Call(error)) => {
                let changed = self.report_failure(key, &error).await;
                self.back_off(key, class, &error, has_succeeded);
                (changed, Some(error))
            }
            Err(Trouble::Outage(error)) => {
                let changed = self.report_failure(key, &error).await;
                self.queue.push(key.clone(), class, self.outage.over(now));
                (changed, Some(error))
            }
            Err(Trouble::State(error)) => {
                tracing::error!(object = %key, "{error}");
                let due = self.queue.failed(key, now, self.ports.rng.as_ref(), None);
                self.queue.push(key.clone(), class, due);
                (false, None)
            }
            Err(Trouble::Yield) => (false, None),
        }
    }

    fn report(&self, key: ObjectKey, since: Timestamp) -> Report {
        let account = self.link.as_ref().map(|link| &link.account);
        Report {
            key,
            changed: false,
            error: None,
            state_failed: false,
            account: self.home.clone(),
            calls: account.map(|account| account.calls().clone()).unwrap_or_default(),
            rate_milli: account.map(Account::rate_milli),
            took: self.ports.clock.now().duration_since(since),
            queued: self.queue.len(),
        }
    }

    fn successes(&self) -> u64 {
        self.link.as_ref().map_or(0, |link| link.account.successes())
    }

    fn back_off(&mut self, key: &ObjectKey, class: Class, error: &CallError, has_succeeded: bool) {
        let now = self.ports.clock.now();
        let due = match error.reason {
            // Reading a Secret costs the account nothing, and it may be created at any moment.
            Some(Reason::SecretMissing) if *key == self.home => {
                now.saturating_add(SECRET_RETRY).unwrap_or(now)
            }
            _ => self.queue.failed(key, now, self.ports.rng.as_ref(), error.retry_after),
        };
        // Other due objects come first: a call that always fails would delay them again and again.
        let class = if *key == self.home { class } else { class.max(Class::Drift) };
        self.queue.push(key.clone(), class, due);
        // An account that has just answered another request is reachable.
        if has_succeeded {
            return;
        }
        match self.outage.note_failure(*key == self.home, error, now) {
            Suspicion::None => {}
            // Before any other object.
            Suspicion::Probe => self.observe_account(Timestamp::MIN),
            Suspicion::Outage(until) => {
                if let Some(link) = self.link.as_mut().filter(|_| error.class == ErrorClass::Unauthorized) {
                    link.refused = true;
                }
                self.observe_account(until);
            }
        }
    }

    /// Queues the account's own object, which checks whether the account answers.
    fn observe_account(&mut self, due: Timestamp) {
        if let Some(link) = &mut self.link {
            link.account.doubt();
        }
        let account = self.home.clone();
        self.queue.reset(&account);
        self.queue.push(account, Class::UserChange, due);
    }

    /// The connected account; or why it cannot be used now.
    pub(super) async fn connect(&mut self) -> Result<&mut Link, Trouble> {
        self.check_outage()?;
        if !self.is_connected {
            self.connect_as_wanted().await?;
            self.is_connected = true;
        }
        let (store, home) = (&self.store, &self.home);
        self.link.as_mut().ok_or_else(|| no_cloud(store.as_ref(), home).into())
    }

    async fn connect_as_wanted(&mut self) -> Result<(), Trouble> {
        let object = self.store.load(&self.home).await?;
        let Some(Object::Cloud(cloud)) = object.as_deref() else {
            return Err(no_cloud(self.store.as_ref(), &self.home).into());
        };
        self.check_account_stayed(cloud).await?;
        let wanted = Wanted::of(&Object::Cloud(cloud.clone()));
        let before = self.link.take_if(|link| link.uid != cloud.metadata.uid || link.spec != cloud.spec);
        if before.is_some() {
            self.inventory = Inventory::default();
        }
        let before = before.or_else(|| self.link.take_if(|link| link.refused));
        if let Some(link) = &mut self.link {
            link.wanted = wanted;
            return Ok(());
        }
        let is_same = |link: Option<&Link>| link.is_some_and(|link| link.spec == cloud.spec);
        let client = match self.ports.connector.connect(cloud).await {
            Ok(client) => client,
            // An `OtaCloud` that is deleted together with its Secret stops its jobs with the previous credentials.
            Err(error) if cloud.metadata.deletion_timestamp.is_some() && is_same(before.as_ref()) => {
                tracing::warn!(account = %self.home, "cannot read the credentials, so the previous ones stay in use until the account is deleted: {error}");
                self.link = before.map(|link| Link { wanted, ..link });
                return Ok(());
            }
            Err(error) => {
                self.link = before.map(|link| Link { refused: true, ..link });
                return Err(error.into());
            }
        };
        let account = match before {
            Some(before) => before.account.reconnected(client, cloud.spec.budget),
            None => Account::new(client, cloud.spec.budget, self.ports.clone(), self.heartbeat.clone()),
        };
        let drift_interval = cloud.spec.drift_interval.as_signed();
        self.link = Some(Link {
            account,
            drift_interval,
            drift_due: self.ports.clock.now().saturating_add(drift_interval).unwrap_or(Timestamp::MAX),
            wanted,
            uid: cloud.metadata.uid.clone(),
            spec: cloud.spec.clone(),
            refused: false,
        });
        Ok(())
    }

    /// Continues the reconcile, after other due objects.
    pub(super) fn begin_slice(&mut self) {
        self.slice = Slice::after(self.link.as_ref().map_or(0, |link| link.account.requests()));
    }

    fn check_outage(&self) -> Result<(), Trouble> {
        self.outage.check(self.ports.clock.now()).map_err(Trouble::Outage)
    }

    pub(super) async fn package(&self, key: &ObjectKey) -> Result<Option<OtaPackage>, Trouble> {
        Ok(match self.store.load(key).await?.as_deref() {
            Some(Object::Package(package)) => Some(package.clone()),
            _ => None,
        })
    }

    /// Waits from now on for every create with unknown outcome.
    pub(super) fn count_anew(&mut self) {
        self.born = self.ports.clock.now();
    }

    /// The times that the journal uses.
    pub(super) fn times(&self) -> Times {
        Times { born: self.born, turn_began: self.began, now: self.ports.clock.now(), clocks: self.clocks() }
    }

    /// What the time of decisions is based on.
    pub(super) fn clocks(&self) -> Clocks {
        let cloud = self.link.as_ref().and_then(|link| link.account.cloud_time());
        Clocks { steady_since: self.steady_since, boot: self.ports.clock.boot(), cloud }
    }

    pub(super) fn capabilities(&self) -> Option<&Capabilities> {
        self.link.as_ref().map(|link| link.account.cloud().capabilities())
    }

    /// True when the object belongs to this worker now.
    pub(super) async fn owns(&self, object: &Object) -> Result<bool, Trouble> {
        match object {
            Object::Rollout(_) => Ok(home_of(self.store.as_ref(), object).await? == self.home),
            _ => Ok(object.cloud_ref().as_ref() == Some(&self.home)),
        }
    }
}

/// The `OtaCloud` whose worker an object belongs to. A rollout without a package belongs to a worker without an
/// `OtaCloud`, which can only report that.
pub(super) async fn home_of(store: &dyn Store, object: &Object) -> Result<ObjectKey, StateError> {
    let package = match object.waits_for().filter(|key| key.kind == Kind::OtaPackage) {
        Some(package) => store.load(&package).await?,
        None => None,
    };
    Ok(object.account(package.as_deref()))
}

fn no_cloud(store: &dyn Store, home: &ObjectKey) -> CallError {
    if store.is_set_aside(home) {
        let error = CallError::new(ErrorClass::Invalid, "Connect", format!("{home} is invalid"));
        let error = error.next_step("correct that OtaCloud: its status shows what is wrong");
        return CallError { reason: Some(Reason::AccountInvalid), ..error };
    }
    let error = CallError::new(ErrorClass::Invalid, "Connect", format!("{home} does not exist"))
        .next_step("apply an OtaCloud of that name");
    CallError { reason: Some(Reason::AccountMissing), ..error }
}
