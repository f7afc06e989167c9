//! What the world must know of a cloud: how its manifests are written, how it is reached, what its requests ask for, and what
//! is true in it. Everything else in `world/` is the same for all clouds.
//!
//! A cloud is one file here: a [`Side`], named in [`side`].

mod account;
mod aliyun;
mod enos;
mod iotda;
mod ocean_connect;

pub use account::Clouds;
pub(super) use account::{Account, MOST_ACCOUNTS};

use jiff::Timestamp;
use rollwave::api::{CloudKind, Kind, OtaCloud};
use rollwave::cloud::ocean_connect::Sessions;
use rollwave::cloud::{
    CallError, Cloud, ErrorClass, PackageKind, Transport, WireRequest, WireResponse, recording_time,
};
use rollwave::simulator::{End, PackageTruth as SimulatedPackage, Simulator, TaskTruth, fleet::Part};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What the world knows of one cloud. Accounts are counted from 0.
pub(super) trait Side: Sync {
    /// Name of an account: the id that its manifest gives.
    fn account(&self, n: u64) -> String;

    /// The name that a manifest gives; none when it is of another cloud.
    fn account_of<'a>(&self, cloud: &'a OtaCloud) -> Option<&'a str>;

    /// Texts of an account that must never be seen outside of a request. Long, so that they are found wherever they show up.
    fn secrets(&self, n: u64) -> Vec<String>;

    /// The spec of an account, with one of its ways to sign in.
    fn manifest(&self, n: u64, way: u64) -> Value;

    /// The simulator's side of these accounts.
    fn simulated(&self, accounts: &[u64], switches: Switches) -> Value;

    /// Product id of the devices, as the simulator has it.
    fn product(&self) -> &'static str {
        "meter"
    }

    /// Whether it has software beside firmware.
    fn has_software(&self) -> bool;

    /// Whether its packages may be for a module, a difference, or several files.
    fn has_parts(&self) -> bool {
        false
    }

    /// Makes the spec of a package or of a rollout one that this cloud takes; drawn are those of IoTDA.
    fn fit(&self, kind: Kind, spec: &mut Value);

    /// What people change of a package: a field that this cloud takes, and what it says then.
    fn edit_of_package(&self, pick: u64) -> (&'static str, Value) {
        ("/spec/description", json!(format!("text {pick}")))
    }

    /// Takes away what devices of this cloud have not.
    fn fit_devices(&self, _devices: &mut Value) {}

    /// A client as the engine takes it; `run` is the number of the process.
    fn connect(&self, cloud: &OtaCloud, wire: Arc<dyn Transport>, run: &Run) -> Option<Arc<dyn Cloud>>;

    /// What a request asks for; none when it leads nowhere in this cloud.
    fn order_of(&self, request: &WireRequest) -> Option<Order>;

    /// The answer says that the token is good no more: the client signs in, and sends the request once more.
    fn refuses_token(&self, answer: &WireResponse) -> bool;

    /// Whether a job says itself which token of ours it has.
    fn jobs_carry_tokens(&self) -> bool {
        true
    }

    /// Whether jobs can be listed whose package is gone.
    fn lists_jobs_without_package(&self) -> bool {
        true
    }

    /// Whether people upload packages in a portal, and no call creates one.
    fn packages_come_by_hand(&self) -> bool {
        false
    }

    /// What the client promises as its default budget: calls a second, and at once.
    fn default_budget(&self) -> (u32, u32);

    /// Lists may lag by less than so many seconds: what the client promises.
    fn lag_secs(&self) -> u64;

    /// Rows of a page of jobs.
    fn page(&self) -> usize;

    /// What kind a package is of.
    fn kind_of(&self, package: &SimulatedPackage) -> PackageKind;

    /// A job, in the words of all clouds.
    fn job(&self, task: TaskTruth) -> JobTruth;

    /// Somebody else does something in the account; what the cloud said. A cloud has not all of it.
    fn act(&self, simulator: &mut Simulator, n: u64, deed: &StrangeDeed, now: Timestamp) -> String;
}

/// The one table of clouds.
pub(super) fn side(cloud: CloudKind) -> &'static dyn Side {
    match cloud {
        CloudKind::HuaweiIotda => &iotda::Iotda,
        CloudKind::AliyunIot => &aliyun::Aliyun,
        CloudKind::Enos => &enos::Enos,
        CloudKind::OceanConnect => &ocean_connect::OceanConnect,
    }
}

fn sides() -> impl Iterator<Item = &'static dyn Side> {
    CloudKind::ALL.into_iter().map(side)
}

/// What differs between the worlds of one cloud.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switches {
    /// A second package of the same version is refused, where no document says.
    pub(super) rejects_duplicates: bool,
    /// Other people make so much at once that the cloud's own limits would stop them.
    pub(super) is_crowded: bool,
}

/// What one run of the process has for its clients.
pub(super) struct Run {
    /// Its number.
    number: u64,
    clients: AtomicU64,
    sessions: Sessions,
}

impl Run {
    pub(super) fn new(number: u64) -> Self {
        Self { number, clients: AtomicU64::default(), sessions: Sessions::default() }
    }

