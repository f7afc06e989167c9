//! What people asked for beside the spec: to stand still, to go on, to try again what failed.
//!
//! A request is taken when it is first seen, and its value is noted in the same write as what came of it; what is noted is not
//! taken again. A pause is read anew on every pass instead: it holds even where the note was lost.

use super::report::{Outcome, total};
use crate::api::{
    OtaRollout, OtaRolloutStatus, Reason, Request, StageCounts, StagePhase, StageStatus, counted, is_paused,
    record_decision, time_text, verb,
};
use crate::decide::needs::has_begun;
use jiff::Timestamp;

const NONE_FAILED: &str = "no device has failed";

/// Takes note of pause and resume.
pub(super) fn take_pause(rollout: &OtaRollout, status: &mut OtaRolloutStatus, now: Timestamp) {
    let meta = &rollout.metadata;
    let before = status.paused_at;
    if is_paused(meta, before.is_some(), status.last_handled_resume_at.as_ref()) {
        status.paused_at = before.or(Some(now));
    } else if let Some(since) = status.paused_at.take() {
        let message = format!("resumed by request; it stood still since {}", time_text(since));
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

/// Why a person has it stand still: the reason, and the words that a sentence begins with.
pub(super) fn stands_still(rollout: &OtaRollout, status: &OtaRolloutStatus) -> Option<(Reason, String)> {
    let paused = |since| format!("paused by request since {}", time_text(since));
    match (rollout.spec.suspend, status.paused_at) {
        (false, None) => None,
        (true, None) => Some((Reason::Suspended, "suspended".to_owned())),
        (false, Some(since)) => Some((Reason::Paused, paused(since))),
        (true, Some(since)) => Some((Reason::Suspended, format!("suspended, and {}", paused(since)))),
    }
}

/// Answers a request to try again of a rollout that cannot be judged, as far as that can be told: nothing has failed, or there is
/// no package to send. What is only out of sight is waited for.
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

/// Answers what was asked of a rollout whose observation failed. A pause needs none. Where only an edit ends the error (`is_lasting`),
/// the rest is refused with it; otherwise it waits until the rollout is judged.
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

/// Refuses a request to begin again, if there is one: what stands in the way does not end by itself.
pub(super) fn refuse_restart(rollout: &OtaRollout, status: &mut OtaRolloutStatus, why: &str, now: Timestamp) {
    let handled = status.last_handled_restart_at.as_ref();
    let Some(asked) = Request::Restart.open(&rollout.metadata, handled) else { return };
    status.last_handled_restart_at = Some(asked.to_owned());
    record_decision(&mut status.decisions, now, Reason::RestartRefused, format!("no new run begins: {why}"));
}

/// Refuses a request to try again, if there is one.
pub(super) fn refuse_retry(rollout: &OtaRollout, status: &mut OtaRolloutStatus, why: &str, now: Timestamp) {
    let handled = status.last_handled_retry_at.as_ref();
    let Some(asked) = Request::Retry.open(&rollout.metadata, handled) else { return };
    status.last_handled_retry_at = Some(asked.to_owned());
    record_decision(
        &mut status.decisions,
        now,
        Reason::RetryRefused,
        format!("nothing is tried again: {why}"),
    );
}

/// Takes a request to try again; true when the devices must be counted anew. Those that failed in jobs that were sent so far get
/// another attempt once their job has ended, and a gate that their failures had failed is asked anew. A stop rule that has fired is
/// stronger: its failures are no accident.
pub(super) fn take_retry(rollout: &OtaRollout, status: &mut OtaRolloutStatus, now: Timestamp) -> bool {
    let handled = status.last_handled_retry_at.as_ref();
    let Some(asked) = Request::Retry.open(&rollout.metadata, handled) else { return false };
    status.last_handled_retry_at = Some(asked.to_owned());
    let mut decide = |rule, message: String| record_decision(&mut status.decisions, now, rule, message);
    if let Some(fired) = &status.stopped_by {
        let message = format!("nothing is tried again while stop rule {} holds: change the spec", fired.rule);
        decide(Reason::RetryRefused, message);
        return false;
    }
    let failed = |counts: StageCounts| counts.failures() + counts.never_began;
    let failures = failed(total(&status.stages));
    if failures == 0 {
        decide(Reason::RetryRefused, format!("nothing is tried again: {NONE_FAILED}"));
        return false;
    }
    let message = format!(
        "{} that failed {} another attempt, each once its job has ended, by request",
        counted(failures, "device"),
        verb(failures, "gets", "get")
    );
    decide(Reason::RetryTaken, message);
    status.stages.iter_mut().filter(|stage| failed(stage.counts) > 0).for_each(order);
    true
}

fn order(stage: &mut StageStatus) {
    stage.jobs.iter_mut().for_each(|job| job.retry_ordered = true);
    if stage.phase != StagePhase::Passed {
        (stage.observed_at, stage.observed_cloud_at, stage.observed_uptime) = (None, None, None);
    }
    if stage.phase == StagePhase::Held {
        stage.phase = StagePhase::Running;
    }
}
