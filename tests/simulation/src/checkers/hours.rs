//! The law of windows, redone by hand from the manifest and the clock of the machine: worlds draw zones without summer time,
//! so that a time of day is a sum.

use jiff::{SignedDuration, Timestamp};
use rollwave::api::{OtaRollout, Window};

const DAY: i64 = 86_400;
/// A client may have to sign in before its request leaves, more than once, and each may take its full time.
const SIGNING_IN: SignedDuration = SignedDuration::from_mins(4);

/// A stage is sent while a window of it is open, and not before its time.
pub(super) fn within_hours(rollout: &OtaRollout, stage: &str, now: Timestamp) -> Result<(), String> {
    let Some(spec) = rollout.spec.stages.iter().find(|spec| spec.name == stage) else { return Ok(()) };
    if spec.not_before.is_some_and(|not_before| now < not_before) {
        return Err(format!("stage {stage} is sent at {now}, before its time"));
    }
    if spec.windows.is_empty() || spec.windows.iter().any(|window| was_open(window, now)) {
        return Ok(());
    }
    Err(format!("stage {stage} is sent at {now}, outside of its windows"))
}

/// True when it is open, or was while the client still had to sign in.
fn was_open(window: &Window, now: Timestamp) -> bool {
    let Some(east) = hours_east(&window.time_zone.to_string()) else { return false };
    let there = now.as_second() + east;
    let start = i64::from(window.start.time().hour()) * 3600 + i64::from(window.start.time().minute()) * 60;
    let since = (there - start).rem_euclid(DAY);
    since <= window.duration.period().as_signed().as_secs() + SIGNING_IN.as_secs()
}

/// Seconds, of the zones that worlds draw.
fn hours_east(zone: &str) -> Option<i64> {
    match zone {
        "UTC" => Some(0),
        "Asia/Kolkata" => Some(19_800),
        "Asia/Shanghai" => Some(28_800),
        _ => None,
    }
}
