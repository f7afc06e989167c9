//! Packages of an account: whole lists, single natural keys, and details.

use super::listing::{Question, Reading, turn_page};
use crate::cloud::{
    Call, CallError, Cursor, ErrorClass, Package, PackageKey, PackageKind, PackageRow, Page, Reply,
};
use crate::engine::{account::misfit, caller::Caller};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Packages of one account.
#[derive(Debug, Default)]
pub struct Packages {
    rows: BTreeMap<PackageKey, Vec<Listed>>,
    listed_at: BTreeMap<PackageKind, Timestamp>,
    /// How many calls the last list took, and how long.
    last_list: BTreeMap<PackageKind, (usize, SignedDuration)>,
    looked_at: BTreeMap<PackageKey, Timestamp>,
    /// By id, each under the hash of the row that it was read for, until it was found equal to its spec.
    details: BTreeMap<String, (String, Package)>,
    /// By id, when a package was created or read on its own: lists may lag behind that.
    shown_at: BTreeMap<String, Timestamp>,
    /// By id, when the cloud reported that a package does not exist.
    gone_at: BTreeMap<String, Timestamp>,
    /// By id, the list of jobs after which a package was known to exist.
    there_after: BTreeMap<String, Timestamp>,
    reading: BTreeMap<PackageKind, Reading<PackageList>>,
}

/// A row with its hash, which is computed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The row of the list.
    pub row: PackageRow,
    /// [`PackageRow::hash`].
    pub hash: String,
}

impl Listed {
    /// Oldest first; the id decides between packages of the same second.
    fn age(&self) -> (Option<Timestamp>, &str) {
        (self.row.created_at, &self.row.id)
    }
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
    /// The rows of a natural key, oldest first, and when they were last observed; none before the first observation.
    #[must_use]
    pub fn of(&self, key: &PackageKey) -> Option<(Timestamp, &[Listed])> {
        let rows = self.rows.get(key).map(Vec::as_slice).unwrap_or_default();
        Some((self.seen_at(key)?, rows))
    }

    /// The product that a package is for; none when it was never observed, or the cloud does not report it.
    #[must_use]
    pub fn product_of(&self, id: &str) -> Option<&str> {
        let holds = |rows: &[Listed]| rows.iter().any(|listed| listed.row.id == id);
        let key = self.rows.iter().find(|(_, rows)| holds(rows)).map(|(key, _)| key)?;
        Some(key.product.as_str()).filter(|product| !product.is_empty())
    }

    /// When this natural key was last observed, by a list or on its own.
    #[must_use]
    pub fn seen_at(&self, key: &PackageKey) -> Option<Timestamp> {
        self.listed_at.get(&key.kind).max(self.looked_at.get(key)).copied()
    }

    /// When the list of this kind was last read.
    #[must_use]
    pub fn listed_at(&self, kind: PackageKind) -> Option<Timestamp> {
        self.listed_at.get(&kind).copied()
    }

    /// How many calls the last list of this kind took, and how long.
    #[must_use]
    pub fn last_list(&self, kind: PackageKind) -> Option<(usize, SignedDuration)> {
        self.last_list.get(&kind).copied()
    }

    /// The kind whose list was begun, and is not complete.
    #[must_use]
    pub fn being_read(&self) -> Option<PackageKind> {
        self.reading.keys().next().copied()
    }

    /// Reads one page of the list of this kind, of the reading in progress if it began at `not_before` or later; true
    /// once the list is complete. Other due objects come between two pages.
    ///
    /// # Errors
    /// The error of the call; after a transient one the pages read so far are kept.
    pub async fn list_step(
        &mut self,
        caller: &mut Caller<'_>,
        kind: PackageKind,
        not_before: Timestamp,
    ) -> Result<bool, CallError> {
        let question = PackageList { kind, exactly: None };
        let mut under_way = self.reading.remove(&kind);
        let turned = turn_page(&mut under_way, question, caller, not_before).await;
        self.reading.extend(under_way.map(|reading| (kind, reading)));
        let Some(read) = turned? else { return Ok(false) };
        let took = caller.account.now().duration_since(read.at);
        self.last_list.insert(kind, (usize::try_from(read.calls).unwrap_or(usize::MAX), took));
        let hidden = self.hidden_from(read.at, caller, |key| key.kind == kind);
        self.replace_kind(kind, read.at, hidden.into_iter().chain(read.rows));
        Ok(true)
    }

    /// Reads one natural key: one call as a rule.
    ///
    /// # Errors
    /// The error of the call.
    pub async fn look(
        &mut self,
        caller: &mut Caller<'_>,
        key: &PackageKey,
        now: Timestamp,
    ) -> Result<(), CallError> {
        let question = PackageList { kind: key.kind, exactly: Some(key.clone()) };
        let read = Reading::begin(question, now).finish(caller).await?;
        let hidden = self.hidden_from(read.at, caller, |known| known == key);
        self.rows.remove(key);
        // The server's filter may be inexact: the key decides.
        let found = read.rows.into_iter().filter(|row| row.key == *key);
        hidden.into_iter().chain(found).for_each(|row| self.add_row(row));
        self.looked_at.insert(key.clone(), read.at);
        Ok(())
    }

