//! No-op reconciles a second, and memory, with 10,000 packages in one account.
//!
//! `cargo bench --bench reconcile`. Not a criterion bench: the figures that matter are a rate and a size of one long-lived
//! process. They are taken twice: in the process that took everything over, and in one that begins with that state.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and dies of what is wrong")]

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Object, OtaCloud, OtaPackage};
use rollwave::cloud::{
    ArtifactRef, Call, CallError, Capabilities, Cloud, Cursor, ObsArtifact, Package, PackageKey, PackageKind,
    PackageRow, Page, Reply, WireRequest,
};
use rollwave::engine::Engine;
use rollwave::engine::ports::{Clock, Connector, NoFaults, Ports, Rng, Silent, Sole};
use rollwave::state::{Store as _, local::Local};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use std::{path::Path, process::Command};

const PACKAGES: usize = 10_000;
const ROUNDS: usize = 20;

/// Set for a process that begins with the state in this directory.
const RESTARTED: &str = "ROLLWAVE_BENCH_STATE";

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    if let Some(dir) = std::env::var_os(RESTARTED) {
        println!("after a restart, everything in place:");
        let store = Arc::new(Local::open(Path::new(&dir)).unwrap());
        return runtime.block_on(measure(store));
    }
    let dir = tempfile::tempdir().unwrap();
    println!("an empty state, {PACKAGES} packages in the cloud:");
    let store = Arc::new(Local::open(dir.path()).unwrap());
    want_packages(&store);
    runtime.block_on(measure(store));
    // Its workers hold the store, and the store the lock of the directory.
    drop(runtime);
    let own = std::env::current_exe().unwrap();
    assert!(Command::new(own).env(RESTARTED, dir.path()).status().unwrap().success());
}

fn want_packages(store: &Local) {
    let objects: BTreeMap<_, _> = std::iter::once(Object::Cloud(account()))
        .chain((0..PACKAGES).map(|n| Object::Package(package(n))))
        .map(|object| (object.key(), object))
        .collect();
    store.apply_desired(&objects, true, Timestamp::UNIX_EPOCH).unwrap();
}

async fn measure(store: Arc<Local>) {
    let clock = Arc::new(JumpingClock(Mutex::new(Timestamp::UNIX_EPOCH)));
    let ports = Ports {
        clock,
        rng: Arc::new(NoJitter),
        connector: Arc::new(ToFake),
        leadership: Arc::new(Sole),
        recorder: Arc::new(Silent),
        faults: Arc::new(NoFaults),
    };
    let mut engine = Engine::new(store.clone(), ports);
    let before = store.writes();
    let first = round(&mut engine, &store).await;
    let saved = store.writes() - before;
    println!("  first round: {first:.0} objects/s, {saved} statuses saved");
    let mut best: f64 = 0.0;
    for _ in 0..ROUNDS {
        best = best.max(round(&mut engine, &store).await);
    }
    assert_eq!(store.writes() - before, saved, "a round in which nothing changes writes nothing");
    println!("  no-op reconcile, best of {ROUNDS} rounds: {best:.0} objects/s (goal 50,000)");
    println!("  resident memory: {:.1} MB (goal 60)", resident_kib() / 1024.0);
}

async fn round(engine: &mut Engine, store: &Arc<Local>) -> f64 {
    let mut keys = store.keys().await.unwrap();
    keys.retain(|key| key.name != "account");
    let (count, began) = (keys.len(), Instant::now());
    engine.wake(keys).await.unwrap();
    for _ in 0..count {
        engine.next().await.unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = count as f64 / began.elapsed().as_secs_f64();
    rate
}

fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn account() -> OtaCloud {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaCloud", "metadata": {"name": "account"},
        "spec": {"huaweiIotda": {"endpoint": "http://127.0.0.1:1", "region": "r", "projectId": "p", "appId": "a"},
                 "credentials": {"accessKey": "env:AK", "secretKey": "env:SK"}}
    }))
    .unwrap()
}

fn package(n: usize) -> OtaPackage {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaPackage",
        "metadata": {"name": format!("meter-{n}")},
        "spec": {
            "cloudRef": {"name": "account"}, "type": "Firmware", "product": {"id": "meter"},
            "version": format!("V{n}"), "sourceVersions": ["V0"],
            "artifact": {"sha256": "a".repeat(64), "obs": {"region": "r", "bucket": "bucket", "key": "k.bin"}}
        }
    }))
    .unwrap()
}

struct FakeCloud(Capabilities);

impl FakeCloud {
    fn row(n: usize) -> PackageRow {
        PackageRow {
            id: format!("{n:032x}"),
            key: PackageKey {
                kind: PackageKind::Firmware,
                product: "meter".into(),
                version: format!("V{n}"),
                module: None,
            },
            name: None,
            source_versions: vec!["V0".into()],
            delta: false,
            description: None,
            custom_info: None,
            verification: None,
            created_at: None,
        }
    }
}

#[async_trait]
impl Cloud for FakeCloud {
    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    fn render(&self, _: &Call) -> Result<Vec<WireRequest>, CallError> {
        Ok(Vec::new())
    }

    async fn perform(&self, call: &Call, _: Timestamp) -> Result<Reply, CallError> {
        Ok(match call {
            Call::ListPackages { cursor, .. } => {
                let from = usize::try_from(cursor.seen).unwrap();
                let to = (from + 50).min(PACKAGES);
                let next = (to < PACKAGES).then_some(Cursor { seen: to as u64, ..Cursor::start() });
                Reply::Packages(Page { items: (from..to).map(Self::row).collect(), total: None, next })
            }
            Call::ShowPackage { id } => {
                let row = Self::row(usize::from_str_radix(id, 16).unwrap());
                let (region, bucket, key) = ("r".into(), "bucket".into(), "k.bin".into());
                let artifact =
                    ArtifactRef::Obs(ObsArtifact { region, bucket, key, sha256: Some("a".repeat(64)) });
                Reply::Package(Package { row, artifact: Some(artifact) })
            }
            Call::ListJobs { .. } => Reply::Jobs(Page { items: Vec::new(), total: Some(0), next: None }),
            other => panic!("nothing should call {other:?}"),
        })
    }
}

struct ToFake;

#[async_trait]
impl Connector for ToFake {
    async fn connect(&self, _: &OtaCloud) -> Result<Arc<dyn Cloud>, CallError> {
        Ok(Arc::new(FakeCloud(Capabilities {
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
            max_devices_per_job: 30_000,
            page_size: 50,
            device_pages: &[50],
            presence_page: 0,
            set_page: 50,
            lists_software: true,
            lists_jobs_by_package: false,
            shows_offline_after: Some(SignedDuration::ZERO),
            visibility_lag: SignedDuration::from_secs(30),
            request_deadline: SignedDuration::from_secs(90),
            package_deadline: SignedDuration::from_secs(90),
            requests_per_second: 1000,
            burst: 1000,
        })))
    }
}

/// Nobody waits here: time jumps to whatever is waited for, as long as that is soon.
struct JumpingClock(Mutex<Timestamp>);

#[async_trait]
impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        if deadline.duration_since(self.now()) > SignedDuration::from_secs(10) {
            return std::future::pending().await;
        }
        let mut now = self.0.lock().unwrap();
        *now = deadline.max(*now);
    }
}

struct NoJitter;

impl Rng for NoJitter {
    fn below(&self, _: u64) -> u64 {
        0
    }
}
