//! The port to the clouds: what every cloud can be asked, in words that mean the same on all of them.
//!
//! A cloud is a [`Cloud`]: it renders a [`Call`] into the HTTP requests that it stands for, and performs it over a
//! [`Transport`]. Budget, retries and the journal stand in front of it (`engine/`), HTTP stands behind it
//! ([`transport`]); each cloud's folder only maps nouns to wire and back.
//!
//! **Invariant:** a client never retries, never sleeps and never reads a clock: `now` is an argument. The exception
//! to "one call, one request" is signing in (a token is fetched when none is held, and renewed once on a 401).

pub mod address;
pub mod aliyun_iot;
mod answer;
pub mod defaults;
mod delivery;
mod effect;
pub mod enos;
pub mod error;
pub mod huawei_iotda;
mod listening;
pub mod nouns;
pub mod ocean_connect;
mod text_rule;
pub mod transport;

pub use error::{CallError, Effect, ErrorClass};
pub use listening::listening;
pub use nouns::*;
pub use transport::{Transport, TransportError, WireRequest, WireResponse};

use async_trait::async_trait;
use jiff::Timestamp;

/// One cloud account, ready to be called.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// What this cloud can and cannot do; read by `plan/` and by admission, never guessed.
    fn capabilities(&self) -> &Capabilities;

    /// The requests that a call stands for, unsigned and without secrets: what `rollwave plan` shows. A package whose files are
    /// still to be uploaded stands for those requests, too.
    ///
    /// # Errors
    /// [`ErrorClass::Invalid`] when the call breaks a documented limit of the cloud: such a call is never sent.
    fn render(&self, call: &Call) -> Result<Vec<WireRequest>, CallError>;

    /// Performs a call. `now` is wall-clock time: signatures and token expiry are computed from it.
    ///
    /// # Errors
    /// [`CallError`], whose [`Effect`] says whether the cloud may have acted all the same.
    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Reply, CallError>;

    /// What time the cloud said it was in its last answer, if it said so since this was asked last.
    fn take_time(&self) -> Option<Timestamp> {
        None
    }
}

/// A question or an order to a cloud.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// A page of the packages of one kind; with `exactly`, only those of that product and version.
    ListPackages {
        /// Firmware or software.
        kind: PackageKind,
        /// Restricts the list to one natural key.
        exactly: Option<PackageKey>,
        /// Where to go on.
        cursor: Cursor,
    },
    /// One package with its artifact.
    ShowPackage {
        /// Cloud's id.
        id: String,
    },
    /// Whether there is the module that a package is for; refused when there is none.
    CheckModule {
        /// The package that will be made.
        package: PackageKey,
    },
    /// Asks where a file may be uploaded. The permit does not last: the upload comes right after it.
    PermitUpload {
        /// The package that will be made of it.
        package: PackageKey,
        /// The file.
        file: LocalFile,
    },
    /// Hands a file to the cloud, before the package that is made of it; the cloud sweeps away what no package names.
    Upload {
        /// The file.
        file: LocalFile,
        /// Where to.
        permit: UploadPermit,
    },
    /// Creates a package. Not idempotent.
    CreatePackage(NewPackage),
    /// Deletes a package; the bytes stay where they are.
    DeletePackage {
        /// Cloud's id.
        id: String,
    },
    /// A page of the upgrade jobs of one kind.
    ListJobs {
        /// Firmware or software.
        kind: PackageKind,
        /// Where to go on.
        cursor: Cursor,
    },
    /// One job, without its devices' results.
    ShowJob {
        /// Cloud's id.
        id: String,
    },
    /// A page of the results of a job's devices.
    ListJobDevices {
        /// Cloud's id.
        id: String,
        /// Restricts the list to one outcome.
        outcome: Option<DeviceOutcome>,
        /// Restricts the list to these devices, where [`Capabilities::max_devices_per_question`] allows some.
        only: Option<NamedDevices>,
        /// Where to go on.
        cursor: Cursor,
    },
    /// Creates an upgrade job. Not idempotent.
    CreateJob(NewJob),
    /// Stops what has not finished: of these devices, or of the whole job when none are named.
    StopJob {
        /// Cloud's id.
        id: String,
        /// Device ids; all when empty.
        devices: Vec<String>,
    },
    /// Tries failed devices again: these, or all failed ones when none are named.
    RetryJob {
        /// Cloud's id.
        id: String,
        /// Device ids; all failed ones when empty.
        devices: Vec<String>,
    },
    /// Deletes the record of a finished job.
    DeleteJob {
        /// Cloud's id.
        id: String,
    },
    /// A page of the devices of a product.
    ListDevices {
        /// The product, and the part of its devices whose versions are told.
        scope: DeviceScope,
        /// Where to go on.
        cursor: Cursor,
    },
    /// One device.
    ShowDevice {
        /// The product, within which device ids need be unique, and the part of the device whose version is told.
        scope: DeviceScope,
        /// Cloud's id.
        id: String,
    },
    /// A page of the ids of a group's devices.
    ListGroupDevices {
        /// The cloud's product id: only its devices are meant, where ids of several products may be the same.
        product: String,
        /// Cloud's id of the group.
        group: String,
        /// Where to go on.
        cursor: Cursor,
    },
    /// A page of the ids of the devices that carry a tag with one of these values.
    ListTaggedDevices {
        /// The cloud's product id, as for a group.
        product: String,
        /// Tag key.
        key: String,
        /// Any of these values.
        values: Vec<String>,
        /// Where to go on.
        cursor: Cursor,
    },
}

