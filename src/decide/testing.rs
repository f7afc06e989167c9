//! Objects for the unit tests of this folder.

use crate::api::{OtaPackage, OtaRollout};
use serde_json::json;

/// A firmware package without verification.
pub fn package() -> OtaPackage {
    let value = json!({
        "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaPackage",
        "metadata": {"name": "meter-v2", "uid": "p-uid", "generation": 1},
        "spec": {
            "cloudRef": {"name": "lab"}, "type": "Firmware", "product": {"id": "meter"}, "version": "V2",
            "artifact": {
                "sha256": "ab".repeat(32),
                "obs": {"region": "cn-north-4", "bucket": "firmware", "key": "meter/v2.bin"}
            }
        }
    });
    serde_json::from_value(value).unwrap()
}

/// A rollout of that package: a canary of ten, then the rest.
pub fn rollout() -> OtaRollout {
    let value = json!({
        "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaRollout",
        "metadata": {"name": "meter", "uid": "r-uid", "generation": 1},
        "spec": {
            "packageRef": {"name": "meter-v2"}, "targets": {"all": true},
            "stages": [{
                "name": "canary", "select": {"count": 10},
                "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%"}}]
            }]
        }
    });
    serde_json::from_value(value).unwrap()
}
