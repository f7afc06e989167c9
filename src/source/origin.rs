//! The source of some manifests. An object belongs to the source that it came from, wherever that is checked out: what is removed
//! from a source is deleted by any checkout of it, and by nothing else.

mod checkout;

use crate::api::{
    ObjectMeta, SOURCE_ANNOTATION, SOURCE_FILE_ANNOTATION, SOURCE_PATH_ANNOTATION, SOURCE_ROOT_ANNOTATION,
    annotation,
};
use checkout::Checkout;
use std::path::{Path, PathBuf};

/// A source, and the part of it that Rollwave reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name; none for a folder that is identified by its path.
    name: Option<String>,
    /// The given path, absolute, with links as they are.
    given: PathBuf,
    /// The same with links resolved.
    real: PathBuf,
    /// Its position within the source; `real` without a name.
    within: PathBuf,
    /// Folder that the files of manifests must be in.
    root: PathBuf,
}

impl Origin {
    /// The origin of a file or folder: the whole source of this name, if one is given; else part of the repository that is
    /// checked out there, identified by the address of its remote `origin`; else identified by its path.
    #[must_use]
    pub fn of(path: &Path, name: Option<&str>) -> Self {
        let given = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let real = std::fs::canonicalize(&given).unwrap_or_else(|_| given.clone());
        let root = if real.is_dir() { given.clone() } else { parent(&given) };
        if let Some(name) = name {
            return Self { name: Some(name.to_owned()), given, real, within: PathBuf::new(), root };
        }
        match Checkout::around(&real) {
            Some(checkout) => {
                let within = real.strip_prefix(&checkout.top).unwrap_or(Path::new("")).to_owned();
                let root = top_of(&given, &within, &checkout.top).unwrap_or(root);
                Self { name: Some(checkout.remote), given, real, within, root }
            }
            None => Self { root, ..Self::by_path(&given, real) },
        }
    }

    /// The origin of a folder that is identified by its path, which is `real` with links resolved. Reads no disk.
    #[must_use]
    pub fn by_path(given: &Path, real: PathBuf) -> Self {
        Self { name: None, given: given.to_owned(), within: real.clone(), root: given.to_owned(), real }
    }

    /// Its name for users.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.given.to_str().unwrap_or_default())
    }

    /// Records on an object which file of this source defines it.
    pub fn mark(&self, meta: &mut ObjectMeta, file: &Path) {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let notes = [
            (SOURCE_FILE_ANNOTATION, Some(file.display().to_string())),
            (SOURCE_ROOT_ANNOTATION, Some(self.root.display().to_string())),
            (SOURCE_ANNOTATION, self.name.clone()),
            (SOURCE_PATH_ANNOTATION, Some(self.place_of(&file).display().to_string())),
        ];
        let annotations = meta.annotations.get_or_insert_default();
        for (note, value) in notes {
            annotations.remove(note);
            annotations.extend(value.map(|value| (note.to_owned(), value)));
        }
    }

    /// Path of a found file within the source.
    fn place_of(&self, file: &Path) -> PathBuf {
        match file.strip_prefix(&self.given) {
            // A single file; the path within a whole named source is at least the file name.
            Ok(rest) if rest.as_os_str().is_empty() && self.within.as_os_str().is_empty() => {
                file.file_name().map(PathBuf::from).unwrap_or_default()
            }
            Ok(rest) if rest.as_os_str().is_empty() => self.within.clone(),
            Ok(rest) => self.within.join(rest),
            Err(_) => file.to_owned(),
        }
    }

    /// True when the object is defined by a file in the given part of this source: if it is missing now, it is to be deleted.
    #[must_use]
    pub fn owns(&self, meta: &ObjectMeta) -> bool {
        let lies_in = |note, folder: &Path| {
            annotation(meta, note).is_some_and(|path| Path::new(path).starts_with(folder))
        };
        match (&self.name, annotation(meta, SOURCE_ANNOTATION)) {
            (Some(ours), Some(its)) => ours == its && lies_in(SOURCE_PATH_ANNOTATION, &self.within),
            (None, Some(_)) => false,
            // Identified by its path: it was read before the source had a name.
            (_, None) => {
                lies_in(SOURCE_PATH_ANNOTATION, &self.real) || lies_in(SOURCE_FILE_ANNOTATION, &self.given)
            }
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

/// The top of a checkout in terms of the given path, which may have links.
fn top_of(given: &Path, within: &Path, top: &Path) -> Option<PathBuf> {
    let named = given.ancestors().nth(within.components().count())?;
    std::fs::canonicalize(named).is_ok_and(|real| real == top).then(|| named.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;
    use std::os::unix::fs::symlink;

    fn marked(origin: &Origin, file: &Path) -> ObjectMeta {
        let mut meta = ObjectMeta::default();
        origin.mark(&mut meta, file);
        meta
    }

    /// A folder that is a checkout of this remote, with the folder `fleet` in it.
    fn checkout(remote: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(".git")).unwrap();
        fs::create_dir_all(dir.path().join("fleet/prod")).unwrap();
        let config = format!("[core]\n\tbare = false\n[remote \"origin\"]\n\turl = {remote}\n\tfetch = x\n");
        fs::write(dir.path().join(".git/config"), config).unwrap();
        dir
    }

    #[test]
    fn a_repository_is_one_source_wherever_and_however_it_was_cloned() {
        let (one, other) =
            (checkout("git@github.com:acme/fleet.git"), checkout("https://x:TOKEN@GitHub.com/acme/fleet"));
        let origin = |dir: &tempfile::TempDir, path: &str| Origin::of(&dir.path().join(path), None);
        let object = marked(&origin(&one, "fleet"), &one.path().join("fleet/prod/a.yaml"));
        assert_eq!(annotation(&object, SOURCE_ANNOTATION), Some("github.com/acme/fleet"));
        assert_eq!(annotation(&object, SOURCE_PATH_ANNOTATION), Some("fleet/prod/a.yaml"));
        assert_eq!(annotation(&object, SOURCE_ROOT_ANNOTATION), one.path().to_str());
        for (path, owns) in [("fleet", true), ("fleet/prod", true), (".git", false), ("", true)] {
            assert_eq!(origin(&other, path).owns(&object), owns, "{path}");
        }
        assert!(!origin(&checkout("git@github.com:acme/else.git"), "fleet").owns(&object));
    }

    #[test]
    fn a_link_leads_to_the_same_source_and_a_name_wins_over_every_path() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("m/sub")).unwrap();
        fs::create_dir_all(at("m-2")).unwrap();
        symlink(at("m"), at("link")).unwrap();
        let object = marked(&Origin::of(&at("m"), None), &at("m/a.yaml"));
        let through_link = marked(&Origin::of(&at("link"), None), &at("link/a.yaml"));
        for object in [&object, &through_link] {
            assert!(Origin::of(&at("m"), None).owns(object));
            assert!(Origin::of(&at("link"), None).owns(object));
            assert!(Origin::of(&at("link"), Some("fleet")).owns(object), "it is given a name now");
            for path in ["m/sub", "m-2"] {
                assert!(!Origin::of(&at(path), None).owns(object), "{path}");
            }
        }
        let named = marked(&Origin::of(&at("m"), Some("fleet")), &at("m/a.yaml"));
        assert_eq!(annotation(&named, SOURCE_PATH_ANNOTATION), Some("a.yaml"));
        assert!(Origin::of(&at("m-2"), Some("fleet")).owns(&named));
        assert!(!Origin::of(&at("m"), Some("other")).owns(&named));
        assert!(!Origin::of(&at("m"), None).owns(&named), "a name is kept until another one is given");
    }
}
