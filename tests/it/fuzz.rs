//! Fuzzing on the stable toolchain: the inputs of `fuzz/corpus/` and changed copies of them, against what must always hold.
//!
//! A test runs a fixed course of inputs. `FUZZ_SECONDS` makes it run for so long from another seed each time, `FUZZ_SEED`
//! names the seed. An input that fails is made smaller and kept in `target/fuzz/`; once mended, it moves into the corpus.
//! `fuzz/` hands the same functions to `cargo fuzz`, where that can run.

pub mod accounts;
mod harness;
mod judge;
mod manifest;
mod message;
mod mutator;
mod reply;
mod signing;
mod simulator;
mod state;
mod world;

use harness::{Target, corpus, fuzz, run, smaller};
use rollwave::api::CloudKind;
use std::{collections::BTreeSet, fs};

#[test]
fn manifests() {
    fuzz(&Target { name: "manifest", check: manifest::check, inputs: 400 });
}

#[test]
fn replies() {
    fuzz(&Target { name: "reply", check: reply::check, inputs: 4_000 });
}

/// Otherwise a change of an envelope would leave the target with refusals alone.
#[test]
fn each_call_of_each_cloud_has_an_answer_that_is_a_success() {
    let texts: Vec<Vec<u8>> = corpus("reply").iter().map(|file| fs::read(file).unwrap()).collect();
    let succeeded: BTreeSet<String> = texts.iter().filter_map(|text| reply::success(text)).collect();
    let expected = CloudKind::ALL.into_iter().flat_map(|cloud| {
        let calls = accounts::calls(cloud, true).into_iter();
        let sent = calls.filter(move |call| accounts::is_sent(cloud, call));
        sent.map(move |call| format!("{cloud:?} {}", call.operation()))
    });
    assert_eq!(succeeded, expected.collect());
}

#[test]
fn signatures() {
    fuzz(&Target { name: "signing", check: signing::check, inputs: 1_000 });
}

#[test]
fn records() {
    fuzz(&Target { name: "record", check: state::check_record, inputs: 150 });
}

#[test]
fn judgements() {
    fuzz(&Target { name: "judge", check: judge::check, inputs: 1_500 });
}

#[test]
fn damaged_state_files() {
    fuzz(&Target { name: "damage", check: state::check_damage, inputs: 300 });
}

#[test]
fn worlds() {
    fuzz(&Target { name: "world", check: world::check, inputs: 500 });
}

#[test]
fn requests() {
    fuzz(&Target { name: "simulator", check: simulator::check, inputs: 500 });
}

#[test]
fn a_target_that_fails_is_reported_with_a_smaller_input() {
    let check = |data: &[u8]| assert!(!data.contains(&b'!'), "found");
    let failure = run(check, b"one\ntwo ! three\nfour").unwrap_err();
    assert!(failure.contains("found"), "{failure}");
    assert_eq!(smaller(check, b"one\ntwo ! three\nfour"), b"!");
}
