//! The table of `docs/guides/what-stops-a-bad-build.md`.

use super::fleet::Fleet;
use super::summary::Summary;

/// The scenarios of the columns, and what the column shows.
pub const COLUMNS: [(&str, Shown); 10] = [
    ("good 2", Shown::Held),
    ("bad 5", Shown::Hit),
    ("bad 10", Shown::Hit),
    ("bad 20", Shown::Hit),
    ("bad 40", Shown::Hit),
    ("slow 10", Shown::Hit),
    ("bricks 10", Shown::Hit),
    ("fast good", Shown::Held),
    ("outage", Shown::Held),
    ("good 2", Shown::Hours),
];

/// What a column shows of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Mean of the devices that began, and the 95th percentile.
    Hit,
    /// Share of the rollouts that were held or stopped.
    Held,
    /// Median of the time until 85 % of the fleet run the version.
    Hours,
}

impl Shown {
    /// The heading of a column.
    pub fn heading(self, scenario: &str) -> String {
        match self {
            Self::Hit => scenario.to_owned(),
            Self::Held => format!("{scenario}, held"),
            Self::Hours => format!("{scenario}, hours"),
        }
    }

    /// A cell.
    pub fn cell(self, figures: &Summary) -> String {
        match self {
            Self::Held => percent(figures.held),
            Self::Hours => figures.minutes.map_or_else(|| "never".to_owned(), hours),
            Self::Hit if is_all(figures.hit_mean) => "all".to_owned(),
            Self::Hit => {
                let p95 = f64::from(figures.hit_p95);
                format!(
                    "{} / {}",
                    thousands(figures.hit_mean),
                    if is_all(p95) { "all".to_owned() } else { thousands(p95) }
                )
            }
        }
    }
}

fn is_all(devices: f64) -> bool {
    devices >= f64::from(Fleet::of(0).devices) - 0.5
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let is_whole = (percent - percent.round()).abs() < 0.05;
    if is_whole { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

fn hours(minutes: u32) -> String {
    let hours = f64::from(minutes) / 60.0;
    if hours < 10.0 { format!("{hours:.1}") } else { format!("{hours:.0}") }
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    match digits.len() {
        0..=3 => digits,
        length => format!("{},{}", &digits[..length - 3], &digits[length - 3..]),
    }
}

/// A line of a Markdown table.
pub fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}
