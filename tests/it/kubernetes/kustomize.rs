//! kustomize itself (that of kubectl) on `integrations/kustomize`: what is renamed is found, and a patch of one stage keeps the others.

use super::control_plane::find_parts;
use rollwave::api::{Kind, Object, OtaRollout, schema};
use rollwave::source::manifest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What kustomize makes of a folder of the example, by kind.
fn build(folder: &str) -> BTreeMap<String, Value> {
    let program = &find_parts(&["kubectl"])["kubectl"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integrations/kustomize/example").join(folder);
    let output = Command::new(program).arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let objects: Vec<Value> = serde_yaml::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap();
    objects.into_iter().map(|object| (object["kind"].as_str().unwrap().to_owned(), object)).collect()
}

fn rollout(objects: &BTreeMap<String, Value>) -> OtaRollout {
    let text = serde_json::to_string(&objects["OtaRollout"]).unwrap();
    let (mut parsed, problems) = manifest::parse(Path::new("rollout.json"), &text);
    assert!(problems.is_empty(), "{problems:?}");
    match parsed.remove(0).object {
        Object::Rollout(rollout) => rollout,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_objects_refer_to_is_renamed_with_them() {
    for (overlay, prefix, suffix) in [("staging", "", "-staging"), ("prod", "prod-", "")] {
        let objects = build(overlay);
        let name = |kind: &str| objects[kind]["metadata"]["name"].as_str().unwrap().to_owned();
        let spec = |kind: &str| objects[kind]["spec"].clone();
        assert_eq!(name("OtaRollout"), format!("{prefix}meter{suffix}"));
        assert_eq!(spec("OtaRollout")["packageRef"]["name"], name("OtaPackage"));
        assert_eq!(spec("OtaPackage")["cloudRef"]["name"], name("OtaCloud"));
        assert_eq!(spec("OtaCloud")["credentials"]["secretRef"]["name"], name("Secret"));
        assert!(name("Secret").starts_with(&format!("{prefix}huawei-keys{suffix}-")), "{}", name("Secret"));
    }
}

#[test]
fn a_patch_of_one_stage_or_stop_rule_keeps_the_others_and_their_gates() {
    let (base, staging, prod) =
        (rollout(&build("base")), rollout(&build("staging")), rollout(&build("prod")));
    let mut expected = base.spec.clone();
    expected.package_ref.name.push_str("-staging");
    expected.stages[0].select.count = Some(5);
    expected.stages[0].soak = Some("10m".parse().unwrap());
    assert_eq!(staging.spec, expected);
    let mut expected = base.spec;
    expected.package_ref.name.insert_str(0, "prod-");
    expected.stages[1].soak = Some("2d".parse().unwrap());
    let mut rules = prod.spec.stop.clone().unwrap();
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.name.clone()));
    assert_eq!(rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["failures", "any-bricked"]);
    assert_eq!(rules[0], expected.stop.unwrap()[0]);
    expected.stop = prod.spec.stop.clone();
    assert_eq!(prod.spec, expected);
}

/// Lists of `spec` that an API server merges by a key.
fn merged_lists(path: &str, schema: &Value, lists: &mut Vec<(String, Value)>) {
    if schema["x-kubernetes-list-type"] == "map" {
        lists.push((path.to_owned(), schema["x-kubernetes-list-map-keys"].clone()));
    }
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields.for_each(|(name, schema)| merged_lists(&format!("{path}/properties/{name}"), schema, lists));
    if schema.get("items").is_some() {
        merged_lists(&format!("{path}/items"), &schema["items"], lists);
    }
}

/// References of `spec`, as `OtaPackage spec/cloudRef/name`.
fn references(kind: Kind, path: &str, schema: &Value, found: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        if name.ends_with("Ref") {
            found.push(format!("{} {path}/name", kind.as_str()));
        }
        references(kind, &path, field, found);
    }
}

#[test]
fn its_files_know_every_list_with_a_key_and_every_reference() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integrations/kustomize");
    let text = fs_err::read_to_string(folder.join("rollwave/openapi.json")).unwrap();
    let openapi: Value = serde_json::from_str(&text).unwrap();
    let names = fs_err::read_to_string(folder.join("rollwave/names.yaml")).unwrap();
    let names: Value = serde_yaml::from_str(&names).unwrap();
    let targets = names["nameReference"].as_array().unwrap().iter();
    let fields = targets.flat_map(|target| target["fieldSpecs"].as_array().unwrap());
    let mut known: Vec<String> = fields
        .map(|field| format!("{} {}", field["kind"].as_str().unwrap(), field["path"].as_str().unwrap()))
        .collect();
    known.sort_unstable();
    let mut wanted = Vec::new();
    for kind in Kind::ALL {
        let schema = schema(kind);
        references(kind, "spec", &schema["properties"]["spec"], &mut wanted);
        let mut lists = Vec::new();
        merged_lists("/properties/spec", &schema["properties"]["spec"], &mut lists);
        for (path, keys) in lists {
            let name = format!("dev.rollwave.ota.v1alpha1.{}", kind.as_str());
            let known = openapi["definitions"][name].pointer(&path).unwrap_or_else(|| panic!("no {path}"));
            assert_eq!(json!([known["x-kubernetes-patch-merge-key"]]), keys, "{path}");
            assert_eq!(known["x-kubernetes-patch-strategy"], "merge", "{path}");
        }
    }
    wanted.sort_unstable();
    assert_eq!(known, wanted);
}
