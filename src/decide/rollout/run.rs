//! Runs. A run is one attempt to bring the targets to one package. It begins when the package that the spec names changes, also
//! back to an earlier one, or when a user asks for a restart. Its number is part of every job token, so that the jobs of an
//! earlier run hold no device of a later one.

use super::jobs::OurJobs;
use super::report::Outcome;
use super::{Context, leave, requests};
use crate::api::{OtaPackage, OtaRolloutStatus, Reason, Request, record_decision};
use crate::cloud::Job;
use crate::decide::keys::{JobSlot, job_token, package_identity, rollout_mark};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// After a lost state the number of the run is looked for up to this one.
const MOST_RUNS: u32 = 1_000;
/// The first jobs of a stage: the first of all may be missing from the cloud.
const FIRST_CHUNKS: u32 = 4;

/// Brings the status to the run that the spec asks for. An outcome while the run before still has jobs that may act.
pub(super) fn enter(context: &Context<'_>, status: &mut OtaRolloutStatus) -> Option<Outcome> {
    let version = &context.package.spec.version;
    let Some(before) = status.package_identity.clone() else {
        take_restart(context, status);
        status.run = recover(context);
        status.version = Some(version.clone());
        return None;
    };
    status.run = status.run.max(1);
    let handled = status.last_handled_restart_at.as_ref();
    let mut is_asked = Request::Restart.open(&context.rollout.metadata, handled).is_some();
    if let Some(why) = is_asked.then(|| leave::obstacle(context, status)).flatten() {
        requests::refuse_restart(context.rollout, status, &why, context.now);
        is_asked = false;
    }
    let is_same = before == context.identity;
    if is_same && !is_asked {
        return None;
    }
    if let Some(mut outcome) = leave::turn(context, status) {
        if is_same {
            outcome.message.insert_str(0, "a restart was requested: ");
        }
        return Some(outcome);
    }
    *status = next(std::mem::take(status), context.package, is_same, context.now);
    take_restart(context, status);
    None
}

fn take_restart(context: &Context<'_>, status: &mut OtaRolloutStatus) {
    if let Some(asked) = Request::Restart.of(&context.rollout.metadata) {
        status.last_handled_restart_at = Some(asked.to_owned());
    }
}

/// The status of a new run: what was said and asked stays, what was sent and counted belongs to the run before. It names its package
/// from the beginning: a run that may have to wait for it has taken its number.
fn next(before: OtaRolloutStatus, package: &OtaPackage, restarted: bool, now: Timestamp) -> OtaRolloutStatus {
    let version = &package.spec.version;
    let run = before.run.saturating_add(1);
    let previous = if restarted { before.previous_version } else { before.version };
    let mut decisions = before.decisions;
    let why = match &previous {
        _ if restarted => "restarted by request".to_owned(),
        Some(previous) => format!("the package before was {previous}"),
        None => "the package has changed".to_owned(),
    };
    record_decision(&mut decisions, now, Reason::RunStarted, format!("run {run} to {version} begins: {why}"));
    OtaRolloutStatus {
        run,
        version: Some(version.clone()),
        previous_version: previous,
        package_identity: Some(package_identity(package)),
        conditions: before.conditions,
        decisions,
        paused_at: before.paused_at,
        last_handled_reconcile_at: before.last_handled_reconcile_at,
        last_handled_pause_at: before.last_handled_pause_at,
        last_handled_resume_at: before.last_handled_resume_at,
        last_handled_retry_at: before.last_handled_retry_at,
        last_handled_restart_at: before.last_handled_restart_at,
        ..OtaRolloutStatus::default()
    }
}

/// The status of the run to a package in another account, once nothing of the run before is left in its own.
pub(super) fn elsewhere(before: OtaRolloutStatus, package: &OtaPackage, now: Timestamp) -> OtaRolloutStatus {
    next(before, package, false, now)
}

/// How the end is held where the run before sent other bytes under the same version: who reports the version may run either.
pub(super) fn same_version(context: &Context<'_>, status: &OtaRolloutStatus) -> Option<Outcome> {
    let version = &context.package.spec.version;
    let unproven = status.excluded.already_current;
    (status.previous_version.as_ref() == Some(version) && unproven > 0).then(|| {
        let message = format!(
            "{unproven} devices report {version} and may run the bytes that the run before sent under this version: devices report \
             no digest, so nothing is sent to them; give the new bytes a new version"
        );
        Outcome::held(Reason::SameVersion, message, false)
    })
}

/// The number of the run without a status that tells it: the last one of which the cloud has a job, or the one after it where
/// this rollout has sent another package since.
fn recover(context: &Context<'_>) -> u32 {
    let mark = rollout_mark(context.uid);
    let token = |job: &&Job| job.token.as_deref().is_some_and(|token| token.starts_with(&mark));
    let ours: Vec<&Job> = context.jobs.value.iter().copied().filter(token).collect();
    let tokens: BTreeSet<&str> = ours.iter().filter_map(|job| job.token.as_deref()).collect();
    if tokens.is_empty() {
        return 1;
    }
    let has_job = |run: &u32| {
        let slots = context.stages.iter().flat_map(|stage| {
            (0..FIRST_CHUNKS).map(|chunk| JobSlot { run: *run, stage: &stage.name, attempt: 0, chunk })
        });
        slots
            .into_iter()
            .any(|slot| tokens.contains(job_token(context.uid, &context.identity, slot).as_str()))
    };
    let Some(found) = (1..=MOST_RUNS).rev().find(has_job) else { return 1 };
    if is_over(context, found, &ours) { found.saturating_add(1) } else { found }
}

/// True when this rollout has sent another package since: its newest job is none of this run.
fn is_over(context: &Context<'_>, run: u32, ours: &[&Job]) -> bool {
    let names: Vec<String> = context.stages.iter().map(|stage| stage.name.clone()).collect();
    let status = OtaRolloutStatus { run, ..OtaRolloutStatus::default() };
    let of_run = OurJobs::find(context.uid, &context.identity, run, &names, &status, &context.jobs.value);
    let is_of_run = |job: &Job| of_run.listed.iter().any(|ours| ours.job.id == job.id);
    let package_id = context.package.status.as_ref().and_then(|status| status.package_id.as_ref());
    let sends_another = |job: &Job| package_id.is_some_and(|id| !job.package_ids.contains(id));
    let dated = ours.iter().filter(|job| job.created_at.is_some());
    let newest = dated.max_by_key(|job| (job.created_at, &job.id));
    newest.is_some_and(|job| !is_of_run(job) && sends_another(job))
}
