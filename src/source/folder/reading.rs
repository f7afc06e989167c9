//! Reads files and folders of manifests, once.

use super::files::{self, Found, Text};
use crate::source::manifest::{self, Manifests, Surroundings};
use crate::source::{Place, Problem, Snapshot};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// The content of some files and folders, and the files that were read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The objects and problems.
    pub snapshot: Snapshot,
    /// Every manifest file that was found, as the user would name it, with its size in bytes; `None`: not readable.
    pub files: Vec<(PathBuf, Option<u64>)>,
    /// SHA-256 of names, contents and problems: equal digests mean equal snapshots.
    pub digest: [u8; 32],
}

/// Reads a file, or every `*.yaml`, `*.yml` and `*.json` of a folder at any depth.
#[must_use]
pub fn read(root: &Path) -> Snapshot {
    read_all(&[root.to_owned()]).snapshot
}

/// The same, for a place with existing objects.
#[must_use]
pub fn read_for(root: &Path, surroundings: &Surroundings) -> Snapshot {
    read_in(&[root.to_owned()], surroundings).snapshot
}

/// Reads several files and folders as one: references may cross them.
#[must_use]
pub fn read_all(roots: &[PathBuf]) -> Reading {
    read_in(roots, &Surroundings::default())
}

fn read_in(roots: &[PathBuf], surroundings: &Surroundings) -> Reading {
    let found = files::find(roots);
    let mut manifests = Manifests::default();
    let mut files = Vec::new();
    let mut hash = Sha256::new();
    for Found { name, text } in found {
        hash.update(name.as_os_str().as_encoded_bytes());
        match text {
            Text::Read(text) => {
                hash.update([0]);
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(&text);
                files.push((name.clone(), Some(text.len() as u64)));
                manifests.add(&name, &text);
            }
            Text::Unusable { is_file, line, column, message } => {
                hash.update([1]);
                hash.update(&message);
                if is_file {
                    files.push((name.clone(), None));
                }
                let place = Place { file: name, line, column };
                manifests.problems.push(Problem { place, path: String::new(), message });
            }
        }
    }
    Reading { snapshot: manifest::gather_in(manifests, surroundings), files, digest: hash.finalize().into() }
}