/// How a call may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallClass {
    /// Changes nothing; may be repeated at will.
    Read,
    /// Repeating it changes nothing more.
    Idempotent,
    /// Each repetition creates another one: goes through the journal.
    CreateOnce,
    /// Its meaning depends on the state: read, compare, then write.
    Toggle,
}

impl Call {
    /// How the call may be repeated.
    #[must_use]
    pub const fn class(&self) -> CallClass {
        match self {
            Self::CreatePackage(_) | Self::CreateJob(_) => CallClass::CreateOnce,
            Self::Upload { .. } | Self::DeletePackage { .. } | Self::DeleteJob { .. } => {
                CallClass::Idempotent
            }
            Self::StopJob { .. } | Self::RetryJob { .. } => CallClass::Toggle,
            _ => CallClass::Read,
        }
    }

    /// The part of devices that the call speaks of; none: devices as a whole, or no devices.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        let module = match self {
            Self::ListPackages { exactly, .. } => exactly.as_ref().and_then(|key| key.module.as_ref()),
            Self::CheckModule { package } | Self::PermitUpload { package, .. } => package.module.as_ref(),
            Self::CreatePackage(package) => package.key.module.as_ref(),
            Self::CreateJob(job) => job.package.module.as_ref(),
            Self::ListDevices { scope, .. } | Self::ShowDevice { scope, .. } => scope.module.as_ref(),
            _ => None,
        };
        module.map(String::as_str)
    }

    /// Name of the operation, for counters, spans and messages: `CreatePackage`.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::ListPackages { .. } => "ListPackages",
            Self::ShowPackage { .. } => "ShowPackage",
            Self::CheckModule { .. } => "CheckModule",
            Self::PermitUpload { .. } => "PermitUpload",
            Self::Upload { .. } => "Upload",
            Self::CreatePackage(_) => "CreatePackage",
            Self::DeletePackage { .. } => "DeletePackage",
            Self::ListJobs { .. } => "ListJobs",
            Self::ShowJob { .. } => "ShowJob",
            Self::ListJobDevices { .. } => "ListJobDevices",
            Self::CreateJob(_) => "CreateJob",
            Self::StopJob { .. } => "StopJob",
            Self::RetryJob { .. } => "RetryJob",
            Self::DeleteJob { .. } => "DeleteJob",
            Self::ListDevices { .. } => "ListDevices",
            Self::ShowDevice { .. } => "ShowDevice",
            Self::ListGroupDevices { .. } => "ListGroupDevices",
            Self::ListTaggedDevices { .. } => "ListTaggedDevices",
        }
    }
}

/// The answer to a [`Call`], of the shape that its variant asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To `ListPackages`.
    Packages(Page<PackageRow>),
    /// To `ShowPackage` and `CreatePackage`.
    Package(Package),
    /// To `PermitUpload`.
    Permitted(UploadPermit),
    /// To `Upload`: what the cloud calls it, for [`NewArtifact::Uploaded`].
    Uploaded(String),
    /// To `ListJobs`.
    Jobs(Page<Job>),
    /// To `ShowJob` and `CreateJob`.
    Job(Job),
    /// To `ListJobDevices`.
    JobDevices(Page<DeviceResult>),
    /// To `StopJob` and `RetryJob`: devices for which the cloud refused, with its reason.
    Refused(Vec<DeviceResult>),
    /// To `ListDevices`.
    Devices(Page<Device>),
    /// To `ShowDevice`.
    Device(Device),
    /// To `ListGroupDevices` and `ListTaggedDevices`.
    DeviceIds(Page<String>),
    /// To the deletes and `CheckModule`.
    Done,
}
