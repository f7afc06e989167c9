//! A cloud of your own: `cargo run --example toy_cloud`.
//!
//! Rollwave reaches every cloud through one trait, [`Cloud`]. This example implements it for a cloud that is a struct in memory, gives it
//! to the engine together with an account, a package and a rollout, and prints what happens until every device runs the
//! new version. Time is virtual, so that hours pass in a moment.
//!
//! A real cloud renders calls to HTTP requests and reads the replies: see `src/cloud/` and "How to add a cloud" in CONTRIBUTING.md.
#![expect(clippy::print_stdout, reason = "an example prints")]

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Event, Kind, Object, ObjectKey, OtaCloud, READY, condition_is_true};
use rollwave::cloud::{
    ArtifactRef, Call, CallError, Capabilities, Cloud, CloudKind, Device, DeviceOutcome, DeviceResult,
    ErrorClass, Job, JobCounts, JobState, NewJob, NewPackage, Package, PackageRow, Page, Reply, WireRequest,
    defaults::capabilities_of,
};
use rollwave::engine::{
    Engine,
    ports::{Clock, Connector, NoFaults, Ports, Recorder, Rng, Sole},
};
use rollwave::source::manifest;
use rollwave::state::memory::Memory;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{error::Error, path::Path, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// The account names Huawei IoTDA, because a manifest needs a cloud that it knows; [`ToToy`] connects it to the toy.
const MANIFESTS: &str = r#"
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaCloud
metadata: {name: toy}
spec:
  huaweiIotda: {endpoint: "http://127.0.0.1:1", region: here, projectId: toy, appId: toy}
  credentials: {accessKey: "env:UNUSED", secretKey: "env:UNUSED"}
---
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaPackage
metadata: {name: lamp-v2}
spec:
  cloudRef: {name: toy}
  type: Firmware
  product: {id: lamp}
  version: V2
  artifact:
    sha256: abababababababababababababababababababababababababababababababab
    obs: {region: here, bucket: firmware, key: lamp-v2.bin}
---
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaRollout
metadata: {name: lamp-v2}
spec:
  packageRef: {name: lamp-v2}
  targets: {all: true}
  stages:
  - name: canary
    select: {count: 4}
    soak: 1h
    gates: [{name: all-well, outcome: {method: Ratio, minSuccess: 100%}}]
  - {name: rest, select: {rest: true}}
"#;

const PRODUCT: &str = "lamp";
const DEVICES: usize = 20;
/// A device takes one step of this length for each place it has in its job.
const STEP: SignedDuration = SignedDuration::from_mins(2);

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", run().await?);
    Ok(())
}

/// Runs the engine until the rollout is complete; returns its last message.
async fn run() -> Result<String, Box<dyn Error>> {
    let (objects, problems) = manifest::parse(Path::new("toy.yaml"), MANIFESTS);
    if let Some(problem) = problems.first() {
        return Err(problem.to_string().into());
    }
    let wanted: BTreeMap<ObjectKey, Object> =
        objects.into_iter().map(|sourced| (sourced.object.key(), sourced.object)).collect();

    let clock = Arc::new(VirtualClock::new());
    let store = Arc::new(Memory::default());
    let ports = Ports {
        clock: clock.clone(),
        rng: Arc::new(NoJitter),
        connector: Arc::new(ToToy(Arc::new(ToyCloud::new()))),
        leadership: Arc::new(Sole),
        recorder: Arc::new(Printer(clock.clone())),
        faults: Arc::new(NoFaults),
    };
    let mut engine = Engine::new(store.clone(), ports);
    engine.wake(store.apply_desired(&wanted, true, clock.now())?.changed).await?;

    let rollout = ObjectKey::new(Kind::OtaRollout, "default", "lamp-v2");
    let completes = async {
        loop {
            if let Some(object) = store.get(&rollout).filter(|object| is_ready(object)) {
                return Ok(object.message().to_owned());
            }
            engine.next().await?;
        }
    };
    timeout(Duration::from_hours(24), completes).await?
}

fn is_ready(object: &Object) -> bool {
    condition_is_true(object.conditions(), READY)
}

