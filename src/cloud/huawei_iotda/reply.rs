//! Maps a response to the reply of its call; pure.

use super::{limits, render, wire};
use crate::cloud::answer::{Unintelligible, expect, id, json};
use crate::cloud::{
    ArtifactRef, Call, Cursor, Device, DeviceOutcome, DeviceResult, Job, JobCounts, JobState, ObsArtifact,
    Package, PackageKey, PackageKind, PackageRow, Page, Reply,
};

/// Reads the body of a 2xx answer to `call`.
///
/// # Errors
/// What is wrong with it, if it is not as documented.
pub fn read(call: &Call, body: &[u8]) -> Result<Reply, Unintelligible> {
    match call {
        Call::ListPackages { cursor, exactly, .. } => {
            let list: wire::PackageList = json(body)?;
            let mut rows = page(list.packages, list.page, cursor, |row| package_row(&row))?;
            // That the filter by version is exact is *assumed*; an adopted package must be the requested one.
            rows.items.retain(|row| exactly.as_ref().is_none_or(|key| *key == row.key));
            Ok(Reply::Packages(rows))
        }
        Call::ShowPackage { id } => {
            let shown = package(json(body)?)?;
            expect(&shown.row.id, id)?;
            Ok(Reply::Package(shown))
        }
        Call::CheckModule { .. }
        | Call::PermitUpload { .. }
        | Call::Upload { .. }
        | Call::ListPresence { .. }
        | Call::ListDevicesByAttribute { .. } => Err("IoTDA does not support this call".to_owned()),
        Call::CreatePackage(new) => {
            let created = package(json(body)?)?;
            expect(&created.row.key, &new.key)?;
            Ok(Reply::Package(created))
        }
        Call::ListJobs { cursor, .. } => {
            let list: wire::TaskList = json(body)?;
            page(list.batchtasks, list.page, cursor, job).map(Reply::Jobs)
        }
        Call::ShowJob { id } => {
            let shown = job(json::<wire::TaskShow>(body)?.batchtask)?;
            expect(&shown.id, id)?;
            Ok(Reply::Job(shown))
        }
        Call::CreateJob(new) => {
            let created = job(json(body)?)?;
            expect(&(created.kind, created.token.as_deref()), &(new.kind(), Some(new.token.as_str())))?;
            Ok(Reply::Job(created))
        }
        Call::ListJobDevices { cursor, .. } => {
            let show: wire::TaskShow = json(body)?;
            let rows = show.task_details.unwrap_or_default();
            page(rows, show.page, cursor, device_result).map(Reply::JobDevices)
        }
        Call::StopJob { .. } => json::<serde_json::Map<String, serde_json::Value>>(body).map(|_| Reply::Done),
        Call::DeletePackage { .. } | Call::DeleteJob { .. } => Ok(Reply::Done),
        Call::ListDevices { cursor, .. } => {
            let list: wire::DeviceList = json(body)?;
            page(list.devices, list.page, cursor, device).map(Reply::Devices)
        }
        Call::ShowDevice { id, .. } => {
            let shown = device(json(body)?)?;
            expect(&shown.id, id)?;
            Ok(Reply::Device(shown))
        }
        Call::ListGroupDevices { cursor, .. } => {
            let list: wire::DeviceList = json(body)?;
            page(list.devices, list.page, cursor, |row| id(row.device_id)).map(Reply::DeviceIds)
        }
        Call::ListTaggedDevices { cursor, .. } => {
            let list: wire::TaggedList = json(body)?;
            page(list.resources, list.page, cursor, |row| id(row.resource_id)).map(Reply::DeviceIds)
        }
    }
}

/// The end of a list has no flag: it is a page that is not full. `count` is reliable on the first page only: between two pages,
/// rows that were read already may disappear, and `count` is then reached with rows still to come.
fn page<W, T>(
    rows: Vec<W>,
    at: Option<wire::Page>,
    cursor: &Cursor,
    read: impl Fn(W) -> Result<T, Unintelligible>,
) -> Result<Page<T>, Unintelligible> {
    let at = at.unwrap_or(wire::Page { count: None, marker: None });
    let items = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let seen = cursor.seen.saturating_add(items.len() as u64);
    let is_whole = cursor.marker.is_none() && at.count == Some(seen);
    let ended = items.len() < limits::PAGE_SIZE || is_whole;
    if ended {
        return Ok(Page { items, total: at.count, next: None });
    }
    let marker = at.marker.filter(|marker| cursor.marker.as_ref() != Some(marker));
    let marker = marker.ok_or("the list does not advance: its marker is missing or unchanged")?;
    let next = cursor.next(marker, items.len())?;
    Ok(Page { items, total: at.count, next: Some(next) })
}

