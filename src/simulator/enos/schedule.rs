//! When a job may be sent to devices: `schedulePolicy`.
//!
//! Document: `isRepeatDaily`, `startTimestamp`, `endTimestamp` (milliseconds, on the same day when it repeats), at least 30
//! minutes. *Assumed*: `timezoneOffsetInMinutes`, which a sample sends and no document names, settles which day is meant,
//! UTC's without it; a job whose only window has passed sends nothing more.

use super::request::{Fields, Refusal};
use jiff::{SignedDuration, Timestamp};

const SHORTEST: SignedDuration = SignedDuration::from_mins(30);
const DAY: i64 = 24 * 60 * 60 * 1000;

/// A window, or one window a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    start: i64,
    end: i64,
    is_daily: bool,
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// A field breaks its rule.
    pub fn read(fields: Fields<'_>) -> Result<Option<Self>, Refusal> {
        let Some(map) = fields.object("schedulePolicy")? else { return Ok(None) };
        let fields = Fields { map, path: "schedulePolicy." };
        // Thirteen digits: a time in seconds is a mistake that would mean 1970.
        let time = |name| fields.integer(name, 1_000_000_000_000, 9_999_999_999_999);
        let is_daily = fields.boolean("isRepeatDaily")?.unwrap_or(false);
        let (start, end) = match (time("startTimestamp")?, time("endTimestamp")?) {
            (Some(start), Some(end)) => (start, end),
            (None, None) if !is_daily => return Ok(None),
            _ => return Err(fields.wrong("startTimestamp", "and endTimestamp must be given together")),
        };
        if end - start < SHORTEST.as_millis() as i64 {
            return Err(fields.wrong("endTimestamp", "must be 30 minutes after startTimestamp"));
        }
        let offset = fields.integer("timezoneOffsetInMinutes", -840, 840)?.unwrap_or(0) * 60_000;
        let day = |at: i64| (at + offset).div_euclid(DAY);
        if is_daily && day(start) != day(end) {
            return Err(fields.wrong("endTimestamp", "must be on the day of startTimestamp"));
        }
        Ok(Some(Self { start, end, is_daily }))
    }

    /// The first time from `at` on at which devices may be sent it, if there is one.
    #[must_use]
    pub fn next_open(self, at: Timestamp) -> Option<Timestamp> {
        let now = at.as_millisecond();
        let days = if self.is_daily { ((now - self.end).div_euclid(DAY) + 1).max(0) } else { 0 };
        let (start, end) = (self.start + days * DAY, self.end + days * DAY);
        let open = if now < start { start } else { now };
        (open < end).then(|| Timestamp::from_millisecond(open).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(policy: &serde_json::Value) -> Result<Option<Schedule>, Refusal> {
        let body = json!({"schedulePolicy": policy});
        Schedule::read(Fields { map: body.as_object().unwrap(), path: "" })
    }

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn opens(schedule: Schedule, at: &str) -> Option<String> {
        schedule.next_open(at.parse().unwrap()).map(|open| open.to_string())
    }

    #[test]
    fn a_daily_window_comes_back_and_a_single_one_does_not() {
        let (start, end) = (ms("2026-03-01T01:00:00Z"), ms("2026-03-01T05:00:00Z"));
        let daily = json!({"isRepeatDaily": "true", "startTimestamp": start, "endTimestamp": end});
        let daily = read(&daily).unwrap().unwrap();
        for (at, open) in [
            ("2026-02-01T02:00:00Z", Some("2026-03-01T01:00:00Z")),
            ("2026-03-01T02:00:00Z", Some("2026-03-01T02:00:00Z")),
            ("2026-03-01T05:00:00Z", Some("2026-03-02T01:00:00Z")),
            ("2026-03-09T00:59:00Z", Some("2026-03-09T01:00:00Z")),
            ("2026-03-09T04:59:00Z", Some("2026-03-09T04:59:00Z")),
        ] {
            assert_eq!(opens(daily, at).as_deref(), open, "{at}");
        }
        let single = json!({"startTimestamp": start.to_string(), "endTimestamp": end});
        let single = read(&single).unwrap().unwrap();
        assert_eq!(opens(single, "2026-02-01T02:00:00Z").as_deref(), Some("2026-03-01T01:00:00Z"));
        assert_eq!(opens(single, "2026-03-01T05:00:00Z"), None, "it has passed");
    }

    #[test]
    fn the_day_of_a_daily_window_is_that_of_the_sender() {
        let (start, end) = (ms("2026-03-01T22:00:00Z"), ms("2026-03-02T02:00:00Z"));
        let policy = |offset: i64| {
            json!({"isRepeatDaily": true, "startTimestamp": start, "endTimestamp": end,
                   "timezoneOffsetInMinutes": offset})
        };
        assert!(read(&policy(0)).is_err(), "midnight UTC lies between");
        assert!(read(&policy(480)).is_ok(), "06:00 to 10:00 in Shanghai");
        assert!(read(&policy(-60)).is_err(), "21:00 to 01:00 in the Azores");
    }

    #[test]
    fn what_is_no_window_is_refused() {
        let start = ms("2026-03-01T01:00:00Z");
        for policy in [
            json!({"startTimestamp": start}),
            json!({"isRepeatDaily": true}),
            json!({"startTimestamp": start, "endTimestamp": start + 29 * 60_000}),
            json!({"startTimestamp": start / 1000, "endTimestamp": start}),
        ] {
            assert!(read(&policy).is_err(), "{policy}");
        }
        assert_eq!(read(&json!({})).unwrap(), None, "an empty policy starts at once");
    }
}
