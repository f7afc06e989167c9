//! `Ratio`: failed devices of those with an outcome, over all stages.

use super::judged::Judged;
use crate::api::{Percent, StageCounts, StopRule, Verdict, counted, percent_text, verb};
use crate::decide::stats::risk;

pub(super) fn first_stop(rule: &StopRule, max: Percent, devices: u32) -> Option<u32> {
    risk::first_stop(devices, |failures| fires(rule, max, failures, devices))
}

/// The fewest devices with an outcome at which the rule fires.
pub(super) fn min_sample(rule: &StopRule) -> u32 {
    rule.min_sample.unwrap_or(1).max(1)
}

fn fires(rule: &StopRule, max: Percent, failures: u32, sample: u32) -> bool {
    sample >= min_sample(rule) && failures > 0 && max.is_reached(failures, sample)
}

pub(super) fn judge(rule: &StopRule, max: Percent, counts: &StageCounts) -> Judged {
    let (sample, failures) = (counts.answered(), counts.failures());
    let verdict = match fires(rule, max, failures, sample) {
        true => Verdict::Fail,
        false if sample < min_sample(rule) => Verdict::Inconclusive,
        false => Verdict::Pass,
    };
    Judged {
        failures: None,
        control: None,
        sample,
        value: if sample == 0 { 0.0 } else { f64::from(failures) / f64::from(sample) },
        threshold: max.fraction(),
        verdict,
        message: format!(
            "{failures} of {sample} devices failed ({}); stop rule {} fires at {} once {} {} an outcome",
            percent_text(failures, sample),
            rule.name,
            max.text(),
            counted(min_sample(rule), "device"),
            verb(min_sample(rule), "has", "have")
        ),
    }
}
