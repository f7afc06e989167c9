//! `rollwave run`: keeps the clouds in line with a folder.

use super::folder::{self, SourceArgs, Surroundings, elsewhere_text};
use super::ports::SystemClock;
use super::{Context, Exit};
use crate::engine::Report;
use crate::engine::drive::folder::{DriveError, FolderDriver, Step, Taken};
use crate::source::origin::Origin;
use std::{path::PathBuf, time::Duration};

/// Arguments of `rollwave run`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  rollwave run fleet/\n  rollwave --state /var/lib/rollwave run fleet/ --source fleet"
)]
pub struct Args {
    /// File or folder of manifests.
    pub path: PathBuf,
    /// Which source PATH is.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Run time N times as fast, for rehearsals against a simulator on this machine.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub time_factor: u32,
}

/// Grace period for what is in flight at the end; the outcome of a call that is cut off is searched for at the next start.
const GRACE: Duration = Duration::from_secs(25);

/// Runs the verb.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    if !args.path.exists() {
        return ctx.usage(format!("{}: no such file or folder", args.path.display()));
    }
    let clock = SystemClock::faster(args.time_factor);
    let surroundings = Box::new(Surroundings::watch(&args.path, ctx.state.path(), clock));
    let origin = args.source.origin(&args.path);
    let mut driver = match folder::open(origin.clone(), ctx.state.path(), clock, surroundings) {
        Ok(driver) => driver.pruning(args.source.pruning()),
        Err(error) => return ctx.fail(error),
    };
    let ended = tokio::select! {
        biased;
        signal = stop_signal() => signal.map_err(|error| error.to_string()),
        error = work(&mut driver, &origin, ctx) => Err(error.to_string()),
    };
    if !driver.stop(tokio::time::sleep(GRACE)).await {
        tracing::warn!(
            "a call was interrupted: its outcome is unknown, and is searched for at the next start"
        );
    }
    ended.map_or_else(|error| ctx.fail(error), |()| Exit::Done)
}

async fn work(driver: &mut FolderDriver, origin: &Origin, ctx: &Context) -> DriveError {
    let mut elsewhere = Vec::new();
    loop {
        match driver.step().await {
            Ok(Step::Took(taken)) => {
                show(&taken, ctx);
                if !taken.elsewhere.is_empty() && taken.elsewhere != elsewhere {
                    tracing::warn!("{}", elsewhere_text(&taken.elsewhere, origin));
                }
                elsewhere = taken.elsewhere;
            }
            Ok(Step::Reconciled(report)) => log(&report),
            Ok(Step::Requested(_) | Step::BeganAgain) => {}
            Err(error) => return error,
        }
    }
}

fn show(taken: &Taken, ctx: &Context) {
    for problem in &taken.problems {
        ctx.printer.problem(problem);
    }
    if let Some(withheld) = &taken.withheld {
        tracing::warn!("{withheld}");
    }
    let Taken { desired, .. } = taken;
    tracing::info!(
        changed = desired.changed.len(),
        deleting = desired.deleting.len(),
        "loaded the manifests"
    );
}

fn log(report: &Report) {
    let error = report.error.as_ref().map(ToString::to_string);
    if report.changed || error.is_some() {
        tracing::info!(object = %report.key, error, "reconciled");
    } else {
        tracing::debug!(object = %report.key, "unchanged");
    }
}

pub(super) async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}
