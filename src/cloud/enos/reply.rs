//! Maps an answer to the reply of its call; pure.

use super::{
    limits, render,
    wire::{self, Envelope},
};
use crate::cloud::answer::{self, Unintelligible, expect, json};
use crate::cloud::{
    self, ArtifactRef, Call, CloudVerification, Cursor, Device, DeviceOutcome, DevicePresence, DeviceResult,
    HeldArtifact, Job, JobCounts, JobState, NamedDevices, NewPackage, Package, PackageKey, PackageKind,
    PackageRow, Page, Reply,
};
use jiff::Timestamp;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

/// The reply to a list that has nothing to show: of software, because EnOS supports firmware only, or of what the application
/// may not search for.
#[must_use]
pub const fn nothing(call: &Call) -> Reply {
    match call {
        Call::ListJobs { .. } => Reply::Jobs(Page { items: Vec::new(), total: Some(0), next: None }),
        Call::ListPresence { .. } => Reply::Presence(Page { items: Vec::new(), total: None, next: None }),
        _ => Reply::Packages(Page { items: Vec::new(), total: Some(0), next: None }),
    }
}

/// Reads the body of an answer without an error.
///
/// # Errors
/// What is wrong with it, if it is not as documented.
pub fn read(call: &Call, body: &[u8]) -> Result<Reply, Unintelligible> {
    match call {
        Call::ListPackages { exactly, cursor, .. } => {
            let mut rows = page(body, cursor, |firmware: wire::Firmware| Ok(package(firmware).row))?;
            rows.items.retain(|row| exactly.as_ref().is_none_or(|key| *key == row.key));
            Ok(Reply::Packages(rows))
        }
        Call::ShowPackage { id } => {
            let firmware: wire::Firmware = data(body)?;
            expect(&firmware.firmware_id, id)?;
            Ok(Reply::Package(package(firmware)))
        }
        Call::CreatePackage(new) => {
            let created: wire::CreatedFirmware = data(body)?;
            Ok(Reply::Package(created_package(new, created.firmware_id)?))
        }
        Call::ListJobs { cursor, .. } => Ok(Reply::Jobs(page(body, cursor, job)?)),
        Call::ShowJob { id } => {
            let shown: wire::Job = data(body)?;
            expect(&shown.job_id, id)?;
            Ok(Reply::Job(job(shown)?))
        }
        Call::ListJobDevices { id, only, cursor, .. } => {
            let Page { items, total, next } = page(body, cursor, |task| result(task, id, only.as_ref()))?;
            Ok(Reply::JobDevices(Page { items: items.into_iter().flatten().collect(), total, next }))
        }
        Call::CreateJob(new) => {
            let created: wire::CreatedJob = data(body)?;
            Ok(Reply::Job(created_job(new, created.job_id)?))
        }
        Call::StopJob { .. } | Call::DeletePackage { .. } | Call::DeleteJob { .. } => Ok(Reply::Done),
        Call::ListDevices { scope, cursor } => {
            Ok(Reply::Devices(page(body, cursor, |row| device(row, &scope.product))?))
        }
        Call::ListPresence { cursor, .. } => {
            Ok(Reply::Presence(page_of(limits::SEARCH_PAGE, body, cursor, presence)?))
        }
        Call::ListTaggedDevices { product, key, values, cursor } => {
            let read = |row: wire::FoundDevice| {
                let value = row.device_tags.get(key).cloned();
                labelled(row, product, value, (key, values))
            };
            members(body, cursor, read).map(Reply::DeviceIds)
        }
        Call::ListDevicesByAttribute { product, name, values, cursor } => {
            let read = |row: wire::FoundDevice| {
                let value = row.device_attributes.get(name).cloned();
                labelled(row, product, value, (name, values))
            };
            members(body, cursor, read).map(Reply::DeviceIds)
        }
        Call::CheckModule { .. }
        | Call::PermitUpload { .. }
        | Call::Upload { .. }
        | Call::ShowDevice { .. }
        | Call::ListGroupDevices { .. } => Err("EnOS does not support this call".to_owned()),
    }
}

fn data<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unintelligible> {
    json::<Envelope<T>>(body)?.data.ok_or_else(|| "the response has no data".to_owned())
}

