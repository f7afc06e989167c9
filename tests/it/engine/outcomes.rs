//! How a rollout ends, as people see it: exit codes, health, and who is left behind.

use super::harness::{Ended, Lab, PACKAGE};

/// 40 devices that refuse the version `bad` but for a few, and 30 with an older version.
const WORLD: &str = "
seed: 7
timeFactor: 120
clouds:
  huaweiIotda:
    searchesPerSecond: 0
    accounts: [{projectId: project-1, appId: app-1, region: cn-north-4, accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}]
products: [{id: meter}]
devices:
- {count: 40, idPrefix: new-, product: meter, firmware: V1}
- {count: 30, idPrefix: old-, product: meter, firmware: V0}
behaviours:
- {version: V2, duration: {min: 5s, max: 20s}}
- {version: bad, failureRate: 95%, duration: {min: 5s, max: 20s}}
";

const ROLLOUT: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaRollout
metadata: {name: meter}
spec:
  packageRef: {name: meter-v2}
  targets: {all: true, fromVersions: [V1]}
  stages:
  - {name: rest, select: {rest: true}}
  stop:
  - {name: tm, method: Ratio, maxFailure: 10%, minSample: 50, action: Pause}
";

fn lab(version: &str) -> Lab {
    let lab = Lab::with_world(WORLD);
    let package = PACKAGE[..PACKAGE.find("  verification").unwrap()]
        .replace("version: V2", &format!("version: {version}"));
    lab.write("package.yaml", &package);
    lab.write("rollout.yaml", ROLLOUT);
    lab
}

#[test]
fn a_release_that_most_devices_refuse_is_held_with_exit_code_3_and_why_offers_a_retry() {
    let lab = lab("bad");
    let planned = Ended::of(&mut lab.rollwave(&["plan", "fleet"]));
    assert!(
        planned.out.contains("stop rule tm can never fire: it asks for 50 devices"),
        "{}",
        planned.said()
    );
    let ended = lab.apply();
    assert_eq!(ended.code, Some(3), "{}", ended.said());
    let rollout = lab.get(&["rollout/meter"]);
    assert_eq!(rollout["status"]["phase"], "Held", "{rollout:#}");
    let conditions = rollout["status"]["conditions"].as_array().unwrap();
    for (type_, status) in [("Ready", "False"), ("Healthy", "False"), ("Stalled", "True")] {
        let found = conditions.iter().find(|condition| condition["type"] == type_).unwrap();
        assert_eq!((&found["status"], &found["reason"]), (&status.into(), &"StageFailed".into()));
    }
    let why = Ended::of(&mut lab.rollwave(&["why", "rollout/meter"]));
    assert!(why.out.contains("`rollwave retry rollout/meter` sends to the "), "{}", why.out);
}

#[test]
fn a_completed_rollout_says_how_many_are_left_out_by_their_version() {
    let lab = lab("V2");
    let ended = lab.converge();
    let words = "40 of 40 devices run V2, 0 failed; 0 already ran it; 30 left out by their version";
    assert!(ended.out.contains(words), "{}", ended.said());
}
