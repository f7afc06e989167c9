//! Which of the devices that are about to be sent something a job of somebody else holds: asked right before, because lists do
//! not tell it on every cloud.

use super::lane::{Lane, Link, Trouble};
use super::observe::JUST_POLLED;
use super::queue::Class;
use crate::cloud::{DeviceResult, NamedDevices, NewJob};
use crate::plan::Action;
use crate::plan::needs::{self, Question};
use std::collections::BTreeMap;

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

impl Lane {
    /// What external jobs say of the devices of the job that would be sent next; nothing where none would, where lists
    /// tell it, or where none of them has these devices.
    pub(super) async fn ask_who_holds(&mut self, actions: &[Action], class: Class) -> Result<Held, Trouble> {
        let Some(new) = next_job(actions) else { return Ok(Held::default()) };
        let questions = match self.questions(new) {
            Ok(questions) => questions,
            Err(unasked) => return Ok(Held { unasked, ..Held::default() }),
        };
        let (since, slice) = (self.since(JUST_POLLED), self.slice);
        let Some(Link { account, .. }) = &mut self.link else { return Ok(Held::default()) };
        let product = &new.package.product;
        for Question { job, devices } in questions {
            slice.check(account)?;
            let named = NamedDevices { product: product.clone(), ids: devices };
            self.inventory.jobs.ask(account, &job, named, since, class).await?;
        }
        Ok(Held { results: self.inventory.jobs.answers(product, since), unasked: 0 })
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
