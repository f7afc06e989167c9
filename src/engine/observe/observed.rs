//! What was observed for an object, as decisions see it.

use super::rivals::Rivals;
use super::sets_read::SetsRead;
use super::surroundings::Surroundings;
use crate::api::{OtaPackage, OtaRollout};
use crate::cloud::{Device, DeviceResult, DeviceScope, Job, Package};
use crate::decide::{Fleet, Labels, PackageView, RolloutView, Seen};
use crate::engine::context::Reconcile;
use crate::engine::inventory::Inventory;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What was observed for a package.
#[derive(Default)]
pub(in crate::engine) struct ObservedPackage {
    pub(super) packages: Option<Seen<Vec<Package>>>,
    pub(super) jobs_at: Option<Timestamp>,
    pub(super) devices: Option<Seen<BTreeMap<String, Device>>>,
    pub(in crate::engine) results: BTreeMap<String, Vec<DeviceResult>>,
    /// External jobs that are too many to be queried.
    pub(in crate::engine) unasked_jobs: usize,
}

/// What was observed for a rollout.
#[derive(Default)]
pub(in crate::engine) struct ObservedRollout {
    pub(super) scope: Option<DeviceScope>,
    pub(super) named: Option<Seen<BTreeMap<String, Device>>>,
    pub(super) sets: SetsRead,
    pub(super) labels: Labels,
    pub(super) jobs_at: Option<Timestamp>,
    pub(in crate::engine) results: BTreeMap<String, Vec<DeviceResult>>,
    /// External jobs that are too many to be queried.
    pub(in crate::engine) unasked_jobs: usize,
    pub(super) around: Surroundings,
    pub(in crate::engine) rivals: Rivals,
}

impl Reconcile<'_> {
    /// What a decision about a package may look at; none while the account is not connected.
    pub(in crate::engine) fn package_view<'a>(
        &'a self,
        object: &'a OtaPackage,
        observed: &ObservedPackage,
    ) -> Option<PackageView<'a>> {
        Some(PackageView {
            object,
            capabilities: self.capabilities()?,
            packages: observed.packages.clone(),
            jobs: self.jobs_seen(observed.jobs_at),
            devices: observed.devices.clone(),
            results: observed.results.clone(),
            unasked_jobs: observed.unasked_jobs,
            now: self.now(),
        })
    }

    /// What a decision about a rollout may look at.
    pub(in crate::engine) fn rollout_view<'a>(
        &'a self,
        object: &'a OtaRollout,
        package: Option<&'a OtaPackage>,
        observed: &'a ObservedRollout,
    ) -> RolloutView<'a> {
        let around = &observed.around;
        RolloutView {
            object,
            package,
            package_is_invalid: around.package_is_invalid,
            package_of_run: around.package_of_run(),
            capabilities: self.capabilities(),
            fleet: observed.fleet(&self.worker.inventory),
            jobs: self.jobs_seen(observed.jobs_at),
            results: observed.results.clone(),
            unasked_jobs: observed.unasked_jobs,
            refusal: around.refusal.clone(),
            rivals: observed.rivals.seen(),
            now: self.now(),
            clocks: self.clocks(),
        }
    }

    fn jobs_seen(&self, at: Option<Timestamp>) -> Option<Seen<Vec<&Job>>> {
        at.map(|at| Seen { at, value: self.worker.inventory.jobs.all().collect() })
    }
}

impl ObservedRollout {
    fn fleet<'a>(&'a self, inventory: &'a Inventory) -> Option<Seen<Fleet<'a>>> {
        let sets = self.sets.seen(inventory);
        if let Some(named) = &self.named {
            let labels = self.labels.clone();
            return Some(Seen { at: named.at, value: Fleet { devices: &named.value, sets, labels } });
        }
        let (at, devices) = inventory.devices.of_product(self.scope.as_ref()?)?;
        Some(Seen { at, value: Fleet { devices, sets, labels: self.labels.clone() } })
    }
}
