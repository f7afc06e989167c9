//! Upgrade jobs of an account: whole lists, single jobs, and failed devices.

use super::answers::Answers;
use super::failing::Failing;
use super::listing::{Question, Read, Reading, turn_page};
use super::row::{Row, is_as_far};
use crate::api::Intent;
use crate::cloud::{
    Call, CallError, Cursor, DeviceOutcome, DeviceResult, ErrorClass, Job, JobCounts, JobIdentity, JobState,
    NamedDevices, PackageKind, Page, Reply, RowsLack,
};
use crate::engine::{account::misfit, caller::Caller, fingerprint};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Jobs of one account.
#[derive(Debug, Default)]
pub struct Jobs {
    pub(super) rows: BTreeMap<String, Row>,
    listed_at: BTreeMap<PackageKind, Timestamp>,
    /// How many calls the last list took.
    list_calls: BTreeMap<PackageKind, u64>,
    under_way: BTreeMap<PackageKind, Reading<JobList>>,
    /// Readings of job devices in progress, by job and outcome.
    pub(super) devices_under_way: BTreeMap<(String, Option<DeviceOutcome>), Reading<JobDevices>>,
    /// Jobs of other objects whose devices could not be read, and when.
    pub(super) unreadable: BTreeMap<String, Timestamp>,
    /// Since when jobs are stopped at the latest, according to statuses.
    pub(super) stops: Option<BTreeMap<String, Timestamp>>,
    /// Ids and idempotency keys of jobs that may have been stopped a moment ago: a status named them when this process began, or
    /// they were created, or seen to run, since.
    may_be_fresh: BTreeSet<String>,
    /// Jobs that were not there when they were last asked for.
    missing: BTreeMap<String, Timestamp>,
    /// Jobs that could not be read.
    failing: Failing<String>,
    /// Jobs whose devices could not be read.
    pub(super) without_devices: Failing<String>,
    results: BTreeMap<(String, DeviceOutcome), (JobCounts, Vec<DeviceResult>)>,
    /// What external jobs report of queried devices.
    pub(super) answers: Answers,
    /// Jobs are identified by their devices: those of all jobs are kept.
    told_by_devices: bool,
    /// What is read from the devices of a job because its row does not show it.
    pub(super) rows_lack: RowsLack,
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

/// Devices of a job: all, those with one outcome, or named ones.
#[derive(Clone, Debug)]
pub(super) struct JobDevices {
    pub(super) id: String,
    pub(super) outcome: Option<DeviceOutcome>,
    pub(super) only: Option<NamedDevices>,
}

impl Question for JobDevices {
    type Row = DeviceResult;

    fn call(&self, cursor: Cursor) -> Call {
        let Self { id, outcome, only } = self.clone();
        Call::ListJobDevices { id, outcome, only, cursor }
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

    /// An observed job.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Job> {
        self.rows.get(id).map(|row| &row.job)
    }

    /// When the list of this kind was last read.
    #[must_use]
    pub fn listed_at(&self, kind: PackageKind) -> Option<Timestamp> {
        self.listed_at.get(&kind).copied()
    }

    /// How many calls the last list of this kind took.
    #[must_use]
    pub fn list_calls(&self, kind: PackageKind) -> u64 {
        self.list_calls.get(&kind).copied().unwrap_or(0)
    }

    /// When the oldest of the lists that are kept was read.
    #[must_use]
    pub fn oldest_list(&self) -> Option<Timestamp> {
        self.listed_at.values().min().copied()
    }

    /// When a job was last observed.
    #[must_use]
    pub fn seen_at(&self, id: &str) -> Option<Timestamp> {
        self.rows.get(id).map(|row| row.seen_at)
    }

    /// When a job was first observed in its present state.
    #[must_use]
    pub fn changed_at(&self, id: &str) -> Option<Timestamp> {
        self.rows.get(id).map(|row| row.changed_at)
    }

    /// Since when jobs are stopped at the latest, as an earlier process saw it, and the jobs and calls that a status names.
    pub fn note_stops(&mut self, stops: BTreeMap<String, Timestamp>, named: BTreeSet<String>) {
        self.stops = Some(stops);
        self.may_be_fresh.extend(named);
    }

    /// A job with this idempotency key is about to be created.
    pub fn expect(&mut self, token: &str) {
        self.may_be_fresh.insert(token.to_owned());
    }

    /// Since when a job is stopped at the latest, as far as is known. An object forgets a job of an earlier run only after it was
    /// seen to be over, so that one of Rollwave which no status names was stopped long before this process began.
    pub(super) fn stopped_at(&self, job: &Job) -> Option<Timestamp> {
        let stops = self.stops.as_ref()?;
        let token = job.token.as_ref().filter(|_| job.state.is_final() || job.state == JobState::Stopping);
        let is_forgotten =
            |token: &String| ![&job.id, token].iter().any(|id| self.may_be_fresh.contains(*id));
        stops
            .get(&job.id)
            .copied()
            .or_else(|| token.filter(|token| is_forgotten(token)).map(|_| Timestamp::MIN))
    }

