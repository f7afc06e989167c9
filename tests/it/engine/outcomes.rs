//! How a rollout ends, as people see it: exit codes, health, and who is left behind.

use super::harness::{Ended, Lab, PACKAGE, Process};

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
    assert!(planned.out.contains("stop rule tm can never fire: it needs 50 devices"), "{}", planned.said());
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
    assert!(
        why.out.contains("`rollwave retry rollout/meter` sends the package again to the "),
        "{}",
        why.out
    );
}

#[test]
fn a_completed_rollout_says_how_many_are_left_out_by_their_version() {
    let lab = lab("V2");
    let ended = lab.converge();
    let words = "40 of 40 devices run V2, 0 failed; 0 already ran it; 30 left out by their version";
    assert!(ended.out.contains(words), "{}", ended.said());
}

/// Six devices that are offline, and ten that take any version and report another one.
const SILENT: &str = "
seed: 7
timeFactor: 120
clouds:
  huaweiIotda:
    searchesPerSecond: 0
    accounts: [{projectId: project-1, appId: app-1, region: cn-north-4, accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}]
products: [{id: meter}]
devices:
- {count: 10, idPrefix: m-, product: meter, firmware: V1}
- {count: 3, idPrefix: off-, product: meter, firmware: V1, online: false}
behaviours:
- {version: V2, duration: {min: 5s, max: 20s}}
- {version: lies, lieRate: 100%, duration: {min: 5s, max: 20s}}
";

fn silent(version: &str, rollout: &str) -> Lab {
    let lab = Lab::with_world(SILENT);
    let package = &PACKAGE[..PACKAGE.find("  verification").unwrap()];
    lab.write("package.yaml", &package.replace("version: V2", &format!("version: {version}")));
    lab.write("rollout.yaml", rollout);
    lab
}

fn rollout(name: &str, targets: &str, stage: &str) -> String {
    format!(
        "---\napiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaRollout\nmetadata: {{name: {name}}}\nspec:\n  packageRef: {{name: meter-v2}}\n  \
         targets: {targets}\n  stages:\n  - {{name: rest, select: {{rest: true}}{stage}}}\n"
    )
}

fn why(lab: &Lab, name: &str) -> String {
    Ended::of(&mut lab.rollwave(&["why", &format!("rollout/{name}")])).said()
}

#[test]
fn offline_devices_end_a_stage_at_its_deadline_and_are_named_until_then_and_after() {
    let lab = silent("V2", &rollout("meter", "{all: true}", ", deadline: {after: 30m}"));
    let process = Process::start(&mut lab.verb("run", &[]));
    lab.until_object("rollout/meter", "ten devices are done", |o| {
        o["status"]["stages"][0]["counts"]["succeeded"] == 10
    });
    let told = why(&lab, "meter");
    let words = [
        "3 are offline: off-0000, off-0001, off-0002",
        "The deadline of the 3 devices without an outcome is",
        "gives up on them after 25 h",
    ];
    assert!(words.iter().all(|words| told.contains(words)), "{told}");
    let done =
        lab.until_object("rollout/meter", "its deadline passes", |o| o["status"]["phase"] == "Completed");
    let message = done["status"]["message"].as_str().unwrap();
    assert!(
        message.contains("10 of 13 devices run V2, 0 failed") && message.contains("3 never began"),
        "{message}"
    );
    lab.connect("off-0000", true);
    lab.until_object("rollout/meter", "a late success counts", |o| {
        o["status"]["stages"][0]["counts"]["succeeded"] == 11
    });
    drop(process);
}

#[test]
fn a_stage_in_which_no_device_began_is_held_with_exit_code_3() {
    let stage = ", deadline: {after: 10m}";
    let lab = silent("V2", &rollout("meter", "{devices: [off-0000, off-0001, off-0002]}", stage));
    let ended = lab.apply();
    assert_eq!(ended.code, Some(3), "{}", ended.said());
    assert!(ended.out.contains("none of its 3 devices began, so there is no evidence"), "{}", ended.said());
}

#[test]
fn devices_that_report_an_odd_version_are_named_with_it() {
    let lab = silent("lies", &rollout("meter", "{devices: [m-0000, m-0001, m-0002]}", ""));
    let process = Process::start(&mut lab.verb("run", &[]));
    lab.until("the devices were sent it", || lab.tasks().iter().any(|task| task.status != "Running"));
    for id in ["m-0000", "m-0001", "m-0002"] {
        lab.set_firmware(id, "2.0");
    }
    let found = lab.until_object("rollout/meter", "they are found", |o| {
        o["status"]["stages"][0]["findings"][0]["text"] == "2.0"
    });
    let finding = &found["status"]["stages"][0]["findings"][0];
    assert_eq!((&finding["kind"], &finding["devices"]), (&"OtherVersion".into(), &3.into()), "{found:#}");
    let told = why(&lab, "meter");
    assert!(told.contains("3 report 2.0, not lies: m-0000, m-0001, m-0002"), "{told}");
    assert!(!told.contains("went back to the old version"), "{told}");
    drop(process);
}
