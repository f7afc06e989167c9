//! What people ask for while another process holds the state.

use super::*;
use rollwave::api::Request;
use rollwave::state::local::View;
use std::fs;
use tempfile::TempDir;

fn asked(object: &Object) -> Vec<(Request, String)> {
    let of = |request: Request| Some((request, request.of(object.meta())?.to_owned()));
    Request::ALL.into_iter().filter_map(of).collect()
}

#[test]
fn requests_wait_beside_a_held_state_and_are_taken_in_once_in_their_order() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    apply(&local, [rollout("r")], 1);
    let key = rollout("r").key();
    let view = View::open(dir.path()).unwrap();
    assert_eq!(local.take_requests().unwrap(), []);
    // Somebody sets the clock back between two of them.
    for (second, request) in [(10, Request::Pause), (9, Request::Retry), (11, Request::Resume)] {
        view.ask(&key, request, at(second)).unwrap();
    }
    let order: Vec<Request> = view.requests().unwrap().iter().map(|asked| asked.request).collect();
    assert_eq!(order, [Request::Pause, Request::Retry, Request::Resume]);
    assert_eq!(local.take_requests().unwrap(), [key.clone(), key.clone(), key.clone()]);
    assert_eq!(view.requests().unwrap(), []);
    let stored = load(&local, &key).unwrap();
    let expected = [(Request::Resume, at(11).to_string()), (Request::Retry, at(9).to_string())];
    assert_eq!((asked(&stored), stored.generation()), (expected.to_vec(), 1));
    // They outlive the process, and a manifest that says nothing of them.
    drop(local);
    let local = Local::open(dir.path()).unwrap();
    assert_eq!(apply(&local, [rollout("r")], 2), Desired::default());
    assert_eq!(asked(&load(&local, &key).unwrap()), expected);
}

#[test]
fn a_request_that_is_taken_in_again_after_a_crash_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    apply(&local, [rollout("r")], 1);
    let (key, view) = (rollout("r").key(), View::open(dir.path()).unwrap());
    view.ask(&key, Request::Pause, at(10)).unwrap();
    let folder = dir.path().join("requests");
    let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let file = files.into_iter().find(|path| path.extension().is_some_and(|it| it == "json")).unwrap();
    let bytes = fs::read(&file).unwrap();
    assert_eq!(local.take_requests().unwrap(), [key]);
    fs::write(&file, bytes).unwrap();
    let writes = local.writes();
    assert_eq!((local.take_requests().unwrap(), local.writes()), (vec![], writes));
}

#[test]
fn what_cannot_be_read_and_what_concerns_nobody_holds_up_nothing() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    apply(&local, [rollout("r")], 1);
    let (key, view) = (rollout("r").key(), View::open(dir.path()).unwrap());
    view.ask(&rollout("gone").key(), Request::Pause, at(10)).unwrap();
    view.ask(&key, Request::Pause, at(11)).unwrap();
    let folder = dir.path().join("requests");
    fs::write(folder.join("0.json"), "{\"request\": \"Explode\"}").unwrap();
    fs::write(folder.join(".new-1"), "{").unwrap();
    assert_eq!(local.take_requests().unwrap(), [key]);
    assert!(folder.join("0.unreadable").exists(), "kept for a person to look at");
    assert_eq!((local.take_requests().unwrap(), view.requests().unwrap()), (vec![], vec![]));
}
