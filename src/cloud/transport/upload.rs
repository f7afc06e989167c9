//! A file within a body, streamed in constant memory, and checked on the way.

use super::{TransportError, Upload};
use crate::cloud::{Effect, ErrorClass, LocalFile};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream};
use md5::Md5;
use sha2::{Digest, Sha256};
use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{fs::File, io::AsyncReadExt};

/// Bytes that are held of a file at a time.
const CHUNK: usize = 128 * 1024;

/// A body that is read while it is sent.
pub(super) struct FileBody {
    before: Bytes,
    after: Bytes,
    file: LocalFile,
    open: File,
    /// Bytes of the whole body.
    pub length: u64,
    /// Why it was broken off, if it was: the bytes are not the expected ones, or cannot be read.
    pub fault: Fault,
}

/// A place for the reason why a body was broken off.
#[derive(Clone, Default)]
pub(super) struct Fault(Arc<Mutex<Option<String>>>);

impl Fault {
    fn set(&self, why: String) -> io::Error {
        let error = io::Error::other(why.clone());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        error
    }

    /// The error, if there was one. Its body never ended, so that nothing came of it.
    pub fn error(&self) -> Option<TransportError> {
        let why = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(unusable(why))
    }
}

impl FileBody {
    /// Opens the file.
    ///
    /// # Errors
    /// It cannot be opened, or has another size than the manifest says. Nothing has been sent.
    pub async fn open(before: Bytes, upload: Upload) -> Result<Self, TransportError> {
        let Upload { file, after } = upload;
        let told = |error: io::Error| unusable(format!("{} cannot be read: {error}", file.path.display()));
        let open = File::open(&file.path).await.map_err(told)?;
        let size = open.metadata().await.map_err(told)?.len();
        if let Some(wanted) = file.size.filter(|wanted| *wanted != size) {
            return Err(unusable(format!("{} has {size} bytes, not {wanted}", file.path.display())));
        }
        let length = (before.len() as u64).saturating_add(size).saturating_add(after.len() as u64);
        Ok(Self { before, after, file, open, length, fault: Fault::default() })
    }

    /// The body, chunk by chunk. It ends with an error, before what follows the file, when the digests are not the expected ones.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let reader = Reader {
            sha256: Sha256::new(),
            md5: Md5::new(),
            open: self.open,
            file: self.file,
            fault: self.fault,
        };
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
    sha256: Sha256,
    md5: Md5,
    open: File,
    file: LocalFile,
    fault: Fault,
}

impl Reader {
    /// The next chunk; none at the end of a file that is the expected one.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let path = self.file.path.display();
        if let Err(error) = self.open.read_buf(&mut chunk).await {
            return Err(self.fault.set(format!("{path} cannot be read: {error}")));
        }
        if chunk.is_empty() {
            return self.check().map(|()| None);
        }
        self.sha256.update(&chunk);
        if self.file.md5.is_some() {
            self.md5.update(&chunk);
        }
        Ok(Some(chunk.freeze()))
    }

    fn check(&mut self) -> io::Result<()> {
        let sha256 = hex::encode(self.sha256.finalize_reset());
        let md5 = self.file.md5.as_ref().map(|_| hex::encode(self.md5.finalize_reset()));
        let digests =
            [("SHA-256", Some(sha256), Some(&self.file.sha256)), ("MD5", md5, self.file.md5.as_ref())];
        for (name, found, wanted) in digests {
            if let (Some(found), Some(wanted)) = (found, wanted)
                && found != *wanted
            {
                let path = self.file.path.display();
                return Err(self.fault.set(format!("{path} has the {name} {found}, not {wanted}")));
            }
        }
        Ok(())
    }
}

fn unusable(message: impl fmt::Display) -> TransportError {
    TransportError {
        class: ErrorClass::Invalid,
        effect: Effect::None,
        message: format!("the package's file is not usable: {message}"),
        next_step: "put the right file in place, or correct spec.artifact".to_owned(),
    }
}
