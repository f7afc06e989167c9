//! Stages that have devices of every stratum, on each cloud.

use super::four::{lab, lab_of, package};
use super::harness::{Ended, Lab, each};
use rollwave::api::CloudKind;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CLOUDS: [CloudKind; 4] =
    [CloudKind::HuaweiIotda, CloudKind::OceanConnect, CloudKind::AliyunIot, CloudKind::Enos];

/// A canary of six that is sent in pieces, so that devices run V2 before the next piece is chosen.
fn rollout(order: &str, targets: &str) -> String {
    format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaRollout\nmetadata: {{name: v2}}\nspec:\n  packageRef: {{name: v2}}\n  \
         targets: {targets}\n  order: {{stratifyBy: {order}}}\n  stages:\n  \
         - {{name: canary, select: {{count: 6}}, batch: {{size: 2}}}}\n  - {{name: rest, select: {{rest: true}}}}\n"
    )
}

fn ids(lab: &Lab) -> Vec<String> {
    lab.cloud(|cloud| cloud.fleet().map(|(id, _)| id.to_owned()).collect())
}

/// Devices of each stratum that a stage was sent to, by the status.
fn recorded(rollout: &Value, stage: usize) -> BTreeMap<String, u64> {
    let rows = rollout["status"]["stages"][stage]["strata"]["counts"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .map(|row| (row["name"].as_str().unwrap().to_owned(), row["devices"].as_u64().unwrap()))
        .collect()
}

/// The same of the first six devices that were sent something, by what they were.
fn truth(lab: &Lab, stratum_of: &BTreeMap<String, String>) -> BTreeMap<String, u64> {
    let sent = lab.tasks().into_iter().flat_map(|task| task.targets.into_values().flatten());
    let sent: Vec<String> = sent.take(6).collect();
    sent.iter().fold(BTreeMap::new(), |mut counts, id| {
        *counts.entry(stratum_of[id].clone()).or_default() += 1;
        counts
    })
}

#[test]
fn a_canary_has_devices_of_every_source_version() {
    each(&CLOUDS, |cloud| {
        let lab = lab(*cloud, 40);
        let mut versions = BTreeMap::new();
        for (n, id) in ids(&lab).into_iter().enumerate() {
            if n % 20 == 0 {
                lab.set_firmware(&id, "V0");
            }
            versions.insert(id, if n % 20 == 0 { "V0" } else { "V1" }.to_owned());
        }
        lab.write("package.yaml", &package(*cloud));
        lab.write("rollout.yaml", &rollout("[sourceVersion]", "{all: true}"));
        let plan = Ended::of(&mut lab.rollwave(&["plan", "fleet", "-o", "json"]));
        let plan: Value = serde_json::from_str(&plan.out).unwrap();
        let objects = plan["objects"].as_array().unwrap();
        let planned = objects.iter().find(|object| object["kind"] == "OtaRollout").unwrap();
        let expected = json!([
            {"name": "V0", "devices": 1, "available": 2}, {"name": "V1", "devices": 5, "available": 38}
        ]);
        assert_eq!(planned["stages"][0]["strata"], expected, "{cloud}");
        let text = Ended::of(&mut lab.rollwave(&["plan", "fleet"])).out;
        assert!(text.contains("strata of canary by sourceVersion: V0 1 of 2, V1 5 of 38"), "{cloud}: {text}");
        lab.converge();
        let object = lab.get(&["rollout/v2"]);
        let found = recorded(&object, 0);
        assert_eq!(found, truth(&lab, &versions), "{cloud}");
        assert_eq!(found, BTreeMap::from([("V0".to_owned(), 1), ("V1".to_owned(), 5)]), "{cloud}");
        assert_eq!(recorded(&object, 1).values().sum::<u64>(), 34, "{cloud}");
    });
}

const WORLD: &str = "
seed: 11
timeFactor: 120
clouds:
  huaweiIotda: {accounts: [{projectId: p1, appId: a1, region: cn-north-4, accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}]}
groups:
- {name: north, id: aa}
- {name: south, id: bb}
devices:
- {count: 30, idPrefix: n-, product: meter, firmware: V1, groups: [north], tags: {line: A}}
- {count: 2, idPrefix: s-, product: meter, firmware: V1, groups: [south], tags: {line: B}}
- {count: 9, idPrefix: x-, product: meter, firmware: V1}
behaviours: [{version: V2, duration: {min: 5s, max: 20s}}]
";

#[test]
fn a_canary_has_devices_of_every_group_or_value_of_a_tag() {
    let cases = [
        ("[group]", "{groups: [aa, bb]}", ["aa", "bb"]),
        ("['tag:line']", "{tags: {line: [A, B]}}", ["A", "B"]),
        ("[sourceVersion, 'tag:line']", "{tags: {line: [A, B]}}", ["V1 / A", "V1 / B"]),
    ];
    each(&cases, |(order, targets, [large, small])| {
        let lab = Lab::with_world(WORLD);
        lab.write("cloud.yaml", &super::four::account(CloudKind::HuaweiIotda, &lab.url()));
        let strata = ids(&lab).into_iter().filter(|id| !id.starts_with('x'));
        let strata: BTreeMap<String, String> = strata
            .map(|id| (id.clone(), if id.starts_with('n') { *large } else { *small }.to_owned()))
            .collect();
        lab.write("package.yaml", &package(CloudKind::HuaweiIotda));
        lab.write("rollout.yaml", &rollout(order, targets));
        lab.converge();
        let found = recorded(&lab.get(&["rollout/v2"]), 0);
        assert_eq!(found, truth(&lab, &strata), "{order}");
        assert_eq!(found, BTreeMap::from([((*large).to_owned(), 5), ((*small).to_owned(), 1)]), "{order}");
    });
}

#[test]
fn a_canary_has_devices_of_every_value_of_a_tag_on_every_cloud_that_has_tags() {
    each(&[CloudKind::HuaweiIotda, CloudKind::AliyunIot, CloudKind::Enos], |cloud| {
        let fleet = [
            "count: 30, idPrefix: n-, tags: {line: A}",
            "count: 2, idPrefix: s-, tags: {line: B}",
            "count: 9, idPrefix: x-",
        ];
        let lab = lab_of(*cloud, &fleet, "");
        lab.write("package.yaml", &package(*cloud));
        lab.write("rollout.yaml", &rollout("['tag:line']", "{tags: {line: [A, B]}}"));
        lab.converge();
        let found = recorded(&lab.get(&["rollout/v2"]), 0);
        assert_eq!(found, BTreeMap::from([("A".to_owned(), 5), ("B".to_owned(), 1)]), "{cloud}");
    });
}
