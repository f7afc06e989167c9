//! Rehearses the decisions in a cloud where everything succeeds.

use super::advice::{package_warnings, rollout_warnings};
use super::comparison::Healthy;
use super::risk::{GateRisk, risk};
use super::{End, Preview, PreviewStage, Step, comparison, is_over};
use crate::api::{
    DEFAULT_NAMESPACE, Kind, MAX_EXAMPLES, ObjectKey, ObjectMeta, OtaPackage, OtaRollout, OtaRolloutStatus,
    Period, READY, RolloutPhase, StagePhase, condition_is_true,
};
use crate::cloud::{
    CloudVerification, Device, Job, JobCounts, JobState, NewJob, NewPackage, Package, PackageKind, PackageRow,
};
use crate::decide::clocks::Clocks;
use crate::decide::stage::as_count;
use crate::decide::{
    Action, Fleet, POLL, PackageView, Requeue, RolloutView, Seen, cohort, confirm, defaults, pace::Pace,
    package as judge_package, rollout as judge_rollout, window,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Placeholder for an id that the cloud will assign.
pub const KNOWN_AFTER_CREATE: &str = "known-after-create";

/// More passes than any rollout of 50 stages needs.
const MAX_PASSES: usize = 2_000;
/// Pieces of a stage that are shown; a rollout of more of them is shown in larger ones.
const MAX_PIECES: usize = 100;
const MANY_PIECES: &str = "batch or delivery limits make more than 100 jobs: the plan shows larger ones, and more smaller ones will be sent";
/// Passes without any change after which nothing will change any more.
const IDLE_PASSES: usize = 5;

/// What would be done for a package.
#[must_use]
pub fn package(view: &PackageView<'_>) -> Preview<OtaPackage> {
    let mut stage = Rehearsal::new(&view.object.metadata, Kind::OtaPackage, view.now);
    let mut object = view.object.clone();
    let mut packages = view.packages.as_ref().map(|seen| seen.value.clone()).unwrap_or_default();
    stage.jobs = copied(view.jobs.as_ref());
    stage.devices = view.devices.as_ref().map(|seen| seen.value.clone()).unwrap_or_default();
    let spec = object.spec.clone();
    for _ in 0..MAX_PASSES {
        let jobs = stage.jobs.clone();
        let plan = judge_package::plan(&PackageView {
            object: &object,
            capabilities: view.capabilities,
            packages: Some(Seen { at: stage.now, value: packages.clone() }),
            jobs: Some(Seen { at: stage.now, value: jobs.iter().collect() }),
            devices: Some(Seen { at: stage.now, value: stage.devices.clone() }),
            results: view.results.clone(),
            unasked_jobs: view.unasked_jobs,
            now: stage.now,
        });
        let mut status = plan.status;
        for action in plan.actions {
            match &action {
                Action::CreatePackage { token, package } => {
                    packages.push(created(package, stage.now));
                    confirm::package_created(&mut status, token, KNOWN_AFTER_CREATE, stage.now);
                }
                Action::DeletePackage { id } => packages.retain(|package| package.row.id != *id),
                Action::CreateJob { job, .. } => {
                    let id = stage.job(job, spec.kind, &spec.version);
                    confirm::verify_job_created(&mut status, &job.token, &id, stage.now);
                }
                Action::StopJob { id } => stage.stop(id),
                Action::DeleteJob { .. } | Action::Release => {}
            }
            let when = if stage.steps.is_empty() { "now" } else { "after the previous step" };
            stage.steps.push((action, when.to_owned()));
        }
        let changed = object.status.replace(status) != object.status;
        if stage.is_settled(plan.requeue) || stage.is_stuck(changed) {
            break;
        }
        stage.finish_jobs();
        if !stage.jobs.is_empty() {
            packages.iter_mut().for_each(pass);
        }
        stage.wait(plan.requeue);
    }
    let status = object.status.clone().unwrap_or_default();
    let end = stage.end(condition_is_true(&status.conditions, READY), &status.message);
    stage.into_preview(object, Vec::new(), Period::seconds(0), package_warnings(view), end)
}

/// What would be done for a rollout. `view.package` is the package as it would be then; `waits`: it is not ready yet.
///
/// Steps end where the rollout would be held, such as at a gate that its stage is too small to prove; stages are shown to
/// the last one nevertheless.
#[must_use]
pub fn rollout(view: &RolloutView<'_>, waits: bool) -> Preview<OtaRollout> {
    let (stage, object) = rehearse(view, view.object.clone(), waits);
    let status = object.status.clone().unwrap_or_default();
    let end = stage.end(status.phase == RolloutPhase::Completed, &status.message);
    let stages = match end {
        End::Held(_) => {
            let (ungated, object) = rehearse(view, without_holds(view.object, &status), waits);
            stages(view, &ungated, &object)
        }
        _ => stages(view, &stage, &object),
    };
    let written = defaults::begun_stages(&view.object.spec, &status);
    let offline = view.fleet.as_ref().and_then(|fleet| comparison::offline(fleet.value.devices));
    let risk = risk(&view.object.spec, &written, &stages, offline);
    let mut warnings = rollout_warnings(view, &object, &stages);
    let comparisons = risk.as_ref().map_or(&[][..], |risk| &risk.comparisons);
    warnings.extend(view.capabilities.and_then(|limits| comparison::warning(&written, comparisons, limits)));
    warnings.extend(risk.iter().flat_map(|risk| &risk.gates).filter_map(GateRisk::warning));
    warnings.extend(risk.iter().flat_map(|risk| &risk.healthy).filter_map(Healthy::warning));
    warnings.extend(stage.is_coarse.then(|| MANY_PIECES.to_owned()));
    let soaks = soaks(&object, &stage.steps);
    Preview { risk, ..stage.into_preview(object, stages, soaks, warnings, end) }
}

/// The same devices in the same stages, without anything that could hold them.
fn without_holds(object: &OtaRollout, known: &OtaRolloutStatus) -> OtaRollout {
    let mut object = object.clone();
    object.spec.stages = defaults::begun_stages(&object.spec, known);
    object.spec.suspend = false;
    object.metadata.annotations = None;
    if let Some(status) = &mut object.status {
        status.paused_at = None;
    }
    object.spec.stop = Some(Vec::new());
    object.spec.stages.iter_mut().for_each(|stage| stage.gates = Some(Vec::new()));
    object
}

/// The same rollout in no more pieces than a plan can show, and whether that changed anything.
fn in_few_pieces(view: &RolloutView<'_>, mut object: OtaRollout) -> (OtaRollout, bool) {
    let devices = view.fleet.as_ref().map_or(0, |fleet| fleet.value.devices.len());
    let least = as_count(devices.div_ceil(MAX_PIECES));
    let mut is_coarse = false;
    let mut raise = |limit: &mut u32| {
        is_coarse |= *limit < least;
        *limit = least.max(*limit);
    };
    object
        .spec
        .stages
        .iter_mut()
        .filter_map(|stage| stage.batch.as_mut())
        .for_each(|batch| raise(&mut batch.size));
    let pace = view.capabilities.map(|limits| Pace::of(&object.spec, limits.cloud)).unwrap_or_default();
    if let Some(delivery) = &mut object.spec.delivery {
        delivery.rate_per_minute.iter_mut().filter(|_| pace.per_minute.is_some()).for_each(&mut raise);
        delivery.max_in_flight.iter_mut().filter(|_| pace.in_flight.is_some()).for_each(&mut raise);
    }
    (object, is_coarse)
}

fn rehearse(view: &RolloutView<'_>, object: OtaRollout, waits: bool) -> (Rehearsal, OtaRollout) {
    let (mut object, is_coarse) = in_few_pieces(view, object);
    let mut stage = Rehearsal::new(&object.metadata, Kind::OtaRollout, view.now);
    stage.is_coarse = is_coarse;
    stage.jobs = copied(view.jobs.as_ref());
    let fleet = view.fleet.as_ref();
    stage.devices = fleet.map(|seen| seen.value.devices.clone()).unwrap_or_default();
    let sets = fleet.map(|seen| seen.value.sets.clone()).unwrap_or_default();
    let labels = fleet.map(|seen| seen.value.labels.clone()).unwrap_or_default();
    if waits {
        stage.verify(view.package);
    }
    for _ in 0..MAX_PASSES {
        let (jobs, devices) = (stage.jobs.clone(), std::mem::take(&mut stage.devices));
        let seen = fleet.map(|_| Fleet { devices: &devices, sets: sets.clone(), labels: labels.clone() });
        let plan = judge_rollout::plan(&RolloutView {
            object: &object,
            package: view.package,
            capabilities: view.capabilities,
            fleet: seen.map(|value| Seen { at: stage.now, value }),
            jobs: Some(Seen { at: stage.now, value: jobs.iter().collect() }),
            rivals: view.rivals.clone(),
            results: view.results.clone(),
            unasked_jobs: view.unasked_jobs,
            refusal: view.refusal.clone(),
            package_is_invalid: view.package_is_invalid,
            package_of_run: view.package_of_run,
            now: stage.now,
            clocks: Clocks::STEADY,
        });
        stage.devices = devices;
        let mut status = plan.status;
        let released = when(&object, &status, waits, view.now);
        for action in plan.actions {
            stage.act(view, action, &mut status, &released);
        }
        let over = is_over(status.phase) || fleet.is_none();
        let changed = object.status.replace(status) != object.status;
        if stage.is_settled(plan.requeue) || stage.is_stuck(changed) || (over && stage.is_quiet()) {
            break;
        }
        stage.finish_jobs();
        stage.wait(plan.requeue);
    }
    (stage, object)
}

/// A cloud with its own verification passes the package once its verify job has succeeded.
fn pass(package: &mut Package) {
    if matches!(package.row.verification, Some(CloudVerification::Pending | CloudVerification::Running)) {
        package.row.verification = Some(CloudVerification::Passed);
    }
}

fn copied(seen: Option<&Seen<Vec<&Job>>>) -> Vec<Job> {
    seen.map(|seen| seen.value.iter().map(|job| (*job).clone()).collect()).unwrap_or_default()
}

fn created(new: &NewPackage, now: Timestamp) -> Package {
    let row = PackageRow {
        id: KNOWN_AFTER_CREATE.to_owned(),
        key: new.key.clone(),
        name: None,
        source_versions: new.source_versions.clone(),
        delta: new.delta,
        description: new.description.clone(),
        custom_info: new.custom_info.clone(),
        verification: new.verification.map(|_| CloudVerification::Pending),
        created_at: Some(now),
    };
    Package { row, artifact: Some(new.artifact.stored()) }
}

fn upgrade<'a>(
    fleet: &mut BTreeMap<String, Device>,
    ids: impl IntoIterator<Item = &'a String>,
    kind: PackageKind,
    version: &str,
) {
    for id in ids {
        let Some(device) = fleet.get_mut(id) else { continue };
        match kind {
            PackageKind::Firmware => device.firmware = Some(version.to_owned()),
            PackageKind::Software => device.software = Some(version.to_owned()),
        }
    }
}

