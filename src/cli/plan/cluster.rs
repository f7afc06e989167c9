//! What applying some manifests would do in a cluster.

use super::args::{Args, Output, exit_of};
use super::{json, text};
use crate::api::{Object, ObjectKey};
use crate::cli::place::Found;
use crate::cli::ports::{self, SystemClock};
use crate::cli::{Context, Exit};
use crate::engine::admission::{self, Wanted};
use crate::engine::dry_run::{DryRun, survey};
use crate::engine::ports::Clock as _;
use crate::source::kubernetes::list;
use crate::source::{Snapshot, folder, manifest::Surroundings};
use crate::state::memory::Memory;
use kube::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Runs the verb for the cluster that the flags name.
pub(super) async fn run(args: &Args, ctx: &Context) -> Exit {
    match plan(args, ctx).await {
        Ok(exit) => exit,
        Err(error) => ctx.fail(error),
    }
}

async fn plan(args: &Args, ctx: &Context) -> Result<Exit, String> {
    if args.source.is_given() {
        return Err(
            "--source, --allow-prune and --prune-all apply to the state of a folder: omit them with cluster flags"
                .to_owned(),
        );
    }
    let Found::Cluster { client, namespace, all } = Found::find(&args.place, ctx).await? else {
        return Err("the flags name no cluster".to_owned());
    };
    let (mut snapshot, stored, invalid) = read(&args.path, &client, namespace, all).await?;
    invalid.iter().for_each(|invalid| ctx.printer.note(invalid));
    admission::admit(&mut snapshot, &stored);
    for problem in &snapshot.problems {
        ctx.printer.problem(problem);
    }
    if !snapshot.problems.is_empty() {
        return Err(format!("{}: nothing was planned", snapshot.problems_text()));
    }
    let wanted = wanted(&snapshot, &stored);
    let survey = look(&wanted, &stored, client).await?;
    match args.output {
        Output::Text => ctx.printer.print(text::render(&survey)),
        Output::Json => ctx.printer.line(json::render(&survey, &wanted)),
    }
    Ok(exit_of(&survey))
}

/// The manifests, the objects of the cluster in their namespaces and in those of their accounts (in all namespaces if requested),
/// and problems of objects there that cannot be read.
async fn read(
    path: &Path,
    client: &Client,
    namespace: String,
    all: bool,
) -> Result<(Snapshot, Vec<Arc<Object>>, Vec<String>), String> {
    let mut surroundings = Surroundings { namespace: Some(namespace.clone()), ..Surroundings::default() };
    let written = folder::read_for(path, &surroundings);
    let written = written.objects.values().map(|sourced| &sourced.object);
    let named = written.flat_map(|object| object.cloud_ref().into_iter().chain([object.key()]));
    let named: BTreeSet<String> = named.map(|key| key.namespace).chain([namespace]).collect();
    let spaces = if all { vec![None] } else { named.iter().map(|name| Some(name.as_str())).collect() };
    let (objects, invalid) = list(client, &spaces).await.map_err(|error| error.to_string())?;
    surroundings.known = objects.iter().map(Object::key).collect();
    Ok((folder::read_for(path, &surroundings), objects.into_iter().map(Arc::new).collect(), invalid))
}

/// `kubectl apply` deletes nothing: objects without a manifest stay.
fn wanted(snapshot: &Snapshot, stored: &[Arc<Object>]) -> Wanted {
    let stored = stored.iter().map(|object| (object.key(), Object::clone(object)));
    let mut objects: BTreeMap<ObjectKey, Object> = stored.collect();
    objects.extend(snapshot.objects.iter().map(|(key, sourced)| (key.clone(), sourced.object.clone())));
    Wanted { objects, withheld: None, elsewhere: Vec::new() }
}

async fn look(wanted: &Wanted, stored: &[Arc<Object>], client: Client) -> Result<DryRun, String> {
    let clock = SystemClock::new();
    let memory = Memory::new(stored.iter().cloned());
    let applied = memory.apply_desired(&wanted.objects, false, clock.now());
    applied.map_err(|error| error.to_string())?;
    let ports = ports::of_cluster(clock, client).map_err(|error| error.to_string())?;
    survey(Arc::new(memory), ports).await.map_err(|error| error.to_string())
}
