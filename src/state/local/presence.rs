//! Checks that the open files are still the ones at their paths: a state folder may be removed or replaced while a process uses
//! it, which would then write its journal into a deleted file.

use super::error::cannot_write;
use super::{disk, lock};
use crate::state::StateError;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Folder, lock and database at the time they were opened.
pub(super) struct Presence {
    dir: PathBuf,
    opened: Vec<(PathBuf, FileId)>,
}

impl Presence {
    /// Their present state; the lock is held, so that no other process replaces them.
    pub(super) fn of(dir: &Path) -> Result<Self, StateError> {
        let paths = [dir.to_owned(), lock::path_in(dir), disk::path_in(dir)];
        let opened = paths.into_iter().map(|path| {
            let id = id_of(&path).map_err(|error| cannot_write(&path, &error))?;
            Ok((path, id))
        });
        Ok(Self { dir: dir.to_owned(), opened: opened.collect::<Result<_, StateError>>()? })
    }

    /// # Errors
    /// [`StateError::Replaced`] unless all of them still exist.
    pub(super) fn check(&self) -> Result<(), StateError> {
        let is_there = |(path, id): &(PathBuf, FileId)| id_of(path).is_ok_and(|found| found == *id);
        if self.opened.iter().all(is_there) {
            return Ok(());
        }
        Err(StateError::Replaced { path: self.dir.display().to_string() })
    }
}

fn id_of(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(|metadata| FileId::of(&metadata))
}

/// Device and inode.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self(metadata.dev(), metadata.ino())
    }

    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self(0, 0)
    }
}
