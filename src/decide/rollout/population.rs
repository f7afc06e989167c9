//! Which devices are targeted, and which of them are left out.

use super::Context;
use super::overlap::Shared;
use crate::api::{Excluded, MAX_EXAMPLES, OtaPackageSpec, OtaRolloutSpec};
use crate::cloud::Device;
use crate::decide::Fleet;
use crate::decide::cohort::other_product;
use crate::decide::ownership::Ownership;
use crate::decide::sets::Chosen;
use crate::decide::stage::{Tally, Target, as_count};
use std::collections::{BTreeMap, BTreeSet};

/// The devices of a rollout that no job of ours holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Population<'a> {
    /// Targeted devices that are registered in the cloud, including those in our jobs.
    pub targeted: u32,
    /// Devices that may be sent the package, sorted.
    pub eligible: Vec<&'a str>,
    /// Devices that are left out, by reason.
    pub excluded: Excluded,
    /// Devices of our jobs that may not be sent another one, by the current spec.
    barred: BTreeMap<&'a str, Bar>,
    /// Devices that other rollouts also target.
    pub shared: Shared,
}

/// Why a device of one of our jobs may not be sent another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bar {
    /// `exclude` names it.
    Spec,
    /// It reports a version that is not upgraded from.
    Version,
    /// They are no longer targeted.
    Untargeted,
}

impl Population<'_> {
    /// Removes devices that may not be sent another job from those that one of our jobs left to be sent again. Stopped
    /// ones leave their stage; failed ones still count as failed.
    pub fn bar(&mut self, tally: &mut Tally<'_>) {
        let before = as_count(tally.stopped.len());
        tally.stopped.retain(|id| match self.barred.get(id) {
            None => true,
            Some(bar) => {
                match bar {
                    Bar::Spec => self.excluded.by_spec += 1,
                    Bar::Version => self.excluded.by_version += 1,
                    Bar::Untargeted => {}
                }
                false
            }
        });
        let left = before - as_count(tally.stopped.len());
        tally.counts.queued -= left;
        tally.counts.assigned -= left;
        let before = as_count(tally.resend.len());
        tally.resend.retain(|id| !self.barred.contains_key(id));
        let failed = before - as_count(tally.resend.len());
        tally.counts.queued -= failed;
        tally.counts.failed += failed;
    }
}

/// Sorts the targets into eligible and excluded ones. A device in one of our jobs (`held`) is neither: it stays in its
/// stage, whatever it reports now. None when the members of groups or tags were not observed.
pub(super) fn population<'a>(
    spec: &'a OtaRolloutSpec,
    package: &OtaPackageSpec,
    fleet: &Fleet<'a>,
    held: &BTreeMap<&'a str, usize>,
    ownership: &Ownership<'_>,
) -> Option<Population<'a>> {
    let devices = fleet.devices;
    let candidates = candidates(spec, fleet)?;
    let exclude = spec.targets.exclude.as_ref();
    let excluded: BTreeSet<&str> = exclude.iter().flat_map(|e| &e.devices).map(String::as_str).collect();
    let target = Target { kind: package.kind, version: &package.version };
    let mut found = Population { excluded: unknown(spec, devices, &excluded), ..Population::default() };
    let targeted = |id: &&str| candidates.contains(id);
    found.barred = held.keys().filter(|id| !targeted(id)).map(|id| (*id, Bar::Untargeted)).collect();
    for &id in &candidates {
        let Some(device) = devices.get(id) else { continue };
        if let Some(product) = other_product(device, package) {
            found.excluded.other_product += 1;
            if found.excluded.other_product_examples.len() < MAX_EXAMPLES {
                found.excluded.other_product_examples.push(format!("{id} ({product})"));
            }
            continue;
        }
        if held.contains_key(id) {
            found.targeted += 1;
            let bar = if excluded.contains(id) {
                Some(Bar::Spec)
            } else {
                matches!(reason(device, target, spec, package), Some(Left::Version)).then_some(Bar::Version)
            };
            match bar {
                Some(bar) => drop(found.barred.insert(id, bar)),
                None => found.shared.note_contested(ownership, device),
            }
        } else if excluded.contains(id) {
            found.excluded.by_spec += 1;
        } else {
            found.targeted += 1;
            if found.shared.takes(ownership, device) {
                continue;
            }
            match reason(device, target, spec, package) {
                None => found.eligible.push(id),
                Some(Left::Current) => found.excluded.already_current += 1,
                Some(Left::Version) => found.excluded.by_version += 1,
            }
        }
    }
    let unmatched: Vec<&&str> =
        excluded.iter().filter(|id| !candidates.contains(**id) || !devices.contains_key(**id)).collect();
    found.excluded.exclude_unmatched = as_count(unmatched.len());
    let examples = unmatched.iter().take(MAX_EXAMPLES);
    found.excluded.exclude_unmatched_examples = examples.map(ToString::to_string).collect();
    Some(found)
}

