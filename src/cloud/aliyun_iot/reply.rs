//! Maps an answer to the reply of its call; pure.

use super::{
    cursor::{self, DevicesPlace, JobsPlace, NamesAt, PackageOfJobs, PageNumber, TaggedPlace},
    limits, modules,
    render::TOKEN_TAG,
    upload, wire,
};
use crate::cloud::answer::{Unintelligible, expect, id, json};
use crate::cloud::{
    ArtifactRef, Call, CloudVerification, Cursor, Device, DeviceOutcome, DeviceResult, HeldArtifact,
    HeldFile, Job, JobCounts, JobState, NamedDevices, NewJob, NewPackage, Package, PackageKey, PackageKind,
    PackageRow, Page, Reply,
};
use jiff::Timestamp;

/// Reads the body of an answer to `call` that is not a refusal.
///
/// # Errors
/// What is wrong with it, if it is not as documented.
pub fn read(call: &Call, body: &[u8]) -> Result<Reply, Unintelligible> {
    match call {
        Call::ListPackages { cursor, exactly, .. } => packages(json(body)?, cursor, exactly.as_ref()),
        Call::ShowPackage { id } => {
            let shown = package(json::<wire::FirmwareShown>(body)?.firmware_info)?;
            expect(&shown.row.id, id)?;
            Ok(Reply::Package(shown))
        }
        Call::CreatePackage(new) => {
            created_package(new, json::<wire::Created>(body)?.data).map(Reply::Package)
        }
        Call::ListJobs { cursor, .. } => match cursor::place(cursor)? {
            JobsPlace::Packages(page) => packages_with_jobs(json(body)?, page, cursor),
            JobsPlace::Jobs { of, page, then } => jobs(json(body)?, of, page, then, cursor),
        },
        Call::ShowJob { id } => {
            let shown = job(json::<wire::JobShown>(body)?.data)?;
            expect(&shown.id, id)?;
            Ok(Reply::Job(shown))
        }
        Call::CreateJob(new) => created_job(new, json::<wire::Created>(body)?.data).map(Reply::Job),
        Call::ListJobDevices { cursor, outcome, only, .. } => {
            let list: wire::TaskList = json(body)?;
            let rows = list.data.and_then(|data| data.rows).unwrap_or_default();
            let mut page = match only {
                Some(named) => named_results(rows, list.page.total, named)?,
                None => numbered(rows, list.page, cursor, limits::TASK_PAGE, device_result)?,
            };
            page.items.retain(|row| outcome.as_ref().is_none_or(|outcome| row.outcome == *outcome));
            Ok(Reply::JobDevices(page))
        }
        Call::StopJob { .. } | Call::DeletePackage { .. } => Ok(Reply::Done),
        Call::ListDevices { scope, cursor } if scope.module.is_some() => {
            modules::devices(scope, Some(body), cursor)
        }
        Call::ListDevices { scope, cursor } => devices(&scope.product, body, cursor),
        Call::ShowDevice { scope, id } if scope.module.is_some() => {
            modules::device(scope, id, body).map(Reply::Device)
        }
        Call::ShowDevice { scope, id } => {
            let shown = device(json::<wire::DeviceShown>(body)?.data)?;
            expect(&(&shown.product, &shown.id), &(&scope.product, id))?;
            Ok(Reply::Device(shown))
        }
        Call::ListGroupDevices { product, cursor, .. } => {
            let list: wire::NameList = json(body)?;
            names(list, product, cursor).map(Reply::DeviceIds)
        }
        Call::ListTaggedDevices { product, values, cursor, .. } => {
            tagged(json(body)?, product, values.len(), cursor).map(Reply::DeviceIds)
        }
        Call::PermitUpload { .. } => Ok(Reply::Permitted(upload::permit(json::<wire::Granted>(body)?.data))),
        Call::CheckModule { .. }
        | Call::Upload { .. }
        | Call::DeleteJob { .. }
        | Call::ListPresence { .. }
        | Call::ListDevicesByAttribute { .. } => Err("the call has no such response".to_owned()),
    }
}

