//! What is wrong is said to the user, with the cause and what to do, and nothing is done.

use super::harness::{Ended, Lab, PACKAGE, Process, ROLLOUT, each};
use rollwave::simulator::faults::{Kind, When};
use std::process::Command;

/// A lab with a package and a rollout.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("package.yaml", PACKAGE);
    lab.write("rollout.yaml", ROLLOUT);
    lab
}

fn assert_says(ended: &Ended, code: i32, expected: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    for text in expected {
        assert!(ended.said().contains(text), "{text:?} is not said: {}", ended.said());
    }
}

fn assert_no_call(lab: &Lab) {
    assert!(lab.cloud(|cloud| cloud.counters().is_empty()), "{:?}", lab.cloud(|c| c.counters().clone()));
}

#[test]
fn a_manifest_with_an_error_is_refused_whole_before_any_call() {
    let versions = (0..31).map(|n| format!("V0.{n}")).collect::<Vec<_>>().join(", ");
    let long = "V".repeat(257);
    let change = |from: &str, to: &str| {
        assert!(PACKAGE.contains(from));
        PACKAGE.replace(from, to)
    };
    let cases = [
        ("YAML syntax", change("spec:\n", "spec: {\n"), vec!["package.yaml:", "error:"]),
        ("wrong type", change("version: V2", "version: [V2]"), vec!["package.yaml:9:", "spec.version"]),
        (
            "unknown field",
            change("version: V2", "version: V2\n  sourceVersion: [V1]"),
            vec!["package.yaml:10:", "did you mean `sourceVersions`"],
        ),
        ("long version", change("version: V2", &format!("version: {long}")), vec!["spec.version", "256"]),
        (
            "31 source versions",
            change("version: V2", &format!("version: V2\n  sourceVersions: [{versions}]")),
            vec!["spec.sourceVersions", "31 items, at most 20"],
        ),
        (
            "bad sha256",
            change("sha256: 4bf5", "sha256: xyz5"),
            vec!["package.yaml:11:", "spec.artifact.sha256"],
        ),
        ("extension", change("meter/V2.bin", "meter/V2.txt"), vec!["spec.artifact.obs.key", ".bin"]),
        (
            "two of one name",
            format!("{PACKAGE}\n---\n{PACKAGE}"),
            vec!["OtaPackage/meter-v2", "package.yaml:2:1"],
        ),
    ];
    each(&cases, |(name, text, expected)| {
        let lab = lab();
        lab.write("package.yaml", text);
        let ended = lab.apply();
        assert_says(&ended, 1, expected);
        assert_says(&ended, 1, &["nothing was applied"]);
        assert_no_call(&lab);
        assert!(!lab.path().join("state").exists(), "{name}");
    });
}

#[test]
fn a_rollout_of_a_missing_package_is_said_and_nothing_is_sent() {
    let lab = lab();
    lab.write("rollout.yaml", &ROLLOUT.replace("meter-v2", "meter-v3"));
    assert_says(&lab.apply(), 1, &["rollout.yaml:", "meter-v3", "did you mean `meter-v2`"]);
    assert_no_call(&lab);
}

#[test]
fn a_path_that_is_not_there_is_an_error() {
    let lab = lab();
    let ended = Ended::of(&mut lab.rollwave(&["apply", "flet"]));
    assert_says(&ended, 1, &["flet"]);
    assert_no_call(&lab);
}

#[test]
fn keys_that_are_missing_or_wrong_are_named_and_asked_for_once() {
    let lab = lab();
    let unset = Ended::of(lab.verb("apply", &["--wait"]).env_remove("LAB_SK"));
    assert_says(&unset, 1, &["spec.credentials.secretKey: environment variable LAB_SK is not set"]);
    assert_no_call(&lab);

    let wrong = Ended::of(lab.verb("apply", &["--wait"]).env("LAB_SK", "another-secret-key"));
    assert_says(&wrong, 1, &["401", "OtaCloud/lab"]);
    assert!(!wrong.said().contains("another-secret-key"));
    assert_eq!(lab.calls("CreateOtaPackage"), 0);
    assert!(lab.all_calls() <= 3, "a refused key is not tried again and again: {} calls", lab.all_calls());
}

#[test]
fn a_clock_that_is_wrong_is_called_so() {
    let lab = lab();
    lab.fault("*", None, Kind::Skew { seconds: 20 * 60 });
    assert_says(&lab.apply(), 1, &["clock"]);
    assert!(lab.packages().is_empty());
}

