//! `rollwave plan`: what `apply` would do, in the cloud's own requests.

mod body;
mod cluster;
mod json;
mod text;

use super::folder::{SourceArgs, elsewhere_text};
use super::place::Place;
use super::ports::{self, SystemClock};
use super::{Context, Exit};
use crate::api::Object;
use crate::engine::admission::{self, Wanted};
use crate::engine::drive::folder::DriveError;
use crate::engine::dry_run::{DryRun, survey};
use crate::engine::ports::Clock as _;
use crate::source::folder;
use crate::state::{StateError, local::View, memory::Memory};
use clap::ValueEnum;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Show what `apply` would do, and change nothing.
///
/// Reads the manifests, the state and the clouds. With a flag that names a cluster it shows what `kubectl apply` of the manifests would do
/// there: the state is the cluster's, and the Secrets that its accounts name are read. Shows every request that would be sent, to the end of every rollout if
/// all goes well; the devices of each stage; what cannot be undone; and warns of what cannot work. Exit codes: 0 nothing
/// to do, 2 there is something to do, 1 something is wrong.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// File or folder of manifests.
    pub path: PathBuf,
    /// Which source it is.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Which cluster, if any.
    #[command(flatten)]
    pub place: Place,
    /// How to print it; docs/reference/output.md describes the JSON.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How a plan is printed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For programs; nothing is shortened.
    Json,
}

/// Runs the verb.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    if args.place.names_a_cluster() {
        return cluster::run(args, ctx).await;
    }
    let mut snapshot = folder::read(&args.path);
    let stored = match stored(ctx.state.path()) {
        Ok(stored) => stored,
        Err(error) => return ctx.fail(error),
    };
    admission::admit(&mut snapshot, &stored);
    if !snapshot.problems.is_empty() {
        for problem in &snapshot.problems {
            ctx.printer.problem(problem);
        }
        return ctx.fail(format!("{}: nothing was planned", snapshot.problems_text()));
    }
    let (origin, now) = (args.source.origin(&args.path), Timestamp::now());
    let wanted = admission::wanted(&snapshot, &stored, &origin, args.source.pruning(), now);
    let survey = match look(&wanted, &stored, ctx.state.path()).await {
        Ok(survey) => survey,
        Err(error) => return ctx.fail(error),
    };
    match args.output {
        Output::Text => ctx.printer.print(text::render(&survey)),
        Output::Json => ctx.printer.line(json::render(&survey, &wanted)),
    }
    if !wanted.elsewhere.is_empty() {
        ctx.printer.warning(elsewhere_text(&wanted.elsewhere, &origin));
    }
    match &wanted.withheld {
        Some(withheld) => ctx.fail(withheld),
        None => exit_of(&survey),
    }
}

/// What the state knows; nothing when there is none yet.
fn stored(dir: &Path) -> Result<Vec<Arc<Object>>, StateError> {
    match View::open(dir) {
        Ok(view) => {
            let memory = Memory::new(view.objects()?.into_iter().map(Arc::new));
            // What people asked for, and nobody has taken in yet.
            for asked in view.requests()? {
                memory.request(&asked.object, asked.request, &asked.at);
            }
            Ok(memory.objects())
        }
        Err(StateError::Absent { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

async fn look(wanted: &Wanted, stored: &[Arc<Object>], state: &Path) -> Result<DryRun, DriveError> {
    let clock = SystemClock::new();
    let memory = Memory::new(stored.iter().cloned());
    memory.apply_desired(&wanted.objects, true, clock.now())?;
    Ok(survey(Arc::new(memory), ports::of_state(clock, state)?).await?)
}

fn exit_of(survey: &DryRun) -> Exit {
    if survey.objects.iter().any(|object| object.forecast.is_err()) {
        Exit::Failed
    } else if survey.has_orders() {
        Exit::Pending
    } else {
        Exit::Done
    }
}
