//! A file within a body, streamed in constant memory, and checked on the way.

use super::file::{self, Digests};
use super::{TransportError, Upload};
use crate::cloud::{Effect, ErrorClass, LocalFile};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream};
use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{fs::File, io::AsyncReadExt};

/// Bytes of a file that are held at a time.
const CHUNK: usize = 128 * 1024;

/// A body that is read while it is sent.
pub(super) struct FileBody {
    before: Bytes,
    after: Bytes,
    file: LocalFile,
    open: File,
    /// Bytes of the whole body.
    pub length: u64,
    /// Why it was aborted, if it was: the bytes differ from the manifest, or cannot be read.
    pub fault: Fault,
}

/// Holds the reason why a body was aborted.
#[derive(Clone, Default)]
pub(super) struct Fault(Arc<Mutex<Option<String>>>);

impl Fault {
    fn set(&self, why: String) -> io::Error {
        let error = io::Error::other(why.clone());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        error
    }

    /// The error, if there was one. The body was not completed, so the request had no effect.
    pub fn error(&self) -> Option<TransportError> {
        let why = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(unusable(why))
    }
}

impl FileBody {
    /// Opens the file, and reads it once to check it.
    ///
    /// # Errors
    /// The file cannot be opened, or differs from the manifest. Nothing has been sent.
    pub async fn open(before: Bytes, upload: Upload) -> Result<Self, TransportError> {
        let Upload { file, after } = upload;
        let wanted = file.clone();
        let checked = tokio::task::spawn_blocking(move || file::open_checked(&wanted)).await;
        let (open, size) = match checked {
            Ok(checked) => checked.map_err(unusable)?,
            Err(error) => return Err(unusable(error)),
        };
        let open = File::from_std(open);
        let length = (before.len() as u64).saturating_add(size).saturating_add(after.len() as u64);
        Ok(Self { before, after, file, open, length, fault: Fault::default() })
    }

    /// The body in chunks. It ends with an error, before the part after the file, if the digests differ from the manifest.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let digests = Some(Digests::of(&self.file));
        let reader = Reader { digests, open: self.open, file: self.file, fault: self.fault };
        let first = stream::iter([Ok(self.before)]);
        let rest = stream::unfold(Some((reader, self.after)), |state| async move {
            let (mut reader, after) = state?;
            match reader.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some((reader, after)))),
                Ok(None) => Some((Ok(after), None)),
                Err(error) => Some((Err(error), None)),
            }
        });
        futures::StreamExt::chain(first, rest)
    }
}

struct Reader {
    /// None once they are checked.
    digests: Option<Digests>,
    open: File,
    file: LocalFile,
    fault: Fault,
}

impl Reader {
    /// The next chunk; none at the end of a file that matches the manifest.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let path = self.file.path.display();
        if let Err(error) = self.open.read_buf(&mut chunk).await {
            return Err(self.fault.set(format!("{path} cannot be read: {error}")));
        }
        if chunk.is_empty() {
            return self.check().map(|()| None);
        }
        if let Some(digests) = &mut self.digests {
            digests.update(&chunk);
        }
        Ok(Some(chunk.freeze()))
    }

    fn check(&mut self) -> io::Result<()> {
        let Some(digests) = self.digests.take() else { return Ok(()) };
        digests.check(&self.file).map_err(|error| self.fault.set(error.to_string()))
    }
}

fn unusable(message: impl fmt::Display) -> TransportError {
    TransportError {
        class: ErrorClass::Invalid,
        effect: Effect::None,
        message: format!("the file of the package cannot be used: {message}"),
        next_step: "provide the correct file, or correct spec.artifact".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use sha2::Digest as _;

    #[tokio::test]
    async fn a_file_that_changes_after_its_check_is_broken_off_before_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v2.bin");
        fs_err::write(&path, b"firmware").unwrap();
        let sha256 = hex::encode(sha2::Sha256::digest(b"firmware"));
        let file =
            LocalFile { path: path.clone(), root: folder.path().into(), sha256, md5: None, size: None };
        let upload = Upload { file, after: Bytes::from("after") };
        let body = FileBody::open(Bytes::from("before"), upload).await.unwrap();
        fs_err::write(&path, b"FIRMWARE").unwrap();
        let fault = body.fault.clone();
        let chunks: Vec<io::Result<Bytes>> = body.into_stream().collect().await;
        assert!(chunks.last().unwrap().is_err(), "{chunks:?}");
        assert!(fault.error().unwrap().message.contains("has the SHA-256"));
    }
}
