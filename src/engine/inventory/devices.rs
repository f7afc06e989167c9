//! Devices of an account: whole products, single devices, groups and tags.

use super::listing::{Question, Reading, is_stale};
use super::misfit;
use crate::cloud::{Call, CallError, Cursor, Device, ErrorClass, Page, Reply};
use crate::engine::{account::Account, queue::Class};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Devices of one account.
#[derive(Debug, Default)]
pub struct Devices {
    products: BTreeMap<String, Product>,
    single: BTreeMap<String, (Timestamp, Option<Device>)>,
    sets: BTreeMap<DeviceSet, (Timestamp, BTreeSet<String>)>,
}

#[derive(Debug)]
struct Product {
    at: Timestamp,
    took: SignedDuration,
    devices: BTreeMap<String, Device>,
}

/// A set of device ids that the cloud keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceSet {
    /// The members of a group.
    Group(String),
    /// The devices that carry a tag with one of these values.
    Tag(String, Vec<String>),
}

#[derive(Clone, Debug)]
struct ProductDevices(String);

impl Question for ProductDevices {
    type Row = Device;

    fn call(&self, cursor: Cursor) -> Call {
        Call::ListDevices { product: self.0.clone(), cursor }
    }

    fn page(reply: Reply) -> Option<Page<Device>> {
        if let Reply::Devices(page) = reply { Some(page) } else { None }
    }
}

impl Question for DeviceSet {
    type Row = String;

    fn call(&self, cursor: Cursor) -> Call {
        match self.clone() {
            Self::Group(group) => Call::ListGroupDevices { group, cursor },
            Self::Tag(key, values) => Call::ListTaggedDevices { key, values, cursor },
        }
    }

    fn page(reply: Reply) -> Option<Page<String>> {
        if let Reply::DeviceIds(page) = reply { Some(page) } else { None }
    }
}

impl Devices {
    /// The devices of a product, and when the look at them began.
    #[must_use]
    pub fn of_product(&self, product: &str) -> Option<(Timestamp, &BTreeMap<String, Device>)> {
        self.products.get(product).map(|product| (product.at, &product.devices))
    }

    /// How long the last look at the devices of a product took: nothing before the first.
    #[must_use]
    pub fn time_to_read(&self, product: &str) -> SignedDuration {
        self.products.get(product).map_or(SignedDuration::ZERO, |product| product.took)
    }

    /// Reads the devices of a product, unless they were read within `max_age`.
    ///
    /// # Errors
    /// The call's.
    pub async fn list(
        &mut self,
        account: &mut Account,
        product: &str,
        max_age: SignedDuration,
        now: Timestamp,
        urgency: Class,
    ) -> Result<(), CallError> {
        if !is_stale(self.products.get(product).map(|known| known.at), now, max_age) {
            return Ok(());
        }
        let question = ProductDevices(product.to_owned());
        let read = Reading::begin(question, now).finish(account, urgency).await?;
        let devices = read.rows.into_iter().map(|device| (device.id.clone(), device)).collect();
        let took = account.now().duration_since(read.at);
        self.products.insert(product.to_owned(), Product { at: read.at, took, devices });
        Ok(())
    }

    /// One device, read again when it was not read within `max_age`; none when the cloud does not know it.
    ///
    /// # Errors
    /// The call's, but for "not found".
    pub async fn look(
        &mut self,
        account: &mut Account,
        id: &str,
        max_age: SignedDuration,
        now: Timestamp,
        urgency: Class,
    ) -> Result<Option<Device>, CallError> {
        if let Some((at, device)) = self.single.get(id)
            && !is_stale(Some(*at), now, max_age)
        {
            return Ok(device.clone());
        }
        let call = Call::ShowDevice { id: id.to_owned() };
        let device = match account.call(&call, urgency).await {
            Ok(Reply::Device(device)) => Some(device),
            Ok(_) => return Err(misfit(&call)),
            Err(error) if error.class == ErrorClass::NotFound => None,
            Err(error) => return Err(error),
        };
        self.single.insert(id.to_owned(), (now, device.clone()));
        self.refresh_in_product(device.as_ref());
        Ok(device)
    }

    /// When a single device was last read.
    #[must_use]
    pub fn seen_at(&self, id: &str) -> Option<Timestamp> {
        self.single.get(id).map(|(at, _)| *at)
    }

    /// The ids of a group or tag, unless they were read within `max_age`.
    ///
    /// # Errors
    /// The call's.
    pub async fn members(
        &mut self,
        account: &mut Account,
        set: &DeviceSet,
        max_age: SignedDuration,
        now: Timestamp,
        urgency: Class,
    ) -> Result<BTreeSet<String>, CallError> {
        if let Some((at, members)) = self.sets.get(set)
            && !is_stale(Some(*at), now, max_age)
        {
            return Ok(members.clone());
        }
        let read = Reading::begin(set.clone(), now).finish(account, urgency).await?;
        let members: BTreeSet<String> = read.rows.into_iter().collect();
        self.sets.insert(set.clone(), (read.at, members.clone()));
        Ok(members)
    }

    /// A single look is newer than the product's list.
    fn refresh_in_product(&mut self, device: Option<&Device>) {
        if let Some(device) = device
            && let Some(product) = self.products.get_mut(&device.product)
        {
            product.devices.insert(device.id.clone(), device.clone());
        }
    }
}
