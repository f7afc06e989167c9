//! What a user should know before it begins.

use super::{PreviewStage, comparison};
use crate::api::{
    OtaPackage, OtaRollout, OtaRolloutStatus, Owner, StopMethod, StopRule, StratumCount, counted, verb,
};
use crate::cloud::{Capabilities, Device, DeviceScope, DeviceSet, RowsLack};
use crate::decide::needs::Need;
use crate::decide::rollout::gates;
use crate::decide::rollout::stop_rules;
use crate::decide::sets::Chosen;
use crate::decide::{Action, PackageView, RolloutView, cohort, defaults, safeguards};
use std::collections::{BTreeMap, BTreeSet};

/// Calls of one operation, and the formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// `ListDevices`.
    pub operation: &'static str,
    /// Calls of one observation.
    pub calls: u64,
    /// `⌈1000 devices / 50 per page⌉`.
    pub formula: String,
}

/// The size of what an observation of an account has to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Devices of the product.
    pub devices: usize,
    /// Jobs of this kind, including those to be created.
    pub jobs: usize,
    /// Jobs of the other kind.
    pub other_jobs: usize,
    /// Calls that the list of jobs took when it was read last.
    pub job_list_calls: u64,
    /// Devices of each job of Rollwave, including those to be created.
    pub devices_of_jobs: Vec<usize>,
    /// Devices that each external job must be queried for before the largest of the new jobs is sent.
    pub devices_asked_for: Vec<usize>,
}

/// The cost of one observation in read calls; a need may take several kinds of them. A running stage is observed every 30
/// seconds, a soaking one at its end, others at the account's drift interval; objects of one account share observations,
/// and lists that are fresh enough are not read again. Groups and tags are estimated at the size of the product, their
/// maximum.
#[must_use]
pub fn watching(needs: &[Need], limits: &Capabilities, known: &Known) -> Vec<(Need, Estimate)> {
    let estimates = |need: &Need| match need {
        Need::Packages(_) => vec![listed("ListPackages", 1, "package", limits)],
        Need::Jobs(_) => jobs(limits, known),
        Need::Fleet(scope) => vec![fleet(scope, limits, known)],
        Need::Presence(_) => presence(limits, known).into_iter().collect(),
        Need::Set(set) => vec![of_set(set, limits, known)],
        Need::Devices(_) if !limits.shows_devices => vec![fleet_of(limits.device_pages, known)],
        Need::Devices(ids) => vec![Estimate {
            operation: "ShowDevice",
            calls: ids.len() as u64,
            formula: format!("{}, one by one", counted(ids.len(), "device")),
        }],
    };
    needs.iter().flat_map(|need| estimates(need).into_iter().map(|look| (need.clone(), look))).collect()
}

/// Some clouds list each value of a tag by itself.
fn of_set(set: &DeviceSet, limits: &Capabilities, known: &Known) -> Estimate {
    let (operation, more) = match set {
        DeviceSet::Group(_) => ("ListGroupDevices", 0),
        DeviceSet::Tag { values, .. } => ("ListTaggedDevices", values.len().saturating_sub(1)),
        DeviceSet::Attribute { .. } => ("ListDevicesByAttribute", 0),
    };
    let (devices, size) = (known.devices, limits.set_page);
    let each = if more == 0 { String::new() } else { format!(" + {more} for the other values") };
    Estimate {
        operation,
        calls: pages(devices, size) + more as u64,
        formula: format!("⌈{devices} devices at most / {size} per page⌉{each}"),
    }
}

fn pages(rows: usize, size: usize) -> u64 {
    rows.div_ceil(size.max(1)).max(1) as u64
}

fn listed(operation: &'static str, rows: usize, what: &str, limits: &Capabilities) -> Estimate {
    let size = limits.page_size.max(1);
    Estimate {
        operation, calls: pages(rows, size), formula: format!("⌈{rows} {what} / {size} per page⌉")
    }
}

