//! How fast stages are sent, limits of batches, and gates that compare with a control group, in runs of the newest seeds.

use super::dice::Dice;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// In runs of earlier seeds only edits limit how fast a stage is sent.
pub const FIRST_OF_PACE: u64 = 30_000_000_000_000_000;

/// Some rollouts are sent slowly, some batches may have few failures, and some stages must be as healthy as the devices that are left.
pub(super) fn draw(seed: u64, manifests: &mut BTreeMap<String, Value>) {
    if seed < FIRST_OF_PACE {
        return;
    }
    let mut dice = Dice::new(seed, "pace");
    for manifest in manifests.values_mut().filter(|manifest| manifest["kind"] == "OtaRollout") {
        let spec = &mut manifest["spec"];
        if dice.permille(300) {
            spec["delivery"]["maxInFlight"] = json!(dice.between(1, 6));
        }
        if dice.permille(300) {
            spec["delivery"]["ratePerMinute"] =
                json!(if dice.permille(500) { 10 } else { dice.between(1, 5) });
        }
        for stage in spec.get_mut("stages").and_then(Value::as_array_mut).into_iter().flatten() {
            if stage["batch"].is_object() && dice.permille(500) {
                stage["batch"]["maxFailures"] = json!(dice.between(0, 2));
            }
            if is_compared(stage) && dice.permille(250) {
                let mut gates = stage["gates"].as_array().cloned().unwrap_or_default();
                gates.push(gate(&mut dice));
                stage["gates"] = Value::Array(gates);
            }
        }
    }
}

/// True for a rollout that Alibaba Cloud refuses, whose own limit begins with 10, and for one that a small control group may hold: it
/// proves little.
pub(super) fn may_hold(manifest: &Value) -> bool {
    if manifest["spec"]["delivery"]["ratePerMinute"].as_u64().is_some_and(|rate| rate < 10) {
        return true;
    }
    let stages = manifest["spec"]["stages"].as_array().into_iter().flatten();
    let mut gates = stages.flat_map(|stage| stage["gates"].as_array().into_iter().flatten());
    gates.any(|gate| gate["control"].is_object())
}

/// True for a stage that is drawn by rank, and leaves devices for a control group.
pub(super) fn is_compared(stage: &Value) -> bool {
    stage["select"]["count"].is_number() || stage["select"]["percent"].is_string()
}

/// A gate that compares with a control group; small ones prove little.
pub(super) fn gate(dice: &mut Dice) -> Value {
    let margin = dice.pick(&["20%", "60%", "90%", "99%"]).copied().unwrap_or("90%");
    let confidence = dice.pick(&["50%", "60%", "80%", "95%"]).copied().unwrap_or("60%");
    json!({"name": "as-healthy", "control": {"margin": margin, "confidence": confidence}})
}