/// The content of a list that need not be requested from the cloud.
#[must_use]
pub fn empty(call: &Call) -> Reply {
    match call {
        Call::ListJobs { .. } => Reply::Jobs(Page { items: Vec::new(), total: Some(0), next: None }),
        _ => Reply::Packages(Page { items: Vec::new(), total: Some(0), next: None }),
    }
}

/// The next page; none at the end, which is the last page by `PageCount` or `Total`, or a page that is not full.
fn following(
    at: wire::PageOf,
    PageNumber(page): PageNumber,
    rows: usize,
    size: usize,
) -> Result<Option<PageNumber>, Unintelligible> {
    if let Some(given) = at.current_page.or(at.page).filter(|given| *given != page) {
        return Err(format!("page {page} was requested, the response is page {given}"));
    }
    if rows > size {
        return Err(format!("a page of {size} rows has {rows}"));
    }
    let by_total = at.total.is_some_and(|total| page.saturating_mul(size as u64) >= total);
    let ended = rows < size || by_total || at.page_count.is_some_and(|count| page >= count);
    Ok((!ended).then(|| PageNumber(page.saturating_add(1))))
}

/// A page of a list with numbered pages only.
fn numbered<W, T>(
    rows: Vec<W>,
    at: wire::PageOf,
    place: &Cursor,
    size: usize,
    read: impl Fn(W) -> Result<T, Unintelligible>,
) -> Result<Page<T>, Unintelligible> {
    let next = following(at, cursor::place(place)?, rows.len(), size)?;
    let items = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let next = next.map(|page| cursor::next(place, &page, items.len())).transpose()?;
    Ok(Page { items, total: at.total, next })
}

fn firmware_rows(list: wire::FirmwareList) -> Vec<wire::Firmware> {
    list.firmware_info.and_then(|rows| rows.simple_firmware_info).unwrap_or_default()
}

fn packages(
    list: wire::FirmwareList,
    cursor: &Cursor,
    exactly: Option<&PackageKey>,
) -> Result<Reply, Unintelligible> {
    let at = list.page;
    let mut page = numbered(firmware_rows(list), at, cursor, limits::FIRMWARE_PAGE, |row| package_row(&row))?;
    // The filter is by product and version: packages of all modules are returned.
    page.items.retain(|row| exactly.is_none_or(|key| *key == row.key));
    Ok(Reply::Packages(page))
}

fn packages_with_jobs(
    list: wire::FirmwareList,
    page: PageNumber,
    cursor: &Cursor,
) -> Result<Reply, Unintelligible> {
    let at = list.page;
    let rows = firmware_rows(list);
    let then = following(at, page, rows.len(), limits::FIRMWARE_PAGE)?;
    let of = rows
        .into_iter()
        .map(|row| Ok(PackageOfJobs { id: id(row.firmware_id)?, module: modules::of_wire(row.module_name) }));
    let next = after_jobs(of.collect::<Result<_, Unintelligible>>()?, then);
    let next = next.map(|place| cursor::next(cursor, &place, 0)).transpose()?;
    Ok(Reply::Jobs(Page { items: Vec::new(), total: None, next }))
}

fn after_jobs(of: Vec<PackageOfJobs>, then: Option<PageNumber>) -> Option<JobsPlace> {
    if of.is_empty() {
        return then.map(JobsPlace::Packages);
    }
    Some(JobsPlace::Jobs { of, page: PageNumber::default(), then })
}

