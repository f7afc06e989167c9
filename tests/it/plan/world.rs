//! A tiny cloud around the judge: devices, jobs, and an engine that does what a plan says.

use jiff::{SignedDuration, Timestamp};
use rollwave::api::{OtaPackage, OtaPackageStatus, OtaRollout, OtaRolloutStatus, Request};
use rollwave::cloud::{
    Capabilities, Device, DeviceOutcome, DeviceResult, DeviceSet, Job, JobCounts, JobState, NewJob,
    NewPackage, Package, PackageRow,
};
use rollwave::decide::clocks::Clocks;
use rollwave::decide::ownership::Rival;
use rollwave::decide::sets::Sets;
use rollwave::decide::{
    self, Action, Fleet, Labels, PackageView, Plan, Requeue, RolloutView, Seen, confirm, needs,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub const CAPABILITIES: Capabilities = Capabilities {
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
    visibility_lag: SignedDuration::from_secs(10),
    request_deadline: SignedDuration::from_secs(30),
    package_deadline: SignedDuration::from_secs(30),
    requests_per_second: 10,
    burst: 10,
};

/// What becomes of a device in a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Succeeds,
    Fails,
    TimesOut,
    /// The cloud gives it up because it stays offline.
    NeverOnline,
    /// The cloud says success, but the version stays.
    Lies,
    /// Waits for ever.
    Sleeps,
    /// Begins, and never ends.
    Hangs,
}

/// The cloud, the objects, and the time.
#[derive(Clone)]
pub struct World {
    pub package: OtaPackage,
    pub package_is_gone: bool,
    pub rollout: OtaRollout,
    /// Other rollouts of the account, with their packages.
    pub rivals: Vec<(OtaRollout, OtaPackage)>,
    pub capabilities: Capabilities,
    pub devices: BTreeMap<String, Device>,
    /// Sets of devices that the cloud keeps, and why others cannot be read.
    pub sets: BTreeMap<DeviceSet, BTreeSet<String>>,
    pub unread: BTreeMap<DeviceSet, String>,
    /// Groups and tags of devices.
    pub labels: Labels,
    pub packages: Vec<Package>,
    pub jobs: Vec<Job>,
    /// Outcome of every device of a job.
    pub outcomes: BTreeMap<String, BTreeMap<String, (DeviceOutcome, &'static str)>>,
    /// External jobs that the engine did not query because they are too many.
    pub unasked_jobs: usize,
    pub now: Timestamp,
    pub clocks: Clocks,
    pub created: u32,
    /// Jobs that lists do not show.
    pub hidden: Vec<String>,
}

impl World {
    /// A package that is ready, and a rollout of it to `devices` devices on V1.
    pub fn new(devices: u32, rollout: Value) -> Self {
        let mut world = Self::with_package(devices, json!({}), rollout);
        world.make_ready();
        world
    }

    pub fn with_package(devices: u32, package: Value, rollout: Value) -> Self {
        let mut spec = json!({
            "cloudRef": {"name": "lab"}, "type": "Firmware", "product": {"id": "meter"}, "version": "V2",
            "artifact": {
                "sha256": "ab".repeat(32), "obs": {"region": "r", "bucket": "fw", "key": "v2.bin"}
            }
        });
        merge(&mut spec, package);
        let mut rollout_spec = json!({
            "packageRef": {"name": "meter-v2"}, "targets": {"all": true}, "stop": [],
            "stages": [{
                "name": "canary", "select": {"count": 10},
                "gates": [{"name": "proven", "outcome": {"method": "Ratio", "minSuccess": "90%", "minObserved": "80%"}}]
            }]
        });
        merge(&mut rollout_spec, rollout);
        let devices = (0..devices).map(|n| device(&format!("dev-{n:03}"), "V1"));
        Self {
            package: object("OtaPackage", "meter-v2", "p-uid", &spec),
            package_is_gone: false,
            rollout: object("OtaRollout", "meter", "r-uid", &rollout_spec),
            rivals: Vec::new(),
            capabilities: CAPABILITIES,
            devices: devices.map(|d| (d.id.clone(), d)).collect(),
            sets: BTreeMap::new(),
            unread: BTreeMap::new(),
            labels: Labels::new(),
            packages: Vec::new(),
            jobs: Vec::new(),
            outcomes: BTreeMap::new(),
            now: Timestamp::from_second(1_700_000_000).unwrap(),
            clocks: Clocks::STEADY,
            unasked_jobs: 0,
            created: 0,
            hidden: Vec::new(),
        }
    }

