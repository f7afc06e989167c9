//! Cloud-neutral nouns. They mean the same on every cloud; what a cloud lacks is in [`Capabilities`].

mod capabilities;
mod device;
mod job;
mod package;
mod upload;

pub use crate::api::{CloudKind, Delivery, PackageType as PackageKind};
pub use capabilities::{Capabilities, JobIdentity, RowsLack, Uploads};
pub use device::{Device, DeviceOutcome, DevicePresence, DeviceResult, DeviceScope, DeviceSet, NamedDevices};
pub use job::{Job, JobCounts, JobPurpose, JobState, NewJob};
pub use package::{
    ArtifactRef, CloudVerification, HeldArtifact, HeldFile, LocalFile, NewArtifact, NewFile, NewPackage,
    NewVerification, ObsArtifact, Package, PackageKey, PackageRow,
};
pub use upload::UploadPermit;

/// More pages than any documented account can have: a longer list is broken.
pub const MOST_PAGES: u32 = 20_000;

/// Position in a list. Opaque outside of the client that created it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The cloud's marker of the last row; none at the start.
    pub marker: Option<String>,
    /// Rows read so far.
    pub seen: u64,
    /// Pages read so far.
    pub pages: u32,
}

impl Cursor {
    /// The start of a list.
    #[must_use]
    pub const fn start() -> Self {
        Self { marker: None, seen: 0, pages: 0 }
    }

    /// The position after a page with this many rows.
    ///
    /// # Errors
    /// The list does not end: nothing can be concluded from it.
    pub fn next(&self, marker: String, rows: usize) -> Result<Self, String> {
        let pages = self.pages.saturating_add(1);
        if pages >= MOST_PAGES {
            return Err(format!("the list does not end after {MOST_PAGES} pages"));
        }
        Ok(Self { marker: Some(marker), seen: self.seen.saturating_add(rows as u64), pages })
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Rows.
    pub items: Vec<T>,
    /// Rows of the whole list, if the cloud reports it.
    pub total: Option<u64>,
    /// Position of the next page; none at the end.
    pub next: Option<Cursor>,
}
