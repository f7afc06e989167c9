//! Law (j): a stage waits for its devices no longer than its deadline, and for those that have not begun no longer than
//! `delivery.timeout.queued`. It is judged at rest: a deadline may pass late, because processes begin again, but it does pass.

use crate::checkers::Sent;
use crate::checkers::creates::run_key;
use crate::checkers::effective;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{OtaRollout, Period, RolloutPhase, StageStatus};
use std::collections::BTreeMap;

/// How late it may be noticed: a few polls, and whatever else is due in the account.
const LATE: SignedDuration = SignedDuration::from_mins(10);
/// What a stage's deadline is when its spec says none.
const DEADLINE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Since when stages wait.
#[derive(Default)]
pub(super) struct Waits {
    /// When the last job left, by stage.
    sent: BTreeMap<Sent, Timestamp>,
    is_calm: bool,
    /// Since when nothing goes wrong: until then processes may begin on other machines, where they count from scratch.
    calm_since: Option<Timestamp>,
}

impl Waits {
    /// Something may go wrong from now on, or nothing any more.
    pub(super) fn is_calm(&mut self, is_calm: bool) {
        (self.is_calm, self.calm_since) = (is_calm, None);
    }

    /// It is now.
    pub(super) fn is_now(&mut self, now: Timestamp) {
        if self.is_calm {
            self.calm_since.get_or_insert(now);
        }
    }

    /// A job leaves.
    pub(super) fn leaves(&mut self, sent: &Sent, now: Timestamp) {
        self.sent.insert(sent.clone(), now);
    }

    /// No stage of this rollout has waited for too long.
    pub(super) fn are_over(&self, rollout: &OtaRollout, now: Timestamp) -> Result<(), String> {
        let (Some(status), Some(uid)) = (&rollout.status, &rollout.metadata.uid) else { return Ok(()) };
        if status.phase != RolloutPhase::Progressing || rollout.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        for stage in &status.stages {
            let (package, name) = (run_key(status), Some(stage.name.clone()));
            let sent = Sent { uid: uid.clone(), package, stage: name };
            if let Some((sent, calm)) = self.sent.get(&sent).zip(self.calm_since.as_ref()) {
                is_in_time(rollout, stage, now.duration_since(*sent.max(calm)))?;
            }
        }
        Ok(())
    }
}

/// The stage has waited for so long.
fn is_in_time(rollout: &OtaRollout, stage: &StageStatus, waited: SignedDuration) -> Result<(), String> {
    let stages = effective::stages(rollout);
    let spec = stages.iter().find(|spec| spec.name == stage.name);
    let (Some(spec), Some(clock)) = (spec, &stage.clock) else { return Ok(()) };
    let deadline = spec.deadline.and_then(|deadline| deadline.after).map_or(DEADLINE, Period::as_signed);
    let timeout = rollout.spec.delivery.as_ref().and_then(|delivery| delivery.timeout);
    let queued = timeout.and_then(|timeout| timeout.queued).map(Period::as_signed);
    // Devices of a job that was stopped wait for another one.
    let is_live = stage.jobs.iter().all(|job| job.finished_at.is_none());
    let limits = [
        (Some(deadline), stage.counts.outstanding(), clock.deadline_passed_at),
        (queued, stage.counts.queued, clock.queued_passed_at.or(clock.deadline_passed_at)),
    ];
    for (limit, devices, passed_at) in limits {
        if let Some(limit) = limit.filter(|limit| is_live && waited > *limit + LATE)
            && devices > 0
            && passed_at.is_none()
        {
            let (name, rollout) = (&stage.name, rollout.metadata.name.as_deref().unwrap_or_default());
            return Err(format!(
                "stage {name} of {rollout} waits for {devices} devices since {waited:#}, and longer than {limit:#}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stage_waits_as_long_as_its_deadline_and_for_a_beginning_as_long_as_its_timeout() {
        let rollout = json!({
            "metadata": {"name": "r"},
            "spec": {"packageRef": {"name": "p"}, "targets": {"all": true},
                "stages": [{"name": "s", "select": {"rest": true}, "deadline": {"after": "1h"}}],
                "delivery": {"timeout": {"queued": "20m"}}},
        });
        let rollout: OtaRollout = serde_json::from_value(rollout).unwrap();
        let stage = |queued: u32, in_flight: u32, passed: bool| -> StageStatus {
            let counts = json!({"assigned": 5, "queued": queued, "inFlight": in_flight, "succeeded": 0, "failed": 0,
                "timedOut": 0, "reverted": 0});
            let passed = passed.then_some("2026-01-05T00:00:00Z");
            let clock =
                json!({"jobs": 1, "since": "2026-01-05T00:00:00Z", "queued": 0, "deadlinePassedAt": passed});
            let stage = json!({"name": "s", "phase": "Running", "counts": counts, "clock": clock});
            serde_json::from_value(stage).unwrap()
        };
        for (stage, minutes, expected) in [
            (stage(1, 0, false), 29, true),
            (stage(1, 0, false), 31, false),
            (stage(0, 1, false), 69, true),
            (stage(0, 1, false), 71, false),
            (stage(1, 1, true), 71, true),
            (stage(0, 0, false), 71, true),
        ] {
            let waited = SignedDuration::from_mins(minutes);
            assert_eq!(is_in_time(&rollout, &stage, waited).is_ok(), expected, "{stage:?} {minutes}");
        }
    }
}
