//! Which device is in which stage: reproducible on any machine, without stored data per device.

use super::keys::artifact_digest;
use super::sets::{Chosen, Sets};
use super::strata::Division;
use crate::api::{OtaPackage, OtaPackageSpec, OtaRolloutSpec, Percent, Select, Stage, StageStatus};
use crate::cloud::Device;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Devices that are in a stage already, and the number of closed stages.
#[derive(Clone, Debug, Default)]
pub struct Taken<'a> {
    /// Index of the stage of every device that one of our jobs holds.
    pub stage_of: BTreeMap<&'a str, usize>,
    /// The first so many stages were dispatched and do not grow: devices whose rank would select them there go to the
    /// next stage that fits.
    pub closed: usize,
}

/// The product of a device, if it is not that of the package. Some clouds read a device by its id alone, so it may be of
/// any product.
pub fn other_product<'d>(device: &'d Device, package: &OtaPackageSpec) -> Option<&'d str> {
    let product = device.product.as_str();
    (!product.is_empty() && product != package.product.to_string()).then_some(product)
}

/// A short digest of what a stage selects.
#[must_use]
pub fn select_digest(select: &Select) -> String {
    let text = serde_json::to_vec(select).unwrap_or_default();
    hex::encode(&Sha256::digest(text)[..8])
}

/// A message about stages whose `select` was edited after they were dispatched; none when there is none.
#[must_use]
pub fn not_followed(stages: &[Stage], known: &[StageStatus]) -> Option<String> {
    let names: Vec<&str> = reselected(stages, known).collect();
    (!names.is_empty()).then(|| {
        format!(
            "select of stage {} was edited after the stage was dispatched: this run keeps its devices; `rollwave restart` starts a new run with the edited select",
            names.join(", ")
        )
    })
}

/// The stages that were dispatched with another `select` than they have now, and keep their devices.
pub fn reselected<'a>(stages: &'a [Stage], known: &'a [StageStatus]) -> impl Iterator<Item = &'a str> {
    let selected_by = |name: &str| known.iter().find(|known| known.name == name)?.selected_by.as_deref();
    let differs = move |stage: &&Stage| {
        selected_by(&stage.name).is_some_and(|digest| digest != select_digest(&stage.select))
    };
    stages.iter().filter(differs).map(|stage| stage.name.as_str())
}

/// Seed of the ranking: `spec.order.seed`, else a digest of the package's files ([`artifact_digest`]), so that canaries
/// rotate from release to release.
#[must_use]
pub fn seed(spec: &OtaRolloutSpec, package: &OtaPackage) -> String {
    let given = spec.order.as_ref().and_then(|order| order.seed.clone());
    given.unwrap_or_else(|| artifact_digest(&package.spec.artifact))
}

/// Rank of a device: the first eight bytes, big-endian, of `sha256(seed ‖ device id)`.
#[must_use]
pub fn rank(seed: &str, device: &str) -> u64 {
    let digest = Sha256::new().chain_update(seed).chain_update(device).finalize();
    digest.iter().take(8).fold(0, |rank, byte| (rank << 8) | u64::from(*byte))
}

/// Devices to be added to each stage, in rank order: those of `eligible` that are not taken already. With nothing taken
/// this is the whole membership.
///
/// `count`: the lowest ranks, up to this number (devices of the stage count). `percent`: all ranks below this share of
/// the rank space, so that a device that joins or leaves moves no other one. `devices`: these. `groups` and `tags`: the devices
/// of these sets, none while one of them is unknown. `rest`: the others.
///
/// A stage with a division takes part of each stratum: a `count` stage in proportion, and a `percent` stage the lowest rank of
/// a stratum that nobody is below the share of.
#[must_use]
pub fn assign<'a>(
    stages: &[Stage],
    seed: &str,
    eligible: impl IntoIterator<Item = &'a str>,
    taken: &Taken<'_>,
    sets: &Sets<'_>,
    divisions: &[Option<Division<'_, '_>>],
) -> Vec<Vec<&'a str>> {
    let free = eligible.into_iter().filter(|device| !taken.stage_of.contains_key(device));
    let mut ranked: Vec<(u64, &str)> = free.map(|device| (rank(seed, device), device)).collect();
    ranked.sort_unstable();
    ranked.dedup();
    let mut additions = Vec::with_capacity(stages.len());
    for (index, stage) in stages.iter().enumerate() {
        let held = taken.stage_of.values().filter(|held_by| **held_by == index).count();
        let division = divisions.get(index).and_then(Option::as_ref);
        let chosen: Vec<(u64, &str)> = if index < taken.closed {
            Vec::new()
        } else {
            choose(&stage.select, held, &ranked, (sets, division))
        };
        let gone: BTreeSet<&str> = chosen.iter().map(|(_, device)| *device).collect();
        ranked.retain(|(_, device)| !gone.contains(device));
        additions.push(chosen.into_iter().map(|(_, device)| device).collect());
    }
    additions
}

