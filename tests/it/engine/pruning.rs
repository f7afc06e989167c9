//! A source that vanishes deletes nothing, and an object belongs to its source wherever that is checked out.

use super::harness::{Ended, Lab, PACKAGE, Process, ROLLOUT};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("package.yaml", &format!("{PACKAGE}  deletionPolicy: Delete\n"));
    lab.write("rollout.yaml", ROLLOUT);
    lab
}

fn names(lab: &Lab) -> Vec<String> {
    let list = lab.get(&[]);
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(name).collect()
}

/// Every manifest is moved away; the folder stays.
fn vanish(lab: &Lab) {
    fs_err::rename(lab.path().join("fleet"), lab.path().join("away")).unwrap();
    fs_err::create_dir(lab.path().join("fleet")).unwrap();
}

fn come_back(lab: &Lab) {
    fs_err::remove_dir(lab.path().join("fleet")).unwrap();
    fs_err::rename(lab.path().join("away"), lab.path().join("fleet")).unwrap();
}

fn is_withheld(object: &Value) -> bool {
    object["metadata"]["annotations"]["rollwave.dev/prune-withheld"].is_string()
}

fn run(lab: &Lab, args: &[&str]) -> Ended {
    Ended::of(&mut lab.rollwave(args))
}

#[test]
fn a_folder_that_becomes_empty_under_run_deletes_nothing_until_that_is_confirmed() {
    let lab = lab();
    let log = lab.path().join("log");
    let _process = Process::start_with_log(&mut lab.verb("run", &[]), &log);
    lab.until("the rollout is done", || lab.firmware("meter-0019").as_deref() == Some("V2"));
    vanish(&lab);
    lab.until_object("rollout/meter", "its deletion is withheld", is_withheld);
    let log = fs_err::read_to_string(&log).unwrap();
    assert!(log.contains("the manifests of 3 of 3 objects are missing"), "{log}");
    assert!(run(&lab, &["status"]).out.contains("manifest missing since"), "status shows it");
    assert_eq!((lab.packages().len(), lab.calls("StopBatchTask")), (1, 0));

    come_back(&lab);
    lab.until_object("rollout/meter", "its manifest is back", |object| !is_withheld(object));
    let refused = run(&lab, &["prune", "rollout", "package"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.err.contains("no deletion awaits confirmation"), "{}", refused.err);

    vanish(&lab);
    lab.until_object("rollout/meter", "its deletion is withheld", is_withheld);
    let confirmed = run(&lab, &["prune", "rollout", "package", "--wait", "--timeout", "60s"]);
    assert_eq!(confirmed.code, Some(0), "{confirmed:#?}");
    lab.until("the package is deleted", || lab.packages().is_empty());
    lab.until("what was confirmed goes, and nothing else", || names(&lab) == ["lab"]);
}

#[test]
fn plan_and_apply_fail_on_an_empty_folder_and_say_what_would_be_deleted() {
    let lab = lab();
    lab.converge();
    vanish(&lab);
    let plan = run(&lab, &["plan", "fleet", "-o", "json"]);
    assert_eq!(plan.code, Some(1), "{plan:#?}");
    let document: Value = serde_json::from_str(&plan.out).unwrap();
    let all = json!(["OtaCloud/lab", "OtaPackage/meter-v2", "OtaRollout/meter"]);
    assert_eq!((&document["withheld"], &document["changes"]), (&all, &json!(false)));
    let applied = lab.apply();
    assert_eq!(applied.code, Some(1), "{applied:#?}");
    for text in ["the manifests of 3 of 3 objects are missing", "OtaRollout/meter", "--allow-prune"] {
        assert!(applied.err.contains(text), "{text}: {}", applied.err);
    }
    assert_eq!((lab.packages().len(), names(&lab).len()), (1, 3));

    let plan = run(&lab, &["plan", "fleet", "--allow-prune"]);
    assert_eq!(plan.code, Some(2), "{plan:#?}");
    assert!(plan.out.contains("will be deleted: its manifest was removed"), "{}", plan.out);
    let allowed = Ended::of(&mut lab.verb("apply", &["--wait", "--timeout", "60s", "--allow-prune"]));
    assert_eq!(allowed.code, Some(0), "{allowed:#?}");
    assert_eq!((lab.packages().len(), names(&lab).len()), (0, 0));
}

/// The folder as a checkout of a repository.
fn clone(lab: &Lab, url: &str, name: &str) {
    let copy = lab.path().join(name);
    fs_err::create_dir_all(copy.join(".git")).unwrap();
    fs_err::create_dir_all(copy.join("fleet")).unwrap();
    fs_err::write(copy.join(".git/config"), format!("[remote \"origin\"]\n\turl = {url}\n")).unwrap();
    for file in fs_err::read_dir(lab.path().join("fleet")).unwrap() {
        let file = file.unwrap();
        fs_err::copy(file.path(), copy.join("fleet").join(file.file_name())).unwrap();
    }
}

fn apply(lab: &Lab, path: &str, more: &[&str]) -> Ended {
    let args = ["apply", path, "--wait", "--timeout", "60s", "--time-factor", "120"];
    run(lab, &args.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn what_is_removed_in_git_is_let_go_from_every_checkout_of_the_repository() {
    let lab = lab();
    clone(&lab, "git@github.com:acme/fleet.git", "build-1");
    assert_eq!(apply(&lab, "build-1/fleet", &[]).code, Some(0));
    clone(&lab, "https://token:SECRET@github.com/acme/fleet", "build-2");
    fs_err::remove_file(lab.path().join("build-2/fleet/rollout.yaml")).unwrap();
    let second = apply(&lab, "build-2/fleet", &[]);
    assert_eq!((second.code, second.err.contains("a source other than")), (Some(0), false), "{second:#?}");
    assert_eq!(names(&lab), ["lab", "meter-v2"], "the rollout is let go");
    assert!(!lab.get(&["cloud/lab"]).to_string().contains("SECRET"));
}

#[test]
fn a_link_is_the_folder_that_it_leads_to_and_another_folder_is_another_source() {
    let lab = lab();
    lab.converge();
    symlink("fleet", lab.path().join("link")).unwrap();
    fs_err::remove_file(lab.manifest("rollout.yaml")).unwrap();
    let plan = run(&lab, &["plan", "link"]);
    assert!(plan.out.contains("OtaRollout/meter  will be deleted"), "{}", plan.out);
    lab.write("rollout.yaml", ROLLOUT);

    clone(&lab, "/srv/git/fleet", "copy");
    fs_err::remove_file(lab.path().join("copy/fleet/rollout.yaml")).unwrap();
    let other = apply(&lab, "copy/fleet", &[]);
    assert_eq!(other.code, Some(0), "{other:#?}");
    assert!(other.err.contains("1 object belongs to a source other than"), "{}", other.err);
    assert!(other.err.contains("OtaRollout/meter"), "{}", other.err);
    let all = apply(&lab, "copy/fleet", &["--prune-all"]);
    assert_eq!(all.code, Some(0), "{all:#?}");
    assert_eq!(names(&lab), ["lab", "meter-v2"]);
}

#[test]
fn a_source_with_a_name_is_the_same_from_any_folder() {
    let lab = lab();
    assert_eq!(apply(&lab, "fleet", &["--source", "prod"]).code, Some(0));
    clone(&lab, "/srv/git/fleet", "copy");
    fs_err::remove_file(lab.path().join("copy/fleet/rollout.yaml")).unwrap();
    let moved = apply(&lab, "copy/fleet", &["--source", "prod"]);
    assert_eq!((moved.code, moved.err.contains("a source other than")), (Some(0), false), "{moved:#?}");
    assert_eq!(names(&lab), ["lab", "meter-v2"]);
}
