//! Devices of an account: whole products, single devices, groups and tags.

use super::failing::Failing;
use super::listing::{Question, Reading, turn_page};
use crate::cloud::{
    Call, CallError, Cursor, Device, DevicePresence, DeviceScope, DeviceSet, ErrorClass, Page, Reply,
};
use crate::engine::{account::misfit, caller::Caller};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Devices of one account.
#[derive(Debug, Default)]
pub struct Devices {
    products: BTreeMap<DeviceScope, Kept<ProductDevices, BTreeMap<String, Device>>>,
    /// Which devices of a product are connected, where its list does not report it; stored in the rows of the last list.
    presence: BTreeMap<DeviceScope, Kept<ProductPresence, ()>>,
    /// By scope and id.
    single: BTreeMap<(DeviceScope, String), Single>,
    sets: BTreeMap<ProductSet, Kept<ProductSet, BTreeSet<String>>>,
    /// Groups, tags and attributes that could not be read.
    failing_sets: Failing<ProductSet>,
}

/// Drift rounds after which an unused list or device is dropped: the round in which it was last used, and two more.
const ROUNDS_KEPT: u8 = 3;

/// A device that was read on its own.
#[derive(Debug)]
struct Single {
    at: Timestamp,
    /// None when it is not registered in the cloud.
    device: Option<Device>,
    /// Drift rounds that have ended since it was last used.
    idle_rounds: u8,
}

/// The last reading of a list, and the one in progress.
#[derive(Debug)]
struct Kept<Q: Question, Rows> {
    at: Option<Timestamp>,
    /// How long the last reading took.
    took: SignedDuration,
    rows: Rows,
    under_way: Option<Reading<Q>>,
    /// Drift rounds that have ended since it was last used.
    idle_rounds: u8,
}

impl<Q: Question, Rows: Default> Default for Kept<Q, Rows> {
    fn default() -> Self {
        Self { at: None, took: SignedDuration::ZERO, rows: Rows::default(), under_way: None, idle_rounds: 0 }
    }
}

/// A set of devices of one product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProductSet {
    /// The cloud's product id.
    pub product: String,
    /// The set.
    pub set: DeviceSet,
}

#[derive(Clone, Debug)]
struct ProductDevices(DeviceScope);

impl Question for ProductDevices {
    type Row = Device;

    fn call(&self, cursor: Cursor) -> Call {
        Call::ListDevices { scope: self.0.clone(), cursor }
    }

    fn page(reply: Reply) -> Option<Page<Device>> {
        if let Reply::Devices(page) = reply { Some(page) } else { None }
    }
}

#[derive(Clone, Debug)]
struct ProductPresence(String);

impl Question for ProductPresence {
    type Row = DevicePresence;

    fn call(&self, cursor: Cursor) -> Call {
        Call::ListPresence { product: self.0.clone(), cursor }
    }

    fn page(reply: Reply) -> Option<Page<DevicePresence>> {
        if let Reply::Presence(page) = reply { Some(page) } else { None }
    }
}

impl Question for ProductSet {
    type Row = String;

    fn call(&self, cursor: Cursor) -> Call {
        let Self { product, set } = self.clone();
        match set {
            DeviceSet::Group(group) => Call::ListGroupDevices { product, group, cursor },
            DeviceSet::Tag { key, values } => Call::ListTaggedDevices { product, key, values, cursor },
            DeviceSet::Attribute { name, values } => {
                Call::ListDevicesByAttribute { product, name, values, cursor }
            }
        }
    }

    fn page(reply: Reply) -> Option<Page<String>> {
        if let Reply::DeviceIds(page) = reply { Some(page) } else { None }
    }
}

impl Devices {
    /// The devices of a product, and when their observation began.
    #[must_use]
    pub fn of_product(&self, scope: &DeviceScope) -> Option<(Timestamp, &BTreeMap<String, Device>)> {
        let kept = self.products.get(scope)?;
        Some((kept.at?, &kept.rows))
    }

    /// True when a device of the product was being upgraded when it was last read.
    #[must_use]
    pub fn has_upgrading(&self, scope: &DeviceScope) -> bool {
        let rows = self.products.get(scope).into_iter().flat_map(|kept| kept.rows.values());
        rows.into_iter().any(|device| device.upgrading == Some(true))
    }

    /// How long the last observation of the devices of a product took; zero before the first.
    #[must_use]
    pub fn time_to_read(&self, scope: &DeviceScope) -> SignedDuration {
        self.products.get(scope).map_or(SignedDuration::ZERO, |product| product.took)
    }

