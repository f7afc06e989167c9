//! The program as people run it: what it prints, where, and how it ends.

use futures::FutureExt as _;
use jiff::Timestamp;
use rollwave::{
    api::{API_VERSION, Kind, Object, ObjectKey},
    state::{Store as _, local::Local},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

fn rollwave(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollwave"));
    command.args(args).current_dir(dir);
    for variable in ["ROLLWAVE_STATE", "NO_COLOR", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command
}

fn output(dir: &Path, args: &[&str]) -> Output {
    rollwave(dir, args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Objects in every state that has to be drawn.
fn samples() -> BTreeMap<ObjectKey, Object> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/samples.yaml");
    let values: Vec<Value> = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let object = |mut value: Value| {
        value["apiVersion"] = API_VERSION.into();
        let object = match value["kind"].as_str().unwrap() {
            "OtaCloud" => Object::Cloud(serde_json::from_value(value).unwrap()),
            "OtaPackage" => Object::Package(serde_json::from_value(value).unwrap()),
            _ => Object::Rollout(serde_json::from_value(value).unwrap()),
        };
        (object.key(), object)
    };
    values.into_iter().map(object).collect()
}

/// A folder whose `.rollwave` holds the samples, and the lock on it.
fn home() -> (TempDir, Local) {
    let dir = tempfile::tempdir().unwrap();
    let local = Local::open(&dir.path().join(".rollwave")).unwrap();
    let samples = samples();
    let bare = samples.values().map(|object| (object.key(), without_status(object.clone()))).collect();
    local.apply_desired(&bare, true, Timestamp::UNIX_EPOCH).unwrap();
    for (key, sample) in samples {
        let mut stored = load(&local, &key);
        copy_status(&mut stored, &sample);
        local.save_status(&stored).now_or_never().unwrap().unwrap();
    }
    (dir, local)
}

fn load(local: &Local, key: &ObjectKey) -> Object {
    local.load(key).now_or_never().unwrap().unwrap().unwrap().as_ref().clone()
}

fn without_status(mut object: Object) -> Object {
    match &mut object {
        Object::Cloud(o) => o.status = None,
        Object::Package(o) => o.status = None,
        Object::Rollout(o) => o.status = None,
    }
    object
}

fn copy_status(to: &mut Object, from: &Object) {
    match (to, from) {
        (Object::Cloud(to), Object::Cloud(from)) => to.status = from.status.clone(),
        (Object::Package(to), Object::Package(from)) => to.status = from.status.clone(),
        (Object::Rollout(to), Object::Rollout(from)) => to.status = from.status.clone(),
        _ => unreachable!("the same key is the same kind"),
    }
}

#[test]
fn readers_work_while_another_process_holds_the_state() {
    let (dir, _held) = home();
    for (args, expected) in [
        (&["get", "rollouts"][..], "held-at-gate"),
        (&["status", "rollout/soaking"], "soaks until 2026-11-02 10:00:00Z"),
        (&["why", "rollout/held-at-gate"], "can no longer pass"),
    ] {
        let output = output(dir.path(), args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        assert!(stdout(&output).contains(expected), "{args:?}: {}", stdout(&output));
        assert_eq!(stderr(&output), "", "{args:?}");
    }
}

#[test]
fn machines_get_json_that_can_be_read() {
    let (dir, _held) = home();
    let read = |args: &[&str]| serde_json::from_slice::<Value>(&output(dir.path(), args).stdout).unwrap();
    assert_eq!(read(&["get", "package/meter-v2", "-o", "json"])["status"]["packageId"], "64f0c1d2");
    assert_eq!(read(&["get", "-o", "json"])["items"].as_array().unwrap().len(), samples().len());
    let forest = read(&["status", "rollout/aborted", "-o", "json"]);
    assert_eq!(forest[0]["children"][0]["children"][0]["health"], "Aborted");
    let why = read(&["why", "rollout/aborted", "-o", "json"]);
    assert_eq!(why[0]["decisions"][0]["rule"], "StopRule");
}

#[test]
fn wrong_usage_says_what_was_meant_and_ends_with_64() {
    let dir = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (&["statsu"][..], "'status'"),
        (&["why"], "<KIND/NAME>"),
        (&["why", "rolout/x"], "did you mean rollout?"),
        (&["get", "-o", "xml"], "[possible values: table, wide, json, yaml]"),
    ] {
        let output = output(dir.path(), args);
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(stderr(&output).contains(expected), "{args:?}: {}", stderr(&output));
    }
    let loud = rollwave(dir.path(), &["get"]).env("RUST_LOG", "rollwave=loud").output().unwrap();
    assert_eq!(loud.status.code(), Some(64));
}

#[test]
fn what_is_not_there_fails_with_1_and_a_next_step() {
    let (dir, _held) = home();
    let missing = output(dir.path(), &["why", "rollout/soakin"]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(stderr(&missing), "error: there is no OtaRollout/soakin: did you mean OtaRollout/soaking?\n");
    let nowhere = output(dir.path(), &["status", "--state", "elsewhere"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).contains("no state in elsewhere"), "{}", stderr(&nowhere));
    let empty = tempfile::tempdir().unwrap();
    let mut neither = rollwave(empty.path(), &["get"]);
    neither.env("KUBECONFIG", empty.path().join("none")).env_remove("KUBERNETES_SERVICE_HOST");
    let neither = neither.output().unwrap();
    assert_eq!(neither.status.code(), Some(1));
    for part in ["no state in .rollwave, and no cluster (", "--state", "--kubeconfig or --context"] {
        assert!(stderr(&neither).contains(part), "{part}: {}", stderr(&neither));
    }
    let both = output(dir.path(), &["pause", "rollout/soaking", "--state", "x", "--context", "prod"]);
    assert_eq!(both.status.code(), Some(1));
    assert!(stderr(&both).contains("use one or the other"), "{}", stderr(&both));
}

#[test]
fn colour_is_for_terminals_or_when_asked_for() {
    let (dir, _held) = home();
    let has_colour = |args: &[&str]| stdout(&output(dir.path(), args)).contains('\x1b');
    assert!(!has_colour(&["status"]));
    assert!(has_colour(&["status", "--color", "always"]));
    assert!(!has_colour(&["status", "--color", "never"]));
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let (dir, _held) = home();
    for args in [&["status"][..], &["status", "--watch"], &["completions", "bash"], &["get", "-o", "json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = rollwave(dir.path(), args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((ended.status.code(), stderr(&ended)), (Some(0), String::new()), "{args:?}");
    }
}

#[test]
fn a_watched_status_is_printed_again_when_something_changed() {
    let (dir, local) = home();
    let mut child = rollwave(dir.path(), &["status", "rollout/soaking", "-w", "-o", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut message = || {
        let forest: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        forest[0]["object"]["status"]["message"].clone()
    };
    assert_eq!(message(), "answers; 412 packages, 3 jobs");
    let mut cloud = load(&local, &ObjectKey::new(Kind::OtaCloud, "default", "prod"));
    if let Object::Cloud(o) = &mut cloud {
        o.status.as_mut().unwrap().message = "does not answer".into();
    }
    local.save_status(&cloud).now_or_never().unwrap().unwrap();
    assert_eq!(message(), "does not answer");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn with_json_logs_every_line_on_stderr_is_json() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("broken.yaml"), "kind: OtaClud\n").unwrap();
    for args in [
        &["--log-format", "json", "apply", "broken.yaml"][..],
        &["--log-format", "json", "validate", "broken.yaml"],
        &["--log-format", "json", "status"],
    ] {
        let said = stderr(&output(dir.path(), args));
        let levels =
            said.lines().map(|line| serde_json::from_str::<Value>(line).expect(line)["level"].clone());
        let levels: Vec<Value> = levels.collect();
        assert!(!levels.is_empty() && levels.iter().all(|level| level == "ERROR"), "{said}");
    }
}

#[test]
fn a_gate_is_explained_without_manifests_and_without_a_cloud() {
    let dir = tempfile::tempdir().unwrap();
    let of = |args: &[&str]| output(dir.path(), &[&["explain-gate", "--devices"], args].concat());
    insta::assert_snapshot!(stdout(&of(&["20"])), @r"
    20 devices may have 2 failures: the gate needs 68 % (what a stage of this size can prove).
    A BUILD THAT FAILS ON  PASSES  PASSES IF ONLY 16 BEGIN
    1 %                    99.9 %  99.9 %
    2 %                    99.3 %  99.6 %
    5 %                    92.5 %  95.7 %
    10 %                   67.7 %  78.9 %
    20 %                   20.6 %  35.2 %
    40 %                   0.4 %   1.8 %
    ");
    // The page on the size of a canary has these lines.
    let known = of(&["60", "--min-success", "90%"]);
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides/size-a-canary.md"));
    assert!(page.unwrap().contains(&stdout(&known)), "{}", stdout(&known));
    insta::assert_snapshot!(stderr(&known), @"warning: a good build, which fails on 2 % of the devices, is held in up to 24.9 %: 124 devices would do, or lower minSuccess");
    let small = of(&["10", "--min-success", "95%"]);
    assert_eq!(small.status.code(), Some(1));
    insta::assert_snapshot!(stderr(&small), @"error: stage of this size (10 devices) cannot prove 95 %: needs 52");
    let exact: Value = serde_json::from_slice(
        &of(&["29", "--method", "Exact", "--min-success", "90%", "-o", "json"]).stdout,
    )
    .unwrap();
    assert_eq!((&exact["allowedFailures"], &exact["fewestThatBegin"]), (&0.into(), &24.into()));
}
