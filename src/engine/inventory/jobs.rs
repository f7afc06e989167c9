//! Upgrade jobs of an account: whole lists, single looks, and the devices that failed.

use super::listing::{Question, Reading, turn_page};
use super::misfit;
use crate::api::Intent;
use crate::cloud::{
    Call, CallError, Capabilities, Cursor, DeviceOutcome, DeviceResult, ErrorClass, Job, JobCounts,
    JobDetails, JobIdentity, PackageKind, Page, Reply,
};
use crate::engine::{account::Account, likeness, queue::Class};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Jobs of one account.
#[derive(Debug, Default)]
pub struct Jobs {
    rows: BTreeMap<String, Row>,
    listed_at: BTreeMap<PackageKind, Timestamp>,
    under_way: BTreeMap<PackageKind, Reading<JobList>>,
    results: BTreeMap<(String, DeviceOutcome), (JobCounts, Vec<DeviceResult>)>,
    /// Of jobs whose rows say nothing of their devices: those that did not succeed, as they stood at the last look.
    by_devices: BTreeMap<String, Vec<DeviceResult>>,
    /// Jobs are told by their devices: those of all jobs are kept.
    told_by_devices: bool,
    /// Rows of jobs say when a job is done: a job of somebody else that is not done can be believed to hold its devices.
    rows_tell_the_end: bool,
}

#[derive(Debug)]
struct Row {
    job: Job,
    seen_at: Timestamp,
    changed_at: Timestamp,
    /// On a cloud that counts nothing: the results of all devices, and when the look at them began.
    counted: Option<(Timestamp, Vec<DeviceResult>)>,
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

/// Devices of a job with one outcome, or all.
#[derive(Clone, Debug)]
struct JobDevices(String, Option<DeviceOutcome>);

impl Question for JobDevices {
    type Row = DeviceResult;

