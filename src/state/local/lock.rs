//! One writer per state directory.

use super::error::cannot_write;
use crate::state::StateError;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn path_in(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// Held as long as it lives. The operating system releases it when the process dies, so the pid in the file decides nothing: it
/// is for users.
#[derive(Debug)]
pub(super) struct DirLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl DirLock {
    pub(super) fn take(dir: &Path) -> Result<Self, StateError> {
        let path = path_in(dir);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(|e| cannot_write(&path, &e))?;
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let (path, pid) = (path.display().to_string(), holder(&mut file));
                return Err(StateError::InUse { path, pid });
            }
            Err(TryLockError::Error(e)) => return Err(cannot_write(&path, &e)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|e| cannot_write(&path, &e))?;
        Ok(Self(file))
    }
}

/// Retries for a moment: a process that the holder is just starting shares the lock until it executes another program, even if
/// the holder itself has released it.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 1..ATTEMPTS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            settled => return settled,
        }
    }
    file.try_lock()
}

/// The pid that the holder recorded; it may not have done so yet.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(32).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "(unknown)".to_owned(),
    }
}
