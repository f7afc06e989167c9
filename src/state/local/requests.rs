//! Requests that are pending for the process that holds the state: one file each, beside the objects. Writing one needs no lock
//! of the state; the working process takes them in at its next check.
//!
//! A file is complete when it has its name, and is removed once its request is durable: a crash in between takes it in again,
//! which changes nothing. Files are numbered in the order in which they were written, by one writer at a time, because the
//! machine's clock may be set between a pause and a resume.

use super::error::{cannot_write, corrupt};
use crate::api::{ObjectKey, Request};
use crate::state::StateError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const FOLDER: &str = "requests";
/// Prefix of files that are being written.
const UNFINISHED: &str = ".new-";
/// Held while a file is written.
const LOCK: &str = ".lock";
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// A file, and its request.
pub(super) type Waiting = (PathBuf, Result<Asked, Unreadable>);
/// Why a file is not a request.
pub(super) type Unreadable = serde_json::Error;

/// A request of a user.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The object.
    pub object: ObjectKey,
    /// The request.
    pub request: Request,
    /// Time of the request: the value of its annotation.
    pub at: String,
}

/// Writes a request, durably, after everything that is pending.
pub(super) fn put(dir: &Path, asked: &Asked) -> Result<(), StateError> {
    let folder = dir.join(FOLDER);
    let write = || -> io::Result<()> {
        fs::create_dir_all(&folder)?;
        // Until the file has its name.
        let _lock = lock(&folder)?;
        let last = fs::read_dir(&folder)?.filter_map(|entry| number_of(&entry.ok()?.path())).max();
        let stem = format!("{:020}-{}-{}", last.unwrap_or(0) + 1, std::process::id(), asked.request.as_str());
        let unfinished = folder.join(format!("{UNFINISHED}{stem}"));
        let mut file = File::create_new(&unfinished)?;
        file.write_all(&serde_json::to_vec(asked)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(format!("{stem}.json")))?;
        File::open(&folder)?.sync_all()
    };
    write().map_err(|error| cannot_write(&folder, &error))
}

/// One writer at a time. A writer that is stopped half-way must not prevent a pause from being written; then only the order of
/// the two is undefined.
fn lock(folder: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(folder.join(LOCK))?;
    for _ in 0..ATTEMPTS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => break,
        }
    }
    Ok(file)
}

/// The number at the beginning of a file name. Older versions wrote a time there, in nanoseconds: later numbers continue from it.
fn number_of(path: &Path) -> Option<u128> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_prefix(UNFINISHED).unwrap_or(name);
    name.split_once('-')?.0.parse().ok()
}

/// Pending requests, oldest first, with their files.
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
    waiting.sort_by_cached_key(|(path, _)| (number_of(path), path.clone()));
    Ok(waiting)
}

/// The request is durable.
pub(super) fn done(path: &Path) -> Result<(), StateError> {
    gone_or(path, fs::remove_file(path))
}

/// It was not written by this version or an older one: it is kept under another name, and not read again.
pub(super) fn set_aside(path: &Path, error: &Unreadable) -> Result<(), StateError> {
    let aside = path.with_extension("unreadable");
    tracing::warn!(file = %aside.display(), %error, "a request cannot be read, and is ignored");
    gone_or(path, fs::rename(path, aside))
}

fn gone_or(path: &Path, result: io::Result<()>) -> Result<(), StateError> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot_write(path, &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;

    fn asked(request: Request, at: &str) -> Asked {
        Asked { object: ObjectKey::new(Kind::OtaRollout, "default", "meter"), request, at: at.to_owned() }
    }

    #[test]
    fn requests_are_taken_in_the_order_in_which_they_were_made_whatever_the_clock_said() {
        let dir = tempfile::tempdir().unwrap();
        // A time, written by an older version.
        fs::create_dir(dir.path().join(FOLDER)).unwrap();
        let first = asked(Request::Retry, "2026-11-02T12:00:00Z");
        let old = dir.path().join(FOLDER).join("01793620800000000000-17-retry.json");
        fs::write(old, serde_json::to_vec(&first).unwrap()).unwrap();
        let pause = asked(Request::Pause, "2026-11-02T12:00:01Z");
        // The clock was set back by an hour.
        let resume = asked(Request::Resume, "2026-11-02T11:00:02Z");
        let again = asked(Request::Pause, "2026-11-02T11:00:03Z");
        for one in [&pause, &resume, &again] {
            put(dir.path(), one).unwrap();
        }
        let found: Vec<Asked> =
            waiting(dir.path()).unwrap().into_iter().map(|(_, asked)| asked.unwrap()).collect();
        assert_eq!(found, [first, pause, resume, again]);
    }
}