fn jobs(
    list: wire::JobList,
    mut of: Vec<PackageOfJobs>,
    page: PageNumber,
    then: Option<PageNumber>,
    cursor: &Cursor,
) -> Result<Reply, Unintelligible> {
    let rows = list.data.and_then(|data| data.rows).unwrap_or_default();
    let module = of.first().and_then(|package| package.module.clone());
    let place = match following(list.page, page, rows.len(), limits::JOB_PAGE)? {
        Some(page) => Some(JobsPlace::Jobs { of, page, then }),
        None => after_jobs(of.split_off(1.min(of.len())), then),
    };
    let of_module = |row| Ok(Job { module: module.clone(), ..job(row)? });
    let items = rows.into_iter().map(of_module).collect::<Result<Vec<_>, Unintelligible>>()?;
    let next = place.map(|place| cursor::next(cursor, &place, items.len())).transpose()?;
    Ok(Reply::Jobs(Page { items, total: None, next }))
}

/// A page of device names.
pub(super) struct Names {
    /// The names.
    pub(super) names: Vec<String>,
    /// Number of names in total, if the cloud reports it.
    pub(super) total: Option<u64>,
    /// The next page.
    pub(super) next: Option<NamesAt>,
}

pub(super) fn device_names(
    body: &[u8],
    page: PageNumber,
    token: Option<&String>,
) -> Result<Names, Unintelligible> {
    let mut list: wire::DeviceList = json(body)?;
    // No document specifies the number of a page that was requested by token.
    list.page.page = list.page.page.filter(|_| token.is_none());
    let rows = list.data.and_then(|data| data.device_info).unwrap_or_default();
    let following = following(list.page, page, rows.len(), limits::NAME_PAGE)?;
    let names = rows.into_iter().map(|row| id(row.device_name)).collect::<Result<_, _>>()?;
    let next = following.map(|page| NamesAt { page, token: list.next_token });
    Ok(Names { names, total: list.page.total, next })
}

fn devices(product: &str, body: &[u8], place: &Cursor) -> Result<Reply, Unintelligible> {
    let DevicesPlace { mut names, names_at } = cursor::place(place)?;
    let asks_names = names.len() + limits::NAME_PAGE <= limits::BATCH;
    let (items, total, next) = match names_at {
        Some(NamesAt { page, token }) if asks_names => {
            let more = device_names(body, page, token.as_ref())?;
            names.extend(more.names);
            (Vec::new(), more.total, DevicesPlace { names, names_at: more.next })
        }
        names_at => {
            let list: wire::DeviceBatch = json(body)?;
            let rows = list.data.and_then(|data| data.data).unwrap_or_default();
            let items = rows.into_iter().map(device).collect::<Result<Vec<_>, _>>()?;
            if let Some(other) = items.iter().find(|device| device.product != product) {
                return Err(format!("device {} belongs to another product, {}", other.id, other.product));
            }
            (items, None, DevicesPlace { names: Vec::new(), names_at })
        }
    };
    let next = (!next.is_end()).then(|| cursor::next(place, &next, items.len())).transpose()?;
    Ok(Reply::Devices(Page { items, total, next }))
}

/// Names of devices of this product: another product may have the same names.
fn names(list: wire::NameList, product: &str, cursor: &Cursor) -> Result<Page<String>, Unintelligible> {
    let rows = list.data.and_then(|data| data.simple_device_info).unwrap_or_default();
    let page = numbered(rows, list.page, cursor, limits::NAME_PAGE, |row| of_product(row, product))?;
    Ok(Page { items: page.items.into_iter().flatten().collect(), total: None, next: page.next })
}

fn of_product(row: wire::DeviceName, product: &str) -> Result<Option<String>, Unintelligible> {
    let given = row.product_key.ok_or_else(|| format!("device {} has no ProductKey", row.device_name))?;
    let name = id(row.device_name)?;
    Ok((given == product).then_some(name))
}

