//! The redb file. Spec and status are separate rows, so that saving a status cannot change a spec.

use super::error::{cannot_write, corrupt};
use crate::{
    api::{Kind, Object, ObjectKey},
    state::{StateError, codec},
};
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Format of the file; a file of a newer one is refused.
const FORMAT: u64 = 1;
/// Memory that redb may use for the file; everything is in memory as objects already.
const PAGE_CACHE_BYTES: usize = 2 * 1024 * 1024;

const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("rollwave");
/// Metadata and spec by `kind/namespace/name`.
const SPECS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("specs");
const STATUSES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("statuses");
/// How often a name was forgotten.
const INCARNATIONS: TableDefinition<'_, &str, u64> = TableDefinition::new("incarnations");

pub(super) fn path_in(dir: &Path) -> PathBuf {
    dir.join("state.redb")
}

pub(super) struct Disk {
    path: PathBuf,
    database: Database,
}

/// The content of the file.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) objects: BTreeMap<ObjectKey, Arc<Object>>,
    pub(super) incarnations: BTreeMap<ObjectKey, u64>,
}

impl Disk {
    /// Opens the file, and creates it if it is absent. Every page is checked against its checksum.
    pub(super) fn open(dir: &Path) -> Result<(Self, Loaded), StateError> {
        let path = path_in(dir);
        if !path.try_exists().map_err(|e| cannot_write(&path, &e))? {
            create(dir, &path)?;
        }
        let database = builder().open(&path).map_err(|e| state_error(&path, e.into()))?;
        let disk = Self { path, database };
        let loaded = disk.load().map_err(|e| state_error(&disk.path, e))?;
        Ok((disk, loaded))
    }

    /// Durable when it returns. After an error only the file shows whether the batch was written: open it again.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), StateError> {
        self.write(batch).map_err(|e| state_error(&self.path, e))
    }

    fn write(&self, batch: &Batch) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut specs = transaction.open_table(SPECS)?;
            let mut statuses = transaction.open_table(STATUSES)?;
            let mut incarnations = transaction.open_table(INCARNATIONS)?;
            for (part, object) in &batch.written {
                let (table, encoded) = match part {
                    Part::Spec => (&mut specs, codec::encode_spec(object)),
                    Part::Status => (&mut statuses, codec::encode_status(object)),
                };
                let bytes = encoded.map_err(io::Error::other)?;
                table.insert(row_of(&object.key()).as_str(), bytes.as_slice())?;
            }
            for (key, forgotten) in &batch.removed {
                let row = row_of(key);
                specs.remove(row.as_str())?;
                statuses.remove(row.as_str())?;
                incarnations.insert(row.as_str(), forgotten)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Row by row, so that only objects are in memory.
    fn load(&self) -> Result<Loaded, redb::Error> {
        let transaction = self.database.begin_read()?;
        let format = transaction.open_table(ABOUT)?.get("format")?.map(|value| value.value());
        if format != Some(FORMAT) {
            return Err(redb::Error::Corrupted(wrong_format(format)));
        }
        let statuses = transaction.open_table(STATUSES)?;
        let mut loaded = Loaded::default();
        for entry in transaction.open_table(SPECS)?.iter()? {
            let (row, spec) = entry?;
            let status = statuses.get(row.value())?;
            let object =
                read_object(row.value(), spec.value(), status.as_ref().map(redb::AccessGuard::value))?;
            loaded.objects.insert(object.key(), Arc::new(object));
        }
        for entry in transaction.open_table(INCARNATIONS)?.iter()? {
            let (row, forgotten) = entry?;
            loaded.incarnations.insert(key_of(row.value())?, forgotten.value());
        }
        Ok(loaded)
    }
}

fn read_object(row: &str, spec: &[u8], status: Option<&[u8]>) -> Result<Object, redb::Error> {
    let key = key_of(row)?;
    let object = codec::decode(key.kind, spec, status).map_err(|e| unreadable(row, &e))?;
    if object.key() == key { Ok(object) } else { Err(unreadable(row, &format!("holds {}", object.key()))) }
}

fn unreadable(row: &str, cause: &dyn std::fmt::Display) -> redb::Error {
    redb::Error::Corrupted(format!("{row}: {cause}"))
}

