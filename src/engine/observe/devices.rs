//! Devices of an account: fleets, single devices, groups and tags.

use super::sets_read::SetsRead;
use crate::api::{OtaPackage, OtaRollout};
use crate::cloud::{CallError, Device, DeviceScope, DeviceSet};
use crate::decide::needs;
use crate::decide::{Labels, POLL, Seen, strata};
use crate::engine::context::Reconcile;
use crate::engine::freshness::{Evidence, JUST_POLLED};
use crate::engine::inventory::ProductSet;
use crate::engine::trouble::Trouble;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Reading a fleet's versions may take one part in so many of the time while jobs run. The time that the last reading
/// took counts, so that neither a small budget nor a throttled one leads to a large fleet being read continuously.
const FLEET_SHARE: i32 = 4;

impl Reconcile<'_> {
    /// Reads a set that a stage selects by. One that cannot be read holds the rollout, and stops no observation of its jobs.
    pub(super) async fn read_stage_set(
        &mut self,
        set: DeviceSet,
        package: &OtaPackage,
        known: &mut SetsRead,
    ) -> Result<(), Trouble> {
        match self.read_set(set.clone(), package, known).await {
            Err(Trouble::Call(error))
                if error.class.may_concern_one_resource() && !error.class.is_transient() =>
            {
                // Each refusal has another request id: the status would never be at rest.
                known.unread.insert(set, CallError { request_id: None, ..error }.to_string());
                Ok(())
            }
            read => read,
        }
    }

    /// Reads a set of devices.
    pub(super) async fn read_set(
        &mut self,
        set: DeviceSet,
        package: &OtaPackage,
        known: &mut SetsRead,
    ) -> Result<(), Trouble> {
        let set = ProductSet { product: scope_of(package).product, set };
        let since = self.since(self.drift());
        let Some((mut caller, inventory)) = self.reader() else { return Ok(()) };
        if !inventory.devices.members_step(&mut caller, &set, since).await? {
            return Err(Trouble::Yield);
        }
        known.read.push(set);
        Ok(())
    }

    /// Adds the devices of a set of the targets to the labels, if the rollout is divided by it.
    pub(super) fn label(
        &self,
        set: &DeviceSet,
        (rollout, package): (&OtaRollout, &OtaPackage),
        labels: &mut Labels,
    ) {
        let (property, value) = match set {
            DeviceSet::Group(group) => (strata::GROUP.to_owned(), group),
            DeviceSet::Tag { key, values } if values.len() == 1 => (strata::tag_property(key), &values[0]),
            DeviceSet::Tag { .. } | DeviceSet::Attribute { .. } => return,
        };
        let set = ProductSet { product: scope_of(package).product, set: set.clone() };
        let devices = self.worker.inventory.devices.members(&set);
        if let Some(devices) = devices.filter(|_| strata::properties(&rollout.spec).contains(&property)) {
            strata::label(labels, &property, value, devices);
        }
    }

    /// Reads named devices of a package: from the list of their product on a cloud without a call for single devices.
    pub(super) async fn read_named(
        &mut self,
        ids: &[String],
        package: &OtaPackage,
        ours: &[String],
        with_presence: bool,
    ) -> Result<Seen<BTreeMap<String, Device>>, Trouble> {
        let scope = scope_of(package);
        if self.capabilities().is_none_or(|limits| limits.shows_devices) {
            return self.read_devices(&scope, ids).await;
        }
        let scope = self.read_fleet(scope, ours, with_presence).await?;
        let Some((at, fleet)) = self.worker.inventory.devices.of_product(&scope) else {
            return self.read_devices(&scope, ids).await;
        };
        let named = ids.iter().filter_map(|id| Some((id.clone(), fleet.get(id)?.clone()))).collect();
        Ok(Seen { at, value: named })
    }

    async fn read_devices(
        &mut self,
        scope: &DeviceScope,
        ids: &[String],
    ) -> Result<Seen<BTreeMap<String, Device>>, Trouble> {
        let (polled_since, mut devices) = (self.since(JUST_POLLED), BTreeMap::new());
        let (mut at, slice) = (self.now(), self.slice);
        if let Some((mut caller, inventory)) = self.reader() {
            for id in ids {
                slice.check(caller.account)?;
                let device = inventory.devices.look(&mut caller, scope, id, polled_since).await?;
                devices.extend(device.map(|device| (id.clone(), device)));
                // A combined observation is as old as its oldest part.
                at = inventory.devices.seen_at(scope, id).map_or(at, |seen| seen.min(at));
            }
        }
        Ok(Seen { at, value: devices })
    }

    /// Reads a product's devices when that can show something new: at the drift interval, before something is created,
    /// while jobs run as often as a share of the budget allows, and at once when the last of them has ended. After that
    /// reads which of them are connected, where their list does not report it.
    pub(super) async fn read_fleet(
        &mut self,
        scope: DeviceScope,
        ours: &[String],
        with_presence: bool,
    ) -> Result<DeviceScope, Trouble> {
        let by_jobs = self.fleet_since(&scope, ours);
        let since = if self.evidence == Evidence::Known { by_jobs } else { by_jobs.max(self.since(POLL)) };
        let is_separate = self.capabilities().is_some_and(|limits| limits.presence_page > 0);
        let Some((mut caller, inventory)) = self.reader() else { return Ok(scope) };
        let mut is_complete = inventory.devices.list_step(&mut caller, &scope, since).await?;
        if is_complete && with_presence && is_separate {
            is_complete = inventory.devices.presence_step(&mut caller, &scope).await?;
        }
        if is_complete { Ok(scope) } else { Err(Trouble::Yield) }
    }

    /// How new the observation of a fleet must be, given its jobs.
    fn fleet_since(&self, scope: &DeviceScope, ours: &[String]) -> Timestamp {
        let (now, jobs) = (self.now(), &self.worker.inventory.jobs);
        let seen_at = self.worker.inventory.devices.of_product(scope).map(|(at, _)| at);
        let watching_interval = POLL.max(self.worker.inventory.devices.time_to_read(scope) * FLEET_SHARE);
        let all_ended = ours.iter().all(|id| jobs.get(id).is_none_or(|job| job.state.is_final()));
        // An external job may hold devices that are waited for: only the devices show when it releases them.
        let is_waiting = all_ended && self.worker.inventory.devices.has_upgrading(scope);
        let drift = if is_waiting { self.drift().min(watching_interval) } else { self.drift() };
        let (Some(limits), Some(changed_at)) =
            (self.capabilities(), ours.iter().filter_map(|id| jobs.changed_at(id)).max())
        else {
            return self.since(drift);
        };
        // Versions may be reported a little after the job reports it; the decision waits for an observation later than
        // that.
        let told_at = changed_at.saturating_add(limits.visibility_lag).unwrap_or(Timestamp::MAX);
        match (Some(told_at) > seen_at, all_ended) {
            (false, _) if is_waiting => self.since(drift),
            (false, _) => self.since(drift.max(watching_interval)),
            (true, true) => self.since(drift).max(if now >= told_at { told_at } else { changed_at }),
            (true, false) => self.since(watching_interval),
        }
    }
}

/// The devices that a package is for.
pub(super) fn scope_of(package: &OtaPackage) -> DeviceScope {
    needs::package_key(package).scope()
}
