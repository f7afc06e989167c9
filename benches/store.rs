//! The state home with 10,000 objects: time of what happens all the time, and the memory it costs.
//!
//! `cargo bench --bench store`
#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group};
use futures::FutureExt as _;
use jiff::Timestamp;
use rollwave::{
    api::{Object, ObjectKey, OtaPackageStatus},
    state::{Store as _, local::Local},
};
use serde_json::json;
use std::{collections::BTreeMap, fs, hint::black_box, path::Path, process::Command};
use tempfile::TempDir;

const OBJECTS: usize = 10_000;

fn package(number: usize) -> Object {
    let manifest = json!({
        "apiVersion": "ota.rollwave.dev/v1alpha1",
        "kind": "OtaPackage",
        "metadata": {
            "name": format!("meter-{number:05}"),
            "annotations": {"rollwave.dev/source-file": format!("fleet/meter-{number:05}.yaml")},
        },
        "spec": {
            "cloudRef": {"name": "factory"},
            "type": "Firmware",
            "product": {"id": "5f1e2d3c4b5a69788796a5b4"},
            "version": format!("V{number}"),
            "sourceVersions": ["V1.0", "V1.1"],
            "artifact": {
                "sha256": format!("{number:064x}"),
                "obs": {"region": "cn-north-4", "bucket": "firmware", "key": format!("meter/{number}.bin")},
            },
            "verification": {"devices": ["meter_0001", "meter_0002"]},
        },
    });
    Object::Package(serde_json::from_value(manifest).unwrap())
}

/// As after a reconcile: two conditions, a message, one decision.
fn reconciled(object: &Object) -> Object {
    let condition = |name: &str| {
        json!({
            "type": name, "status": "True", "reason": "InSync", "message": "the cloud holds what the spec says",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let status = json!({
        "observedGeneration": 1,
        "conditions": [condition("InSync"), condition("Ready")],
        "message": "the cloud holds what the spec says",
        "packageId": "5f1e2d3c4b5a69788796a5b45f1e2d3c",
        "origin": "Created",
        "comparedRow": "0123456789abcdef",
        "decisions": [{"at": "2026-01-01T00:00:00Z", "rule": "Created", "message": "created the package"}],
    });
    let mut object = object.clone();
    if let Object::Package(o) = &mut object {
        o.status = Some(serde_json::from_value::<OtaPackageStatus>(status).unwrap());
    }
    object
}

fn manifests() -> BTreeMap<ObjectKey, Object> {
    (0..OBJECTS).map(package).map(|object| (object.key(), object)).collect()
}

fn answer<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("it never waits")
}

fn filled(desired: &BTreeMap<ObjectKey, Object>) -> (TempDir, Local) {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    local.apply_desired(desired, true, Timestamp::UNIX_EPOCH).unwrap();
    (dir, local)
}

/// Resident memory of this process in KiB (Linux).
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Set for a process that opens this directory, says what that costs, and ends.
const MEASURE: &str = "ROLLWAVE_BENCH_STATE";

fn measure(dir: &Path) {
    let before = resident();
    let local = Local::open(dir).unwrap();
    let count = answer(local.keys()).unwrap().len();
    println!("resident with {count} objects and their statuses: {} KiB, {before} KiB before", resident());
}

/// Memory is that of a process of its own: what the benchmark allocates does not count.
fn memory(_: &mut Criterion) {
    let (dir, local) = filled(&manifests());
    for key in answer(local.keys()).unwrap() {
        let object = answer(local.load(&key)).unwrap().unwrap();
        answer(local.save_status(&reconciled(&object))).unwrap();
    }
    drop(local);
    let own = std::env::current_exe().unwrap();
    let status = Command::new(own).env(MEASURE, dir.path()).status().unwrap();
    assert!(status.success());
}

fn store(criterion: &mut Criterion) {
    let desired = manifests();
    let mut group = criterion.benchmark_group("store of 10,000 objects");
    group.sample_size(10);
    group.bench_function("apply to an empty state", |bencher| {
        bencher.iter_batched(
            || {
                let dir = TempDir::new().unwrap();
                let local = Local::open(dir.path()).unwrap();
                (dir, local)
            },
            |(dir, local)| {
                local.apply_desired(&desired, true, Timestamp::UNIX_EPOCH).unwrap();
                (dir, local)
            },
            BatchSize::PerIteration,
        );
    });
    let (dir, local) = filled(&desired);
    group.bench_function("apply again, nothing changed", |bencher| {
        bencher.iter(|| local.apply_desired(&desired, true, Timestamp::UNIX_EPOCH).unwrap());
    });
    let keys = answer(local.keys()).unwrap();
    group.bench_function("load every object", |bencher| {
        bencher.iter(|| {
            for key in &keys {
                black_box(answer(local.load(key)).unwrap());
            }
        });
    });
    let object = answer(local.load(&keys[0])).unwrap().unwrap();
    let object = reconciled(&object);
    answer(local.save_status(&object)).unwrap();
    group.bench_function("save one status, equal", |bencher| {
        bencher.iter(|| answer(local.save_status(&object)).unwrap());
    });
    drop(local);
    group.bench_function("open", |bencher| bencher.iter(|| Local::open(dir.path()).unwrap()));
    group.finish();
}

criterion_group!(benches, memory, store);

fn main() {
    match std::env::var_os(MEASURE) {
        Some(dir) => measure(Path::new(&dir)),
        None => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
