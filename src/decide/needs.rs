//! What must be observed before an object can be judged, so that nothing else is read.
//!
//! Observe jobs before devices: a device counts as reverted only by an observation that began after its job was final.

use super::defaults;
use super::keys::is_verification_of;
use super::sets::Chosen;
use super::strata::{properties, tag_property};
use crate::api::{
    IN_SYNC, OtaPackage, OtaRollout, OtaRolloutStatus, READY, StagePhase, StageStatus, VERIFIED,
    Verification, VerificationStatus, condition_is_true, support::Refusal,
};
use crate::cloud::{
    Capabilities, DeviceOutcome, DeviceScope, DeviceSet, Job, JobState, NewJob, PackageKey, PackageKind,
};
use std::collections::BTreeSet;

/// A query to an external job before a new job is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Cloud's id of the job.
    pub job: String,
    /// The devices of the new job; sorted.
    pub devices: Vec<String>,
}

/// Explicit targets of up to this many devices are read one by one instead of reading the product's whole fleet.
pub const MAX_SINGLE_DEVICES: usize = 20;

/// Something to observe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The packages of this natural key, oldest first; their details where [`details_needed`] is true.
    Packages(PackageKey),
    /// The jobs of this kind; details of devices with the outcomes of [`outcomes_needed`].
    Jobs(PackageKind),
    /// These devices, one by one.
    Devices(Vec<String>),
    /// Every device of a product.
    Fleet(DeviceScope),
    /// Which devices of a product are connected. Costs nothing where rows of devices report it.
    Presence(DeviceScope),
    /// The ids of the devices of a set that targets or a stage select.
    Set(DeviceSet),
}

/// Natural key of the package in its account.
#[must_use]
pub fn package_key(package: &OtaPackage) -> PackageKey {
    let spec = &package.spec;
    PackageKey {
        kind: spec.kind,
        product: spec.product.to_string(),
        version: spec.version.clone(),
        module: spec.module().map(str::to_owned),
    }
}

/// What a decision about a package needs. A verified package in its final state needs its list row only.
#[must_use]
pub fn for_package(package: &OtaPackage) -> Vec<Need> {
    let mut needs = vec![Need::Packages(package_key(package))];
    let deleting = package.metadata.deletion_timestamp.is_some();
    let unsettled = package.status.as_ref().is_some_and(|status| !status.pending.is_empty());
    let in_sync = has_condition(package, IN_SYNC);
    let verification =
        package.spec.verification.as_ref().filter(|v| !deleting && needs_verification(package, v));
    if deleting || unsettled || !in_sync || verification.is_some() {
        needs.push(Need::Jobs(package.spec.kind));
    }
    needs.extend(verification.map(|v| Need::Devices(sorted(&v.devices))));
    needs
}

/// What a decision about a rollout needs. Nothing is read for a rollout that waits for its package.
#[must_use]
pub fn for_rollout(rollout: &OtaRollout, package: &OtaPackage) -> Vec<Need> {
    if rollout.metadata.deletion_timestamp.is_some() {
        let left = rollout.account_left(package).is_some();
        let jobs = Need::Jobs(if left { PackageKind::Firmware } else { package.spec.kind });
        return if rollout.status.as_ref().is_some_and(has_dispatched) { vec![jobs] } else { Vec::new() };
    }
    if rollout.account_left(package).is_some() {
        // The kind of the previous package is unknown by now: every cloud lists firmware jobs, and the others with them.
        return vec![Need::Jobs(PackageKind::Firmware)];
    }
    if !rollout.status.as_ref().is_some_and(has_begun) && !is_dispatchable(package) {
        return Vec::new();
    }
    let is_under_way = rollout.status.as_ref().is_some_and(|status| {
        has_dispatched(status) && status.stages.iter().any(|stage| stage.phase != StagePhase::Passed)
    });
    observed(rollout, package, is_under_way)
}

/// What a preview of a rollout needs: the same as if its package were ready, and who is offline now.
#[must_use]
pub fn for_preview(rollout: &OtaRollout, package: &OtaPackage) -> Vec<Need> {
    if rollout.metadata.deletion_timestamp.is_some() || rollout.account_left(package).is_some() {
        return for_rollout(rollout, package);
    }
    observed(rollout, package, true)
}