fn tagged(
    list: wire::NameList,
    product: &str,
    values: usize,
    place: &Cursor,
) -> Result<Page<String>, Unintelligible> {
    let TaggedPlace { value, page } = cursor::place(place)?;
    let rows = list.data.and_then(|data| data.simple_device_info).unwrap_or_default();
    let following = following(list.page, page, rows.len(), limits::NAME_PAGE)?;
    let items = rows.into_iter().map(|row| of_product(row, product)).collect::<Result<Vec<_>, _>>()?;
    let next = match following {
        Some(page) => Some(TaggedPlace { value, page }),
        None => (value + 1 < values).then(|| TaggedPlace { value: value + 1, page: PageNumber::default() }),
    };
    let next = next.map(|next| cursor::next(place, &next, items.len())).transpose()?;
    Ok(Page { items: items.into_iter().flatten().collect(), total: None, next })
}

fn package(firmware: wire::Firmware) -> Result<Package, Unintelligible> {
    let row = package_row(&firmware)?;
    let is_md5 = firmware.sign_method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case("MD5"));
    let several = firmware.multi_files.unwrap_or_default();
    let artifact = if several.is_empty() {
        let md5 = firmware.firmware_sign.filter(|_| is_md5).as_deref().and_then(md5);
        ArtifactRef::Held(HeldArtifact { sha256: None, md5, size: firmware.firmware_size })
    } else {
        ArtifactRef::Files(several.into_iter().map(|file| held_file(file, is_md5)).collect())
    };
    Ok(Package { row, artifact: Some(artifact) })
}

/// A file whose two digests differ has no known digest: devices may check either.
fn held_file(file: wire::MultiFile, is_md5: bool) -> HeldFile {
    let signed = file.sign_value.filter(|_| is_md5).as_deref().and_then(md5);
    let hashed = file.file_md5.as_deref().and_then(md5);
    let agree = signed.is_none() || hashed.is_none() || signed == hashed;
    let md5 = hashed.or(signed).filter(|_| agree);
    HeldFile { name: file.name, bytes: HeldArtifact { sha256: None, md5, size: file.size } }
}

fn md5(text: &str) -> Option<String> {
    (text.len() == 32).then(|| text.to_ascii_lowercase())
}

/// `Type` of a delta package.
const DELTA: i64 = 1;

fn package_row(firmware: &wire::Firmware) -> Result<PackageRow, Unintelligible> {
    Ok(PackageRow {
        id: id(firmware.firmware_id.clone())?,
        key: PackageKey {
            kind: PackageKind::Firmware,
            product: firmware.product_key.clone(),
            version: firmware.dest_version.clone(),
            module: modules::of_wire(firmware.module_name.clone()),
        },
        name: None,
        source_versions: firmware.src_version.iter().filter(|version| !version.is_empty()).cloned().collect(),
        delta: firmware.kind == Some(DELTA),
        description: firmware.firmware_desc.clone().filter(|text| !text.is_empty()),
        custom_info: firmware.udi.clone().filter(|text| !text.is_empty()),
        verification: Some(verification(firmware.status)),
        created_at: firmware.utc_create.as_deref().and_then(time),
    })
}

fn verification(status: Option<i64>) -> CloudVerification {
    match status {
        Some(-1) => CloudVerification::NotNeeded,
        Some(0) => CloudVerification::Pending,
        Some(1) => CloudVerification::Passed,
        Some(2) => CloudVerification::Running,
        Some(3) => CloudVerification::Failed,
        Some(other) => CloudVerification::Unknown(other.to_string()),
        None => CloudVerification::Unknown("none".to_owned()),
    }
}

fn created_package(new: &NewPackage, created: wire::CreatedId) -> Result<Package, Unintelligible> {
    let row = PackageRow {
        id: id(created.firmware_id.unwrap_or_default())?,
        key: new.key.clone(),
        name: None,
        source_versions: new.source_versions.clone(),
        delta: new.delta,
        description: new.description.clone().filter(|text| !text.is_empty()),
        custom_info: new.custom_info.clone().filter(|text| !text.is_empty()),
        verification: Some(match new.verification {
            Some(_) => CloudVerification::Pending,
            None => CloudVerification::NotNeeded,
        }),
        created_at: created.utc_create.as_deref().and_then(time),
    };
    Ok(Package { row, artifact: Some(new.artifact.stored()) })
}

