//! A process that dies, and a disk that is full.
//!
//! The test binary runs itself: a test that finds a directory in its environment is the child.

use super::*;
use rollwave::state::StateError;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

const DIR: &str = "ROLLWAVE_TEST_STATE";

fn own_dir() -> Option<PathBuf> {
    std::env::var_os(DIR).map(Into::into)
}

/// Has the command run this one test as the child.
fn as_child(command: &mut Command, test: &str, dir: &Path) {
    let name = format!("state::crash::{test}");
    command.args(["--exact", "--nocapture", &name]).env(DIR, dir).stderr(Stdio::piped());
}

fn numbered(object: &Object) -> u64 {
    message(object).map_or(0, |message| message.parse().unwrap())
}

fn count_up(dir: &Path) {
    let local = Local::open(dir).unwrap();
    apply(&local, [package("a", "V1"), package("b", "V1")], 1);
    for number in 1_u64.. {
        for name in ["a", "b"] {
            let stored = load(&local, &key(name)).unwrap();
            answer(local.save_status(&with_message(&stored, &number.to_string()))).unwrap();
        }
        println!("saved {number}");
    }
}

/// Kills the child once it said that it saved this number.
fn kill_after(number: u64, dir: &Path) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    as_child(&mut command, "what_was_saved_survives_a_process_that_is_killed", dir);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    // Kept until after the kill: the child must not end by a closed pipe.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let last = format!("saved {number}");
    // The harness may have begun the line with the test's name.
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.ends_with(&last)), "the child ended early");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_was_saved_survives_a_process_that_is_killed() {
    if let Some(dir) = own_dir() {
        return count_up(&dir);
    }
    for number in [1, 2, 3, 5, 8, 13, 21] {
        let dir = TempDir::new().unwrap();
        kill_after(number, dir.path());
        let local = Local::open(dir.path()).unwrap();
        let [a, b] = ["a", "b"].map(|name| numbered(&load(&local, &key(name)).unwrap()));
        assert!(b >= number, "{number} was saved, {b} is there");
        assert!(a == b || a == b + 1, "saved in this order: a is {a}, b is {b}");
        let view = rollwave::state::local::View::open(dir.path()).unwrap();
        assert_eq!(view.objects().unwrap(), objects(&local));
    }
}

fn fill_the_disk(dir: &Path) {
    let local = Local::open(dir).unwrap();
    apply(&local, [package("a", "V1")], 1);
    let save = |length: usize| {
        let stored = load(&local, &key("a")).unwrap();
        answer(local.save_status(&with_message(&stored, &"x".repeat(length))))
    };
    let stored_length = || load(&local, &key("a")).as_ref().and_then(message).map_or(0, str::len);
    let (mut last, mut refused) = (0, None);
    for doubling in 10..30 {
        match save(1 << doubling) {
            Ok(()) => last = 1 << doubling,
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let refused = refused.expect("the disk is full at some time");
    assert!(matches!(refused, StateError::Write { .. }), "{refused}");
    assert!(refused.to_string().ends_with("nothing was sent to a cloud"), "{refused}");
    assert_eq!(stored_length(), last, "what was refused is not believed");
    save(77).expect("a smaller one fits, without a restart");
    assert_eq!(stored_length(), 77);
    println!("held on");
}

/// `sh` lowers the limit, and has the signal ignored that would kill the child at it.
fn with_file_limit(blocks: u32, test: &str, dir: &Path) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    command.arg(std::env::current_exe().unwrap());
    as_child(&mut command, test, dir);
    command.output().unwrap()
}

#[test]
fn a_full_disk_is_refused_and_nothing_is_lost() {
    if let Some(dir) = own_dir() {
        return fill_the_disk(&dir);
    }
    let dir = TempDir::new().unwrap();
    let output = with_file_limit(8_192, "a_full_disk_is_refused_and_nothing_is_lost", dir.path());
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("held on"), "{said}\n{complained}");
    let local = Local::open(dir.path()).unwrap();
    assert_eq!(message(&load(&local, &key("a")).unwrap()).map(str::len), Some(77));
}

fn find_no_room(dir: &Path) {
    let error = Local::open(dir).unwrap_err();
    assert!(matches!(error, StateError::Write { .. }), "{error}");
    println!("refused");
}

#[test]
fn a_state_that_found_no_room_begins_when_there_is_room() {
    if let Some(dir) = own_dir() {
        return find_no_room(&dir);
    }
    let dir = TempDir::new().unwrap();
    let output = with_file_limit(8, "a_state_that_found_no_room_begins_when_there_is_room", dir.path());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("refused"), "{said}");
    assert!(!dir.path().join("state.redb").exists());
    let local = Local::open(dir.path()).unwrap();
    assert_eq!(objects(&local), []);
    assert!(fs::metadata(dir.path().join("state.redb")).unwrap().len() > 0);
}
