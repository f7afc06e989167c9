//! `rollwave crds`: the CustomResourceDefinitions.

use super::{Context, Exit};
use crate::api::{Kind, definition_file, definition_yaml};
use fs_err as fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the definitions go.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Write one file for each kind into this folder instead.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Prints or writes the definitions.
#[must_use]
pub fn run(args: &Args, ctx: &Context) -> Exit {
    let Some(folder) = &args.dir else {
        let definitions: Vec<String> = Kind::ALL.into_iter().map(definition_yaml).collect();
        ctx.printer.print(definitions.join("---\n"));
        return Exit::Done;
    };
    match write(folder, ctx) {
        Ok(()) => Exit::Done,
        Err(error) => ctx.fail(error),
    }
}

fn write(folder: &Path, ctx: &Context) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for kind in Kind::ALL {
        let file = folder.join(definition_file(kind));
        fs::write(&file, definition_yaml(kind))?;
        ctx.printer.line(file.display());
    }
    Ok(())
}
