//! A request to repeat a failed verification. It is a new verification, under the idempotency key of the next attempt:
//! the previous one is never sent again.
//!
//! It is for the devices that do not run the version yet, and begins once the previous job has ended, because a device
//! takes one job at a time. A request that cannot be answered yet stays open, and nothing is recorded.

use super::report::{Outcome, Standing};
use super::verify::{begin, find_job};
use crate::api::{
    Intent, OtaPackage, OtaPackageStatus, Reason, Request, StageCounts, VERIFIED, Verification,
    VerificationStatus, clear_condition, counted, record_decision, verb,
};
use crate::cloud::{Job, JobState};
use crate::decide::stage::Target;
use crate::decide::{Action, PackageView};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The answer to a request.
enum Answer {
    /// The previous job has not ended.
    Later(Vec<Action>, String),
    Taken(VerificationStatus, String),
    Refused(&'static str),
}

/// Answers a request, if one is open, given the outcome without it; `again` judges the package with the next attempt. The
/// answer is recorded in the same write as the value of the request, before anything is sent.
pub(super) fn answer(
    view: &PackageView<'_>,
    status: &mut OtaPackageStatus,
    outcome: Outcome,
    again: impl FnOnce(&mut OtaPackageStatus) -> Outcome,
) -> Outcome {
    let asked = Request::Retry.open(&view.object.metadata, status.last_handled_retry_at.as_ref());
    let can_tell = outcome.reason != Reason::Observing && !status.pending.iter().any(Intent::is_open);
    let Some(asked) = asked.filter(|_| can_tell) else { return outcome };
    let (rule, message, next) = match decide(view, status, outcome.reason) {
        Answer::Later(actions, why) => return later(outcome, actions, &why),
        Answer::Taken(next, message) => (Reason::RetryTaken, message, Some(next)),
        Answer::Refused(why) => (Reason::RetryRefused, format!("retry refused: {why}"), None),
    };
    status.last_handled_retry_at = Some(asked.to_owned());
    record_decision(&mut status.decisions, view.now, rule, message);
    let Some(next) = next else { return outcome };
    status.verification = Some(next);
    clear_condition(&mut status.conditions, VERIFIED);
    again(status)
}

/// Refuses a retry request of a package that cannot be judged until its spec is edited: the user waits for an answer.
pub fn refuse(package: &OtaPackage, status: &mut OtaPackageStatus, why: &str, now: Timestamp) {
    let asked = Request::Retry.open(&package.metadata, status.last_handled_retry_at.as_ref());
    let Some(asked) = asked.filter(|_| package.metadata.deletion_timestamp.is_none()) else { return };
    status.last_handled_retry_at = Some(asked.to_owned());
    record_decision(&mut status.decisions, now, Reason::RetryRefused, format!("retry refused: {why}"));
}

fn decide(view: &PackageView<'_>, status: &OtaPackageStatus, reason: Reason) -> Answer {
    let Some(asked) = &view.object.spec.verification else {
        return Answer::Refused("spec.verification is not set");
    };
    let has_failed = matches!(
        reason,
        Reason::VerificationFailed
            | Reason::VerificationUnseen
            | Reason::JobVanished
            | Reason::OutcomeUnresolved
    );
    let known = status.verification.as_ref().filter(|_| has_failed);
    let (Some(known), Some(jobs)) = (known, &view.jobs) else {
        return Answer::Refused("no verification has failed");
    };
    let job = find_job(&jobs.value, &known.token, known.job_id.as_deref());
    if let Some(job) = job.filter(|job| !job.state.is_final()) {
        let why = format!("the requested retry starts once job {} has ended", job.id);
        return Answer::Later(stop(view, job, &known.counts), why);
    }
    let left = lacking(view, asked);
    if left == 0 {
        return Answer::Refused(
            "every device of spec.verification already runs the version: name devices that do not run it yet",
        );
    }
    let next = begin(view, asked, known.attempt.saturating_add(1));
    let (devices, do_not) = (counted(left, "device"), verb(left, "does not", "do not"));
    let message = format!("retry accepted: verifying again on {devices} that {do_not} run the version");
    Answer::Taken(next, message)
}

/// The verification has still failed, and work is in progress.
fn later(mut outcome: Outcome, actions: Vec<Action>, why: &str) -> Outcome {
    (outcome.standing, outcome.reason) = (Standing::Working, Reason::Verifying);
    outcome.message = format!("{}; {why}", outcome.message);
    outcome.with(actions)
}

/// Stops a job whose devices have all answered or timed out, where the cloud can; other jobs end by themselves.
fn stop(view: &PackageView<'_>, job: &Job, counts: &StageCounts) -> Vec<Action> {
    let is_idle = counts.queued + counts.in_flight == 0;
    let can_stop = view.capabilities.stops_jobs && job.state != JobState::Stopping;
    (is_idle && can_stop).then(|| Action::StopJob { id: job.id.clone() }).into_iter().collect()
}

/// How many of the named devices do not run the version, as far as they were observed.
fn lacking(view: &PackageView<'_>, asked: &Verification) -> usize {
    let target = Target { kind: view.object.spec.kind, version: &view.object.spec.version };
    let Some(devices) = &view.devices else { return 0 };
    let lacks = |id: &&String| devices.value.get(*id).is_some_and(|device| !target.is_reported_by(device));
    asked.devices.iter().filter(lacks).collect::<BTreeSet<_>>().len()
}