/// What the cloud holds.
#[derive(Default)]
struct Contents {
    packages: Vec<Package>,
    jobs: Vec<ToyJob>,
    /// The version that each device runs.
    devices: BTreeMap<String, String>,
}

struct ToyJob {
    id: String,
    order: NewJob,
    created_at: Timestamp,
}

struct ToyCloud {
    capabilities: Capabilities,
    contents: Mutex<Contents>,
}

/// A cloud answers calls; it declares what it lacks in its [`Capabilities`].
#[async_trait]
impl Cloud for ToyCloud {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// For `rollwave plan`. Nothing is sent here.
    fn render(&self, _: &Call) -> Result<Vec<WireRequest>, CallError> {
        Ok(Vec::new())
    }

    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Reply, CallError> {
        let mut contents = self.contents();
        contents.upgrade_devices(now);
        match call {
            Call::ListPackages { .. } => {
                let rows = contents.packages.iter().map(|package| package.row.clone());
                Ok(Reply::Packages(only_page(rows.collect())))
            }
            Call::ShowPackage { id } => {
                let found = contents.packages.iter().find(|package| package.row.id == *id);
                found.cloned().map(Reply::Package).ok_or_else(|| not_there(call))
            }
            Call::CreatePackage(order) => Ok(Reply::Package(contents.create_package(order, now))),
            Call::ListJobs { .. } => {
                Ok(Reply::Jobs(only_page(contents.jobs.iter().map(|job| job.show(now)).collect())))
            }
            Call::ShowJob { id } => Ok(Reply::Job(contents.job(id, call)?.show(now))),
            Call::ListJobDevices { id, .. } => {
                Ok(Reply::JobDevices(only_page(contents.job(id, call)?.results(now))))
            }
            Call::CreateJob(order) => Ok(Reply::Job(contents.create_job(order, now))),
            Call::ListDevices { .. } => {
                let devices = contents.devices.iter().map(|(id, version)| device(id, version));
                Ok(Reply::Devices(only_page(devices.collect())))
            }
            Call::ShowDevice { id, .. } => {
                let found = contents.devices.get(id).map(|version| device(id, version));
                found.map(Reply::Device).ok_or_else(|| not_there(call))
            }
            // A call that is never made here is refused, and not answered with something that is not true.
            _ => Err(CallError::new(ErrorClass::Invalid, call.operation(), "the toy cloud has no such call")),
        }
    }
}

impl ToyCloud {
    fn new() -> Self {
        let like_iotda = capabilities_of(CloudKind::HuaweiIotda, SignedDuration::from_secs(30));
        let capabilities = Capabilities { max_devices_per_job: 10, stops_jobs: false, ..like_iotda };
        let devices = (1..=DEVICES).map(|n| (format!("lamp-{n:02}"), "V1".to_owned())).collect();
        Self { capabilities, contents: Mutex::new(Contents { devices, ..Contents::default() }) }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    /// Devices whose time has come run the version of their job.
    fn upgrade_devices(&mut self, now: Timestamp) {
        for job in &self.jobs {
            for result in job.results(now) {
                if result.outcome == DeviceOutcome::Succeeded {
                    self.devices.insert(result.device, job.order.package.version.clone());
                }
            }
        }
    }

    fn create_package(&mut self, order: &NewPackage, now: Timestamp) -> Package {
        let row = PackageRow {
            id: format!("package-{}", self.packages.len() + 1),
            key: order.key.clone(),
            name: None,
            source_versions: order.source_versions.clone(),
            delta: order.delta,
            description: order.description.clone(),
            custom_info: order.custom_info.clone(),
            verification: None,
            created_at: Some(now),
        };
        let artifact: ArtifactRef = order.artifact.stored();
        let package = Package { row, artifact: Some(artifact) };
        self.packages.push(package.clone());
        package
    }

    fn create_job(&mut self, order: &NewJob, now: Timestamp) -> Job {
        let id = format!("job-{}", self.jobs.len() + 1);
        println!(
            "          cloud: {id} upgrades {} devices: {}",
            order.devices.len(),
            order.devices.join(" ")
        );
        let job = ToyJob { id, order: order.clone(), created_at: now };
        let shown = job.show(now);
        self.jobs.push(job);
        shown
    }

    fn job(&self, id: &str, call: &Call) -> Result<&ToyJob, CallError> {
        self.jobs.iter().find(|job| job.id == id).ok_or_else(|| not_there(call))
    }
}

impl ToyJob {
    /// What has become of each device by now: one after the other is upgraded, and none fails.
    fn results(&self, now: Timestamp) -> Vec<DeviceResult> {
        let mut done_at = self.created_at;
        let result = |device: &String| {
            done_at += STEP;
            let outcome = if done_at <= now { DeviceOutcome::Succeeded } else { DeviceOutcome::InFlight };
            DeviceResult { device: device.clone(), outcome, reason: None }
        };
        self.order.devices.iter().map(result).collect()
    }

