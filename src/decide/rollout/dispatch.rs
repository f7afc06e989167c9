//! Dispatch: a stage's devices, in chunks of the cloud's size, under idempotency keys that identify the jobs.

use super::advance::Pass;
use super::observed::Unfinished;
use super::report::Outcome;
use super::{Context, as_count};
use crate::api::{Reason, RolloutPhase, StagePhase, StageStatus, counted, support::rollout_refusals, verb};
use crate::cloud::{JobPurpose, NewJob};
use crate::decide::busy::{Sight, holders};
use crate::decide::cohort::{assign, other_product, rank, seed, select_digest};
use crate::decide::keys::{JobSlot, job_token};
use crate::decide::needs::{package_key, unasked, unsupported};
use crate::decide::sets::Chosen;
use crate::decide::stage::versions_of;
use crate::decide::strata::Division;
use crate::decide::window::{self, Wait};
use crate::decide::{Action, POLL, Requeue};
use std::collections::BTreeSet;

impl<'a> Pass<'_, 'a> {
    /// Dispatches a stage, or continues to. None when every device of it is in a job, or when it has none: then it has
    /// passed.
    pub(super) fn dispatch(&mut self, index: usize) -> Option<Outcome> {
        let newcomers = self.unsent(index);
        let joining = as_count(newcomers.len());
        self.status.stages[index].unsent = joining;
        let devices = self.next_batch(index, newcomers);
        let name = self.status.stages[index].name.clone();
        let waiting = self.status.stages[index].phase == StagePhase::Waiting;
        if devices.is_empty() {
            return self.nobody_left(index, &name);
        }
        if let Some(outcome) = self.waits_for_piece(index, devices.len()) {
            self.note_size(index, joining);
            self.status.stages[index].phase = StagePhase::Dispatching;
            return Some(outcome);
        }
        let devices = self.at_pace(index, devices);
        let size = counted(devices.len(), "device");
        let unproven = self.unproven_before(index);
        if let Some(message) = unproven.or_else(|| self.blocked()).or_else(|| self.busy(&devices)) {
            let message = format!("stage {name} ({size}) is not dispatched: {message}");
            return Some(Outcome::working(RolloutPhase::Progressing, Reason::DispatchBlocked, message));
        }
        if let Some(message) = self.too_few(index, joining).filter(|_| waiting) {
            return Some(Outcome::held(
                Reason::StageTooSmall,
                format!("stage {name} is not dispatched: {message}"),
                false,
            ));
        }
        if let Some(message) = self.refused() {
            return Some(Outcome::held(Reason::NotSupported, message, false));
        }
        if let Some(wait) = self.closed(index) {
            let message = format!("stage {name} ({size}) is not dispatched: it {}", wait.text());
            return Some(self.wait_for_opening(&wait, message));
        }
        if let Some(outcome) = waiting.then(|| self.waits_for_outage(&name, &size)).flatten() {
            return Some(outcome);
        }
        if let Some(outcome) = self.unasked(&format!("stage {name} ({size}) is not dispatched")) {
            return Some(outcome);
        }
        let actions = match self.jobs_for(index, devices.clone()) {
            Ok(actions) => actions,
            Err(message) => {
                return Some(Outcome::working(RolloutPhase::Progressing, Reason::DispatchBlocked, message));
            }
        };
        let jobs = counted(actions.len(), "job");
        let message = format!("stage {name}: {size} in {jobs}");
        if waiting {
            self.enter(index, StagePhase::Dispatching, Reason::StageReleased, &message);
        }
        self.note_size(index, joining);
        self.begin_batch(index);
        self.note_strata(index, &actions);
        let stage = &mut self.status.stages[index];
        stage.dispatched_at = stage.dispatched_at.or(Some(self.context.now));
        let selected_by = self.context.stages.get(index).map(|stage| select_digest(&stage.select));
        stage.selected_by = stage.selected_by.take().or(selected_by);
        Some(Outcome::working(RolloutPhase::Progressing, Reason::StageDispatching, message).with(actions))
    }

    /// Counts the devices of a stage in dispatch that are in no job yet: its gates judge the whole stage.
    pub(super) fn note_unsent(&mut self) {
        let is_open = |stage: &StageStatus| stage.phase == StagePhase::Dispatching;
        let Some(index) = self.status.stages.iter().position(is_open) else { return };
        if self.selected_by_sets(index).is_some_and(|members| members.is_none()) {
            // It is unknown which devices the stage has: as many are unsent as before.
            return;
        }
        let devices = self.newcomers(index);
        self.status.stages[index].unsent = as_count(devices.len());
        self.unsent = Some((index, devices));
    }

    fn unsent(&mut self, index: usize) -> Vec<&'a str> {
        match self.unsent.take_if(|(of, _)| *of == index) {
            Some((_, devices)) => devices,
            None => self.newcomers(index),
        }
    }

    /// Notes once how many devices the stage has, with those that join it now.
    fn note_size(&mut self, index: usize, joining: u32) {
        let stage = &mut self.status.stages[index];
        stage.size = stage.size.or(Some(stage.counts.assigned + joining));
    }

    /// What the cloud cannot honour of the spec, as a message.
    pub(super) fn refused(&self) -> Option<String> {
        let Context { capabilities, rollout, package, .. } = self.context;
        unsupported(&rollout_refusals(capabilities.cloud, &rollout.spec, &package.spec))
    }

    /// Why a stage that could not pass its gates is not started while more devices may join it: those that report another
    /// version now, for example because an earlier release is still on its way to them.
    fn too_few(&self, index: usize, devices: u32) -> Option<String> {
        let gates = self.context.stages.get(index)?.gates.iter().flatten();
        let asked = gates.filter_map(|gate| Some(gate.outcome.as_ref()?.min_sample)).max()?;
        let elsewhere = self.status.excluded.by_version;
        (elsewhere > 0 && devices < asked).then(|| {
            format!(
                "it has {} now, and its gate needs {asked}; {} {} a version that is not upgraded from, and may join later",
                counted(devices, "device"),
                counted(elsewhere, "device"),
                verb(elsewhere, "reports", "report")
            )
        })
    }

    /// Every device is in a job, or there is none. A stage whose named devices are not registered in the cloud is no
    /// evidence: it is held instead of passing.
    fn nobody_left(&mut self, index: usize, name: &str) -> Option<Outcome> {
        if !self.status.stages[index].jobs.is_empty() {
            self.note_size(index, 0);
            self.status.stages[index].phase = StagePhase::Running;
            return None;
        }
        if !self.observed.jobs.unsettled.is_empty() {
            let message = format!("stage {name} waits for a request whose outcome is not known yet");
            return Some(Outcome::working(RolloutPhase::Progressing, Reason::DispatchBlocked, message));
        }
        if let Some(message) = self.names_nobody(index, name).or_else(|| self.selects_nobody(index, name)) {
            return Some(Outcome::held(Reason::StageDevicesUnknown, message, false));
        }
        if self.would_skip_its_proof(index) {
            let message = format!(
                "stage {name} selects no devices, so its gates prove nothing for the {} that {} after it; let it select some of them, or remove it from the spec",
                counted(self.observed.population.eligible.len(), "device"),
                verb(self.observed.population.eligible.len(), "comes", "come")
            );
            return Some(Outcome::held(Reason::StageEmpty, message, false));
        }
        self.status.stages[index].passed_at = Some(self.context.now);
        self.enter(index, StagePhase::Passed, Reason::StageEmpty, &format!("stage {name}: no devices"));
        None
    }

    /// The devices of the sets that a stage selects by, none while they are unknown; none when it selects in another way.
    pub(super) fn selected_by_sets(&self, index: usize) -> Option<Option<BTreeSet<&'a str>>> {
        let chosen = Chosen::by_stage(&self.context.stages.get(index)?.select)?;
        Some(chosen.members(&self.context.fleet.value.sets))
    }

    /// Why a stage whose sets have no device of the product has none.
    fn selects_nobody(&self, index: usize, name: &str) -> Option<String> {
        let Context { package, fleet, stages, .. } = self.context;
        let members = self.selected_by_sets(index)?.unwrap_or_default();
        if members.iter().any(|id| fleet.value.devices.contains_key(*id)) {
            return None;
        }
        let sets = Chosen::by_stage(&stages.get(index)?.select).map(Chosen::sets).unwrap_or_default();
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        Some(format!(
            "stage {name} has no devices: no registered device of {} matches {}; correct select of the stage, or remove the stage",
            package.spec.product,
            sets.join(", ")
        ))
    }

    /// Why a stage that names its devices has none.
    fn names_nobody(&self, index: usize, name: &str) -> Option<String> {
        let Context { rollout, package, fleet, stages, .. } = self.context;
        let targets = rollout.spec.targets.devices.as_ref();
        let why = |id: &str| {
            if targets.is_some_and(|targets| !targets.iter().any(|target| target == id)) {
                return Some("is not in spec.targets".to_owned());
            }
            let Some(device) = fleet.value.devices.get(id) else {
                return Some(format!(
                    "is not registered in the cloud as a device of {}",
                    package.spec.product
                ));
            };
            Some(format!("belongs to product {}", other_product(device, &package.spec)?))
        };
        let named = stages.get(index)?.select.devices.iter().flatten();
        let count = named.clone().count();
        let wrong: Vec<(&String, String)> = named.filter_map(|id| Some((id, why(id)?))).collect();
        let (first, why) = wrong.first()?;
        Some(format!(
            "stage {name} has no devices: {} of {count} that it names cannot be sent the package; {first} {why}",
            wrong.len()
        ))
    }

    /// True when other devices would be sent what the gates of an empty stage had to prove first, and those gates do not
    /// pass.
    fn would_skip_its_proof(&mut self, index: usize) -> bool {
        self.has_written_gates(index)
            && !self.observed.population.eligible.is_empty()
            && !self.ask_for_others(index)
    }

    /// Sends another job to stopped devices of fully dispatched stages, and to failed ones whose retry was requested.
    /// None when there are none.
    pub(super) fn resend(&mut self) -> Option<Outcome> {
        let mut actions = Vec::new();
        let (mut stopped, mut failed) = (0, 0);
        for index in 0..self.status.stages.len() {
            if matches!(self.status.stages[index].phase, StagePhase::Waiting | StagePhase::Dispatching) {
                continue;
            }
            let devices = self.unfinished(index);
            if devices.is_empty() {
                continue;
            }
            if let Some(outcome) = self.waits_for_pace(index, devices.len()) {
                if actions.is_empty() {
                    return Some(outcome);
                }
                continue;
            }
            let devices = self.at_pace(index, devices);
            let resumed = self.observed.unfinished[index].stopped.len().min(devices.len());
            // A reason that may never end is reported first: a window opens and closes in the meantime.
            let unproven = self.unproven_before(index);
            // An empty stage that an edit gave a gate may have devices by now.
            let waits = |stage: &StageStatus| stage.phase == StagePhase::Waiting;
            let reopened = self.status.stages.iter().take(index).position(waits);
            if let Some(reopened) = reopened.filter(|_| unproven.is_some()) {
                return self.step(reopened);
            }
            if let Some(message) = unproven.or_else(|| self.blocked()).or_else(|| self.busy(&devices)) {
                return Some(Outcome::working(RolloutPhase::Progressing, Reason::DispatchBlocked, message));
            }
            if let Some(wait) = self.closed(index) {
                let name = &self.status.stages[index].name;
                let left = &self.observed.unfinished[index];
                let who = taken_up(left.stopped.len(), left.failed.len());
                let message = format!("stage {name}: {who} when it {}", wait.text());
                return Some(self.wait_for_opening(&wait, message));
            }
            let what = format!(
                "stage {}: {} {} no new job",
                self.status.stages[index].name,
                counted(devices.len(), "device"),
                verb(devices.len(), "gets", "get")
            );
            if let Some(outcome) = self.unasked(&what) {
                return Some(outcome);
            }
            stopped += resumed;
            failed += devices.len() - resumed;
            match self.jobs_for(index, devices) {
                Ok(jobs) => actions.extend(jobs),
                Err(message) => {
                    return Some(Outcome::working(
                        RolloutPhase::Progressing,
                        Reason::DispatchBlocked,
                        message,
                    ));
                }
            }
        }
        let reason = if failed == 0 { Reason::StageResumed } else { Reason::StageRetried };
        let outcome = Outcome::working(RolloutPhase::Progressing, reason, taken_up(stopped, failed));
        if actions.is_empty() { None } else { Some(outcome.with(actions)) }
    }

    /// The window that keeps a stage from being dispatched, though everything else is ready.
    pub(super) fn closed(&mut self, index: usize) -> Option<Wait> {
        let wait = window::wait(self.context.stages.get(index)?, self.context.now);
        self.status.stages[index].opens_at = wait.as_ref().map(|wait| wait.until);
        wait
    }

    /// Nothing is read until the stage may be dispatched, except for jobs that still run.
    pub(super) fn wait_for_opening(&self, wait: &Wait, message: String) -> Outcome {
        let mut outcome = Outcome::working(RolloutPhase::Progressing, Reason::WindowClosed, message);
        let left = wait.until.duration_since(self.context.now);
        outcome.requeue = Requeue::After(if self.is_live() { left.min(POLL) } else { left });
        outcome
    }

    /// Nothing is sent into an outage. It may last for days, so that it is read no more often than a quiet account.
    fn waits_for_outage(&self, name: &str, size: &str) -> Option<Outcome> {
        let why = self.context.groups(&self.observed).outage_now(self.status)?;
        let message = format!(
            "stage {name} ({size}) is not dispatched: {why}; it continues by itself when they are back"
        );
        let mut outcome = Outcome::working(RolloutPhase::Progressing, Reason::SharedOutageSuspected, message);
        outcome.requeue = if self.is_live() { Requeue::After(POLL) } else { Requeue::AtDriftInterval };
        Some(outcome)
    }

    /// Devices that the stage selects and that no job of ours holds.
    pub(super) fn newcomers(&mut self, index: usize) -> Vec<&'a str> {
        self.observed.taken.closed = index;
        let context = self.context;
        let seed = seed(&context.rollout.spec, context.package);
        let eligible = self.observed.population.eligible.iter().copied();
        let sets = &context.fleet.value.sets;
        let divisions = Division::of_stages(&context.rollout.spec, &self.status.stages, context.traits());
        let mut stages = assign(&context.stages, &seed, eligible, &self.observed.taken, sets, &divisions);
        if index < stages.len() { stages.swap_remove(index) } else { Vec::new() }
    }

    /// Devices of the stage that have to go into another job.
    pub(super) fn unfinished(&self, index: usize) -> Vec<&'a str> {
        self.observed.unfinished.get(index).map(Unfinished::devices).unwrap_or_default()
    }

    /// What holds some of these devices already.
    pub(super) fn busy(&self, devices: &[&str]) -> Option<String> {
        let Context { jobs, fleet, results, capabilities, .. } = self.context;
        let (fleet, lack) = (fleet.value.devices, capabilities.job_rows_lack);
        holders(devices, Sight { jobs: &jobs.value, fleet, results, lack })
    }

    /// Holds while external jobs that may have the devices are too many to be queried.
    pub(super) fn unasked(&self, what: &str) -> Option<Outcome> {
        let why = unasked(self.context.unasked_jobs)?;
        Some(Outcome::held(Reason::TooManyExternalJobs, format!("{what}: {why}"), self.is_live()))
    }

    /// The create requests for these devices. While one has an unknown outcome only that one is repeated: it may have
    /// taken effect.
    pub(super) fn jobs_for(&self, index: usize, mut devices: Vec<&'a str>) -> Result<Vec<Action>, String> {
        let context = self.context;
        let seed = seed(&context.rollout.spec, context.package);
        devices.sort_by_cached_key(|device| (rank(&seed, device), *device));
        let before = Some(&self.observed.unfinished[index]).filter(|left| !left.devices().is_empty());
        let (attempt, first) = self.observed.jobs.next_slot(index, before.map(|left| left.attempt));
        let stage = &self.status.stages[index].name;
        let size = context.capabilities.max_devices_per_job.max(1);
        let run = self.status.run;
        let token = |chunk| job_token(context.uid, &context.identity, JobSlot { run, stage, attempt, chunk });
        if let Some((unsettled_stage, unsettled)) = self.observed.jobs.unsettled.first() {
            if *unsettled_stage != index {
                return Err("waits for a request whose outcome is not known yet".to_owned());
            }
            let chunk: Vec<&str> = devices.into_iter().take(size).collect();
            return Ok(vec![self.job(stage, unsettled.clone(), &chunk)]);
        }
        let chunks = devices.chunks(size).zip(first..);
        Ok(chunks.map(|(devices, chunk)| self.job(stage, token(chunk), devices)).collect())
    }

    fn job(&self, stage: &str, token: String, devices: &[&str]) -> Action {
        let context = self.context;
        let name = context.rollout.metadata.name.as_deref().unwrap_or_default();
        let devices: BTreeSet<&str> = devices.iter().copied().collect();
        let package_id = context.package.status.as_ref().and_then(|status| status.package_id.clone());
        let job = NewJob {
            token,
            title: format!("{name}/{stage}"),
            purpose: JobPurpose::Upgrade,
            package: package_key(context.package),
            package_id: package_id.unwrap_or_default(),
            from_versions: versions_of(
                context.fleet.value.devices,
                devices.iter().copied(),
                context.package.spec.kind,
            ),
            delivery: context.rollout.spec.delivery.clone().unwrap_or_default(),
            devices: devices.into_iter().map(str::to_owned).collect(),
        };
        debug_assert!(as_count(job.devices.len()) > 0);
        Action::CreateJob { stage: Some(stage.to_owned()), job }
    }
}

/// Which devices get another job.
fn taken_up(stopped: usize, failed: usize) -> String {
    match (stopped, failed) {
        (_, 0) => {
            let get = verb(stopped, "gets", "get");
            format!("{} whose job was stopped {get} a new one", counted(stopped, "device"))
        }
        (0, _) => {
            let get = verb(failed, "gets", "get");
            format!("{} {get} another attempt", counted(failed, "device"))
        }
        _ => {
            let stopped = counted(stopped, "device");
            format!("{stopped} whose job was stopped, and {failed} that failed, get a new one")
        }
    }
}
