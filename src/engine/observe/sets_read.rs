//! Which sets of devices were read for a decision.

use crate::cloud::DeviceSet;
use crate::decide::sets::Sets;
use crate::engine::inventory::{Inventory, ProductSet};
use std::collections::BTreeMap;

/// Sets of devices that were read; their devices are in the inventory.
#[derive(Clone, Default)]
pub(super) struct SetsRead {
    pub(super) read: Vec<ProductSet>,
    /// Why others could not be read.
    pub(super) unread: BTreeMap<DeviceSet, String>,
}

impl SetsRead {
    /// As decisions use them.
    pub(super) fn seen<'a>(&self, inventory: &'a Inventory) -> Sets<'a> {
        let members = |of: &ProductSet| Some((of.set.clone(), inventory.devices.members(of)?));
        Sets { read: self.read.iter().filter_map(members).collect(), unread: self.unread.clone() }
    }
}
