//! The reconcile of one object: load ▸ observe ▸ plan ▸ act ▸ report.

use super::act::Acted;
use super::basis::Basis;
use super::external_jobs::Age;
use super::freshness::Evidence;
use super::journal::{self, LOOK_AGAIN};
use super::observe::RolloutSight;
use super::queue::Class;
use super::subject::Subject;
use super::worker::{Trouble, Worker};
use crate::api::{Kind, Object, ObjectKey, OtaCloud, OtaPackage, OtaRollout, Request};
use crate::cloud::{Call, Cursor, PackageKind};
use crate::decide::{self, Plan, Requeue};
use jiff::{SignedDuration, Timestamp};
use std::{borrow::Cow, sync::Arc};

/// Passes (observations and creates) of one reconcile; an object that needs more is queued again, so that others come
/// between.
const PASSES: usize = 8;
/// An object is reconciled again within this time, whatever was decided.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// The result of a reconcile.
pub(super) struct Turn {
    /// The status changed.
    pub(super) changed: bool,
    /// When the object is reconciled next, and how urgently.
    pub(super) requeue: Option<(Class, Timestamp)>,
}

/// A decision about an object, and its basis.
pub(super) struct Judged<S> {
    pub(super) plan: Plan<S>,
    pub(super) basis: Basis,
}

impl Turn {
    const fn over(changed: bool) -> Self {
        Self { changed, requeue: None }
    }
}

impl Worker {
    pub(super) async fn reconcile(&mut self, key: &ObjectKey, class: Class) -> Result<Turn, Trouble> {
        let Some(object) = self.store.load(key).await? else { return Ok(Turn::over(false)) };
        if !self.owns(&object).await? {
            return Ok(Turn::over(false));
        }
        self.check_sole_account(&object).await?;
        match object.as_ref() {
            Object::Cloud(cloud) => self.reconcile_cloud(cloud, class).await,
            Object::Package(package) => self.reconcile_subject(package, class).await,
            Object::Rollout(rollout) => self.reconcile_subject(rollout, class).await,
        }
    }

    async fn reconcile_subject<S: Subject>(&mut self, stored: &S, class: Class) -> Result<Turn, Trouble> {
        let subject = self.with_intents_inherited(stored);
        let evidence = self.evidence.max(self.evidence_for(subject.as_ref()));
        let mut judged = subject.judge(self, evidence, class).await?;
        if !stored.is_in_doubt() && changes_nothing(&judged.plan, stored.status()) {
            return Ok(self.next_turn(false, judged.plan.requeue, S::CLASS));
        }
        let mut subject = subject.into_owned();
        for _ in 0..PASSES {
            let evidence = match self.act(&mut subject, judged, class).await? {
                Acted::LookFirst => self.evidence_to_create(&subject),
                Acted::PlanAgain => self.evidence_for(&subject),
                Acted::Released => return Ok(Turn::over(true)),
                Acted::Settled(requeue) => return self.end_turn(stored, &subject, requeue).await,
            };
            self.is_connected = false;
            if !self.renew(&mut subject).await? {
                return Ok(Turn::over(true));
            }
            judged = subject.judge(self, evidence, class).await?;
        }
        Ok(self.unfinished_turn(subject.status() != stored.status(), class))
    }

    async fn end_turn<S: Subject>(
        &mut self,
        stored: &S,
        subject: &S,
        requeue: Requeue,
    ) -> Result<Turn, Trouble> {
        let requeue = sooner_in_doubt(subject, requeue);
        let changed = subject.status() != stored.status();
        if changed {
            self.save(S::pick("PackageStatus", "RolloutStatus"), &subject.object()).await?;
        }
        Ok(self.next_turn(changed, requeue, S::CLASS))
    }

