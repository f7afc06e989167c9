//! Rollouts that target the same devices, while `rollwave run` watches their manifests.

use super::harness::{Lab, Process, package};
use serde_json::Value;

fn rollout(name: &str, more: &str) -> String {
    format!(
        "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaRollout
metadata: {{name: {name}}}
spec:
  packageRef: {{name: meter-v2}}
  targets: {{all: true}}
  stages: [{{name: rest, select: {{rest: true}}}}]
{more}"
    )
}

fn reason(object: &Value) -> &str {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let progressing = conditions.iter().find(|condition| condition["type"] == "Progressing");
    progressing.and_then(|condition| condition["reason"].as_str()).unwrap_or_default()
}

#[test]
fn an_edit_and_a_deletion_of_one_rollout_wake_the_others_of_its_product() {
    let lab = Lab::new();
    // Nothing but a change of the other rollout wakes one that is held or completed.
    lab.write("cloud.yaml", &(lab.cloud_manifest() + "  driftInterval: 24h\n"));
    lab.write("package.yaml", &package("V2", ""));
    lab.write("a.yaml", &rollout("a", ""));
    lab.write("b.yaml", &rollout("b", ""));
    let _running = Process::start(&mut lab.verb("run", &[]));
    for name in ["rollout/a", "rollout/b"] {
        lab.until_object(name, "it is held", |object| reason(object) == "TargetsOverlap");
    }
    lab.write("b.yaml", &rollout("b", "  priority: 1\n"));
    lab.until_object("rollout/a", "it leaves all devices to b", |object| reason(object) == "OwnedElsewhere");
    lab.until_object("rollout/b", "it completes", |object| reason(object) == "Completed");
    assert!(lab.sent().values().all(|times| *times == 1), "{:?}", lab.sent());
    lab.remove("b.yaml");
    lab.until_object("rollout/a", "all devices are its own", |object| reason(object) == "Completed");
}
