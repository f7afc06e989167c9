//! The command line: flags → resolved options → library → printer. One file per verb.
//!
//! **Invariant:** the CLI never decides. It prints what the library returns; [`exit::Exit`] is the one table of exit codes.
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub mod exit;

use std::process::ExitCode;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    exit::Exit::Usage.into()
}
