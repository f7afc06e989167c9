//! Doing what was decided: creates through the journal, everything else straight.

use super::basis::Basis;
use super::journal;
use super::queue::Class;
use super::reconcile::Judged;
use super::subject::Subject;
use super::worker::{Trouble, Worker};
use crate::api::{Intent, Kind, Object, OtaPackageStatus, Reason};
use crate::cloud::{Call, ErrorClass};
use crate::decide::{Action, Requeue};

/// What came of a plan's actions.
pub(super) enum Acted {
    /// A create needs a fresh look before it may leave.
    LookFirst,
    /// Something was done: plan again with what is known of it.
    PlanAgain,
    /// The object is gone.
    Released,
    /// Nothing more to do now.
    Settled(Requeue),
}

impl Worker {
    /// Carries out a plan. Stops after the first thing that changes what the judge must see.
    pub(super) async fn act<S: Subject>(
        &mut self,
        subject: &mut S,
        Judged { plan, basis }: Judged<S::Status>,
        class: Class,
    ) -> Result<Acted, Trouble> {
        subject.set_status(plan.status);
        settle_what_is_held(subject);
        if self.lose_what_nothing_tells(subject, class).await? {
            return Ok(Acted::PlanAgain);
        }
        self.forget_what_never_was(subject, &plan.actions);
        for action in plan.actions {
            match action {
                Action::CreatePackage { token, package } => {
                    return self.create_package(subject, (token, package), &basis, class).await;
                }
                Action::CreateJob { stage, job } => {
                    return self.create_job(subject, (stage, job), &basis, class).await;
                }
                _ if !self.still_stands(&basis).await? => return Ok(Acted::PlanAgain),
                Action::DeletePackage { id } => {
                    return self.delete_package(subject, &id, &basis, class).await;
                }
                Action::StopJob { id } => {
                    let call = Call::StopJob { id: id.clone(), devices: Vec::new() };
                    self.order_job(&call, &id, class).await?;
                }
                Action::DeleteJob { id } => {
                    self.order_job(&Call::DeleteJob { id: id.clone() }, &id, class).await?;
                }
                Action::Release => return self.release(subject).await,
            }
        }
        Ok(Acted::Settled(plan.requeue))
    }

    /// Calls whose work a truthful look did not find, and which the judge does not want any more (the spec has changed
    /// since): they wait for nothing.
    fn forget_what_never_was<S: Subject>(&self, subject: &mut S, actions: &[Action]) {
        let Some(limits) = self.capabilities() else { return };
        let times = self.times();
        let is_wanted = |token: &str| actions.iter().any(|action| token_of(action) == Some(token));
        // Where nothing can be stopped a job that is not wanted any more may be the only thing that is left to wait for.
        let runs = |token: &str| {
            let mut jobs = self.inventory.jobs.all();
            jobs.any(|job| job.token.as_deref() == Some(token) && !job.state.is_final())
        };
        let pending = std::mem::take(subject.pending());
        let (open, lapsed): (Vec<Intent>, Vec<Intent>) = pending.into_iter().partition(|intent| {
            let looked_at = subject.looked_at(intent.operation, &self.inventory);
            is_wanted(&intent.token)
                || runs(&intent.token)
                || !looked_at.is_some_and(|at| journal::has_lapsed(intent, at, &times, limits))
        });
        *subject.pending() = open;
        for intent in lapsed {
            tracing::info!(token = intent.token, "the call never happened, and is not wanted any more");
        }
    }

    /// Stops or deletes a job, and looks what came of it: it may have ended, gone, or run again since it was seen.
    async fn order_job(&mut self, call: &Call, id: &str, class: Class) -> Result<(), Trouble> {
        let now = self.ports.clock.now();
        let link = self.connect().await?;
        match link.account.call(call, class).await {
            Ok(_) => {}
            Err(error) if matches!(error.class, ErrorClass::Conflict | ErrorClass::NotFound) => {
                tracing::info!(job = id, "refused: {error}");
            }
            Err(error) => return Err(error.into()),
        }
        let Some(link) = &mut self.link else { return Ok(()) };
        Ok(self.inventory.jobs.look(&mut link.account, id, now, class).await?)
    }

    async fn delete_package<S: Subject>(
        &mut self,
        subject: &mut S,
        id: &str,
        basis: &Basis,
        class: Class,
    ) -> Result<Acted, Trouble> {
        let limits = self.connect().await?.account.cloud().capabilities().clone();
        if let Some(wait) = self.wait_for_rollouts(subject, &limits).await? {
            return Ok(wait);
        }
        let decided = subject.object();
        let stored = self.store.load(&decided.key()).await?;
        // A delete that is refused time and again is written down once.
        if stored.is_none_or(|stored| facts(&stored) != facts(&decided)) {
            self.save("BeforeDelete", &decided).await?;
        }
        if !self.may_leave(basis, class).await? {
            return Ok(Acted::PlanAgain);
        }
        let link = self.connect().await?;
        match link.account.call(&Call::DeletePackage { id: id.to_owned() }, class).await {
            Ok(_) => {}
            Err(error) if error.class == ErrorClass::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        self.inventory.packages.remove(id);
        Ok(Acted::PlanAgain)
    }

    /// Lets an object go; a package only after the rollouts that need it, so that they can still be told apart.
    async fn release<S: Subject>(&mut self, subject: &mut S) -> Result<Acted, Trouble> {
        let key = subject.object().key();
        if key.kind == Kind::OtaPackage && self.is_needed(&key).await? {
            subject.say(
                Reason::WaitingForRollouts,
                "deleted after the rollouts that name it",
                self.ports.clock.now(),
            );
            // It is woken when the last of them is gone.
            return Ok(Acted::Settled(Requeue::AtDriftInterval));
        }
        self.forget("ForgetObject", &key).await?;
        Ok(Acted::Released)
    }
}

/// The status of a package without what is only said of it.
fn facts(object: &Object) -> Option<OtaPackageStatus> {
    let status = object.as_package()?.status.clone()?;
    Some(OtaPackageStatus { conditions: Vec::new(), decisions: Vec::new(), message: String::new(), ..status })
}

fn token_of(action: &Action) -> Option<&str> {
    match action {
        Action::CreatePackage { token, .. } => Some(token),
        Action::CreateJob { job, .. } => Some(&job.token),
        Action::DeletePackage { .. }
        | Action::StopJob { .. }
        | Action::DeleteJob { .. }
        | Action::Release => None,
    }
}

fn settle_what_is_held<S: Subject>(subject: &mut S) {
    let pending = std::mem::take(subject.pending());
    let open = pending.into_iter().filter(|intent| !subject.holds(intent)).collect();
    *subject.pending() = open;
}
