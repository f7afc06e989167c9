//! Which of the cloud's jobs are ours, and under which token the next one goes.

use crate::api::{CreateOperation, Intent, JobRef, OtaRolloutStatus, Uptime, counted, verb};
use crate::cloud::{Job, JobState};
use crate::decide::clocks::Clocks;
use crate::decide::keys::{JobSlot, job_token};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Tokens are looked for this far beyond the last one that is known: a job may be missing from the middle.
const GAP: u32 = 4;

/// A job of this rollout and package.
#[derive(Clone, Debug)]
pub(super) struct OurJob<'a> {
    pub stage: usize,
    pub attempt: u32,
    pub token: String,
    pub job: &'a Job,
}

/// A job that the status knows and the list does not show.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    pub stage: usize,
    pub job: JobRef,
}

/// All jobs of this rollout and package.
#[derive(Clone, Debug, Default)]
pub(super) struct OurJobs<'a> {
    /// Listed ones, by stage, attempt and chunk: a device belongs to the last that names it.
    pub listed: Vec<OurJob<'a>>,
    /// Jobs that carry the token of an older one.
    pub duplicates: Vec<&'a Job>,
    /// Recorded, but not listed.
    pub missing: Vec<Missing>,
    /// Calls of which nobody knows whether they took effect: stage and token.
    pub unsettled: Vec<(usize, String)>,
    /// An unsettled call that belongs to no stage of this plan.
    pub stray_intent: bool,
    /// First free chunk of each stage and attempt.
    next_chunk: BTreeMap<(usize, u32), u32>,
}

impl<'a> OurJobs<'a> {
    /// Finds them by the tokens that this object would give: no state is needed for that.
    pub fn find(
        uid: &str,
        identity: &str,
        run: u32,
        stages: &[String],
        status: &OtaRolloutStatus,
        jobs: &[&'a Job],
    ) -> Self {
        let index = Index::new(status, jobs);
        let mut found = Self::default();
        if index.is_empty() {
            return found;
        }
        for (stage, name) in stages.iter().enumerate() {
            for attempt in 0.. {
                let token = |chunk| job_token(uid, identity, JobSlot { run, stage: name, attempt, chunk });
                if !found.scan(&index, stage, attempt, token) {
                    break;
                }
            }
        }
        let matched: BTreeSet<&str> = found.unsettled.iter().map(|(_, token)| token.as_str()).collect();
        let listed: BTreeSet<&str> = found.listed.iter().map(|ours| ours.token.as_str()).collect();
        found.stray_intent =
            index.pending.iter().any(|token| !matched.contains(token) && !listed.contains(token));
        found
    }

    /// Looks at one attempt of a stage; false when nothing of it is known.
    fn scan(
        &mut self,
        index: &Index<'_, 'a>,
        stage: usize,
        attempt: u32,
        token: impl Fn(u32) -> String,
    ) -> bool {
        let (mut chunk, mut end) = (0, 0);
        while chunk < end + GAP {
            let token = token(chunk);
            chunk += 1;
            if self.place(index, stage, attempt, token) {
                end = chunk;
            }
        }
        if end > 0 {
            self.next_chunk.insert((stage, attempt), end);
        }
        end > 0
    }

    fn place(&mut self, index: &Index<'_, 'a>, stage: usize, attempt: u32, token: String) -> bool {
        let recorded = index.recorded.get(token.as_str());
        if let Some((job, duplicates)) = index.jobs(&token, recorded.copied()) {
            self.duplicates.extend(duplicates);
            self.listed.push(OurJob { stage, attempt, token, job });
        } else if let Some(recorded) = recorded {
            self.missing.push(Missing { stage, job: (*recorded).clone() });
        } else if index.pending.contains(token.as_str()) {
            self.unsettled.push((stage, token));
        } else {
            return false;
        }
        true
    }

    /// Attempt and first free chunk for further devices of a stage; `after` is the attempt whose stopped devices are sent
    /// again.
    pub fn next_slot(&self, stage: usize, after: Option<u32>) -> (u32, u32) {
        let known = self.next_chunk.keys().filter(|(s, _)| *s == stage).map(|(_, attempt)| *attempt).max();
        let attempt = after.map_or_else(|| known.unwrap_or(0), |attempt| attempt.saturating_add(1));
        (attempt, self.next_chunk.get(&(stage, attempt)).copied().unwrap_or(0))
    }

    /// Every listed job that is not final, duplicates included.
    pub fn live(&self) -> Vec<&'a Job> {
        let all = self.listed.iter().map(|ours| ours.job).chain(self.duplicates.iter().copied());
        all.filter(|job| !job.state.is_final()).collect()
    }
}

