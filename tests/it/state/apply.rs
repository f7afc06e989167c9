//! What applying, saving and forgetting do to an object.

use super::*;
use rollwave::api::SOURCE_FILE_ANNOTATION;
use rollwave::state::StateError;
use tempfile::TempDir;

#[test]
fn a_new_object_gets_an_identity_and_a_changed_spec_a_generation() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    assert_eq!(apply(&local, [package("a", "V1")], 1), changed(&["a"]));
    let first = load(&local, &key("a")).unwrap();
    // printf 'OtaPackage/default/a/0' | sha256sum
    assert_eq!(first.meta().uid.as_deref(), Some("ff7a1825a43a15a28d377c2e28cb34f5"));
    assert_eq!(first.generation(), 1);
    assert_eq!(first.meta().creation_timestamp.as_ref().map(|time| time.0), Some(at(1)));

    assert_eq!(apply(&local, [package("a", "V1")], 2), Desired::default());
    assert_eq!(local.writes(), 1, "nothing changed, so nothing is written");

    assert_eq!(apply(&local, [package("a", "V2")], 3), changed(&["a"]));
    let second = load(&local, &key("a")).unwrap();
    assert_eq!((second.generation(), &second.meta().uid), (2, &first.meta().uid));
    assert_eq!(second.meta().creation_timestamp, first.meta().creation_timestamp);
}

#[test]
fn labels_and_annotations_are_kept_without_a_generation_and_a_renamed_file_wakes_nobody() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    let annotated = |file: &str, team: &str| {
        package_with("a", "V1", &json!({SOURCE_FILE_ANNOTATION: file, "team": team}))
    };
    apply(&local, [annotated("old.yaml", "x")], 1);
    assert_eq!(apply(&local, [annotated("new.yaml", "x")], 2), Desired::default());
    assert_eq!(apply(&local, [annotated("new.yaml", "y")], 3), changed(&["a"]));
    let stored = load(&local, &key("a")).unwrap();
    let annotations = stored.meta().annotations.clone().unwrap();
    assert_eq!(annotations[SOURCE_FILE_ANNOTATION], "new.yaml");
    assert_eq!((annotations["team"].as_str(), stored.generation()), ("y", 1));
}

#[test]
fn what_the_manifests_claim_about_identity_or_status_is_not_taken_over() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    let mut forged = with_message(&package("a", "V1"), "all is well");
    forged.meta_mut().uid = Some("mine".to_owned());
    forged.meta_mut().generation = Some(7);
    apply(&local, [forged], 1);
    let stored = load(&local, &key("a")).unwrap();
    assert_eq!((stored.generation(), message(&stored)), (1, None));
    assert_ne!(stored.meta().uid.as_deref(), Some("mine"));
}

#[test]
fn a_removed_manifest_asks_for_deletion_once_and_the_object_keeps_its_last_word() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    apply(&local, [package("a", "V1")], 1);
    let stored = load(&local, &key("a")).unwrap();
    answer(local.save_status(&with_message(&stored, "done"))).unwrap();

    let kept = local.apply_desired(&Manifests::new(), false, at(2)).unwrap();
    assert_eq!(kept, Desired::default(), "may_delete is false: the object may only seem to be gone");
    assert_eq!(apply(&local, [], 3), deleting(&["a"]));
    assert_eq!(apply(&local, [], 4), Desired::default());
    let stored = load(&local, &key("a")).unwrap();
    assert_eq!(stored.meta().deletion_timestamp.as_ref().map(|time| time.0), Some(at(3)));
    assert_eq!(message(&stored), Some("done"));
}

#[test]
fn an_object_that_comes_back_while_it_is_deleted_waits_and_comes_in_as_a_new_one() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    apply(&local, [package("a", "V1")], 1);
    let first = load(&local, &key("a")).unwrap();
    apply(&local, [], 2);
    assert_eq!(apply(&local, [package("a", "V2")], 3), Desired::default());
    let waiting = load(&local, &key("a")).unwrap();
    assert!(waiting.is_deleting());
    assert_eq!(waiting.generation(), 1, "its last spec is what its deletion goes by");

    answer(local.forget(&key("a"))).unwrap();
    assert_eq!(load(&local, &key("a")), None);
    assert_eq!(apply(&local, [package("a", "V2")], 4), changed(&["a"]));
    let second = load(&local, &key("a")).unwrap();
    assert_ne!(second.meta().uid, first.meta().uid);
    assert_eq!(second.generation(), 1);
    assert!(!second.is_deleting());
    let late = answer(local.save_status(&with_message(&first, "late")));
    assert!(matches!(late, Err(StateError::Conflict { .. })), "{late:?}");
}

#[test]
fn only_an_object_that_is_being_deleted_can_be_forgotten() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    apply(&local, [package("a", "V1")], 1);
    let refused = answer(local.forget(&key("a")));
    assert_eq!(refused.unwrap_err().to_string(), "OtaPackage/a was changed by another writer");
    assert!(load(&local, &key("a")).is_some());
    answer(local.forget(&key("nobody"))).unwrap();
}

#[test]
fn a_lost_state_gives_the_same_identities_back() {
    let uid = || {
        let dir = TempDir::new().unwrap();
        let local = Local::open(dir.path()).unwrap();
        apply(&local, [package("a", "V1")], 1);
        load(&local, &key("a")).unwrap().meta().uid.clone()
    };
    assert_eq!(uid(), uid());
}

#[test]
fn a_status_is_durable_and_an_equal_one_costs_nothing() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    apply(&local, [package("a", "V1")], 1);
    let mut said = with_message(&load(&local, &key("a")).unwrap(), "done");
    if let Object::Package(o) = &mut said {
        o.spec.version = "V9".to_owned();
    }
    answer(local.save_status(&said)).unwrap();
    answer(local.save_status(&said)).unwrap();
    assert_eq!(local.writes(), 2);
    drop(local);

    let local = Local::open(dir.path()).unwrap();
    let stored = load(&local, &key("a")).unwrap();
    assert_eq!(message(&stored), Some("done"));
    assert!(matches!(&stored, Object::Package(o) if o.spec.version == "V1"), "never writes a spec");
    answer(local.save_status(&said)).unwrap();
    assert_eq!(local.writes(), 0, "equal after it was read again, too");
}