/// When the stage that is being dispatched is sent.
fn when(object: &OtaRollout, status: &OtaRolloutStatus, waits: bool, now: Timestamp) -> String {
    let released = released(object, status, waits);
    let sent = status.stages.iter().find(|stage| stage.phase == StagePhase::Dispatching);
    if let Some(stage) = sent.filter(|stage| !stage.jobs.is_empty()) {
        let is_batched =
            defaults::stage_named(&object.spec, &stage.name).is_some_and(|spec| spec.batch.is_some());
        let delivery = object.spec.delivery.as_ref();
        return match delivery.and_then(|delivery| delivery.rate_per_minute.or(delivery.max_in_flight)) {
            Some(_) if !is_batched => {
                format!(
                    "when delivery.ratePerMinute and delivery.maxInFlight allow more of stage {}",
                    stage.name
                )
            }
            _ => format!("when enough devices of stage {} have an outcome", stage.name),
        };
    }
    let spec = sent.and_then(|sent| defaults::stage_named(&object.spec, &sent.name));
    match spec.as_ref().and_then(|spec| window::wait(spec, now)) {
        Some(wait) if released == "now" => format!("when it {}", wait.text_at(now)),
        Some(wait) => format!("{released}, and not before it {}", wait.text_at(now)),
        None if released != "now" && spec.as_ref().is_some_and(|spec| !spec.windows.is_empty()) => {
            format!("{released}, while a window is open")
        }
        None => released,
    }
}

