//! Sources of desired state.

pub mod folder;
pub mod kubernetes;
pub mod manifest;
pub mod origin;
pub mod secret;

use crate::api::{Object, ObjectKey, counted};
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// The content of a folder at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Objects without errors.
    pub objects: BTreeMap<ObjectKey, Sourced>,
    /// Every problem of every file. While there is one, nothing is deleted: an object may only seem to be missing.
    pub problems: Vec<Problem>,
    /// Skipped documents of other kinds: a repository also contains Secrets and the like.
    pub others: usize,
}

impl Snapshot {
    /// The number of problems, for users: `1 problem`.
    #[must_use]
    pub fn problems_text(&self) -> String {
        counted(self.problems.len(), "problem")
    }
}

/// An object, and its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced {
    /// The object; its status is empty.
    pub object: Object,
    /// Start of its document.
    pub place: Place,
    /// Positions of the fields of its `spec`, for problems that involve another object.
    pub fields: Box<[FieldPlace]>,
}

/// Start of the value of a field of `spec`.
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
    /// The position of a field such as `spec.version`, or of the field of `spec` that contains it; else of the document.
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

/// A position in a file. Lines and columns count from 1.
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

/// A problem of a manifest: `meter.yaml:14:9: spec.stages[0].gates[0].outcome.minSuccess: "ninety" is not a percentage: use a
/// value such as 95%`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Position.
    pub place: Place,
    /// Path of the field; empty for the document as a whole.
    pub path: String,
    /// What is wrong, and what to use instead.
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
