//! `rollwave run`: keeps the cloud agreeing with a folder.

use super::folder::{self, Surroundings};
use super::ports::SystemClock;
use super::{Context, Exit};
use crate::engine::Report;
use crate::engine::drive::folder::{DriveError, FolderDriver, Step, Taken};
use std::{path::PathBuf, time::Duration};

/// Keep the cloud agreeing with the manifests.
///
/// Watches PATH and the cloud until it is told to stop (Ctrl-C or SIGTERM). A file with an error changes nothing: what it
/// said before goes on, and nothing is deleted until it is whole again.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// File or folder of manifests.
    pub path: PathBuf,
    /// Count time so many times as fast, to rehearse against `rollwave simulate` on this machine.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub time_factor: u32,
}

/// What is under way at the end may take this long; a call that is cut off is looked for at the next start.
const GRACE: Duration = Duration::from_secs(25);

/// Runs the verb.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    if !args.path.exists() {
        return ctx.usage(format!("{}: there is no such file or folder", args.path.display()));
    }
    let clock = SystemClock::faster(args.time_factor);
    let surroundings = Box::new(Surroundings::watch(&args.path, ctx.state.path(), clock));
    let mut driver = match folder::open(&args.path, ctx.state.path(), clock, surroundings) {
        Ok(driver) => driver,
        Err(error) => return ctx.fail(error),
    };
    let ended = tokio::select! {
        biased;
        signal = stop_signal() => signal.map_err(|error| error.to_string()),
        error = work(&mut driver, ctx) => Err(error.to_string()),
    };
    if !driver.stop(tokio::time::sleep(GRACE)).await {
        tracing::warn!("a call was cut off: it is in the journal, and is looked for at the next start");
    }
    ended.map_or_else(|error| ctx.fail(error), |()| Exit::Done)
}

async fn work(driver: &mut FolderDriver, ctx: &Context) -> DriveError {
    loop {
        match driver.step().await {
            Ok(Step::Took(taken)) => show(&taken, ctx),
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
    let Taken { desired, .. } = taken;
    tracing::info!(changed = desired.changed.len(), deleting = desired.deleting.len(), "took the manifests");
}

fn log(report: &Report) {
    let error = report.error.as_ref().map(ToString::to_string);
    if report.changed || error.is_some() {
        tracing::info!(object = %report.key, error, "reconciled");
    } else {
        tracing::debug!(object = %report.key, "as it was");
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