    /// Reads one page of a product's devices, unless they were read at `not_before` or later; true when they are.
    ///
    /// # Errors
    /// The error of the call.
    pub async fn list_step(
        &mut self,
        caller: &mut Caller<'_>,
        scope: &DeviceScope,
        not_before: Timestamp,
    ) -> Result<bool, CallError> {
        let question = ProductDevices(scope.clone());
        let kept = self.products.entry(scope.clone()).or_default();
        kept.idle_rounds = 0;
        if kept.at >= Some(not_before) {
            return Ok(true);
        }
        let read = turn_page(&mut kept.under_way, question, caller, not_before).await?;
        let Some(read) = read else { return Ok(false) };
        kept.at = Some(read.at);
        kept.took = caller.account.now().duration_since(read.at);
        kept.rows = read.rows.into_iter().map(|device| (device.id.clone(), device)).collect();
        self.presence.remove(scope);
        Ok(true)
    }

    /// Reads one page of which devices of a product are connected, unless that was read since the devices were; true once it
    /// stands in the devices. A device that is not in the answer stays unknown.
    ///
    /// # Errors
    /// The error of the call.
    pub async fn presence_step(
        &mut self,
        caller: &mut Caller<'_>,
        scope: &DeviceScope,
    ) -> Result<bool, CallError> {
        let Some(product) = self.products.get_mut(scope) else { return Ok(true) };
        let kept = self.presence.entry(scope.clone()).or_default();
        kept.idle_rounds = 0;
        if kept.at.is_some() {
            return Ok(true);
        }
        let question = ProductPresence(scope.product.clone());
        let not_before = product.at.unwrap_or(Timestamp::MIN);
        let read = turn_page(&mut kept.under_way, question, caller, not_before).await?;
        let Some(read) = read else { return Ok(false) };
        kept.at = Some(read.at);
        product.took += caller.account.now().duration_since(read.at);
        for row in read.rows {
            if let Some(device) = product.rows.get_mut(&row.device) {
                device.online = row.online;
            }
        }
        Ok(true)
    }

    /// One device, read again unless it was read at `not_before` or later; none when it is not registered in the cloud.
    ///
    /// # Errors
    /// The error of the call, except "not found".
    pub async fn look(
        &mut self,
        caller: &mut Caller<'_>,
        scope: &DeviceScope,
        id: &str,
        not_before: Timestamp,
    ) -> Result<Option<Device>, CallError> {
        let key = (scope.clone(), id.to_owned());
        if let Some(single) = self.single.get_mut(&key) {
            single.idle_rounds = 0;
            if single.at >= not_before {
                return Ok(single.device.clone());
            }
        }
        let (now, call) =
            (caller.account.now(), Call::ShowDevice { scope: scope.clone(), id: id.to_owned() });
        let device = match caller.call(&call).await {
            Ok(Reply::Device(device)) => Some(device),
            Ok(_) => return Err(misfit(&call)),
            Err(error) if error.class == ErrorClass::NotFound => None,
            Err(error) => return Err(error),
        };
        self.single.insert(key, Single { at: now, device: device.clone(), idle_rounds: 0 });
        self.refresh_in_product(scope, device.as_ref());
        Ok(device)
    }

    /// When a single device was last read.
    #[must_use]
    pub fn seen_at(&self, scope: &DeviceScope, id: &str) -> Option<Timestamp> {
        self.single.get(&(scope.clone(), id.to_owned())).map(|single| single.at)
    }

    /// The ids of a group or tag, once they were read.
    #[must_use]
    pub fn members(&self, set: &ProductSet) -> Option<&BTreeSet<String>> {
        self.sets.get(set).filter(|kept| kept.at.is_some()).map(|kept| &kept.rows)
    }

    /// Reads one page of the ids of a group or tag, unless they were read at `not_before` or later; true when they are.
    ///
    /// # Errors
    /// The error of the call.
    pub async fn members_step(
        &mut self,
        caller: &mut Caller<'_>,
        set: &ProductSet,
        not_before: Timestamp,
    ) -> Result<bool, CallError> {
        let kept = self.sets.entry(set.clone()).or_default();
        kept.idle_rounds = 0;
        if kept.at >= Some(not_before) {
            return Ok(true);
        }
        if let Some(error) = self.failing_sets.error_of(set, caller.priority, caller.account.now()) {
            return Err(error);
        }
        let read = turn_page(&mut kept.under_way, set.clone(), caller, not_before).await;
        self.failing_sets.note(set.clone(), read.as_ref().err(), caller.account.now());
        let Some(read) = read? else { return Ok(false) };
        kept.at = Some(read.at);
        kept.rows = read.rows.into_iter().collect();
        Ok(true)
    }

