//! What the world file has for EnOS: accounts, and switches for what no document settles.

use crate::simulator::world::Policy;
use serde::Deserialize;
use std::fmt;

/// EnOS: its accounts, and the switches for what no document settles.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnosSpec {
    /// What a job without a schedule does after its creation: by the document it starts, a sample starts it.
    #[serde(default)]
    pub new_jobs: NewJobs,
    /// `upgradePolicy: upgrade`, which stands on one page of the document and nowhere else.
    #[serde(default)]
    pub policy_upgrade: Policy,
    /// A firmware whose `sign` is not the digest of its bytes.
    #[serde(default = "Policy::allow")]
    pub wrong_digests: Policy,
    /// A job that names a device which does not exist: refused whole, or the device is left out.
    #[serde(default = "Policy::allow")]
    pub unknown_targets: Policy,
    /// For so many seconds of fleet time searches do not show what was created or ordered (documented: about 2).
    #[serde(default = "two")]
    pub settle_seconds: u32,
    /// Accounts; at least one.
    pub accounts: Vec<EnosAccountSpec>,
}

const fn two() -> u32 {
    2
}

/// What a new job does.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum NewJobs {
    /// It runs.
    #[default]
    Started,
    /// It waits for `start`.
    Stopped,
}

/// One application of an organisation, with its keys.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnosAccountSpec {
    /// `orgId` of every call.
    pub org_id: String,
    /// Application key.
    pub app_key: String,
    /// Application secret.
    pub app_secret: String,
    /// Calls a second; unlimited when absent. The tenant sets it, no number is documented.
    #[serde(default)]
    pub requests_per_second: Option<u32>,
    /// Operations that the application has no permission for, such as `SearchDevices`.
    #[serde(default)]
    pub forbidden: Vec<String>,
    /// How the Poseidon SDK may call: not at all when absent.
    #[serde(default)]
    pub poseidon: Option<PoseidonSpec>,
}

impl fmt::Debug for EnosAccountSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnosAccountSpec").field("org_id", &self.org_id).finish_non_exhaustive()
    }
}

/// How headers of the Poseidon SDK are judged. They are encrypted for a key that Envision alone holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoseidonSpec {
    /// The private key that belongs to the public key which a test has put into the SDK: headers are verified. Without
    /// one, whatever has the form of such a header is accepted.
    #[serde(default)]
    pub private_key: Option<RsaKey>,
}

/// A private RSA key of 2048 bits, for tests alone.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RsaKey {
    /// Modulus in hex.
    pub modulus: String,
    /// Private exponent in hex.
    pub exponent: String,
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaKey").finish_non_exhaustive()
    }
}