/// What must happen before the stage that is being dispatched.
fn released(object: &OtaRollout, status: &OtaRolloutStatus, waits: bool) -> String {
    let index = status.stages.iter().position(|stage| stage.phase == StagePhase::Dispatching).unwrap_or(0);
    let before = status.stages.iter().take(index).rev().find(|stage| !stage.jobs.is_empty());
    let Some(before) = before else {
        let package = &object.spec.package_ref.name;
        return if waits {
            format!("after OtaPackage {package} is ready and verified")
        } else {
            "now".to_owned()
        };
    };
    let soak = defaults::stage_named(&object.spec, &before.name).and_then(|stage| stage.soak);
    let soak = soak.map(|soak| format!(" (soak {soak})")).unwrap_or_default();
    format!("after stage {} passes{soak}", before.name)
}

fn stages(view: &RolloutView<'_>, rehearsal: &Rehearsal, object: &OtaRollout) -> Vec<PreviewStage> {
    let status = object.status.clone().unwrap_or_default();
    let before = view.object.status.clone().unwrap_or_default();
    let added = |name: &str| {
        let jobs = rehearsal.steps.iter().filter_map(|(action, _)| match action {
            Action::CreateJob { stage: Some(stage), job } if stage == name => Some(&job.devices),
            _ => None,
        });
        jobs.flatten().collect::<Vec<_>>()
    };
    let seed = view.package.map(|package| cohort::seed(&view.object.spec, package)).unwrap_or_default();
    let stages = status.stages.iter().map(|stage| {
        let mut devices = added(&stage.name);
        devices.sort_by_cached_key(|device| cohort::rank(&seed, device));
        let soak = defaults::stage_named(&view.object.spec, &stage.name).and_then(|spec| spec.soak);
        let known = before.stages.iter().find(|known| known.name == stage.name);
        let held = stage.jobs.iter().map(|job| job.devices).sum::<u32>();
        PreviewStage {
            name: stage.name.clone(),
            devices: held.max(as_count(devices.len())),
            dispatched: known.map_or(0, |known| known.jobs.iter().map(|job| job.devices).sum()),
            examples: devices.into_iter().take(MAX_EXAMPLES).cloned().collect(),
            soak: soak.map(|soak| soak.to_string()).unwrap_or_default(),
            strata: stage.strata.clone().unwrap_or_default(),
        }
    });
    stages.collect()
}

