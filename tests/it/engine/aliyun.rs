//! The whole program against a simulated Alibaba Cloud: the same manifests, by other calls.

use super::harness::{Ended, Lab, Process, ROLLOUT, VERIFY_DEVICES, each};
use rollwave::simulator::faults::{Kind, When};
use std::collections::{BTreeMap, BTreeSet};

const BYTES: &[u8] = b"the image of V2";

pub fn world(devices: u32, delete_in_use: &str) -> String {
    format!(
        "
seed: 11
timeFactor: 120
clouds:
  aliyunIot:
    deletePackageInUse: {delete_in_use}
    # The engine's time runs 120 times as fast as the gateway's.
    throttled: false
    accounts:
    - {{regionId: cn-shanghai, iotInstanceId: iot-lab, accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}}
products: [{{id: meter}}]
devices:
- {{id: verify-1, product: meter, firmware: V1}}
- {{id: verify-2, product: meter, firmware: V1}}
- {{count: {devices}, idPrefix: meter-, product: meter, firmware: V1}}
behaviours:
- {{version: V2, duration: {{min: 5s, max: 20s}}}}
- {{version: bad, failureRate: 100%, duration: {{min: 5s, max: 20s}}}}
"
    )
}

pub fn package(version: &str) -> String {
    let (sha256, md5) = digests();
    format!(
        "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaPackage
metadata: {{name: meter-v2}}
spec:
  cloudRef: {{name: lab}}
  type: Firmware
  product: {{id: meter}}
  version: {version}
  description: Fixes the clock
  customInfo: '{{\"a\": \"b c+d/~*\"}}'
  artifact: {{file: image.bin, sha256: {sha256}, md5: {md5}, size: {}}}
  verification: {{devices: [verify-1, verify-2], timeout: 2h}}
",
        BYTES.len()
    )
}

fn digests() -> (String, String) {
    use md5::Digest;
    (hex::encode(sha2::Sha256::digest(BYTES)), hex::encode(md5::Md5::digest(BYTES)))
}

pub fn lab_of(world: &str, signature: &str) -> Lab {
    let lab = Lab::with_world(world);
    let cloud = format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {{name: lab}}\nspec:\n  aliyunIot: \
         {{endpoint: {:?}, regionId: cn-shanghai, iotInstanceId: iot-lab, signature: {signature}}}\n  \
         credentials: {{accessKey: env:LAB_AK, secretKey: env:LAB_SK}}\n  \
         budget: {{requestsPerSecond: 10, burst: 10}}\n",
        lab.url()
    );
    lab.write("cloud.yaml", &cloud);
    fs_err::write(lab.manifest("image.bin"), BYTES).unwrap();
    lab
}

fn lab() -> Lab {
    lab_of(&world(20, "reject"), "Acs3")
}

fn sizes(lab: &Lab) -> Vec<usize> {
    lab.tasks().iter().map(|task| task.targets.values().map(BTreeSet::len).sum()).collect()
}

fn assert_everything_once(lab: &Lab, case: &str) {
    assert_eq!(lab.packages().len(), 1, "{case}: {:#?}", lab.packages());
    assert_eq!(sizes(lab), [2, 5, 15], "{case}: {:#?}", lab.tasks());
    assert!(lab.sent().values().all(|times| *times == 1), "{case}: {:?}", lab.sent());
    assert!(VERIFY_DEVICES.iter().chain(&["meter-0000"]).all(|id| lab.firmware(id).as_deref() == Some("V2")));
    assert_eq!(lab.journal(), Vec::<serde_json::Value>::new(), "{case}");
}

#[test]
fn a_release_is_uploaded_verified_and_rolled_out_with_either_signature() {
    each(&["Acs3", "Rpc"], |signature| {
        let lab = lab_of(&world(20, "reject"), signature);
        lab.write("package.yaml", &package("V2"));
        lab.write("rollout.yaml", ROLLOUT);
        let planned = Ended::of(&mut lab.rollwave(&["plan", "fleet"]));
        assert_eq!(planned.code, Some(2), "{}", planned.said());
        assert!(
            planned.out.contains("CreateOTAVerifyJob") && !planned.out.contains("will be held"),
            "{}",
            planned.out
        );
        lab.converge();
        assert_everything_once(&lab, signature);
        let kinds: Vec<String> = lab.tasks().into_iter().map(|task| task.kind).collect();
        assert_eq!(kinds, ["VERIFY_FIRMWARE", "UPGRADE_FIRMWARE", "UPGRADE_FIRMWARE"]);
        assert_eq!(lab.calls("PostObject"), 1, "uploaded once");
    });
}

