//! A package's file on this machine: opened inside the folder of its manifests, and checked before any byte is used.

use crate::api::NO_FILES;
use crate::cloud::LocalFile;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};

/// Bytes of a file that are held at a time.
const CHUNK: usize = 128 * 1024;
/// Flag of `open`: return immediately, whatever the file is.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// Why a file cannot be used for a package.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Error of the system.
    #[error("{path} cannot be read: {error}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The folder that it must be in is unknown.
    #[error("{}: {NO_FILES}", .0.display())]
    NoFolder(PathBuf),
    /// By `..`, by an absolute path, or by a link.
    #[error("{path} is outside of {root}, the folder of its manifests", path = path.display(), root = root.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// The folder.
        root: PathBuf,
    },
    /// A pipe, a socket, a device or a folder.
    #[error("{} is not a regular file", .0.display())]
    Special(PathBuf),
    /// No bytes.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    /// The size differs from the manifest.
    #[error("{path} has {found} bytes, expected {wanted}", path = path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// Size in the manifest.
        wanted: u64,
    },
    /// A digest differs from the manifest.
    #[error("{path} has the {name} {found}, expected {wanted}", path = path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// Name of the digest.
        name: &'static str,
        /// Digest of the file.
        found: String,
        /// Digest in the manifest.
        wanted: String,
    },
}

/// An open file, at its beginning, and its size in bytes.
pub type Opened = (File, u64);

/// Opens the file, and checks size and digests of all of it. Blocks for as long as reading it takes.
///
/// # Errors
/// [`FileError`]: it must not be used.
pub fn open_checked(wanted: &LocalFile) -> Result<Opened, FileError> {
    let path = || wanted.path.clone();
    let unreadable = |error| FileError::Unreadable { path: path(), error };
    let mut file = open_beneath(&wanted.root, &wanted.path)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let size = metadata.len();
    match wanted.size {
        _ if !metadata.is_file() => return Err(FileError::Special(path())),
        _ if size == 0 => return Err(FileError::Empty(path())),
        Some(wanted) if wanted != size => return Err(FileError::Size { path: path(), found: size, wanted }),
        _ => {}
    }
    let mut digests = Digests::of(wanted);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk).map_err(unreadable)?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        digests.update(bytes);
    }
    digests.check(wanted)?;
    file.rewind().map_err(unreadable)?;
    Ok((file, size))
}

/// Follows no link, and no `..`, out of `root`.
fn open_beneath(root: &Path, path: &Path) -> Result<File, FileError> {
    let outside = || FileError::Outside { path: path.to_owned(), root: root.to_owned() };
    let unreadable = |error| FileError::Unreadable { path: path.to_owned(), error };
    if root.as_os_str().is_empty() {
        return Err(FileError::NoFolder(path.to_owned()));
    }
    let inside = path.strip_prefix(root).map_err(|_| outside())?;
    let folder = Dir::open_ambient_dir(root, ambient_authority()).map_err(unreadable)?;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(NONBLOCK);
    match folder.open_with(inside, &options) {
        Ok(file) => Ok(file.into_std()),
        // Not a refusal of the system: cap-std reports it for a path that leads outside.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none() => {
            Err(outside())
        }
        Err(error) => Err(unreadable(error)),
    }
}

/// Incremental digests of bytes.
pub(super) struct Digests {
    sha256: Sha256,
    md5: Option<Md5>,
}

impl Digests {
    /// The digests that the manifest has.
    pub(super) fn of(wanted: &LocalFile) -> Self {
        Self { sha256: Sha256::new(), md5: wanted.md5.as_ref().map(|_| Md5::new()) }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    /// # Errors
    /// [`FileError::Digest`].
    pub(super) fn check(self, wanted: &LocalFile) -> Result<(), FileError> {
        let sha256 = ("SHA-256", Some(hex::encode(self.sha256.finalize())), Some(&wanted.sha256));
        let md5 = ("MD5", self.md5.map(|md5| hex::encode(md5.finalize())), wanted.md5.as_ref());
        for (name, found, wanted_digest) in [sha256, md5] {
            if let (Some(found), Some(digest)) = (found, wanted_digest)
                && found != *digest
            {
                let (path, wanted) = (wanted.path.clone(), digest.clone());
                return Err(FileError::Digest { path, name, found, wanted });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;
    use std::os::unix::fs::symlink;

    const BYTES: &[u8] = b"firmware";

    fn refusal(root: &Path, path: PathBuf) -> String {
        let sha256 = hex::encode(Sha256::digest(BYTES));
        match open_checked(&LocalFile { path, root: root.to_owned(), sha256, md5: None, size: None }) {
            Ok((mut file, size)) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).unwrap();
                assert_eq!((bytes.as_slice(), size), (BYTES, BYTES.len() as u64));
                "opened".to_owned()
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_file_is_opened_beneath_its_root_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let at = |name: &str| root.join(name);
        fs::create_dir_all(at("fleet/deep")).unwrap();
        fs::create_dir_all(at("build")).unwrap();
        for file in ["root/fleet/a.bin", "root/build/b.bin", "outside.bin"] {
            fs::write(dir.path().join(file), BYTES).unwrap();
        }
        fs::write(at("fleet/empty.bin"), "").unwrap();
        fs::write(at("fleet/other.bin"), "something else").unwrap();
        symlink("../build/b.bin", at("fleet/inside.bin")).unwrap();
        symlink("../../outside.bin", at("fleet/escape.bin")).unwrap();
        symlink(dir.path().join("outside.bin"), at("fleet/absolute.bin")).unwrap();
        symlink("../..", at("fleet/up")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fleet/pipe.bin"), rustix::fs::Mode::RUSR).unwrap();
        let leads_out = "is outside of";
        for (path, expected) in [
            ("fleet/a.bin", "opened"),
            ("fleet/../build/b.bin", "opened"),
            ("fleet/inside.bin", "opened"),
            ("fleet/../../outside.bin", leads_out),
            ("fleet/escape.bin", leads_out),
            ("fleet/absolute.bin", leads_out),
            ("fleet/up/outside.bin", leads_out),
            ("fleet/none.bin", "cannot be read: No such file"),
            ("fleet/pipe.bin", "is not a regular file"),
            ("fleet/deep", "is not a regular file"),
            ("fleet/empty.bin", "is empty"),
            ("fleet/other.bin", "has the SHA-256"),
        ] {
            let refusal = refusal(&root, at(path));
            assert!(refusal.contains(expected), "{path}: {refusal}");
        }
        assert!(refusal(&root, dir.path().join("outside.bin")).contains(leads_out));
        let nowhere = refusal(Path::new(""), PathBuf::from("Cargo.toml"));
        assert!(nowhere.contains("start it with --artifacts"), "{nowhere}");
    }
}
