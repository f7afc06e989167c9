//! The judge: whatever stands in a spec and a status that can be read, it plans without a panic, says the same twice, and
//! what it says can be written down and read back. `KIND`, the spec, and the status.

use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Object, OtaPackage, OtaRollout};
use rollwave::cloud::{
    ArtifactRef, Capabilities, Device, DeviceOutcome, DeviceResult, Job, JobCounts, JobState, Package,
    PackageKey, PackageKind, PackageRow,
};
use rollwave::decide::clocks::{Clocks, CloudTime};
use rollwave::decide::explain::explain;
use rollwave::decide::{self, Action, Fleet, Labels, PackageView, RolloutView, Seen};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const STATUS: &str = "\n-----8<-----\n";

const LIMITS: Capabilities = Capabilities {
    cloud: rollwave::cloud::CloudKind::HuaweiIotda,
    creates_packages: true,
    uploads: rollwave::cloud::Uploads::Never,
    verifies: false,
    job_identity: rollwave::cloud::JobIdentity::Token,
    job_rows_lack: rollwave::cloud::RowsLack::Nothing,
    max_devices_per_question: 0,
    stops_jobs: true,
    stopped_jobs_hold: false,
    shows_devices: true,
    max_devices_per_job: 4,
    page_size: 50,
    device_pages: &[50],
    presence_page: 0,
    set_page: 50,
    lists_software: true,
    lists_jobs_by_package: false,
    shows_offline_after: Some(SignedDuration::ZERO),
    visibility_lag: SignedDuration::from_secs(10),
    request_deadline: SignedDuration::from_secs(30),
    package_deadline: SignedDuration::from_secs(30),
    requests_per_second: 10,
    burst: 10,
};

pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (kind, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let (spec, status) = rest.split_once(STATUS).unwrap_or((rest, "null"));
    match kind.trim() {
        "OtaPackage" => read(spec, status).iter().for_each(check_package),
        "OtaRollout" => read(spec, status).iter().for_each(check_rollout),
        _ => {}
    }
}

fn read<T: DeserializeOwned>(spec: &str, status: &str) -> Option<T> {
    let mut object: Value = serde_json::from_str(spec).ok()?;
    object.as_object_mut()?.insert("status".to_owned(), serde_json::from_str(status).ok()?);
    serde_json::from_value(object).ok()
}

fn now() -> Timestamp {
    "2026-01-01T02:00:00Z".parse().unwrap()
}

fn check_package(package: &OtaPackage) {
    let jobs = jobs();
    let view = PackageView {
        object: package,
        capabilities: &LIMITS,
        packages: Some(Seen { at: now(), value: vec![the_package()] }),
        jobs: Some(Seen { at: now(), value: jobs.iter().collect() }),
        devices: Some(Seen { at: now(), value: devices() }),
        results: results(),
        unasked_jobs: 0,
        now: now(),
    };
    let plan = decide::package::plan(&view);
    assert_eq!(plan, decide::package::plan(&view), "the same twice");
    check_orders(&plan.actions);
    let planned = OtaPackage { status: Some(plan.status), ..package.clone() };
    survives(&planned);
    let object = Object::Package(planned);
    let said = explain(&object, std::slice::from_ref(&object), now());
    assert!(said.object.starts_with("OtaPackage/"));
}

fn check_rollout(rollout: &OtaRollout) {
    let (jobs, devices, package) = (jobs(), devices(), ready_package());
    let view = RolloutView {
        object: rollout,
        package: Some(&package),
        capabilities: Some(&LIMITS),
        fleet: Some(Seen {
            at: now(),
            value: Fleet { devices: &devices, sets: decide::sets::Sets::default(), labels: Labels::new() },
        }),
        jobs: Some(Seen { at: now(), value: jobs.iter().collect() }),
        results: results(),
        unasked_jobs: 0,
        refusal: None,
        package_is_invalid: false,
        package_of_run: None,
        rivals: Vec::new(),
        now: now(),
        clocks: Clocks {
            steady_since: now(),
            boot: None,
            cloud: Some(CloudTime { earliest: now(), latest: now() }),
        },
    };
    let plan = decide::rollout::plan(&view);
    assert_eq!(plan, decide::rollout::plan(&view), "the same twice");
    check_orders(&plan.actions);
    let planned = OtaRollout { status: Some(plan.status), ..rollout.clone() };
    survives(&planned);
    let object = Object::Rollout(planned);
    let said = explain(&object, &[object.clone(), Object::Package(package)], now());
    assert!(said.object.starts_with("OtaRollout/"));
}

