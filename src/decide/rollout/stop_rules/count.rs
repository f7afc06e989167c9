//! `Count`: failed devices over all stages.

use super::judged::Judged;
use crate::api::{StageCounts, StopRule, Verdict, counted};

pub(super) fn first_stop(max: u32, devices: u32) -> Option<u32> {
    Some(max.max(1)).filter(|failures| *failures <= devices)
}

pub(super) fn judge(rule: &StopRule, max: u32, counts: &StageCounts) -> Judged {
    let failures = counts.failures();
    Judged {
        failures: None,
        control: None,
        sample: counts.answered(),
        value: f64::from(failures),
        threshold: f64::from(max),
        verdict: if failures >= max.max(1) { Verdict::Fail } else { Verdict::Pass },
        message: format!("{} failed; stop rule {} fires at {max}", counted(failures, "device"), rule.name),
    }
}
