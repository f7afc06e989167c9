//! Jobs: verify, static and dynamic; what each takes and when it is refused.

use super::{
    Account, AliyunIot, codes,
    devices::Key,
    firmware::Firmware,
    job::{Job, JobStatus, Purpose, Settings},
    request::{DEVICE_NAME, Handled, ID, Refusal, Request, Rule, VERSION, invalid, members},
};
use crate::simulator::{fleet::Fleet, fleet::long_time};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const MOST_VERIFIED: usize = 10;
const MOST_NAMED: usize = 200;
const MOST_SOURCES: usize = 10;
/// Bytes of the one file that is sent by MQTT (manual of OTA downloads). That jobs are refused for more is *assumed*.
const MOST_BY_MQTT: u64 = 16 * 1024 * 1024;
const MOST_TAGS: usize = 10;
const MOST_TAG_TEXT: usize = 4096;
const SELECTIONS: [&str; 4] = ["ALL", "SPECIFIC", "GRAY", "GROUP"];
/// Of static jobs only.
const SCHEDULE: [&str; 2] = ["ScheduleTime", "ScheduleFinishTime"];

/// CreateOTAVerifyJob.
///
/// # Errors
/// A parameter breaks its rule, unknown package or device, or the package is verified or being verified.
pub fn create_verify(
    cloud: &mut AliyunIot,
    fleet: &mut Fleet,
    index: usize,
    request: &Request<'_>,
) -> Handled {
    let firmware = package(cloud, index, request)?;
    let names = named_devices(cloud, index, request, &firmware, MOST_VERIFIED)?;
    if names.is_empty() {
        return Err(Refusal::missing("TargetDeviceName.1"));
    }
    let settings = Settings { timeout: timeout(request)?, ..delivery(request, &firmware)? };
    if matches!(firmware.status, 1 | 2) {
        let detail = format!("The package is verified or being verified (Status {}).", firmware.status);
        return Err(Refusal::new(&codes::STATE, detail));
    }
    let now = request.times.fleet;
    let account = cloud.account_mut(index)?;
    if let Some(row) = account.firmwares.values_mut().find(|row| row.id == firmware.id) {
        (row.status, row.modified) = (2, now);
    }
    let new = New { purpose: Purpose::Verify, selection: "SPECIFIC", firmware, settings };
    Ok(launch(cloud, fleet, index, request, new, &names))
}

/// CreateOTAStaticUpgradeJob.
///
/// # Errors
/// A parameter breaks its rule, unknown package, device or group, or the package is not verified.
pub fn create_static(
    cloud: &mut AliyunIot,
    fleet: &mut Fleet,
    index: usize,
    request: &Request<'_>,
) -> Handled {
    let firmware = package(cloud, index, request)?;
    request.required("TargetSelection", &ID)?;
    let selection = request.one_of("TargetSelection", &SELECTIONS)?.unwrap_or_default();
    let selection = SELECTIONS.into_iter().find(|known| *known == selection).unwrap_or_default();
    check_belongings(request, selection)?;
    let mut settings = upgrade_settings(request, &firmware)?;
    (settings.begins, settings.ends) = schedule(request)?;
    check_verified(&firmware)?;
    let names = match selection {
        "SPECIFIC" => specific(cloud, fleet, index, request, &firmware)?,
        "GROUP" => {
            let (group, names) = group(cloud, index, request, &firmware, "LINK_PLATFORM")?;
            settings.group = Some(group);
            names
        }
        _ => {
            let fitting = fitting(cloud, fleet, index, &firmware, &settings.src_versions)?;
            settings.gray_percent = (selection == "GRAY").then(|| gray_text(request)).transpose()?;
            match &settings.gray_percent {
                Some(percent) => share(fitting, percent)?,
                None => fitting,
            }
        }
    };
    let names = behind(cloud, fleet, index, &firmware, names)?;
    let new = New { purpose: Purpose::Static, selection, firmware, settings };
    Ok(launch(cloud, fleet, index, request, new, &names))
}