/// What cannot be written down and read back would make the whole state unreadable.
fn survives<T: Serialize + DeserializeOwned>(object: &T) {
    let text = serde_json::to_string(object).expect("it can be written");
    let again: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
}

/// No job without devices, with too many, or with one twice.
fn check_orders(actions: &[Action]) {
    for action in actions {
        if let Action::CreateJob { job, .. } = action {
            let sorted = job.devices.is_sorted_by(|a, b| a < b);
            let fits = (1..=LIMITS.max_devices_per_job).contains(&job.devices.len());
            assert!(sorted && fits && !job.token.is_empty(), "{job:?}");
        }
    }
}

fn ready_package() -> OtaPackage {
    let package = json!({
        "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaPackage",
        "metadata": {"name": "p", "uid": "p-uid", "generation": 1},
        "spec": {
            "cloudRef": {"name": "lab"}, "type": "Firmware", "product": {"id": "meter"}, "version": "V2",
            "artifact": {"sha256": "ab".repeat(32), "obs": {"region": "r", "bucket": "fw", "key": "v2.bin"}},
        },
    });
    let mut package: OtaPackage = serde_json::from_value(package).unwrap();
    for _ in 0..2 {
        let view = PackageView {
            object: &package,
            capabilities: &LIMITS,
            packages: Some(Seen { at: now(), value: vec![the_package()] }),
            jobs: Some(Seen { at: now(), value: vec![] }),
            devices: None,
            results: BTreeMap::new(),
            unasked_jobs: 0,
            now: now(),
        };
        package.status = Some(decide::package::plan(&view).status);
    }
    package
}

fn the_package() -> Package {
    let key = PackageKey {
        kind: PackageKind::Firmware,
        product: "meter".into(),
        version: "V2".into(),
        module: None,
    };
    let row = PackageRow {
        id: "pkg-1".into(),
        key,
        name: None,
        source_versions: vec![],
        delta: false,
        description: None,
        custom_info: None,
        verification: None,
        created_at: Some(now()),
    };
    let artifact = ArtifactRef::Obs(rollwave::cloud::ObsArtifact {
        region: "r".into(),
        bucket: "fw".into(),
        key: "v2.bin".into(),
        sha256: Some("ab".repeat(32)),
    });
    Package { row, artifact: Some(artifact) }
}

fn devices() -> BTreeMap<String, Device> {
    let device = |n: usize| Device {
        id: format!("{}", ('a'..'m').nth(n).unwrap_or('z')),
        product: "meter".into(),
        firmware: ["V1", "V2", "V3"].get(n % 4).map(|version| (*version).to_owned()),
        software: None,
        online: Some(n.is_multiple_of(3)),
        upgrading: None,
    };
    (0..12).map(device).map(|device| (device.id.clone(), device)).collect()
}

fn jobs() -> Vec<Job> {
    let states = [JobState::Running, JobState::Succeeded, JobState::Unknown("Odd".into())];
    let job = |(n, state): (usize, JobState)| Job {
        id: format!("job-{}", n + 1),
        token: Some(
            format!("{}0123456789abcde", if n == 0 { "" } else { "f" }) + if n == 0 { "f" } else { "" },
        ),
        title: "r/canary".into(),
        kind: PackageKind::Firmware,
        module: None,
        package_ids: vec!["pkg-1".into()],
        devices: vec!["a".into(), "b".into()],
        delivery: None,
        state,
        counts: JobCounts { total: 2, in_flight: 1, failed: 1, ..JobCounts::default() },
        created_at: Some(now()),
    };
    states.into_iter().enumerate().map(job).collect()
}

fn results() -> BTreeMap<String, Vec<DeviceResult>> {
    let failed =
        DeviceResult { device: "b".into(), outcome: DeviceOutcome::Failed, reason: Some("no space".into()) };
    BTreeMap::from([("job-1".to_owned(), vec![failed])])
}