    /// A package of this natural key with its artifact; none when the cloud reports that it does not exist. Read once
    /// per state of its row; where no list shows it, unless it was read at `not_before` or later.
    ///
    /// # Errors
    /// The error of the call, except "not found".
    pub async fn detail(
        &mut self,
        caller: &mut Caller<'_>,
        key: &PackageKey,
        id: &str,
        not_before: Timestamp,
    ) -> Result<Option<Package>, CallError> {
        let row_hash = self.of(key).and_then(|(_, rows)| rows.iter().find(|listed| listed.row.id == id));
        let row_hash = row_hash.map(|listed| listed.hash.clone());
        let is_new = self.shown_at.get(id).is_some_and(|at| *at >= not_before);
        if let Some((known, package)) = self.details.get(id)
            && row_hash.as_ref().map_or(is_new, |hash| hash == known)
        {
            return Ok(Some(package.clone()));
        }
        if self.gone_at.get(id).is_some_and(|at| *at >= not_before) {
            return Ok(None);
        }
        let (call, asked_at) = (Call::ShowPackage { id: id.to_owned() }, caller.account.now());
        match caller.call(&call).await {
            Ok(Reply::Package(package)) => {
                self.shown_at.insert(id.to_owned(), caller.account.now());
                if row_hash.is_none() && package.row.key == *key {
                    self.add_row(package.row.clone());
                }
                let hash = row_hash.unwrap_or_else(|| package.row.hash());
                self.details.insert(id.to_owned(), (hash, package.clone()));
                Ok(Some(package))
            }
            Ok(_) => Err(misfit(&call)),
            Err(error) if error.class == ErrorClass::NotFound => {
                self.remove(id);
                self.gone_at.retain(|_, at| *at >= not_before);
                self.gone_at.insert(id.to_owned(), asked_at);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// True unless the cloud reports that this package does not exist. Requested once after each list of jobs.
    ///
    /// # Errors
    /// The error of the call, except "not found".
    pub async fn is_there(
        &mut self,
        caller: &mut Caller<'_>,
        id: &str,
        list: Timestamp,
    ) -> Result<bool, CallError> {
        if self.there_after.get(id) == Some(&list) {
            return Ok(true);
        }
        match caller.call(&Call::ShowPackage { id: id.to_owned() }).await {
            Ok(_) => {
                self.there_after.insert(id.to_owned(), list);
                Ok(true)
            }
            Err(error) if error.class == ErrorClass::NotFound => {
                self.remove(id);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Records a package that was just created.
    pub fn add(&mut self, package: Package, at: Timestamp) {
        self.shown_at.insert(package.row.id.clone(), at);
        self.add_row(package.row.clone());
        self.details.insert(package.row.id.clone(), (package.row.hash(), package));
    }

    /// Forgets the details of a package that was found equal to its spec: from now on its row is enough.
    pub fn compared(&mut self, id: &str) {
        self.details.remove(id);
    }

    /// Forgets a package that was deleted.
    pub fn remove(&mut self, id: &str) {
        self.details.remove(id);
        self.shown_at.remove(id);
        self.there_after.remove(id);
        self.rows.retain(|_, rows| {
            rows.retain(|listed| listed.row.id != id);
            !rows.is_empty()
        });
    }

    fn add_row(&mut self, row: PackageRow) {
        let hash = row.hash();
        let rows = self.rows.entry(row.key.clone()).or_default();
        rows.retain(|listed| listed.row.id != row.id);
        let listed = Listed { row, hash };
        let place = rows.partition_point(|older| older.age() < listed.age());
        // As a rule it stays the only one.
        rows.reserve_exact(1);
        rows.insert(place, listed);
    }

    /// Packages that a list which was begun then may lack, although they exist: without them one would be created
    /// again.
    fn hidden_from(
        &self,
        began: Timestamp,
        caller: &Caller<'_>,
        is_meant: impl Fn(&PackageKey) -> bool,
    ) -> Vec<PackageRow> {
        let lag = caller.account.cloud().capabilities().visibility_lag;
        let may_lack = |id: &String| {
            let shown_at = self.shown_at.get(id);
            shown_at.is_some_and(|at| at.saturating_add(lag).is_ok_and(|visible| visible > began))
        };
        let known = self.rows.values().flatten().map(|listed| &listed.row);
        known.filter(|row| is_meant(&row.key) && may_lack(&row.id)).cloned().collect()
    }

    fn replace_kind(&mut self, kind: PackageKind, at: Timestamp, rows: impl Iterator<Item = PackageRow>) {
        self.rows.retain(|key, _| key.kind != kind);
        self.looked_at.retain(|key, looked| key.kind != kind || *looked > at);
        rows.filter(|row| row.key.kind == kind).for_each(|row| self.add_row(row));
        let rows = &self.rows;
        self.details.retain(|id, (_, package)| {
            rows.get(&package.row.key).is_some_and(|rows| rows.iter().any(|listed| listed.row.id == *id))
        });
        self.listed_at.insert(kind, at);
    }
}
