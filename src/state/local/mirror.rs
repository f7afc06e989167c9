//! The objects as JSON files, for processes that read while another one writes.

use super::error::{cannot_write, corrupt};
use super::requests::{self, Asked};
use crate::{
    api::{Object, ObjectKey, Request},
    state::{StateError, codec},
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

const FOLDER: &str = "status";
/// Longer file names are shortened: most file systems allow 255 bytes.
const LONGEST_STEM: usize = 200;
/// Prefix of files that are being written; names of objects never have it.
const UNFINISHED: &str = ".new-";

/// Writes the mirror. It is derived: a file that could not be written is a warning, and is retried with the next commit and when
/// the state is opened.
pub(super) struct Mirror {
    folder: PathBuf,
    /// What could not be written (or removed: none) yet, by file name.
    stale: BTreeMap<String, Option<Vec<u8>>>,
}

impl Mirror {
    pub(super) fn open(dir: &Path) -> Result<Self, StateError> {
        let folder = dir.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|e| cannot_write(&folder, &e))?;
        Ok(Self { folder, stale: BTreeMap::new() })
    }

    /// Makes the folder contain exactly these objects; equal files are not written.
    pub(super) fn rebuild(&mut self, objects: &BTreeMap<ObjectKey, Arc<Object>>) -> Result<(), StateError> {
        let names: BTreeSet<String> = objects.keys().map(file_name).collect();
        for file in fs::read_dir(&self.folder).map_err(|e| cannot_write(&self.folder, &e))? {
            let file = file.map_err(|e| cannot_write(&self.folder, &e))?;
            let name = file.file_name().to_string_lossy().into_owned();
            if !names.contains(&name) {
                self.settle(name, None);
            }
        }
        self.update(objects.values().map(Arc::as_ref), [].iter());
        Ok(())
    }

    /// Applies one commit.
    pub(super) fn update<'a>(
        &mut self,
        written: impl Iterator<Item = &'a Object>,
        removed: impl Iterator<Item = &'a ObjectKey>,
    ) {
        for (name, bytes) in std::mem::take(&mut self.stale) {
            self.settle(name, bytes);
        }
        for key in removed {
            self.settle(file_name(key), None);
        }
        for object in written {
            match codec::encode(object) {
                Ok(bytes) => self.settle(file_name(&object.key()), Some(bytes)),
                Err(error) => tracing::warn!(object = %object.key(), %error, "not mirrored"),
            }
        }
    }

    fn settle(&mut self, name: String, bytes: Option<Vec<u8>>) {
        match put_file(&self.folder, &name, bytes.as_deref()) {
            Ok(()) => {
                self.stale.remove(&name);
            }
            Err(error) => {
                let file = self.folder.join(&name);
                tracing::warn!(file = %file.display(), %error, "the mirror could not be written: readers see an old status");
                self.stale.insert(name, bytes);
            }
        }
    }
}

/// Writes a file atomically, unless it has this content already; removes it if there is none.
fn put_file(folder: &Path, name: &str, bytes: Option<&[u8]>) -> io::Result<()> {
    let path = folder.join(name);
    let Some(bytes) = bytes else {
        return fs::remove_file(&path).or_else(gone_is_fine);
    };
    if fs::read(&path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let unfinished = folder.join(format!("{UNFINISHED}{name}"));
    fs::write(&unfinished, bytes)?;
    fs::rename(&unfinished, &path)
}

fn gone_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// `kind.namespace.name.json`. A namespace has no dots, so no two objects share a file.
fn file_name(key: &ObjectKey) -> String {
    let stem = format!("{}.{}.{}", key.kind, key.namespace, key.name);
    if stem.len() <= LONGEST_STEM {
        return format!("{stem}.json");
    }
    let digest = hex::encode(Sha256::digest(stem.as_bytes()));
    let start: String = stem.chars().take(LONGEST_STEM / 2).collect();
    format!("{start}~{digest}.json")
}

/// Refuses names that would escape the folder, or collide in it. Kubernetes names (DNS-1123) are always valid.
pub(super) fn check_name(key: &ObjectKey) -> Result<(), StateError> {
    let plain = |text: &str| !text.is_empty() && !text.contains(['/', '\\', '\0', '~']);
    if plain(&key.name) && plain(&key.namespace) && !key.namespace.contains('.') {
        return Ok(());
    }
    let cause = "a name needs letters, digits, `-` and `.`, a namespace letters, digits and `-`".to_owned();
    Err(StateError::Write { path: key.to_string(), cause })
}

/// Reads a state directory without holding it: for `get`, `status` and `why`, even while another process runs.
#[derive(Clone, Debug)]
pub struct View {
    dir: PathBuf,
    folder: PathBuf,
}

impl View {
    /// A view of the state in `dir`.
    ///
    /// # Errors
    /// [`StateError::Absent`] when there is no state.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let folder = dir.join(FOLDER);
        if folder.is_dir() {
            return Ok(Self { dir: dir.to_owned(), folder });
        }
        Err(StateError::Absent { path: dir.display().to_string() })
    }

    /// Folder of the object files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Requests something of an object: the process that works with this state takes it in, or the next one that does. Durable
    /// when it returns.
    ///
    /// # Errors
    /// [`StateError::Write`].
    pub fn ask(&self, object: &ObjectKey, request: Request, now: Timestamp) -> Result<Asked, StateError> {
        let asked = Asked { object: object.clone(), request, at: now.to_string() };
        requests::put(&self.dir, &asked)?;
        Ok(asked)
    }

    /// Requests that are not taken in yet, oldest first.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] when their folder cannot be read.
    pub fn requests(&self) -> Result<Vec<Asked>, StateError> {
        Ok(requests::waiting(&self.dir)?.into_iter().filter_map(|(_, asked)| asked.ok()).collect())
    }

    /// All objects, in order of their keys. Each one is complete; two may be a commit apart.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] when a file exists but cannot be read as an object.
    pub fn objects(&self) -> Result<Vec<Object>, StateError> {
        let mut objects = BTreeMap::new();
        for file in fs::read_dir(&self.folder).map_err(|e| corrupt(&self.folder, &e))? {
            let path = file.map_err(|e| corrupt(&self.folder, &e))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(UNFINISHED) || !name.ends_with(".json") {
                continue;
            }
            match fs::read(&path) {
                Ok(bytes) => {
                    let object = codec::decode_any(&bytes).map_err(|e| corrupt(&path, &e))?;
                    objects.insert(object.key(), object);
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(corrupt(&path, &e)),
            }
        }
        Ok(objects.into_values().collect())
    }
}