/// A page of a search of the OTA service.
fn page<W: DeserializeOwned, T>(
    body: &[u8],
    cursor: &Cursor,
    read: impl Fn(W) -> Result<T, Unintelligible>,
) -> Result<Page<T>, Unintelligible> {
    page_of(limits::PAGE_SIZE, body, cursor, read)
}

/// A page of a search. Pages are numbered, so rows shift when others are deleted: a list that became shorter while it was read
/// may have lost an existing row, and is read again from the start.
fn page_of<W: DeserializeOwned, T>(
    size: usize,
    body: &[u8],
    cursor: &Cursor,
    read: impl Fn(W) -> Result<T, Unintelligible>,
) -> Result<Page<T>, Unintelligible> {
    let envelope: Envelope<Vec<W>> = json(body)?;
    let rows = envelope.data.unwrap_or_default();
    let at = envelope.pagination.ok_or("the response to a search has no pagination")?;
    let wanted = render::page_number(cursor, size);
    if at.page_no != wanted {
        return Err(format!("page {wanted} was requested, the response is page {}", at.page_no));
    }
    let before: Option<u64> = cursor.marker.as_deref().and_then(|total| total.parse().ok());
    if before.is_some_and(|before| at.total_size < before) {
        return Err("the list became shorter while it was read: it is read again from the start".to_owned());
    }
    let seen = cursor.seen.saturating_add(rows.len() as u64);
    let is_last = seen >= at.total_size;
    if rows.len() > size || (!is_last && rows.len() < size) {
        return Err(format!("page {} has {} rows of a total of {}", at.page_no, rows.len(), at.total_size));
    }
    let items = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let next = (!is_last).then(|| cursor.next(at.total_size.to_string(), items.len())).transpose()?;
    Ok(Page { items, total: Some(at.total_size), next })
}

/// A page of the ids of devices that a search found. It decides which devices are upgraded, so an answer without rows is none,
/// and a list whose size changed while it was read is read again from the start.
fn members(
    body: &[u8],
    cursor: &Cursor,
    read: impl Fn(wire::FoundDevice) -> Result<String, Unintelligible>,
) -> Result<Page<String>, Unintelligible> {
    let envelope: Envelope<IgnoredAny> = json(body)?;
    let total = envelope.pagination.ok_or("the response to a search has no pagination")?.total_size;
    if envelope.data.is_none() {
        return Err("the response to a search has no data".to_owned());
    }
    if cursor.marker.as_ref().is_some_and(|before| *before != total.to_string()) {
        return Err("the list changed while it was read: it is read again from the start".to_owned());
    }
    page_of(limits::SEARCH_PAGE, body, cursor, read)
}

/// A device that was searched for by a tag or an attribute: one of another product, or with another value, means that the cloud
/// has not compared it. Attributes may be numbers.
fn labelled(
    row: wire::FoundDevice,
    product: &str,
    value: Option<Value>,
    (key, values): (&String, &[String]),
) -> Result<String, Unintelligible> {
    expect(row.product_key.as_str(), product)?;
    let text = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    if text.is_none_or(|text| !values.contains(&text)) {
        return Err(format!("device {} was found, and does not have {key} as requested", row.device_key));
    }
    answer::id(row.device_key)
}

fn package(firmware: wire::Firmware) -> Package {
    let digest = firmware.sign.map(|sign| sign.to_ascii_lowercase());
    let of = |method: &str| digest.clone().filter(|_| firmware.sign_method.as_deref() == Some(method));
    let artifact = HeldArtifact { sha256: of("sha256"), md5: of("md5"), size: firmware.file_size };
    let row = PackageRow {
        id: firmware.firmware_id,
        key: PackageKey {
            kind: PackageKind::Firmware,
            product: firmware.product_key.unwrap_or_default(),
            version: firmware.version,
            module: None,
        },
        name: None,
        source_versions: Vec::new(),
        delta: false,
        description: firmware.desc,
        custom_info: None,
        verification: Some(verification(firmware.enable_verification, firmware.is_verified)),
        created_at: firmware.create_time.and_then(time),
    };
    Package { row, artifact: Some(ArtifactRef::Held(artifact)) }
}

