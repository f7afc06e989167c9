//! Paging: the same on every list of API v5. Newest first, by record id; `marker` excludes itself and everything newer.

use super::{
    codes,
    request::{Refusal, Request, invalid},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt};

/// A record id: 24 hex digits, newer is larger. Another space than `package_id` and `task_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record(u128);

impl Record {
    /// Above every record; the default `marker`.
    pub const ABOVE_ALL: Self = Self((1 << 96) - 1);

    /// The record so many places further.
    #[must_use]
    pub const fn plus(self, places: u32) -> Self {
        Self(self.0 + places as u128)
    }

    /// How many places `other` is behind this one; 0 when it is before.
    #[must_use]
    pub fn distance(self, other: Self) -> usize {
        usize::try_from(other.0.saturating_sub(self.0)).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:024x}", self.0)
    }
}

/// Gives out record ids: seconds of fleet time, then a number that never repeats.
#[derive(Debug, Default)]
pub struct Records {
    second: u32,
    next: u64,
}

impl Records {
    /// The first of `count` consecutive records.
    pub fn reserve(&mut self, now: Timestamp, count: u32) -> Record {
        self.second = self.second.max(u32::try_from(now.as_second()).unwrap_or(self.second));
        let first = (u128::from(self.second) << 64) | u128::from(self.next);
        self.next += u64::from(count);
        Record(first)
    }

    /// A number that never repeats, for ids that are not records.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// `limit`, `marker` and `offset` of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageQuery {
    /// Most rows: 1 to 50, 10 when absent.
    pub limit: usize,
    /// Only rows with a smaller record id.
    pub marker: Record,
    /// Rows to leave out after the marker: 0 to 500.
    pub offset: usize,
}

impl PageQuery {
    /// Reads the three parameters.
    ///
    /// # Errors
    /// Out of range: `IOTDA.000017`, `IOTDA.000018`, and `IOTDA.000006` for the offset (assumed).
    pub fn read(request: &Request<'_>) -> Result<Self, Refusal> {
        let number = |name: &str, default: usize| match request.param(name) {
            None => Some(default),
            Some(text) => text.parse().ok(),
        };
        let limit = number("limit", 10).filter(|limit| (1..=50).contains(limit));
        let limit =
            limit.ok_or_else(|| Refusal::new(&codes::INVALID_LIMIT, "limit must be from 1 to 50."))?;
        let marker = request.param("marker").map_or(Some(Record::ABOVE_ALL), Record::parse);
        let marker = marker
            .ok_or_else(|| Refusal::new(&codes::INVALID_MARKER, "marker must be 24 hexadecimal digits."))?;
        let offset = number("offset", 0).filter(|offset| *offset <= 500);
        let offset = offset.ok_or_else(|| invalid("offset must be from 0 to 500."))?;
        Ok(Self { limit, marker, offset })
    }

    /// One page of an ordered set. Without a filter its cost is that of the page and its offset, not of the set.
    #[must_use]
    pub fn of(&self, rows: &BTreeSet<Record>, keep: Option<&dyn Fn(Record) -> bool>) -> Page {
        let below = rows.range(..self.marker).rev().copied();
        match keep {
            None => self.page(below, rows.len()),
            Some(keep) => {
                let count = rows.iter().filter(|row| keep(**row)).count();
                self.page(below.filter(|row| keep(*row)), count)
            }
        }
    }

    /// One page of rows that come newest first and all lie below the marker; `count` is that of the whole list.
    #[must_use]
    pub fn page(&self, below: impl Iterator<Item = Record>, count: usize) -> Page {
        let rows: Vec<Record> = below.skip(self.offset).take(self.limit).collect();
        // What an empty page contains is not documented: the marker of the request is assumed.
        let marker = rows.last().copied().unwrap_or(self.marker);
        Page { rows, count, marker }
    }
}

/// One page of a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Its rows, newest first.
    pub rows: Vec<Record>,
    /// Rows of the whole list.
    pub count: usize,
    /// Record of the last row.
    pub marker: Record,
}

impl Page {
    /// The `page` object of an answer.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({"count": self.count, "marker": self.marker.to_string()})
    }
}
