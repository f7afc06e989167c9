//! When a stage may be dispatched: within one of its windows, and not before its `notBefore`.
//!
//! Jobs that were sent within a window may continue after it has closed.

use crate::api::{Period, Stage, Window, ZoneName, time_text};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use std::collections::BTreeMap;

/// A window lasts 7 days at most, and is at most 7 days from the last or to the next: one more for the zones.
const DAYS_AROUND: i32 = 8;
/// How many windows without a gap between them are joined: the end found after so many is late enough to be checked again.
const MOST_JOINED: usize = 32;
/// Minutes of a day.
const MINUTES_PER_DAY: u64 = 1440;

/// A stage that may not be dispatched yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// When it may be dispatched.
    pub until: Timestamp,
    /// The zone of the window that opens then; none when `notBefore` is within a window, or there are no windows.
    zone: Option<ZoneName>,
}

impl Wait {
    /// When it may be dispatched, for display: `opens 2026-01-06 01:00 Asia/Shanghai`.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.zone {
            Some(zone) => {
                let there = self.until.to_zoned(zone.zone().clone());
                format!("opens {} {zone}", there.strftime("%Y-%m-%d %H:%M"))
            }
            None => format!("opens {}", time_text(self.until)),
        }
    }

    /// The same with the time left: `opens 2026-01-06 01:00 Asia/Shanghai, in 3h12m`.
    #[must_use]
    pub fn text_at(&self, now: Timestamp) -> String {
        format!("{}, in {}", self.text(), length_text(self.until.duration_since(now)))
    }
}

/// What a stage has to wait for; none when it may be dispatched now.
#[must_use]
pub fn wait(stage: &Stage, now: Timestamp) -> Option<Wait> {
    let from = stage.not_before.map_or(now, |not_before| not_before.max(now));
    let open = || stage.windows.iter().any(|window| is_open(window, from));
    if stage.windows.is_empty() || open() {
        return (from > now).then_some(Wait { until: from, zone: None });
    }
    let next = stage.windows.iter().filter_map(|window| {
        let (opens, _) = times(window, from).find(|(opens, _)| *opens > from)?;
        Some(Wait { until: opens, zone: Some(window.time_zone.clone()) })
    });
    // No window opens only at the end of time: then it never does.
    Some(next.min_by_key(|wait| wait.until).unwrap_or(Wait { until: Timestamp::MAX, zone: None }))
}

/// A time in which a stage may be dispatched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// When it begins.
    pub opens: Timestamp,
    /// When it ends.
    pub closes: Timestamp,
    zone: ZoneName,
}

impl Opening {
    /// `2026-01-06 01:00 to 05:00 Asia/Shanghai`.
    #[must_use]
    pub fn text(&self) -> String {
        let there = |at: Timestamp| at.to_zoned(self.zone.zone().clone());
        let (opens, closes) = (there(self.opens), there(self.closes));
        let end = if opens.date() == closes.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        format!("{} to {} {}", opens.strftime("%Y-%m-%d %H:%M"), closes.strftime(end), self.zone)
    }
}

/// The next windows of a stage that have not closed, in order; the one that is open now is the first.
#[must_use]
pub fn openings(stage: &Stage, now: Timestamp, count: usize) -> Vec<Opening> {
    let from = stage.not_before.map_or(now, |not_before| not_before.max(now));
    let mut found = BTreeMap::new();
    for week in 0..=count {
        let around = from.saturating_add((7 * 24 * i64::try_from(week).unwrap_or(0)).hours());
        let Ok(around) = around else { break };
        for window in &stage.windows {
            let open = times(window, around).filter(|(_, closes)| *closes > from);
            found.extend(open.map(|(opens, closes)| ((opens, closes), window.time_zone.clone())));
        }
    }
    let next = found.into_iter().take(count);
    next.map(|((opens, closes), zone)| Opening { opens, closes, zone }).collect()
}

/// When the window of a stage closes, if it is open now; none without windows.
#[must_use]
pub fn closes(stage: &Stage, now: Timestamp) -> Option<Timestamp> {
    if stage.windows.is_empty() {
        return None;
    }
    let mut end = now;
    for _ in 0..MOST_JOINED {
        let open = stage.windows.iter().flat_map(|window| times(window, end));
        let later = open.filter(|(opens, closes)| *opens <= end && end < *closes);
        let Some((_, closes)) = later.max_by_key(|(_, closes)| *closes) else { break };
        end = closes;
    }
    Some(end)
}

