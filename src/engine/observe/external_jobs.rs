//! Which of the devices of the next job are held by an external job. External jobs are queried right before the
//! dispatch, because lists do not show it on every cloud.

use crate::cloud::{DeviceResult, NamedDevices, NewJob};
use crate::decide::Action;
use crate::decide::needs::{self, Question};
use crate::engine::context::Reconcile;
use crate::engine::freshness::{Evidence, JUST_POLLED};
use crate::engine::trouble::Trouble;
use jiff::SignedDuration;
use std::collections::BTreeMap;

/// Querying external jobs may take this part of the budget at most, while held devices are waited for.
const SHARE: i32 = 4;

/// How old answers of external jobs may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Age {
    /// Fresh enough to keep waiting for a held device.
    Recent,
    /// Fresh enough to send a job.
    Fresh,
}

impl Age {
    /// In the order in which they are tried: nothing is sent on recent answers.
    pub(in crate::engine) const BOTH: [Self; 2] = [Self::Recent, Self::Fresh];
}

/// What external jobs report of the devices of the next job.
#[derive(Default)]
pub(in crate::engine) struct Held {
    /// By job: what it reports of the queried devices.
    pub(in crate::engine) results: BTreeMap<String, Vec<DeviceResult>>,
    /// Number of jobs that were not queried because they are too many.
    pub(in crate::engine) unasked: usize,
}

impl Held {
    /// True when the answers add nothing that stands in the way of the job.
    pub(in crate::engine) fn is_nothing(&self) -> bool {
        self.results.is_empty() && self.unasked == 0
    }
}

impl Reconcile<'_> {
    /// What external jobs report of the devices of the next job; empty when no job is next, when lists show it, or when
    /// no external job has these devices.
    pub(in crate::engine) async fn ask_who_holds(
        &mut self,
        actions: &[Action],
        age: Age,
    ) -> Result<Held, Trouble> {
        let Some(new) = next_job(actions) else { return Ok(Held::default()) };
        let questions = match self.questions(new) {
            Ok(questions) => questions,
            Err(unasked) => return Ok(Held { unasked, ..Held::default() }),
        };
        let age = match age {
            // A user who requests a reconcile wants the current state.
            Age::Recent if self.evidence == Evidence::Known => {
                self.time_to_ask(&questions).saturating_mul(SHARE).max(JUST_POLLED)
            }
            Age::Recent | Age::Fresh => JUST_POLLED,
        };
        let (since, slice) = (self.since(age), self.slice);
        let Some((mut caller, inventory)) = self.reader() else { return Ok(Held::default()) };
        let product = &new.package.product;
        for Question { job, devices } in questions {
            slice.check(caller.account)?;
            let named = NamedDevices { product: product.clone(), ids: devices };
            inventory.jobs.ask(&mut caller, &job, named, since).await?;
        }
        Ok(Held { results: inventory.jobs.answers(product, since), unasked: 0 })
    }

    /// How long the budget needs for these queries.
    fn time_to_ask(&self, questions: &[Question]) -> SignedDuration {
        let most = self.capabilities().map_or(1, |limits| limits.max_devices_per_question.max(1));
        let requests: usize = questions.iter().map(|question| question.devices.len().div_ceil(most)).sum();
        let rate_milli = self.worker.link.as_ref().map_or(1_000, |link| link.account.rate_milli()).max(1);
        let millis = (requests as u64).saturating_mul(1_000_000) / rate_milli;
        SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    /// Which jobs must be queried before this one is sent. Jobs of another product hold none of its devices.
    pub(in crate::engine) fn questions(&self, new: &NewJob) -> Result<Vec<Question>, usize> {
        let Some(limits) = self.capabilities() else { return Ok(Vec::new()) };
        let is_elsewhere = |id: &String| {
            let product = self.worker.inventory.packages.product_of(id);
            product.is_some_and(|product| product != new.package.product)
        };
        let jobs = &self.worker.inventory.jobs;
        let mut questions = needs::questions(new, jobs.all(), limits);
        questions.retain(|question| {
            let packages = jobs.get(&question.job).map(|job| job.package_ids.as_slice()).unwrap_or_default();
            packages.is_empty() || !packages.iter().all(is_elsewhere)
        });
        needs::within_limit(questions)
    }
}

/// The next job, if nothing else is created before it.
fn next_job(actions: &[Action]) -> Option<&NewJob> {
    let is_create =
        |action: &&Action| matches!(action, Action::CreatePackage { .. } | Action::CreateJob { .. });
    match actions.iter().find(is_create)? {
        Action::CreateJob { job, .. } => Some(job),
        _ => None,
    }
}
