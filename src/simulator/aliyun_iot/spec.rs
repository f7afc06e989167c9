//! What a world file has for Alibaba Cloud: its accounts, and the switches for what no document settles.

use crate::simulator::world::Policy;
use serde::Deserialize;
use std::fmt;

/// Alibaba Cloud IoT Platform: its accounts, and the switches for what no document settles.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AliyunSpec {
    /// A second package of the same product, module and version under another name.
    #[serde(default = "allow")]
    pub duplicate_versions: Policy,
    /// Deleting a package that an unfinished job needs.
    #[serde(default)]
    pub delete_package_in_use: Policy,
    /// A product that the world file does not have.
    #[serde(default)]
    pub unknown_products: Policy,
    /// False: actions are not throttled at the documented queries a second.
    #[serde(default = "yes")]
    pub throttled: bool,
    /// Accounts; at least one.
    pub accounts: Vec<AliyunAccount>,
}

const fn allow() -> Policy {
    Policy::Allow
}

const fn yes() -> bool {
    true
}

/// One account: an instance of a region with its keys.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AliyunAccount {
    /// Region id.
    pub region_id: String,
    /// When given, every call must name this `IotInstanceId`.
    #[serde(default)]
    pub iot_instance_id: Option<String>,
    /// Access key id.
    pub access_key: String,
    /// Secret of the access key.
    pub secret_key: String,
    /// When given, the key is temporary and requests must carry this token.
    #[serde(default)]
    pub security_token: Option<String>,
    /// Which signatures are taken; both when absent.
    #[serde(default)]
    pub signatures: Option<Vec<SchemeName>>,
    /// Actions that the key may not call, such as `CreateOTAStaticUpgradeJob`.
    #[serde(default)]
    pub forbidden: Vec<String>,
    /// Names of groups that are dynamic: their members are the devices that name them.
    #[serde(default)]
    pub dynamic_groups: Vec<String>,
}

impl AliyunAccount {
    /// What distinguishes accounts: the instance, or the region of one without.
    #[must_use]
    pub fn name(&self) -> &str {
        self.iot_instance_id.as_deref().unwrap_or(&self.region_id)
    }
}

impl fmt::Debug for AliyunAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AliyunAccount").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// A signature scheme, as the world file names it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum SchemeName {
    /// ACS3-HMAC-SHA256.
    Acs3,
    /// RPC signature 1.0.
    Rpc,
}
