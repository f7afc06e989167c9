//! `Control`: evidence that more upgraded devices are offline than others.
//!
//! Of all devices that are offline now, as large a share should be upgraded ones as of all devices that are compared, however
//! many are offline: an outage that hits everybody raises their number, and not the share.

use super::judged::Judged;
use crate::api::{ControlComparison, Percent, Presence, StopRule, Verdict};
use crate::decide::stats::comparison::{Group, harm, harm_in_strata};
use crate::decide::stats::evidence::{odds_text, threshold};

/// The confidence of a rule that states none.
const CONFIDENCE: Percent = Percent::whole(99);
/// The least devices that are compared, by a rule that does not say.
const MIN_SAMPLE: u32 = 50;

pub(super) fn judge(rule: &StopRule, comparison: Option<&ControlComparison>) -> Judged {
    let limit = limit(rule);
    let Some(ControlComparison { upgraded, control, strata, .. }) = comparison else {
        let message = format!("stop rule {}: the control group was not compared yet", rule.name);
        return Judged::new(0, 0.0, limit, Verdict::Inconclusive, message);
    };
    let value = match strata.as_slice() {
        [] => harm(group(*upgraded), group(*control)),
        strata => {
            let groups = strata.iter().map(|stratum| (group(stratum.upgraded), group(stratum.control)));
            harm_in_strata(&groups.collect::<Vec<_>>())
        }
    };
    let within = match strata.len() {
        0 | 1 => String::new(),
        strata => format!(", compared in {strata} strata"),
    };
    let told = format!(
        "{} of {} upgraded and {} of {} other devices are offline{within}",
        upgraded.offline, upgraded.devices, control.offline, control.devices
    );
    let (verdict, why) = match lack(rule, *upgraded, *control) {
        Some(lack) => (Verdict::Inconclusive, lack),
        None => (
            if value >= limit { Verdict::Fail } else { Verdict::Pass },
            format!(
                "evidence {} that the upgrade does it; stop rule {} fires at {}",
                odds_text(value),
                rule.name,
                odds_text(limit)
            ),
        ),
    };
    Judged {
        failures: Some(upgraded.offline),
        control: Some(*control),
        ..Judged::new(upgraded.devices, value, limit, verdict, format!("{told}; {why}"))
    }
}

const fn group(presence: Presence) -> Group {
    Group { devices: presence.devices, unhealthy: presence.offline }
}

/// What the logarithm of the evidence has to reach.
pub fn limit(rule: &StopRule) -> f64 {
    threshold(rule.confidence.unwrap_or(CONFIDENCE).fraction())
}

/// The least devices that are compared.
pub fn min_sample(rule: &StopRule) -> u32 {
    rule.min_sample.unwrap_or(MIN_SAMPLE)
}

/// Why the groups cannot be compared.
fn lack(rule: &StopRule, upgraded: Presence, control: Presence) -> Option<String> {
    if let Some(group) = [upgraded, control].into_iter().find(|group| !group.is_known()) {
        return Some(format!(
            "stop rule {} cannot compare them: the cloud does not report whether {} of {} devices are connected",
            rule.name, group.unknown, group.devices
        ));
    }
    if control.devices == 0 {
        return Some(format!("stop rule {}: no device is left for a control group", rule.name));
    }
    let needed = min_sample(rule);
    (upgraded.devices < needed)
        .then(|| format!("stop rule {} compares from {needed} upgraded devices on", rule.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::StopMethod;
    use crate::decide::defaults;
    use jiff::Timestamp;

    fn judged(upgraded: (u32, u32, u32), control: (u32, u32, u32)) -> Judged {
        let of = |(offline, devices, unknown)| Presence { devices, offline, unknown };
        let comparison = ControlComparison {
            at: Timestamp::UNIX_EPOCH,
            upgraded: of(upgraded),
            control: of(control),
            strata: Vec::new(),
        };
        judge(&defaults::rule("control", StopMethod::Control), Some(&comparison))
    }

    #[test]
    fn the_evidence_tells_a_bad_build_from_an_outage() {
        let bad = judged((12, 155, 0), (31, 1_550, 0));
        assert_eq!(bad.verdict, Verdict::Fail);
        insta::assert_snapshot!(bad.message, @"12 of 155 upgraded and 31 of 1550 other devices are offline; evidence 109 to 1 that the upgrade does it; stop rule control fires at 100 to 1");
        assert_eq!(judged((30, 155, 0), (155, 1_550, 0)).verdict, Verdict::Pass, "an outage");
    }

    #[test]
    fn what_cannot_be_compared_is_inconclusive() {
        for (upgraded, control, why) in [
            ((49, 49, 0), (0, 490, 0), "compares from 50 upgraded devices on"),
            ((155, 155, 0), (0, 0, 0), "no device is left for a control group"),
            ((100, 155, 32), (0, 1_550, 0), "does not report whether 32 of 155 devices"),
            ((100, 155, 0), (0, 1_550, 311), "does not report whether 311 of 1550 devices"),
        ] {
            let judged = judged(upgraded, control);
            assert_eq!(judged.verdict, Verdict::Inconclusive, "{why}");
            assert!(judged.message.contains(why), "{}", judged.message);
        }
        assert_eq!(judged((100, 155, 31), (0, 1_550, 310)).verdict, Verdict::Fail, "no more than 20 %");
        let never = judge(&defaults::rule("control", StopMethod::Control), None);
        assert_eq!(never.verdict, Verdict::Inconclusive);
    }
}
