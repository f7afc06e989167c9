//! Windows and times that stages may have, in worlds of the profiles that draw them.

use super::dice::Dice;
use super::play::START;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A window is open so long, in every half hour: whoever waits for one does not wait long.
const OPEN_MINUTES: u64 = 10;

/// Gives stages windows and times, with this chance each. Nothing is drawn where there is none.
pub(super) fn draw(seed: u64, chance: u32, manifests: &mut BTreeMap<String, Value>) {
    if chance == 0 {
        return;
    }
    let mut dice = Dice::new(seed, "windows");
    let rollouts = manifests.values_mut().filter(|manifest| manifest["kind"] == "OtaRollout");
    for manifest in rollouts {
        for stage in manifest["spec"]["stages"].as_array_mut().into_iter().flatten() {
            if dice.permille(chance) {
                stage["windows"] = windows(&mut dice);
            }
            if dice.permille(chance / 3) {
                stage["notBefore"] = moment(&mut dice);
            }
        }
    }
}

/// A time within the first hour.
pub(super) fn moment(dice: &mut Dice) -> Value {
    let second = START.as_second() + i64::try_from(dice.between(60, 3_000)).unwrap_or(60);
    json!(jiff::Timestamp::from_second(second).unwrap_or_default())
}

/// Windows of every half hour.
pub(super) fn windows(dice: &mut Dice) -> Value {
    let zone = dice.pick(&["UTC", "Asia/Shanghai", "Asia/Kolkata"]).copied().unwrap_or("UTC");
    let minute = dice.between(0, 29);
    let starts = (0..24).flat_map(|hour| [(hour, minute), (hour, minute + 30)]);
    let window = |(hour, minute)| json!({"start": format!("{hour:02}:{minute:02}"), "duration": format!("{OPEN_MINUTES}m"), "timeZone": zone});
    starts.map(window).collect()
}