    /// Lets the package be created, which verifies it at once when no verification is requested.
    pub fn make_ready(&mut self) {
        self.reconcile_package();
        self.reconcile_package();
        assert!(needs::is_dispatchable(&self.package), "{:?}", self.package.status);
    }

    pub fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub fn rollout_status(&self) -> OtaRolloutStatus {
        self.rollout.status.clone().unwrap_or_default()
    }

    pub fn edit_rollout(&mut self, edit: impl FnOnce(&mut OtaRollout)) {
        edit(&mut self.rollout);
        let generation = self.rollout.metadata.generation.unwrap_or(0);
        self.rollout.metadata.generation = Some(generation + 1);
    }

    /// Asks for something now.
    pub fn ask(&mut self, request: Request) {
        let annotations = self.rollout.metadata.annotations.get_or_insert_default();
        for (name, value) in request.changes(&self.now.to_string()) {
            match value {
                Some(value) => drop(annotations.insert(name.to_owned(), value)),
                None => drop(annotations.remove(name)),
            }
        }
    }

    pub fn delete_rollout(&mut self) {
        self.rollout.metadata.deletion_timestamp = Some(rollwave::api::Time(self.now));
    }

    fn visible(&self) -> Vec<&Job> {
        self.jobs.iter().filter(|job| !self.hidden.contains(&job.id)).collect()
    }

    fn results(&self) -> BTreeMap<String, Vec<DeviceResult>> {
        let rows = |job: &Job| {
            let wanted = needs::outcomes_needed(job);
            let all = self.outcomes[&job.id].iter().filter(|(_, (outcome, _))| wanted.contains(outcome));
            let rows = all.map(|(device, (outcome, reason))| DeviceResult {
                device: device.clone(),
                outcome: outcome.clone(),
                reason: Some((*reason).to_owned()),
            });
            (job.id.clone(), rows.collect::<Vec<_>>())
        };
        self.jobs.iter().map(rows).collect()
    }

    pub fn rivals(&self) -> Vec<Rival<'_>> {
        self.rivals.iter().map(|(rollout, package)| Rival { rollout, package, members: None }).collect()
    }

    /// Another rollout of all devices to this version.
    pub fn add_rival(&mut self, name: &str, version: &str) -> &mut (OtaRollout, OtaPackage) {
        let (mut rollout, mut package) = (self.rollout.clone(), self.package.clone());
        (rollout.metadata.name, rollout.metadata.uid) = (Some(name.to_owned()), Some(format!("{name}-uid")));
        rollout.status = None;
        version.clone_into(&mut package.spec.version);
        self.rivals.push((rollout, package));
        self.rivals.last_mut().unwrap()
    }

