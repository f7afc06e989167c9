//! The world file: accounts, products, devices and how they behave. `examples/world.yaml` shows every field.

use super::aliyun_iot::AliyunSpec;
use super::enos::EnosSpec;
use super::ocean_connect::OceanConnectSpec;
use crate::api::CloudKind;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt};

/// A whole world file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct World {
    /// Everything random is drawn from it: the same seed, the same fleet.
    #[serde(default)]
    pub seed: u64,
    /// How many times faster than wall time the fleet lives; 1 when absent.
    #[serde(default = "one")]
    pub time_factor: u32,
    /// Fleet time at the start; wall time when absent.
    #[serde(default)]
    pub start: Option<Timestamp>,
    /// The clouds that are served.
    pub clouds: Clouds,
    /// Products. A product of a device is known without being listed.
    #[serde(default)]
    pub products: Vec<Product>,
    /// Groups that exist without devices naming them.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Single devices (with `id`) and series of them (with `count` and `idPrefix`).
    #[serde(default)]
    pub devices: Vec<DeviceSpec>,
    /// What devices do when they are sent a version; the first that fits counts. Without one, everything succeeds.
    #[serde(default)]
    pub behaviours: Vec<Behaviour>,
}

const fn one() -> u32 {
    1
}

/// The clouds of a world file; at least one.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clouds {
    /// Huawei Cloud IoTDA, API v5.
    #[serde(default)]
    pub huawei_iotda: Option<IotdaSpec>,
    /// Huawei OceanConnect.
    #[serde(default)]
    pub ocean_connect: Option<OceanConnectSpec>,
    /// Alibaba Cloud IoT Platform.
    #[serde(default)]
    pub aliyun_iot: Option<AliyunSpec>,
    /// Envision EnOS.
    #[serde(default)]
    pub enos: Option<EnosSpec>,
}

/// IoTDA: its accounts, and the switches for what no document settles.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IotdaSpec {
    /// A second package of the same product, type and version.
    #[serde(default)]
    pub duplicate_packages: Policy,
    /// Deleting a package that a task still needs.
    #[serde(default)]
    pub delete_package_in_use: Policy,
    /// A task for a device that does not exist: refused whole, or accepted with a failed sub task.
    #[serde(default = "Policy::allow")]
    pub unknown_targets: Policy,
    /// A package or device of a product that the world file does not have.
    #[serde(default)]
    pub unknown_products: Policy,
    /// False: lists of tasks leave `targets` out, as a client must survive.
    #[serde(default = "yes")]
    pub list_task_targets: bool,
    /// Searches a second and account (documented: 1); 0 lifts the limit.
    #[serde(default = "one")]
    pub searches_per_second: u32,
    /// Accounts; at least one.
    pub accounts: Vec<AccountSpec>,
}

const fn yes() -> bool {
    true
}

/// What the simulator does where the documents are silent.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// Refuse it.
    #[default]
    Reject,
    /// Do it.
    Allow,
}

impl Policy {
    pub(super) const fn allow() -> Self {
        Self::Allow
    }
}

/// One account: a project of a region with its keys.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountSpec {
    /// `project_id` of every path.
    pub project_id: String,
    /// The default resource space.
    pub app_id: String,
    /// Region id; part of the V11 scope, and the project's name at IAM.
    pub region: String,
    /// When given, an `Instance-Id` header must be equal to it.
    #[serde(default)]
    pub instance_id: Option<String>,
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// When given, the key is temporary and requests must carry this `X-Security-Token`.
    #[serde(default)]
    pub security_token: Option<String>,
    /// Which signatures this endpoint takes; both when absent. Standard and enterprise instances take `v11` only.
    #[serde(default)]
    pub signatures: Option<Vec<Scheme>>,
    /// IAM users, who may fetch tokens.
    #[serde(default)]
    pub users: Vec<UserSpec>,
    /// Calls a second; unlimited when absent. A 1000-TPS enterprise instance has 200.
    #[serde(default)]
    pub requests_per_second: Option<u32>,
}

impl fmt::Debug for AccountSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountSpec").field("project_id", &self.project_id).finish_non_exhaustive()
    }
}

/// A signature scheme.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Scheme {
    /// SDK-HMAC-SHA256.
    #[serde(rename = "sdkHmac")]
    SdkHmac,
    /// V11-HMAC-SHA256.
    #[serde(rename = "v11")]
    V11,
}

/// An IAM user.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserSpec {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
    /// Account name.
    pub domain: String,
}

impl fmt::Debug for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSpec").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A product.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Product {
    /// Product id.
    pub id: String,
    /// Name, for people; the id when absent.
    #[serde(default)]
    pub name: Option<String>,
}