    fn call(&self, cursor: Cursor) -> Call {
        Call::ListJobDevices { id: self.0.clone(), outcome: self.1.clone(), cursor }
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

    /// Reads one page of the list of a kind, unless it was read at `not_before` or later; true when it is.
    ///
    /// # Errors
    /// The call's.
    pub async fn list_step(
        &mut self,
        account: &mut Account,
        kind: PackageKind,
        not_before: Timestamp,
        urgency: Class,
    ) -> Result<bool, CallError> {
        if self.listed_at(kind) >= Some(not_before) {
            return Ok(true);
        }
        let limits = account.cloud().capabilities();
        self.told_by_devices = limits.job_identity == JobIdentity::Devices;
        self.rows_tell_the_end = limits.counts_devices;
        let mut under_way = self.under_way.remove(&kind);
        let read = turn_page(&mut under_way, JobList(kind), account, not_before, urgency).await?;
        self.under_way.extend(under_way.map(|reading| (kind, reading)));
        let Some(read) = read else { return Ok(false) };
        let mut before = std::mem::take(&mut self.rows);
        // What was seen since the list was begun is newer than the list, which may lag behind besides.
        self.rows = before.extract_if(.., |_, row| row.job.kind != kind || row.seen_at > read.at).collect();
        for job in read.rows.into_iter().filter(|job| job.kind == kind) {
            if !self.rows.contains_key(&job.id) {
                let known = before.remove(&job.id);
                self.insert(job, known, read.at);
            }
        }
        // A list may lag behind what was seen by itself, or created, a moment ago.
        let lag = account.cloud().capabilities().visibility_lag;
        before.retain(|_, row| row.seen_at.saturating_add(lag).is_ok_and(|visible| visible > read.at));
        self.rows.append(&mut before);
        self.listed_at.insert(kind, read.at);
        let rows = &self.rows;
        self.results.retain(|(id, _), _| rows.contains_key(id));
        self.by_devices.retain(|id, _| rows.contains_key(id));
        Ok(true)
    }

    /// True when it is not known which devices the job was created for.
    #[must_use]
    pub fn lacks_devices(&self, job: &Job) -> bool {
        job.devices.is_empty() && !self.by_devices.contains_key(&job.id)
    }

    /// Jobs of ours whose devices must be asked for, because rows of this cloud's lists do not name them.
    #[must_use]
    pub fn without_details(&self, limits: &Capabilities) -> Vec<String> {
        if limits.job_details == JobDetails::InRow {
            return Vec::new();
        }
        let ours = self.all().filter(|job| job.token.is_some() && self.lacks_devices(job));
        ours.map(|job| job.id.clone()).collect()
    }

    /// The devices of a job that have not succeeded, where a look at the job has told all of them.
    #[must_use]
    pub fn unfinished_devices(&self, id: &str) -> Option<&[DeviceResult]> {
        self.by_devices.get(id).map(Vec::as_slice)
    }

    /// Looks at one job, unless it was seen at `not_before` or later. A job that is not there any more is forgotten.
    ///
    /// # Errors
    /// The call's, but for "not found".
    pub async fn look(
        &mut self,
        account: &mut Account,
        id: &str,
        not_before: Timestamp,
        urgency: Class,
    ) -> Result<(), CallError> {
        let limits = account.cloud().capabilities();
        let lacks = |row: &Row| limits.job_details == JobDetails::ByDevices && self.lacks_devices(&row.job);
        if self.rows.get(id).is_some_and(|row| row.seen_at >= not_before && !lacks(row)) {
            return Ok(());
        }
        let (now, call) = (account.now(), Call::ShowJob { id: id.to_owned() });
        match account.call(&call, urgency).await {
            Ok(Reply::Job(job)) => {
                let job = self.with_devices(account, job, urgency).await?;
                self.add(job, now);
                Ok(())
            }
            Ok(_) => Err(misfit(&call)),
            Err(error) if error.class == ErrorClass::NotFound => {
                self.rows.remove(id);
                self.by_devices.remove(id);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the results of all devices of a job, and counts them, on a cloud that counts nothing by itself; unless they were
    /// read at `not_before` or later, or nothing happens to them any more.
    ///
    /// # Errors
    /// The call's, but for "not found".
    pub async fn count(
        &mut self,
        account: &mut Account,
        id: &str,
        not_before: Timestamp,
        urgency: Class,
    ) -> Result<(), CallError> {
        let Some(row) = self.rows.get(id) else { return Ok(()) };
        let is_fresh = |(at, _): &(Timestamp, _)| *at >= not_before || row.job.state.is_final();
        if row.counted.as_ref().is_some_and(is_fresh) {
            return Ok(());
        }
        let question = JobDevices(id.to_owned(), None);
        let read = match Reading::begin(question, account.now()).finish(account, urgency).await {
            Err(error) if error.class == ErrorClass::NotFound => return Ok(()),
            read => read?,
        };
        if let Some(mut row) = self.rows.remove(id) {
            row.counted = Some((read.at, read.rows));
            let (job, seen_at) = (row.job.clone(), row.seen_at);
            self.insert(job, Some(row), seen_at);
        }
        Ok(())
    }

    /// Adds what the job's devices tell, where its row does not.
    async fn with_devices(
        &mut self,
        account: &mut Account,
        job: Job,
        urgency: Class,
    ) -> Result<Job, CallError> {
        if account.cloud().capabilities().job_details == JobDetails::InRow {
            return Ok(job);
        }
        let question = JobDevices(job.id.clone(), None);
        let mut rows = Reading::begin(question, account.now()).finish(account, urgency).await?.rows;
        let job = job.with_devices(&rows);
        rows.retain(|row| row.outcome != DeviceOutcome::Succeeded);
        self.by_devices.insert(job.id.clone(), rows);
        Ok(job)
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
        urgency: Class,
    ) -> Result<Vec<DeviceResult>, CallError> {
        if let Some((_, all)) = self.rows.get(id).and_then(|row| row.counted.as_ref()) {
            return Ok(of_outcome(all, &outcome));
        }
        let counts = self.get(id).map(|job| job.counts).unwrap_or_default();
        let key = (id.to_owned(), outcome);
        if let Some((known, results)) = self.results.get(&key)
            && *known == counts
        {
            return Ok(results.clone());
        }
        let question = JobDevices(key.0.clone(), Some(key.1.clone()));
        let results = Reading::begin(question, account.now()).finish(account, urgency).await?.rows;
        self.results.insert(key, (counts, results.clone()));
        Ok(results)
    }

    /// Gives the jobs that lost calls have made the tokens of those calls, where jobs carry none.
    pub fn recognise<'a>(&mut self, pending: impl Iterator<Item = &'a Intent>) {
        for intent in pending {
            for row in self.rows.values_mut().filter(|row| row.job.token.is_none()) {
                if likeness::is_of(intent, &row.job) {
                    row.job.token = Some(intent.token.clone());
                }
            }
        }
    }

    /// Takes in a job as it was just seen.
    pub fn add(&mut self, job: Job, at: Timestamp) {
        let known = self.rows.remove(&job.id);
        self.insert(job, known, at);
    }

    /// True when the devices of a job told more of it than this row of it does.
    fn is_bare(&self, job: &Job) -> bool {
        job.devices.is_empty() && self.by_devices.contains_key(&job.id)
    }

    fn insert(&mut self, mut job: Job, known: Option<Row>, at: Timestamp) {
        if let Some(row) = known.as_ref().filter(|_| self.told_by_devices) {
            job.token = job.token.or_else(|| row.job.token.clone());
            if job.package_ids.is_empty() {
                job.package_ids.clone_from(&row.job.package_ids);
            }
        }
        let mut seen_at = at;
        match &known {
            // A row that says nothing of the devices takes nothing away, and makes what they told no newer.
            Some(row) if self.is_bare(&job) && is_as_far(&job, &row.job) => {
                (job, seen_at) = (row.job.clone(), row.seen_at);
            }
            Some(_) if self.is_bare(&job) => {
                self.by_devices.remove(&job.id);
            }
            // Some clouds name the devices only when one job is asked for.
            Some(row) if job.devices.is_empty() => job.devices.clone_from(&row.job.devices),
            _ => {}
        }
        // Other people's jobs may name 30,000 devices each: only those that hold their devices still are asked for.
        if job.token.is_none() && !self.told_by_devices && (job.state.is_final() || !self.rows_tell_the_end) {
            job.devices = Vec::new();
        }
        let job = match known.as_ref().and_then(|row| row.counted.as_ref()) {
            Some((_, results)) => job.counted(results),
            None => job,
        };
        let changed_at = known.as_ref().filter(|row| row.job == job).map_or(at, |row| row.changed_at);
        let counted = known.and_then(|row| row.counted);
        self.rows.insert(job.id.clone(), Row { job, seen_at, changed_at, counted });
    }
}

/// The results with one outcome. What waits in a job that was stopped is what was stopped.
fn of_outcome(all: &[DeviceResult], outcome: &DeviceOutcome) -> Vec<DeviceResult> {
    let fits = |result: &&DeviceResult| match outcome {
        DeviceOutcome::Stopped => result.outcome == DeviceOutcome::Queued,
        outcome => result.outcome == *outcome,
    };
    let as_asked = |result: &DeviceResult| DeviceResult { outcome: outcome.clone(), ..result.clone() };
    all.iter().filter(fits).map(as_asked).collect()
}

/// True when a row of a list says that a job stands where it was last seen. Rows may not tell how it ended.
fn is_as_far(row: &Job, known: &Job) -> bool {
    row.state == known.state || (row.state.is_final() && known.state.is_final())
}
