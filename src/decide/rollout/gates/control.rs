//! The gate `control`: not many more of the upgraded devices are offline than of the control group.
//!
//! It passes when the upper bound of the difference of the two shares is at most `margin` (Newcombe 1998, method 10, one-sided). It
//! is compared once, when the soak is over: devices connect and disconnect, and each comparison is a new draw. It never fails a
//! build, which is the business of the stop rule `Control`: a difference that it cannot exclude is inconclusive.

use crate::api::{ControlComparison, ControlGate, ControlGroup, Evidence, Percent, Presence, Verdict};
use crate::decide::rollout::soak::is_compared_at_the_end;
use crate::decide::stats::comparison::{Group, difference};
use crate::decide::stats::{binomial, millionths, wilson};
use jiff::Timestamp;

/// Judges the comparison at the end of the soak.
pub(super) fn judge(
    name: &str,
    gate: &ControlGate,
    group: Option<&ControlGroup>,
    assigned: u32,
    at: Timestamp,
) -> Evidence {
    let at_the_end =
        group.filter(|group| is_compared_at_the_end(group)).and_then(|group| group.last.as_ref());
    let (verdict, value, message) = match (group, at_the_end) {
        (None, _) => (Verdict::Inconclusive, 1.0, NO_GROUP.to_owned()),
        (Some(_), None) => (Verdict::Inconclusive, 1.0, WAITS.to_owned()),
        (Some(_), Some(comparison)) => compare(gate, comparison),
    };
    let upgraded = at_the_end.map_or_else(Presence::default, |comparison| comparison.upgraded);
    Evidence {
        rule: name.to_owned(),
        method: METHOD.to_owned(),
        verdict,
        sample: upgraded.devices,
        failures: upgraded.offline,
        unfinished: 0,
        allowed: None,
        assigned,
        control: at_the_end.map(|comparison| comparison.control),
        value: millionths(value),
        threshold: gate.margin.fraction(),
        message,
        at,
    }
}

/// Method of its evidence.
pub const METHOD: &str = "Newcombe";
const NO_GROUP: &str = "there is no control group: no device is left for one, or the cloud does not report which devices are connected";
const WAITS: &str = "is compared with the control group when the soak is over";

/// Chances below this change no printed digit.
const NEGLIGIBLE: f64 = 1e-12;

fn compare(gate: &ControlGate, comparison: &ControlComparison) -> (Verdict, f64, String) {
    let ControlComparison { upgraded, control, .. } = comparison;
    let told = format!(
        "{} of {} upgraded and {} of {} other devices are offline",
        upgraded.offline, upgraded.devices, control.offline, control.devices
    );
    if let Some(group) = [upgraded, control].into_iter().find(|group| !group.is_known()) {
        let (unknown, devices) = (group.unknown, group.devices);
        let why = format!("the cloud does not report whether {unknown} of {devices} devices are connected");
        return (Verdict::Inconclusive, 1.0, format!("{told}; {why}"));
    }
    let Some((lower, upper)) = bounds(gate, *upgraded, *control) else {
        return (Verdict::Inconclusive, 1.0, format!("{told}; there is nothing to compare"));
    };
    let verdict = if upper <= gate.margin.fraction() { Verdict::Pass } else { Verdict::Inconclusive };
    let is_worse = lower > 0.0 && verdict != Verdict::Pass;
    let worse = if is_worse { "; the upgraded ones are worse" } else { "" };
    let message = format!(
        "{told}: at most {:.1} percentage points more at {} confidence, and {} are accepted{worse}",
        upper * 100.0,
        gate.confidence.text(),
        points(gate.margin),
    );
    (verdict, upper, message)
}

/// A difference of shares in percentage points.
#[must_use]
pub fn points(margin: Percent) -> String {
    margin.text().trim_end_matches(" %").to_owned()
}

/// Bounds of how much larger the share of upgraded devices is that are offline.
fn bounds(gate: &ControlGate, upgraded: Presence, control: Presence) -> Option<(f64, f64)> {
    let group = |presence: Presence| Group { devices: presence.devices, unhealthy: presence.offline };
    difference(group(upgraded), group(control), wilson::quantile(gate.confidence.fraction())?)
}

