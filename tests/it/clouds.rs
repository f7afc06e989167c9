//! The table of what each cloud does with each field: complete, current, and what admission goes by.

use rollwave::api::{
    CloudKind, Kind, OtaRollout, definition,
    support::{DOCUMENTS, Support, refusals, rows},
};
use rollwave::cloud::{
    Call, ErrorClass, JobPurpose, NewJob, PackageKey, PackageKind,
    huawei_iotda::{self, Keys},
    transport::{HttpOptions, HttpTransport},
};
use rollwave::source::manifest::{Manifests, gather};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Paths of the fields below a schema that have no fields of their own.
fn leaves(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    match schema.get("properties").and_then(Value::as_object) {
        Some(fields) => {
            for (name, field) in fields {
                leaves(field, &format!("{path}.{name}"), found);
            }
        }
        None => match schema.get("items").filter(|items| items.get("properties").is_some()) {
            Some(items) => leaves(items, &format!("{path}[]"), found),
            None => drop(found.insert(path.to_owned())),
        },
    }
}

fn spec_of(kind: Kind) -> Value {
    let crd = definition(kind);
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

#[test]
fn every_field_of_a_manifest_has_exactly_one_row() {
    for kind in [Kind::OtaPackage, Kind::OtaRollout] {
        let mut found = BTreeSet::new();
        leaves(&spec_of(kind), "spec", &mut found);
        let covers = |row: &str, leaf: &str| {
            leaf == row || leaf.strip_prefix(row).is_some_and(|r| r.starts_with(['.', '[']))
        };
        for leaf in &found {
            let rows: Vec<&str> =
                rows(kind).iter().map(|row| row.field).filter(|row| covers(row, leaf)).collect();
            assert_eq!(rows.len(), 1, "{kind}: {leaf} is covered by {rows:?}");
        }
        for row in rows(kind) {
            assert!(found.iter().any(|leaf| covers(row.field, leaf)), "{kind} has no field {}", row.field);
        }
    }
}

#[test]
fn every_documented_field_of_a_request_comes_from_somewhere() {
    let mut requests = BTreeSet::new();
    for file in fs_err::read_dir(root().join("tests/seeds")).unwrap() {
        let text = fs_err::read_to_string(file.unwrap().path()).unwrap();
        let seed: Value = serde_json::from_str(&text).unwrap();
        let (request, cloud) = (seed["request"].as_str().unwrap(), seed["cloud"].as_str().unwrap());
        let document = DOCUMENTS.iter().find(|d| d.request == request && d.cloud.as_str() == cloud).unwrap();
        let documented: Vec<&str> =
            seed["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect();
        let ours: Vec<&str> = document.fields.iter().map(|(field, _)| *field).collect();
        assert_eq!(ours, documented, "{request}");
        requests.insert(request.to_owned());
    }
    assert_eq!(requests.len(), DOCUMENTS.len(), "each document has its list of fields");
}

#[test]
fn the_page_is_current() {
    let page = fs_err::read_to_string(root().join("docs/clouds.md")).unwrap();
    assert!(page == rollwave::cli::clouds::page(), "docs/clouds.md is not current: run `make docs`");
}

#[test]
fn a_module_is_refused_where_devices_are_upgraded_as_a_whole() {
    for cloud in CloudKind::ALL {
        let told = refusals(cloud, Kind::OtaPackage, &json!({"module": "modem"}));
        let about_module: Vec<_> = told.iter().filter(|refusal| refusal.path == "spec.module").collect();
        match cloud {
            CloudKind::AliyunIot => assert!(about_module.is_empty(), "{told:?}"),
            _ => assert!(matches!(&about_module[..], [one] if one.message.contains("remove it")), "{told:?}"),
        }
    }
}

#[test]
fn files_say_their_digest_where_the_cloud_keeps_it_and_are_refused_where_it_takes_one() {
    let told = |cloud: CloudKind, artifact: Value| {
        let told = refusals(cloud, Kind::OtaPackage, &json!({"artifact": artifact}));
        let told = told.into_iter().filter(|refusal| refusal.path.starts_with("spec.artifact"));
        told.map(|refusal| format!("{}: {}", refusal.path, refusal.message)).collect::<Vec<_>>().join("\n  ")
    };
    let files = json!({"files": [{"name": "a", "md5": "0"}, {"name": "b", "size": 1_048_576_001}]});
    let told: Vec<String> = CloudKind::ALL
        .into_iter()
        .map(|cloud| format!("{cloud}\n  {}", told(cloud, files.clone())))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    huaweiIotda
      spec.artifact.files: not supported by huaweiIotda: put the files into one archive in OBS, and use artifact.obs
    oceanConnect
      spec.artifact.files: not supported by oceanConnect: put the files into one archive, upload it in the portal, and use artifact.portal
    aliyunIot
      spec.artifact.files[1].md5: is missing: aliyunIot stores no other digest of a package
      spec.artifact.files[1].size: aliyunIot accepts at most 1000 MB
    enos
      spec.artifact.files: not supported by enos: put the files into one archive, and use artifact.file
    ");
}

#[test]
fn what_a_row_refuses_is_refused_with_what_to_use_instead() {
    let refused = |cloud: CloudKind, delivery: Value| -> Vec<String> {
        let rollout = json!({
            "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaRollout", "metadata": {"name": "r"},
            "spec": {"packageRef": {"name": "p"}, "targets": {"all": true}, "delivery": delivery,
                "stages": [{"name": "rest", "select": {"rest": true}}]},
        });
        serde_json::from_value::<OtaRollout>(rollout.clone()).unwrap();
        refusals(cloud, Kind::OtaRollout, &rollout["spec"])
            .into_iter()
            .map(|r| format!("{}: {}", r.path, r.message))
            .collect()
    };
    let all = json!({"timeout": {"inProgress": "90s", "queued": "1h"}, "retry": {"limit": 3}, "ratePerMinute": 5, "maxInFlight": 3});
    let told: Vec<String> = CloudKind::ALL
        .into_iter()
        .map(|cloud| [vec![cloud.to_string()], refused(cloud, all.clone())].concat().join("\n  "))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    huaweiIotda
    oceanConnect
    aliyunIot
      spec.delivery.timeout.inProgress: aliyunIot accepts whole minutes, 1m to 24h
      spec.delivery.retry: aliyunIot supports 1, 2 or 5 retries: set retry.limit to one of them
      spec.delivery.ratePerMinute: aliyunIot accepts 10 to 10000
    enos
      spec.delivery.timeout.inProgress: enos accepts 5m to 48h
      spec.delivery.retry: enos requires retry.interval
    ");
    for cloud in CloudKind::ALL {
        assert_eq!(refused(cloud, json!({})), Vec::<String>::new());
    }
}

#[test]
fn every_cloud_takes_some_artifact_and_some_product() {
    for cloud in CloudKind::ALL {
        let takes = |prefix: &str| {
            let mut rows = rows(Kind::OtaPackage).iter().filter(|row| row.field.starts_with(prefix));
            rows.any(|row| !matches!(row.of(cloud), Support::Refused(_)))
        };
        for prefix in ["spec.product.", "spec.artifact.obs", "spec.artifact.file", "spec.artifact.portal"] {
            let expected = prefix == "spec.product."
                || match cloud {
                    CloudKind::HuaweiIotda => prefix.ends_with("obs"),
                    CloudKind::OceanConnect => prefix.ends_with("portal"),
                    CloudKind::AliyunIot | CloudKind::Enos => prefix.ends_with("file"),
                };
            assert_eq!(takes(prefix), expected, "{cloud}: {prefix}");
        }
    }
}

#[test]
fn a_field_that_the_objects_cloud_lacks_is_told_by_its_place() {
    let manifests = r#"
kind: OtaCloud
apiVersion: ota.rollwave.dev/v1alpha1
metadata: {name: field}
spec: {enos: {endpoint: "https://apim.example.com", orgId: o1}, credentials: {accessKey: env:AK, secretKey: env:SK}}
---
kind: OtaPackage
apiVersion: ota.rollwave.dev/v1alpha1
metadata: {name: v2}
spec:
  cloudRef: {name: field}
  type: Software
  product: {id: meter}
  version: V2
  artifact: {sha256: SHA, obs: {region: r, bucket: fw1, key: a.bin}}
---
kind: OtaRollout
apiVersion: ota.rollwave.dev/v1alpha1
metadata: {name: v2}
spec:
  packageRef: {name: v2}
  targets: {all: true}
  stages: [{name: rest, select: {rest: true}}]
  delivery: {confirm: true}
"#;
    let mut read = Manifests::default();
    read.add(Path::new("f.yaml"), &manifests.replace("SHA", &"a".repeat(64)));
    let snapshot = gather(read);
    assert_eq!(snapshot.objects.len(), 1, "only the account is left");
    let said: Vec<String> = snapshot.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @"
    f.yaml:12:9: spec.type: this cloud supports firmware only: use Firmware
    f.yaml:15:13: spec.artifact.obs: not supported by enos: use artifact.file
    f.yaml:24:13: spec.delivery.confirm: not supported by enos: EnOS has no confirmation: remove it
    ");
}

#[test]
fn names_of_devices_are_those_that_the_objects_cloud_can_have() {
    let told = |cloud: CloudKind| {
        let rollout = json!({
            "targets": {"devices": ["a-1", "a.1"], "exclude": {"devices": ["A_1:2@b"]}},
            "stages": [{"select": {"count": 1}}, {"select": {"devices": ["a".repeat(33), "b".repeat(65)]}}],
        });
        let package = json!({"verification": {"devices": ["ok", "a@b"]}});
        let of = |kind, spec: &Value| -> Vec<String> {
            refusals(cloud, kind, spec).into_iter().map(|r| format!("{}: {}", r.path, r.message)).collect()
        };
        let said = [of(Kind::OtaRollout, &rollout), of(Kind::OtaPackage, &package)].concat();
        let said = said.into_iter().filter(|text| text.contains("is not a valid device"));
        format!("{cloud}\n  {}", said.collect::<Vec<_>>().join("\n  "))
    };
    let told =
        CloudKind::ALL.map(told).join("\n").replace(&"a".repeat(33), "aaa…").replace(&"b".repeat(65), "bbb…");
    insta::assert_snapshot!(told, @r#"
    huaweiIotda
      spec.targets.devices[1]: "a.1" is not a valid device of huaweiIotda: the name contains '.'; use only letters, digits, - and _
      spec.targets.exclude.devices[0]: "A_1:2@b" is not a valid device of huaweiIotda: the name contains ':'; use only letters, digits, - and _
      spec.verification.devices[1]: "a@b" is not a valid device of huaweiIotda: the name contains '@'; use only letters, digits, - and _
    oceanConnect
      spec.targets.devices[1]: "a.1" is not a valid device of oceanConnect: the name contains '.'; use only letters, digits, - and _
      spec.targets.exclude.devices[0]: "A_1:2@b" is not a valid device of oceanConnect: the name contains ':'; use only letters, digits, - and _
      spec.verification.devices[1]: "a@b" is not a valid device of oceanConnect: the name contains '@'; use only letters, digits, - and _
    aliyunIot
      spec.stages[1].select.devices[0]: "aaa…" is not a valid device of aliyunIot: the name has 33 characters, at most 32 are allowed
    enos
      spec.targets.exclude.devices[0]: "A_1:2@b" is not a valid device of enos: the name contains ':'; use only letters, digits, -, _ and .
      spec.stages[1].select.devices[1]: "bbb…" is not a valid device of enos: the name has 65 characters, at most 64 are allowed
      spec.verification.devices[1]: "a@b" is not a valid device of enos: the name contains '@'; use only letters, digits, -, _ and .
    "#);
}

#[test]
fn groups_and_tags_of_stages_are_refused_by_their_place_where_the_cloud_has_none() {
    let rollout = json!({
        "targets": {"tags": {"a.b": ["x"]}},
        "stages": [
            {"select": {"count": 1}},
            {"select": {"groups": ["Z-9"]}},
            {"select": {"tags": {"site": ["x"]}}},
            {"select": {"tags": {"a b": ["x"]}}},
        ],
    });
    let told = |cloud: CloudKind| {
        let told = refusals(cloud, Kind::OtaRollout, &rollout).into_iter();
        let told: Vec<String> =
            told.map(|refusal| format!("{}: {}", refusal.path, refusal.message)).collect();
        if told.is_empty() { cloud.to_string() } else { format!("{cloud}\n  {}", told.join("\n  ")) }
    };
    insta::assert_snapshot!(CloudKind::ALL.map(told).join("\n"), @r#"
    huaweiIotda
      spec.stages[1].select.groups: "Z-9" is not a group id of huaweiIotda: use up to 36 hexadecimal digits and -
      spec.stages[3].select.tags: "a b" is not the key of a tag of huaweiIotda: use letters, digits, Chinese characters, ., - and _
    oceanConnect
      spec.targets.tags: not supported by oceanConnect: the platform has no tags: use targets.groups or targets.devices
      spec.stages[2].select.tags: not supported by oceanConnect: the platform has no tags: use select.groups or select.devices
      spec.stages[3].select.tags: not supported by oceanConnect: the platform has no tags: use select.groups or select.devices
    aliyunIot
    enos
      spec.stages[1].select.groups: not supported by enos: the OTA service of EnOS has no groups: use select.tags or select.devices
      spec.targets.tags: enos cannot search for the tag "a.b": use a key of letters, digits, _ and -
      spec.stages[3].select.tags: enos cannot search for the tag "a b": use a key of letters, digits, _ and -
    "#);
}

#[test]
fn a_client_refuses_what_admission_would_refuse_whichever_way_a_job_came_to_it() {
    let spec = serde_json::from_value(json!({
        "endpoint": "http://127.0.0.1:1", "region": "r", "projectId": "p", "appId": "a"
    }));
    let keys = Keys::AccessKey { id: "AK".into(), secret: "SK".into(), security_token: None };
    let transport = Arc::new(HttpTransport::new(HttpOptions::default()).unwrap());
    let client = huawei_iotda::connect(&spec.unwrap(), keys, transport);
    let render = |purpose, delivery: Value| {
        client.render(&Call::CreateJob(NewJob {
            token: "0123456789abcdef".into(),
            title: "meter/canary".into(),
            purpose,
            package: PackageKey {
                kind: PackageKind::Firmware,
                product: "m".into(),
                version: "V2".into(),
                module: None,
            },
            package_id: "p".into(),
            devices: vec!["d".into()],
            from_versions: vec!["V1".into()],
            delivery: serde_json::from_value(delivery).unwrap(),
        }))
    };
    for (purpose, path) in
        [(JobPurpose::Upgrade, "spec.delivery"), (JobPurpose::Verify, "spec.verification.delivery")]
    {
        for (field, value) in
            [("deviceInitiated", json!(true)), ("push", json!(true)), ("overwrite", json!(true))]
        {
            let error = render(purpose, json!({field: value})).unwrap_err();
            assert_eq!(error.class, ErrorClass::Invalid);
            assert!(error.message.starts_with(&format!("{path}.{field}: ")), "{error}");
        }
        assert!(render(purpose, json!({"confirm": true, "tags": {"a": "b"}})).is_ok());
    }
}
