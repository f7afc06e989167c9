//! Maps a call to its one request; pure, without secrets or signatures.

use super::{
    expression::Expression,
    limits, sign,
    wire::{FirmwareMetadata, NewJob, PageQuery, RetryPolicy, Search, StringI18n, UpgradeScope},
};
use crate::{
    api::Enos,
    cloud::{
        self, Call, CallError, Cursor, DeviceOutcome, ErrorClass, JobPurpose, LocalFile, NamedDevices,
        NewArtifact, NewPackage, PackageKind, WireRequest, request, transport::Upload,
    },
};
use bytes::Bytes;
use serde::Serialize;

const FIRMWARES: &str = "/connect-service/v2.1/ota-firmwares";
const JOBS: &str = "/connect-service/v2.1/ota-jobs";
const DEVICES: &str = "/connect-service/v2.1/devices";
/// Rows without a projection contain the secret of each device (search_device 2.1.0).
const PRESENCE_FIELDS: &[&str] = &["deviceKey", "status"];
/// The tags show that the cloud compared them.
const TAGGED_FIELDS: &[&str] = &["productKey", "deviceKey", "deviceTags"];
const ATTRIBUTE_FIELDS: &[&str] = &["productKey", "deviceKey", "deviceAttributes"];
const JSON: &str = "application/json;charset=UTF-8";

/// Prefix of the names of Rollwave's jobs.
const NAME_PREFIX: &str = "rw_";
/// Hex digits of the idempotency key at the end of the name.
pub(super) const TOKEN_LENGTH: usize = 16;
/// Maximum length of a name: limit of the console of 2019 for firmware; *assumed* for jobs.
const NAME_LENGTH: usize = 32;

/// The request of a call, without authentication; none for a query whose answer is known, because EnOS supports firmware only.
///
/// [`ErrorClass::Invalid`] when the call exceeds a limit.
/// [`ErrorClass::Invalid`] when the call breaks a limit.
pub fn render(spec: &Enos, call: &Call) -> Result<Option<WireRequest>, CallError> {
    limits::check(call)?;
    let request = Request { spec, operation: call.operation() };
    let all = Expression::all();
    let made = match call {
        Call::ListPackages { kind: PackageKind::Software, .. }
        | Call::ListJobs { kind: PackageKind::Software, .. } => return Ok(None),
        Call::ListPackages { exactly, cursor, .. } => {
            let expression = match exactly {
                Some(key) => all.equal("productKey", &key.product),
                None => Some(all),
            };
            request.search(FIRMWARES, "search", expression, cursor)
        }
        Call::ShowPackage { id } => Ok(request.order("GET", FIRMWARES, "get", ("firmwareId", id))),
        Call::CreatePackage(package) => request.upload(package),
        Call::DeletePackage { id } => Ok(request.order("POST", FIRMWARES, "delete", ("firmwareId", id))),
        Call::ListJobs { cursor, .. } => request.search(JOBS, "search", Some(all), cursor),
        Call::ShowJob { id } => Ok(request.order("GET", JOBS, "get", ("jobId", id))),
        Call::ListJobDevices { id, outcome, only, cursor } => {
            let expression = tasks(id, outcome.as_ref(), only.as_ref());
            request.search(JOBS, "searchTask", expression, cursor)
        }
        Call::CreateJob(job) => {
            let query = [("action", "create"), ("firmwareId", job.package_id.as_str())];
            request.post(JOBS, &query, &new_job(job))
        }
        Call::StopJob { id } => Ok(request.order("POST", JOBS, "stop", ("jobId", id))),
        Call::DeleteJob { id } => Ok(request.order("POST", JOBS, "delete", ("jobId", id))),
        Call::ListDevices { scope, cursor } => {
            request.search(FIRMWARES, "searchDeviceUpgrade", all.equal("productKey", &scope.product), cursor)
        }
        Call::ListPresence { product, cursor } => {
            request.devices(all.equal("productKey", product), PRESENCE_FIELDS, cursor)
        }
        Call::ListTaggedDevices { product, key, values, cursor } => {
            request.devices(labelled(product, &format!("deviceTags.{key}"), values), TAGGED_FIELDS, cursor)
        }
        Call::ListDevicesByAttribute { product, name, values, cursor } => {
            let expression = labelled(product, &format!("deviceAttributes.{name}"), values);
            request.devices(expression, ATTRIBUTE_FIELDS, cursor)
        }
        // Refused by the limits.
        Call::CheckModule { .. }
        | Call::PermitUpload { .. }
        | Call::Upload { .. }
        | Call::ShowDevice { .. }
        | Call::ListGroupDevices { .. } => Err(request.invalid("EnOS does not support this call")),
    };
    made.map(Some)
}

