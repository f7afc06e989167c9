//! Deletes an `OtaPackage`: its package is kept or deleted by `deletionPolicy`, and never deleted while a job uses it.

use super::compare::{Compared, compare};
use super::report::{Outcome, finish};
use super::verify::{find_job, is_of_an_attempt};
use crate::api::{CreateOperation, DeletionPolicy, Origin, OtaPackage, OtaPackageStatus, Reason, time_text};
use crate::cloud::{Capabilities, Job, JobState};
use crate::decide::{Action, PackageView, Plan, confirm};
use jiff::Timestamp;

/// What a deleted package does next.
pub(super) fn delete(view: &PackageView<'_>, mut status: OtaPackageStatus) -> Plan<OtaPackageStatus> {
    own_what_was_created(view, &mut status);
    // Times in the future were written by a clock that was ahead: they count from now on.
    status.known_since = status.known_since.map(|since| since.min(view.now));
    if let Some(verification) = &mut status.verification {
        verification.dispatched_at = verification.dispatched_at.map(|at| at.min(view.now));
    }
    let outcome = match (in_doubt(&status), view.object.spec.deletion_policy) {
        (Some(doubt), _) => doubt,
        (None, DeletionPolicy::Orphan) => {
            leave(view, &status, "the package stays in the cloud (deletionPolicy: Orphan)")
        }
        (None, DeletionPolicy::Delete) => by_policy(view, &status),
    };
    finish(view.object, status, outcome, view.now)
}

/// A deleted package of which nothing was ever created is removed without reading from the cloud, which may not exist any
/// more.
pub(super) fn at_once(object: &OtaPackage, now: Timestamp) -> Option<Plan<OtaPackageStatus>> {
    let status = object.status.clone().unwrap_or_default();
    let is_leaving = object.metadata.deletion_timestamp.is_some();
    let has_nothing = status.package_id.is_none() && status.pending.is_empty();
    (is_leaving && has_nothing).then(|| finish(object, status, release("nothing was created"), now))
}

/// A deleted package whose account does not exist: it is removed unless something of ours would be left behind that is to
/// be deleted, or may exist.
pub(super) fn without_account(object: &OtaPackage, now: Timestamp) -> Option<Plan<OtaPackageStatus>> {
    object.metadata.deletion_timestamp.as_ref()?;
    let status = object.status.clone().unwrap_or_default();
    let (cloud, id) = (&object.spec.cloud_ref, status.package_id.as_deref().unwrap_or_default());
    let stays = status.origin == Some(Origin::Adopted)
        || object.spec.deletion_policy == DeletionPolicy::Orphan
        || id.is_empty();
    let waits = |why: &str, instead: &str| {
        let message = format!(
            "deletion waits for OtaCloud/{cloud}, which does not exist: {why}; apply that OtaCloud again, or {instead}"
        );
        Outcome::stuck(Reason::AccountMissing, message)
    };
    let outcome = if !status.pending.is_empty() {
        let why = "the outcome of a request that was sent through it is unknown";
        waits(why, "remove the finalizer and check in the cloud what the request created")
    } else if stays {
        release("its OtaCloud does not exist; what is in the cloud stays there")
    } else {
        let why = format!("package {id} was created through it (deletionPolicy: Delete)");
        waits(&why, "set deletionPolicy: Orphan to leave the package in the cloud")
    };
    Some(finish(object, status, outcome, now))
}

/// A create with unknown outcome may have succeeded: an equal package that exists now is its result.
fn own_what_was_created(view: &PackageView<'_>, status: &mut OtaPackageStatus) {
    let calls = status.pending.iter().filter(|intent| intent.operation == CreateOperation::CreatePackage);
    let Some(token) = calls.map(|intent| intent.token.clone()).next() else { return };
    let packages = view.packages.iter().flat_map(|seen| &seen.value);
    let mut equal = packages.filter(|package| compare(view.object, package) == Compared::Equal);
    if let (None, Some(package)) = (&status.package_id, equal.next()) {
        let id = package.row.id.clone();
        confirm::package_created(status, &token, &id, view.now);
    }
}

/// The result of a request with unknown outcome would have no owner.
fn in_doubt(status: &OtaPackageStatus) -> Option<Outcome> {
    let call = &status.pending.iter().find(|intent| intent.is_open())?.token;
    Some(Outcome::working(
        Reason::Deleting,
        format!("deletion waits: the outcome of request {call} is not known yet"),
    ))
}

/// Removes the object and keeps its package in the cloud, once lists must show the package: an object that is written for
/// the same package a moment later would not see it, and create it again.
fn leave(view: &PackageView<'_>, status: &OtaPackageStatus, message: &str) -> Outcome {
    let sent_at = status.verification.as_ref().and_then(|sent| sent.dispatched_at);
    let last = status.known_since.max(sent_at);
    let visible = last.and_then(|last| last.checked_add(view.capabilities.visibility_lag).ok());
    match visible.filter(|visible| view.now < *visible) {
        None => release(message),
        Some(visible) => {
            let until = time_text(visible);
            Outcome::working(
                Reason::Deleting,
                format!("{message}; the cloud's lists may not show it before {until}"),
            )
        }
    }
}

