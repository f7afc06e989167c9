//! Maps a call to its one request; pure, without secrets.

use super::{limits, wire};
use crate::{
    api::{DeliveryStart, OceanConnect},
    cloud::{
        Call, CallError, Cursor, Delivery, ErrorClass, NewJob, PackageKey, PackageKind, WireRequest, request,
    },
};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

type Query = Vec<(&'static str, String)>;

const UPGRADE: [&str; 3] = ["iodm", "northbound", "v1.5.0"];
const DEVICES: [&str; 5] = ["iocm", "app", "dm", "v1.4.0", "devices"];
const MEMBERS: [&str; 6] = ["iocm", "app", "dm", "v1.2.0", "devices", "ids"];

/// Everything except these is percent-encoded (RFC 3986, unreserved characters).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Percent-encodes a part of a path, query or form.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The request of a call, without its token.
///
/// # Errors
/// [`ErrorClass::Invalid`] when the call exceeds a limit, or this cloud does not support it.
pub fn render(spec: &OceanConnect, call: &Call) -> Result<WireRequest, CallError> {
    limits::check(call)?;
    let request = |method, base: &[&str], more: &[&str], query| build(spec, method, base, more, query);
    Ok(match call {
        Call::ListPackages { kind, exactly, cursor } => {
            let mut query = page(cursor, limits::PAGE_SIZE);
            query.push(("fileType", file_type(*kind).to_owned()));
            query.extend(exactly.iter().flat_map(key_query));
            request("GET", &UPGRADE, &["category"], query)
        }
        Call::ShowPackage { id } => request("GET", &UPGRADE, &["category", id], vec![]),
        Call::DeletePackage { id } => request("DELETE", &UPGRADE, &["category", id], vec![]),
        Call::ListJobs { kind, cursor } => {
            let mut query = page(cursor, limits::PAGE_SIZE);
            query.push(("operationType", operation_type(*kind).to_owned()));
            request("GET", &UPGRADE, &["operations"], query)
        }
        Call::ShowJob { id } => request("GET", &UPGRADE, &["operations", id], vec![]),
        // All of them: an undocumented status cannot be filtered by.
        Call::ListJobDevices { id, cursor, .. } => {
            let query = page(cursor, limits::PAGE_SIZE);
            request("GET", &UPGRADE, &["operations", id, "subOperations"], query)
        }
        Call::CreateJob(job) => {
            let name =
                if job.kind() == PackageKind::Firmware { "firmwareUpgrade" } else { "softwareUpgrade" };
            let mut request = request("POST", &UPGRADE, &["operations", name], vec![]);
            request.body = create_body(call, job)?;
            request
        }
        Call::ListDevices { scope, cursor } => {
            // Oldest first, so that devices registered meanwhile come at the end.
            let mut query = page(cursor, limits::DEVICE_PAGE_SIZE);
            query.extend([("appId", spec.app_id.clone()), ("sort", "ASC".to_owned())]);
            query.extend(limits::parts(&scope.product).map(|[_, kind, _]| ("deviceType", kind.to_owned())));
            request("GET", &DEVICES, &[], query)
        }
        Call::ShowDevice { id, .. } => request("GET", &DEVICES, &[id], vec![("appId", spec.app_id.clone())]),
        Call::ListGroupDevices { group, cursor, .. } => {
            let mut query = page(cursor, limits::DEVICE_PAGE_SIZE);
            query.extend([("devGroupId", group.clone()), ("accessAppId", spec.app_id.clone())]);
            request("GET", &MEMBERS, &[], query)
        }
        Call::CheckModule { .. }
        | Call::PermitUpload { .. }
        | Call::Upload { .. }
        | Call::CreatePackage(_)
        | Call::StopJob { .. }
        | Call::DeleteJob { .. }
        | Call::ListPresence { .. }
        | Call::ListTaggedDevices { .. }
        | Call::ListDevicesByAttribute { .. } => {
            return Err(CallError::new(
                ErrorClass::Invalid,
                call.operation(),
                "OceanConnect does not support this call",
            ));
        }
    })
}

fn build(
    spec: &OceanConnect,
    method: &'static str,
    base: &[&str],
    more: &[&str],
    query: Query,
) -> WireRequest {
    let path: Vec<String> = base.iter().chain(more).map(|part| encode(part)).collect();
    let query: Vec<String> =
        query.into_iter().map(|(name, value)| format!("{name}={}", encode(&value))).collect();
    WireRequest {
        method,
        origin: request::origin(&spec.endpoint).to_owned(),
        path: format!("/{}", path.join("/")),
        query: query.join("&"),
        headers: vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("app_key".to_owned(), spec.app_id.clone()),
        ],
        body: Bytes::new(),
        upload: None,
    }
}

/// Pages are numbered from 0 on every list.
fn page(cursor: &Cursor, size: usize) -> Query {
    vec![("pageNo", cursor.pages.to_string()), ("pageSize", size.to_string())]
}

/// The English page spells the first name in two ways; all SDKs send this one.
fn key_query(key: &PackageKey) -> Query {
    let [manufacturer, device_type, model] = limits::parts(&key.product).unwrap_or_default();
    vec![
        ("manufacturerName", manufacturer.to_owned()),
        ("deviceType", device_type.to_owned()),
        ("model", model.to_owned()),
        ("version", key.version.clone()),
    ]
}

fn create_body(call: &Call, job: &NewJob) -> Result<Bytes, CallError> {
    let body = wire::CreateTask {
        file_id: &job.package_id,
        targets: wire::NewTargets { devices: &job.devices },
        policy: policy(&job.delivery),
    };
    request::json(call.operation(), &body)
}

fn policy(delivery: &Delivery) -> wire::Policy {
    let execute_type = match delivery.start {
        None | Some(DeliveryStart::Now) => "now",
        Some(DeliveryStart::DeviceOnline) => "device_online",
    };
    let retries = delivery.retry.as_ref().map(|retry| retry.limit);
    wire::Policy {
        execute_type: execute_type.to_owned(),
        start_time: None,
        end_time: None,
        retry_type: Some(retries.is_some()),
        retry_times: retries,
    }
}

/// `firmwarePackage` or `softwarePackage`.
#[must_use]
pub const fn file_type(kind: PackageKind) -> &'static str {
    match kind {
        PackageKind::Firmware => "firmwarePackage",
        PackageKind::Software => "softwarePackage",
    }
}

/// `firmware_upgrade` or `software_upgrade`.
#[must_use]
pub const fn operation_type(kind: PackageKind) -> &'static str {
    match kind {
        PackageKind::Firmware => "firmware_upgrade",
        PackageKind::Software => "software_upgrade",
    }
}
