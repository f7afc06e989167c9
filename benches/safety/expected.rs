//! `tests/vectors/statistics/benchmark.json`: the same figures, computed by two other programs.

use super::summary::Summary;
use serde::Deserialize;

/// The tolerances are four standard errors of so many seeds.
const TOLERANCES_FOR: f64 = 200.0;

/// Times have no tolerance there: medians of 200 seeds differ by less than this share.
const TIME: f64 = 0.03;
const FEW: f64 = 0.1;

#[derive(Deserialize)]
struct Expected {
    rows: Vec<Row>,
}

/// Rule, scenario, seeds; devices hit: mean, tolerance, median, range, 95th percentile, range; held, tolerance; minutes to
/// 85 %; minute of the stop.
type Row = (String, String, u32, f64, f64, u32, [u32; 2], u32, [u32; 2], f64, f64, Option<f64>, Option<f64>);

/// Every row of the other programs.
pub struct Table(Vec<Row>);

impl Table {
    pub fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/statistics/benchmark.json");
        let text = std::fs::read_to_string(path).expect("the figures of the other programs");
        let expected: Expected = serde_json::from_str(&text).expect("rows as described");
        Self(expected.rows)
    }

    /// What differs by more than the tolerances; a row that does not exist differs.
    pub fn differences(&self, rule: &str, scenario: &str, found: &Summary) -> Vec<String> {
        let Some(row) = self.0.iter().find(|row| row.0 == rule && row.1 == scenario) else {
            return vec![format!("{rule}, {scenario}: not in benchmark.json")];
        };
        // Both sides are samples.
        let scale = (TOLERANCES_FOR * (1.0 / f64::from(found.seeds) + 1.0 / f64::from(row.2))).sqrt();
        let mut differences = Vec::new();
        let mut compare = |what: &str, found: f64, from: f64, to: f64| {
            if !(from..=to).contains(&found) {
                differences
                    .push(format!("{rule}, {scenario}: {what} {found:.3}, expected {from:.3} to {to:.3}"));
            }
        };
        let (_, _, _, mean, tolerance, _, median, _, p95, held, held_tolerance, minutes, _) = row;
        let (tolerance, held_tolerance) = (tolerance * scale, held_tolerance * scale);
        compare("mean of devices hit", found.hit_mean, mean - tolerance, mean + tolerance);
        compare("median of devices hit", f64::from(found.hit_median), median[0].into(), median[1].into());
        compare("95 % of devices hit", f64::from(found.hit_p95), p95[0].into(), p95[1].into());
        compare("share held", found.held, held - held_tolerance, held + held_tolerance);
        // Of few rollouts that got through the median is noise.
        if let (Some(minutes), Some(time)) = (minutes, found.minutes)
            && found.held < FEW
        {
            compare("minutes", time.into(), minutes * (1.0 - TIME), minutes * (1.0 + TIME));
        }
        differences
    }
}
