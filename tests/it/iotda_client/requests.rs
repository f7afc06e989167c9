//! The request that each call stands for.

use super::*;
use rollwave::cloud::{DeviceOutcome, DeviceScope, NewArtifact, NewJob, NewPackage, ObsArtifact, PackageKey};

const TASK: &str = "5c8ba99030344005c02316ad";
const PACKAGE: &str = "28f61af50fc9452aa0ed5ea25c3cc3d3";

fn key() -> PackageKey {
    PackageKey { kind: PackageKind::Software, product: "meter".into(), version: "V2.0".into(), module: None }
}

fn going_on() -> Cursor {
    Cursor { marker: Some("61c970ce2d63eb6ee655dbf0".into()), seen: 50, pages: 1 }
}

fn job() -> NewJob {
    NewJob {
        token: "0123456789abcdef".into(),
        title: "meter-v2/canary 灯".into(),
        purpose: rollwave::cloud::JobPurpose::Upgrade,
        package: PackageKey {
            kind: PackageKind::Firmware,
            product: "meter".into(),
            version: "V2".into(),
            module: None,
        },
        from_versions: vec![],
        delivery: rollwave::api::Delivery::default(),
        package_id: PACKAGE.into(),
        devices: vec!["dev-1".into(), "dev-2".into()],
    }
}

fn calls() -> Vec<Call> {
    let object = ObsArtifact {
        region: "cn-north-4".into(),
        bucket: "firmware".into(),
        key: "meter/v2.bin".into(),
        sha256: Some("ab".repeat(32)),
    };
    let full = NewPackage {
        key: key(),
        source_versions: vec!["V1.0".into(), "V1.1".into()],
        delta: false,
        description: Some("固件".into()),
        custom_info: Some("{\"force\":true}".into()),
        name: "meter-v2".into(),
        artifact: NewArtifact::Obs(object.clone()),
        verification: None,
    };
    let bare = NewPackage {
        source_versions: vec![],
        delta: false,
        description: None,
        custom_info: None,
        artifact: NewArtifact::Obs(ObsArtifact { sha256: None, ..object }),
        ..full.clone()
    };
    vec![
        list_packages(Cursor::start()),
        Call::ListPackages { kind: PackageKind::Software, exactly: Some(key()), cursor: going_on() },
        Call::ShowPackage { id: PACKAGE.into() },
        Call::CreatePackage(full),
        Call::CreatePackage(bare),
        Call::DeletePackage { id: PACKAGE.into() },
        Call::ListJobs { kind: PackageKind::Firmware, cursor: going_on() },
        Call::ShowJob { id: TASK.into() },
        Call::ListJobDevices {
            id: TASK.into(),
            outcome: Some(DeviceOutcome::Queued),
            only: None,
            cursor: Cursor::start(),
        },
        Call::CreateJob(job()),
        Call::StopJob { id: TASK.into() },
        Call::DeleteJob { id: TASK.into() },
        Call::ListDevices { scope: DeviceScope::whole("meter"), cursor: going_on() },
        Call::ShowDevice { scope: DeviceScope::whole("meter"), id: "dev-1".into() },
        Call::ListGroupDevices { product: "meter".into(), group: "d1e2-f3".into(), cursor: Cursor::start() },
        Call::ListTaggedDevices {
            product: "meter".into(),
            key: "site".into(),
            values: vec!["a".into(), "b".into()],
            cursor: going_on(),
        },
    ]
}

fn shown(request: &WireRequest) -> String {
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{request}\n{}\n{}\n", headers.join("\n"), String::from_utf8_lossy(&request.body))
}

#[test]
fn each_call_is_the_documented_request() {
    let transport = Scripted::always(200, &[], "{}");
    let client = IotdaClient::new(&spec(&json!({"instanceId": "1c3b5f0a"})), access_key(), transport.clone());
    let requests: Vec<_> =
        calls().iter().flat_map(|call| client.render(call).unwrap()).map(|request| shown(&request)).collect();
    insta::assert_snapshot!(requests.join("\n"));
    assert!(transport.sent().is_empty(), "rendering sends nothing");
}

#[test]
fn the_document_key_is_the_one_that_the_manifest_names() {
    let spec = spec(&json!({"documentKey": "package_id"}));
    let client = IotdaClient::new(&spec, access_key(), Scripted::always(200, &[], "{}"));
    let request = client.render(&Call::CreateJob(job())).unwrap().remove(0);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["document"], json!({"package_id": PACKAGE}));
}

#[tokio::test]
async fn a_call_that_breaks_a_limit_is_never_sent() {
    let transport = Scripted::always(200, &[], "{}");
    let call = Call::StopJob { id: "task".into() };
    let error = perform(&transport, &call).await.unwrap_err();
    assert_eq!(error.to_string(), "StopJob: task_id: \"task\" contains 't'; use digits and a to f only");
    assert!(transport.sent().is_empty());
}