    /// The job as lists show it. It carries the engine's token: that is how the job is found again after a lost answer.
    fn show(&self, now: Timestamp) -> Job {
        let results = self.results(now);
        let succeeded = results.iter().filter(|result| result.outcome == DeviceOutcome::Succeeded).count();
        let (total, succeeded) = (count(results.len()), count(succeeded));
        let counts = JobCounts { total, succeeded, in_flight: total - succeeded, ..JobCounts::default() };
        Job {
            id: self.id.clone(),
            token: Some(self.order.token.clone()),
            title: self.order.title.clone(),
            kind: self.order.kind(),
            module: None,
            package_ids: vec![self.order.package_id.clone()],
            devices: self.order.devices.clone(),
            delivery: None,
            state: if succeeded == total { JobState::Succeeded } else { JobState::Running },
            counts,
            created_at: Some(self.created_at),
        }
    }
}

fn device(id: &str, version: &str) -> Device {
    Device {
        id: id.to_owned(),
        product: PRODUCT.to_owned(),
        firmware: Some(version.to_owned()),
        software: None,
        online: Some(true),
        upgrading: None,
    }
}

/// A list that is short enough for one page.
fn only_page<T>(items: Vec<T>) -> Page<T> {
    Page { total: Some(items.len() as u64), items, next: None }
}

fn not_there(call: &Call) -> CallError {
    CallError::new(ErrorClass::NotFound, call.operation(), "there is no such thing in the toy cloud")
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Connects every account to the one toy cloud.
struct ToToy(Arc<ToyCloud>);

#[async_trait]
impl Connector for ToToy {
    async fn connect(&self, _: &OtaCloud) -> Result<Arc<dyn Cloud>, CallError> {
        Ok(self.0.clone())
    }
}

/// The paused time of tokio: it jumps to the next deadline whenever every task waits.
struct VirtualClock {
    start: Timestamp,
    began: Instant,
}

impl VirtualClock {
    fn new() -> Self {
        Self { start: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000), began: Instant::now() }
    }

    fn elapsed(&self) -> SignedDuration {
        self.now().duration_since(self.start)
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.start.saturating_add(self.began.elapsed()).unwrap_or(Timestamp::MAX)
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        while self.now() < deadline {
            let left = Duration::try_from(deadline.duration_since(self.now())).unwrap_or_default();
            // Timers of tokio are no finer than this.
            sleep(left.max(Duration::from_millis(1))).await;
        }
    }
}

/// Without jitter every run is the same.
struct NoJitter;

impl Rng for NoJitter {
    fn below(&self, bound: u64) -> u64 {
        bound / 2
    }
}

/// Prints the events of all objects, with the virtual time since the start.
struct Printer(Arc<VirtualClock>);

impl Recorder for Printer {
    fn record(&self, object: &Object, event: &Event) {
        let at = format!("{:#.0}", self.0.elapsed());
        println!("{at:>8}  {} {}: {}", object.key(), event.reason.as_str(), event.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rollout_completes_on_every_device() {
        let message = run().await.unwrap();
        assert!(message.starts_with("20 of 20 devices run V2"), "{message}");
    }
}
