//! Stages that wait for their devices for minutes only, in runs of later seeds: without them no run lasts until a deadline.

use super::clouds::Account;
use super::dice::Dice;
use rollwave::api::Kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Runs of earlier seeds have none of it: their histories are older.
pub const FIRST_OF_DEADLINES: u64 = 3_700_000_000;

/// Gives some stages of these accounts a short deadline, and some rollouts a short time for devices that have not begun.
pub(super) fn draw(seed: u64, accounts: &[Account], manifests: &mut BTreeMap<String, Value>) {
    if seed < FIRST_OF_DEADLINES {
        return;
    }
    let mut dice = Dice::new(seed, "deadlines");
    let rollouts = manifests.iter_mut().filter(|(_, manifest)| manifest["kind"] == "OtaRollout");
    for (name, manifest) in rollouts {
        let of = |account: &&Account| name.starts_with(&format!("package{}-", account.n));
        let Some(account) = accounts.iter().find(of) else { continue };
        let spec = &mut manifest["spec"];
        for stage in spec["stages"].as_array_mut().into_iter().flatten() {
            if dice.permille(500) {
                let then = dice.pick(&["Judge", "Hold"]).copied().unwrap_or("Judge");
                stage["deadline"] = json!({"after": format!("{}m", dice.between(8, 20)), "then": then});
            }
        }
        if dice.permille(200) && spec["delivery"].is_null() {
            spec["delivery"] = json!({"timeout": {"queued": format!("{}m", dice.between(5, 15))}});
        }
        account.side().fit(Kind::OtaRollout, spec);
    }
}
