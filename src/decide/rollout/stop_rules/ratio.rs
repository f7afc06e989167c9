//! `Ratio`: failed devices of those with an outcome, over all stages.

use super::Judged;
use crate::api::{Percent, StageCounts, StopRule, Verdict, counted, percent_text, verb};
use crate::decide::stats::risk;

pub(super) fn first_stop(rule: &StopRule, max: Percent, devices: u32) -> Option<u32> {
    risk::first_stop(devices, |failures| fires(rule, max, failures, devices))
}

fn fires(rule: &StopRule, max: Percent, failures: u32, sample: u32) -> bool {
    sample >= rule.min_sample.max(1) && failures > 0 && max.is_reached(failures, sample)
}

pub(super) fn judge(rule: &StopRule, max: Percent, counts: &StageCounts) -> Judged {
    let (sample, failures) = (counts.answered(), counts.failures());
    let verdict = match fires(rule, max, failures, sample) {
        true => Verdict::Fail,
        false if sample < rule.min_sample.max(1) => Verdict::Inconclusive,
        false => Verdict::Pass,
    };
    Judged {
        sample,
        value: if sample == 0 { 0.0 } else { f64::from(failures) / f64::from(sample) },
        threshold: max.fraction(),
        verdict,
        message: format!(
            "{failures} of {sample} devices failed ({}); stop rule {} fires at {} once {} {} an outcome",
            percent_text(failures, sample),
            rule.name,
            max.text(),
            counted(rule.min_sample, "device"),
            verb(rule.min_sample, "has", "have")
        ),
    }
}
