//! What people ask for while `rollwave run` holds the state, and before it runs.

use super::four;
use super::harness::{Ended, Lab, PACKAGE, Process, ROLLOUT, each};
use rollwave::api::CloudKind;
use serde_json::Value;

fn ask(lab: &Lab, verb: &str) {
    let ended = Ended::of(&mut lab.rollwave(&[verb, "rollout/meter"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.out, format!("OtaRollout/meter: {verb} requested\n"));
}

/// From now on every upgrade fails, or goes as in the usual world.
fn let_fail(lab: &Lab, fails: bool) {
    let bad = r#"[{"version": "V2", "failureRate": "100%", "duration": {"min": "5s", "max": "20s"}}]"#;
    let behaviours = if fails { serde_json::from_str(bad).unwrap() } else { Vec::new() };
    lab.cloud(|cloud| cloud.set_behaviours(behaviours).unwrap());
}

#[test]
fn a_pause_holds_from_before_the_first_run_until_it_is_resumed_and_manifests_say_nothing_of_it() {
    let lab = Lab::new();
    lab.write("package.yaml", &PACKAGE[..PACKAGE.find("  verification").unwrap()]);
    lab.write("rollout.yaml", &ROLLOUT.replace("  targets", "  suspend: true\n  targets"));
    assert_eq!(lab.apply().code, Some(3), "it is suspended");
    ask(&lab, "pause");
    lab.write("rollout.yaml", ROLLOUT);
    let planned = Ended::of(&mut lab.rollwave(&["plan", "fleet"]));
    assert!(planned.out.contains("paused by request"), "{}", planned.said());
    let process = Process::start(&mut lab.verb("run", &[]));
    lab.until_object("rollout/meter", "it is paused", |o| {
        o["status"]["message"].as_str().is_some_and(|text| text.starts_with("paused by request"))
    });
    assert_eq!(lab.tasks().len(), 0);
    let why = Ended::of(&mut lab.rollwave(&["why", "rollout/meter"]));
    assert!(
        why.out.contains("nothing new is dispatched until `rollwave resume rollout/meter`"),
        "{}",
        why.out
    );
    ask(&lab, "resume");
    let done = lab.until_object("rollout/meter", "it ends", |o| o["status"]["phase"] == "Completed");
    assert_eq!(done["metadata"]["generation"], 2, "nothing wrote the spec: {done:#}");
    let handled = &done["status"]["lastHandledResumeAt"];
    assert_eq!(*handled, done["metadata"]["annotations"]["ota.rollwave.dev/resume-requested-at"]);
    drop(process);
}

#[test]
fn whoever_waits_is_told_when_a_request_was_taken_up_and_what_came_of_it() {
    let lab = Lab::new();
    lab.write("package.yaml", &PACKAGE[..PACKAGE.find("  verification").unwrap()]);
    lab.write("rollout.yaml", ROLLOUT);
    let ask = |args: &[&str]| Ended::of(&mut lab.rollwave(args));
    assert_eq!(lab.apply().code, Some(0));
    let nobody = ask(&["pause", "rollout/meter", "--wait", "--timeout", "1s"]);
    assert_eq!((nobody.code, nobody.err.contains("not handled within 1s")), (Some(4), true), "{nobody:?}");
    let process = Process::start(&mut lab.verb("run", &[]));
    for (verb, code, words) in [
        ("reconcile", 0, "OtaRollout/meter: reconcile handled: "),
        ("pause", 0, "OtaRollout/meter: pause handled: paused by request since "),
        ("resume", 0, "OtaRollout/meter: resume handled: "),
        ("retry", 1, "OtaRollout/meter: retry handled: retry refused: no device has failed"),
    ] {
        let ended = ask(&[verb, "rollout/meter", "--wait"]);
        assert_eq!((ended.code, ended.said().contains(words)), (Some(code), true), "{verb}: {ended:?}");
    }
    drop(process);
}

#[test]
fn what_failed_is_tried_again_once_and_what_succeeded_is_left_alone() {
    let lab = Lab::new();
    let_fail(&lab, true);
    lab.write("package.yaml", &PACKAGE[..PACKAGE.find("  verification").unwrap()]);
    let (staged, _) = ROLLOUT.split_once("  stop:").unwrap();
    lab.write("rollout.yaml", &format!("{staged}  stop: []\n"));
    let log = lab.path().join("log");
    let process = Process::start_with_log(&mut lab.verb("run", &[]), &log);
    lab.until_object("rollout/meter", "its gate fails", |o| o["status"]["phase"] == "Held");
    let canary = lab.sent();
    assert_eq!(canary.len(), 5);
    let_fail(&lab, false);
    ask(&lab, "retry");
    lab.until_object("rollout/meter", "it ends", |o| o["status"]["phase"] == "Completed");
    let sent = lab.sent();
    assert_eq!(sent.len(), 22);
    let log = fs_err::read_to_string(log).unwrap();
    for reason in ["PackageCreated", "StageDispatched", "GateFailed", "RetryTaken", "RolloutCompleted"] {
        assert_eq!(
            log.matches(&format!("reason=\"{reason}\"")).count(),
            1 + usize::from(reason == "StageDispatched"),
            "{reason}: {log}"
        );
    }
    assert!(sent.iter().all(|(id, times)| *times == 1 + usize::from(canary.contains_key(id))), "{sent:?}");
    drop(process);
}

#[test]
fn a_verification_that_failed_is_tried_again_on_every_cloud() {
    each(&CloudKind::ALL, |cloud| {
        let lab = four::lab(*cloud, 2);
        let_fail(&lab, true);
        let verification = "  verification: {devices: [m-0000, m-0001], timeout: 2h}\n";
        lab.write("package.yaml", &(four::package(*cloud) + verification));
        let ask = || Ended::of(&mut lab.rollwave(&["retry", "package/v2", "--wait"]));
        let process = Process::start(&mut lab.verb("run", &[]));
        let is = |object: &Value, reason: &str| object["status"]["conditions"].to_string().contains(reason);
        lab.until_object("package/v2", "its verification fails", |o| is(o, "\"VerificationFailed\""));
        let_fail(&lab, false);
        let taken = ask();
        let words = "retry handled: retry accepted: verifying again on 2 devices";
        assert_eq!((taken.code, taken.out.contains(words)), (Some(0), true), "{cloud}: {taken:?}");
        lab.until_object("package/v2", "it is verified", |o| is(o, "\"Verified\",\"status\":\"True\""));
        assert!(lab.sent().values().all(|times| *times == 2), "{cloud}: {:?}", lab.sent());
        let refused = ask();
        let words = "retry refused: no verification has failed";
        assert_eq!((refused.code, refused.err.contains(words)), (Some(1), true), "{cloud}: {refused:?}");
        assert_eq!((lab.tasks().len(), lab.sent().len()), (2, 2), "{cloud}");
        drop(process);
    });
}

#[test]
fn whoever_asks_for_a_look_gets_one_before_the_drift_interval() {
    let lab = Lab::new();
    lab.write("cloud.yaml", &format!("{}  driftInterval: 24h\n", lab.cloud_manifest()));
    lab.write("package.yaml", &PACKAGE[..PACKAGE.find("  verification").unwrap()]);
    let process = Process::start(&mut lab.verb("run", &[]));
    for object in ["package/meter-v2", "cloud/lab"] {
        lab.until_object(object, "it is ready", |o| {
            o["status"]["conditions"].to_string().contains("\"True\"")
        });
    }
    let before = lab.calls("ListOtaPackageInfo");
    let ended = Ended::of(&mut lab.rollwave(&["reconcile", "cloud"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    lab.until("packages are listed anew", || lab.calls("ListOtaPackageInfo") > before);
    let cloud = lab.get(&["cloud/lab"]);
    assert!(cloud["status"]["lastHandledReconcileAt"].is_string(), "{cloud:#}");
    let refused = Ended::of(&mut lab.rollwave(&["pause", "cloud/lab"]));
    assert_eq!(
        (refused.code, refused.err.contains("pause works on rollouts only")),
        (Some(1), true),
        "{refused:?}"
    );
    drop(process);
}