/// CreateOTADynamicUpgradeJob.
///
/// # Errors
/// A parameter breaks its rule, unknown package or group, the package is not verified, or has a dynamic job already.
pub fn create_dynamic(
    cloud: &mut AliyunIot,
    fleet: &mut Fleet,
    index: usize,
    request: &Request<'_>,
) -> Handled {
    let firmware = package(cloud, index, request)?;
    for name in
        ["TargetSelection", "GrayPercent", "TargetDeviceName.1", "DnListFileUrl"].iter().chain(&SCHEDULE)
    {
        if request.get(name).is_some() {
            return Err(invalid(format!("{name} is not for dynamic jobs.")));
        }
    }
    let mut settings = upgrade_settings(request, &firmware)?;
    let mode = request.integer_of("DynamicMode", &[1, 2])?.unwrap_or(1);
    settings.dynamic_mode = Some(mode);
    check_verified(&firmware)?;
    let by_version = !settings.src_versions.is_empty();
    if by_version == request.get("GroupId").is_some() {
        return Err(invalid("either SrcVersion or GroupId with GroupType, not both and not neither."));
    }
    let account = cloud.account(index)?;
    let rival =
        |job: &Job| job.firmware == firmware.id && job.purpose == Purpose::Dynamic && !job.status.is_final();
    if account.jobs.values().any(rival) {
        return Err(Refusal::new(&codes::STATE, "The package has a dynamic job already; cancel it first."));
    }
    let names = if by_version {
        fitting(cloud, fleet, index, &firmware, &settings.src_versions)?
    } else {
        let (group, names) = group(cloud, index, request, &firmware, "LINK_PLATFORM_DYNAMIC")?;
        settings.group = Some(group);
        names
    };
    let names = if mode == 1 { behind(cloud, fleet, index, &firmware, names)? } else { Vec::new() };
    let new = New { purpose: Purpose::Dynamic, selection: "ALL", firmware, settings };
    Ok(launch(cloud, fleet, index, request, new, &names))
}

struct New {
    purpose: Purpose,
    selection: &'static str,
    firmware: Firmware,
    settings: Settings,
}

fn launch(
    cloud: &mut AliyunIot,
    fleet: &mut Fleet,
    index: usize,
    request: &Request<'_>,
    new: New,
    names: &[String],
) -> serde_json::Map<String, serde_json::Value> {
    let now = request.times.fleet;
    let record = cloud.next();
    let id = super::opaque_id(cloud.seed, &["job", &record.to_string()]);
    let New { purpose, selection, firmware, settings } = new;
    let is_planned = settings.begins.is_some();
    let job = Job {
        id: id.clone(),
        purpose,
        selection,
        firmware: firmware.id,
        product: firmware.product,
        module: firmware.module,
        name: firmware.name,
        dest_version: firmware.version,
        delta_from: firmware.src_version.filter(|_| firmware.kind == 1),
        settings,
        status: if is_planned { JobStatus::Planned } else { JobStatus::InProgress },
        tasks: Vec::new(),
        matched: BTreeMap::new(),
        created: now,
        created_wall: request.times.wall,
        modified: now,
        started: None,
        ended: None,
    };
    cloud.upgrade(fleet, index, now, |upgrade| {
        upgrade.account.jobs.insert(record, job);
        if purpose == Purpose::Dynamic {
            upgrade.launch(record, &[]);
            upgrade.matched(record, names);
        } else {
            upgrade.launch(record, names);
        }
    });
    members([("Data", json!({"JobId": id, "UtcCreate": long_time(now)}))])
}

