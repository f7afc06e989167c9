//! Did the devices of every stratum answer? A gate judges devices that have an outcome; a build that silences one kind of
//! device would otherwise be judged by the others.
//!
//! The strata are compared once, when the sample of a stage is frozen: each comparison is a new chance to be wrong.

use crate::api::{
    Evidence, FailuresOfStratum, Percent, Responders, StageStatus, StageStrata, StratumCount, Verdict,
    percent_text,
};
use crate::decide::stats::hypergeometric::Draw;
use jiff::Timestamp;

/// A chance below this is reported.
pub const UNUSUAL: f64 = 0.001;

/// The comparison of these strata; none when there are fewer than two, or when it is not known who answered.
#[must_use]
pub fn compared(strata: &StageStrata, at: Timestamp) -> Option<Responders> {
    let sent = strata.counts.iter().filter(|stratum| stratum.devices > 0);
    let rows: Option<Vec<(&StratumCount, u32)>> =
        sent.map(|stratum| Some((stratum, stratum.answered?))).collect();
    let rows = rows.filter(|rows| rows.len() > 1 && strata.unknown == 0)?;
    let all = rows.iter().map(|(stratum, _)| stratum.devices).sum::<u32>();
    let drawn = rows.iter().map(|(_, answered)| answered).sum::<u32>();
    let chance = |(stratum, answered): &(&StratumCount, u32)| {
        let draw = Draw { all, drawn, part: stratum.devices, part_drawn: *answered };
        adjusted(draw.at_most(), rows.len())
    };
    let (worst, chance) = least(rows.iter().map(|row| (row, chance(row))))?;
    let (StratumCount { name, devices, .. }, answered) = worst;
    Some(Responders {
        at,
        stratum: name.clone(),
        devices: *devices,
        answered: *answered,
        other_devices: all - devices,
        other_answered: drawn - answered,
        chance: three_digits(chance),
        failures: most_failures(&rows),
    })
}

fn most_failures(rows: &[(&StratumCount, u32)]) -> Option<FailuresOfStratum> {
    let failed: Option<Vec<u32>> = rows.iter().map(|(stratum, _)| stratum.failed).collect();
    let failed = failed?;
    let (all_failures, all_answered) =
        (failed.iter().sum::<u32>(), rows.iter().map(|(_, answered)| answered).sum::<u32>());
    let chance = |((_, answered), failures): (&(&StratumCount, u32), &u32)| {
        let draw = Draw { all: all_answered, drawn: all_failures, part: *answered, part_drawn: *failures };
        adjusted(draw.at_least(), rows.len())
    };
    let strata = rows.iter().zip(&failed);
    let (((stratum, answered), failures), chance) = least(strata.map(|row| (row, chance(row))))?;
    (chance < UNUSUAL).then(|| FailuresOfStratum {
        stratum: stratum.name.clone(),
        failures: *failures,
        answered: *answered,
        all_failures,
        all_answered,
        chance: three_digits(chance),
    })
}

/// One of so many strata is the least likely one.
fn adjusted(chance: f64, strata: usize) -> f64 {
    (chance * strata as f64).min(1.0)
}

/// The first of those with the least chance.
fn least<T>(rows: impl Iterator<Item = (T, f64)>) -> Option<(T, f64)> {
    rows.fold(None, |least, row| match least {
        Some((_, chance)) if chance <= row.1 => least,
        _ => Some(row),
    })
}

/// Machines may differ in the last digit.
fn three_digits(chance: f64) -> f64 {
    format!("{chance:.2e}").parse().unwrap_or(chance)
}

/// The stratum that did not answer, if that is no chance.
#[must_use]
pub fn silence(found: &Responders) -> Option<String> {
    let Responders { stratum, devices, answered, other_devices, other_answered, chance, .. } = found;
    (*chance < UNUSUAL).then(|| {
        format!(
            "only {answered} of {devices} devices of {stratum} have an outcome, and {other_answered} of {other_devices} others; by chance {}",
            once_in(*chance)
        )
    })
}

/// The stratum that has the failures, if that is no chance.
#[must_use]
pub fn concentration(found: &Responders) -> Option<String> {
    let FailuresOfStratum { stratum, failures, answered, all_failures, all_answered, chance } =
        found.failures.as_ref()?;
    Some(format!(
        "{failures} of {all_failures} failures are of {stratum}, which has {} of the outcomes; by chance {}",
        percent_text(*answered, *all_answered),
        once_in(*chance)
    ))
}

