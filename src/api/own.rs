//! Annotations that Rollwave sets itself on objects of a folder; a manifest may not write them.

use super::ObjectMeta;
use std::path::{Path, PathBuf};

/// The file an object was written in, as an absolute path. Relative files of it are looked for beside that.
pub const SOURCE_FILE_ANNOTATION: &str = "rollwave.dev/source-file";
/// Folder beneath which the files of an object are opened.
pub const SOURCE_ROOT_ANNOTATION: &str = "rollwave.dev/source-root";
/// Name of the source that an object is of; a folder that is known by its path alone has none.
pub const SOURCE_ANNOTATION: &str = "rollwave.dev/source";
/// Path of its file within the source; of a source without a name, the absolute path with links resolved.
pub const SOURCE_PATH_ANNOTATION: &str = "rollwave.dev/source-path";
/// Since when the manifest of an object is missing, and its deletion withheld until a user confirms it.
pub const PRUNE_WITHHELD_ANNOTATION: &str = "rollwave.dev/prune-withheld";
/// When a user confirmed the deletion.
pub const PRUNE_CONFIRMED_ANNOTATION: &str = "rollwave.dev/prune-confirmed";

/// All of them. None of them changes what is done for an object that is there.
pub const OWN_ANNOTATIONS: [&str; 6] = [
    SOURCE_FILE_ANNOTATION,
    SOURCE_ROOT_ANNOTATION,
    SOURCE_ANNOTATION,
    SOURCE_PATH_ANNOTATION,
    PRUNE_WITHHELD_ANNOTATION,
    PRUNE_CONFIRMED_ANNOTATION,
];

/// The value of an annotation.
#[must_use]
pub fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(name).map(String::as_str)
}

/// Folder of the file that an object was written in: what relative paths of it start from. Empty when no file is known.
#[must_use]
pub fn folder_of(meta: &ObjectMeta) -> PathBuf {
    let manifest = annotation(meta, SOURCE_FILE_ANNOTATION);
    manifest.and_then(|manifest| Path::new(manifest).parent()).unwrap_or(Path::new("")).to_owned()
}

/// Why no file of a package can be opened: its folder is not known.
pub const NO_FILES: &str =
    "this controller has no folder of files: start it with --artifacts DIR, or use spec.artifact.obs";

/// Folder beneath which the files of an object are opened: that of its manifest when no other is known. Empty when neither is:
/// then no file of it may be opened.
#[must_use]
pub fn root_of(meta: &ObjectMeta) -> PathBuf {
    annotation(meta, SOURCE_ROOT_ANNOTATION).map_or_else(|| folder_of(meta), PathBuf::from)
}

/// Since when the deletion of an object is withheld, as a time in text; none when it is not.
#[must_use]
pub fn withheld_since(meta: &ObjectMeta) -> Option<&str> {
    annotation(meta, PRUNE_WITHHELD_ANNOTATION)
}
