//! Devices that go offline after their upgrade succeeded, on each cloud that shows it at once.

use super::four::{lab, package};
use super::harness::{Lab, Process, each};
use rollwave::api::CloudKind;
use serde_json::Value;

const ROLLOUT: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaRollout
metadata: {name: v2}
spec:
  packageRef: {name: v2}
  targets: {all: true}
  stages:
  - {name: canary, select: {count: 10}, soak: 40m}
  - {name: rest, select: {rest: true}}
  stop:
  - {name: control, method: Control, minSample: 10}
";

/// OceanConnect shows a device as offline after 25 hours.
const CLOUDS: [CloudKind; 3] = [CloudKind::HuaweiIotda, CloudKind::AliyunIot, CloudKind::Enos];

fn soaking(cloud: CloudKind) -> (Lab, Process, Vec<String>) {
    let lab = lab(cloud, 110);
    lab.write("package.yaml", &package(cloud));
    lab.write("rollout.yaml", ROLLOUT);
    let process = Process::start(&mut lab.verb("run", &[]));
    let is_soaking = |rollout: &Value| rollout["status"]["stages"][0]["control"]["devices"] == 100;
    lab.until_object("rollout/v2", "it has a control group", is_soaking);
    let canary = lab.tasks()[0].targets.values().flatten().cloned().collect();
    (lab, process, canary)
}

#[test]
fn a_build_after_which_devices_go_offline_stops_at_its_canary() {
    each(&CLOUDS, |cloud| {
        let (lab, process, canary) = soaking(*cloud);
        let upgraded = |id: &String| lab.firmware(id).as_deref() == Some("V2");
        lab.until("the canary runs V2", || canary.iter().all(upgraded));
        canary.iter().take(8).for_each(|id| lab.connect(id, false));
        let stopped = |rollout: &Value| rollout["status"]["stoppedBy"]["rule"] == "control";
        let rollout = lab.until_object("rollout/v2", "the rule fires", stopped);
        let evidence = &rollout["status"]["stoppedBy"];
        assert_eq!(
            (&evidence["sample"], &evidence["control"]["devices"]),
            (&10.into(), &100.into()),
            "{cloud}"
        );
        assert_eq!(evidence["failures"], 8, "{cloud}: {evidence:#}");
        assert_eq!(lab.tasks().len(), 1, "{cloud}: nothing more is sent");
        drop(process);
    });
}
