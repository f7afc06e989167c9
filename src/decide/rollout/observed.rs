//! The observation, counted: which device is in which stage, its outcome, and what cannot be determined.

use super::jobs::{OurJob, OurJobs, may_be_hidden, record, unlisted};
use super::outcomes::Outcomes;
use super::population::{Population, population};
use super::{Context, as_count, requests};
use crate::api::{
    Intent, JobRef, OtaRolloutStatus, Reason, StageCounts, StagePhase, StageStatus, StageStrata, counted,
    time_text,
};
use crate::cloud::{Job, JobState};
use crate::decide::cohort::Taken;
use crate::decide::lost_call;
use crate::decide::stage::{JobSight, Target, Uniqueness, tally};
use crate::decide::strata::{self, properties};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The observation, counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed<'a> {
    pub jobs: OurJobs<'a>,
    /// Devices that our jobs hold.
    pub taken: Taken<'a>,
    /// By stage: devices that have to go into another job.
    pub unfinished: Vec<Unfinished<'a>>,
    /// By stage: devices without an outcome, and failed ones.
    pub outcomes: Vec<Outcomes<'a>>,
    pub population: Population<'a>,
    /// What cannot be determined; nothing is dispatched while this is set.
    pub doubt: Option<Doubt>,
    /// Jobs of another instance carry our keys: which, and what happened to them.
    pub other_instance: Option<String>,
    /// A job that was created a moment ago is not listed yet.
    pub hidden: Option<String>,
}

/// Devices that need another job, and the last attempt for any of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Unfinished<'a> {
    /// Their job was stopped before they were done.
    pub stopped: Vec<&'a str>,
    /// They failed, and a retry was requested.
    pub failed: Vec<&'a str>,
    pub attempt: u32,
}

impl<'a> Unfinished<'a> {
    pub fn devices(&self) -> Vec<&'a str> {
        [self.stopped.as_slice(), &self.failed].concat()
    }
}

/// What a job left for another one.
struct Left {
    stopped: bool,
    failed: bool,
    /// Nothing more can fail in it.
    is_over: bool,
    /// Devices of the job that are no longer registered in the cloud.
    gone: u32,
}

/// Something that the observation does not show.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    pub reason: Reason,
    pub message: String,
}

/// Counts everything, and writes counts and jobs into the stages of `status`. None when the members of groups or tags
/// were not observed.
pub(super) fn observed<'a>(context: &Context<'a>, status: &mut OtaRolloutStatus) -> Option<Observed<'a>> {
    let names: Vec<String> = status.stages.iter().map(|stage| stage.name.clone()).collect();
    let jobs = OurJobs::find(context.uid, &context.identity, status.run, &names, status, &context.jobs.value);
    let taken = Taken { stage_of: stage_of(&jobs.listed), closed: 0 };
    let rollout = &context.rollout.spec;
    let population = population(
        rollout,
        &context.package.spec,
        &context.fleet.value,
        &taken.stage_of,
        &context.ownership,
    )?;
    let mut observed = Observed { taken, population, ..Observed::default() };
    observed.unfinished.resize_with(names.len(), Unfinished::default);
    observed.outcomes.resize_with(names.len(), Outcomes::default);
    let members = members(&jobs.listed);
    observed.note_duplicates(context, &jobs);
    let stands_still = requests::stands_still(context.rollout, status).is_some();
    for (index, stage) in status.stages.iter_mut().enumerate() {
        observed.count(context, index, stage, &jobs, &members, stands_still);
    }
    observed.note_missing(context, &jobs);
    observed.note_lost(&status.pending, &jobs);
    observed.jobs = jobs;
    observed.count_strata(context, &mut status.stages);
    Some(observed)
}

fn stage_of<'a>(listed: &[OurJob<'a>]) -> BTreeMap<&'a str, usize> {
    let devices = |ours: &OurJob<'a>| (ours.job, ours.stage);
    let pairs = listed.iter().map(devices);
    pairs.flat_map(|(job, stage)| job.devices.iter().map(move |device| (device.as_str(), stage))).collect()
}

/// Devices by the last of our jobs that names them: index into the list of jobs.
pub(super) fn members<'a>(listed: &[OurJob<'a>]) -> Vec<Vec<&'a str>> {
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, ours) in listed.iter().enumerate() {
        let job: &'a Job = ours.job;
        last.extend(job.devices.iter().map(|device| (device.as_str(), index)));
    }
    let mut members = vec![Vec::new(); listed.len()];
    for (device, index) in last {
        members[index].push(device);
    }
    members
}

