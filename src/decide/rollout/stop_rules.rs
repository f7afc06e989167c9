//! Stop rules: watched in every stage, over all dispatched stages together, on every pass. A method is one file and one line.

use crate::api::{ControlComparison, CountOrPercent, Evidence, StageCounts, StopMethod, StopRule, Verdict};
use crate::decide::stats::millionths;
use jiff::Timestamp;
use judged::Judged;

pub mod control;
mod count;
mod e_process;
mod judged;
mod ratio;
mod sprt;

/// What stop rules judge.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    /// Counts of all dispatched stages together.
    pub counts: &'a StageCounts,
    /// The last comparison with the control group.
    pub comparison: Option<&'a ControlComparison>,
}

/// Judges the dispatched stages: `Fail` means that the rule fires.
///
/// A threshold that is reached exactly fires (`>=`). A threshold of 0 fires at the first failure, not before. Failures
/// are those that jobs report now, so the rate is taken over all devices whose jobs report an outcome now, also those
/// whose version was not read since: numerator and denominator have the same age. A rule whose method and settings do
/// not fit fires, because its limit is unknown.
#[must_use]
pub fn judge(rule: &StopRule, watched: &Watched<'_>, at: Timestamp) -> Evidence {
    let counts = watched.counts;
    let judged = match (rule.method, rule.max_failure) {
        (StopMethod::EProcess, Some(CountOrPercent::Percent(max))) => {
            Some(e_process::judge(rule, max, counts))
        }
        (StopMethod::Ratio, Some(CountOrPercent::Percent(max))) => Some(ratio::judge(rule, max, counts)),
        (StopMethod::Count, Some(CountOrPercent::Count(max))) => Some(count::judge(rule, max, counts)),
        (StopMethod::Sprt, None) => sprt::judge(rule, counts),
        (StopMethod::Control, None) => Some(control::judge(rule, watched.comparison)),
        _ => None,
    };
    let judged = judged.unwrap_or_else(|| misfit(rule, counts));
    Evidence {
        rule: rule.name.clone(),
        method: format!("{:?}", rule.method),
        verdict: judged.verdict,
        sample: judged.sample,
        failures: judged.failures.unwrap_or_else(|| counts.failures()),
        unfinished: 0,
        allowed: None,
        assigned: counts.sample(),
        control: judged.control,
        value: millionths(judged.value),
        threshold: millionths(judged.threshold),
        message: judged.message,
        at,
    }
}

/// The fewest failures at which a rule fires when so many devices have an outcome; none when no number of them does.
#[must_use]
pub fn first_stop(rule: &StopRule, devices: u32) -> Option<u32> {
    match (rule.method, rule.max_failure) {
        (StopMethod::EProcess, Some(CountOrPercent::Percent(max))) => {
            e_process::first_stop(rule, max, devices)
        }
        (StopMethod::Ratio, Some(CountOrPercent::Percent(max))) => ratio::first_stop(rule, max, devices),
        (StopMethod::Count, Some(CountOrPercent::Count(max))) => count::first_stop(max, devices),
        (StopMethod::Sprt, None) => sprt::first_stop(rule, devices),
        (StopMethod::Control, None) => None,
        _ => (devices > 0).then_some(1),
    }
}

/// The fewest devices with an outcome that a rule needs to fire; none when no number of them makes it fire.
#[must_use]
pub fn fewest_devices(rule: &StopRule) -> Option<u32> {
    match (rule.method, rule.max_failure) {
        (StopMethod::EProcess, Some(CountOrPercent::Percent(max))) => e_process::fewest_devices(rule, max),
        (StopMethod::Ratio, Some(CountOrPercent::Percent(_))) => Some(ratio::min_sample(rule)),
        (StopMethod::Count, Some(CountOrPercent::Count(max))) => Some(max),
        (StopMethod::Sprt, None) => sprt::fewest_devices(rule),
        (StopMethod::Control, None) => Some(control::min_sample(rule)),
        _ => Some(1),
    }
}