/// A device takes one job at a time, of either kind, so both lists are read. What their rows lack is read from the
/// devices of jobs.
fn jobs(limits: &Capabilities, known: &Known) -> Vec<Estimate> {
    let what = if known.jobs == 1 { "job" } else { "jobs" };
    let mut list = listed("ListJobs", known.jobs, what, limits);
    if limits.lists_jobs_by_package {
        list.calls = known.job_list_calls;
        list.formula = "pages of packages, and of the jobs of each, as last listed".to_owned();
    }
    if limits.lists_software {
        let others = pages(known.other_jobs, limits.page_size);
        list.calls += others;
        list.formula += &format!(" + {others} for the other kind");
    }
    let size = limits.page_size.max(1);
    let mut details = Estimate {
        operation: "ListJobDevices",
        calls: known.devices_of_jobs.iter().map(|devices| pages(*devices, size)).sum(),
        formula: format!("devices of {} jobs of Rollwave / {size} per page", known.devices_of_jobs.len()),
    };
    let most = limits.max_devices_per_question;
    let asked: u64 = known.devices_asked_for.iter().map(|devices| pages(*devices, most)).sum();
    if asked > 0 {
        let theirs = counted(known.devices_asked_for.len(), "external job");
        details.calls += asked;
        details.formula +=
            &format!(" + {asked} to query {theirs}, {most} devices at once, before a job is created");
    }
    let has_details = limits.job_rows_lack != RowsLack::Nothing && details.calls > 0;
    std::iter::once(list).chain(has_details.then_some(details)).collect()
}

/// Module versions are read device by device.
fn fleet(scope: &DeviceScope, limits: &Capabilities, known: &Known) -> Estimate {
    match (&scope.module, limits.device_pages) {
        (Some(_), [names, ..]) => fleet_of(&[*names, 1], known),
        (_, sizes) => fleet_of(sizes, known),
    }
}

fn fleet_of(sizes: &[usize], known: &Known) -> Estimate {
    let devices = known.devices;
    let part = |size: &usize| match size {
        1 => format!("{devices}, one by one"),
        size => format!("⌈{devices} devices / {size} per page⌉"),
    };
    Estimate {
        operation: "ListDevices",
        calls: sizes.iter().map(|size| pages(devices, *size)).sum(),
        formula: sizes.iter().map(part).collect::<Vec<_>>().join(" + "),
    }
}

/// Nothing where rows of devices report it.
fn presence(limits: &Capabilities, known: &Known) -> Option<Estimate> {
    let (devices, size) = (known.devices, limits.presence_page);
    (size > 0).then(|| Estimate {
        operation: "ListPresence",
        calls: pages(devices, size),
        formula: format!("⌈{devices} devices / {size} per page⌉"),
    })
}

pub(super) fn irreversible<'a>(actions: impl Iterator<Item = &'a Action>) -> Vec<String> {
    let (mut devices, mut deleted) = (0, Vec::new());
    for action in actions {
        match action {
            Action::CreateJob { job, .. } => devices += job.devices.len(),
            Action::DeletePackage { id } => deleted.push(format!("package {id} is deleted from the cloud")),
            _ => {}
        }
    }
    let sent = (devices > 0)
        .then(|| format!("an upgrade that a device has received ({})", counted(devices, "device")));
    deleted.into_iter().chain(sent).collect()
}

pub(super) fn package_warnings(view: &PackageView<'_>) -> Vec<String> {
    let unverified = view.object.spec.verification.is_none() && !is_deleting(view.object);
    unverified
        .then(|| "no verification: the first devices that get the package are those of a rollout".to_owned())
        .into_iter()
        .collect()
}

fn is_deleting(package: &OtaPackage) -> bool {
    package.metadata.deletion_timestamp.is_some()
}

pub(super) fn rollout_warnings(
    view: &RolloutView<'_>,
    end: &OtaRollout,
    stages: &[PreviewStage],
) -> Vec<String> {
    let spec = &view.object.spec;
    let mut warnings = Vec::new();
    if view.object.metadata.deletion_timestamp.is_some() {
        return warnings;
    }
    if view.fleet.is_none() {
        warnings.push("the devices were not read, so the stages are not known".to_owned());
        return warnings;
    }
    let rules = defaults::stop_rules(spec);
    if rules.is_empty() {
        warnings.push("no stop rules (stop: []): only the gates stop a bad package".to_owned());
    }
    // The default rule of a small fleet has too few devices to compare: no user has to do anything about it.
    let is_expected = |rule: &&StopRule| rule.method != StopMethod::Control || spec.stop.is_some();
    warnings.extend(rules.iter().filter(is_expected).filter_map(|rule| never_fires(rule, stages)));
    warnings.extend(view.fleet.as_ref().and_then(|fleet| unseen(&rules, fleet.value.devices)));
    let written = defaults::begun_stages(spec, end.status.as_ref().unwrap_or(&OtaRolloutStatus::default()));
    let known = view.object.status.as_ref().map_or(&[][..], |status| &status.stages);
    warnings.extend(cohort::not_followed(&written, known));
    warnings
        .extend(view.object.status.as_ref().and_then(|status| safeguards::removed(spec, &written, status)));
    let last = written.len().saturating_sub(1);
    for (index, stage) in written.iter().enumerate() {
        let size =
            stages.iter().find(|preview| preview.name == stage.name).map_or(0, |preview| preview.devices);
        let gates = gates::required(spec, stage, index == last, size);
        if gates.is_empty() && gates::controls(stage).next().is_none() && index < last {
            warnings.push(format!("stage {} has no gate (gates: []): the next stage starts when its devices have an outcome, unless more of them failed than succeeded", stage.name));
        }
        warnings.extend(stages.iter().find(|preview| preview.name == stage.name).and_then(without_some));
        // The last stage may be empty.
        if size == 0 && index < last {
            warnings.push(format!("stage {} selects no devices", stage.name));
        } else if size > 0 {
            warnings.extend(gates.iter().filter_map(|gate| gate.cannot_prove(&stage.name, size)));
        }
    }
    warnings.extend(excluded(end));
    warnings.extend(unmatched(view));
    warnings
}

