//! `rollwave validate`: everything that is wrong with some manifests.

use super::{Context, Exit};
use crate::api::{Object, counted};
use crate::cloud::transport::file::open_checked;
use crate::decide::ownership::{Foreseen, foresee};
use crate::decide::package::local_files;
use crate::source::folder::{self, Reading};
use crate::source::origin::Origin;
use crate::source::{Problem, Snapshot};
use serde_json::json;
use std::path::PathBuf;

/// What to check, and how to print it.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files and folders; of a folder, every *.yaml, *.yml and *.json in it and below it.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// How the result is printed.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people: problems to standard error, the sums to standard output.
    Text,
    /// One JSON object.
    Json,
}

/// Checks the manifests and prints what is wrong.
#[must_use]
pub fn run(args: &Args, ctx: &Context) -> Exit {
    if let Some(absent) = args.paths.iter().find(|path| path.symlink_metadata().is_err()) {
        return ctx.usage(format!("{}: there is no such file or folder", absent.display()));
    }
    let reading = folder::read_all(&args.paths);
    let mut warnings = overlaps(&reading);
    warnings.extend(unusable_files(&reading.snapshot, &args.paths));
    match args.output {
        Format::Text => print_text(&reading, &warnings, ctx),
        Format::Json => ctx.printer.line(as_json(&reading, &warnings)),
    }
    if reading.snapshot.problems.is_empty() { Exit::Done } else { Exit::Failed }
}

/// Rollouts that target the same devices, by the place of their targets.
fn overlaps(reading: &Reading) -> Vec<Problem> {
    let objects = &reading.snapshot.objects;
    let foreseen = foresee(objects.values().map(|sourced| &sourced.object));
    let located = foreseen.into_iter().filter_map(|Foreseen { key, message }| {
        let path = "spec.targets".to_owned();
        Some(Problem { place: objects.get(&key)?.place_of(&path), path, message })
    });
    located.collect()
}

/// Files of packages that are not there, or are not what the manifest says. Only a warning: they may be built later, and a
/// package that the cloud holds needs no file any more.
fn unusable_files(snapshot: &Snapshot, paths: &[PathBuf]) -> Vec<Problem> {
    let origins: Vec<(&PathBuf, Origin)> = paths.iter().map(|path| (path, Origin::of(path, None))).collect();
    let mut problems = Vec::new();
    for sourced in snapshot.objects.values() {
        let Object::Package(package) = &sourced.object else { continue };
        let mut package = package.clone();
        if let Some((_, origin)) = origins.iter().find(|(path, _)| sourced.place.file.starts_with(path)) {
            origin.mark(&mut package.metadata, &sourced.place.file);
        }
        for (path, file) in local_files(&package) {
            if let Err(error) = open_checked(&file) {
                problems.push(Problem { place: sourced.place_of(&path), path, message: error.to_string() });
            }
        }
    }
    problems
}

fn print_text(reading: &Reading, warnings: &[Problem], ctx: &Context) {
    for problem in &reading.snapshot.problems {
        ctx.printer.problem(problem);
    }
    for warning in warnings {
        ctx.printer.warning(warning);
    }
    let others = match reading.snapshot.others {
        0 => String::new(),
        others => format!(", {} passed over", counted(others, "other document")),
    };
    ctx.printer.line(format_args!(
        "{} in {}, {}{others}",
        counted(reading.snapshot.objects.len(), "object"),
        counted(reading.files.len(), "file"),
        counted(reading.snapshot.problems.len(), "problem"),
    ));
}

fn as_json(reading: &Reading, warnings: &[Problem]) -> serde_json::Value {
    let problem = |problem: &Problem| {
        json!({
            "file": problem.place.file, "line": problem.place.line, "column": problem.place.column,
            "path": problem.path, "message": problem.message,
        })
    };
    json!({
        "objects": reading.snapshot.objects.len(),
        "files": reading.files.len(),
        "otherDocuments": reading.snapshot.others,
        "problems": reading.snapshot.problems.iter().map(problem).collect::<Vec<_>>(),
        "warnings": warnings.iter().map(problem).collect::<Vec<_>>(),
    })
}
