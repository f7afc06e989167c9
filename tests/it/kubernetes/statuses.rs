//! The objects that the checks of `integrations/` are tested with are those of a real run, and not what somebody believes of it.
//! `STATUSES=write cargo test --test it -- kubernetes::statuses` writes them anew.

use super::control_plane::{runtime, shared};
use super::harness::{Field, condition, says};
use crate::engine::harness::{PACKAGE, Process, ROLLOUT, each};
use jiff::Timestamp;
use regex::Regex;
use rollwave::cloud::{Call, Cloud as _};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const KIND: &str = "OtaRollout";

/// What was seen, as (kind, name of the file, object).
type Seen = Mutex<Vec<(String, String, Value)>>;

fn see(seen: &Seen, name: &str, object: &Value) {
    let kind = object["kind"].as_str().unwrap().to_owned();
    seen.lock().unwrap().push((kind, name.to_owned(), object.clone()));
}

/// One release from its first manifest to its end, and an edit that nobody has looked at.
fn a_good_release(seen: &Seen) {
    let field = field();
    field.apply(PACKAGE);
    field.apply(&rollout().replace("soak: 1m", "soak: 5d"));
    field.apply(&rollout().replace("name: meter}", "name: early}").replace("meter-v2", "meter-v3"));
    for (kind, name) in [("OtaCloud", "lab"), ("OtaPackage", "meter-v2"), (KIND, "meter")] {
        see(seen, "new", &field.get(kind, name).unwrap());
    }
    let controller = Process::start(&mut field.controller());
    let soaking = field.until(KIND, "meter", "it soaks", soaks(0));
    see(seen, "soaking", &soaking);
    see(seen, "verified", &field.get("OtaPackage", "meter-v2").unwrap());
    see(seen, "ready", &field.until("OtaCloud", "lab", "it answers", |cloud| says(cloud, "connected to ")));
    see(seen, "no-package", &field.until(KIND, "early", "its package is missed", is_stalled));
    field.apply(&rollout());
    let completed = field.until(KIND, "meter", "it ends", |object| {
        object["status"]["phase"] == "Completed" && jobs_ended(object)
    });
    see(seen, "completed", &completed);
    drop(controller);
    field.apply(&rollout().replace("soak: 1m", "soak: 2m"));
    see(seen, "edited", &field.get(KIND, "meter").unwrap());
}

/// All devices of a job end at one time, and long after it was first observed: no status depends on how fast this machine is.
fn field() -> Field<'static> {
    let field = Field::new(shared());
    let duration = json!({"min": "5m", "max": "5m"});
    let good = ["V2", "V3"].map(|version| json!({"version": version, "duration": duration}));
    let bad = json!({"version": "bad", "failureRate": "100%", "duration": duration});
    let behaviours = good.into_iter().chain([bad]).collect();
    let behaviours = serde_json::from_value(Value::Array(behaviours)).unwrap();
    field.lab.cloud(|cloud| cloud.set_behaviours(behaviours).unwrap());
    field
}

/// Its canary soaks once every device has answered: devices of a job begin one after the other.
fn rollout() -> String {
    ROLLOUT.replace("minSuccess: 90%", "minSuccess: 90%, minObserved: 100%")
}

/// The devices of a job may have ended a look before its row says so: `jobs_ended` makes one status of the two.
fn soaks(stage: usize) -> impl Fn(&Value) -> bool {
    move |object| object["status"]["stages"][stage]["phase"] == "Soaking" && jobs_ended(object)
}

fn jobs_ended(object: &Value) -> bool {
    let stages = object["status"]["stages"].as_array().map_or(&[][..], Vec::as_slice);
    let mut jobs = stages.iter().filter_map(|stage| stage["jobs"].as_array()).flatten();
    jobs.all(|job| !job["finishedAt"].is_null())
}

/// A build that fails on every device.
fn bad() -> String {
    let (package, _) = PACKAGE.split_once("  verification").unwrap();
    package.replace("version: V2", "version: bad")
}

fn a_canary_that_a_stop_rule_ends(seen: &Seen) {
    let field = field();
    field.apply(&bad());
    let rule = "{name: too-many-failures, method: Ratio, maxFailure: 10%, minSample: 1, action: Pause}";
    let whole = rollout();
    let (head, _) = whole.split_once("  stop:").unwrap();
    let rollout = format!("{head}  stop:\n  - {rule}\n").replace("count: 5", "count: 1");
    field.apply(&rollout);
    let controller = Process::start(&mut field.controller());
    see(seen, "stopped", &field.until(KIND, "meter", "it is stopped", is_held));
    drop(controller);
}