/// The sum of soaks of the stages that these steps dispatch.
fn soaks(object: &OtaRollout, steps: &[(Action, String)]) -> Period {
    let is_sent = |name: &str| {
        steps.iter().any(
            |(action, _)| matches!(action, Action::CreateJob { stage: Some(stage), .. } if stage == name),
        )
    };
    let status = object.status.as_ref().map_or(&[][..], |status| &status.stages);
    let sent = status.iter().filter(|stage| is_sent(&stage.name));
    let soaks = sent.filter_map(|stage| defaults::stage_named(&object.spec, &stage.name)?.soak);
    Period::seconds(soaks.map(Period::as_secs).sum())
}

/// The cloud of a rehearsal.
struct Rehearsal {
    key: ObjectKey,
    now: Timestamp,
    steps: Vec<(Action, String)>,
    jobs: Vec<Job>,
    devices: BTreeMap<String, Device>,
    idle_passes: usize,
    /// Stages are sent in larger pieces here than they will be.
    is_coarse: bool,
    /// Jobs that were created here, and the version that they upgrade to.
    sent: BTreeMap<String, (PackageKind, String)>,
}

impl Rehearsal {
    fn new(meta: &ObjectMeta, kind: Kind, now: Timestamp) -> Self {
        let namespace = meta.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let key = ObjectKey::new(kind, namespace, meta.name.as_deref().unwrap_or_default());
        Self {
            key,
            now,
            steps: Vec::new(),
            jobs: Vec::new(),
            devices: BTreeMap::new(),
            idle_passes: 0,
            is_coarse: false,
            sent: BTreeMap::new(),
        }
    }

