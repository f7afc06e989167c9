//! What packages may be besides one file for a whole device, in worlds of later seeds, on the clouds that have it: for a module, the
//! difference from a version, several files.
//!
//! The module is the one whose version the simulator's fleet knows as a device's software, so that laws see it as that.

use super::clouds::Account;
use super::dice::Dice;
use super::files;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Worlds of earlier seeds have none of it: their histories are older.
pub const FIRST_OF_PARTS: u64 = 4_000_000;

/// The module.
pub(super) const MODULE: &str = "software";

/// Makes a package that was drawn as software one of the module.
pub(super) fn as_module(package: &mut Value) {
    if package["type"] == "Software" {
        package["type"] = json!("Firmware");
        package["module"] = json!(MODULE);
    }
}

/// Makes some packages of these accounts deltas, and some ones of several files.
pub(super) fn draw(seed: u64, accounts: &[Account], manifests: &mut BTreeMap<String, Value>) {
    if seed < FIRST_OF_PARTS {
        return;
    }
    let mut dice = Dice::new(seed, "parts");
    let clouds = accounts.iter().filter(|account| account.side().has_parts());
    let clouds: Vec<String> = clouds.map(|account| format!("cloud{}", account.n)).collect();
    let is_its = |manifest: &&mut Value| {
        let cloud = manifest["spec"]["cloudRef"]["name"].as_str();
        manifest["kind"] == "OtaPackage" && clouds.iter().any(|name| Some(name.as_str()) == cloud)
    };
    for manifest in manifests.values_mut().filter(is_its) {
        let spec = &mut manifest["spec"];
        if dice.permille(300) {
            files::several_for(spec, dice.between(2, 4));
        }
        if dice.permille(300) {
            spec["artifact"]["delta"] = json!(true);
            spec["sourceVersions"] = json!([if spec["module"].is_string() { "S1" } else { "V1" }]);
        }
    }
}
