//! What the world must know of a cloud: how its manifest is written, how it is reached, what its requests ask for, and what
//! is true in it. Everything else in `world/` is the same for all clouds.
//!
//! A cloud is one file here. It gives the functions that [`iotda`] gives, and is named in each function of this one.

mod iotda;

use crate::api::OtaCloud;
use crate::cloud::{CallError, Cloud, ErrorClass, PackageKind, Transport, WireRequest};
use crate::simulator::{Simulator, fleet::Part};
use jiff::Timestamp;
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

pub(super) use iotda::order_of;

/// No world has more accounts.
pub(super) const MOST_ACCOUNTS: u64 = 2;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// A token, or whatever else must be had before a call.
    SignIn,
    /// One thing as it is.
    Show,
    /// A list; false on its first page.
    List { goes_on: bool },
    /// A package of this version.
    CreatePackage { version: String },
    /// A job with this name for these devices; no token when the name is not one of ours.
    CreateJob { name: String, token: Option<String>, devices: BTreeSet<String> },
    /// A package goes.
    DeletePackage { id: String },
    /// A job ends.
    StopJob { id: String },
    /// Something that Rollwave never asks for.
    Never,
}

impl Deed {
    /// True when nothing in the cloud changes by it.
    pub(super) const fn is_read(&self) -> bool {
        matches!(self, Self::SignIn | Self::Show | Self::List { .. })
    }

    /// True when it must not happen twice.
    pub(super) const fn is_create(&self) -> bool {
        matches!(self, Self::CreatePackage { .. } | Self::CreateJob { .. })
    }

    /// The thing in the cloud that it is about, if it names one.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::DeletePackage { id } | Self::StopJob { id } => id,
            _ => "",
        }
    }
}

/// A request, read.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The cloud's name of the call.
    pub(super) operation: &'static str,
    /// The account, as [`account_of`] gives it; empty while signing in.
    pub(super) account: String,
    pub(super) deed: Deed,
    /// The answer says which versions devices run.
    pub(super) shows_versions: bool,
}

/// A package that is there.
#[derive(Clone, Debug)]
pub(super) struct PackageTruth {
    pub(super) account: String,
    pub(super) id: String,
    pub(super) kind: PackageKind,
    pub(super) product: String,
    pub(super) version: String,
}

/// A job that is there.
#[derive(Clone, Debug)]
pub(super) struct JobTruth {
    pub(super) account: String,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: PackageKind,
    /// In the place where a token of ours would stand.
    pub(super) token: Option<String>,
    /// Nothing will happen to it any more.
    pub(super) is_final: bool,
    pub(super) devices: BTreeSet<String>,
    /// Those to which something may still happen.
    pub(super) open: BTreeSet<String>,
}

/// A version that a device runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct VersionTruth<'a> {
    pub(super) device: &'a str,
    pub(super) kind: PackageKind,
    pub(super) version: &'a str,
}

/// What every device runs.
pub(super) fn versions(simulator: &Simulator) -> impl Iterator<Item = VersionTruth<'_>> {
    let parts = [(Part::Firmware, PackageKind::Firmware), (Part::Software, PackageKind::Software)];
    simulator.fleet().flat_map(move |(id, running)| {
        let of = move |(part, kind)| Some(VersionTruth { device: id, kind, version: running.version(part)? });
        parts.into_iter().filter_map(of)
    })
}

/// The name of an account in [`Order`] and [`PackageTruth`].
pub(super) fn account_of(cloud: &OtaCloud) -> &str {
    cloud.spec.huawei_iotda.as_ref().map_or("", |iotda| &iotda.project_id)
}

/// The spec of the `n`-th account, with one of its ways to sign in.
pub(super) fn manifest(n: u64, way: u64) -> Value {
    iotda::manifest(n, way)
}

/// The simulator's side of so many accounts.
pub(super) fn simulated(accounts: u64, rejects_duplicates: bool) -> Value {
    iotda::simulated(accounts, rejects_duplicates)
}

/// Name of the `n`-th account.
pub(super) fn account(n: u64) -> String {
    iotda::project(n)
}

/// Texts that must never be seen outside of a request.
pub(super) fn secrets(accounts: u64) -> Vec<String> {
    (0..accounts).flat_map(iotda::secrets).collect()
}

/// A client as the engine takes it.
///
/// # Errors
/// No world has this cloud.
pub(super) fn connect(cloud: &OtaCloud, transport: Arc<dyn Transport>) -> Result<Arc<dyn Cloud>, CallError> {
    match &cloud.spec.huawei_iotda {
        Some(iotda) => Ok(iotda::connect(iotda, transport)),
        None => Err(CallError::new(ErrorClass::Invalid, "Connect", "no world has this cloud")),
    }
}

/// What the client promises as its default budget: calls a second, and at once.
pub(super) const DEFAULT_BUDGET: (u32, u32) = iotda::DEFAULT_BUDGET;

/// Every package of every account.
pub(super) fn packages(simulator: &Simulator) -> Vec<PackageTruth> {
    iotda::packages(simulator)
}

/// Every job of every account.
pub(super) fn jobs(simulator: &Simulator) -> Vec<JobTruth> {
    iotda::jobs(simulator)
}

/// A request of somebody else, signed with the account's keys.
pub(super) fn of_a_stranger(n: u64, deed: &StrangeDeed, now: Timestamp) -> WireRequest {
    iotda::of_a_stranger(n, deed, now)
}

/// What other people do in the account.
#[derive(Clone, Debug)]
pub(super) enum StrangeDeed {
    /// A package like one of ours, or not.
    CreatePackage { kind: PackageKind, version: String, artifact: String },
    /// A job of some package for some devices.
    CreateJob { name: String, kind: PackageKind, package: String, devices: Vec<String> },
    /// Of a package, whoever made it.
    DeletePackage { id: String },
    /// Of a job, whoever made it.
    StopJob { id: String },
    /// Of a job, whoever made it.
    DeleteJob { id: String },
    /// A device goes out of service.
    DeleteDevice { id: String },
}