    /// Whether that was recorded.
    #[must_use]
    pub const fn knows_stops(&self) -> bool {
        self.stops.is_some()
    }

    /// Reads one page of the list of a kind, unless it was read at `not_before` or later; true when it is.
    ///
    /// # Errors
    /// The error of the call.
    pub async fn list_step(
        &mut self,
        caller: &mut Caller<'_>,
        kind: PackageKind,
        not_before: Timestamp,
    ) -> Result<bool, CallError> {
        if self.listed_at(kind) >= Some(not_before) {
            return Ok(true);
        }
        let limits = caller.account.cloud().capabilities();
        self.told_by_devices = limits.job_identity == JobIdentity::Devices;
        self.rows_lack = limits.job_rows_lack;
        let mut under_way = self.under_way.remove(&kind);
        let turned = turn_page(&mut under_way, JobList(kind), caller, not_before).await;
        self.under_way.extend(under_way.map(|reading| (kind, reading)));
        let Some(read) = turned? else { return Ok(false) };
        let mut before = std::mem::take(&mut self.rows);
        // What was observed since the list was begun is newer than the list, which may also lag behind.
        self.rows = before.extract_if(.., |_, row| row.job.kind != kind || row.seen_at > read.at).collect();
        for job in read.rows.into_iter().filter(|job| job.kind == kind) {
            if let Some(newer) = self.rows.get_mut(&job.id) {
                newer.is_unlisted = false;
            } else {
                let known = before.remove(&job.id);
                self.insert(job, known, read.at);
            }
        }
        // A list may lag behind what was read or created a moment ago; and it proves nothing about jobs that ended
        // outside of it.
        let lag = caller.account.cloud().capabilities().visibility_lag;
        before.retain(|_, row| {
            let may_lag = row.seen_at.saturating_add(lag).is_ok_and(|visible| visible > read.at);
            may_lag || (row.is_unlisted && row.job.state.is_final())
        });
        self.rows.append(&mut before);
        self.listed_at.insert(kind, read.at);
        self.list_calls.insert(kind, read.calls);
        let rows = &self.rows;
        self.results.retain(|(id, _), _| rows.contains_key(id));
        self.devices_under_way.retain(|(id, _), _| rows.contains_key(id));
        self.unreadable.retain(|id, _| rows.contains_key(id));
        self.failing.retain(|id| rows.contains_key(id));
        self.without_devices.retain(|id| rows.contains_key(id));
        self.missing.retain(|_, at| *at >= read.at);
        Ok(true)
    }

    /// Reads one job, unless it was observed at `not_before` or later. A job that no longer exists is forgotten.
    ///
    /// # Errors
    /// The error of the call, except "not found".
    pub async fn look(
        &mut self,
        caller: &mut Caller<'_>,
        id: &str,
        not_before: Timestamp,
    ) -> Result<(), CallError> {
        let seen_at = self.seen_at(id).max(self.missing.get(id).copied());
        if seen_at >= Some(not_before) {
            return Ok(());
        }
        if let Some(error) = self.failing.error_of(id, caller.priority, caller.account.now()) {
            return Err(error);
        }
        let read = self.show(caller, id).await;
        self.failing.note(id.to_owned(), read.as_ref().err(), caller.account.now());
        read
    }