/// A device group.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// Name; its id is derived from it unless `id` is given.
    pub name: String,
    /// Id: hex digits and hyphens.
    #[serde(default)]
    pub id: Option<String>,
    /// Cloud that holds it; the first one that is served when absent.
    #[serde(default)]
    pub cloud: Option<CloudKind>,
    /// Account that holds it, by the id that manifests give (`projectId` of IoTDA); the cloud's first one when absent.
    #[serde(default)]
    pub account: Option<String>,
}

/// A device, or a series of devices.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceSpec {
    /// Device id, of a single device.
    #[serde(default)]
    pub id: Option<String>,
    /// Number of devices, of a series; at most [`MOST_DEVICES`].
    #[serde(default)]
    pub count: Option<u32>,
    /// Ids of a series are this, followed by a number from 0 with as many digits as the last one needs, at least 4.
    #[serde(default)]
    pub id_prefix: Option<String>,
    /// Product id.
    pub product: String,
    /// Cloud that holds it; the first one that is served when absent.
    #[serde(default)]
    pub cloud: Option<CloudKind>,
    /// Account that holds it, by the id that manifests give (`projectId` of IoTDA); the cloud's first one when absent.
    #[serde(default)]
    pub account: Option<String>,
    /// Firmware version at the start; none when absent.
    #[serde(default)]
    pub firmware: Option<String>,
    /// Software version at the start; none when absent.
    #[serde(default)]
    pub software: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Attributes, on clouds that have them (EnOS).
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Versions of modules at the start, on clouds that have them (Alibaba Cloud); its product has these modules.
    #[serde(default)]
    pub modules: BTreeMap<String, String>,
    /// Names of groups that it belongs to; on EnOS a node of an asset tree, `plant/hall-1`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Connected or not; connected when absent.
    #[serde(default)]
    pub online: Option<bool>,
    /// Connected every day between these times (fleet time, UTC) only: `08:00-18:00`.
    #[serde(default)]
    pub online_hours: Option<Hours>,
    /// Share of a series that is not connected at all.
    #[serde(default)]
    pub offline: Rate,
}

/// Devices in one series: a slip of the keyboard must not eat the machine's memory.
pub const MOST_DEVICES: u32 = 1_000_000;

impl DeviceSpec {
    /// Ids of the devices that it stands for.
    ///
    /// # Errors
    /// Neither or both of `id` and (`count` and `idPrefix`) are given, or more than [`MOST_DEVICES`].
    pub fn ids(&self) -> Result<Vec<String>, WorldError> {
        match (&self.id, self.count, &self.id_prefix) {
            (Some(id), None, None) => Ok(vec![id.clone()]),
            (None, Some(count), Some(_)) if count > MOST_DEVICES => {
                Err(WorldError(format!("count: {count} devices are more than {MOST_DEVICES} in one series")))
            }
            (None, Some(count), Some(prefix)) => {
                let width = count.saturating_sub(1).to_string().len().max(4);
                Ok((0..count).map(|n| format!("{prefix}{n:0width$}")).collect())
            }
            _ => Err(WorldError(format!(
                "devices of product {}: give either `id`, or `count` and `idPrefix`",
                self.product
            ))),
        }
    }
}

/// What devices do when they are sent a version. The shares are of all devices and add up to at most 100%.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behaviour {
    /// Target version.
    pub version: String,
    /// Only devices of this product; all when absent.
    #[serde(default)]
    pub product: Option<String>,
    /// Share that fails, with one of `failures`.
    #[serde(default)]
    pub failure_rate: Rate,
    /// Share that never answers the version query: fails after 3 minutes.
    #[serde(default)]
    pub silent_rate: Rate,
    /// Share that takes the package and never reports: fails after 24 hours.
    #[serde(default)]
    pub stuck_rate: Rate,
    /// Share for which the cloud reports success although the version stays.
    #[serde(default)]
    pub lie_rate: Rate,
    /// Share that succeeds and reverts to the old version after `revertAfter`.
    #[serde(default)]
    pub revert_rate: Rate,
    /// Time from success to the return of the old version; 10 minutes when absent.
    #[serde(default = "ten_minutes")]
    pub revert_after: SignedDuration,
    /// How long download and installation take.
    #[serde(default)]
    pub duration: Range,
    /// Texts of failures (the cloud's FAQ lists them); a default choice when empty.
    #[serde(default)]
    pub failures: Vec<String>,
    /// A failing device fails this many times and then succeeds; for ever when absent.
    #[serde(default)]
    pub failing_attempts: Option<u32>,
}

const fn ten_minutes() -> SignedDuration {
    SignedDuration::from_mins(10)
}

/// A range of durations.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Shortest.
    pub min: SignedDuration,
    /// Longest.
    pub max: SignedDuration,
}