/// Changes of one commit.
#[derive(Default)]
pub(super) struct Batch {
    /// Encoded only while they are written: thousands of them at once would cost as much memory as the objects.
    written: Vec<(Part, Arc<Object>)>,
    removed: BTreeMap<ObjectKey, u64>,
}

/// The row of an object that is written.
enum Part {
    /// Metadata and spec.
    Spec,
    Status,
}

impl Batch {
    /// Writes metadata and spec of an object; its status stays as it is stored.
    pub(super) fn put_object(&mut self, object: &Object) -> Result<(), StateError> {
        self.put(Part::Spec, object)
    }

    /// Writes only the status of an object.
    pub(super) fn put_status(&mut self, object: &Object) -> Result<(), StateError> {
        self.put(Part::Status, object)
    }

    /// Removes an object; `forgotten` is how often its name will have been forgotten.
    pub(super) fn remove(&mut self, key: ObjectKey, forgotten: u64) {
        self.removed.insert(key, forgotten);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty() && self.removed.is_empty()
    }

    /// The written objects, as they will be read back, and the removed ones.
    pub(super) fn into_parts(self) -> (Vec<Arc<Object>>, BTreeMap<ObjectKey, u64>) {
        (self.written.into_iter().map(|(_, object)| object).collect(), self.removed)
    }

    fn put(&mut self, part: Part, object: &Object) -> Result<(), StateError> {
        self.written.push((part, Arc::new(codec::as_read_back(object)?)));
        Ok(())
    }
}

/// Under another name first: a crash half-way must not leave a file that looks damaged.
fn create(dir: &Path, path: &Path) -> Result<(), StateError> {
    let new = dir.join("state.redb.new");
    match fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(cannot_write(&new, &e)),
        _ => {}
    }
    initialise(&new).map_err(|e| cannot_write(&new, &e))?;
    fs::rename(&new, path).map_err(|e| cannot_write(path, &e))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| cannot_write(dir, &e))
}

fn initialise(path: &Path) -> Result<(), redb::Error> {
    let database = builder().create(path)?;
    let transaction = database.begin_write()?;
    transaction.open_table(ABOUT)?.insert("format", FORMAT)?;
    transaction.open_table(SPECS)?;
    transaction.open_table(STATUSES)?;
    transaction.open_table(INCARNATIONS)?;
    transaction.commit()?;
    database.close()?;
    Ok(())
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(PAGE_CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn wrong_format(found: Option<u64>) -> String {
    match found {
        Some(newer) if newer > FORMAT => {
            format!("it was written by a newer Rollwave (format {newer}; this one reads {FORMAT})")
        }
        Some(other) => format!("it has format {other}; this Rollwave reads {FORMAT}"),
        None => "it has no format".to_owned(),
    }
}

/// The disk failed, or the content is wrong: the two need different next steps.
fn state_error(path: &Path, error: redb::Error) -> StateError {
    use redb::Error as E;
    match error {
        E::Io(e) if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            corrupt(path, &e)
        }
        E::Corrupted(cause) => corrupt(path, &cause),
        E::DatabaseAlreadyOpen | E::LockProtocolMismatch => {
            StateError::InUse { path: path.display().to_string(), pid: "(unknown)".to_owned() }
        }
        E::UpgradeRequired(_)
        | E::RepairAborted
        | E::TableTypeMismatch { .. }
        | E::TableIsMultimap(_)
        | E::TableIsNotMultimap(_)
        | E::TypeDefinitionChanged { .. }
        | E::TableDoesNotExist(_) => corrupt(path, &error),
        _ => cannot_write(path, &error),
    }
}

fn row_of(key: &ObjectKey) -> String {
    format!("{}/{}/{}", key.kind, key.namespace, key.name)
}

fn key_of(row: &str) -> Result<ObjectKey, redb::Error> {
    let mut parts = row.splitn(3, '/');
    let (kind, namespace, name) = (parts.next(), parts.next(), parts.next());
    let kind = Kind::ALL.into_iter().find(|known| Some(known.as_str()) == kind);
    match (kind, namespace, name) {
        (Some(kind), Some(namespace), Some(name)) => Ok(ObjectKey::new(kind, namespace, name)),
        _ => Err(unreadable(row, &"not the name of an object")),
    }
}
