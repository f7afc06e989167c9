//! `EProcess`: evidence that more devices fail than are accepted.
//!
//! Devices that have begun and have no outcome yet count as successes, so that failures which come first stop no good build.
//! The evidence depends on the counts alone: it is the same however often, and in which order, it was evaluated.

use super::judged::Judged;
use crate::api::{Percent, StageCounts, StopRule, Verdict};
use crate::decide::stats::evidence::{Term, ln_evidence, odds_text, threshold};
use crate::decide::stats::risk;

/// The confidence of a rule that states none.
const CONFIDENCE: Percent = Percent::whole(95);

pub(super) fn judge(rule: &StopRule, max: Percent, counts: &StageCounts) -> Judged {
    let (devices, failures) = (counts.begun(), counts.failures());
    let value = ln_evidence(&[Term { devices, failures, budget: max.fraction() }]);
    let limit = limit(rule);
    Judged {
        sample: devices,
        failures: None,
        control: None,
        value,
        threshold: limit,
        verdict: if value >= limit { Verdict::Fail } else { Verdict::Pass },
        message: format!(
            "{failures} of {devices} devices that began failed; evidence {} that more than {} fail; stop rule {} fires at {}",
            odds_text(value),
            max.text(),
            rule.name,
            odds_text(limit)
        ),
    }
}

/// What the logarithm of the evidence has to reach.
fn limit(rule: &StopRule) -> f64 {
    threshold(rule.confidence.unwrap_or(CONFIDENCE).fraction())
}

/// The fewest failures of so many devices that began at which the rule fires.
pub(super) fn first_stop(rule: &StopRule, max: Percent, devices: u32) -> Option<u32> {
    let limit = limit(rule);
    risk::first_stop(devices, |failures| {
        ln_evidence(&[Term { devices, failures, budget: max.fraction() }]) >= limit
    })
}

/// The fewest devices whose failure fires the rule, when all of them fail; none when no number of them does.
pub(super) fn fewest_devices(rule: &StopRule, max: Percent) -> Option<u32> {
    const MOST: u32 = 1_000;
    let fires = |devices: u32| {
        ln_evidence(&[Term { devices, failures: devices, budget: max.fraction() }]) >= limit(rule)
    };
    (1..=MOST).find(|devices| fires(*devices))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CountOrPercent, StopMethod};

    fn rule(confidence: Option<Percent>) -> StopRule {
        StopRule {
            max_failure: Some(CountOrPercent::Percent(Percent::whole(5))),
            confidence,
            ..crate::decide::defaults::rule("failures", StopMethod::EProcess)
        }
    }

    fn judged(begun: u32, failed: u32, confidence: Option<Percent>) -> Judged {
        let counts =
            StageCounts { assigned: 1_000, failed, in_flight: begun - failed, ..StageCounts::default() };
        judge(&rule(confidence), Percent::whole(5), &counts)
    }

    #[test]
    fn devices_in_flight_count_as_successes_and_the_odds_can_be_recomputed() {
        assert_eq!(judged(155, 17, None).verdict, Verdict::Pass);
        assert_eq!(judged(155, 18, None).verdict, Verdict::Fail);
        assert_eq!(judged(155, 18, Some(Percent::whole(99))).verdict, Verdict::Pass);
        insta::assert_snapshot!(judged(155, 18, None).message, @"18 of 155 devices that began failed; evidence 30 to 1 that more than 5 % fail; stop rule failures fires at 20 to 1");
        insta::assert_snapshot!(judged(155, 0, None).message, @"0 of 155 devices that began failed; evidence less than 1 to 1 that more than 5 % fail; stop rule failures fires at 20 to 1");
    }

    #[test]
    fn two_failures_are_the_fewest_that_fire() {
        assert_eq!(fewest_devices(&rule(None), Percent::whole(5)), Some(2));
        assert_eq!(judged(2, 2, None).verdict, Verdict::Fail);
        assert_eq!(judged(0, 0, None).verdict, Verdict::Pass);
    }
}