fn observed(rollout: &OtaRollout, package: &OtaPackage, compares: bool) -> Vec<Need> {
    let jobs = std::iter::once(Need::Jobs(package.spec.kind));
    jobs.chain(targets(rollout, package)).chain(presence(rollout, package, compares)).collect()
}

/// Which devices are connected is needed while a job may still reach one: those that are not are shown
/// ([`crate::api::FindingKind::Offline`]). A rule that compares devices with a control group needs it too.
fn presence(rollout: &OtaRollout, package: &OtaPackage, compares: bool) -> Option<Need> {
    let stages = rollout.status.iter().flat_map(|status| &status.stages);
    let is_live = |stage: &StageStatus| stage.jobs.iter().any(|job| job.finished_at.is_none());
    let is_waiting = |stage: &StageStatus| stage.counts.outstanding() > 0 || is_live(stage);
    let is_needed = stages.into_iter().any(is_waiting) || (compares && defaults::compares(&rollout.spec));
    is_needed.then(|| Need::Presence(package_key(package).scope()))
}

/// What must be observed to know which devices a rollout of the same product targets: the sets that it names.
pub fn target_sets(rollout: &OtaRollout) -> impl Iterator<Item = DeviceSet> {
    let divided = properties(&rollout.spec);
    let divides = move |set: DeviceSet| match set {
        // Which of the values a device has: as many rows, in one list for each value.
        DeviceSet::Tag { key, values } if divided.contains(&tag_property(&key)) => {
            let of = |value| DeviceSet::Tag { key: key.clone(), values: vec![value] };
            values.into_iter().map(of).collect()
        }
        set => vec![set],
    };
    Chosen::by_targets(&rollout.spec.targets).into_iter().flat_map(Chosen::sets).flat_map(divides)
}

/// True when the package may be sent to devices: ready and verified, according to its current spec.
#[must_use]
pub fn is_dispatchable(package: &OtaPackage) -> bool {
    package.metadata.deletion_timestamp.is_none()
        && has_condition(package, READY)
        && has_condition(package, VERIFIED)
        && package.status.as_ref().is_some_and(|status| {
            status.package_id.is_some()
                && status.observed_generation == package.metadata.generation.unwrap_or(0)
        })
}

/// True when the details of a listed package must be read: they were never compared for this hash of its row
/// ([`crate::cloud::PackageRow::hash`]), or were not equal.
#[must_use]
pub fn details_needed(package: &OtaPackage, row_hash: &str) -> bool {
    let Some(status) = &package.status else { return true };
    status.compared_row.as_deref() != Some(row_hash)
        || status.observed_generation != package.metadata.generation.unwrap_or(0)
        || !condition_is_true(&status.conditions, IN_SYNC)
}

/// Outcomes whose devices must be read one by one. Successes never are, so the cost grows with failures only. Failed
/// devices: to distinguish timeouts from failures, and to name the device. Stopped ones: only when the job was stopped
/// after some devices had succeeded, to distinguish stopped devices from reverted ones. Removed ones: of an ended job,
/// since a device may have been registered again under the same id.
#[must_use]
pub fn outcomes_needed(job: &Job) -> Vec<DeviceOutcome> {
    let failed = (job.counts.failed > 0).then_some(DeviceOutcome::Failed);
    let ambiguous = job.state == JobState::Stopped && job.counts.stopped > 0 && job.counts.succeeded > 0;
    let removed = job.state.is_final() && job.counts.removed > 0;
    let stopped = ambiguous.then_some(DeviceOutcome::Stopped);
    failed.into_iter().chain(stopped).chain(removed.then_some(DeviceOutcome::Removed)).collect()
}

/// External jobs that are queried before a job is created, at most. On EnOS no job ends by itself: an account may have
/// thousands that were never stopped.
const MOST_QUESTIONS: usize = 40;

/// The queries to external jobs before a new job is sent, where rows do not show which devices they hold; the youngest
/// job first. A job with `overwrite` needs none: the cloud replaces jobs that have not begun.
#[must_use]
pub fn questions<'a>(
    new: &NewJob,
    jobs: impl Iterator<Item = &'a Job>,
    limits: &Capabilities,
) -> Vec<Question> {
    if limits.max_devices_per_question == 0 || new.delivery.overwrite == Some(true) {
        return Vec::new();
    }
    let mut strange: Vec<&Job> = jobs.filter(|job| job.token.is_none() && !job.state.is_final()).collect();
    strange.sort_by_key(|job| (std::cmp::Reverse(job.created_at), &job.id));
    let asked = strange.into_iter().map(|job| {
        let named: BTreeSet<&String> = job.devices.iter().collect();
        let devices = new.devices.iter().filter(|id| named.is_empty() || named.contains(id));
        Question { job: job.id.clone(), devices: devices.cloned().collect() }
    });
    asked.filter(|question| !question.devices.is_empty()).collect()
}

