//! Objects, status and journal in one redb file, for a state backend without a cluster.
//!
//! The directory has `state.redb` (the truth), `lock` (held while a process writes; contains the holder's pid), `status/` (a
//! mirror for readers, see [`View`]) and `requests/` (pending requests of users). Objects are also kept in memory, so loading
//! costs nothing.
//!
//! **Invariant:** every commit is durable when it returns; the mirror is derived and never read back.
//! **Invariant:** untrusted data is refused: a damaged file is never replaced, and never treated as an empty one.

mod changes;
mod disk;
mod error;
mod lock;
mod mirror;
mod presence;
mod requests;

pub use changes::Changes;
pub use mirror::View;
pub use requests::Asked;

use super::desired::{self, Desired, Stored};
use super::{ManifestStore, StateError, Store, change};
use crate::api::{Object, ObjectKey};
use async_trait::async_trait;
use disk::{Batch, Disk};
use error::cannot_write;
use jiff::Timestamp;
use lock::DirLock;
use mirror::Mirror;
use presence::Presence;
use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

/// A state directory, held exclusively. Dropping it releases the lock.
///
/// Loading never waits for a disk; a write blocks the calling thread for one flush.
pub struct Local {
    dir: PathBuf,
    objects: RwLock<BTreeMap<ObjectKey, Arc<Object>>>,
    writer: Mutex<Writer>,
    writes: AtomicU64,
    presence: Presence,
    /// Last, so that the lock is released after the file is closed.
    _lock: DirLock,
}