    /// Decides what should happen to a package next, and which list row that is based on; observes, and changes
    /// nothing.
    ///
    /// # Errors
    /// The error of a call, or of the state.
    pub(super) async fn judge_package(
        &mut self,
        package: &OtaPackage,
        evidence: Evidence,
        class: Class,
    ) -> Result<Judged<<OtaPackage as Subject>::Status>, Trouble> {
        let refusal = self.refusal_of(package.metadata.namespace.as_deref()).await?;
        if let Some(plan) = decide::package::plan_unseen(package, refusal, self.ports.clock.now()) {
            return Ok(self.judged(plan, package, []));
        }
        if self.store.load(&self.home).await?.is_none()
            && let Some(plan) = decide::package::plan_without_account(package, self.ports.clock.now())
        {
            return Ok(self.judged(plan, package, []));
        }
        let mut sight = self.observe_package(package, evidence, class).await?;
        let capabilities = self.connect().await?.account.cloud().capabilities().clone();
        let view = sight.view(package, &capabilities, &self.inventory, self.ports.clock.now());
        let mut plan = decide::package::plan(&view);
        for age in Age::BOTH {
            let held = self.ask_who_holds(&plan.actions, age, class).await?;
            if held.is_nothing() {
                continue;
            }
            sight.unasked_jobs = held.unasked;
            sight.results.extend(held.results);
            let view = sight.view(package, &capabilities, &self.inventory, self.ports.clock.now());
            plan = decide::package::plan(&view);
        }
        self.remember_comparison(package, &mut plan.status);
        Ok(self.judged(plan, package, []))
    }

    /// Decides what should happen to a rollout next; observes, and changes nothing.
    ///
    /// # Errors
    /// The error of a call, or of the state.
    pub(super) async fn judge_rollout(
        &mut self,
        rollout: &OtaRollout,
        evidence: Evidence,
        class: Class,
    ) -> Result<Judged<<OtaRollout as Subject>::Status>, Trouble> {
        if let Some(plan) = decide::rollout::plan_unseen(rollout, self.ports.clock.now()) {
            return Ok(self.judged(plan, rollout, []));
        }
        let key = ObjectKey::of(Kind::OtaRollout, &rollout.metadata);
        let named = key.sibling(Kind::OtaPackage, &rollout.spec.package_ref.name);
        let object = self.store.load(&named).await?;
        let package = object.as_deref().and_then(Object::as_package);
        if package.is_some_and(|package| rollout.account_left(package).is_some())
            && self.store.load(&self.home).await?.is_none()
        {
            self.link = None;
            let plan = self.plan_rollout(rollout, package, &RolloutSight::default());
            return Ok(self.judged(plan, rollout, object.as_deref()));
        }
        let mut sight = self.observe_rollout(rollout, package, evidence, class).await?;
        let mut plan = self.plan_rollout(rollout, package, &sight);
        for age in Age::BOTH {
            let held = self.ask_who_holds(&plan.actions, age, class).await?;
            if held.is_nothing() {
                continue;
            }
            sight.unasked_jobs = held.unasked;
            sight.results.extend(held.results);
            plan = self.plan_rollout(rollout, package, &sight);
        }
        Ok(self.judged(plan, rollout, object.as_deref().into_iter().chain(sight.rivals.objects())))
    }