#[test]
fn a_process_that_dies_around_a_create_makes_it_once() {
    let moments = ["_Intent.before", "_Intent.after", "Create_.before", "Create_.after"];
    let creates = [("Package", false), ("Job", false), ("Job", true)];
    let mut cases: Vec<_> =
        creates.iter().flat_map(|create| moments.map(|moment| (*create, moment))).collect();
    cases.push((("", false), "Upload.after"));
    each(&cases, |((create, of_stage), moment)| {
        let lab = lab();
        lab.write("package.yaml", &package("V2"));
        if *of_stage {
            lab.converge();
        }
        lab.write("rollout.yaml", ROLLOUT);
        let point = moment.replace('_', create);
        let died = Ended::of(lab.verb("apply", &["--wait"]).env("ROLLWAVE_CRASH_AT", &point));
        assert_eq!(died.signal, Some(9), "{point}: {died:?}");
        if *moment == "Create_.after" {
            lab.fault("*", None, Kind::Stale { seconds: 25 });
        }
        lab.converge();
        assert_everything_once(&lab, &format!("{point} {of_stage}"));
    });
}

#[test]
fn a_create_whose_answer_is_lost_is_found_and_not_sent_again() {
    let operations = ["CreateOTAFirmware", "CreateOTAVerifyJob", "CreateOTAStaticUpgradeJob"];
    let faults =
        [Kind::Reset { when: When::After }, Kind::Garbage {}, Kind::Error { status: 500, when: When::After }];
    let cases: Vec<_> =
        operations.iter().flat_map(|o| faults.iter().map(move |fault| (*o, *fault))).collect();
    each(&cases, |(operation, fault)| {
        let lab = lab();
        lab.write("package.yaml", &package("V2"));
        lab.write("rollout.yaml", ROLLOUT);
        lab.fault(operation, Some(1), *fault);
        lab.converge();
        assert_everything_once(&lab, &format!("{operation} {fault:?}"));
    });
}

#[test]
fn a_stage_of_201_devices_is_two_jobs_of_at_most_200() {
    let lab = lab_of(&world(199, "reject"), "Acs3");
    lab.write(
        "package.yaml",
        &package("V2").replace("  verification: {devices: [verify-1, verify-2], timeout: 2h}\n", ""),
    );
    lab.write(
        "rollout.yaml",
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaRollout\nmetadata: {name: meter}\nspec:\n  \
         packageRef: {name: meter-v2}\n  targets: {all: true}\n  stages: [{name: rest, select: {rest: true}}]\n",
    );
    lab.converge();
    let mut found = sizes(&lab);
    found.sort_unstable();
    assert_eq!(found, [1, 200]);
    assert_eq!(lab.sent().len(), 201);
}

#[test]
fn a_quiet_account_costs_its_lists_and_no_more() {
    let lab = lab();
    lab.write("package.yaml", &package("V2"));
    lab.write("rollout.yaml", ROLLOUT);
    lab.converge();
    lab.cloud(rollwave::simulator::Simulator::reset_counters);
    lab.converge();
    let calls: BTreeMap<String, u64> =
        lab.cloud(|cloud| cloud.counters().into_iter().map(|(name, calls)| (name, calls.total)).collect());
    let of = |name: &str| calls.get(name).copied().unwrap_or_default();
    assert_eq!(of("CreateOTAFirmware") + of("CreateOTAStaticUpgradeJob") + of("PostObject"), 0, "{calls:?}");
    assert!(of("QueryOTAFirmware") <= 1 && of("ListOTAFirmware") <= 4, "{calls:?}");
}

/// A package of its own, without a verification.
fn another_package(number: usize) -> String {
    let text = package(&format!("V3.{number}")).replace("meter-v2", &format!("other-{number}"));
    let (text, _) = text.split_once("  verification").unwrap();
    text.to_owned()
}

fn assert_lists_alone(lab: &Lab) {
    let counters = lab.cloud(|cloud| cloud.counters());
    assert!(counters.keys().eq(["ListOTAFirmware"]), "{counters:?}");
}

#[test]
fn a_drift_check_of_thirty_packages_costs_what_one_of_three_does() {
    for count in [3, 30] {
        let lab = lab();
        lab.write("packages.yaml", &(0..count).map(another_package).collect::<Vec<_>>().join("---\n"));
        lab.converge();
        assert_eq!(lab.packages().len(), count);
        // What was created is read once, to be compared.
        lab.converge();
        lab.cloud(rollwave::simulator::Simulator::reset_counters);
        lab.converge();
        assert_lists_alone(&lab);
        // A list each time that the drift interval has passed.
        assert!(lab.all_calls() <= 5, "{count}: {}", lab.all_calls());
        lab.cloud(rollwave::simulator::Simulator::reset_counters);
        let _running = Process::start(&mut lab.verb("run", &[]));
        lab.until("three rounds", || lab.calls("ListOTAFirmware") >= 3);
        assert_lists_alone(&lab);
    }
}