fn by_policy(view: &PackageView<'_>, status: &OtaPackageStatus) -> Outcome {
    let Some(id) = &status.package_id else {
        return release("nothing was created");
    };
    if status.origin == Some(Origin::Adopted) {
        return leave(view, status, "the package was adopted, so it stays in the cloud");
    }
    let (Some(packages), Some(jobs)) = (&view.packages, &view.jobs) else {
        return Outcome::working(
            Reason::Deleting,
            format!("deletion of package {id} waits until the cloud's packages and jobs are read"),
        );
    };
    if packages.value.iter().all(|package| package.row.id != *id) {
        return release("the package is no longer in the cloud");
    }
    let holders = holders(&jobs.value, id, view.capabilities);
    let verify = status.verification.as_ref();
    let newest = verify.and_then(|v| find_job(&jobs.value, &v.token, v.job_id.as_deref()));
    let is_verify = |job: &&Job| newest == Some(*job) || is_of_an_attempt(view, status, job);
    let verify = holders.iter().copied().find(is_verify);
    if let Some(job) = verify.filter(|job| job.state.is_final()) {
        let message =
            format!("deletion of package {id} waits until job {}, which was stopped, is deleted", job.id);
        return Outcome::working(Reason::Deleting, message).with([Action::DeleteJob { id: job.id.clone() }]);
    }
    if holders.is_empty() {
        let outcome = Outcome::working(Reason::Deleting, format!("package {id} is deleted"));
        return outcome.with([Action::DeletePackage { id: id.clone() }]);
    }
    let message = format!("deletion of package {id} waits for {}", describe(&holders));
    let stoppable = verify
        .filter(|_| view.capabilities.stops_jobs)
        .filter(|job| !job.state.is_final() && job.state != JobState::Stopping);
    Outcome::working(Reason::Deleting, message)
        .with(stoppable.map(|job| Action::StopJob { id: job.id.clone() }))
}

fn release(message: &str) -> Outcome {
    Outcome::working(Reason::Deleting, message).with([Action::Release])
}

/// Jobs that keep this package from being deleted: those that are not final and, where the cloud counts them, those that
/// were stopped with devices outstanding.
pub(super) fn holders<'a>(jobs: &[&'a Job], package_id: &str, capabilities: &Capabilities) -> Vec<&'a Job> {
    let holds_stopped = |job: &Job| capabilities.stopped_jobs_hold && job.counts.stopped > 0;
    let of_it = jobs.iter().filter(|job| job.package_ids.iter().any(|id| id == package_id));
    of_it.filter(|job| !job.state.is_final() || holds_stopped(job)).copied().collect()
}

/// `job j-1 (3 of 10 devices outstanding)`, and so on; for stopped ones also how to free the package. A job without
/// outstanding devices has just been created or stopped, or this process has just seen it for the first time: it is named
/// only when there is no other, so that processes that live for seconds do not alternate between two messages.
pub(super) fn describe(holders: &[&Job]) -> String {
    let left = |job: &Job| job.counts.queued + job.counts.in_flight + job.counts.retrying;
    let is_stopped = |job: &Job| job.state.is_final() || left(job) == 0 && job.counts.stopped > 0;
    let describe = |job: &&&Job| {
        let (id, counts, total) = (&job.id, &job.counts, job.counts.total);
        if is_stopped(job) {
            return format!("job {id} (stopped with {} of {total} devices outstanding)", counts.stopped);
        }
        format!("job {id} ({} of {total} devices outstanding)", left(job))
    };
    let busy: Vec<&&Job> = holders.iter().filter(|job| is_stopped(job) || left(job) > 0).collect();
    let named = if busy.is_empty() { holders.iter().collect() } else { busy };
    let all = named.iter().map(describe).collect::<Vec<_>>().join(", ");
    if named.iter().any(|job| is_stopped(job)) {
        return format!("{all}; a stopped job is deleted with its rollout, or by you in the cloud");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{JobCounts, PackageKind};

    fn job(id: &str, state: JobState, queued: u32, stopped: u32) -> Job {
        Job {
            id: id.into(),
            token: None,
            title: String::new(),
            kind: PackageKind::Firmware,
            module: None,
            package_ids: Vec::new(),
            devices: Vec::new(),
            delivery: None,
            state,
            counts: JobCounts { total: 3, queued, stopped, ..JobCounts::default() },
            created_at: None,
        }
    }

    #[test]
    fn a_job_is_described_alike_by_the_first_observation_of_a_process_and_by_later_ones() {
        let busy = job("busy", JobState::Running, 1, 0);
        let hidden = job("hidden", JobState::Running, 0, 0);
        let just_stopped = job("stopped", JobState::Stopping, 0, 2);
        let stopped = job("stopped", JobState::Stopped, 0, 2);
        assert_eq!(describe(&[&busy, &hidden]), describe(&[&busy]));
        assert_eq!(describe(&[&busy, &just_stopped]), describe(&[&busy, &stopped]));
        insta::assert_snapshot!(describe(&[&hidden]), @"job hidden (0 of 3 devices outstanding)");
        insta::assert_snapshot!(
            describe(&[&busy, &stopped]),
            @"job busy (1 of 3 devices outstanding), job stopped (stopped with 2 of 3 devices outstanding); a stopped job is deleted with its rollout, or by you in the cloud"
        );
    }
}
