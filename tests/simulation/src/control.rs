//! Stop rules that compare devices with a control group, in runs of the newest seeds: fleets are small here, so they compare from a
//! few devices on, and some at a low confidence.

use super::clouds;
use super::dice::Dice;
use jiff::Timestamp;
use rollwave::simulator::Simulator;
use rollwave::simulator::truth::DeviceChange;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Runs of earlier seeds have only the default rule, which needs more devices than they have.
pub const FIRST_OF_CONTROL: u64 = 20_000_000_000_000_000;

/// Most rollouts have such a rule beside their own ones.
pub(super) fn draw(seed: u64, manifests: &mut BTreeMap<String, Value>) {
    if seed < FIRST_OF_CONTROL {
        return;
    }
    let mut dice = Dice::new(seed, "control");
    for manifest in manifests.values_mut().filter(|manifest| manifest["kind"] == "OtaRollout") {
        if !dice.permille(800) {
            continue;
        }
        let confidence = dice.pick(&["50%", "60%", "80%", "99%"]).copied().unwrap_or("90%");
        let action = if dice.permille(300) { "Abort" } else { "Pause" };
        let rule = json!({"name": "compared", "method": "Control", "confidence": confidence,
            "minSample": dice.between(1, 3), "action": action});
        let stop = &mut manifest["spec"]["stop"];
        let mut rules = stop.as_array().cloned().unwrap_or_default();
        rules.push(rule);
        *stop = Value::Array(rules);
    }
}

/// Some rollouts divide their devices by the version that they report.
pub(super) fn divide(seed: u64, manifests: &mut BTreeMap<String, Value>) {
    if seed < FIRST_OF_CONTROL {
        return;
    }
    let mut dice = Dice::new(seed, "strata");
    for manifest in manifests.values_mut().filter(|manifest| manifest["kind"] == "OtaRollout") {
        if dice.permille(400) {
            manifest["spec"]["order"]["stratifyBy"] = json!(["sourceVersion"]);
        }
    }
}

/// Builds that take devices offline as soon as they run them, in some runs.
pub(super) struct Breaks {
    dice: Dice,
    met: BTreeSet<(String, String)>,
}

impl Breaks {
    /// What devices run in the beginning breaks nothing.
    const HARMLESS: [&'static str; 2] = ["V1", "S1"];

    /// None in the other half of the runs.
    pub(super) fn of_seed(seed: u64) -> Option<Self> {
        let mut dice = Dice::new(seed, "breaks");
        (seed >= FIRST_OF_CONTROL && dice.permille(500)).then(|| Self { dice, met: BTreeSet::new() })
    }

    /// Nearly all devices that run a version now and did not before go offline.
    pub(super) fn strike(&mut self, simulator: &mut Simulator, now: Timestamp) {
        let running =
            clouds::versions(simulator).map(|truth| (truth.device.to_owned(), truth.version.to_owned()));
        let news: Vec<(String, String)> = running
            .filter(|(_, version)| !Self::HARMLESS.contains(&version.as_str()))
            .filter(|met| !self.met.contains(met))
            .collect();
        for (device, version) in news {
            if self.dice.permille(900) {
                let change = DeviceChange { online: Some(false), ..DeviceChange::default() };
                // It was listed a moment ago.
                let _ = simulator.change_device(&device, change, now);
            }
            self.met.insert((device, version));
        }
    }
}
