//! Law (c): no stage is sent before every earlier gate passed with evidence. A stage without devices proves nothing:
//! its gates have to pass on devices that have proven the build in its place.

use super::eligible::is_selected;
use super::truth::Truth;
use super::verdict::{passes, within_margin};
use crate::checkers::stages::kind_of;
use crate::checkers::{Sent, effective};
use rollwave::api::{Evidence, Gate, OtaPackage, OtaRollout, Stage, Verdict};
use std::collections::BTreeSet;

/// Every gate of the spec's stages before this one has evidence that is enough, and true.
pub(super) fn have_passed(
    rollout: &OtaRollout,
    package: &OtaPackage,
    sent: &Sent,
    truth: &Truth,
) -> Result<(), String> {
    let Some(stage) = &sent.stage else { return Ok(()) };
    let known = rollout.status.as_ref().map_or(&[][..], |status| status.stages.as_slice());
    for before in effective::stages(rollout).iter().take_while(|before| before.name != *stage) {
        let status = known.iter().find(|status| status.name == before.name);
        let evidence = status.map_or(&[][..], |status| status.gates.as_slice());
        let ran = ran(rollout, package, before, sent, truth);
        if status.is_some_and(|status| status.size.is_none() && !status.jobs.is_empty()) {
            return Err(format!("stage {stage} is sent, and the size of stage {} is not known", before.name));
        }
        for gate in before.gates.iter().flatten() {
            let evidence = evidence.iter().find(|evidence| evidence.rule == gate.name);
            proves(gate, evidence, ran).map_err(|why| {
                format!("stage {stage} is sent, and gate {} of stage {} {why}", gate.name, before.name)
            })?;
        }
    }
    Ok(())
}

/// How many devices may have proven a stage: those that it was sent to and that ran the version. Where it was sent to nobody: those
/// of the stages before it, and those that it names and that run the version without being sent it.
fn ran(rollout: &OtaRollout, package: &OtaPackage, stage: &Stage, sent: &Sent, truth: &Truth) -> usize {
    let of = |stage: &Stage| truth.cohort(&Sent { stage: Some(stage.name.clone()), ..sent.clone() });
    if let Some(cohort) = of(stage) {
        return cohort.ran.len();
    }
    let stages = effective::stages(rollout);
    let earlier = stages.iter().take_while(|before| before.name != stage.name);
    let named = stage.select.devices.iter().flatten();
    let mut ran: BTreeSet<&String> = earlier.filter_map(of).flat_map(|cohort| &cohort.ran).collect();
    let of_sets = truth.devices().filter(|device| is_selected(&stage.select, device) == Some(true));
    let named = named.chain(of_sets);
    ran.extend(named.filter(|device| truth.has_run(device, kind_of(package), &package.spec.version)));
    ran.len()
}

fn proves(gate: &Gate, evidence: Option<&Evidence>, ran: usize) -> Result<(), String> {
    let evidence = evidence.ok_or("was never asked")?;
    // Those without an outcome count as failures.
    let succeeded = evidence.sample.saturating_sub(evidence.failures + evidence.unfinished);
    let told = &evidence.message;
    if evidence.verdict != Verdict::Pass {
        return Err(format!("did not pass: {told}"));
    }
    if let Some(control) = &gate.control {
        let is_within = evidence.control.is_some_and(|other| within_margin(control, evidence, other));
        return if is_within {
            Ok(())
        } else {
            Err(format!("passed by numbers that do not prove it: {told}"))
        };
    }
    let Some(outcome) = &gate.outcome else { return Ok(()) };
    if !passes(outcome, succeeded, evidence.sample, evidence.assigned) {
        return Err(format!("passed by numbers that do not prove it: {told}"));
    }
    if usize::try_from(succeeded).is_ok_and(|succeeded| succeeded > ran) {
        return Err(format!("passed by \"{told}\", and {ran} of its devices ran the version"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_gate_needs_evidence_that_is_enough_and_true() {
        let evidence = |verdict: &str, sample: u32, failures: u32| {
            json!({"rule": "proven", "method": "Ratio", "verdict": verdict, "sample": sample, "failures": failures,
                "assigned": 10, "value": 0.9, "threshold": 0.9, "message": "m", "at": "2026-01-05T00:00:00Z"})
        };
        let gate: Gate = serde_json::from_value(
            json!({"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%"}}),
        )
        .unwrap();
        for (told, ran, expected) in [
            (None, 10, false),
            (Some(evidence("Pass", 10, 1)), 9, true),
            (Some(evidence("Pass", 10, 1)), 8, false),
            (Some(evidence("Pass", 10, 2)), 10, false),
            (Some(evidence("Pass", 7, 0)), 7, false),
            (Some(evidence("Pass", 0, 0)), 0, false),
            (Some(evidence("Inconclusive", 10, 0)), 10, false),
        ] {
            let told: Option<Evidence> = told.map(|told| serde_json::from_value(told).unwrap());
            assert_eq!(proves(&gate, told.as_ref(), ran).is_ok(), expected, "{told:?} {ran}");
        }
    }
}
