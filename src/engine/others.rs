//! What other objects of the account may have sent without the cloud's list showing it yet.
//!
//! A device takes one job at a time, and the judge sees who is busy by the list of jobs. A job whose create was not answered,
//! or which the list does not show yet, is not in it: nobody sends another one before it is.

use super::act::{Acted, Subject};
use super::inventory::Inventory;
use super::journal::{self, Times};
use super::lane::{Lane, Trouble};
use crate::api::{CreateOperation, Intent, Object};
use crate::cloud::Capabilities;
use crate::plan::Again;
use jiff::Timestamp;

impl Lane {
    /// How a job that has not left before waits for the jobs of other objects; none when all of them are seen.
    pub(super) async fn wait_for_others<S: Subject>(
        &mut self,
        subject: &mut S,
        token: &str,
        operation: CreateOperation,
        limits: &Capabilities,
    ) -> Result<Option<Acted>, Trouble> {
        // What left before goes on: two that wait for each other would wait for ever.
        let has_left = subject.pending().iter().any(|intent| intent.token == token);
        if operation != CreateOperation::CreateJob || has_left {
            return Ok(None);
        }
        let (key, times) = (subject.object().key(), self.times());
        for other in self.store.keys().await? {
            if other == key {
                continue;
            }
            let Some(object) = self.store.load(&other).await? else { continue };
            if has_unseen_job(&object, &self.inventory, limits, &times) && self.owns(&object).await? {
                let message = format!("waits until the cloud shows what {other} has sent");
                subject.say("DispatchBlocked", &message, times.now);
                return Ok(Some(Acted::Settled(Again::After(journal::LOOK_AGAIN))));
            }
        }
        Ok(None)
    }
}

/// True while a job of the object may exist that nobody has seen.
fn has_unseen_job(object: &Object, inventory: &Inventory, limits: &Capabilities, times: &Times) -> bool {
    let in_doubt =
        |pending: &[Intent]| pending.iter().any(|intent| intent.operation == CreateOperation::CreateJob);
    let is_hidden = |id: &str, created: Option<Timestamp>| {
        // By the cloud's clock, which may be ahead of ours: then it is waited for longer, and never too short.
        let counted = created.map(|at| at.max(times.born));
        let visible = counted.and_then(|at| at.saturating_add(limits.visibility_lag).ok());
        // A list that was begun before may lack it, however long ago that was.
        let may_be_missed =
            |visible: Timestamp| inventory.jobs.oldest_list().is_none_or(|began| began < visible);
        visible.is_some_and(may_be_missed) && inventory.jobs.get(id).is_none()
    };
    match object {
        Object::Cloud(_) => false,
        Object::Package(package) => package.status.as_ref().is_some_and(|status| {
            let trial = status.verification.as_ref();
            let hidden =
                trial.and_then(|trial| Some(is_hidden(trial.job_id.as_deref()?, trial.dispatched_at)));
            in_doubt(&status.pending) || hidden == Some(true)
        }),
        Object::Rollout(rollout) => rollout.status.as_ref().is_some_and(|status| {
            let mut jobs = status.stages.iter().flat_map(|stage| &stage.jobs);
            in_doubt(&status.pending) || jobs.any(|job| is_hidden(&job.id, job.created_at))
        }),
    }
}