#[test]
fn a_bad_release_fails_its_verification_and_reaches_nobody_else() {
    let lab = lab();
    lab.write("package.yaml", &package("bad"));
    lab.write("rollout.yaml", ROLLOUT);
    let ended = lab.apply();
    assert_ne!(ended.code, Some(0), "{}", ended.said());
    assert_eq!(sizes(&lab), [2]);
    let package = lab.get(&["package/meter-v2"]);
    let message = package["status"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("verification failed"), "{package:#}");
}

#[test]
fn what_is_wrong_is_said_once_and_not_asked_for_again_and_again() {
    let wrong_key = |lab: &Lab| {
        let mut command = lab.verb("apply", &["--wait", "--timeout", "5s"]);
        command.env("LAB_SK", "wrong");
        command
    };
    let plain = |lab: &Lab| lab.verb("apply", &["--wait", "--timeout", "5s"]);
    type Make<'a> = &'a (dyn Fn(&Lab) -> std::process::Command + Sync);
    let cases: [(&str, Option<Kind>, Make<'_>, &str); 3] = [
        ("wrong key", None, &wrong_key, "check spec.credentials"),
        ("clock", Some(Kind::Skew { seconds: 3600 }), &plain, "clock"),
        ("throttled", Some(Kind::Throttle { seconds: 3600 }), &plain, "lower spec.budget"),
    ];
    each(&cases, |(case, fault, command, words)| {
        let lab = lab();
        lab.write("package.yaml", &package("V2"));
        if let Some(fault) = fault {
            lab.fault("*", None, *fault);
        }
        let ended = Ended::of(&mut command(&lab));
        assert_ne!(ended.code, Some(0), "{case}: {}", ended.said());
        let shown = format!("{}{}", ended.said(), lab.get(&[]));
        assert!(shown.contains(words), "{case}: {shown}");
        assert!(!shown.contains("the-secret-key") && !shown.contains("string to sign"), "{case}: {shown}");
        // Ten minutes of the engine's time.
        assert!(lab.all_calls() < 60, "{case}: {} calls", lab.all_calls());
    });
}

#[test]
fn what_the_cloud_cannot_do_is_refused_with_what_to_use_instead() {
    let cases = [
        ("  artifact: {", "  sourceVersions: [V0, V1]\n  artifact: {", "targets.fromVersions"),
        (", md5: ", ", size: 15} #", "artifact.md5"),
    ];
    each(&cases, |(from, to, words)| {
        let lab = lab();
        lab.write("package.yaml", &package("V2").replace(from, to));
        let ended = lab.apply();
        assert!(ended.said().contains(words), "{words}: {}", ended.said());
        assert_eq!((lab.packages().len(), lab.all_calls()), (0, 0));
    });
}

#[test]
fn a_file_that_is_not_the_one_of_the_manifest_stops_its_package_and_no_other() {
    let lab = lab();
    fs_err::write(lab.manifest("other.bin"), BYTES).unwrap();
    let other = package("V3").replace("meter-v2", "other").replace("image.bin", "other.bin");
    let (other, _) = other.split_once("  verification").unwrap();
    lab.write("package.yaml", &package("V2"));
    lab.write("other.yaml", other);
    type Damage = fn(&Lab);
    let damages: [(&str, Damage); 3] = [
        ("has the SHA-256", |lab| fs_err::write(lab.manifest("image.bin"), b"another image!!").unwrap()),
        ("has 5 bytes, expected 15", |lab| fs_err::write(lab.manifest("image.bin"), b"short").unwrap()),
        ("cannot be read", |lab| fs_err::remove_file(lab.manifest("image.bin")).unwrap()),
    ];
    for (words, damage) in damages {
        damage(&lab);
        let ended = Ended::of(&mut lab.verb("apply", &["--wait", "--timeout", "5s"]));
        assert_ne!(ended.code, Some(0), "{words}: {}", ended.said());
        lab.assert_stopped_by_its_file("package/meter-v2", words);
        assert_eq!(lab.packages().len(), 1, "{words}: the other one is there");
        assert!(lab.all_calls() < 60, "{words}: {} calls in ten minutes", lab.all_calls());
        lab.cloud(rollwave::simulator::Simulator::reset_counters);
    }
    let process = Process::start(&mut lab.verb("run", &[]));
    fs_err::write(lab.manifest("image.bin"), BYTES).unwrap();
    lab.until("the right file is uploaded", || lab.packages().len() == 2);
    drop(process);
}
