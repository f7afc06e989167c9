//! What stands behind the numbers of a stage: which versions its devices report instead, why they failed, and who is offline.

use super::Context;
use super::observed::{Observed, members};
use crate::api::{Finding, FindingKind, MAX_EXAMPLES, StageStatus};
use crate::cloud::{Device, DeviceOutcome, DeviceResult, Job};
use crate::decide::stage::{Target, as_count};
use std::collections::{BTreeMap, BTreeSet};

/// Most findings of one kind in a stage: the commonest ones.
const MOST_OF_A_KIND: usize = 3;

/// Devices by what was found.
type Found<'a> = BTreeMap<(FindingKind, &'a str), Vec<&'a str>>;

/// Writes down for each stage what was found of devices that do not run the version. A stage with a job that is not listed keeps
/// what it knows, as its counts do.
pub(super) fn note(context: &Context<'_>, stages: &mut [StageStatus], observed: &Observed<'_>) {
    let members = members(&observed.jobs.listed);
    for (index, stage) in stages.iter_mut().enumerate() {
        if observed.jobs.missing.iter().any(|missing| missing.stage == index) {
            continue;
        }
        let mut found = Found::new();
        for (ours, members) in
            observed.jobs.listed.iter().zip(&members).filter(|(ours, _)| ours.stage == index)
        {
            find(context, ours.job, members, &mut found);
        }
        stage.findings = commonest(&found, stage.counts.reverted);
    }
}

fn find<'a>(context: &Context<'a>, job: &Job, members: &[&'a str], found: &mut Found<'a>) {
    let spec = &context.package.spec;
    let target = Target { kind: spec.kind, version: &spec.version };
    let rows = context.results.get(&job.id).map_or(&[][..], Vec::as_slice);
    let rows: BTreeMap<&str, &DeviceResult> = rows.iter().map(|row| (row.device.as_str(), row)).collect();
    for &id in members {
        let Some(device) = context.fleet.value.devices.get(id) else { continue };
        if target.is_reported_by(device) {
            continue;
        }
        if let Some(about) = about(job, device, rows.get(id).copied(), target) {
            found.entry(about).or_default().push(id);
        }
    }
}

/// What is to be said of a device that does not report the version.
fn about<'a>(
    job: &Job,
    device: &'a Device,
    row: Option<&'a DeviceResult>,
    target: Target<'_>,
) -> Option<(FindingKind, &'a str)> {
    match row.map(|row| &row.outcome) {
        Some(DeviceOutcome::Failed) => {
            Some((FindingKind::Failed, row.and_then(|row| row.reason.as_deref()).unwrap_or_default()))
        }
        Some(DeviceOutcome::Stopped | DeviceOutcome::Removed) => None,
        _ if job.state.is_final() => {
            Some((FindingKind::OtherVersion, device.version(target.kind).unwrap_or_default()))
        }
        _ => (device.online == Some(false)).then_some((FindingKind::Offline, "")),
    }
}

/// The commonest ones of each kind; together they name at most [`MAX_EXAMPLES`] devices of a kind.
fn commonest(found: &Found<'_>, reverted: u32) -> Vec<Finding> {
    let kinds: BTreeSet<FindingKind> = found.keys().map(|(kind, _)| *kind).collect();
    let of = |wanted: FindingKind| {
        let mut of: Vec<(&str, &Vec<&str>)> = found
            .iter()
            .filter(|((kind, _), _)| *kind == wanted)
            .map(|((_, text), ids)| (*text, ids))
            .collect();
        of.sort_by_key(|(text, ids)| (std::cmp::Reverse(ids.len()), *text));
        let mut room = MAX_EXAMPLES;
        let findings = of.into_iter().take(MOST_OF_A_KIND).map(move |(text, ids)| {
            let examples: Vec<String> = ids.iter().take(room).map(ToString::to_string).collect();
            room -= examples.len();
            Finding { kind: wanted, text: text.to_owned(), devices: as_count(ids.len()), examples }
        });
        findings.collect::<Vec<_>>()
    };
    // Only devices that went back report another version than they should: others may just not be counted yet.
    let counts = |kind: &FindingKind| *kind != FindingKind::OtherVersion || reverted > 0;
    kinds.into_iter().filter(counts).flat_map(of).collect()
}