impl Default for Range {
    fn default() -> Self {
        Self { min: SignedDuration::from_mins(1), max: SignedDuration::from_mins(5) }
    }
}

/// A share, written as `5%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// Between 0 and 1.
    #[must_use]
    pub const fn share(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match number {
            Some(percent) if (0.0..=100.0).contains(&percent) => Ok(Self(percent / 100.0)),
            _ => Err(serde::de::Error::custom(format!("\"{text}\" is not a share (try 5%)"))),
        }
    }
}

/// Hours of every day, in minutes after midnight UTC. May pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// First minute.
    pub from: u32,
    /// First minute after.
    pub to: u32,
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hours = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
        match hours {
            Some((from, to)) if from != to => Ok(Self { from, to }),
            _ => Err(serde::de::Error::custom(format!("\"{text}\" are not hours (try 08:00-18:00)"))),
        }
    }
}

fn minute(text: &str) -> Option<u32> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// A world file that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WorldError(pub String);

impl World {
    /// Names of its products by id: those of its list, and those of its devices.
    pub(super) fn product_names(&self) -> BTreeMap<String, String> {
        let named =
            self.products.iter().map(|product| (&product.id, product.name.as_ref().unwrap_or(&product.id)));
        let implied = self.devices.iter().map(|device| (&device.product, &device.product));
        implied.chain(named).map(|(id, name)| (id.clone(), name.clone())).collect()
    }

    /// Reads a world file. `name` is its name, for errors.
    ///
    /// # Errors
    /// [`WorldError`] with file, line and column for a field that is unknown, missing or of the wrong type; with the
    /// field's name for values that contradict each other.
    pub fn parse(name: &str, text: &str) -> Result<Self, WorldError> {
        let world: Self = serde_yaml::from_str(text).map_err(|error| {
            let at = error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
            let plain = error.without_snippet().to_string();
            // The parser repeats the place, in words.
            let plain = plain.split(" at line ").next().unwrap_or(&plain);
            WorldError(format!("{name}{at}: {plain}"))
        })?;
        world.check().map_err(|WorldError(why)| WorldError(format!("{name}: {why}")))?;
        Ok(world)
    }

    fn check(&self) -> Result<(), WorldError> {
        let fail = |why: String| Err(WorldError(why));
        self.clouds.check()?;
        if self.time_factor == 0 {
            return fail("timeFactor: 0 would stop time (try 1)".to_owned());
        }
        for device in &self.devices {
            if device.online.is_some() && device.online_hours.is_some() {
                return fail(format!(
                    "devices of product {}: `online` or `onlineHours`, not both",
                    device.product
                ));
            }
            device.ids()?;
        }
        for behaviour in &self.behaviours {
            behaviour.check()?;
        }
        Ok(())
    }
}

impl Clouds {
    fn check(&self) -> Result<(), WorldError> {
        self.ocean_connect.as_ref().map_or(Ok(()), OceanConnectSpec::check)?;
        let accounts = [
            (CloudKind::HuaweiIotda, self.huawei_iotda.as_ref().map(|spec| spec.accounts.len())),
            (CloudKind::OceanConnect, self.ocean_connect.as_ref().map(|spec| spec.apps.len())),
            (CloudKind::AliyunIot, self.aliyun_iot.as_ref().map(|spec| spec.accounts.len())),
            (CloudKind::Enos, self.enos.as_ref().map(|spec| spec.accounts.len())),
        ];
        let mut served =
            accounts.into_iter().filter_map(|(cloud, accounts)| Some((cloud, accounts?))).peekable();
        if served.peek().is_none() {
            return Err(WorldError("clouds: at least one cloud is needed (try huaweiIotda)".to_owned()));
        }
        match served.find(|(_, accounts)| *accounts == 0) {
            Some((cloud, _)) => {
                Err(WorldError(format!("clouds.{cloud}.accounts: at least one account is needed")))
            }
            None => Ok(()),
        }
    }
}

impl Behaviour {
    /// # Errors
    /// The shares add up to more than 100%, or the range of durations is empty.
    pub(super) fn check(&self) -> Result<(), WorldError> {
        let shares = [self.failure_rate, self.silent_rate, self.stuck_rate, self.lie_rate, self.revert_rate];
        if shares.iter().map(|rate| rate.share()).sum::<f64>() > 1.0 + 1e-9 {
            return Err(WorldError(format!(
                "behaviour of {}: the shares add up to more than 100%",
                self.version
            )));
        }
        if self.duration.min > self.duration.max || self.duration.min.is_negative() {
            return Err(WorldError(format!(
                "behaviour of {}: duration.min is above duration.max",
                self.version
            )));
        }
        Ok(())
    }
}