fn package(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Result<Firmware, Refusal> {
    let id = request.required("FirmwareId", &ID)?;
    let product = request.required("ProductKey", &ID)?;
    let firmware = cloud.account(index)?.firmware(id)?;
    if firmware.product != product {
        return Err(invalid("ProductKey is not that of the package."));
    }
    Ok(firmware.clone())
}

fn check_verified(firmware: &Firmware) -> Result<(), Refusal> {
    match firmware.status {
        1 | -1 => Ok(()),
        status => Err(Refusal::new(&codes::STATE, format!("The package is not verified (Status {status})."))),
    }
}

fn named_devices(
    cloud: &AliyunIot,
    index: usize,
    request: &Request<'_>,
    firmware: &Firmware,
    most: usize,
) -> Result<Vec<String>, Refusal> {
    let names = request.list("TargetDeviceName", most, &DEVICE_NAME)?;
    let devices = &cloud.account(index)?.devices;
    let key = |name: &String| -> Key { (firmware.product.clone(), name.clone()) };
    match names.iter().find(|name| devices.get(&key(name)).is_none()) {
        Some(name) => Err(Refusal::new(&codes::NO_DEVICE, format!("DeviceName {name}."))),
        None => Ok(names),
    }
}

fn specific(
    cloud: &AliyunIot,
    fleet: &Fleet,
    index: usize,
    request: &Request<'_>,
    firmware: &Firmware,
) -> Result<Vec<String>, Refusal> {
    if request.get("DnListFileUrl").is_some() {
        return Err(invalid("DnListFileUrl is not simulated: name the devices."));
    }
    let names = named_devices(cloud, index, request, firmware, MOST_NAMED)?;
    if names.is_empty() {
        return Err(invalid("exactly one of TargetDeviceName and DnListFileUrl is mandatory."));
    }
    let account = cloud.account(index)?;
    let fits = |name: &&String| runs(account, fleet, firmware, name) == firmware.src_version;
    if firmware.kind == 1 && !names.iter().all(|name| fits(&name)) {
        return Err(invalid("a device does not run the SrcVersion of the delta package."));
    }
    Ok(names)
}

fn runs(account: &Account, fleet: &Fleet, firmware: &Firmware, name: &str) -> Option<String> {
    account.version(fleet, &(firmware.product.clone(), name.to_owned()), &firmware.module)
}

/// Devices of the product that run one of these versions; all of them when none is named.
fn fitting(
    cloud: &AliyunIot,
    fleet: &Fleet,
    index: usize,
    firmware: &Firmware,
    sources: &[String],
) -> Result<Vec<String>, Refusal> {
    let account = cloud.account(index)?;
    let fits = |name: &&String| {
        let runs = runs(account, fleet, firmware, name);
        sources.is_empty() || runs.is_some_and(|runs| sources.contains(&runs))
    };
    Ok(account.devices.of_product(&firmware.product).iter().filter(fits).cloned().collect())
}

/// Devices that are on the target version already are filtered out.
fn behind(
    cloud: &AliyunIot,
    fleet: &Fleet,
    index: usize,
    firmware: &Firmware,
    names: Vec<String>,
) -> Result<Vec<String>, Refusal> {
    let account = cloud.account(index)?;
    let is_behind = |name: &String| runs(account, fleet, firmware, name).as_ref() != Some(&firmware.version);
    Ok(names.into_iter().filter(is_behind).collect())
}

fn group(
    cloud: &AliyunIot,
    index: usize,
    request: &Request<'_>,
    firmware: &Firmware,
    kind: &str,
) -> Result<(String, Vec<String>), Refusal> {
    let id = request.required("GroupId", &ID)?;
    request.required("GroupType", &ID)?;
    request.one_of("GroupType", &[kind])?;
    let group = cloud.account(index)?.groups.get(id).filter(|group| group.kind() == kind);
    let group = group.ok_or_else(|| Refusal::new(&codes::NO_GROUP, id))?;
    let fits = group.members.iter().filter(|(product, _)| *product == firmware.product);
    Ok((id.to_owned(), fits.map(|(_, name)| name.clone()).collect()))
}

/// Which parameters belong to which selection.
fn check_belongings(request: &Request<'_>, selection: &str) -> Result<(), Refusal> {
    let owners: [(&str, &[&str]); 6] = [
        ("SrcVersion.1", &["ALL", "GRAY"]),
        ("TargetDeviceName.1", &["SPECIFIC"]),
        ("DnListFileUrl", &["SPECIFIC"]),
        ("GrayPercent", &["GRAY"]),
        ("GroupId", &["GROUP"]),
        ("GroupType", &["GROUP"]),
    ];
    for (name, owners) in owners {
        if request.get(name).is_some() && !owners.contains(&selection) {
            return Err(invalid(format!("{name} is not for TargetSelection {selection}.")));
        }
    }
    Ok(())
}

fn gray_text(request: &Request<'_>) -> Result<String, Refusal> {
    let text = request.required("GrayPercent", &ID)?;
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    match text.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 && decimals <= 3 => Ok(text.to_owned()),
        _ => Err(invalid("GrayPercent must be above 0, at most 100, with at most 3 decimals.")),
    }
}

/// floor(total × percent / 100), and at least one. Which ones is not documented: the first.
fn share(mut names: Vec<String>, percent: &str) -> Result<Vec<String>, Refusal> {
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, ""));
    let thousandths = format!("{whole}{decimals:0<3}").parse::<usize>();
    let thousandths = thousandths.map_err(|_| Refusal::unreadable("GrayPercent", "a number is wanted"))?;
    let count = names.len().saturating_mul(thousandths) / 100_000;
    names.truncate(count.max(1));
    Ok(names)
}

fn timeout(request: &Request<'_>) -> Result<Option<i64>, Refusal> {
    request.integer("TimeoutInMinutes", 1, 1440)
}

/// What all three kinds of jobs take.
fn delivery(request: &Request<'_>, firmware: &Firmware) -> Result<Settings, Refusal> {
    let protocol = request.one_of("DownloadProtocol", &["HTTPS", "MQTT"])?.unwrap_or("HTTPS");
    let by_mqtt = matches!(firmware.files.as_slice(), [file] if file.size <= MOST_BY_MQTT);
    if protocol == "MQTT" && !by_mqtt {
        return Err(invalid("DownloadProtocol MQTT is for one file of at most 16 MB."));
    }
    Ok(Settings {
        need_push: request.boolean("NeedPush")?.unwrap_or(true),
        need_confirm: request.boolean("NeedConfirm")?.unwrap_or(false),
        protocol: protocol.to_owned(),
        tags: read_tags(request)?,
        ..Settings::default()
    })
}