    /// A number that no other client of this process has.
    fn next_client(&self) -> u64 {
        self.clients.fetch_add(1, Ordering::Relaxed)
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// A token, or whatever else must be had before a call.
    SignIn,
    /// One thing as it is.
    Show,
    /// A list; false on its first page.
    List { goes_on: bool },
    /// Bytes for a package that is still to be created; nobody sees them before.
    Upload,
    /// A package of this version.
    CreatePackage { version: String },
    /// A job for these devices; `likeness` is what the journal says of one that can carry no token.
    CreateJob { name: String, token: Option<String>, likeness: Option<String>, devices: BTreeSet<String> },
    /// A package goes.
    DeletePackage { id: String },
    /// A job ends.
    StopJob { id: String },
    /// A job that has ended goes.
    DeleteJob { id: String },
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
            Self::DeletePackage { id } | Self::StopJob { id } | Self::DeleteJob { id } => id,
            _ => "",
        }
    }
}

/// The one resource that a read is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Topic {
    Device(String),
    /// A job, without its devices.
    Job(String),
    /// Devices of a job: all of them, or a page.
    JobDevices(String),
    Package(String),
    /// A list that many objects need.
    List,
    /// Anything else.
    #[default]
    Other,
}

/// A request, read.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) cloud: CloudKind,
    /// The cloud's name of the call.
    pub(super) operation: &'static str,
    /// The account, as [`Side::account`] gives it; empty while signing in.
    pub(super) account: String,
    pub(super) deed: Deed,
    pub(super) topic: Topic,
    /// The answer says which versions devices run.
    pub(super) shows_versions: bool,
    /// What is asked, without what changes from request to request; no secrets.
    pub(super) question: String,
}

/// What a request asks for; none when it leads nowhere.
pub(super) fn order_of(request: &WireRequest) -> Option<Order> {
    sides().find_map(|side| side.order_of(request))
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
    pub(super) packages: Vec<String>,
    /// Devices that it was created for, as lists tell them; none where they tell those that were asked for.
    pub(super) devices: Option<BTreeSet<String>>,
    /// Devices to which something may still happen.
    pub(super) open: BTreeSet<String>,
    /// Devices that have answered, as far as the cloud tells those from devices that were stopped.
    pub(super) answered: BTreeSet<String>,
    /// Those among them that never came online: they have not begun.
    pub(super) never_began: BTreeSet<String>,
    /// Devices that had failed, and that the cloud has tried again by itself.
    pub(super) tried_again: BTreeSet<String>,
    /// Devices that have failed, or were stopped: the cloud does not tell which.
    pub(super) untold: BTreeSet<String>,
}

/// The devices of a task that stand at one of these.
fn standing_at(task: &TaskTruth, statuses: &[&'static str]) -> BTreeSet<String> {
    statuses.iter().filter_map(|status| task.targets.get(status)).flatten().cloned().collect()
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

/// Devices that can be reached.
pub(super) fn online(simulator: &Simulator, now: Timestamp) -> BTreeSet<String> {
    let devices = simulator.devices(now).into_iter();
    devices.filter(|device| device.online).map(|device| device.id).collect()
}

/// Which cloud a manifest is of, and the name of its account.
pub(super) fn account_of(cloud: &OtaCloud) -> (CloudKind, &str) {
    let of = |kind: CloudKind| Some((kind, side(kind).account_of(cloud)?));
    CloudKind::ALL.into_iter().find_map(of).unwrap_or((CloudKind::HuaweiIotda, ""))
}

/// A client as the engine takes it.
///
/// # Errors
/// No world has this cloud.
pub(super) fn connect(
    cloud: &OtaCloud,
    wire: &Arc<dyn Transport>,
    run: &Run,
) -> Result<Arc<dyn Cloud>, CallError> {
    recording_time(wire.clone(), |wire| {
        let client = sides().find_map(|side| side.connect(cloud, wire.clone(), run));
        client.ok_or_else(|| CallError::new(ErrorClass::Invalid, "Connect", "no world has this cloud"))
    })
}

/// Every package of every account.
pub(super) fn packages(simulator: &Simulator) -> Vec<PackageTruth> {
    let truths = simulator.packages().into_iter();
    truths
        .map(|package| PackageTruth {
            kind: side(package.cloud).kind_of(&package),
            account: package.account,
            id: package.id,
            product: package.product,
            version: package.version,
        })
        .collect()
}

/// Every job of every account.
pub(super) fn jobs(simulator: &Simulator) -> Vec<JobTruth> {
    simulator.tasks().into_iter().map(|task| side(task.cloud).job(task)).collect()
}

/// Ids of the jobs in which whoever looks reads a token.
pub(super) fn tellable(simulator: &Simulator) -> BTreeSet<String> {
    let packages: BTreeSet<String> = simulator.packages().into_iter().map(|package| package.id).collect();
    let tell = |task: TaskTruth| {
        let side = side(task.cloud);
        let job = side.job(task);
        let is_listed =
            side.lists_jobs_without_package() || job.packages.iter().any(|id| packages.contains(id));
        (job.token.is_some() && is_listed).then_some(job.id)
    };
    simulator.tasks().into_iter().filter_map(tell).collect()
}

/// What other people do in the account.
#[derive(Clone, Debug)]
pub(super) enum StrangeDeed {
    /// A package like one of ours, or not; of the file with this number.
    CreatePackage { kind: PackageKind, version: String, file: u64 },
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

/// A device goes out of service by hand, where no call takes it out.
fn removed(simulator: &mut Simulator, id: &str, now: Timestamp) -> String {
    let was_there = simulator.remove_device(id, now);
    if was_there { "it is gone" } else { "there is no such device" }.to_owned()
}

/// Sends a request of somebody else; what the cloud said.
fn ask(simulator: &mut Simulator, request: &WireRequest, now: Timestamp) -> String {
    match simulator.handle(request, now).end {
        End::Reply(reply) => format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body)),
        other => format!("{other:?}"),
    }
}
