//! Everything is deleted at once, at each point of a release: it goes, nothing is left behind in the cloud, and nothing is sent
//! meanwhile.

use super::control_plane::{ADMIN, find_parts, shared};
use super::harness::{Field, says};
use crate::engine::harness::{PACKAGE, Process, ROLLOUT, each};
use rollwave::simulator::faults::{Kind, When};
use serde_json::{Value, json};
use std::process::Command;

/// A point of a release.
struct Phase {
    name: &'static str,
    /// What becomes of the upgrades.
    behaviour: Value,
    /// The create whose answer is lost.
    lost: Option<&'static str>,
    /// A manifest of a rollout.
    rollout: fn() -> String,
    is_reached: fn(&Value, &Value) -> bool,
}

const OPEN: [&str; 4] = ["Initializing", "Waitting", "Processing", "Stopping"];

fn phases() -> Vec<Phase> {
    let stuck = || json!({"version": "V2", "stuckRate": "100%"});
    let good = || json!({"version": "V2", "duration": {"min": "5s", "max": "20s"}});
    let bad = || json!({"version": "V2", "failureRate": "100%", "duration": {"min": "5s", "max": "20s"}});
    let usual: fn() -> String = || ROLLOUT.to_owned();
    let phase =
        |name, behaviour, lost, rollout, is_reached| Phase { name, behaviour, lost, rollout, is_reached };
    vec![
        phase("the package's create is in doubt", good(), Some("CreateOtaPackage"), usual, |package, _| {
            package["status"]["pending"][0]["state"] == "Ambiguous"
        }),
        phase("it is being verified", stuck(), None, usual, |package, _| {
            package["status"]["verification"]["jobId"].is_string()
        }),
        phase("its verification is in doubt", good(), Some("CreateBatchTask"), usual, |package, _| {
            package["status"]["pending"][0]["state"] == "Ambiguous"
        }),
        phase("its verification has failed", bad(), None, usual, |package, _| {
            package["status"]["message"].as_str().is_some_and(|text| text.contains("verification failed"))
        }),
        phase(
            "the canary soaks",
            good(),
            None,
            || ROLLOUT.replace("soak: 1m", "soak: 5d"),
            |_, rollout| rollout["status"]["stages"][0]["phase"] == "Soaking",
        ),
        phase("the canary runs", json!(null), None, usual, |_, rollout| {
            rollout["status"]["stages"][0]["jobs"][0]["id"].is_string()
        }),
        phase("it is completed", good(), None, usual, |_, rollout| rollout["status"]["phase"] == "Completed"),
    ]
}

fn reach(field: &Field<'_>, phase: &Phase) {
    let unverified = phase.behaviour.is_null();
    let behaviour =
        if unverified { json!({"version": "V2", "stuckRate": "100%"}) } else { phase.behaviour.clone() };
    let behaviours = serde_json::from_value(json!([behaviour])).unwrap();
    field.lab.cloud(|cloud| cloud.set_behaviours(behaviours).unwrap());
    if let Some(operation) = phase.lost {
        field.lab.fault(operation, Some(1), Kind::Reset { when: When::After });
    }
    let package = PACKAGE.replace("  verification", "  deletionPolicy: Delete\n  verification");
    let (without, _) = package.split_once("  verification").unwrap();
    field.apply(if unverified { without } else { &package });
    field.apply(&(phase.rollout)());
    field.until("OtaRollout", "meter", phase.name, |rollout| {
        let package = field.get("OtaPackage", "meter-v2").unwrap_or_default();
        (phase.is_reached)(&package, rollout)
    });
}

const EVERYTHING: [(&str, &str); 4] =
    [("Secret", "keys"), ("OtaCloud", "lab"), ("OtaPackage", "meter-v2"), ("OtaRollout", "meter")];

fn assert_nothing_is_left(field: &Field<'_>, case: &str) {
    EVERYTHING.iter().rev().for_each(|(kind, name)| field.until_gone(kind, name));
    let open: Vec<_> =
        field.lab.tasks().into_iter().filter(|task| OPEN.contains(&task.status.as_str())).collect();
    assert!(open.is_empty(), "{case}: {open:#?}");
    assert_eq!(field.lab.packages(), [], "{case}");
    assert!(field.lab.sent().values().all(|times| *times == 1), "{case}: {:?}", field.lab.sent());
}

