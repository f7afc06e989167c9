//! Maps a call to its action; pure, without secrets or signatures.

use super::{
    cursor::{self, DevicesPlace, JobsPlace, NamesAt, PageNumber, TaggedPlace},
    limits, modules,
    sign::{self, Pairs},
};
use crate::{
    api::{AliyunIot, Delivery, DownloadProtocol},
    cloud::{
        Call, CallError, DeviceOutcome, ErrorClass, JobPurpose, LocalFile, NewArtifact, NewFile, NewJob,
        NewPackage, WireRequest, request,
    },
};
use sha2::{Digest, Sha256};

/// Key of the tag by which Rollwave finds its jobs. Devices see it, so it contains no more than necessary.
pub const TOKEN_TAG: &str = "rollwave";

/// An action with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Name.
    pub name: &'static str,
    /// Method: `POST`, except where the SDKs send `GET`.
    pub method: &'static str,
    /// Parameters, without the common ones.
    pub parameters: Pairs,
}

impl Action {
    /// An action without parameters.
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, method: "POST", parameters: Vec::new() }
    }

    /// An action that the SDKs send by `GET`.
    pub(super) const fn get(name: &'static str) -> Self {
        Self { name, method: "GET", parameters: Vec::new() }
    }

    pub(super) fn with(mut self, name: impl Into<String>, value: impl ToString + Copy) -> Self {
        self.parameters.push((name.into(), value.to_string()));
        self
    }

    pub(super) fn with_some(self, name: &str, value: Option<impl ToString + Copy>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn with_list(self, name: &str, values: &[String]) -> Self {
        values.iter().zip(1..).fold(self, |action, (value, n)| action.with(format!("{name}.{n}"), value))
    }

    pub(super) fn page(self, PageNumber(number): PageNumber, size: usize) -> Self {
        self.with("CurrentPage", number).with("PageSize", size)
    }

    /// The request as users see it: the signed one has more, and an RPC signature adds to the query.
    #[must_use]
    pub fn shown(&self, spec: &AliyunIot) -> WireRequest {
        let mut query = vec![("Action".to_owned(), self.name.to_owned())];
        query.extend(self.parameters.iter().cloned());
        WireRequest {
            method: self.method,
            origin: request::origin(&spec.endpoint).to_owned(),
            path: "/".to_owned(),
            query: sign::canonical_query(&query),
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            upload: None,
        }
    }
}

/// The action of a call; none when no request is needed because the list is always empty.
///
/// # Errors
/// [`ErrorClass::Invalid`] when the call exceeds a limit, or the cloud does not support it.
pub fn render(spec: &AliyunIot, call: &Call) -> Result<Option<Action>, CallError> {
    limits::check(call)?;
    let action = of_call(call).map_err(|why| CallError::new(ErrorClass::Invalid, call.operation(), why))?;
    Ok(action.map(|action| action.with_some("IotInstanceId", spec.iot_instance_id.as_ref())))
}

fn of_call(call: &Call) -> Result<Option<Action>, String> {
    if limits::is_software_list(call) {
        return Ok(None);
    }
    Ok(Some(match call {
        Call::ListPackages { exactly, cursor, .. } => {
            let page = cursor::place(cursor)?;
            let action = Action::new("ListOTAFirmware").page(page, limits::FIRMWARE_PAGE);
            action
                .with_some("ProductKey", exactly.as_ref().map(|key| &key.product))
                .with_some("DestVersion", exactly.as_ref().map(|key| &key.version))
        }
        Call::ShowPackage { id } => Action::new("QueryOTAFirmware").with("FirmwareId", id),
        Call::CheckModule { package } => modules::list(package),
        Call::PermitUpload { file, .. } => permit_upload(file),
        Call::CreatePackage(package) => create_firmware(package),
        Call::DeletePackage { id } => Action::new("DeleteOTAFirmware").with("FirmwareId", id),
        Call::ListJobs { cursor, .. } => list_jobs(&cursor::place(cursor)?),
        Call::ShowJob { id } => Action::new("QueryOTAJob").with("JobId", id),
        Call::ListJobDevices { id, outcome, only, cursor } => {
            let action = Action::new("ListOTATaskByJob")
                .with("JobId", id)
                .with_some("TaskStatus", outcome.as_ref().and_then(task_status));
            match only {
                // "With DeviceNames.N no PageSize and CurrentPage are needed; DeviceNames.N counts" (ListOTATaskByJob).
                Some(named) => action.with_list("DeviceNames", &named.ids),
                None => action.page(cursor::place(cursor)?, limits::TASK_PAGE),
            }
        }
        Call::CreateJob(job) => match job.purpose {
            JobPurpose::Verify => create_verify_job(job),
            JobPurpose::Upgrade => create_upgrade_job(job),
        },
        Call::StopJob { id } => {
            let flags = ["Scheduled", "Queued", "Notified", "InProgress", "Unconfirmed"];
            let action = Action::new("CancelOTATaskByJob").with("JobId", id);
            flags.iter().fold(action, |action, flag| action.with(format!("Cancel{flag}Task"), true))
        }
        Call::ListDevices { scope, cursor } if scope.module.is_some() => {
            modules::list_devices(scope, &cursor::place(cursor)?)
        }
        Call::ListDevices { scope, cursor } => list_devices(&scope.product, &cursor::place(cursor)?),
        Call::ShowDevice { scope, id } if scope.module.is_some() => modules::versions_of(scope, id),
        Call::ShowDevice { scope, id } => {
            Action::new("QueryDeviceDetail").with("ProductKey", &scope.product).with("DeviceName", id)
        }
        Call::ListGroupDevices { group, cursor, .. } => Action::new("QueryDeviceListByDeviceGroup")
            .with("GroupId", group)
            .page(cursor::place(cursor)?, limits::NAME_PAGE),
        Call::ListTaggedDevices { key, values, cursor, .. } => {
            let TaggedPlace { value, page } = cursor::place(cursor)?;
            let value = values.get(value).ok_or("the cursor belongs to another list")?;
            let action = Action::new("QueryDeviceByTags").with("Tag.1.TagKey", key);
            action.with("Tag.1.TagValue", value).page(page, limits::NAME_PAGE)
        }
        Call::Upload { .. } => return Err("an upload is sent to the object store".to_owned()),
        Call::DeleteJob { .. } | Call::ListPresence { .. } | Call::ListDevicesByAttribute { .. } => {
            return Err("not supported by Alibaba Cloud".to_owned());
        }
    }))
}

