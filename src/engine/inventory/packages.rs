//! Packages of an account: whole lists, looks at one natural key, and details.

use super::listing::{Question, Reading};
use super::misfit;
use crate::cloud::{
    Call, CallError, Cursor, ErrorClass, Package, PackageKey, PackageKind, PackageRow, Page, Reply,
};
use crate::engine::{account::Account, queue::Class};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Packages of one account.
#[derive(Debug, Default)]
pub struct Packages {
    rows: BTreeMap<String, PackageRow>,
    ids: BTreeMap<PackageKey, BTreeSet<String>>,
    listed_at: BTreeMap<PackageKind, Timestamp>,
    looked_at: BTreeMap<PackageKey, Timestamp>,
    details: BTreeMap<String, (String, Package)>,
    reading: BTreeMap<PackageKind, Reading<PackageList>>,
}

#[derive(Clone, Debug)]
struct PackageList {
    kind: PackageKind,
    exactly: Option<PackageKey>,
}

impl Question for PackageList {
    type Row = PackageRow;

    fn call(&self, cursor: Cursor) -> Call {
        Call::ListPackages { kind: self.kind, exactly: self.exactly.clone(), cursor }
    }

    fn page(reply: Reply) -> Option<Page<PackageRow>> {
        if let Reply::Packages(page) = reply { Some(page) } else { None }
    }
}

impl Packages {
    /// The rows of a natural key, and when they were last looked at; none before the first look.
    #[must_use]
    pub fn of(&self, key: &PackageKey) -> Option<(Timestamp, Vec<&PackageRow>)> {
        let at = self.seen_at(key)?;
        let ids = self.ids.get(key).into_iter().flatten();
        Some((at, ids.filter_map(|id| self.rows.get(id)).collect()))
    }

    /// When this natural key was last looked at, by a list or by itself.
    #[must_use]
    pub fn seen_at(&self, key: &PackageKey) -> Option<Timestamp> {
        self.listed_at.get(&key.kind).max(self.looked_at.get(key)).copied()
    }

    /// When the list of this kind was last read.
    #[must_use]
    pub fn listed_at(&self, kind: PackageKind) -> Option<Timestamp> {
        self.listed_at.get(&kind).copied()
    }

    /// Reads one page of the list of this kind; true once the list is complete. Whatever else is due comes between two
    /// pages.
    ///
    /// # Errors
    /// The call's; the pages read so far are given up.
    pub async fn list_step(
        &mut self,
        account: &mut Account,
        kind: PackageKind,
        now: Timestamp,
        urgency: Class,
    ) -> Result<bool, CallError> {
        let question = PackageList { kind, exactly: None };
        let reading = self.reading.remove(&kind).unwrap_or_else(|| Reading::begin(question, now));
        match reading.step(account, urgency).await? {
            Ok(read) => {
                self.replace_kind(kind, read.at, read.rows);
                Ok(true)
            }
            Err(more) => {
                self.reading.insert(kind, more);
                Ok(false)
            }
        }
    }

    /// Looks at one natural key: one call as a rule.
    ///
    /// # Errors
    /// The call's.
    pub async fn look(
        &mut self,
        account: &mut Account,
        key: &PackageKey,
        now: Timestamp,
        urgency: Class,
    ) -> Result<(), CallError> {
        let question = PackageList { kind: key.kind, exactly: Some(key.clone()) };
        let read = Reading::begin(question, now).finish(account, urgency).await?;
        for id in self.ids.remove(key).unwrap_or_default() {
            self.rows.remove(&id);
        }
        // The server's filter is trusted to narrow, not to be exact: the key decides.
        read.rows.into_iter().filter(|row| row.key == *key).for_each(|row| self.add_row(row));
        self.looked_at.insert(key.clone(), read.at);
        Ok(())
    }

    /// A package with its artifact; none when the cloud says that it is not there. Read once per state of its row.
    ///
    /// # Errors
    /// The call's, but for "not found".
    pub async fn detail(
        &mut self,
        account: &mut Account,
        id: &str,
        urgency: Class,
    ) -> Result<Option<Package>, CallError> {
        let row_hash = self.rows.get(id).map(PackageRow::hash);
        if let (Some(hash), Some((known, package))) = (&row_hash, self.details.get(id))
            && hash == known
        {
            return Ok(Some(package.clone()));
        }
        let call = Call::ShowPackage { id: id.to_owned() };
        match account.call(&call, urgency).await {
            Ok(Reply::Package(package)) => {
                if self.rows.contains_key(id) {
                    self.details.insert(id.to_owned(), (row_hash.unwrap_or_default(), package.clone()));
                }
                Ok(Some(package))
            }
            Ok(_) => Err(misfit(&call)),
            Err(error) if error.class == ErrorClass::NotFound => {
                self.remove(id);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes in a package that was just created.
    pub fn add(&mut self, package: Package) {
        self.add_row(package.row.clone());
        self.details.insert(package.row.id.clone(), (package.row.hash(), package));
    }

    /// Forgets a package that is gone.
    pub fn remove(&mut self, id: &str) {
        self.details.remove(id);
        if let Some(row) = self.rows.remove(id)
            && let Some(ids) = self.ids.get_mut(&row.key)
        {
            ids.remove(id);
        }
    }

    fn add_row(&mut self, row: PackageRow) {
        self.ids.entry(row.key.clone()).or_default().insert(row.id.clone());
        self.rows.insert(row.id.clone(), row);
    }

    fn replace_kind(&mut self, kind: PackageKind, at: Timestamp, rows: Vec<PackageRow>) {
        self.rows.retain(|_, row| row.key.kind != kind);
        self.ids.retain(|key, _| key.kind != kind);
        self.looked_at.retain(|key, looked| key.kind != kind || *looked > at);
        rows.into_iter().filter(|row| row.key.kind == kind).for_each(|row| self.add_row(row));
        let rows = &self.rows;
        self.details.retain(|id, _| rows.contains_key(id));
        self.listed_at.insert(kind, at);
    }
}
