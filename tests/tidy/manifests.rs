//! Manifests in documents: each is one that Rollwave accepts.
//!
//! A block with `apiVersion` is read as it is. A block with `kind` alone is a part of a manifest: what it leaves out is filled in.
//! Objects that a block refers to and does not show are filled in too. A manifest is accepted when one of the clouds takes it.

use crate::files::File;
use crate::page::{Block, blocks};
use rollwave::source::manifest::{Manifests, gather};
use serde_json::{Value, json};
use std::path::Path;

/// Problems of the manifests of a page.
pub fn check(file: &File) -> Vec<String> {
    let is_manifest = |block: &Block| block.kind() == "yaml" && block.text.contains("kind: Ota");
    let manifests: Vec<Block> = blocks(&file.text).into_iter().filter(is_manifest).collect();
    let (files, single): (Vec<Block>, Vec<Block>) =
        manifests.into_iter().partition(|block| block.file().is_some());
    // What a reader saves belongs together.
    let together: Vec<&str> = files.iter().map(|block| block.text.as_str()).collect();
    let mut texts: Vec<String> = single.into_iter().map(|block| block.text).collect();
    if !together.is_empty() {
        texts.push(together.join("---\n"));
    }
    texts.iter().flat_map(|text| problems(text)).map(|problem| format!("{}: {problem}", file.path)).collect()
}

/// Why no cloud takes these documents; none when one does.
fn problems(text: &str) -> Vec<String> {
    let documents: Result<Vec<Value>, _> = serde_yaml::from_multiple(text);
    let documents = match documents {
        Ok(documents) => documents,
        Err(error) => return vec![format!("{error}: {text}")],
    };
    let mut least: Option<Vec<String>> = None;
    for cloud in ["huaweiIotda", "aliyunIot", "enos", "oceanConnect"] {
        let found = problems_on(cloud, &documents);
        if least.as_ref().is_none_or(|least| found.len() < least.len()) {
            least = Some(found);
        }
    }
    least.unwrap_or_default()
}

fn problems_on(cloud: &str, documents: &[Value]) -> Vec<String> {
    let ours = documents.iter().filter(|document| text(&document["kind"]).starts_with("Ota"));
    let mut objects: Vec<Value> = ours.map(|document| whole(cloud, document)).collect();
    // A package that is filled in refers to an account.
    for field in ["packageRef", "cloudRef"] {
        let missing: Vec<Value> =
            objects.iter().filter_map(|object| missing(cloud, field, object, &objects)).collect();
        objects.extend(missing);
    }
    let mut manifests = Manifests::default();
    for (at, object) in objects.iter().enumerate() {
        manifests.add(Path::new(&format!("{at}.json")), &object.to_string());
    }
    let problems = gather(manifests).problems;
    problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

/// The document with what a part leaves out.
fn whole(cloud: &str, document: &Value) -> Value {
    if document["apiVersion"].is_string() {
        return document.clone();
    }
    let mut whole = object(cloud, text(&document["kind"]), "part", None);
    let fields = document["spec"].as_object().cloned().unwrap_or_default();
    for (name, value) in fields {
        whole["spec"][name] = value;
    }
    whole
}

/// An object that this one refers to, and that is not among them.
fn missing(cloud: &str, field: &str, object: &Value, objects: &[Value]) -> Option<Value> {
    let name = object["spec"][field]["name"].as_str()?;
    let own = object["metadata"]["namespace"].as_str();
    let namespace = object["spec"][field]["namespace"].as_str().or(own);
    let kind = if field == "packageRef" { "OtaPackage" } else { "OtaCloud" };
    let is_it = |other: &Value| {
        other["kind"] == kind
            && other["metadata"]["name"] == name
            && other["metadata"]["namespace"].as_str() == namespace
    };
    (!objects.iter().any(is_it)).then(|| self::object(cloud, kind, name, namespace))
}

/// An object of this kind that the cloud takes.
fn object(cloud: &str, kind: &str, name: &str, namespace: Option<&str>) -> Value {
    let spec = match kind {
        "OtaCloud" => account(cloud),
        "OtaPackage" => package(cloud),
        _ => json!({
            "packageRef": {"name": "package"},
            "targets": {"all": true},
            "stages": [{"name": "all", "select": {"rest": true}}],
        }),
    };
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    json!({"apiVersion": rollwave::api::API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})
}

fn account(cloud: &str) -> Value {
    let endpoint = "https://iot.example.com";
    let place = match cloud {
        "huaweiIotda" => {
            json!({"endpoint": endpoint, "region": "cn-north-4", "projectId": "p1", "appId": "a1"})
        }
        "aliyunIot" => json!({"endpoint": endpoint, "regionId": "cn-shanghai"}),
        "enos" => json!({"endpoint": endpoint, "orgId": "o1"}),
        _ => json!({"endpoint": endpoint, "appId": "a1"}),
    };
    let keys = match cloud {
        "oceanConnect" => json!({"appSecret": "env:SECRET"}),
        _ => json!({"accessKey": "env:AK", "secretKey": "env:SK"}),
    };
    json!({cloud: place, "credentials": keys})
}

fn package(cloud: &str) -> Value {
    let product = match cloud {
        "oceanConnect" => json!({"manufacturer": "Acme", "deviceType": "Meter", "model": "M1"}),
        _ => json!({"id": "meter"}),
    };
    let sha256 = "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a";
    let artifact = match cloud {
        "huaweiIotda" => {
            json!({"sha256": sha256, "obs": {"region": "cn-north-4", "bucket": "firmware", "key": "V2.0.bin"}})
        }
        "oceanConnect" => json!({"sha256": sha256, "portal": {}}),
        "aliyunIot" => {
            json!({"sha256": sha256, "md5": "55a54008ad1ba589aa210d2629c1df41", "file": "V2.0.bin", "size": 1})
        }
        _ => json!({"sha256": sha256, "file": "V2.0.bin", "size": 1}),
    };
    json!({
        "cloudRef": {"name": "account"}, "type": "Firmware", "product": product, "version": "V2.0", "artifact": artifact,
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn what_an_account_filled_in_takes_is_accepted_and_nothing_else() {
    let page = |yaml: &str| check(&File::new("x.md", &format!("```yaml\n{yaml}\n```\n")));
    assert_eq!(page("kind: OtaRollout\nspec: {targets: {tags: {site: [berlin]}}}"), Vec::<String>::new());
    assert_eq!(page("kind: OtaPackage\nspec: {module: modem}"), Vec::<String>::new(), "one cloud takes it");
    assert_eq!(page("a: b"), Vec::<String>::new(), "not ours");
    assert_eq!(page("kind: OtaRollout\nspec: {targets: {al: true}}").len(), 1, "an unknown field");
    assert_eq!(
        page("kind: OtaRollout\nspec: {delivery: {start: DeviceOnline, overwrite: true}}").len(),
        1,
        "no cloud takes both"
    );
}
