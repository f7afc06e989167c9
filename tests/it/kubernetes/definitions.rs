//! The CustomResourceDefinitions in a real API server: they are taken as they are, and refuse what `rollwave validate` refuses.

use super::cases::{self, Case, UPDATED, UPDATES};
use super::control_plane::{ADMIN, api_of, apply, runtime, shared};
use kube::api::{ListParams, Patch, PatchParams, PostParams, ValidationDirective};
use kube::core::response::Status;
use rollwave::api::{API_VERSION, Kind, definition};
use rollwave::source::{Problem, manifest};
use serde_json::{Value, json};
use std::path::Path;

/// Everything that the API server says against a manifest, as (path, words).
pub async fn refusals(client: &kube::Client, manifest: &Value) -> Vec<(String, String)> {
    let params = PatchParams {
        dry_run: true,
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("test").force()
    };
    let name = manifest["metadata"]["name"].as_str().unwrap();
    match api_of(client, manifest).patch(name, &params, &Patch::Apply(manifest)).await {
        Ok(_) => Vec::new(),
        Err(kube::Error::Api(status)) => causes(&status),
        Err(error) => panic!("{error}"),
    }
}

fn causes(status: &Status) -> Vec<(String, String)> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut causes: Vec<_> = causes.map(|cause| (cause.field.clone(), cause.message.clone())).collect();
    if causes.is_empty() {
        // Types and unknown fields are told without a cause.
        causes.push((String::new(), status.message.clone()));
    }
    causes
}

/// What the API server says of a field is said of the same field here, or of a field in it: it speaks of the list where
/// Rollwave speaks of the item.
fn is_same_field(ours: &str, theirs: &str, words: &str) -> bool {
    let last = ours.rsplit('.').next().unwrap_or(ours);
    theirs == ours || theirs.starts_with(&format!("{ours}.")) || words.contains(ours) || words.contains(last)
}

fn check(case: &Case, ours: &[Problem], theirs: &[(String, String)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some((path, words)) = case.refused else {
        wrong.extend(ours.iter().map(|problem| format!("{}: validate refuses it: {problem}", case.name)));
        wrong.extend(theirs.iter().map(|said| format!("{}: the API server refuses it: {said:?}", case.name)));
        return wrong;
    };
    if !ours.iter().any(|problem| problem.path == path && problem.message.contains(words)) {
        wrong.push(format!("{}: validate does not refuse {path} ({words}): {ours:?}", case.name));
    }
    // A list with keys is merged before any rule is asked.
    let is_double =
        |said: &str| words.ends_with("names must be unique") && said.contains("duplicate entries for key");
    let is_told = |field: &str, said: &str| is_same_field(path, field, said) && said.contains(words);
    if !theirs.iter().any(|(field, said)| is_told(field, said) || is_double(said)) {
        wrong.push(format!("{}: the API server does not refuse {path} ({words}): {theirs:?}", case.name));
    }
    wrong
}

#[test]
fn what_validate_refuses_the_api_server_refuses_and_the_other_way_round() {
    let plane = shared();
    let namespace = plane.namespace();
    let wrong: Vec<String> = runtime().block_on(async {
        let client = plane.client(ADMIN).await;
        let mut wrong = Vec::new();
        for case in cases::all() {
            let (_, ours) = manifest::parse(Path::new("case.yaml"), &case.text());
            wrong.extend(check(case, &ours, &refusals(&client, &case.json(&namespace)).await));
        }
        wrong
    });
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases::all().count(), wrong.join("\n"));
}

/// Every rule of a schema that does not speak of changes.
fn rules(schema: &Value, rules: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten()
            {
                if !rule["rule"].as_str().unwrap().contains("oldSelf") {
                    rules.push(rule["message"].as_str().unwrap().to_owned());
                }
            }
            fields.values().for_each(|field| self::rules(field, rules));
        }
        Value::Array(items) => items.iter().for_each(|item| self::rules(item, rules)),
        _ => {}
    }
}

#[test]
fn every_rule_is_broken_by_a_case_of_the_table() {
    let mut all = Vec::new();
    Kind::ALL.into_iter().for_each(|kind| rules(&definition(kind), &mut all));
    assert!(all.len() > 20, "{all:?}");
    let broken = |message: &String| {
        cases::all()
            .filter_map(|case| case.refused)
            .any(|(_, words)| !words.is_empty() && message.contains(words))
    };
    all.retain(|message| !broken(message));
    assert!(all.is_empty(), "no case breaks {all:#?}");
}

#[test]
fn what_names_a_package_can_never_be_changed() {
    let plane = shared();
    let namespace = plane.namespace();
    runtime().block_on(async {
        let client = plane.client(ADMIN).await;
        let json = |text: &str| -> Value {
            let mut json: Value = serde_yaml::from_str(text).unwrap();
            json["metadata"]["namespace"] = namespace.as_str().into();
            json
        };
        apply(&client, &json(UPDATED)).await.unwrap();
        let (old, _) = manifest::parse(Path::new("old.yaml"), UPDATED);
        for (from, to, path) in UPDATES {
            let text = UPDATED.replacen(from, to, 1);
            let theirs = refusals(&client, &json(&text)).await;
            let (new, _) = manifest::parse(Path::new("new.yaml"), &text);
            let ours = manifest::check_update(&old[0].object, &new[0]);
            assert_eq!(ours.iter().any(|problem| problem.path == *path), !path.is_empty(), "{to}: {ours:?}");
            assert_eq!(theirs.iter().any(|(field, _)| field == path), !path.is_empty(), "{to}: {theirs:?}");
        }
    });
}

