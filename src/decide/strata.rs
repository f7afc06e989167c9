//! Strata: devices divided by what `order.stratifyBy` names, so that a stage has devices of each kind.
//!
//! A device that was upgraded no longer reports its old version. So a stage records how many devices of each stratum it was
//! sent to, and a stage that was begun goes on by that record, whatever an edit says.

use super::stage::as_count;
use super::stats::strata::{Part, additions};
use super::{Fleet, Labels};
use crate::api::{OtaRolloutSpec, SendingStrata, StageStatus, StageStrata, StratumSize};
use crate::cloud::PackageKind;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Strata of a stage that have a name of their own.
pub const MOST: usize = 20;
/// The stratum that has the devices of all smaller ones.
pub const OTHERS: &str = "others";
/// The stratum of devices that report no version, or have none of the groups or values.
const NOT_REPORTED: &str = "(not reported)";
/// Between the parts of a name.
const SEPARATOR: &str = " / ";
/// `order.stratifyBy`: the version that a device reports before its upgrade.
pub const SOURCE_VERSION: &str = "sourceVersion";
/// `order.stratifyBy`: the groups of `targets.groups` that a device is in.
pub const GROUP: &str = "group";
/// Between the groups of a device.
const AND: &str = "+";

/// `order.stratifyBy`: the value of this tag, by `targets.tags`.
#[must_use]
pub fn tag_property(key: &str) -> String {
    format!("tag:{key}")
}

/// Adds the devices of a group, or those with a value of a tag, to the labels.
pub fn label<'d>(
    labels: &mut Labels,
    property: &str,
    value: &str,
    devices: impl IntoIterator<Item = &'d String>,
) {
    let of_property = labels.entry(property.to_owned()).or_default();
    for device in devices {
        let label = of_property.entry(device.clone()).or_default();
        if !label.is_empty() {
            label.push_str(AND);
        }
        label.push_str(value);
    }
}

/// What devices are divided by.
#[must_use]
pub fn properties(spec: &OtaRolloutSpec) -> &[String] {
    spec.order.as_ref().map_or(&[], |order| &order.stratify_by)
}

/// What devices are divided by that an upgrade does not change.
#[must_use]
pub fn lasting(spec: &OtaRolloutSpec) -> Vec<String> {
    properties(spec).iter().filter(|property| *property != SOURCE_VERSION).cloned().collect()
}

/// What a device is known to be.
#[derive(Clone, Copy, Debug)]
pub struct Traits<'s, 'a> {
    /// The observed devices.
    pub fleet: &'s Fleet<'a>,
    /// Which version counts.
    pub kind: PackageKind,
}

impl<'s> Traits<'s, '_> {
    fn stratum(&self, by: &[String], device: &str) -> Cow<'s, str> {
        let of = |property: &String| self.trait_of(property, device);
        match by {
            [one] => of(one),
            several => Cow::Owned(several.iter().map(of).collect::<Vec<_>>().join(SEPARATOR)),
        }
    }

    fn trait_of(&self, property: &str, device: &str) -> Cow<'s, str> {
        let fleet = self.fleet;
        let found = match property {
            SOURCE_VERSION => fleet.devices.get(device).and_then(|device| device.version(self.kind)),
            label => fleet.labels.get(label).and_then(|labels| labels.get(device)).map(String::as_str),
        };
        Cow::Borrowed(found.unwrap_or(NOT_REPORTED))
    }
}

/// How one stage divides devices.
#[derive(Clone, Copy, Debug)]
pub struct Division<'s, 'a> {
    by: &'s [String],
    /// What it was sent to so far; none for a stage that was not begun.
    begun: Option<&'s StageStrata>,
    traits: Traits<'s, 'a>,
}

impl<'s, 'a> Division<'s, 'a> {
    /// The division of each of these stages. None for a stage whose devices are chosen in rank order: by a spec without
    /// `stratifyBy`, or because it is not known which devices it has.
    #[must_use]
    pub fn of_stages(
        spec: &'s OtaRolloutSpec,
        stages: &'s [StageStatus],
        traits: Traits<'s, 'a>,
    ) -> Vec<Option<Self>> {
        stages.iter().map(|stage| Self::of_stage(spec, stage, traits)).collect()
    }

