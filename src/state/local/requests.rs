//! Requests that wait for whoever holds the state: a file each, beside the objects. Who asks needs no lock, and who works takes
//! them in at the next glance.
//!
//! A file is whole when it has its name, and is removed once what it asks is durable: a crash in between takes it in again, which
//! changes nothing.

use super::{cannot_write, corrupt};
use crate::api::{ObjectKey, Request};
use crate::state::StateError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const FOLDER: &str = "requests";
/// Files that are being written begin with this.
const UNFINISHED: &str = ".new-";

/// A file, and what it asks.
pub(super) type Waiting = (PathBuf, Result<Asked, Unreadable>);
/// Why a file is no request.
pub(super) type Unreadable = serde_json::Error;

/// What was asked of an object.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Of which.
    pub object: ObjectKey,
    /// What.
    pub request: Request,
    /// When: the value of its annotation.
    pub at: String,
}

/// Writes down what is asked of an object, durably. Files sort by time, and no two have the same name.
pub(super) fn put(dir: &Path, asked: &Asked, now: Timestamp) -> Result<(), StateError> {
    let folder = dir.join(FOLDER);
    let stem = format!("{:020}-{}-{}", now.as_nanosecond(), std::process::id(), asked.request.as_str());
    let write = || -> io::Result<()> {
        fs::create_dir_all(&folder)?;
        let unfinished = folder.join(format!("{UNFINISHED}{stem}"));
        let mut file = File::create_new(&unfinished)?;
        file.write_all(&serde_json::to_vec(asked)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(format!("{stem}.json")))?;
        File::open(&folder)?.sync_all()
    };
    write().map_err(|error| cannot_write(&folder, &error))
}

/// What waits, oldest first, with the file that it stands in.
pub(super) fn waiting(dir: &Path) -> Result<Vec<Waiting>, StateError> {
    let folder = dir.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| corrupt(&folder, &error))?,
    };
    let mut waiting = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| corrupt(&folder, &error))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match fs::read(&path) {
            Ok(bytes) => waiting.push((path, serde_json::from_slice(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(corrupt(&path, &error)),
        }
    }
    waiting.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(waiting)
}

/// What was asked is durable.
pub(super) fn done(path: &Path) -> Result<(), StateError> {
    gone_or(path, fs::remove_file(path))
}

/// It was not written by us, or by a newer version: it is kept under another name, and not looked at again.
pub(super) fn set_aside(path: &Path, error: &Unreadable) -> Result<(), StateError> {
    let aside = path.with_extension("unreadable");
    tracing::warn!(file = %aside.display(), %error, "a request cannot be read, and is not followed");
    gone_or(path, fs::rename(path, aside))
}

fn gone_or(path: &Path, result: io::Result<()>) -> Result<(), StateError> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot_write(path, &error)),
        _ => Ok(()),
    }
}
