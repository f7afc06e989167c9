//! Devices that are selected by group or tag, on each cloud that has them.

use super::four::{by_sets, in_sets, lab_of, package, rollout};
use super::harness::{Lab, each};
use rollwave::api::CloudKind;
use std::collections::BTreeSet;

/// Eight devices `m-`, and four `n-` that are in the group and have the tag.
fn lab(cloud: CloudKind) -> Lab {
    let lab =
        lab_of(cloud, &["count: 8, idPrefix: m-", &format!("count: 4, idPrefix: n-{}", in_sets(cloud))], "");
    lab.write("package.yaml", &package(cloud));
    lab.converge();
    lab
}

fn cases() -> Vec<(CloudKind, &'static str)> {
    let cases = |cloud| by_sets(cloud).iter().map(move |select| (cloud, *select));
    CloudKind::ALL.into_iter().flat_map(cases).collect()
}

/// Devices of each job, in the order of the jobs.
fn sent(lab: &Lab) -> Vec<BTreeSet<String>> {
    lab.tasks().into_iter().map(|job| job.targets.into_values().flatten().collect()).collect()
}

fn devices(prefix: &str, count: usize) -> BTreeSet<String> {
    (0..count).map(|n| format!("{prefix}-{n:04}")).collect()
}

#[test]
fn a_stage_has_the_devices_of_its_group_or_tag_on_every_cloud() {
    each(&cases(), |(cloud, select)| {
        let lab = lab(*cloud);
        lab.write("rollout.yaml", &rollout("{all: true}").replace("{count: 2}", select));
        let ended = lab.apply();
        assert_eq!(ended.code, Some(0), "{cloud} {select}: {}", ended.said());
        assert_eq!(sent(&lab), [devices("n", 4), devices("m", 8)], "{cloud} {select}");
    });
}

#[test]
fn a_rollout_for_a_group_or_tag_owns_its_devices_by_priority_on_every_cloud() {
    each(&cases(), |(cloud, targets)| {
        let lab = lab(*cloud);
        let pinned = rollout(targets).replace("metadata: {name: v2}", "metadata: {name: pinned}");
        let pinned = pinned.replace("  packageRef", "  priority: 1\n  packageRef");
        // It owns its devices also while it sends nothing.
        lab.write("pinned.yaml", &format!("{pinned}  suspend: true\n"));
        lab.write("rollout.yaml", &rollout("{all: true}"));
        let ended = lab.apply();
        let all: BTreeSet<String> = sent(&lab).into_iter().flatten().collect();
        assert_eq!(all, devices("m", 8), "{cloud} {targets}: {}", ended.said());
        assert_eq!(lab.get(&["rollout/v2"])["status"]["excluded"]["ownedElsewhere"], 4, "{cloud} {targets}");
        lab.write("pinned.yaml", &pinned);
        let ended = lab.apply();
        assert_eq!(ended.code, Some(0), "{cloud} {targets}: {}", ended.said());
        let all: Vec<String> = sent(&lab).into_iter().flatten().collect();
        assert_eq!(all.len(), 12, "each device once: {all:?}");
    });
}
