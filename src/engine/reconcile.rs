//! The reconcile of one object: load ▸ observe ▸ decide ▸ act ▸ report.

use super::context::Reconcile;
use super::decision::Decide;
use super::freshness::Evidence;
use super::journal::{self, LOOK_AGAIN};
use super::priority::Priority;
use super::stages::{Acted, Reconciled};
use super::subject::Subject;
use super::trouble::Trouble;
use crate::api::{Object, ObjectKey};
use crate::decide::{Plan, Requeue};
use jiff::{SignedDuration, Timestamp};
use std::borrow::Cow;

/// Passes (observations and creates) of one reconcile; an object that needs more is queued again, so that others come
/// between.
const PASSES: usize = 8;
/// An object is reconciled again within this time, whatever was decided.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);

impl Reconcile<'_> {
    /// Reconciles the object, if it still belongs to this worker.
    pub(super) async fn run(&mut self, key: &ObjectKey) -> Result<Reconciled, Trouble> {
        let Some(object) = self.store().load(key).await? else { return Ok(Reconciled::over(false)) };
        if !self.owns(&object).await? {
            return Ok(Reconciled::over(false));
        }
        self.check_sole_account(&object).await?;
        match object.as_ref() {
            Object::Cloud(cloud) => self.reconcile_cloud(cloud).await,
            Object::Package(package) => self.reconcile_subject(package).await,
            Object::Rollout(rollout) => self.reconcile_subject(rollout).await,
        }
    }

    async fn reconcile_subject<S: Decide>(&mut self, stored: &S) -> Result<Reconciled, Trouble> {
        let subject = self.with_intents_inherited(stored);
        self.evidence = self.evidence.max(self.evidence_for(subject.as_ref()));
        let mut decided = subject.decide(self).await?;
        if !stored.is_in_doubt() && changes_nothing(&decided.plan, stored.status()) {
            return Ok(self.requeued(false, decided.plan.requeue, S::PRIORITY));
        }
        let mut subject = subject.into_owned();
        for _ in 0..PASSES {
            self.evidence = match self.act(&mut subject, decided).await? {
                Acted::ObserveFirst => self.evidence_to_create(&subject),
                Acted::DecideAgain => self.evidence_for(&subject),
                Acted::Released => return Ok(Reconciled::over(true)),
                Acted::Settled(requeue) => return self.end(stored, &subject, requeue).await,
            };
            self.is_connected = false;
            if !self.renew(&mut subject).await? {
                return Ok(Reconciled::over(true));
            }
            decided = subject.decide(self).await?;
        }
        Ok(self.unfinished(subject.status() != stored.status()))
    }

    /// Takes over what users changed of the object since it was loaded; false when it was deleted or belongs to another
    /// worker now.
    async fn renew<S: Subject>(&self, subject: &mut S) -> Result<bool, Trouble> {
        let Some(stored) = self.store().load(&subject.key()).await? else { return Ok(false) };
        Ok(self.owns(&stored).await? && subject.take_spec(&stored))
    }

    async fn end<S: Subject>(
        &mut self,
        stored: &S,
        subject: &S,
        requeue: Requeue,
    ) -> Result<Reconciled, Trouble> {
        let requeue = sooner_in_doubt(subject, requeue);
        let changed = subject.status() != stored.status();
        if changed {
            self.worker.save(S::pick("PackageStatus", "RolloutStatus"), &subject.object()).await?;
        }
        Ok(self.requeued(changed, requeue, S::PRIORITY))
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
            let due = subject.look_due(&self.clocks(), self.now());
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
    fn unfinished(&self, changed: bool) -> Reconciled {
        let wait = if self.evidence == Evidence::Known { SignedDuration::ZERO } else { LOOK_AGAIN };
        let due = self.now().saturating_add(wait).unwrap_or(Timestamp::MAX);
        Reconciled { changed, requeue: Some((self.priority, due)) }
    }

    fn requeued(&self, changed: bool, requeue: Requeue, priority: Priority) -> Reconciled {
        let wait = match requeue {
            // The drift round of the account wakes it.
            Requeue::AtDriftInterval => return Reconciled::over(changed),
            Requeue::After(wait) => wait.min(LONGEST_WAIT),
        };
        let due = self.now().saturating_add(wait).unwrap_or(Timestamp::MAX);
        Reconciled { changed, requeue: Some((priority, due)) }
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

/// True when carrying out the plan would change nothing, in the cloud or here.
fn changes_nothing<S: PartialEq>(plan: &Plan<S>, status: Option<&S>) -> bool {
    plan.actions.is_empty() && status == Some(&plan.status)
}