fn is_open(window: &Window, at: Timestamp) -> bool {
    times(window, at).any(|(opens, closes)| opens <= at && at < closes)
}

/// When a window opens and closes around a time, in order. A time of day that a clock change skips is moved by as much as
/// the clock, and of a time that occurs twice the first counts (RFC 5545, 3.3.5).
fn times(window: &Window, around: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
    let zone = window.time_zone.zone();
    let today = around.to_zoned(zone.clone()).date();
    (-DAYS_AROUND..=DAYS_AROUND).filter_map(move |days| {
        let day = today.checked_add(days.days()).ok()?;
        let is_on = window.days.is_empty() || window.days.iter().any(|on| day.weekday() == (*on).into());
        let opens = zone.to_ambiguous_timestamp(day.to_datetime(window.start.time())).compatible().ok()?;
        let closes = opens.saturating_add(window.duration.period().as_signed()).ok()?;
        is_on.then_some((opens, closes))
    })
}

/// `2d5h`, `3h12m`, `5m`: to the minute, or to the hour from one day on, and never less than one minute.
fn length_text(length: SignedDuration) -> String {
    let minutes = u64::try_from(length.as_secs().saturating_add(59)).unwrap_or_default().max(60) / 60;
    let shown = if minutes < MINUTES_PER_DAY { minutes } else { minutes - minutes % 60 };
    Period::minutes(shown).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn stage(windows: &Value) -> Stage {
        serde_json::from_value(json!({"name": "s", "select": {"rest": true}, "windows": windows})).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// When it opens, or when it closes.
    fn told(stage: &Stage, now: &str) -> String {
        let now = at(now);
        match (wait(stage, now), closes(stage, now)) {
            (Some(wait), _) => wait.text_at(now),
            (None, Some(closes)) => format!("open until {closes}"),
            (None, None) => "open".to_owned(),
        }
    }

    fn window(days: &[&str], start: &str, duration: &str, zone: &str) -> Value {
        json!([{"days": days, "start": start, "duration": duration, "timeZone": zone}])
    }

    #[test]
    fn a_window_opens_at_its_time_in_its_place() {
        let night = window(&[], "01:00", "4h", "Asia/Shanghai");
        let monday = window(&["Mon"], "23:00", "4h", "Asia/Shanghai");
        let berlin = window(&[], "02:30", "1h", "Europe/Berlin");
        let late = window(&[], "23:30", "2h", "Europe/Berlin");
        let samoa = window(&["Fri"], "10:00", "1h", "Pacific/Apia");
        let half = window(&[], "02:15", "1h", "Australia/Lord_Howe");
        let week = window(&["Mon"], "00:00", "7d", "UTC");
        let cases = [
            (&night, "2026-01-05T13:48:00Z", "opens 2026-01-06 01:00 Asia/Shanghai, in 3h12m"),
            (&night, "2026-01-05T16:59:59Z", "opens 2026-01-06 01:00 Asia/Shanghai, in 1m"),
            (&night, "2026-01-05T17:00:00Z", "open until 2026-01-05T21:00:00Z"),
            (&night, "2026-01-05T20:59:59.999999999Z", "open until 2026-01-05T21:00:00Z"),
            (&night, "2026-01-05T21:00:00Z", "opens 2026-01-07 01:00 Asia/Shanghai, in 20h"),
            // Over midnight: the day is that of the start.
            (&monday, "2026-01-05T18:59:00Z", "open until 2026-01-05T19:00:00Z"),
            (&monday, "2026-01-05T19:00:00Z", "opens 2026-01-12 23:00 Asia/Shanghai, in 6d20h"),
            (&monday, "2026-01-04T15:00:00Z", "opens 2026-01-05 23:00 Asia/Shanghai, in 1d"),
            // The clocks are put forward at 02:00: 02:30 does not exist, and the window opens at 03:30.
            (&berlin, "2026-03-29T00:59:00Z", "opens 2026-03-29 03:30 Europe/Berlin, in 31m"),
            (&berlin, "2026-03-29T01:30:00Z", "open until 2026-03-29T02:30:00Z"),
            (&berlin, "2026-03-29T02:30:00Z", "opens 2026-03-30 02:30 Europe/Berlin, in 22h"),
            // They are put back at 03:00: 02:30 occurs twice, and the window opens once.
            (&berlin, "2026-10-25T00:29:00Z", "opens 2026-10-25 02:30 Europe/Berlin, in 1m"),
            (&berlin, "2026-10-25T00:30:00Z", "open until 2026-10-25T01:30:00Z"),
            (&berlin, "2026-10-25T01:30:00Z", "opens 2026-10-26 02:30 Europe/Berlin, in 1d"),
            // It lasts two hours of elapsed time, across the clock change.
            (&late, "2026-03-28T22:30:00Z", "open until 2026-03-29T00:30:00Z"),
            (&late, "2026-10-24T21:30:00Z", "open until 2026-10-24T23:30:00Z"),
            // Friday 30 December 2011 did not exist in Samoa: the window of that day opens a day later.
            (&samoa, "2011-12-29T20:00:00Z", "opens 2011-12-31 10:00 Pacific/Apia, in 1d"),
            // Lord Howe puts its clocks forward by half an hour.
            (&half, "2026-10-03T15:00:00Z", "opens 2026-10-04 02:45 Australia/Lord_Howe, in 45m"),
            // Always open: each window begins where the one before ends.
            (&week, "2026-01-05T00:00:00Z", "open until 2026-08-17T00:00:00Z"),
        ];
        for (windows, now, expected) in cases {
            assert_eq!(told(&stage(windows), now), expected, "{windows} at {now}");
        }
    }

    #[test]
    fn nothing_is_sent_before_its_time_nor_outside_a_window_after_it() {
        let told = |windows: &Value, not_before: &str, now: &str| {
            told(&Stage { not_before: Some(at(not_before)), ..stage(windows) }, now)
        };
        let (none, night) = (json!([]), window(&[], "01:00", "4h", "UTC"));
        assert_eq!(
            told(&none, "2026-01-06T00:00:00Z", "2026-01-05T22:30:00Z"),
            "opens 2026-01-06 00:00:00Z, in 1h30m"
        );
        assert_eq!(told(&none, "2026-01-06T00:00:00Z", "2026-01-06T00:00:00Z"), "open");
        // Within a window: its rest is used.
        assert_eq!(
            told(&night, "2026-01-06T02:00:00Z", "2026-01-06T01:30:00Z"),
            "opens 2026-01-06 02:00:00Z, in 30m"
        );
        assert_eq!(
            told(&night, "2026-01-06T06:00:00Z", "2026-01-06T01:30:00Z"),
            "opens 2026-01-07 01:00 UTC, in 23h30m"
        );
        assert_eq!(
            told(&night, "2026-01-06T06:00:00Z", "2026-01-07T01:30:00Z"),
            "open until 2026-01-07T05:00:00Z"
        );
    }

    #[test]
    fn of_several_windows_the_next_one_counts_and_those_that_touch_are_one() {
        let windows = json!([
            {"start": "01:00", "duration": "2h", "timeZone": "UTC"},
            {"start": "03:00", "duration": "1h", "timeZone": "UTC"},
            {"start": "03:30", "duration": "30m", "timeZone": "UTC"},
            {"days": ["Tue"], "start": "12:00", "duration": "1h", "timeZone": "Asia/Kolkata"},
        ]);
        let stage = stage(&windows);
        assert_eq!(told(&stage, "2026-01-05T01:00:00Z"), "open until 2026-01-05T04:00:00Z");
        assert_eq!(told(&stage, "2026-01-05T04:00:00Z"), "opens 2026-01-06 01:00 UTC, in 21h");
        assert_eq!(told(&stage, "2026-01-06T05:00:00Z"), "opens 2026-01-06 12:00 Asia/Kolkata, in 1h30m");
    }

    #[test]
    fn the_ends_of_time_are_no_window() {
        let stage = stage(&window(&[], "01:00", "7d", "Pacific/Apia"));
        for now in [Timestamp::MIN, Timestamp::MAX] {
            let _ = (wait(&stage, now), closes(&stage, now));
        }
    }
}
