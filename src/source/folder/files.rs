//! Finds the manifest files of a folder, and reads each of them once.

use crate::source::manifest::{MAX_BYTES, too_large};
use fs_err as fs;
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Maximum depth of folders.
const MAX_DEPTH: usize = 32;

/// A found file, named as the user would name it.
pub(super) struct Found {
    pub name: PathBuf,
    pub text: Text,
}

/// The result of reading it.
pub(super) enum Text {
    Read(String),
    /// It cannot be used, and why.
    Unusable {
        is_file: bool,
        line: usize,
        column: usize,
        message: String,
    },
}

/// Every manifest file under the roots, in the order of the roots and of the names in them.
pub(super) fn find(roots: &[PathBuf]) -> Vec<Found> {
    let mut finder = Finder::default();
    for root in roots {
        finder.root(root);
    }
    finder.found
}

#[derive(Default)]
struct Finder {
    found: Vec<Found>,
    /// Real paths of what was read: a file with two names counts once.
    seen: BTreeSet<PathBuf>,
    /// Real path of the root: nothing outside of it is read.
    base: PathBuf,
}

impl Finder {
    fn root(&mut self, root: &Path) {
        let real = match fs::canonicalize(root) {
            Ok(real) => real,
            Err(error) => return self.unusable(root, false, reason(&error)),
        };
        if real.is_dir() {
            self.base.clone_from(&real);
            self.folder(root, &real, &mut Vec::new());
        } else {
            self.file(root, real);
        }
    }

    /// `above`: real paths of the folders on the way here, which distinguish a loop from a second name.
    fn folder(&mut self, folder: &Path, real: &Path, above: &mut Vec<PathBuf>) {
        if above.iter().any(|above| above == real) {
            return self.unusable(
                folder,
                false,
                "is a symbolic link to a folder that contains it".to_owned(),
            );
        }
        if above.len() >= MAX_DEPTH {
            return self.unusable(folder, false, format!("is nested more than {MAX_DEPTH} folders deep"));
        }
        if !self.seen.insert(real.to_owned()) {
            return;
        }
        let entries = match visible_entries(folder) {
            Ok(entries) => entries,
            Err(error) => return self.unusable(folder, false, reason(&error)),
        };
        above.push(real.to_owned());
        for entry in entries {
            self.entry(&entry, above);
        }
        above.pop();
    }

    fn entry(&mut self, entry: &Path, above: &mut Vec<PathBuf>) {
        let is_manifest = is_manifest(entry);
        let real = match fs::canonicalize(entry) {
            Ok(real) => real,
            // Deleted since the folder was listed: treated as absent.
            Err(_) if fs::symlink_metadata(entry).is_err() => return,
            Err(error) if is_manifest => return self.unusable(entry, true, reason(&error)),
            Err(_) => return,
        };
        let is_folder = real.is_dir();
        if !is_folder && !is_manifest {
            return;
        }
        if !real.starts_with(&self.base) {
            let message =
                format!("is a symbolic link to {}, outside of the folder: it is not read", real.display());
            return self.unusable(entry, is_manifest, message);
        }
        if is_folder { self.folder(entry, &real, above) } else { self.file(entry, real) }
    }

    fn file(&mut self, name: &Path, real: PathBuf) {
        if self.seen.insert(real) {
            let text = read(name);
            self.found.push(Found { name: name.to_owned(), text });
        }
    }

    fn unusable(&mut self, name: &Path, is_file: bool, message: String) {
        let text = Text::Unusable { is_file, line: 1, column: 1, message };
        self.found.push(Found { name: name.to_owned(), text });
    }
}

/// Sorted, without names that begin with a dot, which also skips a ConfigMap's `..data` and a git repository.
fn visible_entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok(entries)
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
}

fn read(name: &Path) -> Text {
    let unusable = |message| Text::Unusable { is_file: true, line: 1, column: 1, message };
    match read_steady(name) {
        Err(error) => unusable(reason(&error)),
        Ok(Steady::Changed) => {
            unusable("changed while it was read: it is read again once it is stable".to_owned())
        }
        Ok(Steady::Special) => unusable("is neither a file nor a folder".to_owned()),
        Ok(Steady::TooLarge(bytes)) => unusable(too_large(bytes)),
        Ok(Steady::Bytes(bytes)) => match String::from_utf8(bytes) {
            Ok(text) => Text::Read(text),
            Err(error) => not_utf8(error.as_bytes(), error.utf8_error().valid_up_to()),
        },
    }
}

enum Steady {
    Bytes(Vec<u8>),
    Changed,
    Special,
    TooLarge(u64),
}

/// Reads a file that is not being written meanwhile.
fn read_steady(name: &Path) -> io::Result<Steady> {
    // Checked before it is opened: opening a pipe would block until something writes into it.
    let before = fs::metadata(name)?;
    if !before.is_file() {
        return Ok(Steady::Special);
    }
    if before.len() > MAX_BYTES as u64 {
        return Ok(Steady::TooLarge(before.len()));
    }
    let mut bytes = Vec::new();
    fs::File::open(name)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let after = fs::metadata(name)?;
    let same = stamp(&before) == stamp(&after) && after.len() == bytes.len() as u64;
    Ok(if same { Steady::Bytes(bytes) } else { Steady::Changed })
}

fn stamp(metadata: &Metadata) -> (u64, Option<std::time::SystemTime>) {
    (metadata.len(), metadata.modified().ok())
}

fn not_utf8(bytes: &[u8], valid: usize) -> Text {
    let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let byte = bytes.get(valid).copied().unwrap_or_default();
    let message = format!("is not UTF-8: invalid byte 0x{byte:02X}");
    Text::Unusable { is_file: true, line, column, message }
}

/// The message of the operating system without the path, which precedes it already.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "cannot be read: permission denied".to_owned(),
        kind => format!("cannot be read: {kind}"),
    }
}
