//! Where desired state comes from.

pub mod folder;
pub mod kubernetes;
pub mod manifest;
pub mod origin;
pub mod secret;

use crate::api::{Object, ObjectKey, counted};
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// Everything that a folder says at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The objects that are free of errors.
    pub objects: BTreeMap<ObjectKey, Sourced>,
    /// Every problem of every file. While there is one, nothing is deleted: an object may only seem to be gone.
    pub problems: Vec<Problem>,
    /// Documents of other kinds, passed over: a repository also holds Secrets and the like.
    pub others: usize,
}

impl Snapshot {
    /// How many problems there are, as people read it: `1 problem`.
    #[must_use]
    pub fn problems_text(&self) -> String {
        counted(self.problems.len(), "problem")
    }
}

/// An object and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced {
    /// The object; its status is empty.
    pub object: Object,
    /// Where its document begins.
    pub place: Place,
    /// Where the fields of its `spec` stand, for problems that show only beside another object.
    pub fields: Box<[FieldPlace]>,
}

/// Where the value of a field of `spec` begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPlace {
    /// Name of the field.
    pub name: Box<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Sourced {
    /// The place of a field such as `spec.version`, or of the field of `spec` that it is part of; else of the document.
    #[must_use]
    pub fn place_of(&self, path: &str) -> Place {
        let mut steps = path.split(['.', '[']);
        let name = (steps.next() == Some("spec")).then(|| steps.next()).flatten();
        let field = self.fields.iter().find(|field| Some(&*field.name) == name);
        let (line, column) =
            field.map_or((self.place.line, self.place.column), |field| (field.line, field.column));
        Place { file: self.place.file.clone(), line, column }
    }
}

/// A place in a file. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// Something that is wrong with a manifest: `meter.yaml:14:9: spec.stages[0].gates[0].outcome.minSuccess: "ninety" is not a
/// percentage (try 95%)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Path of the field; empty for the document as a whole.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}: {}", self.place, self.message)
        } else {
            write!(f, "{}: {}: {}", self.place, self.path, self.message)
        }
    }
}