fn once_in(chance: f64) -> String {
    let times = 1.0 / chance.max(1e-300);
    if times < 10_000.0 {
        format!("once in {times:.0}")
    } else {
        format!("once in 10^{}", times.log10().floor())
    }
}

/// Why a gate does not pass although enough devices succeeded: a stratum did not answer, and it still lacks outcomes.
#[must_use]
pub fn holds(stage: &StageStatus, min_observed: Percent) -> Option<String> {
    let found = stage.responders.as_ref()?;
    let text = silence(found)?;
    let strata = stage.strata.iter().flat_map(|strata| &strata.counts);
    let now = strata.filter(|stratum| stratum.name == found.stratum).find_map(|stratum| stratum.answered);
    let answered = now.unwrap_or(found.answered);
    (!min_observed.is_reached(answered, found.devices)).then(|| {
        let since = if answered == found.answered { String::new() } else { format!(" (now {answered})") };
        format!("{text}{since}; it waits until {} of them have one (minObserved)", min_observed.text())
    })
}

/// The evidence with what the strata show. It passes only if no stratum was silent.
pub(super) fn beside(mut evidence: Evidence, min_observed: Percent, stage: &StageStatus) -> Evidence {
    let held = holds(stage, min_observed);
    if let Some(why) = held.as_ref().filter(|_| evidence.verdict == Verdict::Pass) {
        evidence.verdict = Verdict::Inconclusive;
        evidence.message += &format!("; {why}");
    } else if let Some(why) = stage.responders.as_ref().and_then(silence) {
        evidence.message += &format!("; {why}");
    }
    let hints = [stage.responders.as_ref().and_then(concentration), stage.strata.as_ref().and_then(estimate)];
    for hint in hints.into_iter().flatten() {
        evidence.message += &format!("; {hint}");
    }
    evidence
}

