//! What the manifests say now is what the fleet runs: edits of every kind, end to end.

use super::harness::{Lab, ROLLOUT, package};
use std::collections::BTreeMap;

/// Versions that the devices of the rollout's targets run.
fn versions(lab: &Lab) -> BTreeMap<String, usize> {
    let mut versions = BTreeMap::new();
    for device in (0..20).map(|n| format!("meter-{n:04}")) {
        *versions.entry(lab.firmware(&device).unwrap_or_default()).or_default() += 1;
    }
    versions
}

fn all_on(version: &str) -> BTreeMap<String, usize> {
    BTreeMap::from([(version.to_owned(), 20)])
}

/// A lab with packages V2, V3 and bad, and a rollout of this version.
fn lab(version: &str) -> Lab {
    let lab = Lab::new();
    for version in ["V2", "V3", "bad"] {
        lab.write(&format!("{version}.yaml"), &package(version, ""));
    }
    point_at(&lab, version);
    lab
}

fn point_at(lab: &Lab, version: &str) {
    let name = format!("meter-{}", version.to_lowercase());
    lab.write("rollout.yaml", &ROLLOUT.replace("meter-v2", &name));
}

#[test]
fn a_revert_takes_every_device_back_and_so_does_one_after_a_lost_state() {
    let lab = lab("V2");
    for version in ["V2", "V3", "V2", "V3"] {
        point_at(&lab, version);
        lab.converge();
        assert_eq!(versions(&lab), all_on(version));
    }
    fs_err::remove_dir_all(lab.path().join("state")).unwrap();
    point_at(&lab, "V2");
    lab.converge();
    assert_eq!(versions(&lab), all_on("V2"));
    let tasks = lab.tasks().len();
    fs_err::remove_dir_all(lab.path().join("state")).unwrap();
    lab.converge();
    assert_eq!(lab.tasks().len(), tasks, "what it has sent is found again");
    assert!(lab.get(&["rollout/meter"])["status"]["run"].as_u64() >= Some(3));
}

#[test]
fn a_revert_from_a_canary_that_was_held_takes_its_devices_back() {
    let lab = lab("V2");
    lab.converge();
    // The gate asks for more devices than the canary has: it is held when its five devices have taken V3.
    let strict =
        ROLLOUT.replace("meter-v2", "meter-v3").replace("minSuccess: 90%", "minSuccess: 90%, minSample: 6");
    lab.write("rollout.yaml", &strict);
    let held = lab.apply();
    assert_eq!(held.code, Some(3), "{held:?}");
    assert!(versions(&lab).contains_key("V3"), "{held:?}");
    point_at(&lab, "V2");
    lab.converge();
    assert_eq!(versions(&lab), all_on("V2"));
}