    /// A plan, and the basis of what it sends.
    fn judged<'a, S: Subject>(
        &self,
        plan: Plan<S::Status>,
        subject: &S,
        others: impl IntoIterator<Item = &'a Object>,
    ) -> Judged<S::Status> {
        if plan.actions.is_empty() {
            return Judged { plan, basis: Basis::default() };
        }
        // Decisions about an object whose account does not exist are not based on the account.
        let account = self.link.as_ref().filter(|_| self.is_connected).map(|link| &link.wanted);
        let basis = Basis::default().in_account(&self.home, account).with(&subject.object());
        Judged { plan, basis: others.into_iter().fold(basis, Basis::with) }
    }

    fn plan_rollout(
        &self,
        rollout: &OtaRollout,
        package: Option<&OtaPackage>,
        sight: &RolloutSight,
    ) -> Plan<<OtaRollout as Subject>::Status> {
        let now = self.ports.clock.now();
        let view = sight.view(rollout, package, self.capabilities(), &self.inventory, now, self.clocks());
        decide::rollout::plan(&view)
    }

    /// Reconciles the account as a whole. A deleted account is removed after everything that uses it, and serves it
    /// until then.
    async fn reconcile_cloud(&mut self, cloud: &OtaCloud, class: Class) -> Result<Turn, Trouble> {
        if cloud.metadata.deletion_timestamp.is_none() {
            return self.serve_cloud(cloud, None, class).await;
        }
        let Some(why) = self.needed_by().await? else {
            for name in cloud.secrets() {
                self.ports.connector.release_secret(cloud, name).await?;
            }
            self.forget("ForgetCloud", &self.home).await?;
            self.link = None;
            return Ok(Turn::over(true));
        };
        let look = self.ports.clock.now().saturating_add(decide::POLL).unwrap_or(Timestamp::MAX);
        let turn = self.serve_cloud(cloud, Some(why), class).await?;
        let requeue = turn.requeue.filter(|(_, due)| *due < look).unwrap_or((Class::RolloutStep, look));
        Ok(Turn { requeue: Some(requeue), ..turn })
    }

    /// Checks that the account answers and, at its drift interval, that everything is as it was.
    async fn serve_cloud(
        &mut self,
        cloud: &OtaCloud,
        kept_by: Option<String>,
        class: Class,
    ) -> Result<Turn, Trouble> {
        let now = self.ports.clock.now();
        if is_asked_for(cloud) {
            self.connect().await?.drift_due = now;
        }
        self.check_answers(class).await?;
        let due = self.connect().await?.drift_due;
        if let Some(former) = cloud.former_secret().filter(|_| kept_by.is_none()) {
            self.ports.connector.release_secret(cloud, former).await?;
        }
        let changed = self.report_cloud(cloud, kept_by.as_deref()).await?;
        if now < due {
            return Ok(Turn { changed, requeue: Some((Class::Drift, due)) });
        }
        if !self.drift_step().await? {
            return Ok(Turn { changed, requeue: Some((Class::Drift, now)) });
        }
        if kept_by.is_none()
            && let Err(error) = self.ports.connector.keep_secret(cloud).await
        {
            tracing::warn!("{error}");
        }
        let due = self.end_drift_round(now).await?;
        Ok(Turn { changed, requeue: Some((Class::Drift, due)) })
    }

    /// Makes sure that the account answers: by earlier calls, or else by one more.
    pub(super) async fn check_answers(&mut self, class: Class) -> Result<(), Trouble> {
        let account = &mut self.connect().await?.account;
        if !account.has_answered() {
            let probe =
                Call::ListPackages { kind: PackageKind::Firmware, exactly: None, cursor: Cursor::start() };
            account.call(&probe, class).await?;
        }
        Ok(())
    }

    /// Reads one more page of what drift is measured by; true once everything is fresh.
    async fn drift_step(&mut self) -> Result<bool, Trouble> {
        let kinds = match self.inventory.packages.being_read() {
            Some(kind) => vec![kind],
            None => self.kinds_in_use().await?,
        };
        let Some(link) = &mut self.link else { return Ok(true) };
        let listed = |kind: &PackageKind| self.inventory.packages.listed_at(*kind) >= Some(link.drift_due);
        let Some(kind) = kinds.into_iter().find(|kind| !listed(kind)) else { return Ok(true) };
        self.inventory.packages.list_step(&mut link.account, kind, Timestamp::MIN, Class::Drift).await?;
        Ok(false)
    }

    /// Everything was read: queues every object of the account for a comparison, behind other due objects.
    async fn end_drift_round(&mut self, now: Timestamp) -> Result<Timestamp, Trouble> {
        for key in self.needing().await? {
            self.queue.push(key, Class::Drift, now);
        }
        self.inventory.devices.end_round();
        let link = self.connect().await?;
        link.drift_due = now.saturating_add(link.drift_interval).unwrap_or(Timestamp::MAX);
        Ok(link.drift_due)
    }

    async fn kinds_in_use(&self) -> Result<Vec<PackageKind>, Trouble> {
        let mut kinds = Vec::new();
        for key in self.store.keys().await? {
            if key.kind == Kind::OtaPackage
                && let Some(object) = self.store.load(&key).await?
                && let Object::Package(package) = object.as_ref()
                && package.account() == self.home
                && !kinds.contains(&package.spec.kind)
            {
                kinds.push(package.spec.kind);
            }
        }
        Ok(kinds)
    }

    /// Every object that this account serves.
    pub(super) async fn needing(&self) -> Result<Vec<ObjectKey>, Trouble> {
        let mut needing = Vec::new();
        for key in self.store.keys().await? {
            if key.kind != Kind::OtaCloud
                && let Some(object) = self.store.load(&key).await?
                && self.owns(&object).await?
            {
                needing.push(key);
            }
        }
        Ok(needing)
    }

    /// What still uses the account, as a message; none when nothing does.
    async fn needed_by(&self) -> Result<Option<String>, Trouble> {
        let needing = self.needing().await?;
        let first = needing.first();
        Ok(first.map(|first| match needing.len() - 1 {
            0 => format!("deletion waits for {first}, which uses this account"),
            more => format!("deletion waits for {first} and {more} more, which use this account"),
        }))
    }

    /// True while a rollout uses this package.
    pub(super) async fn is_needed(&self, package: &ObjectKey) -> Result<bool, Trouble> {
        for key in self.store.keys().await? {
            if key.kind == Kind::OtaRollout
                && key.namespace == package.namespace
                && let Some(object) = self.store.load(&key).await?
                && let Object::Rollout(rollout) = object.as_ref()
                && rollout.spec.package_ref.name == package.name
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The object with the requests that an earlier process was about to send marked as ambiguous: they may have been
    /// sent, and are counted from now on.
    fn with_intents_inherited<'a, S: Subject>(&self, stored: &'a S) -> Cow<'a, S> {
        let mut subject = Cow::Borrowed(stored);
        if stored.is_in_doubt() {
            journal::inherit(subject.to_mut().pending(), &self.times());
        }
        subject
    }

    /// A request with unknown outcome is searched for in every reconcile, and a user who requests one wants the current
    /// state.
    fn evidence_for(&self, subject: &impl Subject) -> Evidence {
        if subject.is_asked_to_look() {
            Evidence::Since(self.began)
        } else if subject.is_in_doubt() {
            self.evidence_to_create(subject)
        } else {
            let due = subject.look_due(&self.clocks(), self.ports.clock.now());
            due.map_or(Evidence::Known, Evidence::Since)
        }
    }

    /// The evidence that a create of the object needs. An observation made for another object serves too.
    fn evidence_to_create(&self, subject: &impl Subject) -> Evidence {
        let counts = |limits| journal::look_since(subject.intents(), &self.times(), limits);
        Evidence::Since(self.capabilities().map_or(self.began, counts))
    }

    /// A reconcile that used up its passes. Observations that were too old are not repeated at once: the cause would
    /// make them too old again.
    fn unfinished_turn(&self, changed: bool, class: Class) -> Turn {
        let wait = if self.evidence == Evidence::Known { SignedDuration::ZERO } else { LOOK_AGAIN };
        let due = self.ports.clock.now().saturating_add(wait).unwrap_or(Timestamp::MAX);
        Turn { changed, requeue: Some((class, due)) }
    }

    fn next_turn(&self, changed: bool, requeue: Requeue, class: Class) -> Turn {
        let now = self.ports.clock.now();
        let wait = match requeue {
            // The drift round of the account wakes it.
            Requeue::AtDriftInterval => return Turn::over(changed),
            Requeue::After(wait) => wait.min(LONGEST_WAIT),
        };
        let due = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        Turn { changed, requeue: Some((class, due)) }
    }
}

/// While the outcome of a request is unknown, the next reconcile is soon.
fn sooner_in_doubt(subject: &impl Subject, requeue: Requeue) -> Requeue {
    match requeue {
        _ if !subject.is_in_doubt() => requeue,
        Requeue::After(wait) => Requeue::After(wait.min(LOOK_AGAIN)),
        Requeue::AtDriftInterval => Requeue::After(LOOK_AGAIN),
    }
}

/// True when a user requested a drift round.
fn is_asked_for(cloud: &OtaCloud) -> bool {
    let handled = cloud.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    Request::Reconcile.open(&cloud.metadata, handled).is_some()
}

/// True when carrying out the plan would change nothing, in the cloud or here.
fn changes_nothing<S: PartialEq>(plan: &Plan<S>, status: Option<&S>) -> bool {
    plan.actions.is_empty() && status == Some(&plan.status)
}

/// Takes the object out of its shared pointer, for functions that change it.
#[must_use]
pub(super) fn owned(object: Arc<Object>) -> Object {
    Arc::unwrap_or_clone(object)
}