/// Devices of a product that have one of these values in a field.
fn labelled(product: &str, field: &str, values: &[String]) -> Option<Expression> {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    Expression::all().equal("productKey", product)?.one_of(field, &values)
}

struct Request<'a> {
    spec: &'a Enos,
    operation: &'static str,
}

impl Request<'_> {
    fn build(
        &self,
        method: &'static str,
        path: &str,
        query: &[(&str, &str)],
        kind: &str,
        body: Bytes,
    ) -> WireRequest {
        let query = [query, &[("orgId", self.spec.org_id.as_str())]].concat();
        WireRequest {
            method,
            origin: request::origin(&self.spec.endpoint).to_owned(),
            path: path.to_owned(),
            query: sign::wire_query(&query),
            headers: vec![("Content-Type".to_owned(), kind.to_owned())],
            body,
            upload: None,
        }
    }

    fn order(&self, method: &'static str, path: &str, action: &str, id: (&str, &str)) -> WireRequest {
        self.build(method, path, &[("action", action), id], JSON, Bytes::new())
    }

    fn post(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &impl Serialize,
    ) -> Result<WireRequest, CallError> {
        Ok(self.build("POST", path, query, JSON, request::json(self.operation, body)?))
    }

    fn search(
        &self,
        path: &str,
        action: &str,
        expression: Option<Expression>,
        cursor: &Cursor,
    ) -> Result<WireRequest, CallError> {
        let search = Search {
            expression: self.text(expression)?,
            pagination: page(cursor, limits::PAGE_SIZE),
            projection: None,
        };
        self.post(path, &[("action", action)], &search)
    }

    /// A search for devices, whose rows have these fields alone.
    fn devices(
        &self,
        expression: Option<Expression>,
        fields: &'static [&'static str],
        cursor: &Cursor,
    ) -> Result<WireRequest, CallError> {
        let search = Search {
            expression: self.text(expression)?,
            pagination: page(cursor, limits::SEARCH_PAGE),
            projection: Some(fields),
        };
        self.post(DEVICES, &[("action", "search")], &search)
    }

    fn text(&self, expression: Option<Expression>) -> Result<Option<String>, CallError> {
        let found = expression.ok_or_else(|| self.invalid("a value cannot be used in a search expression"));
        found.map(|expression| expression.text())
    }

    fn upload(&self, package: &NewPackage) -> Result<WireRequest, CallError> {
        let NewArtifact::File(file) = &package.artifact else {
            return Err(self.invalid("EnOS requires an upload"));
        };
        let metadata = serde_json::to_string(&metadata(package, file));
        let metadata = metadata.map_err(|error| self.invalid(&error.to_string()))?;
        // A file cannot contain its own digest without breaking SHA-256.
        let boundary = format!("rollwave-{}", file.sha256);
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\
             Content-Type: application/json\r\n\r\n{metadata}\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            file_name(file)
        );
        let query = [("action", "create"), ("productKey", package.key.product.as_str())];
        let kind = format!("multipart/form-data; boundary={boundary}");
        let mut request = self.build("POST", FIRMWARES, &query, &kind, head.into());
        let after = format!("\r\n--{boundary}--\r\n").into();
        request.upload = Some(Box::new(Upload { file: file.clone(), after }));
        Ok(request)
    }

    fn invalid(&self, why: &str) -> CallError {
        CallError::new(ErrorClass::Invalid, self.operation, why)
    }
}

