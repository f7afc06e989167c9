//! The port to the clouds: the calls that every cloud supports, in terms that mean the same on all of them.
//!
//! A cloud is a [`Cloud`]: it renders a [`Call`] into its HTTP requests, and performs it over a [`Transport`]. Budget, retries
//! and the journal are in front of it (`engine/`), HTTP is behind it ([`transport`]); the folder of each cloud only maps nouns to
//! wire and back.
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
pub mod nouns;
pub mod ocean_connect;
mod refusal;
mod reported_time;
mod request;
mod single_flight;
mod text_rule;
pub mod transport;

pub use error::{CallError, Effect, ErrorClass};
pub use nouns::*;
pub use reported_time::recording_time;
pub use transport::{Transport, TransportError, WireRequest, WireResponse};

use async_trait::async_trait;
use jiff::Timestamp;

/// One cloud account, ready to be called.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// What this cloud can and cannot do; read by `plan/` and by admission, never guessed.
    fn capabilities(&self) -> &Capabilities;

    /// The requests of a call, unsigned and without secrets: what `rollwave plan` shows. A package with files to upload includes
    /// the requests of the upload.
    ///
    /// # Errors
    /// [`ErrorClass::Invalid`] when the call exceeds a documented limit of the cloud: such a call is never sent.
    fn render(&self, call: &Call) -> Result<Vec<WireRequest>, CallError>;

    /// Performs a call. `now` is wall-clock time: signatures and token expiry are computed from it.
    ///
    /// # Errors
    /// [`CallError`], whose [`Effect`] states whether the cloud may have acted.
    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Reply, CallError>;

    /// The time that the cloud reported in its last answer, if it has reported one since the last call of this.
    fn take_time(&self) -> Option<Timestamp> {
        None
    }
}

/// A query or a request to a cloud.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// A page of the packages of one kind; with `exactly`, only those of that product and version.
    ListPackages {
        /// Firmware or software.
        kind: PackageKind,
        /// Restricts the list to one natural key.
        exactly: Option<PackageKey>,
        /// Position in the list.
        cursor: Cursor,
    },
    /// One package with its artifact.
    ShowPackage {
        /// Cloud's id.
        id: String,
    },
    /// Checks that the module of a package exists; refused if it does not.
    CheckModule {
        /// The package that will be made.
        package: PackageKey,
    },
    /// Requests permission to upload a file. The permit expires soon: the upload follows immediately.
    PermitUpload {
        /// The package that the file belongs to.
        package: PackageKey,
        /// The file.
        file: LocalFile,
    },
    /// Uploads a file before its package is created; the cloud removes files that no package uses.
    Upload {
        /// The file.
        file: LocalFile,
        /// The permission to upload.
        permit: UploadPermit,
    },
    /// Creates a package. Not idempotent.
    CreatePackage(NewPackage),
    /// Deletes a package; its bytes stay where they are.
    DeletePackage {
        /// Cloud's id.
        id: String,
    },
    /// A page of the upgrade jobs of one kind.
    ListJobs {
        /// Firmware or software.
        kind: PackageKind,
        /// Position in the list.
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
        /// Position in the list.
        cursor: Cursor,
    },
    /// Creates an upgrade job. Not idempotent.
    CreateJob(NewJob),
    /// Stops what has not finished.
    StopJob {
        /// Cloud's id.
        id: String,
    },
    /// Deletes the record of a finished job.
    DeleteJob {
        /// Cloud's id.
        id: String,
    },
    /// A page of the devices of a product.
    ListDevices {
        /// The product, and the module of its devices whose versions are read.
        scope: DeviceScope,
        /// Position in the list.
        cursor: Cursor,
    },
    /// A page of which devices of a product are connected, where [`Capabilities::presence_page`] is not 0. An account that may
    /// not make the request has an empty list.
    ListPresence {
        /// The cloud's product id.
        product: String,
        /// Position in the list.
        cursor: Cursor,
    },
    /// One device.
    ShowDevice {
        /// The product, within which device ids are unique, and the module of the device whose version is read.
        scope: DeviceScope,
        /// Cloud's id.
        id: String,
    },
    /// A page of the ids of a group's devices.
    ListGroupDevices {
        /// The cloud's product id: only its devices are returned, because ids may repeat across products.
        product: String,
        /// Cloud's id of the group.
        group: String,
        /// Position in the list.
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
        /// Position in the list.
        cursor: Cursor,
    },
    /// A page of the ids of the devices that have one of these values as an attribute.
    ListDevicesByAttribute {
        /// The cloud's product id, as for a group.
        product: String,
        /// Name of the attribute.
        name: String,
        /// Any of these values.
        values: Vec<String>,
        /// Position in the list.
        cursor: Cursor,
    },
}

/// How a call may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallClass {
    /// Changes nothing; may be repeated freely.
    Read,
    /// Repeating it changes nothing more.
    Idempotent,
    /// Each repetition creates another object: recorded in the journal.
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
            Self::StopJob { .. } => CallClass::Toggle,
            _ => CallClass::Read,
        }
    }

    /// The module that the call refers to; none: whole devices, or no devices.
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

    /// Name of the operation, for metrics, spans and messages: `CreatePackage`.
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
            Self::DeleteJob { .. } => "DeleteJob",
            Self::ListDevices { .. } => "ListDevices",
            Self::ListPresence { .. } => "ListPresence",
            Self::ShowDevice { .. } => "ShowDevice",
            Self::ListGroupDevices { .. } => "ListGroupDevices",
            Self::ListTaggedDevices { .. } => "ListTaggedDevices",
            Self::ListDevicesByAttribute { .. } => "ListDevicesByAttribute",
        }
    }
}

/// The answer to a [`Call`], of the form that its variant requires.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To `ListPackages`.
    Packages(Page<PackageRow>),
    /// To `ShowPackage` and `CreatePackage`.
    Package(Package),
    /// To `PermitUpload`.
    Permitted(UploadPermit),
    /// To `Upload`: the cloud's name of the file, for [`NewArtifact::Uploaded`].
    Uploaded(String),
    /// To `ListJobs`.
    Jobs(Page<Job>),
    /// To `ShowJob` and `CreateJob`.
    Job(Job),
    /// To `ListJobDevices`.
    JobDevices(Page<DeviceResult>),
    /// To `ListDevices`.
    Devices(Page<Device>),
    /// To `ListPresence`.
    Presence(Page<DevicePresence>),
    /// To `ShowDevice`.
    Device(Device),
    /// To `ListGroupDevices`, `ListTaggedDevices` and `ListDevicesByAttribute`.
    DeviceIds(Page<String>),
    /// To `StopJob`, the deletes and `CheckModule`.
    Done,
}