struct Writer {
    /// None after a failed write, until the file could be read again: only the file shows whether that write succeeded.
    disk: Option<Disk>,
    mirror: Mirror,
    /// How often each name was forgotten; names that never were are absent.
    incarnations: BTreeMap<ObjectKey, u64>,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Local {
    /// Opens the state in `dir`, and creates both when absent (the directory for its owner only).
    ///
    /// # Errors
    /// [`StateError::InUse`] while another process holds it, [`StateError::Corrupt`] when the file is damaged, empty, foreign or
    /// of a newer format, [`StateError::Write`] when the disk fails.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        create_private_dir(dir)?;
        let lock = DirLock::take(dir)?;
        let (disk, loaded) = Disk::open(dir)?;
        let mut mirror = Mirror::open(dir)?;
        mirror.rebuild(&loaded.objects)?;
        Ok(Self {
            dir: dir.to_owned(),
            presence: Presence::of(dir)?,
            objects: RwLock::new(loaded.objects),
            writer: Mutex::new(Writer { disk: Some(disk), mirror, incarnations: loaded.incarnations }),
            writes: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// Takes over the manifests, in one commit.
    ///
    /// A new object gets its identity (a hash of kind, namespace, name and how often that name was forgotten, so that a lost
    /// state yields the same identity again), generation 1 and `now` as its creation time; a changed spec gets the next
    /// generation; an object that is no longer desired gets, if `may_delete`, a deletion time, and keeps its last spec and
    /// status. An object that is being deleted is not changed even if it is desired again: deletion is finished first. Apply the
    /// same manifests again after [`Store::forget`], and it becomes a new object.
    ///
    /// # Errors
    /// [`StateError::Write`], and nothing was taken over.
    pub fn apply_desired(
        &self,
        desired: &BTreeMap<ObjectKey, Object>,
        may_delete: bool,
        now: Timestamp,
    ) -> Result<Desired, StateError> {
        let mut writer = self.writer()?;
        let merged = {
            let stored = Stored { objects: &self.objects(), incarnations: &writer.incarnations };
            desired::merge(&stored, desired, may_delete, now)
        };
        let mut batch = Batch::default();
        for object in merged.writes {
            mirror::check_name(&object.key())?;
            batch.put_object(&object)?;
        }
        self.commit(&mut writer, batch)?;
        Ok(merged.desired)
    }

    /// Takes in the requests of users since the last time ([`View::ask`]), each in its own commit; returns the objects concerned.
    /// Requests for objects that do not exist are dropped.
    ///
    /// # Errors
    /// [`StateError::Write`]: requests that could not be taken in stay pending.
    pub fn take_requests(&self) -> Result<Vec<ObjectKey>, StateError> {
        self.check()?;
        let mut concerned = Vec::new();
        for (path, asked) in requests::waiting(&self.dir)? {
            let Asked { object, request, at } = match asked {
                Ok(asked) => asked,
                Err(error) => {
                    requests::set_aside(&path, &error)?;
                    continue;
                }
            };
            let mut writer = self.writer()?;
            let stored = self.objects().get(&object).cloned();
            if stored.is_none() {
                tracing::warn!(%object, request = request.as_str(), "the object does not exist: the request is dropped");
            }
            if let Some(next) = stored.and_then(|stored| change::of_request(&stored, request, &at)) {
                let mut batch = Batch::default();
                batch.put_object(&Arc::new(next))?;
                self.commit(&mut writer, batch)?;
                concerned.push(object);
            }
            requests::done(&path)?;
        }
        Ok(concerned)
    }

    /// Whether this is still the state at its path.
    ///
    /// # Errors
    /// [`StateError::Replaced`] when its folder, lock or file was removed or replaced: writes would be lost, and another process
    /// may hold what exists now.
    pub fn check(&self) -> Result<(), StateError> {
        self.presence.check()
    }

    /// Number of commits since it was opened.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    fn replace_status(&self, object: &Object) -> Result<(), StateError> {
        let key = object.key();
        let mut writer = self.writer()?;
        let stored = self.objects().get(&key).cloned();
        let Some(next) = change::of_status(stored.as_deref(), object)? else { return Ok(()) };
        let mut batch = Batch::default();
        batch.put_status(&next)?;
        self.commit(&mut writer, batch)
    }

    fn remove(&self, key: &ObjectKey) -> Result<(), StateError> {
        let mut writer = self.writer()?;
        let stored = self.objects().get(key).cloned();
        if !change::may_forget(stored.as_deref(), key)? {
            return Ok(());
        }
        let forgotten = change::forgotten_once_more(&writer.incarnations, key);
        let mut batch = Batch::default();
        batch.remove(key.clone(), forgotten);
        self.commit(&mut writer, batch)
    }

    /// The only place that writes: file first, then memory, then the mirror.
    fn commit(&self, writer: &mut Writer, batch: Batch) -> Result<(), StateError> {
        if batch.is_empty() {
            return Ok(());
        }
        // Taken out: it is put back only if the write is known to have succeeded.
        let Some(mut disk) = writer.disk.take() else {
            return Err(StateError::Write { path: self.path(), cause: "the file is not open".to_owned() });
        };
        disk.commit(&batch)?;
        // After the write: data that is durable in a removed file is lost.
        self.check()?;
        writer.disk = Some(disk);
        self.writes.fetch_add(1, Ordering::Relaxed);
        let (objects, removed) = batch.into_parts();
        writer.mirror.update(objects.iter().map(Arc::as_ref), removed.keys());
        let mut cache = self.objects_mut();
        for key in removed.keys() {
            cache.remove(key);
        }
        cache.extend(objects.into_iter().map(|object| (object.key(), object)));
        writer.incarnations.extend(removed);
        Ok(())
    }

    /// The writer, with the file open; after a failed write the file is read again first.
    fn writer(&self) -> Result<MutexGuard<'_, Writer>, StateError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.check()?;
        if writer.disk.is_none() {
            let (disk, loaded) = Disk::open(&self.dir)?;
            writer.mirror.rebuild(&loaded.objects)?;
            *self.objects_mut() = loaded.objects;
            writer.incarnations = loaded.incarnations;
            writer.disk = Some(disk);
        }
        Ok(writer)
    }

    fn objects(&self) -> RwLockReadGuard<'_, BTreeMap<ObjectKey, Arc<Object>>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn objects_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<ObjectKey, Arc<Object>>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self) -> String {
        disk::path_in(&self.dir).display().to_string()
    }
}

#[async_trait]
impl Store for Local {
    async fn load(&self, key: &ObjectKey) -> Result<Option<Arc<Object>>, StateError> {
        Ok(self.objects().get(key).cloned())
    }

    async fn keys(&self) -> Result<Vec<ObjectKey>, StateError> {
        Ok(self.objects().keys().cloned().collect())
    }

    /// Writes nothing if the status equals the stored one.
    async fn save_status(&self, object: &Object) -> Result<(), StateError> {
        self.replace_status(object)
    }

    /// Records that the name was forgotten once more. [`StateError::Conflict`] unless the object is being deleted.
    async fn forget(&self, key: &ObjectKey) -> Result<(), StateError> {
        self.remove(key)
    }
}

#[async_trait]
impl ManifestStore for Local {
    async fn take_manifests(
        &self,
        desired: &BTreeMap<ObjectKey, Object>,
        may_delete: bool,
        now: Timestamp,
    ) -> Result<Desired, StateError> {
        self.apply_desired(desired, may_delete, now)
    }

    async fn take_requests(&self) -> Result<Vec<ObjectKey>, StateError> {
        Self::take_requests(self)
    }
}

fn create_private_dir(dir: &Path) -> Result<(), StateError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|e| cannot_write(dir, &e))
}
