//! When a rollout goes on and ends: the next windows, and an estimate from how fast devices have answered so far.

use crate::api::{
    OtaRollout, OtaRolloutStatus, Percent, Period, RolloutPhase, Stage, StagePhase, StageStatus, time_text,
};
use crate::decide::rollout::gates;
use crate::decide::{defaults, window};
use jiff::{SignedDuration, Timestamp};

/// Windows that are named.
const WINDOWS: usize = 7;

/// The forecast, as sentences; none while nothing can be said.
pub(super) fn sentences(rollout: &OtaRollout, status: &OtaRolloutStatus, now: Timestamp) -> Vec<String> {
    if status.phase != RolloutPhase::Progressing || rollout.spec.suspend || status.paused_at.is_some() {
        return Vec::new();
    }
    let stages = defaults::begun_stages(&rollout.spec, status);
    let windows = status.stages.iter().find(|stage| !is_sent(stage));
    let windows =
        windows.and_then(|stage| next_windows(stages.iter().find(|spec| spec.name == stage.name)?, now));
    windows.into_iter().chain(ends(rollout, &stages, status, now)).collect()
}

const fn is_sent(stage: &StageStatus) -> bool {
    !matches!(stage.phase, StagePhase::Waiting | StagePhase::Dispatching)
}

fn next_windows(spec: &Stage, now: Timestamp) -> Option<String> {
    let windows = window::openings(spec, now, WINDOWS);
    let times = windows.iter().map(window::Opening::text);
    (!windows.is_empty())
        .then(|| format!("Next windows of stage {}: {}.", spec.name, times.collect::<Vec<_>>().join(", ")))
}

/// When the stage in progress ends, and the rollout.
fn ends(rollout: &OtaRollout, stages: &[Stage], status: &OtaRolloutStatus, now: Timestamp) -> Option<String> {
    let current = status.stages.iter().position(|stage| stage.phase != StagePhase::Passed)?;
    let (stage, spec) = (&status.stages[current], stages.get(current)?);
    let share = share_to_answer(rollout, spec, current + 1 == stages.len(), stage);
    let answered = answered_at(stage, share, now)?;
    let ends = stage.soaks_until.unwrap_or_else(|| after(answered, spec.soak.map(Period::as_signed)));
    if ends <= now {
        return None;
    }
    let told = format!("At this pace stage {} ends at about {}", spec.name, time_text(rounded(ends)));
    let later = stages.get(current + 1..).unwrap_or_default();
    if later.is_empty() {
        return Some(format!("{told}, and the rollout with it."));
    }
    let sent = status.stages.iter().take(current + 1);
    let slowest =
        sent.filter_map(|stage| Some(answered_at(stage, share, now)?.duration_since(stage.dispatched_at?)));
    let slowest = slowest.max()?;
    let last = later.iter().fold(ends, |ends, spec| {
        let begins = window::wait(spec, ends).map_or(ends, |wait| wait.until);
        after(after(begins, Some(slowest)), spec.soak.map(Period::as_signed))
    });
    // A window that never opens ends at the end of time.
    (last < Timestamp::MAX).then(|| {
        format!(
            "{told}, and the rollout at about {} if later stages answer as fast.",
            time_text(rounded(last))
        )
    })
}

/// The share of the stage that its gates need.
fn share_to_answer(rollout: &OtaRollout, spec: &Stage, is_last: bool, stage: &StageStatus) -> Percent {
    let required = gates::required(&rollout.spec, spec, is_last, stage.size.unwrap_or_default());
    required.iter().map(|gate| gate.min_observed).max().unwrap_or(Percent::FULL)
}

