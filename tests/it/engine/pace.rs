//! Stages that are sent slowly, on each cloud: by the cloud where it has such a limit, by Rollwave elsewhere.

use super::four::{lab, package};
use super::harness::each;
use rollwave::api::CloudKind;
use std::collections::BTreeSet;

const ROLLOUT: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaRollout
metadata: {name: v2}
spec:
  packageRef: {name: v2}
  targets: {all: true}
  stages:
  - {name: rest, select: {rest: true}, gates: []}
  delivery: {ratePerMinute: 10, maxInFlight: 10}
";

#[test]
fn a_stage_with_limits_reaches_every_device_in_pieces() {
    each(&CloudKind::ALL, |cloud| {
        let lab = lab(*cloud, 24);
        lab.write("package.yaml", &package(*cloud));
        lab.write("rollout.yaml", ROLLOUT);
        let ended = lab.converge();
        let mut sizes: Vec<usize> =
            lab.tasks().iter().map(|task| task.targets.values().map(BTreeSet::len).sum()).collect();
        sizes.sort_unstable();
        // No cloud has both limits: Rollwave keeps at least one of them.
        assert!(
            sizes.len() >= 3 && sizes.iter().all(|size| *size <= 10),
            "{cloud}: {sizes:?}\n{}",
            ended.said()
        );
        let sent: Vec<String> =
            lab.tasks().into_iter().flat_map(|task| task.targets.into_values().flatten()).collect();
        let devices: BTreeSet<&String> = sent.iter().collect();
        assert_eq!((sent.len(), devices.len()), (24, 24), "{cloud}: no device is sent twice");
        assert!(
            devices.iter().all(|id| lab.firmware(id).as_deref() == Some("V2")),
            "{cloud}: {}",
            ended.said()
        );
    });
}
