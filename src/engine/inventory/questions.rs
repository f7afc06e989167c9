//! Queries external jobs for devices, where job rows do not show which devices they hold.

use super::jobs::{JobDevices, Jobs};
use super::listing::Reading;
use crate::cloud::{CallError, DeviceResult, ErrorClass, NamedDevices};
use crate::engine::caller::Caller;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long answers are kept: another object may keep waiting on one that is too old to send on.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

impl Jobs {
    /// Queries a job for these devices, except those that were queried at `not_before` or later.
    ///
    /// # Errors
    /// The error of the call, except "not found" for a job that no longer exists.
    pub async fn ask(
        &mut self,
        caller: &mut Caller<'_>,
        job: &str,
        named: NamedDevices,
        not_before: Timestamp,
    ) -> Result<(), CallError> {
        self.answers.forget_before(not_before.saturating_sub(KEPT).unwrap_or(not_before));
        let open = self.answers.open(job, named, not_before);
        let most = caller.account.cloud().capabilities().max_devices_per_question.max(1);
        for ids in open.ids.chunks(most) {
            let named = NamedDevices { ids: ids.to_vec(), ..open.clone() };
            let question = JobDevices { id: job.to_owned(), outcome: None, only: Some(named.clone()) };
            let read = match Reading::begin(question, caller.account.now()).finish(caller).await {
                Err(error) if error.class == ErrorClass::NotFound => {
                    self.show(caller, job).await?;
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
        self.answers.about(product, not_before)
    }
}
