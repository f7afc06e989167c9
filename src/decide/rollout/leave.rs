//! Leaves jobs behind: when the rollout is deleted, and when it changes to another package.

use super::jobs::{OurJobs, can_be_stopped, may_be_hidden, stopped_uptime, unlisted};
use super::report::{Outcome, finish};
use super::{Context, account_left, requests, run, wait_for_a_look};
use crate::api::{
    CreateOperation, ObjectKey, OtaPackage, OtaRollout, OtaRolloutStatus, Reason, RolloutPhase,
    record_decision,
};
use crate::cloud::{Capabilities, Job, JobState};
use crate::decide::clocks::Clocks;
use crate::decide::keys::{package_identity, rollout_mark};
use crate::decide::{Action, Plan, RolloutView, Seen, defaults, lost_call};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// A restored older state does not know of later runs; this many of them are searched.
const MOST_RUNS_LOST: u32 = 8;

/// What is left of jobs that are no longer wanted.
#[derive(Clone, Debug, Default)]
struct Remains {
    stops: Vec<Action>,
    /// Jobs and requests that have not ended for certain.
    waits_for: Vec<String>,
    /// Jobs that are not listed, and were not observed to be final.
    vanished: Vec<String>,
}

/// The input for stopping jobs of the previous run.
struct Scene<'a> {
    jobs: &'a Seen<Vec<&'a Job>>,
    capabilities: &'a Capabilities,
    now: Timestamp,
    clocks: Clocks,
}

impl<'a> Scene<'a> {
    const fn of(context: &'a Context<'a>) -> Self {
        let Context { jobs, capabilities, now, clocks, .. } = context;
        Self { jobs, capabilities, now: *now, clocks: *clocks }
    }
}

/// A rollout that is being deleted stops its jobs, waits until they have ended or are gone, and is removed. It can always
/// be removed: a job in an undocumented state is stopped, and not waited for.
pub(super) fn delete(view: &RolloutView<'_>, mut status: OtaRolloutStatus) -> Plan<OtaRolloutStatus> {
    let jobs: Vec<_> = status.stages.iter().flat_map(|stage| &stage.jobs).collect();
    let running: Vec<&str> =
        jobs.iter().filter(|job| job.finished_at.is_none()).map(|job| job.id.as_str()).collect();
    let running = running.join(", ");
    if sent_nothing(&status) {
        return release(view.object, status, view.now);
    }
    let Some(package) = view.package else {
        if !running.is_empty() {
            let message = format!(
                "the OtaPackage does not exist, so its cloud cannot be reached; jobs left running: {running}"
            );
            record_decision(&mut status.decisions, view.now, Reason::JobsLeftRunning, message);
        }
        return release(view.object, status, view.now);
    };
    let (phase, reason) = (RolloutPhase::Deleting, Reason::Deleting);
    if let (Some((account, _)), None) = (account_left(view), view.capabilities) {
        let message = format!("{account} does not exist; jobs left running: {running}");
        record_decision(&mut status.decisions, view.now, Reason::JobsLeftRunning, message);
        return release(view.object, status, view.now);
    }
    let (Some(capabilities), Some(seen)) = (view.capabilities, &view.jobs) else {
        let message =
            format!("deletion waits until the cloud's jobs can be read; last known to run: {running}");
        return finish(view.object, status, Outcome::working(phase, reason, message), view.now);
    };
    let scene = Scene { jobs: seen, capabilities, now: view.now, clocks: view.clocks };
    let mut remains = remains(&mut status, &scene);
    let identity = status.package_identity.clone();
    let identity = identity.unwrap_or_else(|| package_identity(package));
    remains.add_by_token(view, &identity, &status, &seen.value);
    let by_hand = remains.by_hand(capabilities);
    if remains.waits_for.is_empty() {
        if let Some(call) = status.pending.iter().find(|call| !call.is_open()) {
            let message = format!("{}; a job that it created is left running", lost_call(call));
            record_decision(&mut status.decisions, view.now, Reason::OutcomeUnresolved, message);
        }
        return release(view.object, status, view.now).also(remains.stops);
    }
    let message = format!("deletion waits until these have ended: {}{by_hand}", remains.waits_for.join(", "));
    finish(view.object, status, Outcome::working(phase, reason, message).with(remains.stops), view.now)
}

/// A deleted rollout that never sent anything is removed without reading from the cloud, which may be unreachable.
pub(super) fn at_once(object: &OtaRollout, now: Timestamp) -> Option<Plan<OtaRolloutStatus>> {
    let status = object.status.clone().unwrap_or_default();
    let is_leaving = object.metadata.deletion_timestamp.is_some();
    (is_leaving && sent_nothing(&status)).then(|| release(object, status, now))
}

fn sent_nothing(status: &OtaRolloutStatus) -> bool {
    status.stages.iter().all(|stage| stage.jobs.is_empty()) && status.pending.is_empty()
}

