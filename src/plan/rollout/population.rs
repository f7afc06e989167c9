//! Which devices the targets mean, and which of them are left out.

use crate::api::{Excluded, MAX_EXAMPLES, OtaPackageSpec, OtaRolloutSpec};
use crate::cloud::Device;
use crate::plan::Fleet;
use crate::plan::stage::{Target, as_count};
use std::collections::{BTreeMap, BTreeSet};

/// The devices of a rollout that no job of ours holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Population<'a> {
    /// Devices that the targets mean and the cloud knows, those in our jobs included.
    pub targeted: u32,
    /// Devices that may be sent the package, sorted.
    pub eligible: Vec<&'a str>,
    /// Devices that are left out, by reason.
    pub excluded: Excluded,
}

/// Sorts the targets into eligible ones and excluded ones. A device that is in one of our jobs (`held`) is neither: it
/// stays in its stage, whatever it reports now. None when the members of groups or tags were not looked at.
pub(super) fn population<'a>(
    spec: &'a OtaRolloutSpec,
    package: &OtaPackageSpec,
    fleet: &Fleet<'a>,
    held: &BTreeMap<&str, usize>,
) -> Option<Population<'a>> {
    let devices = fleet.devices;
    let candidates = candidates(spec, fleet)?;
    let exclude = spec.targets.exclude.as_ref();
    let excluded: BTreeSet<&str> = exclude.iter().flat_map(|e| &e.devices).map(String::as_str).collect();
    let target = Target { kind: package.kind, version: &package.version };
    let mut found = Population { excluded: unknown(spec, devices, &excluded), ..Population::default() };
    for id in candidates {
        let Some(device) = devices.get(id) else { continue };
        if held.contains_key(id) {
            found.targeted += 1;
        } else if excluded.contains(id) {
            found.excluded.by_spec += 1;
        } else {
            found.targeted += 1;
            match reason(device, target, spec, package) {
                None => found.eligible.push(id),
                Some(Left::Current) => found.excluded.already_current += 1,
                Some(Left::Version) => found.excluded.by_version += 1,
            }
        }
    }
    Some(found)
}

fn candidates<'a>(spec: &'a OtaRolloutSpec, fleet: &Fleet<'a>) -> Option<BTreeSet<&'a str>> {
    let targets = &spec.targets;
    if let Some(devices) = &targets.devices {
        return Some(devices.iter().map(String::as_str).collect());
    }
    let all = fleet.devices.keys().map(String::as_str);
    if targets.groups.is_some() || targets.tags.is_some() {
        let members = fleet.members.as_ref()?;
        return Some(all.filter(|id| members.contains(*id)).collect());
    }
    // Targets that say nothing mean nobody.
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

/// Devices that the manifest names and the cloud does not know.
fn unknown(spec: &OtaRolloutSpec, known: &BTreeMap<String, Device>, excluded: &BTreeSet<&str>) -> Excluded {
    // With a list of targets only these are looked at: a stage's device outside of it is not targeted, not unknown.
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