/// These queries, if they are few enough for one dispatch.
///
/// # Errors
/// The number of jobs that would have to be queried. Then none is: the others could hold the devices, so nothing may be
/// sent anyway.
pub fn within_limit(questions: Vec<Question>) -> Result<Vec<Question>, usize> {
    if questions.len() > MOST_QUESTIONS { Err(questions.len()) } else { Ok(questions) }
}

/// Why nothing is sent while external jobs are not queried; none when all of them were.
pub(super) fn unasked(jobs: usize) -> Option<String> {
    (jobs > 0).then(|| {
        format!(
            "{jobs} external jobs may hold these devices, and at most {MOST_QUESTIONS} are queried before a dispatch; stop external jobs that are no longer needed"
        )
    })
}

fn targets(rollout: &OtaRollout, package: &OtaPackage) -> Vec<Need> {
    let targets = &rollout.spec.targets;
    let few = targets.devices.as_ref().filter(|devices| devices.len() <= MAX_SINGLE_DEVICES);
    let devices = few
        .map_or_else(|| Need::Fleet(package_key(package).scope()), |devices| Need::Devices(sorted(devices)));
    let needed: BTreeSet<Need> = target_sets(rollout).map(Need::Set).chain(stage_sets(rollout)).collect();
    std::iter::once(devices).chain(needed).collect()
}

/// The sets that stages select by, also those of stages that were dispatched: a new run begins with all of them.
fn stage_sets(rollout: &OtaRollout) -> impl Iterator<Item = Need> {
    let chosen = rollout.spec.stages.iter().filter_map(|stage| Chosen::by_stage(&stage.select));
    let sets: BTreeSet<DeviceSet> = chosen.flat_map(Chosen::sets).collect();
    sets.into_iter().map(Need::Set)
}

/// True when as many devices run the package as the verification requires now.
pub(super) fn is_enough(verification: &Verification, known: &VerificationStatus) -> bool {
    verification.min_success.is_reached(known.counts.succeeded, known.counts.assigned)
}

fn needs_verification(package: &OtaPackage, verification: &Verification) -> bool {
    let known = package.status.as_ref().and_then(|status| status.verification.as_ref());
    !has_condition(package, VERIFIED)
        || known.is_none_or(|known| {
            !is_verification_of(package, verification, known) || !is_enough(verification, known)
        })
}

fn has_dispatched(status: &OtaRolloutStatus) -> bool {
    let has_jobs = |stage: &StageStatus| !stage.jobs.is_empty();
    !status.pending.is_empty() || status.stages.iter().any(has_jobs)
}

/// True once a stage was dispatched, or may have been: also one without a job, because its create was refused or it had
/// no devices.
pub(super) fn has_begun(status: &OtaRolloutStatus) -> bool {
    let is_released = |stage: &StageStatus| stage.phase != StagePhase::Waiting;
    has_dispatched(status) || status.stages.iter().any(is_released)
}

fn has_condition(package: &OtaPackage, type_: &str) -> bool {
    package.status.as_ref().is_some_and(|status| condition_is_true(&status.conditions, type_))
}