fn release(object: &OtaRollout, status: OtaRolloutStatus, now: Timestamp) -> Plan<OtaRolloutStatus> {
    let outcome =
        Outcome::working(RolloutPhase::Deleting, Reason::Deleting, "nothing is left to do in the cloud")
            .with([Action::Release]);
    finish(object, status, outcome, now)
}

impl Plan<OtaRolloutStatus> {
    /// Adds actions before all others.
    fn also(mut self, first: Vec<Action>) -> Self {
        self.actions.splice(0..0, first);
        self
    }
}

/// The stages belong to another package: its jobs are stopped, and nothing is sent before they have ended. None once
/// nothing is left to wait for.
pub(super) fn turn(context: &Context<'_>, status: &mut OtaRolloutStatus) -> Option<Outcome> {
    abandon(&Scene::of(context), status)
}

/// The package is in another account now: the jobs are stopped in their account, by its worker; after that the rollout
/// belongs to the other worker, and begins there.
pub(super) fn account(
    view: &RolloutView<'_>,
    mut status: OtaRolloutStatus,
    account: &ObjectKey,
    package: &OtaPackage,
) -> Plan<OtaRolloutStatus> {
    let stands_in_the_way = match (view.capabilities, &view.jobs) {
        (None, _) => {
            let gone = account_is_gone(&status, account);
            if let Some(outcome) = &gone {
                requests::refuse_restart(view.object, &mut status, &outcome.message, view.now);
            }
            gone
        }
        (Some(_), None) => return wait_for_a_look(view, status),
        (Some(capabilities), Some(jobs)) => {
            abandon(&Scene { jobs, capabilities, now: view.now, clocks: view.clocks }, &mut status)
        }
    };
    if let Some(outcome) = stands_in_the_way {
        return finish(view.object, status, outcome, view.now);
    }
    let to = package.account();
    let message = format!("its jobs in {account} have ended: it starts in {to}");
    record_decision(&mut status.decisions, view.now, Reason::AccountChanged, message.clone());
    let outcome = Outcome::working(RolloutPhase::Pending, Reason::AccountChanged, message);
    finish(view.object, run::elsewhere(status, package, view.now), outcome, view.now)
}

/// Jobs in an account without an `OtaCloud` cannot be stopped; nothing is sent while they may run.
fn account_is_gone(status: &OtaRolloutStatus, account: &ObjectKey) -> Option<Outcome> {
    let jobs = status.stages.iter().flat_map(|stage| &stage.jobs).filter(|job| job.finished_at.is_none());
    let calls = status
        .pending
        .iter()
        .map(|intent| format!("request {}, whose outcome is not known yet", intent.token));
    let left: Vec<String> = jobs.map(|job| format!("job {}", job.id)).chain(calls).collect();
    let message = format!(
        "the package moved to another account, and {account}, where these may still run, does not exist: {}; apply {account} again to have them stopped, or delete this rollout, which leaves them running, and write a new one",
        left.join(", ")
    );
    (!left.is_empty()).then(|| Outcome::held(Reason::AccountGone, message, false))
}

/// Stops what is left of the stages, and reports what has to end first; none once nothing is left to wait for.
fn abandon(scene: &Scene<'_>, status: &mut OtaRolloutStatus) -> Option<Outcome> {
    let mut remains = remains(status, scene);
    let by_hand = remains.by_hand(scene.capabilities);
    let end = if by_hand.is_empty() { "are stopped" } else { "end" };
    if !remains.waits_for.is_empty() {
        let message =
            format!("waits until jobs of the previous run {end}: {}{by_hand}", remains.waits_for.join(", "));
        let outcome = Outcome::working(RolloutPhase::Pending, Reason::StoppingPreviousJobs, message);
        return Some(outcome.with(remains.stops));
    }
    let (reason, message) = remains.obstacle(status)?;
    Some(Outcome::held(reason, message, false).with(remains.stops))
}

/// What prevents the end of the previous run, and does not end by itself.
pub(super) fn obstacle(context: &Context<'_>, status: &OtaRolloutStatus) -> Option<String> {
    let mut status = status.clone();
    let remains = remains(&mut status, &Scene::of(context));
    remains.obstacle(&status).map(|(_, message)| message)
}