#[test]
fn an_object_that_nobody_has_looked_at_says_so() {
    let plane = shared();
    let namespace = plane.namespace();
    runtime().block_on(async {
        let client = plane.client(ADMIN).await;
        for case in cases::all().filter(|case| case.refused.is_none()).take(3) {
            let manifest = case.json(&namespace);
            let object = apply(&client, &manifest).await.unwrap();
            assert_eq!(object.data["status"]["observedGeneration"], -1, "{}", case.name);
            let conditions = object.data["status"]["conditions"].as_array();
            assert!(conditions.is_none_or(Vec::is_empty), "{}: {conditions:?}", case.name);
            // The spec cannot be changed where the status is written.
            let api = api_of(&client, &manifest);
            let mut changed = object.clone();
            changed.data["spec"] = json!({});
            changed.data["status"]["message"] = "seen".into();
            let name = object.metadata.name.as_deref().unwrap();
            let after = api.replace_status(name, &PostParams::default(), &changed).await.unwrap();
            assert_eq!(after.data["spec"], object.data["spec"], "{}", case.name);
            assert_eq!(after.data["status"]["message"], "seen", "{}", case.name);
            assert_eq!(after.metadata.generation, Some(1), "a status is no new generation");
        }
    });
}

#[test]
fn people_find_the_kinds_by_short_names_and_see_how_far_they_are() {
    runtime().block_on(async {
        let client = shared().client(ADMIN).await;
        let resources = client.list_api_group_resources(API_VERSION).await.unwrap().resources;
        let found = |name: &str| resources.iter().find(|resource| resource.name == name).unwrap().clone();
        for (name, short) in [("otaclouds", "otac"), ("otapackages", "otap"), ("otarollouts", "otar")] {
            let resource = found(name);
            assert_eq!(resource.short_names.unwrap(), [short]);
            assert_eq!(resource.categories.unwrap(), ["rollwave"]);
            assert!(resources.iter().any(|resource| resource.name == format!("{name}/status")));
        }
        assert_eq!(
            columns(&client, Kind::OtaRollout).await,
            ["Name", "Package", "Phase", "Progress", "Ready", "Age", "Message"]
        );
        assert_eq!(
            columns(&client, Kind::OtaPackage).await,
            ["Name", "Version", "Verified", "Ready", "Age", "Message"]
        );
        assert_eq!(columns(&client, Kind::OtaCloud).await, ["Name", "Ready", "Age", "Message"]);
    });
}

/// The columns that `kubectl get` shows.
async fn columns(client: &kube::Client, kind: Kind) -> Vec<String> {
    let plural = format!("{}s", kind.as_str().to_lowercase());
    let request = http::Request::get(format!("/apis/{API_VERSION}/{plural}?limit=1"))
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .unwrap();
    let table: Value = client.request(request).await.unwrap();
    let columns = table["columnDefinitions"].as_array().unwrap();
    columns.iter().map(|column| column["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn objects_are_found_by_what_they_refer_to() {
    let plane = shared();
    let namespace = plane.namespace();
    runtime().block_on(async {
        let client = plane.client(ADMIN).await;
        let mut rollout = cases::all().nth(2).unwrap().json(&namespace);
        assert_eq!(rollout["kind"], "OtaRollout");
        for (name, package) in [("one", "meter-v2"), ("two", "meter-v3")] {
            rollout["metadata"]["name"] = name.into();
            rollout["spec"]["packageRef"]["name"] = package.into();
            apply(&client, &rollout).await.unwrap();
        }
        for (selector, expected) in [
            ("spec.packageRef.name=meter-v3", vec!["two"]),
            ("spec.packageRef.name!=meter-v3", vec!["one"]),
            ("status.phase=Completed", vec![]),
        ] {
            let found =
                api_of(&client, &rollout).list(&ListParams::default().fields(selector)).await.unwrap();
            let names: Vec<String> =
                found.items.into_iter().filter_map(|object| object.metadata.name).collect();
            assert_eq!(names, expected, "{selector}");
        }
    });
}

#[test]
fn two_who_apply_different_fields_do_not_undo_each_other() {
    let plane = shared();
    let namespace = plane.namespace();
    runtime().block_on(async {
        let client = plane.client(ADMIN).await;
        let manifest = cases::all().nth(2).unwrap().json(&namespace);
        apply(&client, &manifest).await.unwrap();
        let label = json!({
            "apiVersion": API_VERSION, "kind": "OtaRollout",
            "metadata": {"name": "meter", "namespace": namespace, "labels": {"team": "field"}}
        });
        let api = api_of(&client, &manifest);
        api.patch("meter", &PatchParams::apply("other"), &Patch::Apply(&label)).await.unwrap();
        apply(&client, &manifest).await.unwrap();
        let object = api.get("meter").await.unwrap();
        assert_eq!(object.metadata.labels.unwrap()["team"], "field");
        assert_eq!(object.data["spec"]["stages"].as_array().unwrap().len(), 2);
        assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 1);
    });
}