    /// Requests one job.
    pub(super) async fn show(&mut self, caller: &mut Caller<'_>, id: &str) -> Result<(), CallError> {
        let (now, call) = (caller.account.now(), Call::ShowJob { id: id.to_owned() });
        match caller.call(&call).await {
            Ok(Reply::Job(job)) => {
                let was_listed = self.listed_at(job.kind).is_some();
                let is_unlisted = self.rows.get(id).map_or(was_listed, |row| row.is_unlisted);
                self.add(job, now);
                if let Some(row) = self.rows.get_mut(id) {
                    row.is_unlisted = is_unlisted;
                }
                Ok(())
            }
            Ok(_) => Err(misfit(&call)),
            Err(error) if error.class == ErrorClass::NotFound => {
                self.rows.remove(id);
                self.missing.insert(id.to_owned(), now);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The devices of a job that had this outcome, read again only when the job's counters changed; none while there
    /// are more pages to read.
    ///
    /// # Errors
    /// The error of the call.
    pub async fn results(
        &mut self,
        caller: &mut Caller<'_>,
        id: &str,
        outcome: DeviceOutcome,
    ) -> Result<Option<Vec<DeviceResult>>, CallError> {
        let counts = self.get(id).map(|job| job.counts).unwrap_or_default();
        let key = (id.to_owned(), outcome);
        if let Some((known, results)) = self.results.get(&key)
            && *known == counts
        {
            return Ok(Some(results.clone()));
        }
        let (id, outcome) = key.clone();
        // Pages from before the counters changed would not add up to them.
        let not_before = self.changed_at(&id).unwrap_or(Timestamp::MIN);
        let Some(read) = self.turn_devices(caller, (id, Some(outcome)), not_before).await? else {
            return Ok(None);
        };
        self.results.insert(key, (counts, read.rows.clone()));
        Ok(Some(read.rows))
    }

    /// Reads one page of the devices of a job; returns all of them once they are read.
    pub(super) async fn turn_devices(
        &mut self,
        caller: &mut Caller<'_>,
        key: (String, Option<DeviceOutcome>),
        not_before: Timestamp,
    ) -> Result<Option<Read<DeviceResult>>, CallError> {
        let (id, outcome) = key.clone();
        let question = JobDevices { id, outcome, only: None };
        let mut under_way = self.devices_under_way.remove(&key);
        let turned = turn_page(&mut under_way, question, caller, not_before).await;
        self.devices_under_way.extend(under_way.map(|reading| (key, reading)));
        let mut turned = turned?;
        turned.iter_mut().for_each(|read| keep_one_row_each(&mut read.rows));
        Ok(turned)
    }

    /// Gives jobs without an idempotency key that of the request with unknown outcome that made them, but for `foreign`
    /// ones. The newest request comes first: jobs that existed before it belong to earlier requests with the same
    /// fingerprint. Each request has made one job, the oldest of those that it may have made. What is left after that is a
    /// second job of one of them: it gets the same key, so that it is reported.
    pub fn recognise(&mut self, newest_first: &[&Intent], foreign: &BTreeSet<String>) {
        let may_be_its = |job: &Job, intent: &Intent| {
            job.token.is_none() && !foreign.contains(&job.id) && fingerprint::is_of(intent, job)
        };
        for intent in newest_first {
            let is_found = self.rows.values().any(|row| row.job.token.as_deref() == Some(&intent.token));
            let jobs = self.rows.values_mut().map(|row| &mut row.job);
            let candidates = jobs.filter(|job| !is_found && may_be_its(job, intent));
            let oldest =
                candidates.min_by_key(|job| (job.created_at.unwrap_or(Timestamp::MAX), job.id.clone()));
            if let Some(job) = oldest {
                job.token = Some(intent.token.clone());
            }
        }
        for row in self.rows.values_mut() {
            let maker = newest_first.iter().find(|intent| may_be_its(&row.job, intent));
            row.job.token = row.job.token.take().or_else(|| maker.map(|intent| intent.token.clone()));
        }
    }

    /// Records that the list of this kind was read then and was empty.
    #[cfg(test)]
    pub fn note_listed(&mut self, kind: PackageKind, at: Timestamp) {
        self.listed_at.insert(kind, at);
    }

    /// Records a job as it was just observed.
    pub fn add(&mut self, job: Job, at: Timestamp) {
        let known = self.rows.remove(&job.id);
        self.missing.remove(&job.id);
        self.insert(job, known, at);
    }

    fn insert(&mut self, mut job: Job, known: Option<Row>, at: Timestamp) {
        let stands = job.state.clone();
        if stands != JobState::Stopped {
            self.may_be_fresh.insert(job.id.clone());
        }
        if let Some(row) = &known {
            self.keep_what_rows_lack(&mut job, row);
        }
        // External jobs may name 30,000 devices each: only those that may still hold them are kept.
        if job.token.is_none() && !self.told_by_devices && job.state.is_final() {
            job.devices = Vec::new();
        }
        let changed_at = known.as_ref().filter(|row| row.job == job).map_or(at, |row| row.changed_at);
        let details = known.and_then(|row| row.details_beside(&stands));
        let row = Row { job, stands, seen_at: at, changed_at, details, is_unlisted: false };
        self.rows.insert(row.job.id.clone(), row);
    }

    /// Fields that a row lacks keep their known values.
    fn keep_what_rows_lack(&self, job: &mut Job, known: &Row) {
        if self.told_by_devices {
            job.token = job.token.take().or_else(|| known.job.token.clone());
            if job.package_ids.is_empty() {
                job.package_ids.clone_from(&known.job.package_ids);
            }
        }
        // Only the list by package shows it.
        job.module = job.module.take().or_else(|| known.job.module.clone());
        // Some clouds name the devices only for a single job, and some not even then.
        if job.devices.is_empty() {
            job.devices.clone_from(&known.job.devices);
        }
        if self.rows_lack != RowsLack::Nothing {
            job.counts = known.job.counts;
            if is_as_far(&job.state, &known.stands) {
                job.state = known.job.state.clone();
            }
        }
    }
}

/// A row may appear on two pages, when rows were added or removed between the reads: the last one counts. Counted
/// twice, a device that succeeded would count as two, and another one without an outcome as reverted.
pub(super) fn keep_one_row_each(rows: &mut Vec<DeviceResult>) {
    let mut seen = BTreeSet::new();
    rows.reverse();
    rows.retain(|row| seen.insert(row.device.clone()));
    rows.reverse();
}
