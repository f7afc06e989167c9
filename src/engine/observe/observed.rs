//! What was observed for an object, as decisions see it.

use super::rivals::Rivals;
use super::surroundings::Surroundings;
use crate::api::{OtaPackage, OtaRollout};
use crate::cloud::{Capabilities, Device, DeviceResult, DeviceScope, Package};
use crate::decide::clocks::Clocks;
use crate::decide::{Fleet, PackageView, RolloutView, Seen};
use crate::engine::inventory::Inventory;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

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
    pub(super) members: Option<BTreeSet<String>>,
    pub(super) jobs_at: Option<Timestamp>,
    pub(in crate::engine) results: BTreeMap<String, Vec<DeviceResult>>,
    /// External jobs that are too many to be queried.
    pub(in crate::engine) unasked_jobs: usize,
    pub(super) around: Surroundings,
    pub(in crate::engine) rivals: Rivals,
}

impl ObservedPackage {
    pub(in crate::engine) fn view<'a>(
        &self,
        object: &'a OtaPackage,
        capabilities: &'a Capabilities,
        inventory: &'a Inventory,
        now: Timestamp,
    ) -> PackageView<'a> {
        let jobs = self.jobs_at.map(|at| Seen { at, value: inventory.jobs.all().collect() });
        PackageView {
            object,
            capabilities,
            packages: self.packages.clone(),
            jobs,
            devices: self.devices.clone(),
            results: self.results.clone(),
            unasked_jobs: self.unasked_jobs,
            now,
        }
    }
}

impl ObservedRollout {
    pub(in crate::engine) fn view<'a>(
        &'a self,
        object: &'a OtaRollout,
        package: Option<&'a OtaPackage>,
        capabilities: Option<&'a Capabilities>,
        inventory: &'a Inventory,
        now: Timestamp,
        clocks: Clocks,
    ) -> RolloutView<'a> {
        let jobs = self.jobs_at.map(|at| Seen { at, value: inventory.jobs.all().collect() });
        let (fleet, results, rivals) = (self.fleet(inventory), self.results.clone(), self.rivals.seen());
        let (unasked_jobs, around) = (self.unasked_jobs, &self.around);
        RolloutView {
            object,
            package,
            package_is_invalid: around.package_is_invalid,
            package_of_run: around.package_of_run(),
            capabilities,
            fleet,
            jobs,
            results,
            unasked_jobs,
            refusal: around.refusal.clone(),
            rivals,
            now,
            clocks,
        }
    }

    fn fleet<'a>(&'a self, inventory: &'a Inventory) -> Option<Seen<Fleet<'a>>> {
        if let Some(named) = &self.named {
            let fleet = Fleet { devices: &named.value, members: self.members.clone() };
            return Some(Seen { at: named.at, value: fleet });
        }
        let (at, devices) = inventory.devices.of_product(self.scope.as_ref()?)?;
        Some(Seen { at, value: Fleet { devices, members: self.members.clone() } })
    }
}
