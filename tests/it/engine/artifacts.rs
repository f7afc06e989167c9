//! Files of packages: looked at by `plan`, opened beneath their source, and checked before a byte leaves.

use super::harness::{Ended, Lab, Process};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

const DEVICES: &str = "- {count: 5, idPrefix: meter-, product: meter, firmware: V1}";
const BYTES: &[u8] = b"firmware of the meter";

fn lab() -> Lab {
    use md5::Digest;
    let (sha256, md5) = (hex::encode(sha2::Sha256::digest(BYTES)), hex::encode(md5::Md5::digest(BYTES)));
    let lab = Lab::of_aliyun(DEVICES, 10);
    lab.write(
        "package.yaml",
        &format!(
            "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaPackage\nmetadata: {{name: meter-v2}}\nspec:\n  \
             cloudRef: {{name: lab}}\n  type: Firmware\n  product: {{id: meter}}\n  version: V2\n  \
             artifact: {{file: v2.bin, sha256: {sha256}, md5: {md5}}}\n  \
             verification: {{devices: [meter-0000], timeout: 2h}}\n"
        ),
    );
    lab
}

#[test]
fn plan_fails_on_a_file_that_could_not_be_uploaded() {
    let lab = lab();
    let plan = |expected: &str, code: i32| {
        let ended = Ended::of(&mut lab.rollwave(&["plan", "fleet"]));
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        assert!(ended.out.contains(expected), "{expected}: {}", ended.out);
    };
    let file = lab.manifest("v2.bin");
    plan("v2.bin cannot be read: No such file", 1);
    fs_err::write(&file, "").unwrap();
    plan("v2.bin is empty", 1);
    fs_err::write(&file, "other").unwrap();
    plan("v2.bin has the SHA-256", 1);
    fs_err::write(&file, BYTES).unwrap();
    plan("will converge", 2);
    lab.converge();
    fs_err::remove_file(&file).unwrap();
    let ended = Ended::of(&mut lab.rollwave(&["plan", "fleet"]));
    assert_eq!(ended.code, Some(0), "the cloud has it: {}", ended.out);
}

#[test]
fn a_link_that_leads_out_of_the_folder_is_not_followed() {
    let lab = lab();
    let outside = lab.path().join("outside.bin");
    fs_err::write(&outside, BYTES).unwrap();
    symlink(&outside, lab.manifest("v2.bin")).unwrap();
    assert_eq!(lab.apply().code, Some(1));
    lab.assert_stopped_by_its_file("package/meter-v2", "v2.bin is outside of");
    fs_err::remove_file(lab.manifest("v2.bin")).unwrap();
    fs_err::write(lab.manifest("build.bin"), BYTES).unwrap();
    symlink("build.bin", lab.manifest("v2.bin")).unwrap();
    lab.converge();
}

#[test]
fn a_pipe_in_the_place_of_a_file_holds_up_nothing() {
    let lab = lab();
    assert!(Command::new("mkfifo").arg(lab.manifest("v2.bin")).status().unwrap().success());
    assert_eq!(lab.apply().code, Some(1));
    lab.assert_stopped_by_its_file("package/meter-v2", "v2.bin is not a regular file");
    let log = lab.path().join("log");
    let process = Process::start_with_log(&mut lab.verb("run", &[]), &log);
    lab.until("the pipe is named", || fs_err::read_to_string(&log).unwrap().contains("v2.bin"));
    let (status, took) = process.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(20), "{took:?}");
}