/// The failure rate of the fleet, where a stratum has more than 1.5 times its share of the stage: each stratum counts as much as
/// the stage could choose from. Nothing is decided by it.
#[must_use]
pub fn estimate(strata: &StageStrata) -> Option<String> {
    let sum = |of: fn(&StratumCount) -> u32| strata.counts.iter().map(|row| u64::from(of(row))).sum::<u64>();
    let (sent, available) = (sum(|row| row.devices), sum(|row| row.available));
    let is_large = |row: &StratumCount| {
        u128::from(row.devices) * u128::from(available) * 2 > u128::from(row.available) * u128::from(sent) * 3
    };
    if !strata.counts.iter().any(is_large) {
        return None;
    }
    let (mut rate, mut weight, mut left_out) = (0.0, 0.0, Vec::new());
    for row in strata.counts.iter().filter(|row| row.available > 0) {
        match (row.failed?, row.answered?) {
            (_, 0) => left_out.push(row.name.as_str()),
            (failed, answered) => {
                let share = f64::from(row.available);
                rate += share * f64::from(failed) / f64::from(answered);
                weight += share;
            }
        }
    }
    let without = match left_out.len() {
        0 => String::new(),
        _ => format!(" (without {}, which have no outcome)", left_out.join(", ")),
    };
    (weight > 0.0).then(|| {
        format!("with the shares of the strata in the fleet {:.1} % fail{without}", rate / weight * 100.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn strata(rows: &[(&str, u32, u32, u32, u32)]) -> StageStrata {
        let row = |(name, devices, available, answered, failed): &(&str, u32, u32, u32, u32)| StratumCount {
            name: (*name).to_owned(),
            devices: *devices,
            available: *available,
            answered: Some(*answered),
            failed: Some(*failed),
        };
        StageStrata { counts: rows.iter().map(row).collect(), ..StageStrata::default() }
    }

    fn at(rows: &[(&str, u32, u32, u32, u32)]) -> Option<Responders> {
        compared(&strata(rows), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn verdicts_are_those_of_the_vectors() {
        let path = format!("{}/tests/vectors/statistics/responders.json", env!("CARGO_MANIFEST_DIR"));
        let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let whole = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
        for row in vectors["verdict_minObserved_strata_worst_adjusted_warn_holds"].as_array().unwrap() {
            let rows: Vec<(&str, u32, u32, u32, u32)> = row[1]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| (row[0].as_str().unwrap(), whole(&row[1]), 1_000, whole(&row[2]), 0))
                .collect();
            let found = at(&rows);
            let (worst, chance) =
                found.as_ref().map_or((rows[0].0, 1.0), |found| (&found.stratum, found.chance));
            let wanted = row[3].as_f64().unwrap();
            assert!((chance - wanted).abs() <= wanted * 0.005, "{row}: {chance}");
            if wanted < 1.0 {
                assert_eq!(worst, row[2].as_str().unwrap(), "{row}");
            }
            let min_observed = Percent::whole((row[0].as_f64().unwrap() * 100.0).round() as u32);
            let mut stage = crate::decide::rollout::waiting_stage("canary");
            (stage.responders, stage.strata) = (found, Some(strata(&rows)));
            let warns = stage.responders.as_ref().and_then(silence).is_some();
            let is_held = holds(&stage, min_observed).is_some();
            assert_eq!((warns, is_held), (row[4].as_bool().unwrap(), row[5].as_bool().unwrap()), "{row}");
        }
    }

    #[test]
    fn the_sentences_can_be_redone_by_hand() {
        let found = at(&[("V1.0", 90, 900, 88, 0), ("V1.1", 40, 400, 22, 0)]).unwrap();
        insta::assert_snapshot!(silence(&found).unwrap(), @"only 22 of 40 devices of V1.1 have an outcome, and 88 of 90 others; by chance once in 10^8");
        let found = at(&[("V1.0", 90, 900, 90, 0), ("V1.1", 40, 400, 40, 9)]).unwrap();
        assert_eq!(silence(&found), None);
        insta::assert_snapshot!(concentration(&found).unwrap(), @"9 of 9 failures are of V1.1, which has 30.8 % of the outcomes; by chance once in 10^4");
        assert_eq!(at(&[("V1.0", 90, 900, 90, 5), ("V1.1", 40, 400, 40, 4)]).unwrap().failures, None);
    }

    #[test]
    fn devices_that_answer_later_end_the_hold() {
        let mut stage = crate::decide::rollout::waiting_stage("canary");
        stage.responders = at(&[("V1.0", 90, 900, 88, 0), ("V1.1", 40, 400, 22, 0)]);
        for (answered, is_held) in [(22, true), (31, true), (32, false)] {
            stage.strata = Some(strata(&[("V1.0", 90, 900, 88, 0), ("V1.1", 40, 400, answered, 0)]));
            assert_eq!(holds(&stage, Percent::whole(80)).is_some(), is_held, "{answered}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_compared() {
        let mut unknown = strata(&[("V1.0", 90, 900, 88, 0), ("V1.1", 40, 400, 22, 0)]);
        unknown.counts[1].answered = None;
        assert_eq!(compared(&unknown, Timestamp::UNIX_EPOCH), None);
        assert_eq!(at(&[("V1.0", 90, 900, 88, 0), ("V1.1", 0, 400, 0, 0)]), None, "one stratum alone");
        let mut lost = strata(&[("V1.0", 90, 900, 88, 0), ("V1.1", 40, 400, 22, 0)]);
        lost.unknown = 3;
        assert_eq!(compared(&lost, Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn the_fleet_is_estimated_where_a_stratum_has_more_than_its_share() {
        let proportional = strata(&[("A", 90, 900, 90, 1), ("B", 10, 100, 10, 5)]);
        assert_eq!(estimate(&proportional), None);
        // 0.9 * 2/50 + 0.1 * 25/50 = 8.6 %; the stage has 27 of 100.
        let enriched = strata(&[("A", 50, 900, 50, 2), ("B", 50, 100, 50, 25)]);
        insta::assert_snapshot!(estimate(&enriched).unwrap(), @"with the shares of the strata in the fleet 8.6 % fail");
        let silent = strata(&[("A", 50, 900, 50, 2), ("B", 50, 100, 0, 0)]);
        insta::assert_snapshot!(estimate(&silent).unwrap(), @"with the shares of the strata in the fleet 4.0 % fail (without B, which have no outcome)");
    }
}
