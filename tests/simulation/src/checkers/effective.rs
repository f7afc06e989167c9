//! What a rollout is judged by: its manifest, and what applies where that says nothing.

use super::intent::verdict;
use rollwave::api::{
    Gate, GateMethod, OtaRollout, OutcomeGate, Percent, Period, Stage, StageStatus, StopRule,
};
use serde_json::json;

/// The stages, except the implied last one, with the gates that they have.
pub(super) fn stages(rollout: &OtaRollout) -> Vec<Stage> {
    let known = rollout.status.as_ref().map_or(&[][..], |status| &status.stages);
    let mut stages =
        if rollout.spec.stages.is_empty() { standard(known) } else { rollout.spec.stages.clone() };
    let last = stages.iter().position(|stage| stage.select.rest == Some(true));
    for (index, stage) in stages.iter_mut().enumerate() {
        let size = known.iter().find(|known| known.name == stage.name).and_then(|known| known.size);
        let is_gated = size.is_some() && Some(index) != last;
        let gates = stage.gates.take();
        let gates = gates.unwrap_or_else(|| {
            if is_gated { vec![standard_gate(rate(rollout, &stage.name))] } else { Vec::new() }
        });
        let devices = size.unwrap_or(0);
        let is_default = rollout.spec.stages.is_empty();
        let fit = |mut gate: Gate| {
            // The rates of default stages are meant for their usual sizes.
            gate.outcome = gate.outcome.map(|mut outcome| {
                if is_default && !lets_good_pass(&outcome, devices) {
                    outcome.min_success = None;
                }
                sized(outcome, devices)
            });
            gate
        };
        stage.gates = Some(gates.into_iter().map(fit).collect());
    }
    stages
}

/// The stop rules.
pub(super) fn stop_rules(rollout: &OtaRollout) -> Vec<StopRule> {
    let usual = json!([{"name": "failures", "method": "EProcess", "maxFailure": "5%", "confidence": "95%"},
        {"name": "control", "method": "Control", "confidence": "99%", "minSample": 50}]);
    rollout.spec.stop.clone().unwrap_or_else(|| serde_json::from_value(usual).unwrap_or_default())
}

/// The default stages that the status names.
fn standard(known: &[StageStatus]) -> Vec<Stage> {
    let all = json!([
        {"name": "probe", "select": {"count": 25}},
        {"name": "canary", "select": {"count": 130}},
        {"name": "tenth", "select": {"percent": "10%"}},
    ]);
    let mut all: Vec<Stage> = serde_json::from_value(all).unwrap_or_default();
    all.retain(|stage| known.iter().any(|known| known.name == stage.name));
    for stage in &mut all {
        let minutes = if stage.name == "probe" { 30 } else { 24 * 60 };
        stage.soak = Some(Period::seconds(minutes * 60));
    }
    all
}

/// The rate of the gate of a default stage, if it does not depend on the size of the stage.
fn rate(rollout: &OtaRollout, stage: &str) -> Option<u32> {
    let rates = [("probe", 70), ("canary", 90)];
    let of = rates.into_iter().find(|(name, _)| *name == stage).map(|(_, rate)| rate);
    of.filter(|_| rollout.spec.stages.is_empty())
}

fn standard_gate(rate: Option<u32>) -> Gate {
    let outcome = OutcomeGate {
        method: GateMethod::Wilson,
        min_success: rate.map(Percent::whole),
        confidence: Percent::whole(95),
        min_sample: 1,
        min_observed: Percent::whole(80),
    };
    Gate::of_outcome("default".to_owned(), outcome)
}

/// A gate that states no rate requires the highest one from 95 to 50 % that so many devices prove, and that holds a build which
/// fails on every fiftieth device at most once in 40 times, also when only `minObserved` of them begin.
fn sized(mut gate: OutcomeGate, devices: u32) -> OutcomeGate {
    if gate.min_success.is_some() {
        return gate;
    }
    let fits = |rate: &u32| {
        let outcome = OutcomeGate { min_success: Some(Percent::whole(*rate)), ..gate.clone() };
        lets_good_pass(&outcome, devices)
    };
    match (50..=95).rev().find(fits) {
        Some(rate) => gate.min_success = Some(Percent::whole(rate)),
        None => {
            gate.method = GateMethod::Ratio;
            gate.min_success = Some(Percent::FULL);
        }
    }
    gate
}

/// A build that fails on every fiftieth device is held at most once in 40 times.
fn lets_good_pass(gate: &OutcomeGate, devices: u32) -> bool {
    let share = u64::from(gate.min_observed.parts_per_million());
    let few = u32::try_from((u64::from(devices) * share).div_ceil(1_000_000)).unwrap_or(devices);
    [devices, few.max(gate.min_sample)].into_iter().all(|sample| {
        let passing = (0..=sample).take_while(|k| verdict::passes(gate, sample - k, sample, sample));
        passing.last().is_some_and(|most| verdict::at_most(most, sample, 0.02) >= 0.975)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_a_gate_that_states_none_is_that_of_the_books() {
        for (devices, rate) in [(2, 100), (7, 100), (8, 54), (10, 58), (20, 68), (25, 73)] {
            let gate = sized(standard_gate(None).outcome.unwrap(), devices);
            assert_eq!(gate.min_success, Some(Percent::whole(rate)), "{devices}");
        }
    }
}
