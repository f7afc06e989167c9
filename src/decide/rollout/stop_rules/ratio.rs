//! `Ratio`: failed devices of those with an outcome, over all stages.

use super::Judged;
use crate::api::{Percent, StageCounts, StopRule, Verdict, counted, percent_text, verb};

pub(super) fn judge(rule: &StopRule, max: Percent, counts: &StageCounts) -> Judged {
    let (sample, failures) = (counts.answered(), counts.failures());
    let verdict = if sample < rule.min_sample.max(1) {
        Verdict::Inconclusive
    } else if failures > 0 && max.is_reached(failures, sample) {
        Verdict::Fail
    } else {
        Verdict::Pass
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