/// Jobs and records by token.
struct Index<'s, 'a> {
    by_token: BTreeMap<&'a str, Vec<&'a Job>>,
    by_id: BTreeMap<&'a str, &'a Job>,
    recorded: BTreeMap<&'s str, &'s JobRef>,
    pending: BTreeSet<&'s str>,
}

impl<'s, 'a> Index<'s, 'a> {
    fn new(status: &'s OtaRolloutStatus, jobs: &[&'a Job]) -> Self {
        let mut by_token: BTreeMap<&str, Vec<&Job>> = BTreeMap::new();
        for &job in jobs {
            if let Some(token) = &job.token {
                by_token.entry(token).or_default().push(job);
            }
        }
        // Oldest first; a job without a time sorts last, ids decide between equals.
        for jobs in by_token.values_mut() {
            jobs.sort_by_key(|job| (job.created_at.unwrap_or(Timestamp::MAX), &job.id));
        }
        let recorded = status.stages.iter().flat_map(|stage| &stage.jobs);
        let is_job = |intent: &&Intent| intent.operation == CreateOperation::CreateJob && intent.is_open();
        let pending = status.pending.iter().filter(is_job);
        Self {
            by_token,
            by_id: jobs.iter().map(|job| (job.id.as_str(), *job)).collect(),
            recorded: recorded.map(|job| (job.token.as_str(), job)).collect(),
            pending: pending.map(|intent| intent.token.as_str()).collect(),
        }
    }

    /// True when no token is known, so that none has to be worked out.
    fn is_empty(&self) -> bool {
        self.by_token.is_empty() && self.recorded.is_empty() && self.pending.is_empty()
    }

    /// The job of this token, and others that carry the same.
    fn jobs(&self, token: &str, recorded: Option<&JobRef>) -> Option<(&'a Job, Vec<&'a Job>)> {
        let known = recorded.and_then(|recorded| self.by_id.get(recorded.id.as_str()).copied());
        let same = self.by_token.get(token).map_or(&[][..], Vec::as_slice);
        // Each of two instances has recorded its own: both keep the older one, or each would stop the other's.
        let kept =
            known.filter(|job| job.token.as_deref() != Some(token)).or(same.first().copied()).or(known)?;
        Some((kept, same.iter().copied().filter(|job| job.id != kept.id).collect()))
    }
}

/// What the status keeps of a listed job. Its end is dated by the judgement: jobs are also looked at one by one, later than
/// their list was read, and a device that is said to have gone back must have been looked at after that.
pub(super) fn record(
    ours: &OurJob<'_>,
    before: Option<&JobRef>,
    read_at: Timestamp,
    (now, clocks): (Timestamp, &Clocks),
) -> JobRef {
    let job = ours.job;
    let devices = if job.devices.is_empty() {
        before.map_or(job.counts.total, |b| b.devices)
    } else {
        super::as_count(job.devices.len()).max(before.map_or(0, |b| b.devices))
    };
    // A job that has ended is counted by itself.
    let (successes_read, successes, successes_at) = if job.state.is_final() {
        (0, 0, None)
    } else {
        successes(job.counts.succeeded, before, now, read_at)
    };
    JobRef {
        successes_read,
        successes,
        successes_at,
        token: ours.token.clone(),
        id: job.id.clone(),
        devices,
        state: job.state.as_str().to_owned(),
        created_at: before.and_then(|b| b.created_at).or(job.created_at).or(Some(now)),
        created_uptime: before.map_or_else(|| clocks.uptime(now), |b| b.created_uptime.clone()),
        finished_at: if job.state.is_final() {
            // A time to come was written by a clock that has been set back since.
            Some(before.and_then(|b| b.finished_at).map_or(now, |at| at.min(now)))
        } else {
            None
        },
        stopped_uptime: stopped_uptime(job, before, now, clocks),
        stop_ordered: before.is_some_and(|b| b.stop_ordered),
        retry_ordered: before.is_some_and(|b| b.retry_ordered),
        follow_up: before.is_some_and(|b| b.follow_up),
    }
}