/// When enough devices have answered, or will have at the pace so far; none before the first has.
fn answered_at(stage: &StageStatus, share: Percent, now: Timestamp) -> Option<Timestamp> {
    if let Some(observed) = stage.observed_at {
        return Some(observed);
    }
    let since = stage.dispatched_at.filter(|at| *at < now)?;
    let counts = stage.counts_in_full();
    let needed = (u64::from(counts.assigned) * u64::from(share.parts_per_million())).div_ceil(1_000_000);
    let (done, took) = (u64::from(counts.finished()), now.duration_since(since).as_secs().unsigned_abs());
    // None before the first device has answered.
    let seconds = took.checked_mul(needed)?.checked_div(done)?.max(took);
    Some(after(since, i64::try_from(seconds).ok().map(SignedDuration::from_secs)))
}

fn after(at: Timestamp, length: Option<SignedDuration>) -> Timestamp {
    at.saturating_add(length.unwrap_or_default()).unwrap_or(Timestamp::MAX)
}

/// To the next minute: an estimate is no better than that.
fn rounded(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second + (-second).rem_euclid(60)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::StageCounts;
    use serde_json::{Value, json};

    fn rollout(stages: &Value) -> OtaRollout {
        serde_json::from_value(json!({
            "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaRollout", "metadata": {"name": "meter"},
            "spec": {"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": stages, "stop": []}
        }))
        .unwrap()
    }

    fn status(stages: &Value) -> OtaRolloutStatus {
        serde_json::from_value(json!({"phase": "Progressing", "stages": stages})).unwrap()
    }

    fn told(spec: &Value, stages: &Value) -> String {
        let now = "2026-01-05T02:00:00Z".parse().unwrap();
        sentences(&rollout(spec), &status(stages), now).join("\n")
    }

    /// A canary that was sent two hours ago, and of which so many have answered.
    fn running(succeeded: u32) -> Value {
        let in_flight = 100 - succeeded;
        let counts = StageCounts { assigned: 100, succeeded, in_flight, ..StageCounts::default() };
        json!([
            {"name": "canary", "phase": "Running", "size": 100, "dispatchedAt": "2026-01-05T00:00:00Z",
             "counts": counts},
            {"name": "rest", "phase": "Waiting"}
        ])
    }

    fn spec(rest: &Value) -> Value {
        let mut last = json!({"name": "rest", "select": {"rest": true}});
        last.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!([{"name": "canary", "select": {"count": 100}, "soak": "1h"}, last])
    }

    #[test]
    fn an_estimate_continues_the_pace_so_far() {
        insta::assert_snapshot!(told(&spec(&json!({})), &running(40)), @"At this pace stage canary ends at about 2026-01-05 05:00:00Z, and the rollout at about 2026-01-05 09:00:00Z if later stages answer as fast.");
        assert_eq!(told(&spec(&json!({})), &running(0)), "", "nothing is known before the first answer");
        let mut soaking = running(90);
        soaking[0]["observedAt"] = json!("2026-01-05T01:30:00Z");
        soaking[0]["soaksUntil"] = json!("2026-01-05T02:30:00Z");
        insta::assert_snapshot!(told(&spec(&json!({})), &soaking), @"At this pace stage canary ends at about 2026-01-05 02:30:00Z, and the rollout at about 2026-01-05 04:00:00Z if later stages answer as fast.");
    }

    #[test]
    fn later_stages_wait_for_their_windows() {
        let nights = json!({"windows": [{"start": "01:00", "duration": "2h", "timeZone": "Asia/Shanghai"}]});
        insta::assert_snapshot!(told(&spec(&nights), &running(40)), @r"
        Next windows of stage rest: 2026-01-06 01:00 to 03:00 Asia/Shanghai, 2026-01-07 01:00 to 03:00 Asia/Shanghai, 2026-01-08 01:00 to 03:00 Asia/Shanghai, 2026-01-09 01:00 to 03:00 Asia/Shanghai, 2026-01-10 01:00 to 03:00 Asia/Shanghai, 2026-01-11 01:00 to 03:00 Asia/Shanghai, 2026-01-12 01:00 to 03:00 Asia/Shanghai.
        At this pace stage canary ends at about 2026-01-05 05:00:00Z, and the rollout at about 2026-01-05 21:00:00Z if later stages answer as fast.
        ");
    }
}