fn choose<'a>(
    select: &Select,
    held: usize,
    ranked: &[(u64, &'a str)],
    (sets, division): (&Sets<'_>, Option<&Division<'_, '_>>),
) -> Vec<(u64, &'a str)> {
    if let (Some(count), Some(division)) = (select.count, division) {
        return division.choose(count, ranked);
    }
    if let Some(count) = select.count {
        let missing = usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(held);
        return ranked.iter().take(missing).copied().collect();
    }
    if let Some(percent) = select.percent {
        let end = ranked.partition_point(|(rank, _)| u128::from(*rank) < threshold(percent));
        let mut chosen: Vec<(u64, &str)> = ranked.iter().take(end).copied().collect();
        if let Some(division) = division.filter(|_| threshold(percent) > 0) {
            chosen.extend(division.missing(&chosen, ranked));
        }
        return chosen;
    }
    if let Some(devices) = &select.devices {
        let named: BTreeSet<&str> = devices.iter().map(String::as_str).collect();
        return ranked.iter().filter(|(_, device)| named.contains(device)).copied().collect();
    }
    if let Some(chosen) = Chosen::by_stage(select) {
        let members = chosen.members(sets).unwrap_or_default();
        return ranked.iter().filter(|(_, device)| members.contains(device)).copied().collect();
    }
    // An empty select selects no devices.
    if select.rest == Some(true) { ranked.to_vec() } else { Vec::new() }
}

/// Ranks below this are inside the share. 100 % is one more than the largest rank.
fn threshold(percent: Percent) -> u128 {
    (u128::from(percent.parts_per_million()) << 64) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stage(name: &str, select: Select) -> Stage {
        Stage {
            name: name.into(),
            select,
            not_before: None,
            windows: Vec::new(),
            batch: None,
            soak: None,
            deadline: None,
            gates: None,
        }
    }

    fn count(n: u32) -> Select {
        Select { count: Some(n), ..Select::default() }
    }

    fn percent(n: u32) -> Select {
        Select { percent: Some(Percent::whole(n)), ..Select::default() }
    }

    fn rest() -> Select {
        Select { rest: Some(true), ..Select::default() }
    }

    fn members(stages: &[Stage], fleet: &[String]) -> Vec<Vec<String>> {
        let eligible = fleet.iter().map(String::as_str);
        let added = assign(stages, "seed", eligible, &Taken::default(), &Sets::default(), &[]);
        added.into_iter().map(|ids| ids.into_iter().map(str::to_owned).collect()).collect()
    }

    fn ids(range: std::ops::Range<u32>) -> Vec<String> {
        range.map(|n| format!("dev-{n}")).collect()
    }

    #[test]
    fn a_rank_is_the_head_of_the_documented_hash() {
        // printf 'seeddev-1' | sha256sum
        let digest = hex::encode(Sha256::digest("seeddev-1"));
        assert_eq!(format!("{:016x}", rank("seed", "dev-1")), digest[..16]);
    }

    #[test]
    fn a_dispatched_stage_does_not_grow_and_its_late_devices_fall_into_the_next() {
        let stages = [stage("a", percent(100)), stage("b", rest())];
        let taken = Taken { stage_of: BTreeMap::from([("dev-0", 0)]), closed: 1 };
        let added = assign(&stages, "seed", ["dev-0", "dev-1"], &taken, &Sets::default(), &[]);
        assert_eq!(added, [Vec::new(), vec!["dev-1"]]);
    }

    #[test]
    fn devices_that_a_count_stage_holds_already_are_counted() {
        let stages = [stage("a", count(2)), stage("b", rest())];
        let taken = Taken { stage_of: BTreeMap::from([("dev-0", 0)]), closed: 0 };
        let added =
            assign(&stages, "seed", ["dev-0", "dev-1", "dev-2", "dev-3"], &taken, &Sets::default(), &[]);
        assert_eq!((added[0].len(), added[1].len()), (1, 2));
    }

    proptest! {
        #[test]
        fn stages_are_disjoint_complete_and_independent_of_input_order(
            fleet in prop::collection::btree_set("[a-z0-9]{1,6}", 0..80),
            n in 1_u32..20, first in 0_u32..=60, more in 0_u32..=40,
        ) {
            let stages = [
                stage("n", count(n)), stage("p", percent(first)), stage("q", percent(first + more)), stage("r", rest()),
            ];
            let fleet: Vec<String> = fleet.into_iter().collect();
            let forward = members(&stages, &fleet);
            let backward = members(&stages, &fleet.iter().rev().cloned().collect::<Vec<_>>());
            prop_assert_eq!(&forward, &backward);
            let mut all: Vec<String> = forward.concat();
            all.sort();
            prop_assert_eq!(all, fleet);
        }

        #[test]
        fn a_device_that_joins_moves_nobody_between_percent_stages(
            size in 1_u32..60, joining in 1_u32..40, first in 0_u32..=50, more in 0_u32..=50,
        ) {
            let stages = [stage("p", percent(first)), stage("q", percent(first + more)), stage("r", rest())];
            let before = members(&stages, &ids(0..size));
            let after = members(&stages, &ids(0..size + joining));
            for (stage_before, stage_after) in before.iter().zip(&after) {
                prop_assert!(stage_before.iter().all(|device| stage_after.contains(device)));
            }
        }

        #[test]
        fn a_larger_share_holds_every_device_of_a_smaller_one(size in 1_u32..80, share in 0_u32..=99) {
            let small = members(&[stage("p", percent(share))], &ids(0..size));
            let large = members(&[stage("p", percent(share + 1))], &ids(0..size));
            prop_assert!(small[0].iter().all(|device| large[0].contains(device)));
        }
    }
}
