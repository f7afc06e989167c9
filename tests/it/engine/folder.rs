//! What a folder of manifests means: what appears in it happens, what is edited is followed, what is removed is let go.

use super::harness::{Ended, Lab, PACKAGE, Process, ROLLOUT, package};
use std::time::Duration;

fn names(lab: &Lab) -> Vec<String> {
    let list = lab.get(&[]);
    let name = |object: &serde_json::Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn what_is_removed_is_let_go_by_its_policy() {
    let lab = Lab::new();
    lab.write("keep.yaml", &package("V2", ""));
    lab.write("drop.yaml", &package("V3", "  deletionPolicy: Delete\n"));
    lab.converge();
    assert_eq!(lab.packages().len(), 2);
    lab.remove("keep.yaml");
    lab.remove("drop.yaml");
    lab.converge();
    let versions: Vec<String> = lab.packages().into_iter().map(|package| package.version).collect();
    assert_eq!(versions, ["V2"], "Orphan leaves it, Delete does not");
    assert_eq!(names(&lab), ["lab"]);
}

#[test]
fn a_package_goes_only_after_its_rollout() {
    let lab = Lab::new();
    lab.write("package.yaml", &package("V2", "  deletionPolicy: Delete\n"));
    // A canary that answers late: its task still runs when the manifests are removed.
    lab.cloud(|cloud| {
        let slow = r#"[{"version": "V2", "duration": {"min": "2h", "max": "2h"}}]"#;
        cloud.set_behaviours(serde_json::from_str(slow).unwrap()).unwrap();
    });
    lab.write("rollout.yaml", ROLLOUT);
    let process = Process::start(&mut lab.verb("run", &[]));
    lab.until("the canary is sent", || !lab.tasks().is_empty());
    process.kill();
    lab.remove("package.yaml");
    lab.remove("rollout.yaml");
    lab.converge();
    assert_eq!(names(&lab), ["lab"]);
    assert!(lab.packages().is_empty(), "{:?}", lab.packages());
    assert!(lab.calls("StopBatchTask") > 0, "what still ran was stopped first");
    let deletions = lab.cloud(|cloud| cloud.counters()["DeleteOtaPackage"].by_end.clone());
    assert_eq!(deletions.keys().collect::<Vec<_>>(), ["204"], "the cloud never had to refuse it");
}

#[test]
fn a_running_folder_acts_on_what_appears_and_on_nothing_half_written() {
    let lab = Lab::new();
    let process = Process::start(&mut lab.verb("run", &[]));
    lab.until("the account is asked", || lab.calls("ListOtaPackageInfo") > 0);
    lab.write("package.yaml", &package("V2", "  deletionPolicy: Delete\n"));
    lab.until("a new file happens", || lab.packages().len() == 1);

    // Cut in the middle, the file says nothing about the package any more; and the other file is new and whole.
    fs_err::write(lab.manifest("package.yaml"), &PACKAGE[..PACKAGE.len() / 2]).unwrap();
    lab.write("next.yaml", &package("V3", ""));
    lab.until("the whole file happens", || lab.packages().len() == 2);
    assert_eq!(lab.calls("DeleteOtaPackage"), 0);
    lab.until_object("package/meter-v2", "it is as it was", |object| {
        object["status"]["packageId"].is_string()
    });

    lab.write("package.yaml", &package("V2", "  deletionPolicy: Delete\n"));
    lab.remove("next.yaml");
    lab.until_object("package", "the removed one is let go", |list| {
        list["items"].as_array().is_some_and(|items| items.len() == 1) || list["kind"] == "OtaPackage"
    });
    let (status, took) = process.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "it took {took:?} to end");
}

#[test]
fn a_rollout_that_is_given_another_package_in_the_middle_goes_on_with_that() {
    let lab = Lab::new();
    lab.write("package.yaml", &package("V2", ""));
    lab.write("next.yaml", &package("V3", ""));
    // Held after its canary: the gate wants more devices than the canary has.
    lab.write("rollout.yaml", &ROLLOUT.replace("minSuccess: 90%", "minSuccess: 90%, minSample: 6"));
    let held = lab.apply();
    assert_eq!(held.code, Some(3), "{held:?}");
    assert_eq!(lab.sent().len(), 5);
    lab.write("rollout.yaml", &ROLLOUT.replace("meter-v2", "meter-v3"));
    lab.converge();
    for device in lab.sent().keys() {
        assert_eq!(lab.firmware(device).as_deref(), Some("V3"), "{device}");
    }
    assert_eq!(lab.sent().len(), 22, "every device was reached");
    let to_v2 = &lab.packages().into_iter().find(|package| package.version == "V2").unwrap().id;
    let tasks = lab.tasks().into_iter().filter(|task| task.packages.contains(to_v2)).count();
    assert_eq!(tasks, 1, "nobody else was sent V2");
}

#[test]
fn a_suspended_rollout_stops_its_tasks_and_goes_on_when_it_is_resumed() {
    let lab = Lab::new();
    lab.write("package.yaml", &package("V2", ""));
    lab.write("rollout.yaml", ROLLOUT);
    lab.cloud(|cloud| {
        let slow = r#"[{"version": "V2", "duration": {"min": "1h", "max": "1h"}}]"#;
        cloud.set_behaviours(serde_json::from_str(slow).unwrap()).unwrap();
    });
    let process = Process::start(&mut lab.verb("run", &[]));
    lab.until("the canary is sent", || !lab.tasks().is_empty());
    lab.write("rollout.yaml", &format!("{ROLLOUT}  suspend: true\n"));
    lab.until("its task is stopped", || lab.tasks().iter().all(|task| task.status.starts_with("Stop")));
    lab.until_object("rollout/meter", "it is held", |o| {
        o["status"]["message"].to_string().contains("uspend")
    });
    assert_eq!(lab.tasks().len(), 1, "nothing new while it is suspended");
    process.kill();
    lab.cloud(|cloud| cloud.set_behaviours(Vec::new()).unwrap());
    lab.write("rollout.yaml", ROLLOUT);
    lab.converge();
    assert_eq!(lab.sent().len(), 22);
    assert!((0..20).all(|n| lab.firmware(&format!("meter-{n:04}")).as_deref() == Some("V2")));
}

#[test]
fn a_bad_build_reaches_its_canary_and_nobody_else() {
    let lab = Lab::new();
    lab.write("package.yaml", &package("bad", ""));
    lab.write("rollout.yaml", &ROLLOUT.replace("meter-v2", "meter-bad"));
    let ended = lab.apply();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.said().contains("too-many-failures"), "{}", ended.said());
    let canary = lab.sent();
    assert_eq!(canary.len(), 5, "{canary:?}");
    lab.cloud(rollwave::simulator::Simulator::reset_counters);
    let again = lab.apply();
    assert_eq!((again.code, lab.calls("CreateBatchTask")), (Some(3), 0), "asking again releases nothing");
    assert_eq!(lab.sent(), canary);
    let why = Ended::of(&mut lab.rollwave(&["why", "rollout/meter"]));
    assert!(why.out.contains("too-many-failures"), "{}", why.out);
}