fn sorted(ids: &[String]) -> Vec<String> {
    ids.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// What the object's cloud cannot honour of its `spec`, as a message; none when it supports everything. Admission refuses
/// it first where there is one.
pub(super) fn unsupported(refusals: &[Refusal]) -> Option<String> {
    let texts: Vec<String> = refusals.iter().map(|r| format!("{}: {}", r.path, r.message)).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{OtaPackageStatus, Reason, StageCounts, Truth, set_condition};
    use crate::cloud::JobCounts;
    use crate::decide::rollout::waiting_stage;
    use crate::decide::testing::{package, rollout};
    use jiff::Timestamp;
    use serde_json::json;

    fn ready() -> OtaPackage {
        let mut package = package();
        let mut status = OtaPackageStatus {
            observed_generation: 1,
            package_id: Some("p-1".into()),
            ..OtaPackageStatus::default()
        };
        for type_ in [READY, VERIFIED, IN_SYNC] {
            set_condition(
                &mut status.conditions,
                type_,
                Truth::True,
                Reason::Ready,
                "",
                1,
                Timestamp::UNIX_EPOCH,
            );
        }
        package.status = Some(status);
        package
    }

    #[test]
    fn a_quiet_package_needs_its_list_row_alone() {
        assert_eq!(for_package(&ready()), [Need::Packages(package_key(&package()))]);
        assert!(for_package(&package()).contains(&Need::Jobs(PackageKind::Firmware)));
    }

    #[test]
    fn a_rollout_that_waits_for_its_package_needs_nothing() {
        assert_eq!(for_rollout(&rollout(), &package()), []);
    }

    #[test]
    fn a_package_status_of_an_older_spec_dispatches_nothing() {
        let mut edited = ready();
        edited.metadata.generation = Some(2);
        assert!(is_dispatchable(&ready()) && !is_dispatchable(&edited));
    }

    #[test]
    fn a_few_named_devices_are_read_one_by_one_and_many_by_the_list() {
        let mut rollout = rollout();
        rollout.spec.targets.devices = Some(vec!["b".into(), "a".into(), "a".into()]);
        let needs = for_rollout(&rollout, &ready());
        assert_eq!(needs, [Need::Jobs(PackageKind::Firmware), Need::Devices(vec!["a".into(), "b".into()])]);
        rollout.spec.targets.devices = Some((0..=MAX_SINGLE_DEVICES).map(|n| n.to_string()).collect());
        assert!(for_rollout(&rollout, &ready()).contains(&Need::Fleet(package_key(&ready()).scope())));
    }

    #[test]
    fn presence_is_read_only_while_devices_are_waited_for_or_compared() {
        let mut rollout = rollout();
        let presence = Need::Presence(package_key(&ready()).scope());
        let is_needed = |rollout: &OtaRollout| for_rollout(rollout, &ready()).contains(&presence);
        assert!(!is_needed(&rollout), "nothing was sent");
        assert!(for_preview(&rollout, &ready()).contains(&presence), "a plan shows who is offline");
        for (counts, expected) in [
            (StageCounts { queued: 1, ..StageCounts::default() }, true),
            (StageCounts { in_flight: 1, ..StageCounts::default() }, true),
            (StageCounts { succeeded: 5, failed: 1, ..StageCounts::default() }, false),
        ] {
            let stage = StageStatus { counts, ..waiting_stage("canary") };
            rollout.status = Some(OtaRolloutStatus { stages: vec![stage], ..OtaRolloutStatus::default() });
            assert_eq!(is_needed(&rollout), expected, "{counts:?}");
        }
        let job = json!({"token": "t", "id": "j", "devices": 5, "state": "Running"});
        let status = rollout.status.as_mut().unwrap();
        status.stages[0].jobs.push(serde_json::from_value(job).unwrap());
        rollout.spec.stop = Some(Vec::new());
        assert!(is_needed(&rollout), "a device that never began is shown as offline");
        rollout.status.as_mut().unwrap().stages[0].jobs[0].finished_at = Some(Timestamp::UNIX_EPOCH);
        assert!(!is_needed(&rollout), "nothing compares");
        rollout.spec.stop = None;
        assert!(is_needed(&rollout), "the default rules compare with a control group");
    }

    #[test]
    fn devices_of_a_job_are_read_only_where_failures_are() {
        let job = |state, counts| Job {
            id: "j".into(),
            token: None,
            title: String::new(),
            kind: PackageKind::Firmware,
            module: None,
            package_ids: Vec::new(),
            devices: Vec::new(),
            delivery: None,
            state,
            counts,
            created_at: None,
        };
        let counts =
            |succeeded, failed, stopped| JobCounts { succeeded, failed, stopped, ..JobCounts::default() };
        assert_eq!(outcomes_needed(&job(JobState::Succeeded, counts(9, 0, 0))), []);
        assert_eq!(outcomes_needed(&job(JobState::Running, counts(9, 1, 0))), [DeviceOutcome::Failed]);
        assert_eq!(outcomes_needed(&job(JobState::Stopped, counts(0, 0, 5))), []);
        assert_eq!(outcomes_needed(&job(JobState::Stopped, counts(2, 0, 5))), [DeviceOutcome::Stopped]);
    }
}
