//! `rollwave apply`: one pass, or with `--wait` until every object has settled.

use super::folder::{self, Requests, SourceArgs, elsewhere_text};
use super::ports::SystemClock;
use super::printer::{DIM, paint};
use super::progress::{CallCount, Outstanding};
use super::tree::health_look;
use super::{Context, Exit};
use crate::api::{Health, Object, ObjectKey, Period, all_settled};
use crate::engine::Report;
use crate::engine::drive::folder::{DriveError, FolderDriver, Step};
use crate::source::{self, Snapshot};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an account may fail to answer before `apply` gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Arguments of `rollwave apply`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  rollwave apply fleet/\n  rollwave apply fleet/ --wait --timeout 24h")]
pub struct Args {
    /// File or folder of manifests.
    pub path: PathBuf,
    /// Wait until every object has converged, is held or has failed.
    #[arg(long)]
    pub wait: bool,
    /// Stop waiting after this time (30m, 24h) and exit with code 4.
    #[arg(long, value_name = "PERIOD", requires = "wait")]
    pub timeout: Option<Period>,
    /// Which source PATH is.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Run time N times as fast, for rehearsals against a simulator on this machine.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub time_factor: u32,
}

/// Runs the verb.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    let deadline = args.timeout.map(|timeout| Instant::now() + Duration::from_secs(timeout.as_secs()));
    let Some(mut snapshot) = read(&args.path, left_until(deadline)).await else {
        ctx.printer.error(format!("{}: reading the manifests timed out", args.path.display()));
        return Exit::Timeout;
    };
    if !snapshot.problems.is_empty() {
        return refuse(&snapshot, ctx);
    }
    let (clock, requests) = (SystemClock::faster(args.time_factor), Box::new(Requests::new()));
    let origin = args.source.origin(&args.path);
    let mut driver = match folder::open(origin.clone(), ctx.state.path(), clock, requests) {
        Ok(driver) => driver.pruning(args.source.pruning()),
        Err(error) => return ctx.fail(error),
    };
    let work = async {
        driver.admit(&mut snapshot).await?;
        if !snapshot.problems.is_empty() {
            return Ok(refuse(&snapshot, ctx));
        }
        let taken = driver.take(snapshot).await?;
        if !taken.elsewhere.is_empty() {
            ctx.printer.warning(elsewhere_text(&taken.elsewhere, &origin));
        }
        let exit = settle(&mut driver, args.wait, deadline, ctx).await?;
        Ok(match taken.withheld {
            Some(withheld) => ctx.fail(withheld),
            None => exit,
        })
    };
    let ended = work.await.unwrap_or_else(|error: DriveError| ctx.fail(error));
    driver.stop(std::future::ready(())).await;
    ended
}

fn refuse(snapshot: &Snapshot, ctx: &Context) -> Exit {
    for problem in &snapshot.problems {
        ctx.printer.problem(problem);
    }
    ctx.fail(format!("{}: nothing was applied", snapshot.problems_text()))
}

/// Reads the manifests; none when that takes longer than `time`.
async fn read(path: &Path, time: Duration) -> Option<Snapshot> {
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || source::folder::read(&path));
    tokio::time::timeout(time, reading).await.ok()?.ok()
}

fn left_until(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
}

async fn settle(
    driver: &mut FolderDriver,
    wait: bool,
    deadline: Option<Instant>,
    ctx: &Context,
) -> Result<Exit, DriveError> {
    let mut round = Round::new(Outstanding::of(&driver.objects().await?));
    while !round.is_over(driver, wait).await? {
        let Ok(step) = tokio::time::timeout(left_until(deadline), driver.step()).await else {
            summarise(driver, &round, ctx).await?;
            return Ok(Exit::Timeout);
        };
        if let Step::Reconciled(report) = step? {
            round.take(*report, driver, ctx).await?;
        }
    }
    summarise(driver, &round, ctx).await
}

/// What has happened since `apply` began.
struct Round {
    outstanding: Outstanding,
    calls: CallCount,
    /// Accounts that do not answer, since when, and the last error.
    silent: BTreeMap<ObjectKey, (Instant, String)>,
    said: BTreeMap<ObjectKey, String>,
}

impl Round {
    fn new(outstanding: Outstanding) -> Self {
        Self { outstanding, calls: CallCount::default(), silent: BTreeMap::new(), said: BTreeMap::new() }
    }

    async fn take(&mut self, report: Report, driver: &FolderDriver, ctx: &Context) -> Result<(), DriveError> {
        self.outstanding.done(&report.key);
        // An object that needed no call is no evidence about its account.
        let has_answered = self.calls.take(report.account.clone(), report.calls);
        match report.error {
            Some(error) if error.class.is_transient() => {
                let since =
                    self.silent.entry(report.account).or_insert_with(|| (Instant::now(), String::new()));
                since.1 = error.to_string();
            }
            None if has_answered => {
                self.silent.remove(&report.account);
            }
            Some(_) | None => {}
        }
        if let Some(object) = driver.object(&report.key).await? {
            self.say(&object, ctx);
        }
        Ok(())
    }

    fn say(&mut self, object: &Object, ctx: &Context) {
        let (key, message) = (object.key(), object.message());
        if self.said.get(&key).is_none_or(|said| said != message) {
            ctx.printer.note(format!("{key}: {message}"));
            self.said.insert(key, message.to_owned());
        }
    }

    async fn is_over(&self, driver: &FolderDriver, wait: bool) -> Result<bool, DriveError> {
        if !self.outstanding.is_empty() {
            return Ok(false);
        }
        if !wait {
            return Ok(true);
        }
        let given_up = self.silent.values().any(|(since, _)| since.elapsed() > PATIENCE);
        let objects = driver.objects().await?;
        Ok(given_up || all_settled(&objects))
    }
}

async fn summarise(driver: &FolderDriver, round: &Round, ctx: &Context) -> Result<Exit, DriveError> {
    let objects = driver.objects().await?;
    for object in &objects {
        ctx.printer.line(line_of(object));
    }
    for (account, (_, error)) in &round.silent {
        ctx.printer.error(format!("{account} does not answer: {error}"));
    }
    ctx.printer.line(paint(DIM, format!("{} objects, {} calls", objects.len(), round.calls.total())));
    let exit = exit_of(&objects, !round.silent.is_empty());
    if exit == Exit::Pending {
        ctx.printer.note("in progress: run `rollwave apply` again, or use --wait");
    }
    Ok(exit)
}

fn line_of(object: &Object) -> String {
    let health = object.health();
    let (icon, style) = health_look(health);
    let word = format!("{icon} {:<11}", health.as_str());
    format!("{} {}: {}", paint(style, word), object.key(), object.message())
}

fn exit_of(objects: &[Arc<Object>], silent: bool) -> Exit {
    let any = |health: &[Health]| objects.iter().any(|object| health.contains(&object.health()));
    if silent || any(&[Health::Stalled, Health::Unhealthy]) {
        Exit::Failed
    } else if any(&[Health::Held, Health::Aborted]) {
        Exit::Held
    } else if !all_settled(objects) {
        Exit::Pending
    } else {
        Exit::Done
    }
}