    fn of_stage(spec: &'s OtaRolloutSpec, stage: &'s StageStatus, traits: Traits<'s, 'a>) -> Option<Self> {
        if stage.jobs.is_empty() {
            let by = properties(spec);
            return (!by.is_empty()).then_some(Self { by, begun: None, traits });
        }
        let begun = stage.strata.as_ref().filter(|strata| strata.unknown == 0)?;
        Some(Self { by: &begun.by, begun: Some(begun), traits })
    }

    /// A division by these properties.
    #[must_use]
    pub const fn by(by: &'s [String], traits: Traits<'s, 'a>) -> Self {
        Self { by, begun: None, traits }
    }

    /// The division that a stage was begun with, whether or not it is complete.
    #[must_use]
    pub fn begun(strata: &'s StageStrata, traits: Traits<'s, 'a>) -> Self {
        Self { by: &strata.by, begun: Some(strata), traits }
    }

    /// These devices by the name of their stratum; each list is sorted if these are.
    #[must_use]
    pub fn divide<'d, T: Copy + Ord>(
        &self,
        devices: impl IntoIterator<Item = (T, &'d str)>,
    ) -> BTreeMap<String, Vec<(T, &'d str)>> {
        let mut whole: BTreeMap<Cow<'s, str>, Vec<(T, &'d str)>> = BTreeMap::new();
        for (with, device) in devices {
            whole.entry(self.traits.stratum(self.by, device)).or_default().push((with, device));
        }
        let names = self.names(&whole);
        let mut divided: BTreeMap<String, Vec<(T, &'d str)>> = BTreeMap::new();
        for (name, devices) in whole {
            let name = if names.contains(name.as_ref()) { name.into_owned() } else { OTHERS.to_owned() };
            divided.entry(name).or_default().extend(devices);
        }
        if let Some(others) = divided.get_mut(OTHERS) {
            others.sort_unstable();
        }
        divided
    }

