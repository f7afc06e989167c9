//! The arguments of `rollwave plan`, and its exit code.

use crate::cli::Exit;
use crate::cli::folder::SourceArgs;
use crate::cli::place::Place;
use crate::engine::dry_run::DryRun;
use clap::ValueEnum;
use std::path::PathBuf;

/// Arguments of `rollwave plan`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  rollwave plan fleet/\n  rollwave plan fleet/ -o json")]
pub struct Args {
    /// File or folder of manifests.
    pub path: PathBuf,
    /// Which source PATH is.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Which cluster, if any.
    #[command(flatten)]
    pub place: Place,
    /// How to print it; docs/reference/output.md describes the JSON.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Output format.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Plain text.
    Text,
    /// JSON; nothing is shortened.
    Json,
}

/// What the exit code shows of a survey.
pub(super) fn exit_of(survey: &DryRun) -> Exit {
    if survey.objects.iter().any(|object| object.forecast.is_err()) {
        Exit::Failed
    } else if survey.has_orders() {
        Exit::Pending
    } else {
        Exit::Done
    }
}