fn permit_upload(file: &LocalFile) -> Action {
    Action::new("GenerateOTAUploadURL").with("FileSuffix", suffix(file))
}

/// The requests of a call; a create of a package is preceded by those that upload its missing files.
///
/// # Errors
/// As of [`render`].
pub fn shown(spec: &AliyunIot, call: &Call) -> Result<Vec<WireRequest>, CallError> {
    if let Call::Upload { permit, .. } = call {
        limits::check(call)?;
        return Ok(vec![to_object_store(&permit.address)]);
    }
    let Some(action) = render(spec, call)? else { return Ok(Vec::new()) };
    let request = action.shown(spec);
    let Call::CreatePackage(package) = call else { return Ok(vec![request]) };
    let files: Vec<&LocalFile> = match &package.artifact {
        NewArtifact::File(file) => vec![file],
        NewArtifact::Files(files) => {
            files.iter().filter(|file| file.handle.is_none()).map(|file| &file.file).collect()
        }
        _ => Vec::new(),
    };
    let module = package.key.module.as_ref().filter(|_| !files.is_empty());
    let of_instance = |action: Action| action.with_some("IotInstanceId", spec.iot_instance_id.as_ref());
    let module = module.map(|_| of_instance(modules::list(&package.key)).shown(spec));
    let uploads = files.into_iter().flat_map(|file| {
        let permit = of_instance(permit_upload(file)).shown(spec);
        [permit, to_object_store(NOT_UPLOADED)]
    });
    Ok(module.into_iter().chain(uploads).chain([request]).collect())
}

fn to_object_store(address: &str) -> WireRequest {
    WireRequest {
        method: "POST",
        origin: address.to_owned(),
        path: String::new(),
        query: String::new(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
        upload: None,
    }
}

/// The one status of an outcome; none if it has several.
fn task_status(outcome: &DeviceOutcome) -> Option<&'static str> {
    match outcome {
        DeviceOutcome::Succeeded => Some("SUCCEEDED"),
        DeviceOutcome::Failed => Some("FAILED"),
        DeviceOutcome::Stopped => Some("CANCELED"),
        _ => None,
    }
}

fn list_jobs(place: &JobsPlace) -> Action {
    match place {
        JobsPlace::Packages(page) => Action::new("ListOTAFirmware").page(*page, limits::FIRMWARE_PAGE),
        JobsPlace::Jobs { of, page, .. } => Action::new("ListOTAJobByFirmware")
            .with_some("FirmwareId", of.first().map(|package| &package.id))
            .page(*page, limits::JOB_PAGE),
    }
}

/// Names are collected until they fill a batch, or until there are no more.
fn list_devices(product: &str, place: &DevicesPlace) -> Action {
    match &place.names_at {
        Some(names_at) if place.names.len() + limits::NAME_PAGE <= limits::BATCH => {
            query_device(product, names_at)
        }
        _ => Action::new("BatchQueryDeviceDetail")
            .with("ProductKey", product)
            .with_list("DeviceName", &place.names),
    }
}

/// A page of the names of a product's devices.
pub(super) fn query_device(product: &str, NamesAt { page, token }: &NamesAt) -> Action {
    let action = Action::new("QueryDevice").with("ProductKey", product).page(*page, limits::NAME_PAGE);
    action.with_some("NextToken", token.as_ref())
}

