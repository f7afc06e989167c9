//! What every verb is given: where to print, and the global options.

use super::{Exit, Global, printer::Printer};
use crate::{
    api::Object,
    state::{StateError, local::View},
};
use std::{fmt::Display, path::PathBuf};

/// What every verb is given.
#[derive(Debug)]
pub struct Context {
    /// The only way to stdout and stderr.
    pub printer: Printer,
    /// Folder that holds status and journal.
    pub state: PathBuf,
}

impl Context {
    /// The context of this process.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        Self { printer: Printer::of_process(global.color, global.quiet), state: global.state.clone() }
    }

    /// Every object with its status, in order of their keys; also while another process holds the state.
    ///
    /// # Errors
    /// [`StateError`] when there is no state, or it cannot be read.
    pub fn objects(&self) -> Result<Vec<Object>, StateError> {
        View::open(&self.state)?.objects()
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