/// Neither lists nor QueryOTAJob report device counts: [`Job::fill_in`] adds them.
fn job(job: wire::Job) -> Result<Job, Unintelligible> {
    let tags = job.tags.and_then(|tags| tags.rows).unwrap_or_default();
    let token = tags.into_iter().find(|tag| tag.key == TOKEN_TAG).map(|tag| tag.value);
    let id = id(job.job_id)?;
    Ok(Job {
        token,
        title: id.clone(),
        id,
        kind: PackageKind::Firmware,
        module: None,
        package_ids: job.firmware_id.into_iter().collect(),
        devices: Vec::new(),
        delivery: None,
        state: match job.job_status.as_str() {
            "PLANNED" => JobState::Queued,
            "IN_PROGRESS" => JobState::Running,
            "COMPLETED" | "COMPLETE" => JobState::Succeeded,
            "CANCELED" => JobState::Stopped,
            other => JobState::Unknown(other.to_owned()),
        },
        counts: JobCounts::default(),
        created_at: job.utc_create.as_deref().and_then(time),
    })
}

fn created_job(new: &NewJob, created: wire::CreatedId) -> Result<Job, Unintelligible> {
    let id = id(created.job_id.unwrap_or_default())?;
    let total = u32::try_from(new.devices.len()).unwrap_or(u32::MAX);
    Ok(Job {
        token: Some(new.token.clone()),
        title: id.clone(),
        id,
        kind: new.kind(),
        module: new.package.module.clone(),
        package_ids: vec![new.package_id.clone()],
        devices: new.devices.clone(),
        delivery: None,
        state: JobState::Queued,
        counts: JobCounts { total, queued: total, ..JobCounts::default() },
        created_at: created.utc_create.as_deref().and_then(time),
    })
}

/// Results of devices that were requested by name: all of them come at once. A dynamic job may have several results of one
/// device.
fn named_results(
    rows: Vec<wire::Task>,
    total: Option<u64>,
    named: &NamedDevices,
) -> Result<Page<DeviceResult>, Unintelligible> {
    if total.is_some_and(|total| total > rows.len() as u64) {
        return Err(format!("the response has {} rows of a total of {total:?}", rows.len()));
    }
    // Names are unique within a product.
    let is_meant = |task: &wire::Task| task.product_key.as_ref().is_none_or(|key| *key == named.product);
    let items = rows.into_iter().filter(is_meant).map(device_result).collect::<Result<Vec<_>, _>>()?;
    match items.iter().find(|row| !named.ids.contains(&row.device)) {
        Some(row) => Err(format!("device {} was not requested", row.device)),
        None => Ok(Page { items, total: None, next: None }),
    }
}

fn device_result(task: wire::Task) -> Result<DeviceResult, Unintelligible> {
    let outcome = match task.task_status.as_str() {
        "CONFIRM" | "QUEUED" => DeviceOutcome::Queued,
        "NOTIFIED" | "IN_PROGRESS" => DeviceOutcome::InFlight,
        "SUCCEEDED" => DeviceOutcome::Succeeded,
        "FAILED" => DeviceOutcome::Failed,
        "CANCELED" => DeviceOutcome::Stopped,
        other => DeviceOutcome::Unknown(other.to_owned()),
    };
    let reason = task.task_desc.filter(|text| !text.is_empty());
    Ok(DeviceResult { device: id(task.device_name)?, outcome, reason })
}

fn device(device: wire::Device) -> Result<Device, Unintelligible> {
    let online = match device.status.as_deref() {
        Some("ONLINE") => Some(true),
        Some("OFFLINE" | "UNACTIVE" | "DISABLE") => Some(false),
        _ => None,
    };
    Ok(Device {
        id: id(device.device_name)?,
        product: device.product_key,
        firmware: device.firmware_version.filter(|version| !version.is_empty()),
        software: None,
        online,
        upgrading: None,
    })
}

/// `2019-11-04T06:22:19.566Z`.
fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}
