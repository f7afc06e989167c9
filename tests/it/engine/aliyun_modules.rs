//! What packages are on Alibaba Cloud alone: for a module of a device, whose version is reported by itself, or the difference
//! from a version.

use super::harness::{Ended, Lab, each};
use std::collections::BTreeSet;

const BYTES: &[u8] = b"the image of V2";

/// Every device runs V1 as a whole and M1 in its modem, but for one that has reported nothing of a modem.
fn lab() -> Lab {
    let lab = Lab::of_aliyun(
        "- {count: 60, idPrefix: meter-, product: meter, firmware: V1, modules: {modem: M1}}
- {id: odd, product: meter, firmware: V1}",
        100,
    );
    fs_err::write(lab.manifest("image.bin"), BYTES).unwrap();
    lab
}

fn package(name: &str, more: &str) -> String {
    use md5::Digest;
    let (sha256, md5) = (hex::encode(sha2::Sha256::digest(BYTES)), hex::encode(md5::Md5::digest(BYTES)));
    format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaPackage\nmetadata: {{name: {name}}}\nspec:\n  \
         cloudRef: {{name: lab}}\n  type: Firmware\n  product: {{id: meter}}\n  version: V2\n  \
         artifact: {{file: image.bin, sha256: {sha256}, md5: {md5}}}\n{more}"
    )
}

fn rollout(package: &str, targets: &str) -> String {
    format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaRollout\nmetadata: {{name: {package}}}\nspec:\n  \
         packageRef: {{name: {package}}}\n  targets: {targets}\n  stages: [{{name: rest, select: {{rest: true}}}}]\n"
    )
}

fn stage_counts(lab: &Lab, rollout: &str) -> (u64, u64) {
    let counts = lab.get(&[&format!("rollout/{rollout}")])["status"]["stages"][0]["counts"].clone();
    (counts["assigned"].as_u64().unwrap_or(0), counts["succeeded"].as_u64().unwrap_or(0))
}

/// Two packages of one product and version; a device that takes one waits with the other, and each has its own versions.
#[test]
fn a_module_is_verified_and_rolled_out_by_the_versions_that_it_reports() {
    let lab = lab();
    let verification = "  verification: {devices: [meter-0000], timeout: 2h}\n";
    lab.write("modem.yaml", &package("modem", &format!("  module: modem\n{verification}")));
    lab.write("modem-rollout.yaml", &rollout("modem", "{all: true, fromVersions: [M1]}"));
    lab.converge();
    assert_eq!(
        stage_counts(&lab, "modem"),
        (59, 59),
        "all that ran M1, but for the one that had verified it"
    );
    let kinds: Vec<String> = lab.packages().into_iter().map(|package| package.kind).collect();
    assert_eq!(kinds, ["modem"]);
    assert_eq!(
        lab.firmware("meter-0001").as_deref(),
        Some("V1"),
        "the device as a whole has nothing to do with it"
    );

    lab.write("whole.yaml", &package("whole", ""));
    lab.write("whole-rollout.yaml", &rollout("whole", "{all: true}"));
    lab.converge();
    let kinds: BTreeSet<String> = lab.packages().into_iter().map(|package| package.kind).collect();
    assert_eq!(kinds, ["default", "modem"].map(str::to_owned).into());
    assert_eq!(stage_counts(&lab, "whole"), (61, 61));
    assert_eq!(stage_counts(&lab, "modem"), (59, 59), "nothing was sent again");
    assert_eq!(lab.sent()["meter-0001"], 2);
    assert!(lab.calls("CreateOTAFirmware") == 2 && lab.calls("PostObject") == 2);
}

/// A device takes one job at a time, of whatever module.
#[test]
fn devices_that_a_job_of_another_module_holds_are_waited_for() {
    let lab = lab();
    lab.write("whole.yaml", &package("whole", ""));
    lab.write("modem.yaml", &package("modem", "  module: modem\n"));
    lab.write("whole-rollout.yaml", &rollout("whole", "{devices: [meter-0001, meter-0002]}"));
    lab.write("modem-rollout.yaml", &rollout("modem", "{devices: [meter-0001, meter-0002]}"));
    lab.converge();
    assert_eq!((stage_counts(&lab, "whole"), stage_counts(&lab, "modem")), ((2, 2), (2, 2)));
    let statuses = lab.tasks().into_iter().flat_map(|task| task.targets.into_keys());
    assert!(statuses.into_iter().all(|status| status == "SUCCEEDED"), "{:#?}", lab.tasks());
}

