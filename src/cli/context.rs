//! What every verb gets: the printer and the global options.

use super::{Exit, global::Global, printer::Printer};
use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

/// The context of a verb.
#[derive(Debug)]
pub struct Context {
    /// The only way to stdout and stderr.
    pub printer: Printer,
    /// Folder that holds status and journal.
    pub state: StateDir,
}

/// Folder that holds status and journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateDir {
    /// Named by the user.
    Named(PathBuf),
    /// The default.
    Usual(PathBuf),
}

impl StateDir {
    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        let (Self::Named(path) | Self::Usual(path)) = self;
        path
    }
}

impl Context {
    /// The context of this process.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        let usual = || StateDir::Usual(PathBuf::from(".rollwave"));
        let state = global.state.clone().map_or_else(usual, StateDir::Named);
        Self { printer: Printer::of_process(global.color, global.quiet), state }
    }

    /// Prints the error; returns the exit code for failure.
    pub fn fail(&self, error: impl Display) -> Exit {
        self.printer.error(error);
        Exit::Failed
    }

    /// Prints what is wrong with the command line; returns the exit code for wrong usage.
    pub fn usage(&self, error: impl Display) -> Exit {
        self.printer.error(error);
        Exit::Usage
    }
}
