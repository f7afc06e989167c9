//! Carries out decisions: creates through the journal, everything else directly.

use super::basis::Basis;
use super::context::Reconcile;
use super::journal;
use super::stages::{Acted, Decided};
use super::subject::Subject;
use super::trouble::Trouble;
use crate::api::{Intent, Kind, Object, OtaPackageStatus, Reason};
use crate::cloud::{Call, ErrorClass};
use crate::decide::{Action, Requeue};

impl Reconcile<'_> {
    /// Carries out a plan. Stops after the first action that changes what the next decision depends on.
    pub(super) async fn act<S: Subject>(
        &mut self,
        subject: &mut S,
        Decided { plan, basis }: Decided<S::Status>,
    ) -> Result<Acted, Trouble> {
        subject.set_status(plan.status);
        settle_what_is_held(subject);
        if self.lose_what_nothing_tells(subject).await? {
            return Ok(Acted::DecideAgain);
        }
        self.forget_what_never_was(subject, &plan.actions);
        for action in plan.actions {
            match action {
                Action::CreatePackage { token, package } => {
                    return self.create_package(subject, (token, package), &basis).await;
                }
                Action::CreateJob { stage, job } => {
                    return self.create_job(subject, (stage, job), &basis).await;
                }
                _ if !basis.still_stands(self.store()).await? => return Ok(Acted::DecideAgain),
                Action::DeletePackage { id } => {
                    return self.delete_package(subject, &id, &basis).await;
                }
                Action::StopJob { id } => {
                    let call = Call::StopJob { id: id.clone() };
                    self.order_job(&call, &id).await?;
                }
                Action::DeleteJob { id } => {
                    self.order_job(&Call::DeleteJob { id: id.clone() }, &id).await?;
                }
                Action::Release => return self.release(subject).await,
            }
        }
        Ok(Acted::Settled(plan.requeue))
    }

    /// Drops requests that a conclusive observation did not find and that the current plan does not want any more (the
    /// spec has changed since).
    fn forget_what_never_was<S: Subject>(&self, subject: &mut S, actions: &[Action]) {
        let Some(limits) = self.capabilities() else { return };
        let times = self.times();
        let is_wanted = |token: &str| actions.iter().any(|action| token_of(action) == Some(token));
        // Where jobs cannot be stopped, the end of an unwanted job may still have to be awaited.
        let runs = |token: &str| {
            let mut jobs = self.worker.inventory.jobs.all();
            jobs.any(|job| job.token.as_deref() == Some(token) && !job.state.is_final())
        };
        let pending = std::mem::take(subject.pending());
        let (open, lapsed): (Vec<Intent>, Vec<Intent>) = pending.into_iter().partition(|intent| {
            let looked_at = subject.looked_at(intent.operation, &self.worker.inventory);
            is_wanted(&intent.token)
                || runs(&intent.token)
                || !looked_at.is_some_and(|at| journal::has_lapsed(intent, at, &times, limits))
        });
        *subject.pending() = open;
        for intent in lapsed {
            tracing::info!(token = intent.token, "the request took no effect and is no longer needed");
        }
    }

    /// Stops or deletes a job and reads it again: it may have ended, been deleted or been resumed since it was
    /// observed.
    async fn order_job(&mut self, call: &Call, id: &str) -> Result<(), Trouble> {
        let now = self.now();
        match self.caller().await?.call(call).await {
            Ok(_) => {}
            Err(error) if matches!(error.class, ErrorClass::Conflict | ErrorClass::NotFound) => {
                tracing::info!(job = id, "the cloud refused to stop or delete the job: {error}");
            }
            Err(error) => return Err(error.into()),
        }
        let Some((mut caller, inventory)) = self.reader() else { return Ok(()) };
        Ok(inventory.jobs.look(&mut caller, id, now).await?)
    }

    async fn delete_package<S: Subject>(
        &mut self,
        subject: &mut S,
        id: &str,
        basis: &Basis,
    ) -> Result<Acted, Trouble> {
        let limits = self.limits().await?;
        if let Some(wait) = self.wait_for_rollouts(subject, &limits).await? {
            return Ok(wait);
        }
        let decided = subject.object();
        let stored = self.store().load(&decided.key()).await?;
        // A delete that is refused repeatedly is recorded once.
        if stored.is_none_or(|stored| facts(&stored) != facts(&decided)) {
            self.worker.save("BeforeDelete", &decided).await?;
        }
        if !self.may_send(basis).await? {
            return Ok(Acted::DecideAgain);
        }
        match self.caller().await?.call(&Call::DeletePackage { id: id.to_owned() }).await {
            Ok(_) => {}
            Err(error) if error.class == ErrorClass::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        self.worker.inventory.packages.remove(id);
        Ok(Acted::DecideAgain)
    }

    /// Removes the object from the state; a package only after the rollouts that use it, because they need it to
    /// identify their jobs.
    async fn release<S: Subject>(&mut self, subject: &mut S) -> Result<Acted, Trouble> {
        let key = subject.object().key();
        if key.kind == Kind::OtaPackage && !self.graph().rollouts_of(&key).await?.is_empty() {
            subject.say(Reason::WaitingForRollouts, "deleted after the rollouts that use it", self.now());
            // It is woken when the last of these rollouts is deleted or uses another package.
            return Ok(Acted::Settled(Requeue::AtDriftInterval));
        }
        self.worker.forget("ForgetObject", &key).await?;
        Ok(Acted::Released)
    }
}