#[test]
fn a_module_that_the_product_lacks_is_said_before_anything_is_uploaded() {
    let lab = lab();
    lab.write("modem.yaml", &package("modem", "  module: Modem\n"));
    let ended = Ended::of(&mut lab.verb("apply", &["--wait", "--timeout", "5s"]));
    assert_ne!(ended.code, Some(0), "{}", ended.said());
    let message = lab.get(&["package/modem"])["status"]["message"].to_string();
    assert!(message.contains("has no module") && message.contains("default, modem"), "{message}");
    assert_eq!((lab.packages().len(), lab.calls("GenerateOTAUploadURL")), (0, 0));
    assert!(lab.all_calls() < 60, "{} calls in ten minutes", lab.all_calls());
}

#[test]
fn a_package_stays_in_its_module_and_two_in_one_module_are_the_same() {
    let cases = [
        ("modem.yaml", package("modem", "  module: bootloader\n"), "module is immutable"),
        ("modem.yaml", package("modem", ""), "module is immutable"),
        ("twin.yaml", package("twin", "  module: modem\n"), "are the same package"),
    ];
    each(&cases, |(file, text, words)| {
        let lab = lab();
        lab.write("modem.yaml", &package("modem", "  module: modem\n"));
        lab.converge();
        lab.write(file, text);
        let ended = lab.apply();
        assert!(ended.said().contains(words), "{words}: {}", ended.said());
        assert_eq!(lab.packages().len(), 1);
    });
}

/// Devices put a difference together with what they run: any other version would be broken by it.
#[test]
fn a_delta_goes_to_the_devices_that_run_the_version_it_is_made_from_and_to_no_others() {
    let lab = lab();
    let delta = |source: &str, device: &str| {
        package(
            "delta",
            &format!("  sourceVersions: [{source}]\n  verification: {{devices: [{device}], timeout: 2h}}\n"),
        )
        .replace("{file: image.bin", "{delta: true, file: image.bin")
    };
    lab.cloud(|cloud| {
        let older = serde_json::from_value(serde_json::json!({"firmware": "V0"})).unwrap();
        cloud.change_device("odd", older, jiff::Timestamp::now()).unwrap();
    });
    lab.write("delta.yaml", &delta("V1", "odd"));
    lab.write("rollout.yaml", &rollout("delta", "{all: true}"));
    let planned = Ended::of(&mut lab.rollwave(&["plan", "fleet"]));
    assert!(planned.out.contains("Type=1") && planned.out.contains("SrcVersion=V1"), "{}", planned.said());
    let held = Ended::of(&mut lab.verb("apply", &["--wait", "--timeout", "5s"]));
    let words = "a delta from V1, and device odd runs V0";
    assert!(
        held.code != Some(0) && lab.get(&["package/delta"]).to_string().contains(words),
        "{}",
        held.said()
    );
    assert_eq!(lab.tasks().len(), 0, "the cloud was not asked for what it refuses");

    lab.write("delta.yaml", &delta("V1", "meter-0000"));
    lab.converge();
    assert_eq!(stage_counts(&lab, "delta"), (59, 59));
    assert_eq!(lab.firmware("odd").as_deref(), Some("V0"));
}

#[test]
fn what_is_no_delta_names_no_source_versions_and_a_delta_names_one() {
    let cases = [
        ("  sourceVersions: [V1]\n", "", "artifact.delta: true"),
        ("", "delta: true, ", "list it in sourceVersions"),
        ("  sourceVersions: [V0, V1]\n", "delta: true, ", "list it in sourceVersions"),
    ];
    each(&cases, |(more, artifact, words)| {
        let lab = lab();
        let text =
            package("delta", more).replace("{file: image.bin", &format!("{{{artifact}file: image.bin"));
        lab.write("delta.yaml", &text);
        let ended = lab.apply();
        assert!(ended.said().contains(words), "{words}: {}", ended.said());
        assert_eq!((lab.packages().len(), lab.all_calls()), (0, 0));
    });
}
