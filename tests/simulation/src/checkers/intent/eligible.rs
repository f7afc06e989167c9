//! Who is meant by a rollout, by its manifest and the names that devices of simulation runs have: `device0-0007` is the eighth
//! device of the first account.

use rollwave::api::{Object, OtaCloud, OtaPackage, OtaRollout, Select, Targets};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of the account that a device is of.
fn account_of(device: &str) -> Option<&str> {
    let (name, _) = device.split_once('-')?;
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    (!digits.is_empty()).then_some(digits)
}

/// Devices that were there from the start carry tags and are in groups; those that appear later are in none.
fn is_grouped(device: &str) -> bool {
    device.starts_with("device") || device.starts_with("lab")
}

/// Whether the targets mean this device of the package's account.
pub(in crate::checkers) fn is_targeted(rollout: &OtaRollout, package: &OtaPackage, device: &str) -> bool {
    let Some(account) = account_of(device) else { return false };
    package.spec.cloud_ref.name == format!("cloud{account}")
        && is_named(&rollout.spec.targets, account, device)
}

fn is_named(targets: &Targets, account: &str, device: &str) -> bool {
    if let Some(devices) = &targets.devices {
        return devices.iter().any(|named| named == device);
    }
    let Targets { groups, tags, attributes, .. } = targets;
    let by_sets = in_sets(groups.as_ref(), [tags.as_ref(), attributes.as_ref()], account, device);
    by_sets.unwrap_or(targets.all == Some(true))
}

type Labels = BTreeMap<String, Vec<String>>;

/// The tag and the attribute of devices that carry any.
const LABELS: [(&str, &str); 2] = [("site", "north"), ("model", "x1")];

/// Whether the device is in one of the groups, or has the tags or attributes; none when none of them is named.
fn in_sets(
    groups: Option<&Vec<String>>,
    labels: [Option<&Labels>; 2],
    account: &str,
    device: &str,
) -> Option<bool> {
    if let Some(groups) = groups {
        return Some(is_grouped(device) && groups.iter().any(|group| *group == format!("a{account}")));
    }
    let (named, (name, its_value)) =
        labels.into_iter().zip(LABELS).find_map(|(named, of)| Some((named?, of)))?;
    let has =
        |(key, values): (&String, &Vec<String>)| key == name && values.iter().any(|value| value == its_value);
    Some(is_grouped(device) && named.iter().all(has))
}

/// Whether a stage that selects by groups or tags selects this device; none when it selects in another way.
pub(in crate::checkers) fn is_selected(select: &Select, device: &str) -> Option<bool> {
    let Select { groups, tags, attributes, .. } = select;
    let account = account_of(device).unwrap_or_default();
    in_sets(groups.as_ref(), [tags.as_ref(), attributes.as_ref()], account, device)
}

/// Whether the rollout names this device as one that is never touched.
pub(in crate::checkers) fn is_excluded(rollout: &OtaRollout, device: &str) -> bool {
    let exclude = rollout.spec.targets.exclude.iter().flat_map(|exclude| &exclude.devices);
    exclude.into_iter().any(|excluded| excluded == device)
}

/// Lists of versions of which a device must run one: what the rollout says, and what the package says.
pub(in crate::checkers) fn source_versions<'a>(
    rollout: &'a OtaRollout,
    package: &'a OtaPackage,
) -> impl Iterator<Item = &'a [String]> {
    let lists = [&rollout.spec.targets.from_versions, &package.spec.source_versions];
    lists.into_iter().map(Vec::as_slice).filter(|list| !list.is_empty())
}

/// The package of a rollout.
pub(in crate::checkers) fn package_of<'a>(
    rollout: &OtaRollout,
    objects: &'a [Arc<Object>],
) -> Option<&'a OtaPackage> {
    let namespace = &rollout.metadata.namespace;
    objects.iter().filter_map(|object| object.as_package()).find(|package| {
        package.metadata.name.as_deref() == Some(rollout.spec.package_ref.name.as_str())
            && package.metadata.namespace == *namespace
    })
}

/// The account of a package.
pub(super) fn cloud_of<'a>(package: &OtaPackage, objects: &'a [Arc<Object>]) -> Option<&'a OtaCloud> {
    let named = &package.spec.cloud_ref.name;
    objects.iter().find_map(|object| match object.as_ref() {
        Object::Cloud(cloud) if cloud.metadata.name.as_ref() == Some(named) => Some(cloud),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stage_selects_by_sets_or_in_another_way() {
        for (select, device, expected) in [
            (json!({"groups": ["a0"]}), "device0-0001", Some(true)),
            (json!({"groups": ["a0"]}), "device1-0001", Some(false)),
            (json!({"tags": {"site": ["north"]}}), "late0-0001", Some(false)),
            (json!({"tags": {"site": ["north"]}}), "lab0-0001", Some(true)),
            (json!({"count": 3}), "late0-0001", None),
        ] {
            let select: Select = serde_json::from_value(select).unwrap();
            assert_eq!(is_selected(&select, device), expected, "{select:?} {device}");
        }
    }

    #[test]
    fn targets_mean_devices_of_their_account() {
        let package = json!({
            "metadata": {"name": "p"},
            "spec": {"cloudRef": {"name": "cloud0"}, "type": "Firmware", "product": {"id": "meter"}, "version": "V2",
                "artifact": {"sha256": "ab".repeat(32), "file": "/a"}},
        });
        let package: OtaPackage = serde_json::from_value(package).unwrap();
        for (targets, device, expected) in [
            (json!({"all": true}), "device0-0001", true),
            (json!({"all": true}), "late0-0001", true),
            (json!({"all": true}), "device1-0001", false),
            (json!({"devices": ["device0-0001"]}), "device0-0001", true),
            (json!({"devices": ["device0-0001"]}), "device0-0002", false),
            (json!({"groups": ["a0"]}), "lab0-0001", true),
            (json!({"groups": ["a0"]}), "late0-0001", false),
            (json!({"tags": {"site": ["north", "south"]}}), "device0-0000", true),
            (json!({"tags": {"site": ["south"]}}), "device0-0000", false),
            (json!({"attributes": {"model": ["x1"]}}), "device0-0000", true),
            (json!({"attributes": {"model": ["x1"]}}), "late0-0000", false),
        ] {
            let spec = json!({"packageRef": {"name": "p"}, "targets": targets, "stages": []});
            let rollout = serde_json::from_value(json!({"metadata": {"name": "r"}, "spec": spec})).unwrap();
            assert_eq!(is_targeted(&rollout, &package, device), expected, "{targets} {device}");
        }
    }
}
