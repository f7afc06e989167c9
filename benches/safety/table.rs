//! The table of `docs/guides/what-stops-a-bad-build.md`.

use super::fleet::Fleet;
use super::summary::Summary;

/// The page that shows the table.
pub const PAGE: &str = "docs/guides/what-stops-a-bad-build.md";

/// A column: its heading, the scenario, and what is shown of it.
pub struct Column {
    pub heading: &'static str,
    pub scenario: &'static str,
    pub shown: Shown,
}

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

const fn column(heading: &'static str, scenario: &'static str, shown: Shown) -> Column {
    Column { heading, scenario, shown }
}

/// The columns after the name of the rule.
pub const COLUMNS: [Column; 11] = [
    column("good held", "good 2", Shown::Held),
    column("good held, failures first", "fast good", Shown::Held),
    column("5 % fail", "bad 5", Shown::Hit),
    column("10 % fail", "bad 10", Shown::Hit),
    column("20 % fail", "bad 20", Shown::Hit),
    column("40 % fail", "bad 40", Shown::Hit),
    column("10 % fail late", "slow 10", Shown::Hit),
    column("10 % fall silent", "bricks 10", Shown::Hit),
    column("10 % go offline later", "delayed", Shown::Hit),
    column("outage: held", "outage", Shown::Held),
    column("hours", "good 2", Shown::Hours),
];

impl Shown {
    /// A cell.
    pub fn cell(self, figures: &Summary) -> String {
        match self {
            Self::Held => percent(figures.held),
            Self::Hours => figures.minutes.map_or_else(|| "never".to_owned(), hours),
            Self::Hit if is_all(figures.hit_mean) => "all".to_owned(),
            Self::Hit => format!("{} / {}", devices(figures.hit_mean), devices(figures.hit_p95.into())),
        }
    }
}

/// Heading, rule and rows of the table; each row begins with its name.
pub fn table(rows: impl Iterator<Item = Vec<String>>) -> String {
    let headings = std::iter::once("rule").chain(COLUMNS.iter().map(|column| column.heading));
    let heading = line(&headings.map(str::to_owned).collect::<Vec<_>>());
    let rule = format!("{}|", "|---".repeat(COLUMNS.len() + 1));
    [heading, rule].into_iter().chain(rows.map(|row| line(&row))).collect::<Vec<_>>().join("\n")
}

/// The page with this table in the place of its own, which begins with the same cell.
pub fn replace(page: &str, table: &str) -> String {
    let is_table = |line: &&str| line.starts_with("| rule |");
    let before = page.lines().take_while(|line| !is_table(line));
    let after = page.lines().skip_while(|line| !is_table(line)).skip_while(|line| line.starts_with('|'));
    before.chain(table.lines()).chain(after).flat_map(|line| [line, "\n"]).collect()
}

fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

fn is_all(devices: f64) -> bool {
    devices >= f64::from(Fleet::of(0).devices) - 0.5
}

fn devices(number: f64) -> String {
    if is_all(number) { "all".to_owned() } else { thousands(&format!("{number:.0}")) }
}

fn thousands(digits: &str) -> String {
    match digits.split_at_checked(digits.len().wrapping_sub(3)) {
        Some((thousands, rest)) if !thousands.is_empty() => format!("{thousands},{rest}"),
        _ => digits.to_owned(),
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let is_whole = percent >= 10.0 || (percent - percent.round()).abs() < 0.05;
    if is_whole { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

fn hours(minutes: u32) -> String {
    let hours = f64::from(minutes) / 60.0;
    if hours < 10.0 { format!("{hours:.1}") } else { format!("{hours:.0}") }
}
