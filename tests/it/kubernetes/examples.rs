//! The examples for a cluster: a real API server takes them.

use super::control_plane::{ADMIN, runtime, shared};
use super::definitions::refusals;
use serde_json::Value;
use std::path::Path;

fn read(file: &str) -> String {
    fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn manifests(text: &str, namespace: &str) -> Vec<Value> {
    let mut manifests: Vec<Value> = serde_yaml::from_multiple(text).unwrap();
    manifests.iter_mut().for_each(|manifest| manifest["metadata"]["namespace"] = namespace.into());
    manifests
}

#[test]
fn an_api_server_takes_the_examples() {
    let plane = shared();
    let namespace = plane.namespace();
    let fleet = "integrations/argocd/example/fleet";
    let files = [
        "examples/kubernetes/fleet.yaml",
        &format!("{fleet}/1-cloud.yaml"),
        &format!("{fleet}/2-v2.0.yaml"),
        "integrations/external-secrets/meters.yaml",
    ];
    runtime().block_on(async {
        let client = plane.client(ADMIN).await;
        let ours = |manifest: &Value| manifest["kind"] != "ExternalSecret";
        for manifest in files.iter().flat_map(|file| manifests(&read(file), &namespace)).filter(ours) {
            let refused = refusals(&client, &manifest).await;
            assert!(refused.is_empty(), "{}: {refused:?}", manifest["metadata"]["name"]);
        }
    });
}

#[test]
fn the_secret_that_an_operator_brings_is_the_one_that_the_account_names() {
    let manifests = manifests(&read("integrations/external-secrets/meters.yaml"), "fleet");
    let [external, account] = manifests.as_slice() else { panic!("{manifests:#?}") };
    assert_eq!(external["spec"]["target"]["name"], account["spec"]["credentials"]["secretRef"]["name"]);
    let keys: Vec<&Value> =
        external["spec"]["data"].as_array().unwrap().iter().map(|entry| &entry["secretKey"]).collect();
    assert_eq!(keys, ["accessKey", "secretKey"]);
}
