//! `rollwave crds`: the CustomResourceDefinitions, and the same as JSON Schemas.

use super::{Context, Exit};
use crate::api::{Kind, definition_file, definition_yaml, json_schema, json_schema_file};
use fs_err as fs;
use std::io;
use std::path::{Path, PathBuf};

/// Arguments of `rollwave crds`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  rollwave crds | kubectl apply --server-side -f -\n  rollwave crds --json-schemas schemas/"
)]
pub struct Args {
    /// Write one file per kind to this folder instead.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Write JSON Schemas to this folder instead, for editors and kubeconform.
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    pub json_schemas: Option<PathBuf>,
}

/// Prints or writes the definitions.
#[must_use]
pub fn run(args: &Args, ctx: &Context) -> Exit {
    if let Some(folder) = &args.json_schemas {
        let file = |kind| (json_schema_file(kind), format!("{:#}\n", json_schema(kind)));
        return written(folder, Kind::ALL.map(file), ctx);
    }
    let Some(folder) = &args.dir else {
        let definitions: Vec<String> = Kind::ALL.into_iter().map(definition_yaml).collect();
        ctx.printer.print(definitions.join("---\n"));
        return Exit::Done;
    };
    written(folder, Kind::ALL.map(|kind| (definition_file(kind).to_owned(), definition_yaml(kind))), ctx)
}

fn written(folder: &Path, files: [(String, String); 3], ctx: &Context) -> Exit {
    match write(folder, files, ctx) {
        Ok(()) => Exit::Done,
        Err(error) => ctx.fail(error),
    }
}

fn write(folder: &Path, files: [(String, String); 3], ctx: &Context) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in files {
        let file = folder.join(name);
        fs::write(&file, text)?;
        ctx.printer.line(file.display());
    }
    Ok(())
}
