//! Deleting an `OtaPackage`: its package stays or goes by `deletionPolicy`, and never while a job needs it.

use super::compare::{Compared, compare};
use super::report::{Outcome, finish};
use super::verify::{find_job, is_of_an_attempt};
use crate::api::{CreateOperation, DeletionPolicy, Origin, OtaPackage, OtaPackageStatus, Reason, time_text};
use crate::cloud::{Capabilities, Job, JobState};
use crate::decide::{Action, PackageView, Plan, confirm};
use jiff::Timestamp;

/// What a package that is being deleted does next.
pub(super) fn delete(view: &PackageView<'_>, mut status: OtaPackageStatus) -> Plan<OtaPackageStatus> {
    own_what_was_created(view, &mut status);
    // Times to come were written by a clock that was ahead: they count from now on.
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

/// A package that leaves, and of which nothing was ever created: the cloud need not be asked, and may be gone itself.
pub(super) fn at_once(object: &OtaPackage, now: Timestamp) -> Option<Plan<OtaPackageStatus>> {
    let status = object.status.clone().unwrap_or_default();
    let is_leaving = object.metadata.deletion_timestamp.is_some();
    let has_nothing = status.package_id.is_none() && status.pending.is_empty();
    (is_leaving && has_nothing).then(|| finish(object, status, release("nothing was created"), now))
}

/// A package that leaves, and whose account is not there any more: it goes unless something of ours would stay behind that is
/// to be deleted, or may exist.
pub(super) fn without_account(object: &OtaPackage, now: Timestamp) -> Option<Plan<OtaPackageStatus>> {
    object.metadata.deletion_timestamp.as_ref()?;
    let status = object.status.clone().unwrap_or_default();
    let (cloud, id) = (&object.spec.cloud_ref, status.package_id.as_deref().unwrap_or_default());
    let stays = status.origin == Some(Origin::Adopted)
        || object.spec.deletion_policy == DeletionPolicy::Orphan
        || id.is_empty();
    let waits = |why: &str, instead: &str| {
        let message = format!(
            "deletion waits for OtaCloud/{cloud}, which does not exist: {why}; write that OtaCloud again, or {instead}"
        );
        Outcome::stuck(Reason::AccountMissing, message)
    };
    let outcome = if !status.pending.is_empty() {
        let why = "a request was sent through it whose outcome is unknown";
        waits(why, "remove the finalizer and look in the cloud for what it made")
    } else if stays {
        release("its OtaCloud does not exist; what is in the cloud stays there")
    } else {
        let why = format!("package {id} was created through it (deletionPolicy: Delete)");
        waits(&why, "set deletionPolicy: Orphan to leave the package in the cloud")
    };
    Some(finish(object, status, outcome, now))
}

/// A create whose answer was lost may have succeeded: an equal package that is there now is what it made.
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

/// A call that is not settled may have made what nobody would know of any more.
fn in_doubt(status: &OtaPackageStatus) -> Option<Outcome> {
    let call = &status.pending.iter().find(|intent| intent.is_open())?.token;
    Some(Outcome::working(Reason::Deleting, format!("deletion waits: call {call} is not settled")))
}

/// Lets it go with its package left in the cloud, once lists must show that: an object that is written for the same package a
/// moment later would not see it, and make it again.
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
            format!("deletion of package {id} waits for a look at the cloud"),
        );
    };
    if packages.value.iter().all(|package| package.row.id != *id) {
        return release("the package is not in the cloud any more");
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

/// Jobs of this package that keep it from being deleted: those that are not final and, where the cloud counts them, those
/// that were stopped with devices still to come.
pub(super) fn holders<'a>(jobs: &[&'a Job], package_id: &str, capabilities: &Capabilities) -> Vec<&'a Job> {
    let holds_stopped = |job: &Job| capabilities.stopped_jobs_hold && job.counts.stopped > 0;
    let of_it = jobs.iter().filter(|job| job.package_ids.iter().any(|id| id == package_id));
    of_it.filter(|job| !job.state.is_final() || holds_stopped(job)).copied().collect()
}

/// `job j-1 (3 of 10 devices outstanding)`, and so on; of stopped ones it says what frees the package of them.
pub(super) fn describe(holders: &[&Job]) -> String {
    let describe = |job: &&Job| {
        let (id, counts, total) = (&job.id, &job.counts, job.counts.total);
        if job.state.is_final() {
            return format!("job {id} (stopped with {} of {total} devices to come)", counts.stopped);
        }
        let outstanding = counts.queued + counts.in_flight + counts.retrying;
        format!("job {id} ({outstanding} of {total} devices outstanding)")
    };
    let all = holders.iter().map(describe).collect::<Vec<_>>().join(", ");
    if holders.iter().any(|job| job.state.is_final()) {
        return format!("{all}; a stopped job goes with its rollout, or by hand in the cloud");
    }
    all
}