    /// Carries out an action of a rollout.
    fn act(&mut self, view: &RolloutView<'_>, action: Action, status: &mut OtaRolloutStatus, released: &str) {
        let target = view.package.map(|package| (package.spec.kind, package.spec.version.clone()));
        let mut when = "now";
        match (&action, &target) {
            (Action::CreateJob { stage: Some(name), job }, Some((kind, version))) => {
                let id = self.job(job, *kind, version);
                confirm::job_created(status, name, job, &id, self.now);
                when = released;
            }
            (Action::StopJob { id }, _) => self.stop(id),
            _ => {}
        }
        self.steps.push((action, when.to_owned()));
    }

    fn job(&mut self, new: &NewJob, kind: PackageKind, version: &str) -> String {
        let id = format!("{KNOWN_AFTER_CREATE} {}", new.token);
        let total = as_count(new.devices.len());
        self.sent.insert(id.clone(), (kind, version.to_owned()));
        self.jobs.push(Job {
            id: id.clone(),
            token: Some(new.token.clone()),
            title: new.title.clone(),
            kind: new.kind(),
            module: new.package.module.clone(),
            package_ids: vec![new.package_id.clone()],
            devices: new.devices.clone(),
            delivery: None,
            state: JobState::Running,
            counts: JobCounts { total, queued: total, ..JobCounts::default() },
            created_at: Some(self.now),
        });
        id
    }

    fn stop(&mut self, id: &str) {
        for job in self.jobs.iter_mut().filter(|job| job.id == id) {
            let open = job.counts.queued + job.counts.in_flight + job.counts.retrying;
            job.counts = JobCounts { queued: 0, in_flight: 0, retrying: 0, stopped: open, ..job.counts };
            job.state = JobState::Stopped;
        }
    }

    /// Every running job succeeds, and its devices run what it sent; older jobs keep their failures.
    fn finish_jobs(&mut self) {
        for job in self.jobs.iter_mut().filter(|job| !job.state.is_final()) {
            let open = job.counts.queued + job.counts.in_flight + job.counts.retrying;
            let succeeded = job.counts.succeeded + open;
            job.counts = JobCounts { queued: 0, in_flight: 0, retrying: 0, succeeded, ..job.counts };
            job.state = if job.counts.failed > 0 { JobState::PartlyFailed } else { JobState::Succeeded };
            let Some((kind, version)) = self.sent.get(&job.id) else { continue };
            upgrade(&mut self.devices, &job.devices, *kind, version);
        }
    }

    /// The devices of the verification run the package before the rollout begins.
    fn verify(&mut self, package: Option<&OtaPackage>) {
        let Some(spec) = package.map(|package| &package.spec) else { return };
        let devices = spec.verification.iter().flat_map(|verification| &verification.devices);
        upgrade(&mut self.devices, devices, spec.kind, &spec.version);
    }

    fn is_quiet(&self) -> bool {
        self.jobs.iter().all(|job| job.state.is_final())
    }

    fn is_settled(&self, requeue: Requeue) -> bool {
        let released = self.steps.last().is_some_and(|(action, _)| *action == Action::Release);
        released || (requeue == Requeue::AtDriftInterval && self.is_quiet())
    }

    fn is_stuck(&mut self, changed: bool) -> bool {
        self.idle_passes = if changed || !self.is_quiet() { 0 } else { self.idle_passes + 1 };
        self.idle_passes >= IDLE_PASSES
    }

    fn wait(&mut self, requeue: Requeue) {
        let length = match requeue {
            Requeue::After(length) if length > SignedDuration::ZERO => length,
            _ => POLL,
        };
        self.now = self.now.checked_add(length).unwrap_or(Timestamp::MAX);
    }

    fn end(&self, ready: bool, message: &str) -> End {
        if self.steps.last().is_some_and(|(action, _)| *action == Action::Release) {
            End::Released
        } else if ready {
            End::Converged
        } else {
            End::Held(message.to_owned())
        }
    }

    fn into_preview<O>(
        self,
        object: O,
        stages: Vec<PreviewStage>,
        soaks: Period,
        warnings: Vec<String>,
        end: End,
    ) -> Preview<O> {
        let irreversible = super::advice::irreversible(self.steps.iter().map(|(action, _)| action));
        let step = |(action, when)| Step { object: self.key.clone(), action, when };
        let steps = self.steps.into_iter().map(step).collect();
        Preview { steps, stages, soaks, risk: None, warnings, irreversible, object, end }
    }
}
