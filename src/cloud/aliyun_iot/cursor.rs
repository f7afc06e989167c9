//! Position in a list. Some nouns take two actions; the cursor determines the next one, so that each request is a call of its
//! own.

use crate::cloud::Cursor;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A page by number, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageNumber(pub u64);

impl Default for PageNumber {
    fn default() -> Self {
        Self(1)
    }
}

/// Jobs of an account: they are listed by package only, so a page of packages comes first, then the jobs of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobsPlace {
    /// A page of ListOTAFirmware.
    Packages(PageNumber),
    /// A page of ListOTAJobByFirmware, of the first of these packages.
    Jobs {
        /// Packages whose jobs are still to be listed; at least one.
        of: Vec<PackageOfJobs>,
        /// Page of the first one's jobs.
        page: PageNumber,
        /// The next page of packages.
        then: Option<PageNumber>,
    },
}

/// A package whose jobs are listed: rows of jobs do not contain the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageOfJobs {
    /// Its id.
    pub id: String,
    /// Its module; none for the whole device.
    pub module: Option<String>,
}

impl Default for JobsPlace {
    fn default() -> Self {
        Self::Packages(PageNumber::default())
    }
}

/// Devices of a product: QueryDevice returns names, BatchQueryDeviceDetail versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicesPlace {
    /// Names whose details are still to be read.
    pub names: Vec<String>,
    /// The next page of names; none at the end.
    pub names_at: Option<NamesAt>,
}

impl Default for DevicesPlace {
    fn default() -> Self {
        Self { names: Vec::new(), names_at: Some(NamesAt::default()) }
    }
}

impl DevicesPlace {
    /// True when nothing is left to read.
    pub const fn is_end(&self) -> bool {
        self.names.is_empty() && self.names_at.is_none()
    }
}

/// A page of QueryDevice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesAt {
    /// Its number.
    pub page: PageNumber,
    /// Token of the previous page, for lists of more than 10,000 rows.
    pub token: Option<String>,
}

/// Devices with a tag: one value after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaggedPlace {
    /// Index of the value.
    pub value: usize,
    /// Page of its devices.
    pub page: PageNumber,
}

/// The position of a cursor; the start for an empty cursor.
///
/// # Errors
/// The cursor is not one of this list.
pub fn place<P: Default + DeserializeOwned>(cursor: &Cursor) -> Result<P, String> {
    let read = |marker: &String| {
        serde_json::from_str(marker).map_err(|_| "the cursor belongs to another list".to_owned())
    };
    cursor.marker.as_ref().map_or_else(|| Ok(P::default()), read)
}

/// The cursor for the position after a page with this many rows.
///
/// # Errors
/// The list does not end.
pub fn next<P: Serialize>(from: &Cursor, place: &P, rows: usize) -> Result<Cursor, String> {
    let marker = serde_json::to_string(place).map_err(|error| error.to_string())?;
    from.next(marker, rows)
}

/// The cursor for another position within the page that was read: there are at most as many as the page has rows, so they do not
/// count as pages.
///
/// # Errors
/// The position cannot be serialized.
pub fn within_page<P: Serialize>(from: &Cursor, place: &P) -> Result<Cursor, String> {
    let marker = serde_json::to_string(place).map_err(|error| error.to_string())?;
    Ok(Cursor { marker: Some(marker), seen: from.seen.saturating_add(1), pages: from.pages })
}
