//! What external jobs report of queried devices, where job rows do not show which devices they hold.
//!
//! Such a job may have a million devices: it is queried only for those of the next job.

use crate::cloud::{DeviceResult, NamedDevices};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// By device: when the job was queried, and the answer.
type Told = BTreeMap<String, (Timestamp, Vec<DeviceResult>)>;

/// The answers, by job and product.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<(String, String), Told>);

impl Answers {
    /// The devices that were not queried at `not_before` or later.
    pub(super) fn open(&self, job: &str, named: NamedDevices, not_before: Timestamp) -> NamedDevices {
        let known = self.0.get(&(job.to_owned(), named.product.clone()));
        let is_fresh =
            |id: &String| known.and_then(|known| known.get(id)).is_some_and(|(at, _)| *at >= not_before);
        NamedDevices { ids: named.ids.into_iter().filter(|id| !is_fresh(id)).collect(), ..named }
    }

    pub(super) fn take(&mut self, job: &str, named: NamedDevices, at: Timestamp, results: Vec<DeviceResult>) {
        let known = self.0.entry((job.to_owned(), named.product)).or_default();
        known.extend(named.ids.into_iter().map(|id| (id, (at, Vec::new()))));
        for result in results {
            if let Some((_, of_device)) = known.get_mut(&result.device) {
                of_device.push(result);
            }
        }
    }

    pub(super) fn forget_before(&mut self, not_before: Timestamp) {
        self.0.retain(|_, known| {
            known.retain(|_, (at, _)| *at >= not_before);
            !known.is_empty()
        });
    }

    /// Answers about devices of this product from `not_before` on, by job.
    pub(super) fn about(&self, product: &str, not_before: Timestamp) -> BTreeMap<String, Vec<DeviceResult>> {
        let mut results: BTreeMap<String, Vec<DeviceResult>> = BTreeMap::new();
        let of_product = self.0.iter().filter(|((_, known), _)| known == product);
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
