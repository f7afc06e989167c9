//! Who is meant by a rollout, by its manifest and the names that devices of simulation runs have: `device0-0007` is the eighth
//! device of the first account.

use rollwave::api::{Object, OtaCloud, OtaPackage, OtaRollout, Targets};
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
    if let Some(groups) = &targets.groups {
        return is_grouped(device) && groups.iter().any(|group| *group == format!("a{account}"));
    }
    if let Some(tags) = &targets.tags {
        let has = |(key, values): (&String, &Vec<String>)| {
            key == "site" && values.iter().any(|value| value == "north")
        };
        return is_grouped(device) && tags.iter().all(has);
    }
    targets.all == Some(true)
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
        ] {
            let spec = json!({"packageRef": {"name": "p"}, "targets": targets, "stages": []});
            let rollout = serde_json::from_value(json!({"metadata": {"name": "r"}, "spec": spec})).unwrap();
            assert_eq!(is_targeted(&rollout, &package, device), expected, "{targets} {device}");
        }
    }
}
