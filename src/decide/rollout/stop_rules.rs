//! Stop rules: watched in every stage, over all dispatched stages together, on every pass. A method is one file and one line.

use crate::api::{CountOrPercent, Evidence, StageCounts, StopMethod, StopRule, Verdict};
use crate::decide::stats::millionths;
use jiff::Timestamp;

mod count;
mod e_process;
mod ratio;

/// Judges the counts of all dispatched stages: `Fail` means that the rule fires.
///
/// A threshold that is reached exactly fires (`>=`). A threshold of 0 fires at the first failure, not before. Failures
/// are those that jobs report now, so the rate is taken over all devices whose jobs report an outcome now, also those
/// whose version was not read since: numerator and denominator have the same age. A rule whose method and threshold do
/// not fit fires, because its limit is unknown.
#[must_use]
pub fn judge(rule: &StopRule, counts: &StageCounts, at: Timestamp) -> Evidence {
    let judged = match (rule.method, rule.max_failure) {
        (StopMethod::EProcess, CountOrPercent::Percent(max)) => e_process::judge(rule, max, counts),
        (StopMethod::Ratio, CountOrPercent::Percent(max)) => ratio::judge(rule, max, counts),
        (StopMethod::Count, CountOrPercent::Count(max)) => count::judge(rule, max, counts),
        (method, max) => Judged {
            sample: counts.answered(),
            value: 0.0,
            threshold: 0.0,
            verdict: Verdict::Fail,
            message: format!(
                "stop rule {} fires: maxFailure {max} does not fit method {method:?}",
                rule.name
            ),
        },
    };
    Evidence {
        rule: rule.name.clone(),
        method: format!("{:?}", rule.method),
        verdict: judged.verdict,
        sample: judged.sample,
        failures: counts.failures(),
        unfinished: 0,
        allowed: None,
        assigned: counts.sample(),
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
        (StopMethod::EProcess, CountOrPercent::Percent(max)) => e_process::first_stop(rule, max, devices),
        (StopMethod::Ratio, CountOrPercent::Percent(max)) => ratio::first_stop(rule, max, devices),
        (StopMethod::Count, CountOrPercent::Count(max)) => count::first_stop(max, devices),
        _ => (devices > 0).then_some(1),
    }
}

/// The fewest devices with an outcome that a rule needs to fire; none when no number of them makes it fire.
#[must_use]
pub fn fewest_devices(rule: &StopRule) -> Option<u32> {
    match (rule.method, rule.max_failure) {
        (StopMethod::EProcess, CountOrPercent::Percent(max)) => e_process::fewest_devices(rule, max),
        (StopMethod::Ratio, CountOrPercent::Percent(_)) => Some(rule.min_sample),
        (StopMethod::Count, CountOrPercent::Count(max)) => Some(max),
        _ => Some(1),
    }
}

/// What a method makes of the counts.
struct Judged {
    /// Devices that the failures are compared with.
    sample: u32,
    value: f64,
    threshold: f64,
    verdict: Verdict,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Percent, StopAction};

    fn rule(method: StopMethod, max_failure: CountOrPercent, min_sample: u32) -> StopRule {
        StopRule {
            name: "too-many".into(),
            method,
            max_failure,
            confidence: None,
            min_sample,
            action: StopAction::Pause,
        }
    }

    fn verdict(rule: &StopRule, succeeded: u32, failed: u32) -> Verdict {
        let counts = StageCounts { assigned: 100, succeeded, failed, ..StageCounts::default() };
        judge(rule, &counts, Timestamp::UNIX_EPOCH).verdict
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
        assert_eq!(judge(&count, &counts, Timestamp::UNIX_EPOCH).verdict, Verdict::Fail);
    }

    #[test]
    fn a_rule_that_cannot_be_read_fires() {
        let broken = rule(StopMethod::Ratio, CountOrPercent::Count(3), 1);
        let evidence = judge(&broken, &StageCounts::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(evidence.verdict, Verdict::Fail);
        assert_eq!(evidence.message, "stop rule too-many fires: maxFailure 3 does not fit method Ratio");
    }
}
