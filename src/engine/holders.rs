//! Which of the devices that are about to be sent something a job of somebody else holds: asked right before, because lists do
//! not tell it on every cloud.

use super::lane::{Lane, Link, Trouble};
use super::observe::JUST_POLLED;
use super::queue::Class;
use crate::cloud::{DeviceResult, NamedDevices, NewJob};
use crate::plan::Action;
use crate::plan::needs::{self, Question};
use std::collections::BTreeMap;

impl Lane {
    /// What jobs of somebody else say of the devices of the job that would be sent next; nothing where none would, where lists
    /// tell it, or where none of them has these devices.
    pub(super) async fn ask_who_holds(
        &mut self,
        actions: &[Action],
        class: Class,
    ) -> Result<BTreeMap<String, Vec<DeviceResult>>, Trouble> {
        let Some(new) = next_job(actions) else { return Ok(BTreeMap::new()) };
        let questions = self.questions(new);
        let (since, slice) = (self.since(JUST_POLLED), self.slice);
        let Some(Link { account, .. }) = &mut self.link else { return Ok(BTreeMap::new()) };
        let product = &new.package.product;
        for Question { job, devices } in questions {
            slice.check(account)?;
            let named = NamedDevices { product: product.clone(), ids: devices };
            self.inventory.jobs.ask(account, &job, named, since, class).await?;
        }
        Ok(self.inventory.jobs.answers(product, since))
    }

    /// What jobs have to be asked before this one is sent. One that sends a package of another product holds none of its devices.
    pub(super) fn questions(&self, new: &NewJob) -> Vec<Question> {
        let Some(limits) = self.capabilities() else { return Vec::new() };
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
        questions
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