fn a_canary_that_does_not_pass_its_gate(seen: &Seen) {
    let field = field();
    field.apply(&bad());
    let whole = rollout();
    let (rollout, _) = whole.split_once("  stop:").unwrap();
    field.apply(&rollout.replace("count: 5", "count: 1"));
    let controller = Process::start(&mut field.controller());
    see(seen, "gate-failed", &field.until(KIND, "meter", "its gate fails", is_held));
    drop(controller);
}

fn is_held(object: &Value) -> bool {
    object["status"]["phase"] == "Held" && jobs_ended(object)
}

fn a_package_that_fails_its_verification(seen: &Seen) {
    let field = field();
    field.apply(&PACKAGE.replace("version: V2", "version: bad").replace(", verify-2]", "]"));
    let controller = Process::start(&mut field.controller());
    let has_failed = |object: &Value| condition(object, "Verified")["reason"] == "VerificationFailed";
    let failed = field.until("OtaPackage", "meter-v2", "its verification fails", |object| {
        has_failed(object) && !object["status"]["verification"]["finishedAt"].is_null()
    });
    see(seen, "verification-failed", &failed);
    drop(controller);
}

fn a_verify_job_that_somebody_deletes(seen: &Seen) {
    let field = field();
    let slow = r#"[{"version": "V2", "duration": {"min": "200h", "max": "200h"}}]"#;
    field.lab.cloud(|cloud| cloud.set_behaviours(serde_json::from_str(slow).unwrap()).unwrap());
    field.apply(&PACKAGE.replace(", verify-2]", "]").replace("timeout: 2h", "timeout: 200h"));
    let controller = Process::start(&mut field.controller());
    let upgrades = |object: &Value| object["status"]["verification"]["counts"]["inFlight"] == 1;
    let running = field.until("OtaPackage", "meter-v2", "its device upgrades", upgrades);
    let id = running["status"]["verification"]["jobId"].as_str().unwrap().to_owned();
    assert!(controller.terminate().0.success());
    let (runtime, somebody) = (runtime(), field.somebody());
    let orders = |call| runtime.block_on(somebody.perform(&call, Timestamp::now())).unwrap();
    orders(Call::StopJob { id: id.clone() });
    field.lab.until("it is stopped", || field.lab.tasks()[0].status == "Stopped");
    orders(Call::DeleteJob { id });
    let controller = Process::start(&mut field.controller());
    let vanished = field.until("OtaPackage", "meter-v2", "its job is missed", |object| {
        condition(object, "Ready")["reason"] == "JobVanished"
    });
    see(seen, "job-vanished", &vanished);
    drop(controller);
}

fn references_to_nowhere(seen: &Seen) {
    let field = field();
    field.apply(&PACKAGE.replace("name: lab", "name: missing"));
    field.apply(&rollout());
    let controller = Process::start(&mut field.controller());
    see(seen, "no-cloud", &field.until("OtaPackage", "meter-v2", "it is told so", is_stalled));
    see(seen, "no-cloud", &field.until(KIND, "meter", "it is told so", is_stalled));
    drop(controller);
}

fn a_rollout_that_is_suspended(seen: &Seen) {
    let field = field();
    field.apply(PACKAGE);
    field.apply(&rollout().replace("spec:", "spec:\n  suspend: true"));
    let controller = Process::start(&mut field.controller());
    see(seen, "suspended", &field.until(KIND, "meter", "it is suspended", is_held));
    drop(controller);
}

fn a_rollout_that_is_paused(seen: &Seen) {
    let field = field();
    let (unverified, _) = PACKAGE.split_once("  verification").unwrap();
    field.apply(unverified);
    field.apply(&rollout().replace("soak: 1m", "soak: 5d"));
    let controller = Process::start(&mut field.controller());
    field.until(KIND, "meter", "it soaks", soaks(0));
    field.annotate(KIND, "meter", "ota.rollwave.dev/pause-requested-at", "2026-01-01T00:00:00Z");
    see(seen, "paused", &field.until(KIND, "meter", "it is paused", is_held));
    drop(controller);
}

/// Its canary has passed, and its last stage soaks; and one that was ready as soon as nothing was wrong with it.
fn a_rollout_that_is_ready_early(seen: &Seen) {
    let (unverified, _) = PACKAGE.split_once("  verification").unwrap();
    for (when, name, stage) in [("Accepted", "accepted", 0), ("CanaryPassed", "canary-passed", 1)] {
        let field = field();
        field.apply(unverified);
        let canary_soaks = if stage == 0 { "soak: 5d" } else { "soak: 1m" };
        let rollout = rollout()
            .replace("soak: 1m", canary_soaks)
            .replace("spec:", &format!("spec:\n  readyWhen: {when}"));
        field.apply(&rollout.replace("select: {rest: true}", "select: {rest: true}\n    soak: 5d"));
        let controller = Process::start(&mut field.controller());
        see(seen, name, &field.until(KIND, "meter", "it soaks", soaks(stage)));
        drop(controller);
    }
}

