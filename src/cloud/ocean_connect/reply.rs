//! Maps a response to the reply of its call; pure.

use super::{limits, render, wire};
use crate::api::{DeliveryStart, Retry};
use crate::cloud::answer::{Unintelligible, expect, id, json};
use crate::cloud::{
    ArtifactRef, Call, Cursor, Delivery, Device, DeviceOutcome, DeviceResult, HeldArtifact, Job, JobCounts,
    JobState, NewJob, Package, PackageKey, PackageKind, PackageRow, Page, Reply,
};

/// Reads the body of a 2xx answer to `call`.
///
/// # Errors
/// What is wrong with it, if it is not as documented.
pub fn read(call: &Call, body: &[u8]) -> Result<Reply, Unintelligible> {
    match call {
        Call::ListPackages { cursor, exactly, .. } => {
            let list: wire::Listed<wire::UpgradePackage> = json(body)?;
            let mut rows = page(list.data, list.page, cursor, limits::PAGE_SIZE, package_row)?;
            // That the filters are exact is *assumed*; an adopted package must be the requested one.
            rows.items.retain(|row| exactly.as_ref().is_none_or(|key| *key == row.key));
            Ok(Reply::Packages(rows))
        }
        Call::ShowPackage { id } => {
            let row = package_row(json(body)?)?;
            expect(&row.id, id)?;
            // No digest and no size: nothing is known of the artifact.
            Ok(Reply::Package(Package { row, artifact: Some(ArtifactRef::Held(HeldArtifact::default())) }))
        }
        Call::ListJobs { cursor, .. } => {
            let list: wire::Listed<wire::Operation> = json(body)?;
            page(list.data, list.page, cursor, limits::PAGE_SIZE, job).map(Reply::Jobs)
        }
        Call::ShowJob { id } => {
            let shown = job(json(body)?)?;
            expect(&shown.id, id)?;
            Ok(Reply::Job(shown))
        }
        Call::CreateJob(new) => created(new, json(body)?).map(Reply::Job),
        Call::ListJobDevices { outcome, cursor, .. } => {
            let list: wire::Listed<wire::SubOperation> = json(body)?;
            let mut rows = page(list.data, list.page, cursor, limits::PAGE_SIZE, device_result)?;
            rows.items.retain(|row| outcome.as_ref().is_none_or(|outcome| row.outcome == *outcome));
            Ok(Reply::JobDevices(rows))
        }
        Call::ListDevices { scope, cursor } => {
            let list: wire::DeviceList = json(body)?;
            let size = limits::DEVICE_PAGE_SIZE;
            let mut rows = page(list.devices, list.page, cursor, size, device)?;
            // The list is filtered by device type only.
            rows.items.retain(|device| device.product == scope.product);
            Ok(Reply::Devices(rows))
        }
        Call::ShowDevice { id, .. } => {
            let shown = device(json(body)?)?;
            expect(&shown.id, id)?;
            Ok(Reply::Device(shown))
        }
        Call::ListGroupDevices { cursor, .. } => {
            let list: wire::MemberList = json(body)?;
            let size = limits::DEVICE_PAGE_SIZE;
            page(list.device_ids, list.page, cursor, size, id).map(Reply::DeviceIds)
        }
        Call::DeletePackage { .. } => Ok(Reply::Done),
        _ => Err("OceanConnect does not support this call".to_owned()),
    }
}

/// The end of a list is a page that is not full, or the row at which `totalCount` is reached.
fn page<W, T>(
    rows: Vec<W>,
    at: wire::PageOf,
    cursor: &Cursor,
    size: usize,
    read: impl Fn(W) -> Result<T, Unintelligible>,
) -> Result<Page<T>, Unintelligible> {
    if let Some(given) = at.page_no.filter(|given| *given != u64::from(cursor.pages)) {
        return Err(format!("page {} was requested, the response is page {given}", cursor.pages));
    }
    let (count, total) = (rows.len(), at.total_count);
    let seen = cursor.seen.saturating_add(count as u64);
    if total.is_some_and(|total| total < seen) {
        return Err("the list has more rows than its totalCount: it is read again from the start".to_owned());
    }
    let items = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let ended = count < size || total == Some(seen);
    let next = (!ended).then(|| cursor.next(seen.to_string(), count)).transpose()?;
    Ok(Page { items, total, next })
}

fn package_row(package: wire::UpgradePackage) -> Result<PackageRow, Unintelligible> {
    let kinds = [PackageKind::Firmware, PackageKind::Software];
    let kind = kinds.into_iter().find(|kind| render::file_type(*kind) == package.file_type);
    let unknown = || format!("package {} is of type {}", package.file_id, package.file_type);
    let kind = kind.ok_or_else(unknown)?;
    let product = format!("{}/{}/{}", package.manufacturer_name, package.device_type, package.model);
    Ok(PackageRow {
        id: id(package.file_id)?,
        key: PackageKey { kind, product, version: package.version, module: None },
        name: package.name,
        source_versions: Vec::new(),
        delta: false,
        description: package.description,
        custom_info: None,
        verification: None,
        created_at: package.upload_time.as_deref().and_then(wire::parse_time),
    })
}

