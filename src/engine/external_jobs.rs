//! Which of the devices that are about to be sent something a job of somebody else holds: asked right before, because lists do
//! not tell it on every cloud.

use super::observe::{Evidence, JUST_POLLED};
use super::queue::Class;
use super::worker::{Link, Trouble, Worker};
use crate::cloud::{DeviceResult, NamedDevices, NewJob};
use crate::decide::Action;
use crate::decide::needs::{self, Question};
use jiff::SignedDuration;
use std::collections::BTreeMap;

/// Querying external jobs may take this part of the budget at most, while they hold devices that are waited for.
const SHARE: i32 = 4;

/// How old answers of external jobs may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Enough to go on waiting for a device that was held.
    Recent,
    /// Enough to send a job.
    Fresh,
}

impl Age {
    /// In the order in which they are asked for: nothing is sent by recent ones.
    pub(super) const BOTH: [Self; 2] = [Self::Recent, Self::Fresh];
}

/// What external jobs say of the devices of the job that would be sent next.
#[derive(Default)]
pub(super) struct Held {
    /// By job: what it says of devices that it was asked for.
    pub(super) results: BTreeMap<String, Vec<DeviceResult>>,
    /// Jobs that would have to be asked, when they are too many and so none was asked.
    pub(super) unasked: usize,
}

impl Held {
    /// True when nothing that the judge does not know stands in the way of the job.
    pub(super) fn is_nothing(&self) -> bool {
        self.results.is_empty() && self.unasked == 0
    }
}

impl Worker {
    /// What external jobs say of the devices of the job that would be sent next; nothing where none would, where lists
    /// tell it, or where none of them has these devices.
    pub(super) async fn ask_who_holds(
        &mut self,
        actions: &[Action],
        age: Age,
        class: Class,
    ) -> Result<Held, Trouble> {
        let Some(new) = next_job(actions) else { return Ok(Held::default()) };
        let questions = match self.questions(new) {
            Ok(questions) => questions,
            Err(unasked) => return Ok(Held { unasked, ..Held::default() }),
        };
        let age = match age {
            // A user who requested a reconcile wants to know what is so now.
            Age::Recent if self.evidence == Evidence::Known => {
                self.time_to_ask(&questions).saturating_mul(SHARE).max(JUST_POLLED)
            }
            Age::Recent | Age::Fresh => JUST_POLLED,
        };
        let (since, slice) = (self.since(age), self.slice);
        let Some(Link { account, .. }) = &mut self.link else { return Ok(Held::default()) };
        let product = &new.package.product;
        for Question { job, devices } in questions {
            slice.check(account)?;
            let named = NamedDevices { product: product.clone(), ids: devices };
            self.inventory.jobs.ask(account, &job, named, since, class).await?;
        }
        Ok(Held { results: self.inventory.jobs.answers(product, since), unasked: 0 })
    }

    /// How long the budget lets wait for the answers.
    fn time_to_ask(&self, questions: &[Question]) -> SignedDuration {
        let most = self.capabilities().map_or(1, |limits| limits.max_devices_per_question.max(1));
        let requests: usize = questions.iter().map(|question| question.devices.len().div_ceil(most)).sum();
        let rate_milli = self.link.as_ref().map_or(1_000, |link| link.account.rate_milli()).max(1);
        let millis = (requests as u64).saturating_mul(1_000_000) / rate_milli;
        SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    /// What jobs have to be asked before this one is sent; how many, when they are too many.
    /// One that sends a package of another product holds none of its devices.
    pub(super) fn questions(&self, new: &NewJob) -> Result<Vec<Question>, usize> {
        let Some(limits) = self.capabilities() else { return Ok(Vec::new()) };
        let is_elsewhere = |id: &String| {
            let product = self.inventory.packages.product_of(id);
            product.is_some_and(|product| product != new.package.product)
        };
        let jobs = &self.inventory.jobs;
        let mut questions = needs::questions(new, jobs.all(), limits);
        questions.retain(|question| {
            let packages = jobs.get(&question.job).map(|job| job.package_ids.as_slice()).unwrap_or_default();
            packages.is_empty() || !packages.iter().all(is_elsewhere)
        });
        needs::within_limit(questions)
    }
}

/// The job that would be sent before anything else is created.
fn next_job(actions: &[Action]) -> Option<&NewJob> {
    let is_create =
        |action: &&Action| matches!(action, Action::CreatePackage { .. } | Action::CreateJob { .. });
    match actions.iter().find(is_create)? {
        Action::CreateJob { job, .. } => Some(job),
        _ => None,
    }
}
