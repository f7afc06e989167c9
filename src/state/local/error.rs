//! Errors of the files of a state, with their paths.

use crate::state::StateError;
use std::{fmt, path::Path};

pub(super) fn cannot_write(path: &Path, cause: &dyn fmt::Display) -> StateError {
    StateError::Write { path: path.display().to_string(), cause: cause.to_string() }
}

pub(super) fn corrupt(path: &Path, cause: &dyn fmt::Display) -> StateError {
    StateError::Corrupt { path: path.display().to_string(), cause: cause.to_string() }
}
