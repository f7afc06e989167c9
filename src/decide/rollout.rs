//! What a rollout does next.
//!
//! Stages go Waiting → Dispatching → Running → Soaking → Passed, one at a time. Stop rules come before everything else,
//! on every pass. Anything that cannot be determined holds the rollout and is reported. The parts: `jobs` finds our jobs,
//! `population` the devices, `observed` counts, `deadline` judges missing outcomes, `findings` names devices, `advance`
//! decides, `success` decides how it ended, `leave` cleans up, `report` writes the status.
//!
//! **A stopped job cannot be resumed** (IoTDA refuses to retry a stopped task: SDK 3.1.219, RetryBatchTask). So a hold
//! that stops jobs (`suspend` or a stop rule) ends with a new job of the same stage for the stopped devices, under the
//! idempotency key of the next attempt. Devices with a final outcome keep it.

mod advance;
mod batch;
pub mod control;
mod deadline;
mod dispatch;
mod findings;
mod follow_up;
pub mod gates;
mod holds;
mod jobs;
mod leave;
mod observed;
mod outcomes;
mod overlap;
mod pace;
mod population;
mod report;
pub mod requests;
pub mod responders;
mod run;
pub mod soak;
pub mod stop_rules;
mod strata;
mod success;

use super::clocks::Clocks;
use super::cohort;
use super::defaults;
use super::keys::{package_identity, plan_hash};
use super::needs::{has_begun, is_dispatchable};
use super::ownership::Ownership;
use super::stage::as_count;
use super::strata::Traits;
use super::{Fleet, POLL, Plan, Requeue, RolloutView, Seen};
use crate::api::{
    ObjectKey, OtaPackage, OtaRollout, OtaRolloutStatus, Reason, RolloutPhase, Stage, StageCounts,
    StagePhase, StageStatus, missing_grace_left,
};
use crate::cloud::{Capabilities, DeviceResult, Job};
use control::Groups;
use jiff::Timestamp;
use observed::Observed;
use report::{Outcome, finish};
use std::collections::BTreeMap;

/// The complete context of a decision.
struct Context<'a> {
    rollout: &'a OtaRollout,
    uid: &'a str,
    package: &'a OtaPackage,
    capabilities: &'a Capabilities,
    /// Stages of the spec, the implied one included.
    stages: Vec<Stage>,
    identity: String,
    hash: String,
    jobs: Seen<Vec<&'a Job>>,
    fleet: Seen<Fleet<'a>>,
    results: &'a BTreeMap<String, Vec<DeviceResult>>,
    /// External jobs that are too many to be queried.
    unasked_jobs: usize,
    /// Why the account lets this namespace create nothing.
    refusal: Option<String>,
    /// The outcome while the spec names no package that exists; `package` is then the one that its jobs send.
    without_package: Option<Outcome>,
    ownership: Ownership<'a>,
    now: Timestamp,
    clocks: Clocks,
}

impl<'a> Context<'a> {
    /// What devices are divided into strata by.
    fn traits(&self) -> Traits<'_, 'a> {
        Traits { fleet: &self.fleet.value, kind: self.package.spec.kind }
    }

    /// What the control group is taken from.
    fn groups<'c>(&'c self, observed: &'c Observed<'a>) -> Groups<'c, 'a> {
        Groups {
            spec: &self.rollout.spec,
            stages: &self.stages,
            seed: cohort::seed(&self.rollout.spec, self.package),
            fleet: &self.fleet,
            traits: self.traits(),
            eligible: &observed.population.eligible,
            sent: &observed.taken.stage_of,
            clocks: &self.clocks,
            now: self.now,
        }
    }
}

