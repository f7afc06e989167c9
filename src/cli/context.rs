//! What every verb is given: where to print, and the global options.

use super::{Exit, Global, printer::Printer};
use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

/// What every verb is given.
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
    /// Somebody named it.
    Named(PathBuf),
    /// Nobody did.
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

    /// Says what went wrong, and fails.
    pub fn fail(&self, error: impl Display) -> Exit {
        self.printer.error(error);
        Exit::Failed
    }

    /// Says what was wrong with the command line.
    pub fn usage(&self, error: impl Display) -> Exit {
        self.printer.error(error);
        Exit::Usage
    }
}
