//! A fleet whose list takes minutes to read within the budget.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Budget, Object, ObjectKey, OtaCloud, OtaPackage};
use rollwave::cloud::{
    Call, CallError, Capabilities, Cloud, Cursor, Device, Job, JobCounts, JobState, Package, PackageRow,
    Page, Reply, WireRequest,
};
use rollwave::engine::Engine;
use rollwave::engine::ports::{Clock, Connector, NoFaults, Ports, Rng, Silent, Sole};
use rollwave::state::{Store as _, memory::Memory};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

const DEVICES: u64 = 30_001;
const PAGE: u64 = 50;

#[tokio::test]
async fn a_fleet_that_takes_minutes_to_read_is_read_a_few_times_and_sent_every_chunk() {
    let (mut engine, cloud, store) = engine();
    engine.wake(store.keys().await.unwrap()).await.unwrap();
    while cloud.made.lock().unwrap().jobs.len() < 2 {
        engine.next().await.unwrap();
        let calls = cloud.made.lock().unwrap().lists_of_devices;
        assert!(calls <= 3 * DEVICES.div_ceil(PAGE), "{calls} calls, and no job yet");
    }
    let made = cloud.made.lock().unwrap();
    assert_eq!(made.jobs.iter().map(|job| job.devices.len()).collect::<Vec<_>>(), [30_000, 1]);
}

#[tokio::test]
async fn a_new_package_does_not_wait_for_a_fleet_that_is_being_read() {
    let (mut engine, cloud, store) = engine();
    engine.wake(store.keys().await.unwrap()).await.unwrap();
    loop {
        tokio::select! {
            biased;
            () = cloud.hundredth_list.notified() => break,
            report = engine.next() => drop(report.unwrap()),
        }
    }
    let mut all = objects();
    let urgent = package("urgent", "V9");
    all.insert(urgent.key(), urgent.clone());
    store.apply_desired(&all, true, Timestamp::UNIX_EPOCH).unwrap();
    engine.wake([urgent.key()]).await.unwrap();
    while engine.next().await.unwrap().key != urgent.key() {}
    let made = cloud.made.lock().unwrap();
    let lists_before = made.created_after["V9"];
    assert!((100..105).contains(&lists_before), "created after {lists_before} of 601 lists of devices");
}

#[tokio::test]
#[should_panic(expected = "PoisonError")]
async fn what_breaks_the_work_on_an_account_is_not_silent() {
    let (mut engine, cloud, store) = engine();
    let breaks = std::thread::spawn(move || {
        let _made = cloud.made.lock().unwrap();
        panic!("whoever looks into this cloud now panics, too");
    });
    assert!(breaks.join().is_err());
    engine.wake(store.keys().await.unwrap()).await.unwrap();
    loop {
        engine.next().await.unwrap();
    }
}

#[tokio::test]
async fn an_account_whose_call_never_ends_is_told_of() {
    let (mut engine, cloud, store) = engine();
    cloud.hangs.store(true, Ordering::Relaxed);
    engine.wake(store.keys().await.unwrap()).await.unwrap();
    tokio::select! {
        biased;
        report = engine.next() => panic!("{:?}", report.unwrap()),
        () = cloud.hangs_now.notified() => {}
    }
    assert_eq!(engine.overdue(), None);
    cloud.clock.sleep_until(Timestamp::from_second(2 * 3_600).unwrap()).await;
    assert_eq!(engine.overdue().unwrap().to_string(), "OtaCloud/it");
}

