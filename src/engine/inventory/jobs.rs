//! Upgrade jobs of an account: whole lists, single looks, and the devices that failed.

use super::listing::{Question, Reading, is_stale};
use super::misfit;
use crate::cloud::{
    Call, CallError, Cursor, DeviceOutcome, DeviceResult, ErrorClass, Job, JobCounts, PackageKind, Page,
    Reply,
};
use crate::engine::{account::Account, queue::Class};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Jobs of one account.
#[derive(Debug, Default)]
pub struct Jobs {
    rows: BTreeMap<String, Row>,
    listed_at: BTreeMap<PackageKind, Timestamp>,
    results: BTreeMap<(String, DeviceOutcome), (JobCounts, Vec<DeviceResult>)>,
}

#[derive(Debug)]
struct Row {
    job: Job,
    seen_at: Timestamp,
    changed_at: Timestamp,
}

#[derive(Clone, Debug)]
struct JobList(PackageKind);

impl Question for JobList {
    type Row = Job;

    fn call(&self, cursor: Cursor) -> Call {
        Call::ListJobs { kind: self.0, cursor }
    }

    fn page(reply: Reply) -> Option<Page<Job>> {
        if let Reply::Jobs(page) = reply { Some(page) } else { None }
    }
}

#[derive(Clone, Debug)]
struct JobDevices(String, DeviceOutcome);

impl Question for JobDevices {
    type Row = DeviceResult;

    fn call(&self, cursor: Cursor) -> Call {
        Call::ListJobDevices { id: self.0.clone(), outcome: Some(self.1.clone()), cursor }
    }

    fn page(reply: Reply) -> Option<Page<DeviceResult>> {
        if let Reply::JobDevices(page) = reply { Some(page) } else { None }
    }
}

impl Jobs {
    /// The jobs of a kind, in the order of their ids.
    pub fn of(&self, kind: PackageKind) -> impl Iterator<Item = &Job> {
        self.all().filter(move |job| job.kind == kind)
    }

    /// Every job, in the order of their ids.
    pub fn all(&self) -> impl Iterator<Item = &Job> {
        self.rows.values().map(|row| &row.job)
    }

    /// A job that was seen.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Job> {
        self.rows.get(id).map(|row| &row.job)
    }

    /// When the list of this kind was last read.
    #[must_use]
    pub fn listed_at(&self, kind: PackageKind) -> Option<Timestamp> {
        self.listed_at.get(&kind).copied()
    }

    /// When the oldest of the lists that are kept was read.
    #[must_use]
    pub fn oldest_list(&self) -> Option<Timestamp> {
        self.listed_at.values().min().copied()
    }

    /// When a job was last seen.
    #[must_use]
    pub fn seen_at(&self, id: &str) -> Option<Timestamp> {
        self.rows.get(id).map(|row| row.seen_at)
    }

    /// When a job was first seen as it is now.
    #[must_use]
    pub fn changed_at(&self, id: &str) -> Option<Timestamp> {
        self.rows.get(id).map(|row| row.changed_at)
    }

    /// Reads the list of a kind, unless it was read within `max_age`.
    ///
    /// # Errors
    /// The call's.
    pub async fn list(
        &mut self,
        account: &mut Account,
        kind: PackageKind,
        max_age: SignedDuration,
        now: Timestamp,
        urgency: Class,
    ) -> Result<(), CallError> {
        if !is_stale(self.listed_at(kind), now, max_age) {
            return Ok(());
        }
        let read = Reading::begin(JobList(kind), now).finish(account, urgency).await?;
        let mut before = std::mem::take(&mut self.rows);
        self.rows = before.extract_if(.., |_, row| row.job.kind != kind).collect();
        for job in read.rows.into_iter().filter(|job| job.kind == kind) {
            let known = before.remove(&job.id);
            self.insert(job, known, read.at);
        }
        // A list may lag behind what was seen by itself, or created, a moment ago.
        let lag = account.cloud().capabilities().visibility_lag;
        before.retain(|_, row| row.seen_at.saturating_add(lag).is_ok_and(|visible| visible > read.at));
        self.rows.append(&mut before);
        self.listed_at.insert(kind, read.at);
        let rows = &self.rows;
        self.results.retain(|(id, _), _| rows.contains_key(id));
        Ok(())
    }

    /// Looks at one job, unless it was seen within `max_age`. A job that is not there any more is forgotten.
    ///
    /// # Errors
    /// The call's, but for "not found".
    pub async fn look(
        &mut self,
        account: &mut Account,
        id: &str,
        max_age: SignedDuration,
        now: Timestamp,
        urgency: Class,
    ) -> Result<(), CallError> {
        if !is_stale(self.seen_at(id), now, max_age) {
            return Ok(());
        }
        let call = Call::ShowJob { id: id.to_owned() };
        match account.call(&call, urgency).await {
            Ok(Reply::Job(job)) => {
                self.add(job, now);
                Ok(())
            }
            Ok(_) => Err(misfit(&call)),
            Err(error) if error.class == ErrorClass::NotFound => {
                self.rows.remove(id);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The devices of a job that had this outcome, read again only when the job's counters changed.
    ///
    /// # Errors
    /// The call's.
    pub async fn results(
        &mut self,
        account: &mut Account,
        id: &str,
        outcome: DeviceOutcome,
        now: Timestamp,
        urgency: Class,
    ) -> Result<Vec<DeviceResult>, CallError> {
        let counts = self.get(id).map(|job| job.counts).unwrap_or_default();
        let key = (id.to_owned(), outcome);
        if let Some((known, results)) = self.results.get(&key)
            && *known == counts
        {
            return Ok(results.clone());
        }
        let question = JobDevices(key.0.clone(), key.1.clone());
        let results = Reading::begin(question, now).finish(account, urgency).await?.rows;
        self.results.insert(key, (counts, results.clone()));
        Ok(results)
    }

    /// Takes in a job as it was just seen.
    pub fn add(&mut self, job: Job, at: Timestamp) {
        let known = self.rows.remove(&job.id);
        self.insert(job, known, at);
    }

    fn insert(&mut self, mut job: Job, known: Option<Row>, at: Timestamp) {
        match &known {
            // Some clouds name the devices only when one job is asked for.
            Some(row) if job.devices.is_empty() => job.devices.clone_from(&row.job.devices),
            // Other people's jobs may name 30,000 devices each; nobody asks for those.
            _ if job.token.is_none() => job.devices = Vec::new(),
            _ => {}
        }
        let changed_at = known.filter(|row| row.job == job).map_or(at, |row| row.changed_at);
        self.rows.insert(job.id.clone(), Row { job, seen_at: at, changed_at });
    }
}