/// Sets that targets or stages select by, and that have no devices.
fn unmatched(view: &RolloutView<'_>) -> Vec<String> {
    let Some(fleet) = &view.fleet else { return Vec::new() };
    let spec = &view.object.spec;
    let stages = spec.stages.iter().filter_map(|stage| Chosen::by_stage(&stage.select));
    let chosen = Chosen::by_targets(&spec.targets).into_iter().chain(stages);
    let empty: BTreeSet<DeviceSet> = chosen.flat_map(|chosen| chosen.empty(&fleet.value.sets)).collect();
    empty.iter().map(|set| format!("{set} matches no device")).collect()
}

/// A stage that has fewer devices than there are strata.
fn without_some(stage: &PreviewStage) -> Option<String> {
    let is_none = |stratum: &&StratumCount| stratum.devices == 0 && stratum.available > 0;
    let none = stage.strata.counts.iter().filter(is_none).map(|stratum| stratum.name.as_str());
    let names: Vec<&str> = none.collect();
    (stage.strata.known() > 0 && !names.is_empty())
        .then(|| format!("stage {} has no device of {}", stage.name, names.join(", ")))
}

/// A stop rule that requires more devices than all stages have.
fn never_fires(rule: &StopRule, stages: &[PreviewStage]) -> Option<String> {
    let devices: u32 = stages.iter().map(|stage| stage.devices).sum();
    let needed = stop_rules::fewest_devices(rule)?;
    let what = match rule.method {
        StopMethod::EProcess | StopMethod::Sprt => "failed devices",
        StopMethod::Control => "upgraded devices to compare (minSample)",
        StopMethod::Ratio => "devices with an outcome (minSample)",
        StopMethod::Count => "failed devices (maxFailure)",
    };
    (devices > 0 && needed > devices).then(|| {
        format!(
            "stop rule {} can never fire: it needs {needed} {what}, and all stages together have {devices}",
            rule.name
        )
    })
}

/// A rule of method `Control` on a cloud that does not report who is connected.
fn unseen(rules: &[StopRule], fleet: &BTreeMap<String, Device>) -> Option<String> {
    let rule = rules.iter().find(|rule| rule.method == StopMethod::Control)?;
    let unknown = fleet.values().filter(|device| device.online.is_none()).count();
    (unknown > 0 && comparison::offline(fleet).is_none()).then(|| {
        format!(
            "stop rule {} cannot compare devices: the cloud does not report whether {unknown} of {} are connected",
            rule.name,
            counted(fleet.len(), "device")
        )
    })
}

fn excluded(end: &OtaRollout) -> Vec<String> {
    let Some(excluded) = end.status.as_ref().map(|status| &status.excluded) else { return Vec::new() };
    let unknown = (excluded.unknown > 0).then(|| {
        let examples = excluded.unknown_examples.join(", ");
        let more = excluded.unknown as usize > excluded.unknown_examples.len();
        let more = if more { ", …" } else { "" };
        format!("{} of the named devices not registered in the cloud: {examples}{more}", excluded.unknown)
    });
    let left_out = |count| format!("{} {} left out", counted(count, "device"), verb(count, "is", "are"));
    let version = (excluded.by_version > 0).then(|| {
        let (count, report) =
            (excluded.by_version, verb(excluded.by_version, "it reports a version", "they report versions"));
        format!("{}: {report} that {} not upgraded from", left_out(count), verb(count, "is", "are"))
    });
    let owners = excluded.owners.iter().map(|owner| {
        let Owner { rollout, devices, why } = owner;
        format!("{}: OtaRollout {rollout} owns {} ({why})", left_out(*devices), verb(*devices, "it", "them"))
    });
    unknown.into_iter().chain(version).chain(owners).collect()
}