/// The suffix of the file name; `limits` has checked it.
fn suffix(file: &LocalFile) -> &'static str {
    limits::suffix(&file.path).unwrap_or("bin")
}

fn create_firmware(package: &NewPackage) -> Action {
    let action = Action::new("CreateOTAFirmware")
        .with("FirmwareName", &firmware_name(package))
        .with("DestVersion", &package.key.version)
        .with("ProductKey", &package.key.product)
        .with_some("ModuleName", package.key.module.as_ref())
        .with_some("Type", package.delta.then_some(1))
        .with_some("SrcVersion", package.source_versions.first())
        .with_some("FirmwareDesc", package.description.as_ref().filter(|text| !text.is_empty()))
        .with_some("Udi", package.custom_info.as_ref().filter(|text| !text.is_empty()))
        .with("NeedToVerify", package.verification.is_some());
    match &package.artifact {
        NewArtifact::Uploaded { file, handle } => action
            .with("FirmwareUrl", handle)
            .with("SignMethod", "MD5")
            .with_some("FirmwareSign", file.md5.as_ref())
            .with_some("FirmwareSize", file.size),
        NewArtifact::Files(files) => files.iter().zip(1..).fold(action.with("SignMethod", "MD5"), multi_file),
        _ => action.with("FirmwareUrl", NOT_UPLOADED),
    }
}

/// Placeholder for users before a file is uploaded.
const NOT_UPLOADED: &str = "(from GenerateOTAUploadURL)";

fn multi_file(action: Action, (NewFile { name, file, handle }, n): (&NewFile, i32)) -> Action {
    let member = |name: &str| format!("MultiFiles.{n}.{name}");
    action
        .with(member("Name"), name)
        .with(member("Url"), handle.as_deref().unwrap_or(NOT_UPLOADED))
        .with_some(&member("Size"), file.size)
        .with_some(&member("SignValue"), file.md5.as_ref())
        .with_some(&member("FileMd5"), file.md5.as_ref())
}

/// A name that is unique in the account, as required: the name of the package, and a hash of its identity. The same package has
/// the same name, so that a create that is sent twice is refused.
#[must_use]
pub fn firmware_name(package: &NewPackage) -> String {
    let key = &package.key;
    let parts = [Some(&key.product), Some(&key.version), key.module.as_ref()];
    let identity = parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("\n");
    let hash = hex::encode(Sha256::digest(identity)).chars().take(8).collect::<String>();
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let words: String = package.name.chars().map(fits).collect();
    let words: String = words.trim_start_matches(['-', '_']).chars().take(limits::NAME - 9).collect();
    if words.is_empty() { format!("fw_{hash}") } else { format!("{words}_{hash}") }
}

fn create_verify_job(job: &NewJob) -> Action {
    delivery(targeted(Action::new("CreateOTAVerifyJob"), job), job)
}

fn create_upgrade_job(job: &NewJob) -> Action {
    let action = Action::new("CreateOTAStaticUpgradeJob").with("TargetSelection", "SPECIFIC");
    let Delivery { retry, rate_per_minute, overwrite, .. } = &job.delivery;
    let minutes = retry.as_ref().and_then(|retry| retry.interval).map(limits::minutes);
    delivery(targeted(action, job), job)
        .with_some("RetryInterval", minutes)
        .with_some("RetryCount", retry.as_ref().map(|retry| retry.limit))
        .with_some("MaximumPerMinute", *rate_per_minute)
        .with_some("OverwriteMode", overwrite.map(|overwrite| if overwrite { 2 } else { 1 }))
}

fn targeted(action: Action, job: &NewJob) -> Action {
    action
        .with("FirmwareId", &job.package_id)
        .with("ProductKey", &job.package.product)
        .with_list("TargetDeviceName", &job.devices)
}

/// Parameters that verify and upgrade jobs share.
fn delivery(action: Action, job: &NewJob) -> Action {
    let Delivery { timeout, push, confirm, download_protocol, tags, .. } = &job.delivery;
    let protocol = download_protocol.map(|protocol| match protocol {
        DownloadProtocol::Https => "HTTPS",
        DownloadProtocol::Mqtt => "MQTT",
    });
    let action = action
        .with_some("TimeoutInMinutes", timeout.and_then(|timeout| timeout.in_progress).map(limits::minutes))
        .with_some("NeedPush", *push)
        .with_some("NeedConfirm", *confirm)
        .with_some("DownloadProtocol", protocol)
        .with("Tag.1.Key", TOKEN_TAG)
        .with("Tag.1.Value", &job.token);
    tags.iter().zip(2..).fold(action, |action, ((key, value), n)| {
        action.with(format!("Tag.{n}.Key"), key).with(format!("Tag.{n}.Value"), value)
    })
}
