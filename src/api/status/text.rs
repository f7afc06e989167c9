//! Numbers and times as shown to users.

use jiff::Timestamp;

/// A share as shown to users: `93.3 %`.
#[must_use]
pub fn percent_text(part: u32, whole: u32) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * f64::from(part) / f64::from(whole)) }
}

/// A time as shown to users, to the second: `2026-11-02 10:00:00Z`.
#[must_use]
pub fn time_text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
