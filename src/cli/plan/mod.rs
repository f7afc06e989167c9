//! `rollwave plan`: what `apply` would do, as requests of the cloud.

mod args;
mod body;
mod cluster;
mod json;
mod text;

pub use args::{Args, Output};

use super::folder::elsewhere_text;
use super::ports::{self, SystemClock};
use super::{Context, Exit};
use crate::api::Object;
use crate::engine::admission::{self, Wanted};
use crate::engine::drive::folder::DriveError;
use crate::engine::dry_run::{DryRun, survey};
use crate::engine::ports::Clock as _;
use crate::source::folder;
use crate::state::{StateError, local::View, memory::Memory};
use args::exit_of;
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;

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

/// The objects of the state; none when there is no state yet.
fn stored(dir: &Path) -> Result<Vec<Arc<Object>>, StateError> {
    match View::open(dir) {
        Ok(view) => {
            let memory = Memory::new(view.objects()?.into_iter().map(Arc::new));
            // Requests of users that are not taken in yet.
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