    /// What was read of the sets.
    pub fn sets(&self) -> Sets<'_> {
        let read = self.sets.iter().filter(|(set, _)| !self.unread.contains_key(set));
        Sets { read: read.map(|(set, ids)| (set.clone(), ids)).collect(), unread: self.unread.clone() }
    }

    pub fn plan_rollout(&self) -> Plan<OtaRolloutStatus> {
        let sets = self.sets();
        decide::rollout::plan(&RolloutView {
            object: &self.rollout,
            package: Some(&self.package).filter(|_| !self.package_is_gone),
            package_of_run: Some(&self.package),
            capabilities: Some(&self.capabilities),
            fleet: Some(Seen {
                at: self.now,
                value: Fleet { devices: &self.devices, sets, labels: self.labels.clone() },
            }),
            jobs: Some(Seen { at: self.now, value: self.visible() }),
            results: self.results(),
            unasked_jobs: self.unasked_jobs,
            refusal: None,
            package_is_invalid: false,
            rivals: self.rivals(),
            now: self.now,
            clocks: self.clocks,
        })
    }

    pub fn plan_package(&self) -> Plan<OtaPackageStatus> {
        let key = needs::package_key(&self.package);
        let same_key = self.packages.iter().filter(|package| package.row.key == key).cloned();
        decide::package::plan(&PackageView {
            object: &self.package,
            capabilities: &self.capabilities,
            packages: Some(Seen { at: self.now, value: same_key.collect() }),
            jobs: Some(Seen { at: self.now, value: self.visible() }),
            devices: Some(Seen { at: self.now, value: self.devices.clone() }),
            results: self.results(),
            unasked_jobs: self.unasked_jobs,
            now: self.now,
        })
    }

    /// One pass of the engine: plan, write the status, act up to the first creating action.
    pub fn reconcile(&mut self) -> Plan<OtaRolloutStatus> {
        let plan = self.plan_rollout();
        self.rollout.status = Some(plan.status.clone());
        for action in &plan.actions {
            match action {
                Action::CreateJob { stage, job } => {
                    let id = self.create_job(job);
                    let status = self.rollout.status.as_mut().unwrap();
                    confirm::job_created(status, stage.as_deref().unwrap(), job, &id, self.now);
                    break;
                }
                Action::StopJob { id } => self.stop(id),
                Action::DeleteJob { id } => self.jobs.retain(|job| job.id != *id),
                Action::Release => {}
                other => panic!("a rollout does not do that: {other:?}"),
            }
        }
        plan
    }

    pub fn reconcile_package(&mut self) -> Plan<OtaPackageStatus> {
        let plan = self.plan_package();
        let mut status = plan.status.clone();
        for action in &plan.actions {
            match action {
                Action::CreatePackage { token, package } => {
                    let id = self.create_package(package);
                    confirm::package_created(&mut status, token, &id, self.now);
                    break;
                }
                Action::DeletePackage { id } => self.packages.retain(|package| package.row.id != *id),
                Action::CreateJob { job, .. } => {
                    let id = self.create_job(job);
                    confirm::verify_job_created(&mut status, &job.token, &id, self.now);
                    break;
                }
                Action::StopJob { id } => self.stop(id),
                Action::DeleteJob { id } => self.jobs.retain(|job| job.id != *id),
                Action::Release => {}
            }
        }
        self.package.status = Some(status);
        plan
    }

    pub fn create_package(&mut self, new: &NewPackage) -> String {
        self.created += 1;
        let id = format!("pkg-{}", self.created);
        let row = PackageRow {
            id: id.clone(),
            key: new.key.clone(),
            name: None,
            source_versions: new.source_versions.clone(),
            delta: false,
            description: new.description.clone(),
            custom_info: new.custom_info.clone(),
            verification: None,
            created_at: Some(self.now),
        };
        self.packages.push(Package { row, artifact: Some(new.artifact.stored()) });
        id
    }

    pub fn create_job(&mut self, new: &NewJob) -> String {
        self.created += 1;
        let id = format!("job-{}", self.created);
        let waiting = new.devices.iter().map(|device| (device.clone(), (DeviceOutcome::Queued, "")));
        self.outcomes.insert(id.clone(), waiting.collect());
        self.jobs.push(Job {
            id: id.clone(),
            token: Some(new.token.clone()),
            title: new.title.clone(),
            kind: new.kind(),
            module: None,
            package_ids: vec![new.package_id.clone()],
            devices: new.devices.clone(),
            delivery: None,
            state: JobState::Running,
            counts: JobCounts::default(),
            created_at: Some(self.now),
        });
        self.recount(&id);
        id
    }

    /// Stops what is not done.
    pub fn stop(&mut self, id: &str) {
        for (outcome, _) in self.outcomes.get_mut(id).unwrap().values_mut() {
            if matches!(outcome, DeviceOutcome::Queued | DeviceOutcome::InFlight) {
                *outcome = DeviceOutcome::Stopped;
            }
        }
        self.recount(id);
        self.jobs.iter_mut().find(|job| job.id == id).unwrap().state = JobState::Stopped;
    }

    /// Lets every waiting device of every running job meet its fate.
    pub fn run_devices(&mut self, fate: impl Fn(&str) -> Fate) {
        let version = self.package.spec.version.clone();
        for id in self.jobs.iter().map(|job| job.id.clone()).collect::<Vec<_>>() {
            for (device, outcome) in self.outcomes.get_mut(&id).unwrap() {
                if !matches!(outcome.0, DeviceOutcome::Queued | DeviceOutcome::InFlight) {
                    continue;
                }
                *outcome = match fate(device) {
                    Fate::Succeeds | Fate::Lies => (DeviceOutcome::Succeeded, ""),
                    Fate::Fails => (DeviceOutcome::Failed, "Firmware update failed"),
                    Fate::TimesOut => (DeviceOutcome::Failed, "Updating timeout"),
                    Fate::NeverOnline => (DeviceOutcome::Failed, "Waiting for the device online timeout"),
                    Fate::Sleeps => (DeviceOutcome::Queued, ""),
                    Fate::Hangs => (DeviceOutcome::InFlight, ""),
                };
                if let Some(device) = self.devices.get_mut(device).filter(|d| fate(&d.id) == Fate::Succeeds) {
                    device.firmware = Some(version.clone());
                }
            }
            self.recount(&id);
        }
    }

    pub fn recount(&mut self, id: &str) {
        let job = self.jobs.iter_mut().find(|job| job.id == id).unwrap();
        let of = |wanted: DeviceOutcome| {
            self.outcomes[id].values().filter(|(outcome, _)| *outcome == wanted).count() as u32
        };
        job.counts = JobCounts {
            total: job.devices.len() as u32,
            queued: of(DeviceOutcome::Queued),
            in_flight: of(DeviceOutcome::InFlight),
            succeeded: of(DeviceOutcome::Succeeded),
            failed: of(DeviceOutcome::Failed),
            retrying: 0,
            stopped: of(DeviceOutcome::Stopped),
            removed: of(DeviceOutcome::Removed),
        };
        let counts = job.counts;
        if !job.state.is_final() && counts.queued + counts.in_flight == 0 {
            job.state = match (counts.succeeded, counts.failed) {
                (_, 0) => JobState::Succeeded,
                (0, _) => JobState::Failed,
                _ => JobState::PartlyFailed,
            };
        }
    }

    /// Passes of 30 seconds, devices meeting their fate between them, until nothing changes any more.
    pub fn settle(&mut self, fate: impl Fn(&str) -> Fate) -> Plan<OtaRolloutStatus> {
        for _ in 0..200 {
            let before = self.rollout.status.clone();
            let plan = self.reconcile();
            let idle = plan.actions.is_empty() && before.as_ref() == Some(&plan.status);
            if idle && plan.requeue == Requeue::AtDriftInterval {
                return plan;
            }
            self.run_devices(&fate);
            self.pass(30);
        }
        panic!("still busy: {:?}", self.rollout_status().message);
    }
}

pub fn device(id: &str, version: &str) -> Device {
    Device {
        id: id.to_owned(),
        product: "meter".to_owned(),
        firmware: Some(version.to_owned()),
        software: None,
        online: None,
        upgrading: None,
    }
}

fn object<T: serde::de::DeserializeOwned>(kind: &str, name: &str, uid: &str, spec: &Value) -> T {
    let metadata = json!({"name": name, "uid": uid, "generation": 1});
    serde_json::from_value(json!({
        "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec
    }))
    .unwrap()
}

/// Replaces the fields that `over` names.
fn merge(base: &mut Value, over: Value) {
    let (Value::Object(base), Value::Object(over)) = (base, over) else { panic!("objects are merged") };
    base.extend(over);
}