/// Looks up every recorded job and every request with unknown outcome, and orders live jobs to stop; a stopped job that
/// would keep its package in use is deleted, once its end is recorded.
fn remains(status: &mut OtaRolloutStatus, scene: &Scene<'_>) -> Remains {
    let Scene { jobs: Seen { at: looked_at, value: jobs }, capabilities, now, clocks } = scene;
    let (looked_at, now) = (*looked_at, *now);
    let lag = capabilities.visibility_lag;
    let mut remains = Remains::default();
    for recorded in status.stages.iter_mut().flat_map(|stage| &mut stage.jobs) {
        let is_it =
            |job: &&&Job| job.id == recorded.id || job.token.as_deref() == Some(recorded.token.as_str());
        match jobs.iter().find(is_it) {
            Some(job) => {
                let told = recorded.stop_ordered;
                recorded.stopped_uptime = stopped_uptime(job, Some(recorded), now, clocks);
                recorded.state = job.state.as_str().to_owned();
                if job.state.is_final() {
                    if capabilities.stopped_jobs_hold && job.counts.stopped > 0 {
                        remains.clear(job, recorded.finished_at.is_some());
                    }
                    recorded.finished_at = recorded.finished_at.or(Some(looked_at));
                } else {
                    recorded.stop_ordered = true;
                    remains.stop(job, told);
                }
            }
            None if recorded.finished_at.is_some() => {}
            None if may_be_hidden(recorded, looked_at, lag) => {
                *recorded = unlisted(recorded, now, clocks);
                remains.waits_for.push(recorded.id.clone());
            }
            None => remains.vanished.push(recorded.id.clone()),
        }
    }
    let calls = status.pending.iter().filter(|intent| intent.operation == CreateOperation::CreateJob);
    for intent in calls {
        match jobs.iter().find(|job| job.token.as_deref() == Some(intent.token.as_str())) {
            Some(job) if job.state.is_final() => {}
            Some(job) => remains.stop(job, false),
            None if !intent.is_open() => {}
            None => {
                remains.waits_for.push(format!("request {}, whose outcome is not known yet", intent.token));
            }
        }
    }
    remains
}

impl Remains {
    /// What only a user can end: the reason, and a message.
    fn obstacle(&self, status: &OtaRolloutStatus) -> Option<(Reason, String)> {
        let way_out = "to continue, delete this rollout and write a new one";
        if let Some(call) = status.pending.iter().find(|call| !call.is_open()) {
            return Some((Reason::OutcomeUnresolved, format!("{}; {way_out}", lost_call(call))));
        }
        let vanished = self.vanished.join(", ");
        (!vanished.is_empty()).then(|| {
            let message = format!(
                "jobs of the previous run are no longer in the cloud and were not observed to end: {vanished}; {way_out}"
            );
            (Reason::JobVanished, message)
        })
    }

    /// Where jobs cannot be stopped, no stop is ordered, and the message says who can.
    fn by_hand(&mut self, capabilities: &Capabilities) -> &'static str {
        if capabilities.stops_jobs {
            return "";
        }
        self.stops.clear();
        "; this cloud has no API to stop jobs: wait, or stop them in the portal"
    }

    fn stop(&mut self, job: &Job, told_before: bool) {
        let order = Action::StopJob { id: job.id.clone() };
        if can_be_stopped(job) && !self.stops.contains(&order) {
            self.stops.push(order);
        }
        let hopeless = told_before && matches!(job.state, JobState::Unknown(_));
        if !hopeless && !self.waits_for.contains(&job.id) {
            self.waits_for.push(job.id.clone());
        }
    }

    fn clear(&mut self, job: &Job, is_known_to_be_over: bool) {
        if is_known_to_be_over {
            self.stops.push(Action::DeleteJob { id: job.id.clone() });
        }
        self.waits_for.push(job.id.clone());
    }

    /// Jobs that carry our keys and that no status records: duplicates, or all jobs after a loss of the state.
    fn add_by_token(
        &mut self,
        view: &RolloutView<'_>,
        identity: &str,
        status: &OtaRolloutStatus,
        jobs: &[&Job],
    ) {
        let uid = view.object.metadata.uid.as_deref().unwrap_or_default();
        let mark = rollout_mark(uid);
        let is_recorded = |job: &Job| status.stages.iter().flat_map(|s| &s.jobs).any(|r| r.id == job.id);
        let is_unknown = |job: &&Job| {
            let is_marked = job.token.as_ref().is_some_and(|token| token.starts_with(&mark));
            is_marked && !job.state.is_final() && !is_recorded(job)
        };
        if !jobs.iter().any(is_unknown) {
            return;
        }
        let known = status.stages.iter().map(|stage| stage.name.clone());
        let written = defaults::stages(&view.object.spec, u32::MAX).into_iter().map(|stage| stage.name);
        let names: BTreeSet<String> = known.chain(written).collect();
        let names: Vec<String> = names.into_iter().collect();
        let packages = [view.package, view.package_of_run].into_iter().flatten().map(package_identity);
        let identities: BTreeSet<String> = packages.chain([identity.to_owned()]).collect();
        for identity in &identities {
            for run in 1..=status.run.saturating_add(MOST_RUNS_LOST) {
                let ours = OurJobs::find(uid, identity, run, &names, status, jobs);
                ours.live().into_iter().filter(|job| !is_recorded(job)).for_each(|job| self.stop(job, true));
            }
        }
    }
}