    /// Ends a drift round, in which every object of the account uses what it needs: what was not used during the last
    /// two rounds is dropped.
    pub fn end_round(&mut self) {
        self.products.retain(|_, kept| is_kept(&mut kept.idle_rounds));
        self.presence.retain(|_, kept| is_kept(&mut kept.idle_rounds));
        self.single.retain(|_, single| is_kept(&mut single.idle_rounds));
        self.sets.retain(|_, kept| is_kept(&mut kept.idle_rounds));
        self.failing_sets.retain(|set| self.sets.contains_key(set));
    }

    /// The read of a single device is newer than the product's list.
    fn refresh_in_product(&mut self, scope: &DeviceScope, device: Option<&Device>) {
        if let Some(device) = device
            && let Some(product) = self.products.get_mut(scope)
        {
            product.rows.insert(device.id.clone(), device.clone());
        }
    }
}

/// Counts a round that has ended; false when the entry is to be dropped.
const fn is_kept(idle_rounds: &mut u8) -> bool {
    *idle_rounds += 1;
    *idle_rounds < ROUNDS_KEPT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Kind, ObjectKey};
    use crate::decide::needs::package_key;
    use crate::engine::context::Reconcile;
    use crate::engine::freshness::Evidence;
    use crate::engine::priority::Priority;
    use crate::engine::testing::{Bench, WORLD, cloud, package, rollout};
    use crate::engine::trouble::Trouble;
    use crate::engine::worker::Worker;
    use crate::source::manifest;
    use crate::state::memory::Memory;
    use std::{path::Path, sync::Arc, time::Duration};

    /// A worker of the account `lab` with these objects.
    fn worker(bench: &Bench, text: &str) -> (Worker, Vec<ObjectKey>) {
        let (objects, problems) = manifest::parse(Path::new("test.yaml"), text);
        assert!(problems.is_empty(), "{problems:?}");
        let wanted: BTreeMap<_, _> =
            objects.into_iter().map(|sourced| (sourced.object.key(), sourced.object)).collect();
        let (store, ports) = (Memory::default(), bench.ports());
        store.apply_desired(&wanted, true, ports.clock.now()).unwrap();
        let keys: Vec<ObjectKey> = wanted.into_keys().collect();
        let home = keys.iter().find(|key| key.kind == Kind::OtaCloud).unwrap().clone();
        (Worker::new(home, Arc::new(store), ports), keys)
    }

    async fn reconcile(worker: &mut Worker, key: &ObjectKey) {
        let since = (worker.ports.clock.now(), Evidence::Known);
        while let Err(trouble) = Reconcile::new(worker, Priority::Drift, since).run(key).await {
            assert!(matches!(trouble, Trouble::Yield), "{trouble:?}");
        }
    }

    /// Waits for the next drift round, and runs it.
    async fn drift_round(worker: &mut Worker) {
        tokio::time::sleep(Duration::from_mins(6)).await;
        let (cloud, now) = (worker.cloud.clone(), worker.ports.clock.now());
        while worker.link.as_ref().is_none_or(|link| link.drift_due <= now) {
            reconcile(worker, &cloud).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nothing_asks_for_during_two_drift_rounds_is_dropped_and_nothing_else() {
        let bench = Bench::new(WORLD);
        let few = rollout("few", "v2", 1).replace("{all: true}", "{devices: [m-1]}");
        let text = [cloud("lab", "a"), package("v2", "lab", "V2"), rollout("all", "v2", 1), few].concat();
        let (mut worker, keys) = worker(&bench, &text);
        for key in &keys {
            reconcile(&mut worker, key).await;
        }
        let all = keys.iter().find(|key| key.name == "all").unwrap();
        let key = keys.iter().find(|key| key.kind == Kind::OtaPackage).unwrap();
        let stored = worker.store.load(key).await.unwrap().unwrap();
        let scope = package_key(stored.as_package().unwrap()).scope();
        let mut known = Vec::new();
        for _ in 0..6 {
            reconcile(&mut worker, all).await;
            let devices = &worker.inventory.devices;
            known.push((devices.of_product(&scope).is_some(), devices.seen_at(&scope, "m-1").is_some()));
            drift_round(&mut worker).await;
        }
        let (both, all) = ((true, true), (true, false));
        assert_eq!(known, [both, both, both, all, all, all], "one rollout is not looked at any more");
        for _ in 0..2 {
            drift_round(&mut worker).await;
        }
        assert!(worker.inventory.devices.of_product(&scope).is_none(), "nor is the other one");
    }
}