/// When the first job is created, in seconds, while its stage may be sent for so long from midnight on.
async fn first_job_at(open_secs: i64) -> i64 {
    let (mut all, day) = (objects(), rollwave::api::Period::hours(24).as_secs());
    for object in all.values_mut() {
        match object {
            Object::Cloud(cloud) => {
                cloud.spec.budget = Some(Budget { requests_per_second: 1, burst: 1 });
                cloud.spec.drift_interval = rollwave::api::Period::seconds(day);
            }
            Object::Rollout(rollout) => {
                let window =
                    json!({"start": "00:00", "duration": format!("{open_secs}s"), "timeZone": "UTC"});
                rollout.spec.stages[0].windows = vec![serde_json::from_value(window).unwrap()];
            }
            Object::Package(_) => {}
        }
    }
    let (mut engine, cloud, store) = engine_of(&all);
    engine.wake(store.keys().await.unwrap()).await.unwrap();
    while cloud.made.lock().unwrap().jobs.is_empty() {
        engine.next().await.unwrap();
    }
    let made = cloud.made.lock().unwrap();
    made.jobs[0].created_at.unwrap().as_second()
}

#[tokio::test]
async fn a_job_that_had_to_wait_for_the_budget_until_its_window_closed_is_not_sent() {
    let free = first_job_at(9_000).await;
    assert!((601..9_000).contains(&free), "{free}: a call a second, and 601 lists of devices");
    // The budget is spent one second before, and the job may leave just when the window closes.
    let late = first_job_at(free).await;
    assert!((86_400..86_400 + free).contains(&late), "sent at {late}");
}

/// An engine over a slow cloud, in which nothing was done yet.
fn engine() -> (Engine, Arc<SlowCloud>, Arc<Memory>) {
    engine_of(&objects())
}

fn engine_of(objects: &BTreeMap<ObjectKey, Object>) -> (Engine, Arc<SlowCloud>, Arc<Memory>) {
    let clock = Arc::new(JumpingClock(Mutex::new(Timestamp::UNIX_EPOCH)));
    let cloud = Arc::new(SlowCloud {
        limits: limits(),
        made: Mutex::default(),
        hundredth_list: Notify::new(),
        clock: clock.clone(),
        hangs: AtomicBool::new(false),
        hangs_now: Notify::new(),
    });
    let store = Arc::new(Memory::default());
    store.apply_desired(objects, true, clock.now()).unwrap();
    let connector = Arc::new(To(cloud.clone()));
    let ports = Ports {
        clock,
        rng: Arc::new(NoJitter),
        connector,
        leadership: Arc::new(Sole),
        recorder: Arc::new(Silent),
        faults: Arc::new(NoFaults),
    };
    (Engine::new(store.clone(), ports), cloud, store)
}

fn objects() -> BTreeMap<ObjectKey, Object> {
    let budget = json!({"requestsPerSecond": 2, "burst": 2});
    let cloud: OtaCloud = object(
        "OtaCloud",
        &json!({
            "huaweiIotda": {"endpoint": "http://127.0.0.1:1", "region": "r", "projectId": "p", "appId": "a"},
            "credentials": {"accessKey": "env:AK", "secretKey": "env:SK"}, "budget": budget
        }),
    );
    let rollout = object(
        "OtaRollout",
        &json!({
            "packageRef": {"name": "it"}, "targets": {"all": true},
            "stages": [{"name": "everyone", "select": {"rest": true}}]
        }),
    );
    let all = [Object::Cloud(cloud), package("it", "V2"), Object::Rollout(rollout)];
    all.map(|object| (object.key(), object)).into()
}

fn package(name: &str, version: &str) -> Object {
    let mut package: OtaPackage = object(
        "OtaPackage",
        &json!({
            "cloudRef": {"name": "it"}, "type": "Firmware", "product": {"id": "meter"}, "version": version,
            "artifact": {"sha256": "a".repeat(64), "obs": {"region": "r", "bucket": "bucket", "key": "k.bin"}}
        }),
    );
    package.metadata.name = Some(name.to_owned());
    Object::Package(package)
}

fn object<T: serde::de::DeserializeOwned>(kind: &str, spec: &Value) -> T {
    let api = "ota.rollwave.dev/v1alpha1";
    serde_json::from_value(json!({"apiVersion": api, "kind": kind, "metadata": {"name": "it"}, "spec": spec}))
        .unwrap()
}

fn limits() -> Capabilities {
    Capabilities {
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
        requests_per_second: 10,
        burst: 10,
    }
}