/// What it names has been missing for longer than it may be.
fn is_stalled(object: &Value) -> bool {
    condition(object, "Stalled")["status"] == "True"
}

fn is_seen(object: &Value) -> bool {
    !condition(object, "Ready").is_null()
}

fn keys_that_are_refused(seen: &Seen) {
    let field = Field::without_account(shared());
    field.apply_keys("another-secret-key");
    field.apply(&field.account());
    field.apply(PACKAGE);
    let controller = Process::start(&mut field.controller());
    let refused = |object: &Value| condition(object, "Ready")["reason"] == "Unauthorized";
    see(seen, "unauthorized", &field.until("OtaCloud", "lab", "its keys are refused", refused));
    see(seen, "unauthorized", &field.until("OtaPackage", "meter-v2", "it waits", is_seen));
    drop(controller);
}

/// Without what differs from run to run: times, ids, ports, names of namespaces.
fn normal(object: &Value) -> Value {
    let meta = &object["metadata"];
    let mut kept = Map::new();
    for field in ["annotations", "finalizers", "generation", "name"] {
        if !meta[field].is_null() {
            kept.insert(field.to_owned(), meta[field].clone());
        }
    }
    kept.insert("creationTimestamp".to_owned(), "2026-01-01T00:00:00Z".into());
    kept.insert("namespace".to_owned(), "field".into());
    kept.insert("uid".to_owned(), "00000000-0000-0000-0000-000000000000".into());
    let mut normal = json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": kept,
        "spec": object["spec"], "status": object["status"],
    });
    let rules = [
        (r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(\.\d+)?", "2026-01-01${1}00:00:00"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:8080"),
        (r"test-\d+", "field"),
        (r"[0-9a-f]{16,}", "0000000000000000"),
    ];
    let rules = rules.map(|(pattern, to)| (Regex::new(pattern).unwrap(), to));
    replace(&mut normal, &rules);
    normal
}

/// Fields of a status that are another at each run, and that no integration reads.
const TIMED: [&str; 9] = [
    "clock",
    "createdUptime",
    "dispatchedUptime",
    "findings",
    "observedUptime",
    "stoppedUptime",
    "successes",
    "successesAt",
    "successesRead",
];

fn replace(value: &mut Value, rules: &[(Regex, &str)]) {
    match value {
        Value::String(text) => {
            for (pattern, to) in rules {
                *text = pattern.replace_all(text, *to).into_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, rules)),
        Value::Object(fields) => {
            fields.retain(|name, _| !TIMED.contains(&name.as_str()));
            fields.values_mut().for_each(|field| replace(field, rules));
        }
        _ => {}
    }
}

/// Each line that only one of two objects has.
fn differences(kept: &Value, seen: &Value) -> Vec<String> {
    let [kept, seen] = [kept, seen].map(|object| serde_yaml::to_string(object).unwrap());
    let only = |these: &str, those: &str, sign: char| -> Vec<String> {
        let those: Vec<_> = those.lines().collect();
        let lines = these.lines().filter(|line| !those.contains(line));
        lines.map(|line| format!("{sign} {line}")).collect()
    };
    [only(&kept, &seen, '-'), only(&seen, &kept, '+')].concat()
}

/// Where an object of a real run is kept.
pub fn place(kind: &str, name: &str) -> PathBuf {
    let folder = "integrations/argocd/resource_customizations/ota.rollwave.dev";
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join(kind)
        .join("testdata")
        .join(format!("{name}.yaml"))
}

#[test]
fn the_objects_that_integrations_are_tested_with_are_those_of_a_real_run() {
    let seen = Seen::default();
    let scenes: [fn(&Seen); 10] = [
        a_good_release,
        a_canary_that_a_stop_rule_ends,
        a_canary_that_does_not_pass_its_gate,
        a_package_that_fails_its_verification,
        a_verify_job_that_somebody_deletes,
        references_to_nowhere,
        a_rollout_that_is_suspended,
        a_rollout_that_is_paused,
        a_rollout_that_is_ready_early,
        keys_that_are_refused,
    ];
    each(&scenes, |scene| scene(&seen));
    let writes = std::env::var_os("STATUSES").is_some_and(|value| value == "write");
    let mut wrong = Vec::new();
    for (kind, name, object) in seen.into_inner().unwrap() {
        let (file, object) = (place(&kind, &name), normal(&object));
        if writes {
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(&file, serde_yaml::to_string(&object).unwrap()).unwrap();
        }
        let kept: Value = serde_yaml::from_str(&fs_err::read_to_string(&file).unwrap()).unwrap();
        if kept != object {
            wrong.push(format!("{}:\n{}", file.display(), differences(&kept, &object).join("\n")));
        }
    }
    assert!(wrong.is_empty(), "STATUSES=write writes them anew: {}", wrong.join("\n"));
}
