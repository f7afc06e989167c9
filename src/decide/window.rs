//! When a stage may be sent: within one of its windows, and not before its `notBefore`.
//!
//! Jobs that were sent within a window may run on after it has closed.

use crate::api::{Stage, Window, ZoneName, time_text};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// A window lasts 7 days at most, and is at most 7 days from the last or to the next: one more for the zones.
const DAYS_AROUND: i32 = 8;
/// Windows that follow each other without a gap: after so many, the end that was found is late enough to be looked at again.
const MOST_JOINED: usize = 32;

/// A stage that may not be sent yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// When it may be sent.
    pub until: Timestamp,
    /// The zone of the window that opens then; none when `notBefore` comes within a window, or there are no windows.
    zone: Option<ZoneName>,
}

impl Wait {
    /// When it may be sent, as people say it: `opens 2026-01-06 01:00 Asia/Shanghai`.
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

    /// The same, and how long that is: `opens 2026-01-06 01:00 Asia/Shanghai, in 3 h 12 min`.
    #[must_use]
    pub fn text_at(&self, now: Timestamp) -> String {
        format!("{}, in {}", self.text(), length_text(self.until.duration_since(now)))
    }
}

/// What a stage has to wait for; none when it may be sent now.
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
    // No window opens at the end of time only: then it is never.
    Some(next.min_by_key(|wait| wait.until).unwrap_or(Wait { until: Timestamp::MAX, zone: None }))
}

/// When a stage that may be sent now may not be any more; none when it always may.
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

/// When a window opens and closes around a time, in order. A time of day that a change of the clocks leaves out comes as much
/// later as they are put forward, and of one that comes twice the first counts (RFC 5545, 3.3.5).
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

/// `2 d 5 h`, `3 h 12 min`, `5 min`: to the minute, and never less than one.
fn length_text(length: SignedDuration) -> String {
    let minutes = length.as_secs().saturating_add(59).max(60) / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
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
            (&night, "2026-01-05T13:48:00Z", "opens 2026-01-06 01:00 Asia/Shanghai, in 3 h 12 min"),
            (&night, "2026-01-05T16:59:59Z", "opens 2026-01-06 01:00 Asia/Shanghai, in 1 min"),
            (&night, "2026-01-05T17:00:00Z", "open until 2026-01-05T21:00:00Z"),
            (&night, "2026-01-05T20:59:59.999999999Z", "open until 2026-01-05T21:00:00Z"),
            (&night, "2026-01-05T21:00:00Z", "opens 2026-01-07 01:00 Asia/Shanghai, in 20 h 0 min"),
            // Over midnight: the day is that of the start.
            (&monday, "2026-01-05T18:59:00Z", "open until 2026-01-05T19:00:00Z"),
            (&monday, "2026-01-05T19:00:00Z", "opens 2026-01-12 23:00 Asia/Shanghai, in 6 d 20 h"),
            (&monday, "2026-01-04T15:00:00Z", "opens 2026-01-05 23:00 Asia/Shanghai, in 1 d 0 h"),
            // The clocks are put forward at 02:00: 02:30 does not come, and the window opens at 03:30.
            (&berlin, "2026-03-29T00:59:00Z", "opens 2026-03-29 03:30 Europe/Berlin, in 31 min"),
            (&berlin, "2026-03-29T01:30:00Z", "open until 2026-03-29T02:30:00Z"),
            (&berlin, "2026-03-29T02:30:00Z", "opens 2026-03-30 02:30 Europe/Berlin, in 22 h 0 min"),
            // They are put back at 03:00: 02:30 comes twice, and the window opens once.
            (&berlin, "2026-10-25T00:29:00Z", "opens 2026-10-25 02:30 Europe/Berlin, in 1 min"),
            (&berlin, "2026-10-25T00:30:00Z", "open until 2026-10-25T01:30:00Z"),
            (&berlin, "2026-10-25T01:30:00Z", "opens 2026-10-26 02:30 Europe/Berlin, in 1 d 0 h"),
            // It lasts two hours by a stopwatch, whatever the clocks do meanwhile.
            (&late, "2026-03-28T22:30:00Z", "open until 2026-03-29T00:30:00Z"),
            (&late, "2026-10-24T21:30:00Z", "open until 2026-10-24T23:30:00Z"),
            // Friday 30 December 2011 did not come in Samoa: what would open then opens a day later.
            (&samoa, "2011-12-29T20:00:00Z", "opens 2011-12-31 10:00 Pacific/Apia, in 1 d 0 h"),
            // Lord Howe puts its clocks forward by half an hour.
            (&half, "2026-10-03T15:00:00Z", "opens 2026-10-04 02:45 Australia/Lord_Howe, in 45 min"),
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
            "opens 2026-01-06 00:00:00Z, in 1 h 30 min"
        );
        assert_eq!(told(&none, "2026-01-06T00:00:00Z", "2026-01-06T00:00:00Z"), "open");
        // Within a window: its rest is used.
        assert_eq!(
            told(&night, "2026-01-06T02:00:00Z", "2026-01-06T01:30:00Z"),
            "opens 2026-01-06 02:00:00Z, in 30 min"
        );
        assert_eq!(
            told(&night, "2026-01-06T06:00:00Z", "2026-01-06T01:30:00Z"),
            "opens 2026-01-07 01:00 UTC, in 23 h 30 min"
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
        assert_eq!(told(&stage, "2026-01-05T04:00:00Z"), "opens 2026-01-06 01:00 UTC, in 21 h 0 min");
        assert_eq!(
            told(&stage, "2026-01-06T05:00:00Z"),
            "opens 2026-01-06 12:00 Asia/Kolkata, in 1 h 30 min"
        );
    }

    #[test]
    fn the_ends_of_time_are_no_window() {
        let stage = stage(&window(&[], "01:00", "7d", "Pacific/Apia"));
        for now in [Timestamp::MIN, Timestamp::MAX] {
            let _ = (wait(&stage, now), closes(&stage, now));
        }
    }
}