impl<'a> Observed<'a> {
    fn count(
        &mut self,
        context: &Context<'a>,
        index: usize,
        stage: &mut StageStatus,
        jobs: &OurJobs<'a>,
        members: &[Vec<&'a str>],
        stands_still: bool,
    ) {
        // What devices had reported by this time is in the observation of the fleet.
        let lag = context.capabilities.visibility_lag;
        let read_at = context.fleet.at.saturating_sub(lag).unwrap_or(Timestamp::MIN);
        let (mut counts, mut gone, mut claimed) = (StageCounts::default(), 0, 0);
        let mut records: Vec<JobRef> = Vec::new();
        for (ours, members) in jobs.listed.iter().zip(members).filter(|(ours, _)| ours.stage == index) {
            let before = stage.jobs.iter().find(|job| job.token == ours.token && job.id == ours.job.id);
            let mut record = record(ours, before, read_at, (context.now, &context.clocks));
            record.follow_up |= before.is_none() && stage.phase == StagePhase::Passed;
            let unique = uniqueness(context, ours, &record, jobs);
            let left = self.count_job(context, index, ours, (members, unique), &record, &mut counts);
            claimed += ours.job.counts.succeeded;
            gone += left.gone + record.devices.saturating_sub(as_count(ours.job.devices.len()));
            // Suspending a rollout takes over jobs that were stopped elsewhere: resuming sends their devices again.
            record.stop_ordered |= stands_still && record.finished_at.is_some() && left.stopped;
            // Failures from now on are the first since the retry was requested.
            record.retry_ordered &= left.failed || !left.is_over;
            if left.stopped && !record.stop_ordered {
                self.doubt(Reason::JobStopped, stopped_elsewhere(ours.job));
            }
            records.push(record);
        }
        let missing = jobs.missing.iter().filter(|missing| missing.stage == index);
        let missing = missing.map(|missing| unlisted(&missing.job, context.now, &context.clocks));
        let before = records.len();
        records.extend(missing);
        if records.len() > before {
            // The numbers of the missing job are unknown: what was observed of all jobs before is the minimum.
            stage.counts = counts.at_least(stage.counts);
        } else {
            // The state was lost, and a later stage was dispatched on what was observed then: the job's report counts.
            let was_left =
                jobs.listed.iter().any(|ours| ours.stage > index) && stage.phase != StagePhase::Passed;
            let counted = if was_left { counts } else { counts.believing(stage.counts) };
            let retried = records.iter().any(|record| record.retry_ordered);
            stage.counts = if retried { counted } else { counted.remembering(stage.counts, gone, claimed) };
        }
        stage.jobs = records;
    }

    /// Adds the counts of one job; returns what it left behind.
    fn count_job(
        &mut self,
        context: &Context<'a>,
        index: usize,
        ours: &OurJob<'a>,
        (members, uniqueness): (&[&'a str], Uniqueness),
        record: &JobRef,
        counts: &mut StageCounts,
    ) -> Left {
        let job = ours.job;
        if job.devices.is_empty() && job.counts.total > 0 {
            let total = job.counts.total;
            let message = format!(
                "job {} holds {}, and the cloud does not report which",
                job.id,
                counted(total, "device")
            );
            self.doubt(Reason::JobDevicesUnknown, message);
        }
        let lag = context.capabilities.visibility_lag;
        let settled =
            record.finished_at.is_some_and(|finished| !super::jobs::within(finished, lag, context.fleet.at));
        let spec = &context.package.spec;
        let mut told = tally(&JobSight {
            job,
            members,
            results: context.results.get(&job.id).map_or(&[][..], Vec::as_slice),
            fleet: context.fleet.value.devices,
            target: Target { kind: spec.kind, version: &spec.version },
            listed: &context.jobs.value,
            package_id: context.package.status.as_ref().and_then(|status| status.package_id.as_deref()),
            settled,
            successes_read: record.successes_read,
            retried: record.retry_ordered,
            uniqueness,
        });
        self.population.bar(&mut told);
        self.population.shared.release(&context.ownership, context.fleet.value.devices, &mut told);
        *counts = *counts + told.counts;
        let left = Left {
            stopped: !told.stopped.is_empty(),
            failed: !told.resend.is_empty(),
            is_over: settled,
            gone: told.gone,
        };
        if let Some(message) = told.unclear {
            self.doubt(Reason::JobStateUnknown, message);
        }
        if let Some(outcomes) = self.outcomes.get_mut(index) {
            outcomes.unanswered.extend(told.unanswered);
            outcomes.failed.extend(told.failed);
            outcomes.is_unclear |= told.is_unattributed;
        }
        if let Some(unfinished) = self.unfinished.get_mut(index).filter(|_| left.stopped || left.failed) {
            unfinished.stopped.extend(told.stopped);
            unfinished.failed.extend(told.resend);
            unfinished.attempt = unfinished.attempt.max(ours.attempt);
        }
        left
    }

    /// Counts the strata of every stage that was sent.
    fn count_strata(&self, context: &Context<'a>, stages: &mut [StageStatus]) {
        for (index, stage) in stages.iter_mut().enumerate().filter(|(_, stage)| !stage.jobs.is_empty()) {
            for ours in self.jobs.listed.iter().filter(|ours| ours.stage == index) {
                strata::sent(stage, &ours.token, &ours.job.devices);
            }
            let by = properties(&context.rollout.spec);
            if stage.strata.is_none() && !by.is_empty() {
                stage.strata = Some(StageStrata { by: by.to_vec(), ..StageStrata::default() });
            }
            let held = self.taken.stage_of.values().filter(|stage| **stage == index).count();
            let Some(mut record) = stage.strata.take() else { continue };
            record.unknown = as_count(held).saturating_sub(record.known());
            if let Some(outcomes) = self.outcomes.get(index) {
                outcomes.count(stage.counts, &mut record, context.traits());
            }
            stage.strata = Some(record);
        }
    }

    fn note_missing(&mut self, context: &Context<'_>, jobs: &OurJobs<'_>) {
        for missing in &jobs.missing {
            let (id, devices) = (&missing.job.id, counted(missing.job.devices, "device"));
            if may_be_hidden(&missing.job, context.jobs.at, context.capabilities.visibility_lag) {
                self.hidden = Some(format!("job {id} ({devices}) is not listed yet"));
            } else {
                let message = format!(
                    "job {id} ({devices}) is no longer in the cloud, so the outcome of its devices is unknown; it is not created again: to continue, delete this rollout and write a new one"
                );
                self.doubt(Reason::JobVanished, message);
            }
        }
    }

    fn note_duplicates(&mut self, context: &Context<'_>, jobs: &OurJobs<'_>) {
        let live = jobs.duplicates.iter().any(|job| !job.state.is_final());
        if !context.capabilities.stops_jobs {
            return self.note_look_alikes(jobs);
        }
        let Some(first) = jobs.duplicates.first() else { return };
        let kept = jobs.listed.iter().find(|ours| Some(&ours.token) == first.token.as_ref());
        let kept = kept.map(|ours| named(ours.job)).unwrap_or_default();
        let duplicates = jobs.duplicates.iter().map(|job| named(job)).collect::<Vec<_>>().join(", ");
        let message = format!(
            "another instance of Rollwave with its own state works on this rollout: {duplicates} and {kept} carry the same idempotency key; the older job is kept, the other is stopped, and devices that the cloud refused because of it do not count as failed. Run one instance, or give both the same state"
        );
        if live {
            self.doubt(Reason::AnotherInstance, message.clone());
        }
        self.other_instance = Some(message);
    }

    fn note_look_alikes(&mut self, jobs: &OurJobs<'_>) {
        let live: Vec<&Job> = jobs.duplicates.iter().copied().filter(|job| !job.state.is_final()).collect();
        let Some(first) = live.first() else { return };
        let (count, ids) =
            (live.len(), live.iter().map(|job| job.id.as_str()).collect::<Vec<_>>().join(", "));
        let kept = jobs.listed.iter().find(|ours| Some(&ours.token) == first.token.as_ref());
        let kept = kept.map(|ours| ours.job.id.as_str()).unwrap_or_default();
        let message = format!(
            "{count} more jobs ({ids}) look exactly like job {kept} of this rollout, and this cloud has no API to stop jobs: stop them in the portal if their devices must not get the package twice; nothing more is sent until they have ended"
        );
        self.doubt(Reason::DuplicateJob, message);
    }

    fn note_lost(&mut self, pending: &[Intent], jobs: &OurJobs<'_>) {
        let is_listed = |token: &str| jobs.listed.iter().any(|ours| ours.token == token);
        if let Some(call) = pending.iter().find(|call| !call.is_open() && !is_listed(&call.token)) {
            let message = format!(
                "{}; check in the cloud's console whether its devices are being upgraded, then delete this rollout and write a new one",
                lost_call(call)
            );
            self.doubt(Reason::OutcomeUnresolved, message);
        }
    }

    /// Keeps the first one: the others appear when it is resolved.
    fn doubt(&mut self, reason: Reason, message: String) {
        self.doubt.get_or_insert(Doubt { reason, message });
    }
}

/// The id of a job, and when the cloud created it.
fn named(job: &Job) -> String {
    match job.created_at {
        Some(at) => format!("job {} (created {})", job.id, time_text(at)),
        None => format!("job {}", job.id),
    }
}

/// Whether the key of a job is known to be unique: only a list that was begun after it had become visible shows that.
fn uniqueness(context: &Context<'_>, ours: &OurJob<'_>, record: &JobRef, jobs: &OurJobs<'_>) -> Uniqueness {
    if jobs.duplicates.iter().any(|job| job.token.as_ref() == Some(&ours.token)) {
        Uniqueness::Shared
    } else if may_be_hidden(record, context.jobs.at, context.capabilities.visibility_lag) {
        Uniqueness::Unchecked
    } else {
        Uniqueness::Unique
    }
}

fn stopped_elsewhere(job: &Job) -> String {
    let (id, stopped, total) = (&job.id, job.counts.stopped, job.counts.total);
    let state = if job.state == JobState::Stopped { "was stopped" } else { "has stopped devices" };
    if stopped == total && job.counts.succeeded == 0 {
        return format!(
            "job {id} is stopped in the cloud and none of its {total} devices has begun: it was stopped there, or never started; start it there, or set suspend to true and back to false to send its devices a new one"
        );
    }
    format!(
        "job {id} {state} in the cloud ({stopped} of {total} devices), not by this rollout; set suspend to true and back to false to send those devices a new one"
    )
}
