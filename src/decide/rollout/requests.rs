//! What users request beside the spec: pause, resume, restart and retry.
//!
//! A request is handled when it is first seen, and its value is recorded in the same write as its result; a recorded one
//! is not handled again. A pause is read on every pass instead: it holds even if the record was lost.

use super::report::{Outcome, total};
use crate::api::{
    JobRef, OtaRollout, OtaRolloutStatus, Reason, Request, StageCounts, StagePhase, StageStatus, counted,
    is_paused, record_decision, time_text, verb,
};
use crate::decide::needs::has_begun;
use jiff::Timestamp;
use std::collections::BTreeSet;

const NONE_FAILED: &str = "no device has failed";

/// Records pause and resume.
pub(super) fn take_pause(rollout: &OtaRollout, status: &mut OtaRolloutStatus, now: Timestamp) {
    let meta = &rollout.metadata;
    let before = status.paused_at;
    if is_paused(meta, before.is_some(), status.last_handled_resume_at.as_ref()) {
        status.paused_at = before.or(Some(now));
    } else if let Some(since) = status.paused_at.take() {
        let message = format!("resumed by request; it had been paused since {}", time_text(since));
        record_decision(&mut status.decisions, now, Reason::Resumed, message);
    }
    for (request, handled) in [
        (Request::Pause, &mut status.last_handled_pause_at),
        (Request::Resume, &mut status.last_handled_resume_at),
    ] {
        if let Some(asked) = request.of(meta) {
            *handled = Some(asked.to_owned());
        }
    }
}

/// Why a user has stopped it: the reason, and the beginning of a message.
pub(super) fn stands_still(rollout: &OtaRollout, status: &OtaRolloutStatus) -> Option<(Reason, String)> {
    let paused = |since| format!("paused by request since {}", time_text(since));
    match (rollout.spec.suspend, status.paused_at) {
        (false, None) => None,
        (true, None) => Some((Reason::Suspended, "suspended".to_owned())),
        (false, Some(since)) => Some((Reason::Paused, paused(since))),
        (true, Some(since)) => Some((Reason::Suspended, format!("suspended, and {}", paused(since)))),
    }
}

/// Answers a retry request of a rollout that cannot be judged, as far as possible: nothing has failed, or there is no
/// package to send. Otherwise it waits for the observation.
pub(super) fn answer_unjudged(
    rollout: &OtaRollout,
    status: &mut OtaRolloutStatus,
    outcome: &Outcome,
    now: Timestamp,
) {
    if !has_begun(status)
        && let Some(asked) = Request::Restart.of(&rollout.metadata)
    {
        // It has sent nothing: its first run begins anyway.
        status.last_handled_restart_at = Some(asked.to_owned());
    }
    if matches!(outcome.reason, Reason::PackageMissing | Reason::PackageInvalid) {
        refuse_restart(rollout, status, &outcome.message, now);
    }
    match outcome.reason {
        _ if total(&status.stages).failures() == 0 => refuse_retry(rollout, status, NONE_FAILED, now),
        Reason::PackageMissing | Reason::PackageInvalid => {
            refuse_retry(rollout, status, &outcome.message, now);
        }
        _ => {}
    }
}

/// Answers requests of a rollout whose observation failed. A pause needs none. Where only an edit ends the error
/// (`is_lasting`), the others are refused with it; otherwise they wait until the rollout is judged.
pub fn answer_unobserved(
    rollout: &OtaRollout,
    status: &mut OtaRolloutStatus,
    error: &str,
    is_lasting: bool,
    now: Timestamp,
) {
    if rollout.metadata.deletion_timestamp.is_some() {
        return;
    }
    take_pause(rollout, status, now);
    if is_lasting {
        refuse_restart(rollout, status, error, now);
        refuse_retry(rollout, status, error, now);
    }
}

/// Refuses a restart request, if there is one: its obstacle does not end by itself.
pub(super) fn refuse_restart(rollout: &OtaRollout, status: &mut OtaRolloutStatus, why: &str, now: Timestamp) {
    let handled = status.last_handled_restart_at.as_ref();
    let Some(asked) = Request::Restart.open(&rollout.metadata, handled) else { return };
    status.last_handled_restart_at = Some(asked.to_owned());
    record_decision(&mut status.decisions, now, Reason::RestartRefused, format!("restart refused: {why}"));
}

/// Refuses a retry request, if there is one.
pub(super) fn refuse_retry(rollout: &OtaRollout, status: &mut OtaRolloutStatus, why: &str, now: Timestamp) {
    let handled = status.last_handled_retry_at.as_ref();
    let Some(asked) = Request::Retry.open(&rollout.metadata, handled) else { return };
    status.last_handled_retry_at = Some(asked.to_owned());
    record_decision(&mut status.decisions, now, Reason::RetryRefused, format!("retry refused: {why}"));
}

/// Handles a retry request; true when the devices must be counted again. Devices that failed in jobs so far get another
/// attempt once their job has ended, and a gate that failed because of them is judged again. A stop rule that has fired
/// takes precedence: its failures are no accident.
pub(super) fn take_retry(rollout: &OtaRollout, status: &mut OtaRolloutStatus, now: Timestamp) -> bool {
    let handled = status.last_handled_retry_at.as_ref();
    let Some(asked) = Request::Retry.open(&rollout.metadata, handled) else { return false };
    status.last_handled_retry_at = Some(asked.to_owned());
    let mut decide = |rule, message: String| record_decision(&mut status.decisions, now, rule, message);
    if let Some(fired) = &status.stopped_by {
        let message = format!("retry refused: stop rule {} has fired; change the spec first", fired.rule);
        decide(Reason::RetryRefused, message);
        return false;
    }
    let failed = |counts: StageCounts| counts.failures() + counts.never_began;
    // A restored state may not show that the request was taken, and finds the jobs that were sent for it by their keys.
    let stored = rollout.status.as_ref();
    let jobs = stored.iter().flat_map(|status| &status.stages).flat_map(|stage| &stage.jobs);
    let calls = stored.iter().flat_map(|status| &status.pending).map(|call| call.token.as_str());
    let known: BTreeSet<&str> = jobs.map(|job| job.token.as_str()).chain(calls).collect();
    let is_known = |job: &JobRef| known.contains(job.token.as_str());
    let is_meant = |stage: &StageStatus| failed(stage.counts) > 0 && stage.jobs.iter().any(is_known);
    let failures: u32 =
        status.stages.iter().filter(|stage| is_meant(stage)).map(|stage| failed(stage.counts)).sum();
    if failures == 0 {
        decide(Reason::RetryRefused, format!("retry refused: {NONE_FAILED}"));
        return false;
    }
    let message = format!(
        "retry accepted: {} that failed {} another attempt, each once its job has ended",
        counted(failures, "device"),
        verb(failures, "gets", "get")
    );
    decide(Reason::RetryTaken, message);
    let meant = status.stages.iter_mut().filter(|stage| is_meant(stage));
    meant.for_each(|stage| order(stage, is_known));
    true
}

fn order(stage: &mut StageStatus, is_known: impl Fn(&JobRef) -> bool) {
    for job in stage.jobs.iter_mut().filter(|job| is_known(job)) {
        job.retry_ordered = true;
    }
    if stage.phase != StagePhase::Passed {
        (stage.observed_at, stage.observed_cloud_at, stage.observed_uptime) = (None, None, None);
        stage.sample = None;
    }
    if stage.phase == StagePhase::Held {
        stage.phase = stage.phase_to_continue();
    }
}