/// The status of a package without conditions, decisions and message.
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

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, WORLD, cloud, package, rollout};
    use crate::api::{Kind, ObjectKey};
    use jiff::SignedDuration;

    /// Deleting it needs to know only which of its jobs still run.
    #[tokio::test(start_paused = true)]
    async fn a_rollout_whose_failed_devices_cannot_be_read_is_deleted() {
        let failing = "- {version: V2, failureRate: 60%, duration: {min: 10m, max: 20m}}";
        let bench = Bench::new(&WORLD.replace("- {version: V2, duration: {min: 10m, max: 20m}}", failing));
        let mut site = bench.site();
        site.apply(&[cloud("lab", "a"), package("v2", "lab", "V2"), rollout("r", "v2", 20)].concat()).await;
        let key = ObjectKey::new(Kind::OtaRollout, "default", "r");
        site.until("devices have failed", |store| {
            store.get(&key).is_some_and(|object| object.message().contains("failed"))
        })
        .await;
        bench.break_paths(&["task_detail_status"]);
        site.remove(&key).await;
        site.until("it is deleted", |store| store.get(&key).is_none()).await;
    }

    /// No drift round wakes it: its account does not exist.
    #[tokio::test(start_paused = true)]
    async fn a_package_is_deleted_once_its_last_rollout_uses_another_one_although_its_account_is_gone() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        site.apply(&[cloud("lab", "a"), package("v2", "lab", "V2")].concat()).await;
        site.work(SignedDuration::from_mins(2)).await;
        let (account, v2) = (
            ObjectKey::new(Kind::OtaCloud, "default", "lab"),
            ObjectKey::new(Kind::OtaPackage, "default", "v2"),
        );
        site.store.remove_by_force(&account);
        site.remove(&account).await;
        let orphan = package("v2", "lab", "V2") + "  deletionPolicy: Orphan\n";
        site.apply(&(orphan + &rollout("r", "v2", 5))).await;
        site.remove(&v2).await;
        site.work(SignedDuration::from_mins(10)).await;
        assert_eq!(site.said(&v2).0, "Deleting", "{:?}", site.said(&v2));
        site.apply(&(package("v3", "lab", "V3") + &rollout("r", "v3", 5))).await;
        site.until("it is deleted", |store| store.get(&v2).is_none()).await;
    }
}
