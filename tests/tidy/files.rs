//! The files that the rules read.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A text file; `path` is relative to the project and uses `/`.
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &str) -> File {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    File::new(path, &text)
}

/// Every Rust file below these folders.
pub fn rust_files(folders: &[&str]) -> Vec<File> {
    let inside = |path: &str| folders.iter().any(|folder| path.starts_with(&format!("{folder}/")));
    text_files().into_iter().filter(|file| file.path.ends_with(".rs") && inside(&file.path)).collect()
}

/// Every text file of the project.
pub fn text_files() -> Vec<File> {
    let mut paths = Vec::new();
    walk(root(), &mut paths);
    paths.sort();
    paths
        .iter()
        .filter_map(|path| Some(File::new(&relative(path), &fs::read_to_string(path).ok()?)))
        .collect()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/")
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    const NOT_OURS: [&str; 4] = ["target", ".git", ".rollwave", "__pycache__"];
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if NOT_OURS.contains(&entry.file_name().to_string_lossy().as_ref()) {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            walk(&entry.path(), paths);
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
}

#[test]
fn the_walk_finds_this_file_and_nothing_that_was_built() {
    let files = text_files();
    assert!(files.iter().any(|file| file.path == "tests/tidy/files.rs"));
    assert!(!files.iter().any(|file| file.path.starts_with("target/")));
}