/// What static and dynamic jobs take.
fn upgrade_settings(request: &Request<'_>, firmware: &Firmware) -> Result<Settings, Refusal> {
    let src_versions = request.list("SrcVersion", MOST_SOURCES, &VERSION)?;
    if firmware.kind == 1 && !src_versions.is_empty() && src_versions.first() != firmware.src_version.as_ref()
    {
        return Err(invalid("SrcVersion must be that of the delta package."));
    }
    let timeout = timeout(request)?;
    let interval = request.integer_of("RetryInterval", &[0, 10, 30, 60, 1440])?;
    let count = request.integer_of("RetryCount", &[1, 2, 5])?;
    let retry = match (interval, count.and_then(|count| u32::try_from(count).ok())) {
        (None, None) => None,
        (Some(minutes), Some(count)) => Some((count, minutes)),
        _ => return Err(invalid("RetryInterval and RetryCount must be given together.")),
    };
    if retry.zip(timeout).is_some_and(|((_, interval), timeout)| interval >= timeout) {
        return Err(invalid("RetryInterval must be less than TimeoutInMinutes."));
    }
    let overwrites = request.integer_of("OverwriteMode", &[1, 2])? == Some(2);
    let multi_module = request.boolean("MultiModuleMode")?.unwrap_or(false);
    if overwrites && multi_module {
        return Err(invalid("OverwriteMode 2 and MultiModuleMode exclude each other."));
    }
    let rate = request.integer("MaximumPerMinute", 10, 10_000)?.unwrap_or(10_000);
    Ok(Settings {
        src_versions,
        retry,
        timeout,
        per_minute: u32::try_from(rate).ok(),
        overwrites,
        multi_module,
        ..delivery(request, firmware)?
    })
}

/// `ScheduleTime`: in 5 minutes to 7 days; `ScheduleFinishTime`: 1 hour to 30 days after it.
fn schedule(request: &Request<'_>) -> Result<(Option<Timestamp>, Option<Timestamp>), Refusal> {
    let at = |name: &str| -> Result<Option<Timestamp>, Refusal> {
        let Some(millis) = request.integer(name, 1_000_000_000_000, 9_999_999_999_999)? else {
            return Ok(None);
        };
        Timestamp::from_millisecond(millis)
            .map(Some)
            .map_err(|_| Refusal::unreadable(name, "a time is wanted"))
    };
    let (begins, ends) = (at("ScheduleTime")?, at("ScheduleFinishTime")?);
    let within =
        |wait: SignedDuration, least: SignedDuration, most: SignedDuration| (least..=most).contains(&wait);
    if let Some(begins) = begins {
        let wait = begins.duration_since(request.times.fleet);
        if !within(wait, SignedDuration::from_mins(5), SignedDuration::from_hours(7 * 24)) {
            return Err(invalid("ScheduleTime must be in 5 minutes to 7 days."));
        }
    }
    if let Some(ends) = ends {
        let wait = ends.duration_since(begins.unwrap_or(request.times.fleet));
        if !within(wait, SignedDuration::from_hours(1), SignedDuration::from_hours(30 * 24)) {
            return Err(invalid("ScheduleFinishTime must be 1 hour to 30 days after ScheduleTime."));
        }
    }
    Ok((begins, ends))
}

fn read_tags(request: &Request<'_>) -> Result<Vec<(String, String)>, Refusal> {
    let tags = request.structs("Tag");
    if tags.len() > MOST_TAGS {
        return Err(invalid(format!("Tag: {} are more than {MOST_TAGS}.", tags.len())));
    }
    let key_rule = Rule::new(30, |c| c.is_ascii_alphanumeric() || c == '.');
    let mut read = Vec::new();
    for tag in tags {
        let half = |name: &str| tag.get(name).filter(|half| !half.is_empty());
        let (Some(key), Some(value)) = (half("Key"), half("Value")) else {
            return Err(invalid("Tag: Key and Value must be given together."));
        };
        key_rule.check("Tag.Key", key)?;
        Rule::any(1024).check("Tag.Value", value)?;
        read.push((key.clone(), value.clone()));
    }
    let text: usize = read.iter().map(|(key, value)| key.chars().count() + value.chars().count()).sum();
    let keys: BTreeSet<&String> = read.iter().map(|(key, _)| key).collect();
    if text > MOST_TAG_TEXT || keys.len() != read.len() {
        return Err(invalid(format!("Tag: {MOST_TAG_TEXT} characters at most, and no key twice.")));
    }
    Ok(read)
}