#[test]
fn an_endpoint_that_is_not_there_ends_apply_with_its_address() {
    let lab = lab();
    // Nobody listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = format!("http://127.0.0.1:{port}");
    lab.write("cloud.yaml", &lab.cloud_manifest().replace(&lab.url(), &nowhere));
    let ended = Ended::of(&mut lab.rollwave(&["apply", "fleet"]));
    assert_says(&ended, 1, &[&format!("127.0.0.1:{port}"), "does not answer"]);
}

#[test]
fn a_state_that_is_damaged_is_refused_and_left_as_it_is() {
    let lab = lab();
    lab.converge();
    let file = fs_err::read_dir(lab.path().join("state")).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|e| e == "redb")).unwrap();
    let mut bytes = fs_err::read(&file).unwrap();
    bytes.iter_mut().skip(8).take(400).for_each(|byte| *byte ^= 0x5a);
    fs_err::write(&file, &bytes).unwrap();
    lab.cloud(rollwave::simulator::Simulator::reset_counters);
    assert_says(&lab.apply(), 1, &[&file.file_name().unwrap().to_string_lossy(), "restore it from a backup"]);
    assert!(fs_err::read(&file).unwrap() == bytes, "the file was changed");
    assert_no_call(&lab);
}

#[test]
fn a_full_disk_is_said_and_nothing_is_created() {
    let lab = lab();
    let program = env!("CARGO_BIN_EXE_rollwave");
    let script = format!("trap '' XFSZ; ulimit -f 8; exec {program} apply fleet --state state");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(lab.path());
    command.env("LAB_AK", "THE-ACCESS-KEY").env("LAB_SK", "the-secret-key");
    let ended = Ended::of(&mut command);
    assert_says(&ended, 1, &["cannot write", "state", "nothing was sent to a cloud"]);
    assert_no_call(&lab);
    lab.converge();
}

#[test]
fn a_state_in_use_names_its_holder_and_can_still_be_read() {
    let lab = lab();
    lab.fault("ListOtaPackageInfo", None, Kind::Hang { when: When::Before });
    let holder = Process::start(&mut lab.verb("run", &[]));
    lab.until("the holder has begun", || lab.calls("ListOtaPackageInfo") > 0);
    let second = lab.apply();
    assert_says(&second, 1, &[&format!("in use by process {}", holder.pid()), "--state"]);
    for args in [&["get", "package/meter-v2"][..], &["status"]] {
        assert_says(&Ended::of(&mut lab.rollwave(args)), 0, &["meter-v2"]);
    }
}

#[test]
fn devices_that_are_not_there_are_named() {
    let lab = lab();
    lab.write("package.yaml", &PACKAGE.replace("[verify-1, verify-2]", "[verify-1, ghost-1]"));
    assert_says(
        &lab.apply(),
        1,
        &["1 of 2 devices of spec.verification are not registered in the cloud: ghost-1"],
    );
    assert!(lab.tasks().is_empty(), "nothing is sent before a verification that cannot be whole");

    lab.write("package.yaml", PACKAGE);
    let named = ROLLOUT
        .replace("all: true", "devices: [meter-0001, meter-0002, ghost-2]")
        .replace("count: 5", "count: 1");
    lab.write("rollout.yaml", &named);
    lab.converge();
    let rollout = lab.get(&["rollout/meter"]);
    assert_eq!(rollout["status"]["excluded"]["unknownExamples"][0], "ghost-2", "{rollout:#}");
    assert!(!lab.sent().contains_key("ghost-2"));
}

#[test]
fn an_expired_token_is_renewed_once() {
    let lab = lab();
    let keys = "{username: env:LAB_USER, password: env:LAB_PASSWORD, domain: env:LAB_DOMAIN}";
    let manifest = lab
        .cloud_manifest()
        .replace("appId: app-1", &format!("appId: app-1, auth: Token, iamEndpoint: {:?}", lab.url()));
    let manifest = manifest.replace("{accessKey: env:LAB_AK, secretKey: env:LAB_SK}", keys);
    lab.write("cloud.yaml", &manifest);
    let user = [("LAB_USER", "operator"), ("LAB_PASSWORD", "the-password"), ("LAB_DOMAIN", "the-domain")];
    let process = Process::start(lab.verb("run", &[]).envs(user));
    lab.until("the package is created", || !lab.packages().is_empty());
    lab.fault("*", None, Kind::ExpireTokens {});
    lab.until("the whole fleet runs it", || lab.firmware("meter-0000").as_deref() == Some("V2"));
    drop(process);
    assert_eq!(lab.calls("CreateToken"), 2, "{:?}", lab.cloud(|c| c.counters().clone()));
}