/// Decides what a rollout does next. The same view gives the same plan; a plan that was carried out is not repeated.
#[must_use]
pub fn plan(view: &RolloutView<'_>) -> Plan<OtaRolloutStatus> {
    let mut status = view.object.status.clone().unwrap_or_default();
    if view.object.metadata.deletion_timestamp.is_some() {
        return leave::delete(view, status);
    }
    requests::take_pause(view.object, &mut status, view.now);
    if let Some((account, package)) = account_left(view) {
        return leave::account(view, status, &account, package);
    }
    let context = match gather(view, &status) {
        Ok(context) => context,
        Err(lack) => return without_ground(view, status, lack),
    };
    let run_before = status.run;
    if let Some(lack) = &context.without_package {
        requests::refuse_restart(view.object, &mut status, &lack.message, view.now);
    } else if let Some(outcome) = run::enter(&context, &mut status) {
        if outcome.phase == RolloutPhase::Held {
            requests::refuse_retry(view.object, &mut status, &outcome.message, view.now);
        }
        return finish(view.object, status, outcome, view.now);
    }
    // A run that has just begun has sent nothing: report what it waits for, as the next pass would.
    if status.run > run_before.max(1)
        && let Err(lack) = gather(view, &status)
    {
        return without_ground(view, status, lack);
    }
    status.account = Some(context.package.spec.cloud_ref.to_string());
    match advance::advance(&context, &mut status) {
        Some(outcome) => finish(view.object, status, outcome, view.now),
        None => wait_for_a_look(view, view.object.status.clone().unwrap_or_default()),
    }
}

/// The account that its jobs are in, and its package, when that is in another account now.
fn account_left<'a>(view: &RolloutView<'a>) -> Option<(ObjectKey, &'a OtaPackage)> {
    let package = view.package?;
    Some((view.object.account_left(package)?, package))
}

/// The plan when the context is incomplete.
fn without_ground(
    view: &RolloutView<'_>,
    mut status: OtaRolloutStatus,
    lack: Lack,
) -> Plan<OtaRolloutStatus> {
    match lack {
        Lack::Look => wait_for_a_look(view, status),
        Lack::Other(outcome) => {
            requests::answer_unjudged(view.object, &mut status, &outcome, view.now);
            finish(view.object, status, *outcome, view.now)
        }
    }
}

/// Decisions that need no observation of the cloud: a rollout that created nothing is removed at once.
#[must_use]
pub fn plan_unseen(object: &OtaRollout, now: Timestamp) -> Option<Plan<OtaRolloutStatus>> {
    leave::at_once(object, now)
}

/// Why the context is incomplete.
enum Lack {
    /// The cloud was not observed yet.
    Look,
    /// Something else, described by the outcome.
    Other(Box<Outcome>),
}

/// The outcome of a rollout whose package does not exist, or is invalid.
fn without_package(view: &RolloutView<'_>, phase: RolloutPhase) -> Outcome {
    let name = &view.object.spec.package_ref.name;
    if view.package_is_invalid {
        let message = format!(
            "OtaPackage {name} is invalid, and nothing is sent without it: correct it; its status shows what is wrong"
        );
        return Outcome::held(Reason::PackageInvalid, message, false);
    }
    let message = format!(
        "OtaPackage {name} does not exist, and nothing is sent without it: apply it, or correct spec.packageRef"
    );
    let conditions = view.object.status.as_ref().map(|status| status.conditions.as_slice());
    let left = missing_grace_left(conditions.unwrap_or_default(), view.now);
    match left.is_positive() {
        true => Outcome {
            requeue: Requeue::After(left),
            ..Outcome::working(phase, Reason::PackageMissing, message)
        },
        // It is reconciled again when such a package appears.
        false => Outcome::held(Reason::PackageMissing, message, false),
    }
}

