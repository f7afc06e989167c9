//! Rollouts that leave their stages, gates or stop rules out, in runs of the newest seeds: the default ones apply to them. Some
//! stages there are sent in batches.

use super::dice::Dice;
use super::scenario::Turn;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Manifests of earlier seeds state that they have no gates and no stop rules: their histories are older than the default ones.
pub const FIRST_OF_DEFAULTS: u64 = 10_000_000_000_000_000;

/// Some rollouts are written without stages, and some stages with batches.
pub(super) fn draw(seed: u64, manifests: &mut BTreeMap<String, Value>) {
    if seed < FIRST_OF_DEFAULTS {
        return;
    }
    let mut dice = Dice::new(seed, "defaults");
    for spec in manifests.values_mut().filter(|manifest| manifest["kind"] == "OtaRollout") {
        for stage in spec["spec"]["stages"].as_array_mut().into_iter().flatten() {
            if dice.permille(250) {
                stage["batch"] = json!({"size": dice.between(1, 6)});
            }
        }
        let fields = spec["spec"].as_object_mut().filter(|_| dice.permille(150));
        fields.map(|fields| fields.remove("stages"));
    }
}

/// What manifests and edits of earlier seeds leave out, they state as an empty list.
pub(super) fn state(seed: u64, manifests: &mut BTreeMap<String, Value>, plot: &mut [(SignedDuration, Turn)]) {
    if seed >= FIRST_OF_DEFAULTS {
        return;
    }
    let written = plot.iter_mut().filter_map(|(_, turn)| match turn {
        Turn::Write(_, manifest) => Some(manifest),
        _ => None,
    });
    for manifest in manifests.values_mut().chain(written) {
        if manifest["kind"] == "OtaRollout" {
            let stop = &mut manifest["spec"]["stop"];
            *stop = stop_of(stop.take());
            gates(&mut manifest["spec"]["stages"]);
        }
    }
    for (_, turn) in plot {
        let Turn::Rewrite(_, fields) = turn else { continue };
        if let Some(stop) = fields.get_mut("stop") {
            *stop = stop_of(stop.take());
        }
        fields.get_mut("stages").map(gates);
    }
}

fn stop_of(stop: Value) -> Value {
    if stop.is_null() { json!([]) } else { stop }
}

fn gates(stages: &mut Value) {
    for stage in stages.as_array_mut().into_iter().flatten() {
        if stage["gates"].is_null() {
            stage["gates"] = json!([]);
        }
    }
}