/// Pages are numbered from 1, and all but the last are full.
pub(super) fn page_number(cursor: &Cursor, size: usize) -> u64 {
    cursor.seen / size as u64 + 1
}

fn page(cursor: &Cursor, size: usize) -> PageQuery {
    PageQuery { page_no: page_number(cursor, size), page_size: size }
}

/// The name of the file, in a form that a header allows.
fn file_name(file: &LocalFile) -> String {
    let name = file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}

fn metadata<'a>(package: &'a NewPackage, file: &'a LocalFile) -> FirmwareMetadata<'a> {
    FirmwareMetadata {
        name: StringI18n::plain(package.name.clone()),
        version: &package.key.version,
        sign_method: "sha256",
        sign: &file.sha256,
        desc: package.description.as_deref().filter(|text| !text.is_empty()),
        enable_verification: package.verification.is_some(),
        max_allowed_for_verification: package.verification.map(|wanted| wanted.devices),
        min_success_for_verified: package.verification.map(|wanted| wanted.min_success),
    }
}

/// A stage is `partial` with a list of devices, and `snapshot`: it cannot grow.
fn new_job(job: &cloud::NewJob) -> NewJob {
    let delivery = &job.delivery;
    let upgrades = job.purpose == JobPurpose::Upgrade;
    NewJob {
        name: StringI18n::plain(job_name(&job.title, &job.token)),
        r#type: if upgrades { "upgrade" } else { "verify" },
        upgrade_scope: UpgradeScope {
            r#type: "partial".to_owned(),
            version_numbers: job.from_versions.clone(),
            device_keys: Some(job.devices.clone()),
        },
        upgrade_policy: upgrades.then_some("snapshot"),
        enable_upgrade_request: upgrades.then(|| delivery.device_initiated.unwrap_or(false)),
        upgrade_timeout: delivery
            .timeout
            .and_then(|timeout| timeout.in_progress)
            .map(|timeout| timeout.as_signed().as_secs()),
        retry_policy: delivery.retry.map(|retry| RetryPolicy {
            enable_retry: true,
            retry_interval: retry.interval.map_or(0, |interval| interval.as_signed().as_secs()),
            retry_count: retry.limit,
        }),
        maximum_concurrency: delivery.max_in_flight,
    }
}

/// Name of a job: a title, shortened to fit, and its idempotency key.
#[must_use]
pub fn job_name(title: &str, token: &str) -> String {
    let room = NAME_LENGTH.saturating_sub(NAME_PREFIX.len() + 1 + token.len());
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let title: String = title.chars().map(fits).take(room).collect();
    format!("{NAME_PREFIX}{title}_{token}")
}

/// The idempotency key in the name of a job, if it is one of Rollwave's.
#[must_use]
pub fn token_of(name: &str) -> Option<&str> {
    let (_, token) = name.strip_prefix(NAME_PREFIX)?.rsplit_once('_')?;
    let is_token =
        token.len() == TOKEN_LENGTH && token.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_token.then_some(token)
}

/// Tasks of a job with an outcome, of some devices. `None`: a value cannot be expressed.
fn tasks(job: &str, outcome: Option<&DeviceOutcome>, only: Option<&NamedDevices>) -> Option<Expression> {
    let mut terms = Expression::all().equal("jobId", job)?;
    if let Some(named) = only {
        let keys: Vec<&str> = named.ids.iter().map(String::as_str).collect();
        terms = terms.one_of("deviceKey", &keys)?;
    }
    match outcome {
        Some(outcome) => terms.one_of("status", &statuses(outcome)),
        None => Some(terms),
    }
}

/// The task statuses of an outcome. EnOS has no status for cancelled tasks.
fn statuses(outcome: &DeviceOutcome) -> Vec<&str> {
    match outcome {
        DeviceOutcome::Queued | DeviceOutcome::Retrying | DeviceOutcome::Stopped => vec!["init"],
        DeviceOutcome::InFlight => vec!["published", "upgrading"],
        DeviceOutcome::Succeeded => vec!["succeeded"],
        DeviceOutcome::Failed | DeviceOutcome::Removed => vec!["failed"],
        DeviceOutcome::Unknown(text) => vec![text],
    }
}