/// How often the gate passes a build that changes nothing: this share of both groups is offline.
#[must_use]
pub fn passes_equal(gate: &ControlGate, upgraded: u32, control: u32, offline: f64) -> f64 {
    let of = |devices, offline| Presence { devices, offline, unknown: 0 };
    let passes = |unhealthy: u32, others: u32| {
        let bounds = bounds(gate, of(upgraded, unhealthy), of(control, others));
        bounds.is_some_and(|(_, upper)| upper <= gate.margin.fraction())
    };
    let (mut first_too_many, mut chance) = (0, 0.0);
    for others in 0..=control {
        let weight = binomial::exactly(others, control, offline);
        if weight < NEGLIGIBLE {
            continue;
        }
        // The more of the others are offline, the more of the upgraded ones may be.
        while first_too_many <= upgraded && passes(first_too_many, others) {
            first_too_many += 1;
        }
        let most = first_too_many.checked_sub(1);
        chance += weight * most.map_or(0.0, |most| binomial::at_most(most, upgraded, offline));
    }
    chance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(margin: u32) -> ControlGate {
        ControlGate { margin: Percent::whole(margin), confidence: Percent::whole(95) }
    }

    fn group(comparisons: u32, upgraded: (u32, u32, u32), control: (u32, u32, u32)) -> ControlGroup {
        let of = |(offline, devices, unknown)| Presence { devices, offline, unknown };
        let last = ControlComparison {
            at: Timestamp::UNIX_EPOCH,
            upgraded: of(upgraded),
            control: of(control),
            strata: Vec::new(),
        };
        ControlGroup {
            devices: last.control.devices,
            offline_then: 0,
            from_rank: "f".repeat(16),
            comparisons,
            last: Some(last),
            outage: None,
        }
    }

    #[test]
    fn it_passes_when_the_difference_is_surely_within_the_margin() {
        let judged = |margin, upgraded, control| {
            judge("as-healthy", &gate(margin), Some(&group(9, upgraded, control)), 155, Timestamp::UNIX_EPOCH)
        };
        let good = judged(5, (3, 155, 0), (31, 1_550, 0));
        assert_eq!((good.verdict, good.failures, good.sample), (Verdict::Pass, 3, 155));
        insta::assert_snapshot!(good.message, @"3 of 155 upgraded and 31 of 1550 other devices are offline: at most 2.8 percentage points more at 95 % confidence, and 5 are accepted");
        let bad = judged(5, (12, 155, 0), (31, 1_550, 0));
        assert_eq!(bad.verdict, Verdict::Inconclusive);
        insta::assert_snapshot!(bad.message, @"12 of 155 upgraded and 31 of 1550 other devices are offline: at most 10.1 percentage points more at 95 % confidence, and 5 are accepted; the upgraded ones are worse");
        assert_eq!(
            judged(5, (3, 155, 0), (31, 1_550, 311)).verdict,
            Verdict::Inconclusive,
            "not known of 20 %"
        );
        assert_eq!(judged(5, (0, 155, 0), (0, 0, 0)).verdict, Verdict::Inconclusive, "no control group");
        assert!(bad.value > good.value && (good.threshold - 0.05).abs() < 1e-9);
    }

    #[test]
    fn comparisons_during_the_soak_decide_nothing() {
        let judged =
            judge("g", &gate(5), Some(&group(8, (0, 155, 0), (0, 1_550, 0))), 155, Timestamp::UNIX_EPOCH);
        assert_eq!((judged.verdict, judged.control), (Verdict::Inconclusive, None));
        assert_eq!(judge("g", &gate(5), None, 155, Timestamp::UNIX_EPOCH).verdict, Verdict::Inconclusive);
    }

    /// The table of the statistics page.
    #[test]
    fn how_often_a_build_that_changes_nothing_passes() {
        for (upgraded, control, offline, margin, percent) in [
            (60, 600, 0.02, 3, 25.0),
            (60, 600, 0.02, 5, 41.0),
            (60, 600, 0.02, 10, 93.0),
            (120, 1_200, 0.01, 5, 91.0),
            (120, 1_200, 0.02, 5, 81.0),
            (120, 1_200, 0.10, 5, 44.0),
            (300, 2_000, 0.10, 5, 79.0),
            (1_000, 2_000, 0.10, 3, 81.0),
        ] {
            let chance = 100.0 * passes_equal(&gate(margin), upgraded, control, offline);
            assert!((chance - percent).abs() <= 0.6, "{upgraded} {control} {offline} {margin}: {chance:.2}");
        }
    }
}