fn gather<'a>(view: &'a RolloutView<'_>, status: &OtaRolloutStatus) -> Result<Context<'a>, Lack> {
    let begun = has_begun(status);
    let phase = if begun { status.phase } else { RolloutPhase::Pending };
    let lack = |reason, message: String| Lack::Other(Box::new(Outcome::working(phase, reason, message)));
    let rollout = view.object;
    let package = view.package.or(view.package_of_run.filter(|_| begun));
    let package = package.ok_or_else(|| Lack::Other(Box::new(without_package(view, phase))))?;
    if let Some((reason, words)) = requests::stands_still(rollout, status).filter(|_| !begun) {
        let outcome = Outcome::held(reason, format!("{words}: {}", advance::NOTHING_SENT), false).still();
        return Err(Lack::Other(Box::new(outcome)));
    }
    let capabilities = view.capabilities.ok_or_else(|| {
        let cloud = &package.spec.cloud_ref;
        lack(
            Reason::CloudUnreachable,
            format!("OtaCloud {cloud} cannot be reached: nothing is sent, and counts stay as last observed"),
        )
    })?;
    if let Some(why) = view.refusal.clone().filter(|_| !begun) {
        return Err(lack(Reason::NamespaceNotAllowed, why));
    }
    if !begun && !is_dispatchable(package) {
        return Err(lack(Reason::PackageNotReady, package_message(package)));
    }
    let (Some(jobs), Some(fleet)) = (view.jobs.clone(), view.fleet.clone()) else { return Err(Lack::Look) };
    let stages = stages_of(rollout, status, package, &fleet.value).ok_or(Lack::Look)?;
    Ok(Context {
        rollout,
        uid: rollout.metadata.uid.as_deref().unwrap_or_default(),
        package,
        capabilities,
        stages,
        identity: package_identity(package),
        hash: plan_hash(rollout, package),
        jobs,
        fleet,
        results: &view.results,
        unasked_jobs: view.unasked_jobs,
        refusal: view.refusal.clone(),
        without_package: view.package.is_none().then(|| without_package(view, phase)),
        ownership: Ownership::new(rollout, package, &view.rivals),
        now: view.now,
        clocks: view.clocks,
    })
}

/// The stages of a rollout; default ones are chosen by the number of its targets, until it has begun. None when the members
/// of groups or tags were not observed.
fn stages_of(
    rollout: &OtaRollout,
    status: &OtaRolloutStatus,
    package: &OtaPackage,
    fleet: &Fleet<'_>,
) -> Option<Vec<Stage>> {
    if !rollout.spec.stages.is_empty() || has_begun(status) {
        return Some(defaults::begun_stages(&rollout.spec, status));
    }
    let targeted = population::targeted(&rollout.spec, &package.spec, fleet)?;
    Some(defaults::stages(&rollout.spec, targeted))
}

/// Why the package may not be sent.
fn package_message(package: &OtaPackage) -> String {
    let name = package.metadata.name.as_deref().unwrap_or_default();
    let said = package.status.as_ref().map(|status| status.message.as_str()).filter(|text| !text.is_empty());
    format!(
        "waits for OtaPackage {name} to be ready and verified: {}",
        said.unwrap_or("it was not reconciled yet")
    )
}

/// Nothing was observed, so the status stays as it is.
fn wait_for_a_look(view: &RolloutView<'_>, status: OtaRolloutStatus) -> Plan<OtaRolloutStatus> {
    if status.observed_generation == view.object.metadata.generation.unwrap_or(0) {
        return Plan { status, actions: Vec::new(), requeue: Requeue::After(POLL) };
    }
    let outcome = Outcome::working(status.phase, Reason::Observing, "reading the cloud's jobs and devices");
    finish(view.object, status, outcome, view.now)
}

/// A stage that was not dispatched yet.
pub(super) fn waiting_stage(name: &str) -> StageStatus {
    StageStatus {
        name: name.to_owned(),
        phase: StagePhase::Waiting,
        counts: StageCounts::default(),
        jobs: Vec::new(),
        opens_at: None,
        dispatched_at: None,
        selected_by: None,
        size: None,
        unsent: 0,
        clock: None,
        findings: Vec::new(),
        observed_at: None,
        observed_cloud_at: None,
        observed_uptime: None,
        soaks_until: None,
        sample: None,
        failed_before: 0,
        passed_at: None,
        gates: Vec::new(),
        control: None,
        strata: None,
        responders: None,
    }
}
