//! Windows of time in which a stage may be dispatched.

use super::quantity::text_serde;
use super::{Period, pattern};
use jiff::civil::{Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{borrow::Cow, fmt, str::FromStr};

/// A window that opens at a local time of day and stays open for a duration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// Days on which the window opens, in its time zone; every day when empty. It may last into the next day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 7))]
    pub days: Vec<Day>,
    /// Local time at which the window opens, such as `01:00`; a time that daylight saving skips is shifted by the same amount, of
    /// a repeated time the first one counts.
    pub start: TimeOfDay,
    /// How long the window stays open, in elapsed time: more than 0s, at most 7d.
    pub duration: WindowLength,
    /// Name in the IANA time zone database, such as `Asia/Shanghai` or `UTC`.
    pub time_zone: ZoneName,
}

/// A day of the week.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names explain themselves")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl From<Day> for Weekday {
    fn from(day: Day) -> Self {
        match day {
            Day::Mon => Self::Monday,
            Day::Tue => Self::Tuesday,
            Day::Wed => Self::Wednesday,
            Day::Thu => Self::Thursday,
            Day::Fri => Self::Friday,
            Day::Sat => Self::Saturday,
            Day::Sun => Self::Sunday,
        }
    }
}

/// A time of day, to the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay(Time);

impl TimeOfDay {
    /// The time.
    #[must_use]
    pub const fn time(self) -> Time {
        self.0
    }
}

/// The text is not a time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" {words}", words = pattern::words(pattern::TIME_OF_DAY).unwrap_or_default())]
pub struct NotATimeOfDay(pub String);

impl FromStr for TimeOfDay {
    type Err = NotATimeOfDay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (hour, minute) = text.split_once(':').filter(|_| text.len() == 5)?;
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let number = |text: &str| text.parse().ok().filter(|_| digits(text));
            Time::new(number(hour)?, number(minute)?, 0, 0).ok()
        };
        parse().map(Self).ok_or_else(|| NotATimeOfDay(text.to_owned()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

/// How long a window stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLength(Period);

impl WindowLength {
    /// The longest.
    pub const MAX: Period = Period::hours(7 * 24);

    /// The length.
    #[must_use]
    pub const fn period(self) -> Period {
        self.0
    }
}

/// The text is not a valid duration of a window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a valid duration of a window: use more than 0s and at most 7d, such as 4h")]
pub struct NotAWindowLength(pub String);

impl FromStr for WindowLength {
    type Err = NotAWindowLength;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let period = text.parse::<Period>().ok();
        let fits = period.filter(|period| period.as_secs() > 0 && *period <= Self::MAX);
        fits.map(Self).ok_or_else(|| NotAWindowLength(text.to_owned()))
    }
}

impl fmt::Display for WindowLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Name of a time zone. Zones come from the database in the program, so that a window opens at the same time whatever is
/// installed on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneName(TimeZone);

impl ZoneName {
    /// The zone.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        &self.0
    }
}

/// The time zone does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a time zone of the IANA database: use a name such as Asia/Shanghai or UTC")]
pub struct NotAZone(pub String);

impl FromStr for ZoneName {
    type Err = NotAZone;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let zone = TimeZoneDatabase::bundled().get(text);
        // `Etc/Unknown` is jiff's own, for a machine without a known time zone.
        let zone = zone.ok().filter(|zone| zone.iana_name().is_some() && !zone.is_unknown());
        zone.map(Self).ok_or_else(|| NotAZone(text.to_owned()))
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

text_serde!(
    TimeOfDay,
    "TimeOfDay",
    json_schema!({"type": "string", "format": "time-of-day", "maxLength": 5, "pattern": pattern::TIME_OF_DAY})
);
text_serde!(
    WindowLength,
    "WindowLength",
    json_schema!({
        "type": "string", "format": "window-length", "minLength": 2, "maxLength": 20, "pattern": pattern::PERIOD
    })
);
text_serde!(
    ZoneName,
    "ZoneName",
    json_schema!({"type": "string", "format": "time-zone", "maxLength": 64, "pattern": pattern::TIME_ZONE})
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_time_a_length_or_a_zone_is_refused() {
        for text in ["", "1:00", "24:00", "01:60", "01:00:00", "+1:00", "0x:00", "noon"] {
            assert_eq!(text.parse::<TimeOfDay>(), Err(NotATimeOfDay(text.to_owned())));
        }
        for text in ["", "0s", "0d", "8d", "7d1s", "-1h", "4"] {
            assert_eq!(text.parse::<WindowLength>(), Err(NotAWindowLength(text.to_owned())));
        }
        for text in ["", "Asia/Shanghia", "GMT+8", "Etc/Unknown", "../etc/passwd", "+08:00"] {
            assert_eq!(text.parse::<ZoneName>(), Err(NotAZone(text.to_owned())));
        }
    }

    #[test]
    fn what_is_read_is_written_the_same() {
        let text = r#"{"days":["Sat","Sun"],"start":"23:05","duration":"7d","timeZone":"America/Argentina/Ushuaia"}"#;
        let window: Window = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&window).unwrap(), text);
    }
}