    /// The strata with a name of their own: those of the record, or the largest; the smaller key first if they are equal.
    fn names<T>(&self, whole: &BTreeMap<Cow<'s, str>, Vec<T>>) -> BTreeSet<String> {
        if let Some(begun) = self.begun {
            return begun.counts.iter().map(|stratum| stratum.name.clone()).collect();
        }
        let mut largest: Vec<(&Cow<'s, str>, usize)> =
            whole.iter().map(|(name, devices)| (name, devices.len())).collect();
        largest.sort_by_key(|(_, devices)| std::cmp::Reverse(*devices));
        largest.into_iter().take(MOST).map(|(name, _)| name.to_string()).collect()
    }

    fn held(&self, name: &str) -> u32 {
        let counts = self.begun.iter().flat_map(|begun| &begun.counts);
        counts.filter(|stratum| stratum.name == name).map(|stratum| stratum.devices).sum()
    }

    /// The devices of these, in rank order, that join a stage of `count`: a part of each stratum, the lowest ranks first.
    #[must_use]
    pub fn choose<'d>(&self, count: u32, ranked: &[(u64, &'d str)]) -> Vec<(u64, &'d str)> {
        let mut strata = self.divide(ranked.iter().copied());
        // A stratum may have no free device left.
        for stratum in self.begun.iter().flat_map(|begun| &begun.counts) {
            strata.entry(stratum.name.clone()).or_default();
        }
        let parts: Vec<Part> = strata
            .iter()
            .map(|(name, free)| Part { held: self.held(name), free: as_count(free.len()) })
            .collect();
        let added = additions(count, &parts);
        let chosen = strata.values().zip(added).flat_map(|(free, added)| free.iter().take(added as usize));
        let mut chosen: Vec<(u64, &str)> = chosen.copied().collect();
        chosen.sort_unstable();
        chosen
    }

    /// The lowest rank of each stratum of which the stage has no device, and none of these either.
    #[must_use]
    pub fn missing<'d>(&self, chosen: &[(u64, &'d str)], ranked: &[(u64, &'d str)]) -> Vec<(u64, &'d str)> {
        let chosen: BTreeSet<&(u64, &str)> = chosen.iter().collect();
        let strata = self.divide(ranked.iter().copied());
        let lacks = |(name, devices): &(&String, &Vec<(u64, &'d str)>)| {
            self.held(name) == 0 && !devices.iter().any(|device| chosen.contains(device))
        };
        strata.iter().filter(lacks).filter_map(|(_, devices)| devices.first().copied()).collect()
    }
}

/// The record of a stage that chooses from these devices, before anything was sent.
#[must_use]
pub fn begin(spec: &OtaRolloutSpec, traits: Traits<'_, '_>, available: &[&str]) -> StageStrata {
    let by = properties(spec);
    let division = Division { by, begun: None, traits };
    let mut record = StageStrata { by: by.to_vec(), ..StageStrata::default() };
    for (name, devices) in division.divide(available.iter().map(|device| ((), *device))) {
        record.stratum_mut(&name).available = as_count(devices.len());
    }
    record
}

/// Notes which strata the devices of a job have that is about to be created. `joining`: those that the stage did not have.
#[must_use]
pub fn sending(
    division: &Division<'_, '_>,
    token: &str,
    devices: &[String],
    joining: &[&str],
) -> SendingStrata {
    let strata = division.divide(joining.iter().map(|device| ((), *device)));
    let size =
        |(name, devices): (String, Vec<((), &str)>)| StratumSize { name, devices: as_count(devices.len()) };
    SendingStrata {
        token: token.to_owned(),
        digest: digest(devices),
        counts: strata.into_iter().map(size).collect(),
    }
}

/// Adds the strata of a job that was created, if they were noted for exactly these devices.
pub fn sent(stage: &mut StageStatus, token: &str, devices: &[String]) {
    let Some(record) = &mut stage.strata else { return };
    let Some(sending) = record.sending.take_if(|sending| sending.token == token) else { return };
    if sending.digest == digest(devices) {
        for StratumSize { name, devices } in sending.counts {
            record.stratum_mut(&name).devices += devices;
        }
    }
}

fn digest(devices: &[String]) -> String {
    let sorted: BTreeSet<&str> = devices.iter().map(String::as_str).collect();
    let text = sorted.into_iter().collect::<Vec<_>>().join("\n");
    hex::encode(&Sha256::digest(text)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Device;
    use crate::decide::cohort::{Taken, assign, rank};
    use crate::decide::sets::Sets;
    use crate::decide::testing::rollout;
    use proptest::prelude::*;
    use serde_json::json;

    fn devices(versions: &[u8]) -> BTreeMap<String, Device> {
        let device = |(n, version): (usize, &u8)| {
            let device = Device {
                id: format!("dev-{n}"),
                product: "meter".into(),
                firmware: (*version > 0).then(|| format!("V{version}")),
                software: None,
                online: None,
                upgrading: None,
            };
            (device.id.clone(), device)
        };
        versions.iter().enumerate().map(device).collect()
    }

    fn divided(stages: serde_json::Value, by: &[&str]) -> OtaRolloutSpec {
        let mut spec = rollout().spec;
        spec.order = Some(serde_json::from_value(json!({"stratifyBy": by})).unwrap());
        spec.stages = serde_json::from_value(stages).unwrap();
        spec
    }

    /// The devices of each stage, with their strata.
    fn members(spec: &OtaRolloutSpec, fleet: &Fleet<'_>, order: &[&str]) -> Vec<Vec<(String, String)>> {
        let stages: Vec<StageStatus> =
            spec.stages.iter().map(|stage| super::super::rollout::waiting_stage(&stage.name)).collect();
        let traits = Traits { fleet, kind: PackageKind::Firmware };
        let divisions = Division::of_stages(spec, &stages, traits);
        let of_stage = |ids: Vec<&str>| -> Vec<(String, String)> {
            ids.iter()
                .map(|id| ((*id).to_owned(), traits.stratum(properties(spec), id).into_owned()))
                .collect()
        };
        let stages = assign(
            &spec.stages,
            "seed",
            order.iter().copied(),
            &Taken::default(),
            &Sets::default(),
            &divisions,
        );
        stages.into_iter().map(of_stage).collect()
    }

    proptest! {
        #[test]
        fn strata_are_the_same_in_any_order_of_devices_and_each_has_its_lowest_ranks(
            versions in prop::collection::vec(0..6_u8, 1..80), count in 1..40_u32, percent in 1..60_u32,
            swaps in prop::collection::vec((0..80_usize, 0..80_usize), 0..40),
        ) {
            let spec = divided(json!([
                {"name": "n", "select": {"count": count}}, {"name": "p", "select": {"percent": format!("{percent}%")}},
                {"name": "r", "select": {"rest": true}},
            ]), &[SOURCE_VERSION]);
            let all = devices(&versions);
            let fleet = Fleet { devices: &all, sets: Sets::default(), labels: Labels::new() };
            let sorted: Vec<&str> = all.keys().map(String::as_str).collect();
            let mut shuffled = sorted.clone();
            for (a, b) in swaps {
                let len = shuffled.len();
                shuffled.swap(a % len, b % len);
            }
            let stages = members(&spec, &fleet, &sorted);
            prop_assert_eq!(&stages, &members(&spec, &fleet, &shuffled));
            prop_assert_eq!(stages.concat().len(), all.len());
            prop_assert_eq!(stages[0].len(), versions.len().min(count as usize));
            // Of a stratum, nobody who is left has a lower rank than somebody of the first stage.
            let left: Vec<&(String, String)> = stages[1..].iter().flatten().collect();
            for (id, stratum) in &stages[0] {
                let higher = |other: &&&(String, String)| other.1 == *stratum && rank("seed", &other.0) < rank("seed", id);
                prop_assert_eq!(left.iter().find(higher), None);
            }
            // Each stratum that is left has a device in the stage of a share.
            let has = |stage: usize, stratum: &str| stages[stage].iter().any(|(_, of)| of == stratum);
            prop_assert!(stages[2].iter().all(|(_, stratum)| has(1, stratum)));
        }
    }

    #[test]
    fn a_device_is_in_the_stratum_of_all_its_groups_and_values() {
        let all = devices(&[1, 1, 2, 0]);
        let mut labels = Labels::new();
        let ids = |numbers: &[u8]| numbers.iter().map(|n| format!("dev-{n}")).collect::<Vec<String>>();
        label(&mut labels, GROUP, "north", &ids(&[0, 1]));
        label(&mut labels, GROUP, "south", &ids(&[1, 2]));
        label(&mut labels, &tag_property("line"), "A", &ids(&[0, 3]));
        let fleet = Fleet { devices: &all, sets: Sets::default(), labels };
        let traits = Traits { fleet: &fleet, kind: PackageKind::Firmware };
        let strata = |by: &[&str]| -> Vec<String> {
            let by: Vec<String> = by.iter().map(|by| (*by).to_owned()).collect();
            all.keys().map(|id| traits.stratum(&by, id).into_owned()).collect()
        };
        assert_eq!(strata(&["sourceVersion"]), ["V1", "V1", "V2", NOT_REPORTED]);
        assert_eq!(strata(&["group"]), ["north", "north+south", "south", NOT_REPORTED]);
        assert_eq!(
            strata(&["sourceVersion", "tag:line"]),
            ["V1 / A", "V1 / (not reported)", "V2 / (not reported)", "(not reported) / A"]
        );
    }

    #[test]
    fn what_was_noted_counts_only_for_the_devices_of_the_job() {
        let of = |devices: &[String]| {
            let mut stage = super::super::rollout::waiting_stage("canary");
            let counts = vec![StratumSize { name: "V1".into(), devices: 2 }];
            let sending =
                SendingStrata { token: "t".into(), digest: digest(&["a".into(), "b".into()]), counts };
            stage.strata = Some(StageStrata { sending: Some(sending), ..StageStrata::default() });
            sent(&mut stage, "other", devices);
            sent(&mut stage, "t", devices);
            let record = stage.strata.unwrap();
            (record.known(), record.sending.is_none())
        };
        assert_eq!(of(&["b".into(), "a".into()]), (2, true));
        assert_eq!(of(&["a".into(), "c".into()]), (0, true), "another job was created under the key");
    }
}
