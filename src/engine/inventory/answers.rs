//! What external jobs report of queried devices, where job rows do not show which devices they hold.
//!
//! Such a job may have a million devices: it is queried only for those of the next job.

use super::jobs::{JobDevices, Jobs};
use super::listing::Reading;
use crate::cloud::{CallError, DeviceResult, ErrorClass, NamedDevices};
use crate::engine::{account::Account, queue::Class};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long answers are kept: another object may keep waiting on one that is too old to send on.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// By device: when the job was queried, and the answer.
type Told = BTreeMap<String, (Timestamp, Vec<DeviceResult>)>;

/// The answers, by job and product.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<(String, String), Told>);

impl Answers {
    /// The devices that were not queried at `not_before` or later.
    fn open(&self, job: &str, named: NamedDevices, not_before: Timestamp) -> NamedDevices {
        let known = self.0.get(&(job.to_owned(), named.product.clone()));
        let is_fresh =
            |id: &String| known.and_then(|known| known.get(id)).is_some_and(|(at, _)| *at >= not_before);
        NamedDevices { ids: named.ids.into_iter().filter(|id| !is_fresh(id)).collect(), ..named }
    }

    fn take(&mut self, job: &str, named: NamedDevices, at: Timestamp, results: Vec<DeviceResult>) {
        let known = self.0.entry((job.to_owned(), named.product)).or_default();
        known.extend(named.ids.into_iter().map(|id| (id, (at, Vec::new()))));
        for result in results {
            if let Some((_, of_device)) = known.get_mut(&result.device) {
                of_device.push(result);
            }
        }
    }

    fn forget_before(&mut self, not_before: Timestamp) {
        self.0.retain(|_, known| {
            known.retain(|_, (at, _)| *at >= not_before);
            !known.is_empty()
        });
    }
}

impl Jobs {
    /// Queries a job for these devices, except those that were queried at `not_before` or later.
    ///
    /// # Errors
    /// The error of the call, except "not found" for a job that no longer exists.
    pub async fn ask(
        &mut self,
        account: &mut Account,
        job: &str,
        named: NamedDevices,
        not_before: Timestamp,
        urgency: Class,
    ) -> Result<(), CallError> {
        self.answers.forget_before(not_before.saturating_sub(KEPT).unwrap_or(not_before));
        let open = self.answers.open(job, named, not_before);
        let most = account.cloud().capabilities().max_devices_per_question.max(1);
        for ids in open.ids.chunks(most) {
            let named = NamedDevices { ids: ids.to_vec(), ..open.clone() };
            let question = JobDevices { id: job.to_owned(), outcome: None, only: Some(named.clone()) };
            let read = match Reading::begin(question, account.now()).finish(account, urgency).await {
                Err(error) if error.class == ErrorClass::NotFound => {
                    self.show(account, job, urgency).await?;
                    return if self.get(job).is_some() { Err(error) } else { Ok(()) };
                }
                read => read?,
            };
            self.answers.take(job, named, read.at, read.rows);
        }
        Ok(())
    }

    /// Answers about devices of this product from `not_before` on, by job.
    #[must_use]
    pub fn answers(&self, product: &str, not_before: Timestamp) -> BTreeMap<String, Vec<DeviceResult>> {
        let mut results: BTreeMap<String, Vec<DeviceResult>> = BTreeMap::new();
        let of_product = self.answers.0.iter().filter(|((_, known), _)| known == product);
        for ((job, _), known) in of_product {
            let fresh = known.values().filter(|(at, _)| *at >= not_before);
            let told: Vec<DeviceResult> = fresh.flat_map(|(_, results)| results.clone()).collect();
            if !told.is_empty() {
                results.insert(job.clone(), told);
            }
        }
        results
    }
}
