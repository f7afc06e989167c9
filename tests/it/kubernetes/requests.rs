//! The verbs of the command line against a cluster: what they show, and what they ask for.

use super::control_plane::{ADMIN, find_parts, shared};
use super::harness::{Field, condition, says};
use crate::engine::harness::{Ended, PACKAGE, Process, ROLLOUT, VERIFY_DEVICES, each};
use rollwave::simulator::TaskTruth;
use serde_json::Value;
use std::process::Command;

/// The program as somebody runs it who may change objects, and not in a folder with a state.
fn rollwave(field: &Field<'_>, args: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollwave"));
    command.args(args).current_dir(field.lab.path()).env_remove("ROLLWAVE_STATE").env_remove("RUST_LOG");
    let file = field.plane.kubeconfig_file(ADMIN);
    Ended::of(command.env("KUBECONFIG", file).args(["--namespace", &field.namespace]))
}

fn ask(field: &Field<'_>, verb: &str, object: &str) {
    let ended = rollwave(field, &[verb, object]);
    assert_eq!((ended.code, ended.out.contains("requested")), (Some(0), true), "{ended:?}");
}

/// From now on every upgrade fails, or goes as in the usual world.
fn let_fail(field: &Field<'_>, fails: bool) {
    let bad = r#"[{"version": "V2", "failureRate": "100%", "duration": {"min": "5s", "max": "20s"}}]"#;
    let behaviours = if fails { serde_json::from_str(bad).unwrap() } else { Vec::new() };
    field.lab.cloud(|cloud| cloud.set_behaviours(behaviours).unwrap());
}

fn is_echoed(object: &Value, verb: &str, status: &str) -> bool {
    let asked = &object["metadata"]["annotations"][format!("ota.rollwave.dev/{verb}-requested-at")];
    asked.is_string() && *asked == object["status"][status]
}

#[test]
fn verbs_ask_and_show_in_a_cluster_what_they_do_in_a_folder() {
    let field = Field::new(shared());
    let (unverified, _) = PACKAGE.split_once("  verification").unwrap();
    let (ungoverned, _) = ROLLOUT.split_once("  stop:").unwrap();
    let_fail(&field, true);
    field.apply(unverified);
    field.apply(&format!("{ungoverned}  stop: []\n"));
    ask(&field, "pause", "rollout/meter");
    let controller = Process::start(&mut field.controller());
    let paused = field.until("OtaRollout", "meter", "it is paused", |o| says(o, "paused by request"));
    assert_eq!(condition(&paused, "Ready")["reason"], "Paused");
    assert!(is_echoed(&paused, "pause", "lastHandledPauseAt"), "{paused:#}");
    assert_eq!(field.lab.tasks().len(), 0);

    let listed = rollwave(&field, &["get", "rollouts"]).out;
    assert!(listed.contains("ROLLOUT") && listed.contains("paused by request"), "{listed}");
    let tree = rollwave(&field, &["status", "rollout/meter"]).out;
    assert!(tree.contains("OtaPackage") && tree.contains("OtaCloud"), "{tree}");
    let why = rollwave(&field, &["why", "rollout/meter"]).out;
    assert!(why.contains(&format!("`rollwave resume rollout/{}/meter`", field.namespace)), "{why}");
    let elsewhere = rollwave(&field, &["why", "rollout/metre"]);
    assert_eq!((elsewhere.code, elsewhere.err.contains("did you mean")), (Some(1), true), "{elsewhere:?}");

    ask(&field, "resume", "rollout/meter");
    let failed = field
        .until("OtaRollout", "meter", "its gate fails", |o| condition(o, "Ready")["reason"] == "GateFailed");
    assert!(is_echoed(&failed, "resume", "lastHandledResumeAt"), "{failed:#}");
    let canary = field.lab.sent();
    let_fail(&field, false);
    ask(&field, "retry", "rollout/meter");
    let done = field.until("OtaRollout", "meter", "it ends", |o| o["status"]["phase"] == "Completed");
    assert!(is_echoed(&done, "retry", "lastHandledRetryAt"), "{done:#}");
    assert_eq!(done["metadata"]["generation"], 1, "nothing wrote the spec");
    let sent = field.lab.sent();
    assert_eq!(sent.len(), 22, "{sent:?}");
    assert!(sent.iter().all(|(id, times)| *times == 1 + usize::from(canary.contains_key(id))), "{sent:?}");

    for (kind, name) in [("OtaCloud", "lab"), ("OtaPackage", "meter-v2"), ("OtaRollout", "meter")] {
        let ended = rollwave(&field, &["reconcile", &format!("{kind}/{name}"), "--wait"]);
        assert_eq!((ended.code, ended.out.contains(": reconcile handled: ")), (Some(0), true), "{ended:?}");
        let object = field.get(kind, name).unwrap();
        assert!(is_echoed(&object, "reconcile", "lastHandledReconcileAt"), "{object:#}");
    }
    let (calls, writes) = (field.lab.all_calls(), field.writes());
    field.lab.until("three more rounds of drift", || field.lab.all_calls() >= calls + 3);
    assert_eq!(field.writes(), writes, "each was followed once");
    drop(controller);
}

