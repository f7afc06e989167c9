//! Several rollouts of one product, and devices that come later: the shipped program against a simulated cloud.

use super::plan_verb::{Bench, said};
use rollwave::simulator::world::DeviceSpec;
use serde_json::Value;
use std::collections::BTreeMap;

/// A package of this version, and a rollout of it to every device.
fn release(bench: &Bench, name: &str, version: &str, more: &str) {
    let digest = format!("{:0>64}", version.replace(['V', '.', '-'], ""));
    let text = format!(
        "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaPackage
metadata: {{name: {name}}}
spec:
  cloudRef: {{name: lab}}
  type: Firmware
  product: {{id: meter}}
  version: {version}
  artifact:
    sha256: \"{digest}\"
    obs: {{region: r1, bucket: firmware, key: {version}.bin}}
---
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaRollout
metadata: {{name: {name}}}
spec:
  packageRef: {{name: {name}}}
  targets: {{all: true}}
  stages:
    - {{name: canary, select: {{count: 10}}, gates: [{{name: proven, outcome: {{method: Ratio, minSuccess: 90%}}}}]}}
{more}"
    );
    bench.write(&format!("{name}.yaml"), &text);
}

async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.remove("package.yaml");
    bench.remove("rollout.yaml");
    bench
}

fn versions(bench: &Bench) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for device in bench.cloud.handle.with(|cloud, wall| cloud.devices(wall)) {
        *counts.entry(device.firmware.unwrap_or_default()).or_default() += 1;
    }
    counts
}

fn status(bench: &Bench, rollout: &str) -> Value {
    let output = bench.run(&["get", &format!("rollout/{rollout}"), "-o", "json"]);
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["status"].take()
}

fn wait(bench: &Bench) -> (Option<i32>, String) {
    let output = bench.run(&["apply", "fleet", "--wait", "--timeout", "40s", "--time-factor", "1000"]);
    (output.status.code(), said(&output))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_later_release_gets_every_device_that_two_rollouts_target() {
    for [later, earlier] in [["a", "b"], ["b", "a"]] {
        let bench = bench().await;
        release(&bench, later, "V3.0", "");
        release(&bench, earlier, "V2.0", "");
        let (_, plan) = bench.plan();
        let warning = format!(
            "warning: 41 devices are left out: OtaRollout {later} owns them (V3.0 is later than V2.0)\n"
        );
        assert!(plan.contains(&warning), "{plan}");
        bench.apply();
        assert_eq!(versions(&bench), BTreeMap::from([("V3.0".to_owned(), 41)]));
        let status = status(&bench, earlier);
        assert_eq!(
            (&status["excluded"]["ownedElsewhere"], &status["stages"][0]["jobs"]),
            (&41.into(), &Value::Null)
        );
        let message = format!(
            "nothing is sent to any of 41 targeted devices: 41 devices belong to OtaRollout {later} (V3.0 is later than V2.0)"
        );
        assert_eq!(status["message"], message.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_rollouts_hold_each_other_until_one_of_them_has_a_priority() {
    let bench = bench().await;
    release(&bench, "a", "V2.0", "");
    release(&bench, "b", "V2-0", "");
    let checked = said(&bench.run(&["validate", "fleet"]));
    assert_eq!(checked.matches("warning: ").count(), 2, "{checked}");
    let (code, told) = wait(&bench);
    assert_eq!(code, Some(3), "{told}");
    assert_eq!(bench.cloud.handle.with(|cloud, _| cloud.tasks().len()), 0);
    for (name, other) in [("a", "b"), ("b", "a")] {
        let message = status(&bench, name)["message"].as_str().unwrap().to_owned();
        assert!(
            message
                .starts_with(&format!("41 of 41 targeted devices are targeted by OtaRollout {other}, too")),
            "{message}"
        );
    }
    release(&bench, "b", "V2-0", "  priority: 1\n");
    bench.apply();
    assert_eq!(versions(&bench), BTreeMap::from([("V2-0".to_owned(), 41)]));
    assert_eq!(status(&bench, "a")["excluded"]["ownedElsewhere"], 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_registers_after_the_rollout_has_completed_is_sent_the_package() {
    let bench = bench().await;
    release(&bench, "a", "V2.0", "");
    bench.apply();
    assert_eq!(versions(&bench), BTreeMap::from([("V2.0".to_owned(), 41)]));
    register(&bench, "new");
    bench.apply();
    assert_eq!(versions(&bench), BTreeMap::from([("V2.0".to_owned(), 42)]));
    assert_eq!(status(&bench, "a")["message"], "42 of 42 devices run V2.0, 0 failed; 0 already ran it");
    release(&bench, "a", "V2.0", "  newDevices: Ignore\n");
    register(&bench, "newer");
    bench.apply();
    assert_eq!(versions(&bench), BTreeMap::from([("V1.0".to_owned(), 1), ("V2.0".to_owned(), 42)]));
    let message = status(&bench, "a")["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("are left alone (spec.newDevices: Ignore): newer"), "{message}");
}

fn register(bench: &Bench, id: &str) {
    let spec = serde_json::json!({"id": id, "product": "meter", "firmware": "V1.0"});
    let spec: DeviceSpec = serde_json::from_value(spec).unwrap();
    bench.cloud.handle.with(|cloud, wall| cloud.add_devices(&spec, wall)).unwrap();
}