#[derive(Default)]
struct Made {
    packages: BTreeMap<String, Package>,
    jobs: Vec<Job>,
    lists_of_devices: u64,
    /// Lists of devices that had been read when the package of a version was created.
    created_after: BTreeMap<String, u64>,
}

struct SlowCloud {
    limits: Capabilities,
    made: Mutex<Made>,
    hundredth_list: Notify,
    clock: Arc<JumpingClock>,
    /// Nothing is answered.
    hangs: AtomicBool,
    hangs_now: Notify,
}

fn page<T>(items: Vec<T>, next: Option<Cursor>) -> Page<T> {
    Page { items, total: None, next }
}

fn devices(from: u64) -> Page<Device> {
    let to = (from + PAGE).min(DEVICES);
    let device = |n: u64| Device {
        id: format!("d-{n:05}"),
        product: "meter".into(),
        firmware: Some("V1".into()),
        software: None,
        online: Some(true),
        upgrading: None,
    };
    page((from..to).map(device).collect(), (to < DEVICES).then_some(Cursor { seen: to, ..Cursor::start() }))
}

#[async_trait]
impl Cloud for SlowCloud {
    fn capabilities(&self) -> &Capabilities {
        &self.limits
    }

    fn render(&self, _: &Call) -> Result<Vec<WireRequest>, CallError> {
        Ok(Vec::new())
    }

    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Reply, CallError> {
        if self.hangs.load(Ordering::Relaxed) {
            self.hangs_now.notify_one();
            std::future::pending::<()>().await;
        }
        let mut made = self.made.lock().unwrap();
        Ok(match call {
            Call::ListPackages { exactly, .. } => {
                let rows = made.packages.values().map(|package| package.row.clone());
                let rows = rows.filter(|row| exactly.as_ref().is_none_or(|key| row.key == *key));
                Reply::Packages(page(rows.collect(), None))
            }
            Call::ShowPackage { id } => Reply::Package(made.packages[id].clone()),
            Call::CreatePackage(new) => {
                let version = new.key.version.clone();
                let lists = made.lists_of_devices;
                made.created_after.insert(version.clone(), lists);
                let row = PackageRow {
                    id: version.clone(),
                    key: new.key.clone(),
                    name: None,
                    source_versions: Vec::new(),
                    delta: false,
                    description: None,
                    custom_info: None,
                    verification: None,
                    created_at: None,
                };
                let package = Package { row, artifact: Some(new.artifact.stored()) };
                made.packages.insert(version, package.clone());
                Reply::Package(package)
            }
            Call::ListJobs { .. } => Reply::Jobs(page(made.jobs.clone(), None)),
            Call::ShowJob { id } => Reply::Job(made.jobs.iter().find(|job| job.id == *id).unwrap().clone()),
            Call::CreateJob(new) => {
                let total = u32::try_from(new.devices.len()).unwrap();
                let job = Job {
                    id: format!("job-{}", made.jobs.len()),
                    token: Some(new.token.clone()),
                    kind: new.kind(),
                    module: None,
                    title: new.title.clone(),
                    package_ids: vec![new.package_id.clone()],
                    state: JobState::Running,
                    counts: JobCounts { total, queued: total, ..JobCounts::default() },
                    devices: new.devices.clone(),
                    delivery: None,
                    created_at: Some(now),
                };
                made.jobs.push(job.clone());
                Reply::Job(job)
            }
            Call::ListDevices { cursor, .. } => {
                made.lists_of_devices += 1;
                if made.lists_of_devices == 100 {
                    self.hundredth_list.notify_one();
                }
                Reply::Devices(devices(cursor.seen))
            }
            other => panic!("nothing should call {other:?}"),
        })
    }
}

struct To(Arc<SlowCloud>);

#[async_trait]
impl Connector for To {
    async fn connect(&self, _: &OtaCloud) -> Result<Arc<dyn Cloud>, CallError> {
        Ok(self.0.clone())
    }
}

/// Nobody waits here: time jumps to whatever is waited for.
struct JumpingClock(Mutex<Timestamp>);

#[async_trait]
impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        tokio::task::yield_now().await;
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