/// How many registered devices of the package's product are targeted, whatever version they report. None when the members of
/// groups or tags were not observed.
pub(super) fn targeted(spec: &OtaRolloutSpec, package: &OtaPackageSpec, fleet: &Fleet<'_>) -> Option<u32> {
    let exclude = spec.targets.exclude.as_ref();
    let excluded: BTreeSet<&str> = exclude.iter().flat_map(|e| &e.devices).map(String::as_str).collect();
    let is_targeted = |id: &&str| {
        let device = fleet.devices.get(*id).filter(|_| !excluded.contains(id));
        device.is_some_and(|device| other_product(device, package).is_none())
    };
    Some(as_count(candidates(spec, fleet)?.into_iter().filter(is_targeted).count()))
}

/// Sets of the targets that have no devices, for the end of a message; empty when there are none.
pub(super) fn unmatched_text(context: &Context<'_>) -> String {
    let chosen = Chosen::by_targets(&context.rollout.spec.targets);
    let empty = chosen.into_iter().flat_map(|chosen| chosen.empty(&context.fleet.value.sets));
    empty.map(|set| format!("; {set} matches no device")).collect()
}

fn candidates<'a>(spec: &'a OtaRolloutSpec, fleet: &Fleet<'a>) -> Option<BTreeSet<&'a str>> {
    let targets = &spec.targets;
    if let Some(devices) = &targets.devices {
        return Some(devices.iter().map(String::as_str).collect());
    }
    let all = fleet.devices.keys().map(String::as_str);
    if let Some(chosen) = Chosen::by_targets(targets) {
        let members = chosen.members(&fleet.sets)?;
        return Some(all.filter(|id| members.contains(id)).collect());
    }
    // Empty targets select no devices.
    Some(if targets.all == Some(true) { all.collect() } else { BTreeSet::new() })
}

enum Left {
    Current,
    Version,
}

/// Why a device is left out. A device that never reported a version is left out where the version matters.
fn reason(
    device: &Device,
    target: Target<'_>,
    spec: &OtaRolloutSpec,
    package: &OtaPackageSpec,
) -> Option<Left> {
    if target.is_reported_by(device) {
        return Some(Left::Current);
    }
    let version = device.version(target.kind);
    let fits =
        |allowed: &[String]| allowed.is_empty() || version.is_some_and(|v| allowed.iter().any(|a| a == v));
    let fits_both = fits(&spec.targets.from_versions) && fits(&package.source_versions);
    (!fits_both).then_some(Left::Version)
}

/// Devices that the manifest names and that are not registered in the cloud.
fn unknown(spec: &OtaRolloutSpec, known: &BTreeMap<String, Device>, excluded: &BTreeSet<&str>) -> Excluded {
    // With a list of targets only these are checked: a stage's device outside of it is not targeted, not unknown.
    let named: BTreeSet<&str> = match &spec.targets.devices {
        Some(devices) => devices.iter().map(String::as_str).collect(),
        None => {
            spec.stages.iter().flat_map(|s| s.select.devices.iter().flatten()).map(String::as_str).collect()
        }
    };
    let unknown: Vec<&str> =
        named.into_iter().filter(|id| !known.contains_key(*id) && !excluded.contains(id)).collect();
    Excluded {
        unknown: as_count(unknown.len()),
        unknown_examples: unknown.iter().take(MAX_EXAMPLES).map(ToString::to_string).collect(),
        ..Excluded::default()
    }
}
