//! Devices of an account: whole products, single devices, groups and tags.

use super::listing::{Question, Reading, turn_page};
use super::misfit;
use crate::cloud::{Call, CallError, Cursor, Device, DeviceScope, ErrorClass, Page, Reply};
use crate::engine::{account::Account, queue::Class};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Devices of one account.
#[derive(Debug, Default)]
pub struct Devices {
    products: BTreeMap<DeviceScope, Kept<ProductDevices, BTreeMap<String, Device>>>,
    /// By scope and id.
    single: BTreeMap<(DeviceScope, String), (Timestamp, Option<Device>)>,
    sets: BTreeMap<DeviceSet, Kept<DeviceSet, BTreeSet<String>>>,
}

/// A list as it was read last, and the reading of it that is under way.
#[derive(Debug)]
struct Kept<Q: Question, Rows> {
    at: Option<Timestamp>,
    /// How long the last reading took.
    took: SignedDuration,
    rows: Rows,
    under_way: Option<Reading<Q>>,
}

impl<Q: Question, Rows: Default> Default for Kept<Q, Rows> {
    fn default() -> Self {
        Self { at: None, took: SignedDuration::ZERO, rows: Rows::default(), under_way: None }
    }
}

/// A set of a product's device ids that the cloud keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceSet {
    /// The cloud's product id.
    pub product: String,
    /// How it is named.
    pub by: SetName,
}

/// How a set of device ids is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetName {
    /// The members of a group.
    Group(String),
    /// The devices that carry a tag with one of these values.
    Tag(String, Vec<String>),
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

impl Question for DeviceSet {
    type Row = String;

    fn call(&self, cursor: Cursor) -> Call {
        let Self { product, by } = self.clone();
        match by {
            SetName::Group(group) => Call::ListGroupDevices { product, group, cursor },
            SetName::Tag(key, values) => Call::ListTaggedDevices { product, key, values, cursor },
        }
    }

    fn page(reply: Reply) -> Option<Page<String>> {
        if let Reply::DeviceIds(page) = reply { Some(page) } else { None }
    }
}

impl Devices {
    /// The devices of a product, and when the look at them began.
    #[must_use]
    pub fn of_product(&self, scope: &DeviceScope) -> Option<(Timestamp, &BTreeMap<String, Device>)> {
        let kept = self.products.get(scope)?;
        Some((kept.at?, &kept.rows))
    }

    /// True when a job was at one of a product's devices as they were last read.
    #[must_use]
    pub fn has_upgrading(&self, scope: &DeviceScope) -> bool {
        let rows = self.products.get(scope).into_iter().flat_map(|kept| kept.rows.values());
        rows.into_iter().any(|device| device.upgrading == Some(true))
    }

    /// How long the last look at the devices of a product took: nothing before the first.
    #[must_use]
    pub fn time_to_read(&self, scope: &DeviceScope) -> SignedDuration {
        self.products.get(scope).map_or(SignedDuration::ZERO, |product| product.took)
    }

    /// Reads one page of a product's devices, unless they were read at `not_before` or later; true when they are.
    ///
    /// # Errors
    /// The call's.
    pub async fn list_step(
        &mut self,
        account: &mut Account,
        scope: &DeviceScope,
        not_before: Timestamp,
        urgency: Class,
    ) -> Result<bool, CallError> {
        let question = ProductDevices(scope.clone());
        let kept = self.products.entry(scope.clone()).or_default();
        if kept.at >= Some(not_before) {
            return Ok(true);
        }
        let read = turn_page(&mut kept.under_way, question, account, not_before, urgency).await?;
        let Some(read) = read else { return Ok(false) };
        kept.at = Some(read.at);
        kept.took = account.now().duration_since(read.at);
        kept.rows = read.rows.into_iter().map(|device| (device.id.clone(), device)).collect();
        Ok(true)
    }

    /// One device, read again when it was not read at `not_before` or later; none when the cloud does not know it.
    ///
    /// # Errors
    /// The call's, but for "not found".
    pub async fn look(
        &mut self,
        account: &mut Account,
        scope: &DeviceScope,
        id: &str,
        not_before: Timestamp,
        urgency: Class,
    ) -> Result<Option<Device>, CallError> {
        let key = (scope.clone(), id.to_owned());
        if let Some((at, device)) = self.single.get(&key)
            && *at >= not_before
        {
            return Ok(device.clone());
        }
        let (now, call) = (account.now(), Call::ShowDevice { scope: scope.clone(), id: id.to_owned() });
        let device = match account.call(&call, urgency).await {
            Ok(Reply::Device(device)) => Some(device),
            Ok(_) => return Err(misfit(&call)),
            Err(error) if error.class == ErrorClass::NotFound => None,
            Err(error) => return Err(error),
        };
        self.single.insert(key, (now, device.clone()));
        self.refresh_in_product(scope, device.as_ref());
        Ok(device)
    }

    /// When a single device was last read.
    #[must_use]
    pub fn seen_at(&self, scope: &DeviceScope, id: &str) -> Option<Timestamp> {
        self.single.get(&(scope.clone(), id.to_owned())).map(|(at, _)| *at)
    }

    /// The ids of a group or tag, once they were read.
    #[must_use]
    pub fn members(&self, set: &DeviceSet) -> Option<&BTreeSet<String>> {
        self.sets.get(set).filter(|kept| kept.at.is_some()).map(|kept| &kept.rows)
    }

    /// Reads one page of the ids of a group or tag, unless they were read at `not_before` or later; true when they are.
    ///
    /// # Errors
    /// The call's.
    pub async fn members_step(
        &mut self,
        account: &mut Account,
        set: &DeviceSet,
        not_before: Timestamp,
        urgency: Class,
    ) -> Result<bool, CallError> {
        let kept = self.sets.entry(set.clone()).or_default();
        if kept.at >= Some(not_before) {
            return Ok(true);
        }
        let read = turn_page(&mut kept.under_way, set.clone(), account, not_before, urgency).await?;
        let Some(read) = read else { return Ok(false) };
        kept.at = Some(read.at);
        kept.rows = read.rows.into_iter().collect();
        Ok(true)
    }

    /// A single look is newer than the product's list.
    fn refresh_in_product(&mut self, scope: &DeviceScope, device: Option<&Device>) {
        if let Some(device) = device
            && let Some(product) = self.products.get_mut(scope)
        {
            product.rows.insert(device.id.clone(), device.clone());
        }
    }
}
