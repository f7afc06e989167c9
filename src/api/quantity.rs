//! Percentages and durations as users write them: `95%`, `1h30m`.

use super::pattern;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{borrow::Cow, fmt, str::FromStr};

/// A share between 0% and 100%, exact to 0.0001 percentage points; held as parts per million so that it is `Eq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

impl Percent {
    /// 0 %.
    pub const ZERO: Self = Self(0);
    /// 100 %.
    pub const FULL: Self = Self(1_000_000);

    /// `whole` percent; more than 100 is cut to 100.
    #[must_use]
    pub const fn whole(whole: u32) -> Self {
        if whole > 100 { Self::FULL } else { Self(whole * 10_000) }
    }

    /// Parts per million: `95%` is 950,000.
    #[must_use]
    pub const fn parts_per_million(self) -> u32 {
        self.0
    }

    /// The share as a fraction: `95%` is 0.95.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 1_000_000.0
    }

    /// `part / whole >= self`, exactly; false for an empty whole.
    #[must_use]
    pub fn is_reached(self, part: u32, whole: u32) -> bool {
        whole > 0 && u64::from(part) * 1_000_000 >= u64::from(whole) * u64::from(self.0)
    }

    /// As messages show it: `95 %`.
    #[must_use]
    pub fn text(self) -> String {
        self.to_string().replace('%', " %")
    }
}

/// The text is not a percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a percentage (try 95%)")]
pub struct NotAPercentage(pub String);

impl FromStr for Percent {
    type Err = NotAPercentage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAPercentage(text.to_owned());
        let digits = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || whole.len() > 3 || fraction.len() > 4 {
            return Err(wrong());
        }
        let whole: u32 = whole.parse().map_err(|_| wrong())?;
        let fraction: u32 = format!("{fraction:0<4}").parse().map_err(|_| wrong())?;
        let parts = whole * 10_000 + fraction;
        if parts > Self::FULL.0 { Err(wrong()) } else { Ok(Self(parts)) }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 10_000, self.0 % 10_000);
        if fraction == 0 {
            return write!(f, "{whole}%");
        }
        let fraction = format!("{fraction:04}");
        write!(f, "{whole}.{}%", fraction.trim_end_matches('0'))
    }
}

/// A duration as users write it: whole numbers with `d`, `h`, `m`, `s`, largest first: `7d`, `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(u64);

impl Period {
    /// A period of this many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// A period of this many minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self(minutes * 60)
    }

    /// A period of this many hours.
    #[must_use]
    pub const fn hours(hours: u64) -> Self {
        Self(hours * 3_600)
    }

    /// Length in seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The same length for arithmetic with timestamps. At most 9,999 days, so it always fits.
    #[must_use]
    pub fn as_signed(self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_secs(i64::try_from(self.0).unwrap_or(i64::MAX))
    }
}

/// The text is not a period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a duration (try 30m, 24h or 7d)")]
pub struct NotAPeriod(pub String);

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAPeriod(text.to_owned());
        let (mut rest, mut seconds) = (text, 0_u64);
        for (unit, length) in UNITS {
            let Some((number, tail)) = rest.split_once(unit) else { continue };
            if number.is_empty() || number.len() > 4 || !number.bytes().all(|b| b.is_ascii_digit()) {
                return Err(wrong());
            }
            seconds += number.parse::<u64>().map_err(|_| wrong())? * length;
            rest = tail;
        }
        if text.is_empty() || !rest.is_empty() { Err(wrong()) } else { Ok(Self(seconds)) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, length) in UNITS {
            if rest >= length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

/// Either a whole number or a percentage: `3` or `5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountOrPercent {
    /// A number of devices.
    Count(u32),
    /// A share of the devices.
    Percent(Percent),
}

impl fmt::Display for CountOrPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}"),
        }
    }
}

macro_rules! text_serde {
    ($type:ty, $name:literal, $schema:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

pub(in crate::api) use text_serde;

text_serde!(
    Percent,
    "Percent",
    json_schema!({"type": "string", "format": "percent", "maxLength": 8, "pattern": pattern::PERCENT})
);
text_serde!(
    Period,
    "Period",
    json_schema!({
        "type": "string", "format": "period", "minLength": 2, "maxLength": 20, "pattern": pattern::PERIOD
    })
);

impl Serialize for CountOrPercent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(percent) => percent.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for CountOrPercent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(n) => n
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .map(Self::Count)
                .ok_or_else(|| D::Error::custom(format!("{n} is not a number of devices"))),
            serde_json::Value::String(text) => text.parse().map(Self::Percent).map_err(D::Error::custom),
            other => Err(D::Error::custom(format!("{other} is neither a number nor a percentage"))),
        }
    }
}

impl JsonSchema for CountOrPercent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CountOrPercent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true, "pattern": pattern::PERCENT, "maxLength": 8, "minimum": 1})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_read_exactly_and_written_as_they_were() {
        for (text, parts) in [("95%", 950_000), ("0%", 0), ("100%", 1_000_000), ("99.95%", 999_500)] {
            let percent: Percent = text.parse().unwrap();
            assert_eq!(percent.parts_per_million(), parts, "{text}");
            assert_eq!(percent.to_string(), text);
        }
        for text in ["ninety", "95", "101%", "-1%", "%", "1.23456%", "1e2%", " 5%", ".5%", "5.%"] {
            assert_eq!(text.parse::<Percent>(), Err(NotAPercentage(text.into())));
        }
    }

    #[test]
    fn periods_are_read_and_written() {
        for (text, seconds) in [("24h", 86_400), ("1h30m", 5_400), ("7d", 604_800), ("45s", 45)] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.as_secs(), seconds, "{text}");
        }
        assert_eq!(Period::hours(25).to_string(), "1d1h");
        for text in ["", "5", "m5", "30m1h", "1.5h", "-1h", "1h ", "h"] {
            assert_eq!(text.parse::<Period>(), Err(NotAPeriod(text.into())));
        }
    }
}