#[test]
fn a_release_that_is_deleted_at_any_point_leaves_nothing_behind() {
    each(&phases(), |phase| {
        let field = Field::new(shared());
        let controller = Process::start(&mut field.controller());
        reach(&field, phase);
        EVERYTHING.iter().for_each(|(kind, name)| field.delete(kind, name));
        assert_nothing_is_left(&field, phase.name);
        drop(controller);
    });
}

/// As when a namespace is deleted: in any order, and nobody may be at work just then.
#[test]
fn a_release_that_is_deleted_in_any_order_while_no_controller_runs_leaves_nothing_behind() {
    let orders: [[usize; 4]; 4] = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]];
    each(&orders, |order| {
        let field = Field::new(shared());
        let controller = Process::start(&mut field.controller());
        let phases = phases();
        let runs = phases.iter().find(|phase| phase.name == "the canary runs").unwrap();
        reach(&field, runs);
        controller.kill();
        order.iter().map(|index| EVERYTHING[*index]).for_each(|(kind, name)| field.delete(kind, name));
        assert!(field.get("Secret", "keys").unwrap()["metadata"]["deletionTimestamp"].is_string());
        let controller = Process::start(&mut field.controller());
        assert_nothing_is_left(&field, &format!("{order:?}"));
        drop(controller);
    });
}

#[test]
fn a_secret_that_the_account_does_not_name_any_more_can_be_deleted() {
    let field = Field::new(shared());
    let controller = Process::start(&mut field.controller());
    field.until("OtaCloud", "lab", "it answers", |cloud| cloud["status"]["secretName"] == "keys");
    field.apply(&KEYS.replace("keys", "other"));
    field.apply(&field.account().replace("name: keys", "name: other"));
    field.delete("Secret", "keys");
    field.until_gone("Secret", "keys");
    field.until("OtaCloud", "lab", "it answers", |cloud| cloud["status"]["secretName"] == "other");
    let kept = field.get("Secret", "other").unwrap();
    assert_eq!(kept["metadata"]["finalizers"].as_array().map(Vec::len), Some(1), "{kept:#}");
    drop(controller);
}

/// The keys are gone for good, and nobody who knew them is alive.
#[test]
fn a_deletion_that_cannot_go_on_says_why_and_shows_a_command_that_ends_it() {
    let field = Field::new(shared());
    let controller = Process::start(&mut field.controller());
    let phases = phases();
    reach(&field, phases.iter().find(|phase| phase.name == "the canary runs").unwrap());
    controller.kill();
    field.drop_finalizers("Secret", "keys");
    EVERYTHING.iter().for_each(|(kind, name)| field.delete(kind, name));
    field.until_gone("Secret", "keys");
    let controller = Process::start(&mut field.controller());
    let waits = field.until("OtaRollout", "meter", "it says so", |rollout| says(rollout, "deletion waits: "));
    assert!(says(&waits, "there is no Secret keys"), "{waits:#}");
    assert_eq!(waits["status"]["phase"], "Deleting");
    field.lab.until("it is told", || {
        let told = field.list("Event").iter().map(|event| event["reason"].clone()).collect::<Vec<_>>();
        told.iter().any(|reason| reason == "DeletionPending")
    });
    let message = waits["status"]["message"].as_str().unwrap();
    let (_, command) = message.split_once("leave what is in the cloud as it is: ").unwrap();
    let kubectl = &find_parts(&["kubectl"])["kubectl"];
    let command = command.replacen("kubectl", &kubectl.display().to_string(), 1);
    let mut shell = Command::new("bash");
    shell.args(["-c", &command]).env("KUBECONFIG", field.plane.kubeconfig_file(ADMIN));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    field.until_gone("OtaRollout", "meter");
    drop(controller);
}

const KEYS: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {accessKey: THE-ACCESS-KEY, secretKey: the-secret-key}\n";