fn verification(is_needed: Option<bool>, is_verified: Option<bool>) -> CloudVerification {
    match (is_needed, is_verified) {
        (Some(false), _) => CloudVerification::NotNeeded,
        (Some(true), Some(true)) => CloudVerification::Passed,
        (Some(true), Some(false)) => CloudVerification::Pending,
        (needed, verified) => {
            CloudVerification::Unknown(format!("enableVerification {needed:?}, isVerified {verified:?}"))
        }
    }
}

/// EnOS answers with the id only; the rest is what was sent.
fn created_package(new: &NewPackage, id: String) -> Result<Package, Unintelligible> {
    let row = PackageRow {
        id: answer::id(id)?,
        key: new.key.clone(),
        name: None,
        source_versions: Vec::new(),
        delta: false,
        description: new.description.clone(),
        custom_info: None,
        verification: Some(verification(Some(new.verification.is_some()), Some(false))),
        created_at: None,
    };
    Ok(Package { row, artifact: Some(new.artifact.stored()) })
}

fn created_job(new: &cloud::NewJob, id: String) -> Result<Job, Unintelligible> {
    Ok(Job {
        id: answer::id(id)?,
        token: Some(new.token.clone()),
        title: render::job_name(&new.title, &new.token),
        kind: PackageKind::Firmware,
        module: None,
        package_ids: vec![new.package_id.clone()],
        devices: new.devices.clone(),
        delivery: None,
        state: JobState::Running,
        counts: JobCounts::default(),
        created_at: None,
    })
}

fn job(job: wire::Job) -> Result<Job, Unintelligible> {
    let title = job.name.and_then(|name| name.default_value).unwrap_or_default();
    let state = match job.status.as_str() {
        "started" => JobState::Running,
        "stopped" => JobState::Stopped,
        other => JobState::Unknown(other.to_owned()),
    };
    Ok(Job {
        id: answer::id(job.job_id)?,
        token: render::token_of(&title).map(str::to_owned),
        title,
        kind: PackageKind::Firmware,
        module: None,
        package_ids: vec![job.firmware_id],
        devices: job.upgrade_scope.and_then(|scope| scope.device_keys).unwrap_or_default(),
        delivery: None,
        state,
        counts: JobCounts::default(),
        created_at: job.create_time.and_then(time),
    })
}

/// The result of a task; none for a device of another product, because keys are unique only within a product.
fn result(
    task: wire::Task,
    job: &str,
    only: Option<&NamedDevices>,
) -> Result<Option<DeviceResult>, Unintelligible> {
    expect(task.job_id.as_str(), job)?;
    if let Some(named) = only {
        if task.product_key.is_some_and(|key| key != named.product) {
            return Ok(None);
        }
        if !named.ids.contains(&task.device_key) {
            return Err(format!("device {} was not requested", task.device_key));
        }
    }
    let outcome = match task.status.as_str() {
        "init" => DeviceOutcome::Queued,
        "published" | "upgrading" => DeviceOutcome::InFlight,
        "succeeded" => DeviceOutcome::Succeeded,
        "failed" => DeviceOutcome::Failed,
        other => DeviceOutcome::Unknown(other.to_owned()),
    };
    let reason = task.desc.filter(|desc| !desc.is_empty());
    Ok(Some(DeviceResult { device: answer::id(task.device_key)?, outcome, reason }))
}

fn device(row: wire::DeviceFirmware, product: &str) -> Result<Device, Unintelligible> {
    expect(row.product_key.as_str(), product)?;
    Ok(Device {
        id: answer::id(row.device_key)?,
        product: row.product_key,
        firmware: row.firmware_version.filter(|version| !version.is_empty()),
        software: None,
        online: None,
        upgrading: row.is_upgrading,
    })
}

fn presence(row: wire::DeviceStatus) -> Result<DevicePresence, Unintelligible> {
    let online = match row.status.as_deref() {
        Some("online") => Some(true),
        Some("offline") => Some(false),
        // Never connected, disabled, `mirror` (of a device elsewhere), or undocumented.
        _ => None,
    };
    Ok(DevicePresence { device: answer::id(row.device_key)?, online })
}

/// Milliseconds since 1970.
fn time(millis: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis).ok()
}