/// Since when a job is stopped: of another boot nothing is known, and it counts from now on.
pub(super) fn stopped_uptime(
    job: &Job,
    before: Option<&JobRef>,
    now: Timestamp,
    clocks: &Clocks,
) -> Option<Uptime> {
    if job.state != JobState::Stopping {
        return None;
    }
    let known = before.and_then(|before| before.stopped_uptime.clone());
    known.filter(|known| clocks.time_of(Some(known)).is_some()).or_else(|| clocks.uptime(now))
}

/// Successes whose versions were read since, successes that are to be read next, and since when those are known. A number of
/// successes is kept until versions were read after it (`read_at`): only then does it tell who went back.
fn successes(
    reported: u32,
    before: Option<&JobRef>,
    now: Timestamp,
    read_at: Timestamp,
) -> (u32, u32, Option<Timestamp>) {
    let Some((before, at)) = before.and_then(|before| Some((before, before.successes_at?.min(now)))) else {
        return (0, reported, (reported > 0).then_some(now));
    };
    let is_read = read_at >= at;
    let read = if is_read { before.successes } else { before.successes_read };
    if is_read && reported > before.successes {
        (read, reported, Some(now))
    } else {
        (read, before.successes, Some(at))
    }
}

/// A job that is not listed, as it goes on in the status. A time to come was written by a clock that was ahead: how long ago it was
/// nobody knows, and so it is counted from now on; likewise on another boot.
pub(super) fn unlisted(job: &JobRef, now: Timestamp, clocks: &Clocks) -> JobRef {
    let known = job.created_uptime.clone().filter(|known| clocks.time_of(Some(known)).is_some());
    let created_uptime = known.or_else(|| clocks.uptime(now)).or_else(|| job.created_uptime.clone());
    JobRef { created_at: job.created_at.map(|at| at.min(now)), created_uptime, ..job.clone() }
}

/// True while a list may still lack a job that was created then.
pub(super) fn may_be_hidden(job: &JobRef, looked_at: Timestamp, lag: SignedDuration) -> bool {
    job.created_at.is_some_and(|created| within(created, lag, looked_at))
}

/// True when `later` is less than `lag` after `since`. A sum that no clock can reach counts as still within.
pub(super) fn within(since: Timestamp, lag: SignedDuration, later: Timestamp) -> bool {
    since.checked_add(lag).map_or(true, |end| later < end)
}

/// What still happens on a cloud that stops no job, for the end of a sentence; nothing when no job runs.
pub(super) fn unstoppable(live: &[&Job]) -> String {
    if live.is_empty() {
        return String::new();
    }
    let open = |job: &&Job| job.counts.queued + job.counts.in_flight + job.counts.retrying;
    let (devices, ids): (u32, Vec<&str>) =
        (live.iter().map(open).sum(), live.iter().map(|job| job.id.as_str()).collect());
    format!(
        "; no call stops a job of this cloud: {} {} still reached by what runs ({}); stop it in the portal if it must not go on",
        counted(devices, "device"),
        verb(devices, "is", "are"),
        ids.join(", ")
    )
}

/// True when an order to stop it would change something.
pub(super) fn can_be_stopped(job: &Job) -> bool {
    !job.state.is_final() && job.state != JobState::Stopping
}