/// Asks for the verification of the package to be tried again.
type Ask = fn(&Field<'_>);

const ASKED: [(&str, Ask); 3] = [
    ("rollwave retry", |field| ask(field, "retry", "package/meter-v2")),
    ("kubectl annotate", |field| {
        let tools = find_parts(&["kubectl"]);
        let value = "ota.rollwave.dev/retry-requested-at=2026-11-23T10:00:00Z";
        let said = Command::new(&tools["kubectl"])
            .args([
                "annotate",
                "--overwrite",
                "otapackage",
                "meter-v2",
                value,
                "--namespace",
                &field.namespace,
            ])
            .env("KUBECONFIG", field.plane.kubeconfig_file(ADMIN))
            .env("HOME", field.lab.path())
            .output()
            .unwrap();
        assert!(said.status.success(), "{said:?}");
    }),
    // What the action returns, by Argo CD's own evaluator (`tests/argocd/`): of that, Argo CD patches what differs.
    ("the action of Argo CD", |field| {
        let returned = include_str!(
            "../../../integrations/argocd/resource_customizations/ota.rollwave.dev/OtaPackage/actions/testdata/retried.yaml"
        );
        let returned: Value = serde_yaml::from_str(returned).unwrap();
        let annotations = returned["metadata"]["annotations"].as_object().unwrap();
        for (annotation, value) in annotations {
            field.annotate("OtaPackage", "meter-v2", annotation, value.as_str().unwrap());
        }
    }),
];

#[test]
fn a_verification_that_failed_is_tried_again_once_whoever_asks_for_it() {
    each(&ASKED, |(who, ask)| {
        let field = Field::new(shared());
        let_fail(&field, true);
        field.apply(PACKAGE);
        let controller = Process::start(&mut field.controller());
        let failed = field.until("OtaPackage", "meter-v2", "its verification fails", |package| {
            condition(package, "Verified")["reason"] == "VerificationFailed"
        });
        let_fail(&field, false);
        ask(&field);
        let verified = field.until("OtaPackage", "meter-v2", "it is verified", |package| {
            condition(package, "Verified")["status"] == "True"
        });
        assert!(is_echoed(&verified, "retry", "lastHandledRetryAt"), "{who}: {verified:#}");
        assert_eq!(condition(&verified, "Ready")["status"], "True", "{who}: {verified:#}");
        assert_eq!(verified["metadata"]["generation"], 1, "{who}: nothing wrote the spec");
        assert_tried_twice(&field, who, [&failed, &verified]);

        let more = rollwave(&field, &["reconcile", "package/meter-v2", "--wait"]);
        assert_eq!(more.code, Some(0), "{who}: {more:?}");
        let (calls, written) = (field.lab.all_calls(), field.writes());
        field.lab.until("three more looks", || field.lab.all_calls() >= calls + 3);
        assert_eq!(field.writes(), written, "{who}: it is handled");
        assert!(controller.terminate().0.success(), "{who}");
        let calls = field.lab.all_calls();
        let controller = Process::start(&mut field.controller());
        field.lab.until("another controller looks, three times", || field.lab.all_calls() >= calls + 3);
        let now = field.get("OtaPackage", "meter-v2").unwrap();
        assert_tried_twice(&field, who, [&failed, &now]);
        drop(controller);
    });
}

/// One package, and a job for each attempt: under a token of its own, for the devices that do not run the version.
fn assert_tried_twice(field: &Field<'_>, who: &str, statuses: [&Value; 2]) {
    let of = |name: &str| statuses.map(|package| package["status"]["verification"][name].clone());
    let (tokens, tasks) = (of("token"), field.lab.tasks());
    assert_ne!(tokens[0], tokens[1], "{who}");
    assert_eq!(of("attempt"), [Value::Null, 1.into()], "{who}");
    assert_eq!(of("jobId").to_vec(), tasks.iter().map(|task| task.id.as_str()).collect::<Vec<_>>(), "{who}");
    let carries = |(task, token): (&TaskTruth, &Value)| task.name.contains(token.as_str().unwrap());
    assert!(tasks.iter().zip(&tokens).all(carries), "{who}: {tokens:?}: {tasks:#?}");
    assert_eq!(field.lab.calls("CreateOtaPackage"), 1, "{who}");
    assert_eq!(field.lab.calls("CreateBatchTask"), 2, "{who}");
    assert_eq!(field.lab.sent(), VERIFY_DEVICES.map(|id| (id.to_owned(), 2)).into(), "{who}");
}

#[test]
fn a_paused_rollout_can_be_deleted() {
    let field = Field::new(shared());
    let slow = r#"[{"version": "V2", "duration": {"min": "2h", "max": "2h"}}]"#;
    let (unverified, _) = PACKAGE.split_once("  verification").unwrap();
    field.lab.cloud(|cloud| cloud.set_behaviours(serde_json::from_str(slow).unwrap()).unwrap());
    field.apply(unverified);
    field.apply(ROLLOUT);
    let controller = Process::start(&mut field.controller());
    field.lab.until("the canary is sent", || !field.lab.tasks().is_empty());
    ask(&field, "pause", "rollout/meter");
    field.lab.until("its task is stopped", || field.lab.tasks()[0].status.starts_with("Stop"));
    field.delete("OtaRollout", "meter");
    field.until_gone("OtaRollout", "meter");
    assert_eq!(field.lab.tasks().len(), 1);
    drop(controller);
    let package = "package/meter-v2";
    let nobody = rollwave(&field, &["reconcile", package, "--wait", "--timeout", "1s"]);
    assert_eq!((nobody.code, nobody.err.contains("not handled within 1s")), (Some(4), true), "{nobody:?}");
}
