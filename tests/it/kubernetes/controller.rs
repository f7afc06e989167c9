//! What people see of a controller: manifests converge, what is wrong is said, and nothing is written when nothing happens.

use super::control_plane::shared;
use super::harness::{Field, condition, says};
use crate::engine::harness::{PACKAGE, Process, ROLLOUT};
use serde_json::json;

#[test]
fn what_is_applied_converges_and_a_quiet_cluster_sees_no_writes() {
    let field = Field::new(shared());
    let controller = Process::start(&mut field.controller());
    // In the order in which they are not wanted.
    field.apply(ROLLOUT);
    field.apply(PACKAGE);
    field.assert_converges("applied while the controller runs");
    let cloud = field.until("OtaCloud", "lab", "the account answers", |cloud| says(cloud, "connected to "));
    let package = field.get("OtaPackage", "meter-v2").unwrap();
    let rollout = field.get("OtaRollout", "meter").unwrap();
    for object in [&cloud, &package, &rollout] {
        assert_eq!(condition(object, "Ready")["status"], "True", "{object:#}");
        assert_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"], "{object:#}");
        assert_eq!(object["metadata"]["finalizers"], json!(["ota.rollwave.dev/settle"]), "{object:#}");
        for absent in ["Reconciling", "Stalled"] {
            assert!(condition(object, absent).is_null(), "{absent}: {object:#}");
        }
    }
    assert_quiet(&field);
    drop(controller);
}

/// Rounds of drift are 24 hours apart, 12 minutes here: longer than anything is waited for.
#[test]
fn a_soak_ends_when_it_is_over_and_not_at_the_next_round_of_drift() {
    let field = Field::new(shared());
    field.apply(&(field.account() + "  driftInterval: 24h\n"));
    let (unverified, _) = PACKAGE.split_once("  verification").unwrap();
    field.apply(unverified);
    field.apply(&ROLLOUT.replace("soak: 1m", "soak: 10m"));
    let controller = Process::start(&mut field.controller());
    field.until("OtaRollout", "meter", "the canary soaks", |rollout| {
        rollout["status"]["stages"][0]["soaksUntil"].is_string()
    });
    field.until("OtaRollout", "meter", "it completes", |rollout| rollout["status"]["phase"] == "Completed");
    drop(controller);
}

#[test]
fn namespaces_use_an_account_that_allows_them_and_never_see_its_keys() {
    let (platform, team) = (Field::new(shared()), Field::without_account(shared()));
    let of_platform = format!("cloudRef: {{name: lab, namespace: {}}}", platform.namespace);
    team.apply(&PACKAGE.replace("cloudRef: {name: lab}", &of_platform));
    team.apply(ROLLOUT);
    let mut command = platform.controller();
    let controller = Process::start(command.args(["--namespace", &team.namespace]));
    let words = format!("does not allow namespace {}", team.namespace);
    let refused = team.until("OtaPackage", "meter-v2", "it is refused", |object| says(object, &words));
    assert_eq!(condition(&refused, "Stalled")["reason"], "NamespaceNotAllowed", "{refused:#}");
    assert_eq!(platform.lab.packages(), []);
    platform.apply(&format!("{}  allowedNamespaces: [{}]\n", platform.account(), team.namespace));
    let completed =
        team.until("OtaRollout", "meter", "it completes", |object| object["status"]["phase"] == "Completed");
    assert_eq!(completed["status"]["account"], format!("{}/lab", platform.namespace), "{completed:#}");
    platform.assert_everything_once("in the account of another namespace");
    assert_eq!(team.list("Secret"), Vec::<serde_json::Value>::new());
    drop(controller);
}

/// Several rounds of drift go by, and nothing is written.
fn assert_quiet(field: &Field<'_>) {
    let before = field.lab.all_calls();
    field.lab.until("a round of drift", || field.lab.all_calls() > before);
    let (calls, writes) = (field.lab.all_calls(), field.writes());
    field.lab.until("three more rounds of drift", || field.lab.all_calls() >= calls + 3);
    assert_eq!(field.writes(), writes);
    assert!(!writes.is_empty(), "the audit log tells of writes");
}

#[test]
fn one_broken_object_is_told_so_and_stops_nothing_else() {
    let field = Field::new(shared());
    field.apply(PACKAGE);
    // Passes the schema, and is no number that a count can be.
    field.apply(&ROLLOUT.replace("name: meter}", "name: broken}"));
    field.patch_status("OtaRollout", "broken", &json!({"excluded": {"unknown": 5_000_000_000_u64, "bySpec": 0, "byVersion": 0, "alreadyCurrent": 0}}));
    field.apply(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {name: own-machine}\nspec:\n  \
         enos: {endpoint: \"http://127.0.0.1:1\", orgId: o}\n  \
         credentials: {accessKey: \"exec:id\", secretKey: \"env:HOME\"}\n",
    );
    let controller = Process::start(&mut field.controller());
    field.apply(ROLLOUT);
    field.assert_converges("beside broken objects");
    let broken =
        field.until("OtaRollout", "broken", "it is told so", |object| says(object, "cannot be parsed"));
    assert_eq!(condition(&broken, "Stalled")["reason"], "InvalidObject", "{broken:#}");
    assert_eq!(broken["status"]["excluded"]["unknown"], 5_000_000_000_u64, "what stood there stays");
    field.until("OtaCloud", "own-machine", "it is told so", |object| {
        says(object, "spec.credentials.secretRef")
    });
    let other =
        PACKAGE.replace("{name: meter-v2}", "{name: other}").replace("{name: lab}", "{name: own-machine}");
    field.apply(&other);
    field.until("OtaPackage", "other", "its account is not called missing", |package| {
        says(package, "own-machine is invalid") && says(package, "its status shows what is wrong")
    });
    field.delete("OtaPackage", "other");
    field.until_gone("OtaPackage", "other");
    // Passes the schema, and a file needs a folder that this controller does not have.
    let invalid =
        PACKAGE.replace("{name: meter-v2}", "{name: invalid}").replace("version: V2", "version: V9");
    let (invalid, _) = invalid.split_once("    obs:").unwrap();
    field.apply(&format!("{invalid}    file: meter.bin\n"));
    field.apply(&ROLLOUT.replace("{name: meter}", "{name: waiting}").replace("meter-v2", "invalid"));
    let waiting = field.until("OtaRollout", "waiting", "its package is not called missing", |rollout| {
        says(rollout, "OtaPackage invalid is invalid")
    });
    assert_eq!(condition(&waiting, "Stalled")["reason"], "PackageInvalid", "{waiting:#}");
    for (kind, name) in [("OtaRollout", "waiting"), ("OtaPackage", "invalid")] {
        field.delete(kind, name);
        field.until_gone(kind, name);
    }
    // It can be deleted all the same, or put right.
    field.patch_status("OtaRollout", "broken", &json!({"excluded": {"unknown": 0}}));
    field.until("OtaRollout", "broken", "it is looked at again", |object| {
        object["status"]["phase"] == "Completed"
    });
    assert!(condition(&field.get("OtaRollout", "broken").unwrap(), "Stalled").is_null());
    field.patch_status("OtaRollout", "broken", &json!({"excluded": {"unknown": 5_000_000_000_u64}}));
    field.until("OtaRollout", "broken", "it is told so again", |object| says(object, "cannot be parsed"));
    field.delete("OtaRollout", "broken");
    field.until_gone("OtaRollout", "broken");
    field.assert_everything_once("whatever became of the broken one");
    assert_quiet(&field);
    drop(controller);
}

#[test]
fn a_wrong_secret_is_told_and_the_right_one_is_taken_up_by_itself() {
    let field = Field::without_account(shared());
    field.apply(&field.account());
    field.apply(PACKAGE);
    field.apply(ROLLOUT);
    let controller = Process::start(&mut field.controller());
    let cloud = field
        .until("OtaCloud", "lab", "the Secret is missed", |cloud| says(cloud, "there is no Secret keys"));
    assert!(!condition(&cloud, "Ready").is_null(), "{cloud:#}");
    field.apply_keys("another-secret-key");
    let cloud = field.until("OtaCloud", "lab", "the keys are refused", |cloud| {
        condition(cloud, "Ready")["reason"] == "Unauthorized" && !says(cloud, "there is no Secret")
    });
    assert!(!cloud.to_string().contains("another-secret-key"));
    field.apply_keys("the-secret-key");
    field.assert_converges("with the right keys");
    drop(controller);
}

#[test]
fn deleted_objects_are_settled_before_they_go() {
    let field = Field::new(shared());
    field.apply(&PACKAGE.replace("  verification", "  deletionPolicy: Delete\n  verification"));
    field.apply(ROLLOUT);
    let controller = Process::start(&mut field.controller());
    field.assert_converges("before it is deleted");
    field.delete("OtaCloud", "lab");
    field.delete("OtaPackage", "meter-v2");
    field.until("OtaPackage", "meter-v2", "it waits for its rollout", |package| says(package, "rollouts"));
    field.delete("OtaRollout", "meter");
    for (kind, name) in [("OtaRollout", "meter"), ("OtaPackage", "meter-v2"), ("OtaCloud", "lab")] {
        field.until_gone(kind, name);
    }
    assert_eq!(field.lab.packages(), [], "by its deletionPolicy");
    drop(controller);
}

#[test]
fn a_spec_that_changes_on_the_way_and_a_status_that_somebody_else_writes_are_taken_up() {
    let field = Field::new(shared());
    let controller = Process::start(&mut field.controller());
    field.apply(PACKAGE);
    field.apply(&ROLLOUT.replace("soak: 1m", "soak: 5d"));
    field.until("OtaRollout", "meter", "the canary soaks", |rollout| {
        rollout["status"]["stages"][0]["phase"] == "Soaking"
    });
    field.patch_status("OtaRollout", "meter", &json!({"message": "all is well, says somebody else"}));
    field.until("OtaRollout", "meter", "it is put right", |rollout| !says(rollout, "somebody else"));
    field.apply(ROLLOUT);
    field.assert_converges("after its soak was shortened");
    drop(controller);
}

#[test]
fn figures_say_what_happened() {
    let field = Field::new(shared());
    let logs = ["first", "second"].map(|name| field.lab.path().join(name));
    let controllers = logs.each_ref().map(|log| {
        let mut command = field.controller();
        let process = Process::start_with_log(command.args(["--listen", "127.0.0.1:0"]), log);
        field.lab.until("it has looked at the Lease", || field.ask(log, "/readyz").0 == 200);
        process
    });
    field.apply(PACKAGE);
    field.apply(ROLLOUT);
    field.assert_converges("while figures are taken");
    let [leading, waiting] = logs.each_ref().map(|log| field.ask(log, "/metrics").1);
    let account = format!("account=\"{}/lab\"", field.namespace);
    for line in [
        "rollwave_leader 1\n".to_owned(),
        format!(
            "rollwave_cloud_calls_total{{{account},operation=\"CreatePackage\",outcome=\"Succeeded\"}} 1\n"
        ),
        format!("rollwave_cloud_calls_total{{{account},operation=\"CreateJob\",outcome=\"Succeeded\"}} 3\n"),
        format!(
            "rollwave_rollout_devices{{namespace=\"{}\",rollout=\"meter\",outcome=\"succeeded\"}} 20\n",
            field.namespace
        ),
        "rollwave_objects{kind=\"OtaRollout\",health=\"ready\"} 1\n".to_owned(),
        "rollwave_reconciles_total{kind=\"OtaRollout\",result=\"changed\"}".to_owned(),
        "rollwave_reconcile_seconds_bucket{".to_owned(),
        format!("rollwave_queue_depth{{{account}}}"),
        format!("rollwave_budget_calls_per_second{{{account}}} 10.0\n"),
    ] {
        assert!(leading.contains(&line), "{line}\n{leading}");
    }
    let pending = leading.lines().filter(|line| line.starts_with("rollwave_journal_pending{"));
    assert!(pending.clone().count() == 6 && pending.clone().all(|line| line.ends_with(" 0")), "{leading}");
    assert!(waiting.contains("rollwave_leader 0\n"), "{waiting}");
    assert_eq!(field.ask(&logs[1], "/readyz"), (200, "ready to take over\n".to_owned()));
    drop(controllers);
}

#[test]
fn what_is_held_or_cannot_reach_its_cloud_can_be_deleted() {
    let field = Field::without_account(shared());
    let controller = Process::start(&mut field.controller());
    let nowhere = field.account().replace(&field.lab.url(), "http://127.0.0.1:1");
    field.apply(&nowhere);
    field.apply_keys("the-secret-key");
    field.apply(PACKAGE);
    field.apply(&ROLLOUT.replace("  targets:", "  suspend: true\n  targets:"));
    field.until("OtaCloud", "lab", "it is told so", |cloud| {
        condition(cloud, "Ready")["reason"] == "Unavailable"
    });
    for (kind, name) in [("OtaRollout", "meter"), ("OtaPackage", "meter-v2"), ("OtaCloud", "lab")] {
        field.until(kind, name, "it was looked at", |object| !condition(object, "Ready").is_null());
        field.delete(kind, name);
        field.until_gone(kind, name);
    }
    drop(controller);
}
