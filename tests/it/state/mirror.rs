//! Readers see what the writer committed, without a lock.

use super::*;
use rollwave::state::{StateError, local::View};
use std::fs;
use tempfile::TempDir;

fn seen(dir: &TempDir) -> Vec<Object> {
    View::open(dir.path()).unwrap().objects().unwrap()
}

fn files(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path().join("status")).unwrap();
    let mut names: Vec<_> = entries.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_view_shows_what_was_committed_while_the_state_is_held() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    assert_eq!(seen(&dir), []);
    apply(&local, [rollout("r"), package("b", "V1"), package("a", "V1")], 1);
    let stored = load(&local, &key("a")).unwrap();
    answer(local.save_status(&with_message(&stored, "done"))).unwrap();
    assert_eq!(seen(&dir), objects(&local));
    assert_eq!(
        files(&dir),
        ["OtaPackage.default.a.json", "OtaPackage.default.b.json", "OtaRollout.default.r.json"]
    );

    apply(&local, [package("a", "V1"), package("b", "V1")], 2);
    answer(local.forget(&ObjectKey::new(Kind::OtaRollout, "default", "r"))).unwrap();
    assert_eq!(seen(&dir), objects(&local));
    assert_eq!(files(&dir).len(), 2);
}

#[test]
fn opening_mends_the_mirror_and_never_believes_it() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    apply(&local, [package("a", "V1"), package("b", "V1"), package("c", "V1")], 1);
    let expected = objects(&local);
    drop(local);
    let status = dir.path().join("status");
    fs::write(status.join("OtaPackage.default.a.json"), "").unwrap();
    fs::remove_file(status.join("OtaPackage.default.b.json")).unwrap();
    fs::copy(status.join("OtaPackage.default.c.json"), status.join("OtaPackage.default.d.json")).unwrap();
    fs::write(status.join(".new-OtaPackage.default.c.json"), "{").unwrap();

    let local = Local::open(dir.path()).unwrap();
    assert_eq!(objects(&local), expected);
    assert_eq!(seen(&dir), expected);
    assert_eq!(files(&dir).len(), 3);
}

#[test]
fn a_mirror_that_cannot_be_written_stops_nobody_and_is_tried_again() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    let blocked = dir.path().join("status/OtaPackage.default.a.json");
    fs::create_dir_all(blocked.join("in the way")).unwrap();
    apply(&local, [package("a", "V1"), package("b", "V1")], 1);
    assert!(load(&local, &key("a")).is_some());
    fs::remove_dir_all(&blocked).unwrap();
    apply(&local, [package("a", "V1"), package("b", "V2")], 2);
    assert_eq!(seen(&dir), objects(&local));
}

#[test]
fn a_view_without_a_state_says_what_to_do() {
    let dir = TempDir::new().unwrap();
    let nowhere = dir.path().join("nowhere");
    for path in [dir.path(), &nowhere] {
        let error = View::open(path).unwrap_err();
        assert!(matches!(error, StateError::Absent { .. }));
        assert_eq!(
            error.to_string(),
            format!("no state in {}: run `rollwave apply` first, or use --state", path.display())
        );
    }
    assert!(!nowhere.exists(), "looking creates nothing");
}

#[test]
fn a_view_skips_what_is_not_an_object_and_refuses_an_object_that_it_cannot_read() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    apply(&local, [package("a", "V1")], 1);
    let status = dir.path().join("status");
    fs::write(status.join("README"), "hello").unwrap();
    fs::write(status.join(".new-x.json"), "{").unwrap();
    assert_eq!(seen(&dir).len(), 1);
    fs::write(status.join("OtaPackage.default.a.json"), "{").unwrap();
    let error = View::open(dir.path()).unwrap().objects().unwrap_err();
    assert!(error.to_string().contains("OtaPackage.default.a.json"), "{error}");
}

#[test]
fn the_longest_names_have_files_of_their_own() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    let long = |last: &str| package(&format!("{}{last}", "n".repeat(252)), "V1");
    apply(&local, [long("1"), long("2")], 1);
    assert_eq!(seen(&dir), objects(&local));
    assert_eq!(files(&dir).len(), 2);
}