fn package(package: wire::OtaPackage) -> Result<Package, Unintelligible> {
    let row = package_row(&package)?;
    let artifact = package.file_location.and_then(|location| location.obs_location).map(|obs| {
        ArtifactRef::Obs(ObsArtifact {
            region: obs.region_name,
            bucket: obs.bucket_name,
            key: obs.object_key,
            sha256: obs.sign.map(|sign| sign.to_ascii_lowercase()),
        })
    });
    Ok(Package { row, artifact })
}

fn package_row(package: &wire::OtaPackage) -> Result<PackageRow, Unintelligible> {
    let kind = match &package.package_type {
        wire::PackageType::Firmware => PackageKind::Firmware,
        wire::PackageType::Software => PackageKind::Software,
        other => return Err(format!("package {} is of type {other}", package.package_id)),
    };
    Ok(PackageRow {
        id: id(package.package_id.clone())?,
        key: PackageKey {
            kind,
            product: package.product_id.clone(),
            version: package.version.clone(),
            module: None,
        },
        name: None,
        source_versions: package.support_source_versions.clone().unwrap_or_default(),
        delta: false,
        description: package.description.clone(),
        custom_info: package.custom_info.clone(),
        verification: None,
        created_at: package.create_time.as_deref().and_then(wire::parse_time),
    })
}

fn job(task: wire::Task) -> Result<Job, Unintelligible> {
    let kind = match &task.task_type {
        wire::TaskType::Firmware => PackageKind::Firmware,
        wire::TaskType::Software => PackageKind::Software,
        other => return Err(format!("task {} is of type {other}", task.task_id)),
    };
    let packages =
        task.document.map(|document| (document.package_ids.unwrap_or_default(), document.package_id));
    let (mut package_ids, single) = packages.unwrap_or_default();
    package_ids.extend(single);
    package_ids.dedup();
    Ok(Job {
        id: id(task.task_id)?,
        token: render::token_of(&task.task_name).map(str::to_owned),
        title: task.task_name,
        kind,
        module: None,
        package_ids,
        devices: task.targets.unwrap_or_default(),
        delivery: None,
        state: job_state(task.status),
        counts: task.task_progress.as_ref().map(job_counts).unwrap_or_default(),
        created_at: task.create_time.as_deref().and_then(wire::parse_time),
    })
}

fn job_state(status: wire::TaskStatus) -> JobState {
    match status {
        wire::TaskStatus::Initializing | wire::TaskStatus::Waitting => JobState::Queued,
        wire::TaskStatus::Processing => JobState::Running,
        wire::TaskStatus::Success => JobState::Succeeded,
        wire::TaskStatus::Fail => JobState::Failed,
        wire::TaskStatus::PartialSuccess => JobState::PartlyFailed,
        wire::TaskStatus::Stopped => JobState::Stopped,
        wire::TaskStatus::Stopping => JobState::Stopping,
        wire::TaskStatus::Other(text) => JobState::Unknown(text),
    }
}

fn job_counts(progress: &wire::TaskProgress) -> JobCounts {
    JobCounts {
        total: progress.total.unwrap_or(0),
        queued: progress.waitting.unwrap_or(0),
        in_flight: progress.processing.unwrap_or(0),
        succeeded: progress.success.unwrap_or(0),
        failed: progress.fail.unwrap_or(0),
        retrying: progress.fail_wait_retry.unwrap_or(0),
        stopped: progress.stopped.unwrap_or(0),
        removed: progress.removed.unwrap_or(0),
    }
}

fn device_result(detail: wire::TaskDetail) -> Result<DeviceResult, Unintelligible> {
    let (code, message) = detail.error.map(|error| (error.error_code, error.error_msg)).unwrap_or_default();
    let outcome = match detail.status {
        wire::TargetStatus::Waitting => DeviceOutcome::Queued,
        wire::TargetStatus::Processing => DeviceOutcome::InFlight,
        wire::TargetStatus::Success => DeviceOutcome::Succeeded,
        wire::TargetStatus::Fail => DeviceOutcome::Failed,
        wire::TargetStatus::FailWaitRetry => DeviceOutcome::Retrying,
        wire::TargetStatus::Stopped => DeviceOutcome::Stopped,
        wire::TargetStatus::Removed => DeviceOutcome::Removed,
        wire::TargetStatus::Other(text) => DeviceOutcome::Unknown(text),
    };
    Ok(DeviceResult { device: id(detail.target)?, outcome, reason: message.or(detail.output).or(code) })
}

fn device(device: wire::Device) -> Result<Device, Unintelligible> {
    let product =
        device.product_id.ok_or_else(|| format!("device {} has no product_id", device.device_id))?;
    let online = match device.status {
        Some(wire::DeviceStatus::Online) => Some(true),
        None | Some(wire::DeviceStatus::Other(_)) => None,
        Some(_) => Some(false),
    };
    let reported = |version: Option<String>| version.filter(|version| !version.is_empty());
    Ok(Device {
        id: id(device.device_id)?,
        product,
        firmware: reported(device.fw_version),
        software: reported(device.sw_version),
        online,
        upgrading: None,
    })
}