/// True for a rule that counts devices as soon as they have begun; others wait for outcomes.
#[must_use]
pub const fn is_by_begun(rule: &StopRule) -> bool {
    matches!(rule.method, StopMethod::EProcess | StopMethod::Sprt | StopMethod::Control)
}

/// Only a manifest that was not validated has such a rule.
fn misfit(rule: &StopRule, counts: &StageCounts) -> Judged {
    let max = rule.max_failure.map_or_else(String::new, |max| format!("maxFailure {max} of "));
    let message = format!(
        "stop rule {} fires: {max}method {:?} does not fit its other settings",
        rule.name, rule.method
    );
    Judged::new(counts.answered(), 0.0, 0.0, Verdict::Fail, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Percent;

    fn rule(method: StopMethod, max_failure: CountOrPercent, min_sample: u32) -> StopRule {
        StopRule {
            max_failure: Some(max_failure),
            min_sample: Some(min_sample),
            ..crate::decide::defaults::rule("too-many", method)
        }
    }

    const fn watched(counts: &StageCounts) -> Watched<'_> {
        Watched { counts, comparison: None }
    }

    fn verdict(rule: &StopRule, succeeded: u32, failed: u32) -> Verdict {
        let counts = StageCounts { assigned: 100, succeeded, failed, ..StageCounts::default() };
        judge(rule, &watched(&counts), Timestamp::UNIX_EPOCH).verdict
    }

    #[test]
    fn a_rule_fires_exactly_at_its_threshold() {
        let ratio = rule(StopMethod::Ratio, CountOrPercent::Percent(Percent::whole(5)), 20);
        let count = rule(StopMethod::Count, CountOrPercent::Count(3), 1);
        for (rule, succeeded, failed, expected) in [
            (&ratio, 96, 4, Verdict::Pass),
            (&ratio, 95, 5, Verdict::Fail),
            (&ratio, 19, 1, Verdict::Fail),
            (&ratio, 0, 19, Verdict::Inconclusive),
            (&ratio, 0, 20, Verdict::Fail),
            (&count, 97, 2, Verdict::Pass),
            (&count, 0, 3, Verdict::Fail),
        ] {
            assert_eq!(verdict(rule, succeeded, failed), expected, "{:?} {succeeded} {failed}", rule.method);
        }
    }

    #[test]
    fn a_threshold_of_nothing_tolerates_no_failure_and_needs_one() {
        let ratio = rule(StopMethod::Ratio, CountOrPercent::Percent(Percent::ZERO), 1);
        assert_eq!((verdict(&ratio, 10, 0), verdict(&ratio, 10, 1)), (Verdict::Pass, Verdict::Fail));
        let count = rule(StopMethod::Count, CountOrPercent::Count(0), 1);
        assert_eq!((verdict(&count, 10, 0), verdict(&count, 10, 1)), (Verdict::Pass, Verdict::Fail));
    }

    #[test]
    fn no_final_outcome_fires_nothing() {
        let ratio = rule(StopMethod::Ratio, CountOrPercent::Percent(Percent::ZERO), 0);
        assert_eq!(verdict(&ratio, 0, 0), Verdict::Inconclusive);
    }

    #[test]
    fn timed_out_and_reverted_devices_are_failures() {
        let count = rule(StopMethod::Count, CountOrPercent::Count(3), 1);
        let counts =
            StageCounts { assigned: 9, failed: 1, timed_out: 1, reverted: 1, ..StageCounts::default() };
        assert_eq!(judge(&count, &watched(&counts), Timestamp::UNIX_EPOCH).verdict, Verdict::Fail);
    }

    #[test]
    fn a_rule_that_cannot_be_read_fires() {
        let broken = rule(StopMethod::Ratio, CountOrPercent::Count(3), 1);
        let evidence = judge(&broken, &watched(&StageCounts::default()), Timestamp::UNIX_EPOCH);
        assert_eq!(evidence.verdict, Verdict::Fail);
        assert_eq!(
            evidence.message,
            "stop rule too-many fires: maxFailure 3 of method Ratio does not fit its other settings"
        );
    }
}