/// A create answers with an id only.
fn created(new: &NewJob, reply: wire::CreatedTask) -> Result<Job, Unintelligible> {
    let total = u32::try_from(new.devices.len()).unwrap_or(u32::MAX);
    Ok(Job {
        id: id(reply.operation_id)?,
        token: Some(new.token.clone()),
        title: String::new(),
        kind: new.kind(),
        module: None,
        package_ids: vec![new.package_id.clone()],
        devices: new.devices.clone(),
        delivery: Some(new.delivery.clone()),
        state: JobState::Queued,
        counts: JobCounts { total, queued: total, ..JobCounts::default() },
        created_at: None,
    })
}

fn job(task: wire::Operation) -> Result<Job, Unintelligible> {
    let kinds = [PackageKind::Firmware, PackageKind::Software];
    let kind = kinds.into_iter().find(|kind| render::operation_type(*kind) == task.operate_type);
    let kind = kind.ok_or_else(|| format!("task {} is of type {}", task.operation_id, task.operate_type))?;
    // Without its targets it is unknown whether a task is ours and which devices it holds.
    let no_targets = || format!("task {} names no targets", task.operation_id);
    let targets = task.targets.ok_or_else(no_targets)?;
    let (devices, groups) = (targets.devices.unwrap_or_default(), targets.device_groups.unwrap_or_default());
    if devices.is_empty() && groups.is_empty() {
        return Err(no_targets());
    }
    Ok(Job {
        id: id(task.operation_id)?,
        token: None,
        title: String::new(),
        kind,
        module: None,
        package_ids: Vec::new(),
        devices,
        delivery: task.policy.as_ref().and_then(delivery),
        state: job_state(&task.status),
        counts: task.sta_result.as_ref().map(job_counts).unwrap_or_default(),
        created_at: task.create_time.as_deref().and_then(wire::parse_time),
    })
}

/// A policy as delivery settings; none for one that Rollwave never writes.
fn delivery(policy: &wire::Policy) -> Option<Delivery> {
    let start = match policy.execute_type.as_str() {
        "now" => DeliveryStart::Now,
        "device_online" => DeliveryStart::DeviceOnline,
        _ => return None,
    };
    let retry = match (policy.retry_type.unwrap_or(false), policy.retry_times) {
        (false, _) => None,
        (true, Some(limit)) => Some(Retry { limit, interval: None }),
        (true, None) => return None,
    };
    Some(Delivery { start: Some(start), retry, ..Delivery::default() })
}

fn job_state(status: &str) -> JobState {
    match status {
        "wait" => JobState::Queued,
        "processing" => JobState::Running,
        "success" => JobState::Succeeded,
        // The counters show whether some devices succeeded.
        "failed" => JobState::PartlyFailed,
        "stop" => JobState::Stopped,
        other => JobState::Unknown(other.to_owned()),
    }
}

fn job_counts(counters: &wire::Counters) -> JobCounts {
    let timeouts = counters.timeout.unwrap_or(0);
    JobCounts {
        total: counters.total.unwrap_or(0),
        queued: counters.wait.unwrap_or(0),
        in_flight: counters.processing.unwrap_or(0),
        succeeded: counters.success.unwrap_or(0),
        failed: counters.fail.unwrap_or(0).saturating_add(timeouts),
        retrying: 0,
        stopped: counters.stop.unwrap_or(0),
        removed: 0,
    }
}

fn device_result(sub: wire::SubOperation) -> Result<DeviceResult, Unintelligible> {
    let outcome = match sub.status.as_str() {
        "wait" => DeviceOutcome::Queued,
        "processing" => DeviceOutcome::InFlight,
        "success" => DeviceOutcome::Succeeded,
        // Tasks count timeouts, although no document lists the status: a device that timed out has failed.
        "fail" | "timeout" => DeviceOutcome::Failed,
        "stop" => DeviceOutcome::Stopped,
        other => DeviceOutcome::Unknown(other.to_owned()),
    };
    let reason = sub.detail_info.filter(|detail| !detail.is_empty());
    Ok(DeviceResult { device: id(sub.device_id)?, outcome, reason })
}

fn device(device: wire::Device) -> Result<Device, Unintelligible> {
    let info = device.device_info.ok_or_else(|| format!("device {} has no deviceInfo", device.device_id))?;
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let product = [info.manufacturer_name, info.device_type, info.model];
    let product: Vec<String> = product.into_iter().map(Option::unwrap_or_default).collect();
    let online = match info.status.as_deref() {
        Some("ONLINE") => Some(true),
        Some("OFFLINE" | "INACTIVE" | "ABNORMAL") => Some(false),
        _ => None,
    };
    Ok(Device {
        id: id(device.device_id)?,
        product: product.join("/"),
        firmware: text(info.fw_version),
        software: text(info.sw_version),
        online,
        upgrading: None,
    })
}
