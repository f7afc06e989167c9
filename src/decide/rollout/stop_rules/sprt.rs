//! `Sprt`: Wald's sequential test, as a stop rule: it never accepts a build for good.
//!
//! Devices that have begun and have no outcome yet count as successes, as for `EProcess`.

use super::judged::Judged;
use crate::api::{Percent, StageCounts, StopRule, Verdict};
use crate::decide::stats::evidence::odds_text;
use crate::decide::stats::risk;
use crate::decide::stats::sprt::Sprt;

/// The chances of error of a rule that states none.
const ERROR: Percent = Percent::whole(5);

/// What the rule compares; none when it states no rates, or none that can be told apart.
fn test(rule: &StopRule) -> Option<Sprt> {
    let [p0, p1] = [rule.p0?, rule.p1?].map(Percent::fraction);
    let [alpha, beta] = [rule.alpha, rule.beta].map(|error| error.unwrap_or(ERROR).fraction());
    let is_open = |share: &f64| *share > 0.0 && *share < 1.0;
    let fits = p0 < p1 && [p0, p1, alpha, beta].iter().all(is_open) && alpha + beta < 1.0;
    fits.then_some(Sprt { p0, p1, alpha, beta })
}

pub(super) fn judge(rule: &StopRule, counts: &StageCounts) -> Option<Judged> {
    let test = test(rule)?;
    let (devices, failures) = (counts.begun(), counts.failures());
    let (value, limit) = (test.ln_ratio(devices, failures), test.bad_at());
    let verdict = if value >= limit { Verdict::Fail } else { Verdict::Pass };
    let [p0, p1] = [rule.p0?, rule.p1?].map(Percent::text);
    let message = format!(
        "{failures} of {devices} devices that began failed; {} that {p1} fail and not {p0}; stop rule {} fires at {}",
        odds_text(value),
        rule.name,
        odds_text(limit)
    );
    Some(Judged::new(devices, value, limit, verdict, message))
}

/// The fewest failures of so many devices that began at which the rule fires.
pub(super) fn first_stop(rule: &StopRule, devices: u32) -> Option<u32> {
    let Some(test) = test(rule) else { return (devices > 0).then_some(1) };
    risk::first_stop(devices, |failures| test.ln_ratio(devices, failures) >= test.bad_at())
}

/// The fewest devices whose failure fires the rule, when all of them fail; none when no number of them does.
pub(super) fn fewest_devices(rule: &StopRule) -> Option<u32> {
    const MOST: u32 = 1_000;
    (1..=MOST).find(|devices| first_stop(rule, *devices).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::StopMethod;
    use crate::decide::defaults;

    fn rule(p0: u32, p1: u32) -> StopRule {
        let [p0, p1] = [p0, p1].map(|share| Some(Percent::whole(share)));
        StopRule { p0, p1, ..defaults::rule("wald", StopMethod::Sprt) }
    }

    fn judged(rule: &StopRule, begun: u32, failed: u32) -> Option<Judged> {
        let counts =
            StageCounts { assigned: 100, failed, in_flight: begun - failed, ..StageCounts::default() };
        judge(rule, &counts)
    }

    #[test]
    fn two_failures_in_a_row_are_proof_of_ten_percent_against_two() {
        assert_eq!(fewest_devices(&rule(2, 10)), Some(2));
        assert_eq!(fewest_devices(&rule(5, 10)), Some(5));
        let two = judged(&rule(2, 10), 2, 2).unwrap();
        assert_eq!(two.verdict, Verdict::Fail);
        insta::assert_snapshot!(two.message, @"2 of 2 devices that began failed; 25 to 1 that 10 % fail and not 2 %; stop rule wald fires at 19 to 1");
        assert_eq!(judged(&rule(2, 10), 30, 2).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn rates_that_cannot_be_told_apart_are_no_test() {
        for rule in [rule(10, 2), rule(5, 5), rule(0, 5), rule(5, 100)] {
            assert!(judged(&rule, 2, 2).is_none(), "{:?} {:?}", rule.p0, rule.p1);
            assert_eq!(first_stop(&rule, 10), Some(1), "its limit is unknown, so it fires");
        }
    }
}
