//! Stop rules that compare devices with a control group, in runs of the newest seeds: fleets are small here, so they compare from a
//! few devices on, and some at a low confidence.

use super::dice::Dice;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Runs of earlier seeds have only the default rule, which needs more devices than they have.
pub const FIRST_OF_CONTROL: u64 = 20_000_000_000_000_000;

/// Half of the rollouts have such a rule beside their own ones.
pub(super) fn draw(seed: u64, manifests: &mut BTreeMap<String, Value>) {
    if seed < FIRST_OF_CONTROL {
        return;
    }
    let mut dice = Dice::new(seed, "control");
    for manifest in manifests.values_mut().filter(|manifest| manifest["kind"] == "OtaRollout") {
        if !dice.permille(500) {
            continue;
        }
        let confidence = dice.pick(&["50%", "60%", "90%", "99%"]).copied().unwrap_or("90%");
        let action = if dice.permille(300) { "Abort" } else { "Pause" };
        let rule = json!({"name": "compared", "method": "Control", "confidence": confidence,
            "minSample": dice.between(1, 4), "action": action});
        let stop = &mut manifest["spec"]["stop"];
        let mut rules = stop.as_array().cloned().unwrap_or_default();
        rules.push(rule);
        *stop = Value::Array(rules);
    }
}
