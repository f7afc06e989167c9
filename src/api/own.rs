//! Annotations that Rollwave sets on objects of a folder; a manifest may not set them.

use super::ObjectMeta;
use std::path::{Path, PathBuf};

/// The file that defines an object, as an absolute path. Relative paths in the object start beside it.
pub const SOURCE_FILE_ANNOTATION: &str = "rollwave.dev/source-file";
/// Folder that the files of an object must be in.
pub const SOURCE_ROOT_ANNOTATION: &str = "rollwave.dev/source-root";
/// Name of the source of an object; a folder that is identified by its path has none.
pub const SOURCE_ANNOTATION: &str = "rollwave.dev/source";
/// Path of its file within the source; for a source without a name, the absolute path with links resolved.
pub const SOURCE_PATH_ANNOTATION: &str = "rollwave.dev/source-path";
/// Since when the manifest of an object has been missing and its deletion awaits confirmation.
pub const PRUNE_WITHHELD_ANNOTATION: &str = "rollwave.dev/prune-withheld";
/// When a user confirmed the deletion.
pub const PRUNE_CONFIRMED_ANNOTATION: &str = "rollwave.dev/prune-confirmed";

/// All of them. None of them changes how an object with a manifest is reconciled.
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

/// Folder of the file that defines an object: relative paths start from it. Empty when no file is known.
#[must_use]
pub fn folder_of(meta: &ObjectMeta) -> PathBuf {
    let manifest = annotation(meta, SOURCE_FILE_ANNOTATION);
    manifest.and_then(|manifest| Path::new(manifest).parent()).unwrap_or(Path::new("")).to_owned()
}

/// Why no file of a package can be opened: its folder is unknown.
pub const NO_FILES: &str =
    "this controller has no artifact folder: start it with --artifacts DIR, or use spec.artifact.obs";

/// Folder that the files of an object must be in: that of its manifest when no other is known. Empty when neither is known; then
/// no file of the object may be opened.
#[must_use]
pub fn root_of(meta: &ObjectMeta) -> PathBuf {
    annotation(meta, SOURCE_ROOT_ANNOTATION).map_or_else(|| folder_of(meta), PathBuf::from)
}

/// Since when the deletion of an object has awaited confirmation, as text; none if it does not.
#[must_use]
pub fn withheld_since(meta: &ObjectMeta) -> Option<&str> {
    annotation(meta, PRUNE_WITHHELD_ANNOTATION)
}
