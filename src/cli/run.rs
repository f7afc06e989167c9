//! `rollwave run`: keeps the cloud agreeing with a folder.

use super::home::{Home, HomeError};
use super::ports::SystemClock;
use super::{Context, Exit};
use crate::source::Snapshot;
use crate::source::folder::{TokioSettle, Watch, WatchOptions};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::mpsc;

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

/// How often it is noticed that the machine's clock was set.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

/// Runs the verb.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    if !args.path.exists() {
        return ctx.usage(format!("{}: there is no such file or folder", args.path.display()));
    }
    let mut home = match Home::open(&args.path, ctx.state.path(), SystemClock::faster(args.time_factor)) {
        Ok(home) => home,
        Err(error) => return ctx.fail(error),
    };
    let (sender, mut snapshots) = mpsc::channel(1);
    let mut watch = Watch::new(&args.path, WatchOptions::default(), Arc::new(TokioSettle));
    let watching = tokio::spawn(async move { while sender.send(watch.next().await).await.is_ok() {} });
    let ended = tokio::select! {
        biased;
        signal = stop_signal() => signal.map_err(|error| error.to_string()),
        error = work(&mut home, &mut snapshots, ctx) => Err(error.to_string()),
    };
    watching.abort();
    if !home.stop(GRACE).await {
        tracing::warn!("a call was cut off: it is in the journal, and is looked for at the next start");
    }
    ended.map_or_else(|error| ctx.fail(error), |()| Exit::Done)
}

async fn work(home: &mut Home, snapshots: &mut mpsc::Receiver<Snapshot>, ctx: &Context) -> HomeError {
    let mut started = false;
    let mut clock_check = tokio::time::interval(CLOCK_CHECK);
    loop {
        let step = tokio::select! {
            Some(snapshot) = snapshots.recv() => {
                let first = !std::mem::replace(&mut started, true);
                take(home, snapshot, first, ctx).await
            }
            _ = clock_check.tick(), if started => check_clock(home).await,
            report = home.next(), if started => report.map(|report| {
                let error = report.error.map(|error| error.to_string());
                if report.changed || error.is_some() {
                    tracing::info!(object = %report.key, error, "reconciled");
                } else {
                    tracing::debug!(object = %report.key, "as it was");
                }
            }),
        };
        if let Err(error) = step {
            return error;
        }
    }
}

/// Soaks and statuses shall not go by a clock that everybody else has corrected.
async fn check_clock(home: &mut Home) -> Result<(), HomeError> {
    if !home.is_off() {
        return Ok(());
    }
    tracing::warn!("the machine's clock was set, or the machine slept: beginning anew");
    home.begin_anew().await
}

async fn take(
    home: &mut Home,
    mut snapshot: Snapshot,
    wake_all: bool,
    ctx: &Context,
) -> Result<(), HomeError> {
    home.admit(&mut snapshot).await?;
    for problem in &snapshot.problems {
        ctx.printer.problem(problem);
    }
    let desired = home.take(snapshot).await?;
    tracing::info!(changed = desired.changed.len(), deleting = desired.deleting.len(), "took the manifests");
    if wake_all {
        home.wake_all().await?;
    }
    Ok(())
}

pub(super) async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}
