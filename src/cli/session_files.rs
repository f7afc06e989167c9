//! Tokens that processes of one state share: one file each, readable by its owner only (0600), beside the state, under a file
//! lock.

use crate::cloud::ocean_connect::{Kept, Shelf};
use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// Longer than signing in may take: the holder of the lock signs in meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// Interval of attempts to take a lock that another process holds.
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// Larger than any token.
const MOST_BYTES: u64 = 64 * 1024;

/// The folder `sessions` beside a state.
pub struct SessionFiles(PathBuf);

impl SessionFiles {
    /// Beside the state in `dir`; none without a state, because no other process works on it then.
    #[must_use]
    pub fn beside(dir: &Path) -> Option<Self> {
        dir.is_dir().then(|| Self(dir.join("sessions")))
    }

    fn open_file(&self, name: &str) -> io::Result<File> {
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let path = self.0.join(format!("{name}.json"));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        // The file may have been copied there with other permissions.
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(file)
    }
}

#[async_trait]
impl Shelf for SessionFiles {
    async fn open(&self, name: &str) -> Option<Box<dyn Kept>> {
        let opened = async {
            let file = self.open_file(name)?;
            tokio::time::timeout(PATIENCE, locked(&file)).await.map_err(io::Error::other)??;
            Ok::<_, io::Error>(file)
        };
        match opened.await {
            Ok(file) => Some(Box::new(KeptFile(file))),
            Err(error) => {
                let dir = self.0.display();
                tracing::warn!("{dir}: the token cannot be shared with other processes: {error}");
                None
            }
        }
    }
}

async fn locked(file: &File) -> io::Result<()> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(TRY_AGAIN).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Locked until it is dropped or its process ends.
struct KeptFile(File);

impl KeptFile {
    fn replace(&mut self, text: &str) -> io::Result<()> {
        self.0.rewind()?;
        self.0.set_len(0)?;
        self.0.write_all(text.as_bytes())
    }
}

impl Kept for KeptFile {
    fn read(&mut self) -> Option<SecretString> {
        let mut text = String::new();
        self.0.rewind().ok()?;
        (&self.0).take(MOST_BYTES).read_to_string(&mut text).ok()?;
        (!text.is_empty()).then(|| text.into())
    }

    fn write(&mut self, text: &SecretString) {
        if let Err(error) = self.replace(text.expose_secret()) {
            tracing::warn!("the token cannot be shared with other processes: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_one_process_keeps_the_next_one_reads_and_nobody_else_can() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = SessionFiles::beside(dir.path()).unwrap();
        let mut first = shelf.open("abc").await.unwrap();
        assert!(first.read().is_none());
        first.write(&"a longer text".into());
        first.write(&"a text".into());
        let path = dir.path().join("sessions/abc.json");
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(File::open(&path).unwrap().try_lock(), Err(TryLockError::WouldBlock)));
        drop(first);
        let read = shelf.open("abc").await.unwrap().read().unwrap();
        assert_eq!(read.expose_secret(), "a text");
    }

    #[test]
    fn where_there_is_no_state_nothing_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert!(SessionFiles::beside(&dir.path().join("nowhere")).is_none());
    }
}
