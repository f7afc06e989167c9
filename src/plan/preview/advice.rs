//! What a person should know before it begins.

use super::PreviewStage;
use crate::api::{OtaPackage, OtaRollout};
use crate::cloud::Capabilities;
use crate::plan::needs::Need;
use crate::plan::{Action, PackageView, RolloutView, cohort, gate};

/// Calls of one operation, and how the number comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// `ListDevices`.
    pub operation: &'static str,
    /// Calls for one look.
    pub calls: u64,
    /// `⌈1000 devices / 50 per page⌉`.
    pub formula: String,
}

/// What one look costs in read calls. Looks are taken every 30 seconds while a stage runs, at its soak's end, and at the
/// account's drift interval otherwise; objects of one account share them. Groups and tags are estimated with the whole
/// product's devices, the most that they can hold.
#[must_use]
pub fn watching(needs: &[Need], capabilities: &Capabilities, devices: usize, jobs: usize) -> Vec<Estimate> {
    let pages = |rows: usize| rows.div_ceil(capabilities.page_size.max(1)).max(1) as u64;
    let listed = |operation, rows: usize, what: &str| Estimate {
        operation,
        calls: pages(rows),
        formula: format!("⌈{rows} {what} / {} per page⌉", capabilities.page_size.max(1)),
    };
    let estimate = |need: &Need| match need {
        Need::Packages(_) => listed("ListPackages", 1, "package"),
        Need::Jobs(_) => listed("ListJobs", jobs, if jobs == 1 { "job" } else { "jobs" }),
        Need::Fleet { .. } => listed("ListDevices", devices, "devices"),
        Need::Group(_) => listed("ListGroupDevices", devices, "devices at most"),
        Need::Tag { .. } => listed("ListTaggedDevices", devices, "devices at most"),
        Need::Devices(ids) => Estimate {
            operation: "ShowDevice",
            calls: ids.len() as u64,
            formula: format!("{} devices, one by one", ids.len()),
        },
    };
    needs.iter().map(estimate).collect()
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
        .then(|| format!("an upgrade that a device has got cannot be recalled: {devices} devices"));
    deleted.into_iter().chain(sent).collect()
}

pub(super) fn package_warnings(view: &PackageView<'_>) -> Vec<String> {
    let unverified = view.object.spec.verification.is_none() && !is_deleting(view.object);
    unverified
        .then(|| "no verification: the first devices that get it are those of a rollout".to_owned())
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
        warnings.push("the devices were not looked at, so nothing can be said about stages".to_owned());
        return warnings;
    }
    if spec.stop.is_empty() {
        warnings.push("no stop rules: nothing but the gates stops a bad package".to_owned());
    }
    let written = cohort::stages(spec);
    let last = written.len().saturating_sub(1);
    for (index, stage) in written.iter().enumerate() {
        let size =
            stages.iter().find(|preview| preview.name == stage.name).map_or(0, |preview| preview.devices);
        if stage.gates.is_empty() && index < last {
            warnings.push(format!("stage {} has no gate: the next one follows when its devices are done, whatever became of them", stage.name));
        }
        // The last stage may well be left with nobody.
        if size == 0 && index < last {
            warnings.push(format!("stage {} selects nobody", stage.name));
        } else if size > 0 {
            warnings
                .extend(stage.gates.iter().filter_map(|g| gate::cannot_prove(&stage.name, size, &g.outcome)));
        }
    }
    warnings.extend(excluded(end));
    warnings
}

fn excluded(end: &OtaRollout) -> Vec<String> {
    let Some(excluded) = end.status.as_ref().map(|status| &status.excluded) else { return Vec::new() };
    let unknown = (excluded.unknown > 0).then(|| {
        let examples = excluded.unknown_examples.join(", ");
        let more = excluded.unknown as usize > excluded.unknown_examples.len();
        let more = if more { ", …" } else { "" };
        format!("the cloud does not know {} of the named devices: {examples}{more}", excluded.unknown)
    });
    let version = (excluded.by_version > 0).then(|| match excluded.by_version {
        1 => "1 device is left out: it reports a version that is not upgraded from".to_owned(),
        many => format!("{many} devices are left out: they report versions that are not upgraded from"),
    });
    unknown.into_iter().chain(version).collect()
}
