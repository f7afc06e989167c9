//! Fuzzing of whole simulation runs: bytes choose what happens, and no order of events breaks a law.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod course;
#[path = "../../../it/fuzz/harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "../../../it/fuzz/mutator.rs"]
mod mutator;

use harness::{Target, fuzz};

#[test]
fn runs_by_drawn_bytes_are_lawful() {
    fuzz(&Target { name: "course", check: course::check, inputs: 60 });
}
