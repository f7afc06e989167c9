//! Verification: the named devices must run the package before any rollout starts.

use super::former;
use super::report::{Outcome, Standing};
use crate::api::{
    CreateOperation, Intent, OtaPackageStatus, Reason, StageCounts, Truth, VERIFIED, Verification,
    VerificationStatus, condition_is_true, counted, percent_text,
};
use crate::cloud::{CloudVerification, Device, Job, JobPurpose, NewJob};
use crate::decide::busy::{Sight, holders};
use crate::decide::cohort::other_product;
use crate::decide::gate::{reaches, spaced};
use crate::decide::keys::{is_verification_of, package_identity, verify_token};
use crate::decide::needs::{is_enough, package_key, unasked};
use crate::decide::stage::{JobSight, Target, Uniqueness, as_count, tally, versions_of};
use crate::decide::{Action, PackageView, Seen, confirm, lost_call};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Judges the verification of a package that is in the cloud under `package_id`.
pub(super) fn verify(view: &PackageView<'_>, status: &mut OtaPackageStatus, package_id: &str) -> Outcome {
    let Some(verification) = &view.object.spec.verification else {
        former::remember(view, status);
        status.verification = None;
        return match of_the_cloud(view, package_id) {
            Some(CloudVerification::NotNeeded | CloudVerification::Passed) | None => {
                done("no verification is asked for")
            }
            Some(state) => {
                let message = format!(
                    "the cloud takes no rollout of package {package_id} before it is verified (its verification: {}); give spec.verification",
                    state.as_str()
                );
                Outcome::stuck(Reason::VerificationNeeded, message).verified(Truth::False)
            }
        };
    };
    let is_known = status
        .verification
        .as_ref()
        .is_some_and(|known| is_verification_of(view.object, verification, known));
    let was_verified = is_known && condition_is_true(&status.conditions, VERIFIED);
    // What it asks for may have been raised since.
    let enough = status.verification.as_ref().filter(|known| was_verified && is_enough(verification, known));
    if let Some(known) = enough {
        return held_back(view, package_id, &known.counts)
            .unwrap_or_else(|| passed(&known.counts, known.job_id.is_some()));
    }
    let (Some(jobs), Some(devices)) = (&view.jobs, &view.devices) else {
        return Outcome::working(Reason::Observing, "looking at the devices of the verification")
            .verified(Truth::Unknown);
    };
    let named: BTreeSet<&str> = verification.devices.iter().map(String::as_str).collect();
    let unknown: Vec<&str> = named.iter().copied().filter(|id| !devices.value.contains_key(*id)).collect();
    if !unknown.is_empty() {
        let message = format!(
            "the cloud does not know {} of {} devices that verification names: {}",
            unknown.len(),
            named.len(),
            unknown.join(", ")
        );
        return Outcome::stuck(Reason::VerificationDevicesUnknown, message).verified(Truth::Unknown);
    }
    if let Some(unfit) = of_another_product(view, &named, &devices.value) {
        return unfit;
    }
    if !is_known {
        former::remember(view, status);
        let next = begin(view, verification, last_attempt(view, verification, &jobs.value));
        status.verification = Some(former::take_up(view, status, verification, next));
    }
    let token = status.verification.as_ref().map(|known| known.token.clone()).unwrap_or_default();
    former::settle(view, status, &jobs.value, &token);
    Trial { view, verification, token, package_id, named: named.into_iter().collect(), jobs, devices }
        .judge(status)
}

/// An attempt at the verification that the spec asks for now, of which nothing is known yet.
pub(super) fn begin(view: &PackageView<'_>, verification: &Verification, attempt: u32) -> VerificationStatus {
    VerificationStatus {
        token: token(view, verification, attempt),
        attempt,
        job_id: None,
        dispatched_at: None,
        dispatched_uptime: None,
        finished_at: None,
        counts: StageCounts::default(),
    }
}

pub(super) fn token(view: &PackageView<'_>, verification: &Verification, attempt: u32) -> String {
    let uid = view.object.metadata.uid.as_deref().unwrap_or_default();
    verify_token(uid, &package_identity(view.object), &verification.devices, attempt)
}

/// True when it is the verify job of any attempt at what the spec asks for now.
pub(super) fn is_of_an_attempt(view: &PackageView<'_>, status: &OtaPackageStatus, job: &Job) -> bool {
    let (Some(asked), Some(known)) = (&view.object.spec.verification, &status.verification) else {
        return false;
    };
    let is_its = |attempt| job.token.as_deref() == Some(&token(view, asked, attempt));
    (0..=known.attempt).any(is_its)
}

/// The last attempt whose job is in the cloud: where the state was lost, nothing else tells that there were several.
fn last_attempt(view: &PackageView<'_>, verification: &Verification, jobs: &[&Job]) -> u32 {
    let is_there = |attempt: &u32| find_job(jobs, &token(view, verification, *attempt), None).is_some();
    (1..).take_while(is_there).last().unwrap_or(0)
}

/// The oldest job of this token.
fn oldest<'a>(jobs: &[&'a Job], token: &str) -> Option<&'a Job> {
    let same = jobs.iter().filter(|job| job.token.as_deref() == Some(token)).copied();
    same.min_by_key(|job| (job.created_at.unwrap_or(Timestamp::MAX), &job.id))
}

/// Whether this job is the only one of its token, as far as a list shows it that was begun after the job had become visible.
fn uniqueness(jobs: &Seen<Vec<&Job>>, job: &Job, lag: SignedDuration) -> Uniqueness {
    let is_twin = |other: &&&Job| other.id != job.id && job.token.is_some() && other.token == job.token;
    let visible = job.created_at.and_then(|created| created.checked_add(lag).ok());
    if jobs.value.iter().any(|other| is_twin(&other)) {
        Uniqueness::Shared
    } else if visible.is_some_and(|visible| jobs.at < visible) {
        Uniqueness::Unchecked
    } else {
        Uniqueness::Unique
    }
}

/// The verify job among these: by its token, or by the id that the status holds.
pub(super) fn find_job<'a>(jobs: &[&'a Job], token: &str, id: Option<&str>) -> Option<&'a Job> {
    let oldest = oldest(jobs, token);
    let by_id = jobs.iter().find(|job| id == Some(job.id.as_str())).copied();
    // Another instance may have sent the same one before: both of them go by the older job.
    by_id.filter(|job| job.token.as_deref() != Some(token)).or(oldest).or(by_id)
}

/// Takes in the verify job whose create was not answered, if it is listed; the token of one that is not.
pub(super) fn unsettled(status: &mut OtaPackageStatus, jobs: &[&Job], now: Timestamp) -> Option<String> {
    let is_job = |intent: &&Intent| intent.operation == CreateOperation::CreateJob && intent.is_open();
    let token = status.pending.iter().find(is_job)?.token.clone();
    let Some(job) = find_job(jobs, &token, None) else { return Some(token) };
    confirm::verify_job_created(status, &token, &job.id, now);
    None
}

struct Trial<'v> {
    view: &'v PackageView<'v>,
    verification: &'v Verification,
    token: String,
    package_id: &'v str,
    named: Vec<&'v str>,
    jobs: &'v Seen<Vec<&'v Job>>,
    devices: &'v Seen<BTreeMap<String, Device>>,
}

impl Trial<'_> {
    fn judge(&self, status: &mut OtaPackageStatus) -> Outcome {
        let Some(known) = status.verification.as_mut() else {
            return Outcome::working(Reason::Observing, "looking at the devices of the verification");
        };
        // A time to come was written by a clock that was ahead: its timeout counts from now on.
        known.dispatched_at = known.dispatched_at.map(|at| at.min(self.view.now));
        let job = find_job(&self.jobs.value, &self.token, known.job_id.as_deref());
        if let Some(job) = job {
            status.pending.retain(|intent| intent.token != self.token);
            known.job_id = Some(job.id.clone());
            known.dispatched_at = known.dispatched_at.or(job.created_at).or(Some(self.jobs.at));
            // Jobs are also looked at one by one, later than their list was read; and a time to come was written by a clock that
            // has been set back since.
            let now = self.view.now;
            let ended = job.state.is_final();
            known.finished_at = ended.then(|| known.finished_at.map_or(now, |at| at.min(now)));
        }
        let (counts, unclear) = self.count(job, known);
        known.counts = counts;
        let call = status.pending.iter().find(|intent| intent.token == self.token);
        let in_doubt = job.is_none() && call.is_some_and(Intent::is_open);
        if let Some(outcome) = self.verdict(&counts, known.job_id.is_some()) {
            return match (in_doubt, outcome.standing) {
                (true, _) => self.looking(&counts),
                (false, Standing::Done) => self.confirmed(known, job).unwrap_or(outcome),
                (false, _) => outcome,
            };
        }
        if let Some(unclear) = unclear {
            return Outcome::stuck(Reason::VerificationUnknown, unclear).verified(Truth::Unknown);
        }
        match (job, &known.job_id) {
            (Some(_), _) => Outcome::working(Reason::Verifying, summary(&counts)).verified(Truth::Unknown),
            (None, Some(id)) => self.hidden(id, known),
            (None, None) => match call.filter(|call| !call.is_open()) {
                Some(call) => lost(call),
                None => self.dispatch(&status.pending),
            },
        }
    }

    fn count(&self, job: Option<&Job>, known: &VerificationStatus) -> (StageCounts, Option<String>) {
        let spec = &self.view.object.spec;
        let target = Target { kind: spec.kind, version: &spec.version };
        let Some(job) = job else {
            let runs = |id: &&&str| self.devices.value.get(**id).is_some_and(|d| target.is_reported_by(d));
            let succeeded = as_count(self.named.iter().filter(runs).count());
            let assigned = as_count(self.named.len());
            let counts =
                StageCounts { assigned, succeeded, queued: assigned - succeeded, ..StageCounts::default() };
            return (self.after_timeout(counts, known), None);
        };
        let lag = self.view.capabilities.visibility_lag;
        let settled = known
            .finished_at
            .and_then(|finished| finished.checked_add(lag).ok())
            .is_some_and(|settled_at| self.devices.at >= settled_at);
        let told = tally(&JobSight {
            job,
            members: &self.named,
            results: self.view.results.get(&job.id).map_or(&[][..], Vec::as_slice),
            fleet: &self.devices.value,
            target,
            listed: &self.jobs.value,
            package_id: Some(self.package_id),
            settled,
            successes_read: 0,
            retried: false,
            uniqueness: uniqueness(self.jobs, job, lag),
        });
        // Whoever else sends the package after its devices were counted proves nothing of them.
        let is_lost = known.counts == StageCounts::default();
        let mut counts =
            if is_lost && self.was_passed(job) { told.counts } else { told.counts.believing(known.counts) };
        if job.state.is_final() {
            // Devices that were stopped, removed, or taken on unseen prove nothing, and no other job will come for them.
            let lost = as_count(self.named.len()).saturating_sub(counts.assigned);
            counts.assigned += lost;
            counts.failed += counts.queued + lost;
            counts.queued = 0;
            return (self.after_timeout(counts, known), None);
        }
        (self.after_timeout(counts, known), told.unclear)
    }

    /// The state was lost, and a rollout was released after this job: it had passed by what was seen then.
    fn was_passed(&self, verify: &Job) -> bool {
        let is_rollout = |job: &&&Job| {
            job.token.is_some()
                && job.package_ids.iter().any(|id| id == self.package_id)
                && job.created_at > verify.created_at
        };
        verify.created_at.is_some() && self.jobs.value.iter().any(|job| is_rollout(&job))
    }

    /// Who has not answered within `timeout` has failed, and so has who never came online: each of these devices is asked for.
    fn after_timeout(&self, mut counts: StageCounts, known: &VerificationStatus) -> StageCounts {
        counts.timed_out += std::mem::take(&mut counts.never_began);
        let limit = self.verification.timeout.as_signed();
        let end = known.dispatched_at.and_then(|sent| sent.checked_add(limit).ok());
        if end.is_some_and(|end| self.view.now >= end) {
            counts.timed_out += counts.queued + counts.in_flight;
            (counts.queued, counts.in_flight) = (0, 0);
        }
        counts
    }

    /// Passed as soon as enough devices run the version; failed as soon as that cannot happen any more.
    fn verdict(&self, counts: &StageCounts, was_sent: bool) -> Option<Outcome> {
        let min = self.verification.min_success;
        if reaches(counts.succeeded, counts.assigned, min) {
            return Some(passed(counts, was_sent));
        }
        let possible = counts.assigned.saturating_sub(counts.failures());
        (!reaches(possible, counts.assigned, min)).then(|| {
            let message = format!(
                "verification failed: {}; needs {}, so no rollout of this package will start",
                summary(counts),
                spaced(min)
            );
            Outcome::stuck(Reason::VerificationFailed, message).verified(Truth::False)
        })
    }

    /// What still stands against a verification that the devices have passed: the cloud's own word, where it has one.
    fn confirmed(&self, known: &VerificationStatus, job: Option<&Job>) -> Option<Outcome> {
        let (state, summary) = (of_the_cloud(self.view, self.package_id)?, summary(&known.counts));
        let outcome = match state {
            CloudVerification::Passed | CloudVerification::NotNeeded => return None,
            // It may be what it said of the attempt before.
            CloudVerification::Failed
                if known.attempt > 0 && job.is_some_and(|job| !self.has_settled(job)) =>
            {
                let message = format!("{summary}; the cloud has not ended its own verification yet");
                Outcome::working(Reason::Verifying, message).verified(Truth::Unknown)
            }
            CloudVerification::Failed => {
                let message = format!(
                    "verification failed: {summary}, but the cloud calls it failed; no rollout will start"
                );
                Outcome::stuck(Reason::VerificationFailed, message).verified(Truth::False)
            }
            CloudVerification::Pending if job.is_none() => {
                let message = format!(
                    "{summary}, but the cloud has verified nothing: name devices that do not run it yet"
                );
                Outcome::stuck(Reason::VerificationUnknown, message).verified(Truth::Unknown)
            }
            CloudVerification::Pending if job.is_some_and(|job| self.has_settled(job)) => {
                let message = format!(
                    "{summary}, but the verify job has ended and the cloud does not call the package verified; name other devices to verify anew"
                );
                Outcome::stuck(Reason::VerificationUnknown, message).verified(Truth::Unknown)
            }
            CloudVerification::Pending | CloudVerification::Running => {
                let message = format!("{summary}; the cloud has not ended its own verification yet");
                Outcome::working(Reason::Verifying, message).verified(Truth::Unknown)
            }
            CloudVerification::Unknown(text) => {
                let message =
                    format!("{summary}, but the cloud's verification is in the unknown state {text}");
                Outcome::stuck(Reason::VerificationUnknown, message).verified(Truth::Unknown)
            }
        };
        Some(outcome)
    }

    /// The job is over, for so long that the cloud has to say what came of it.
    fn has_settled(&self, job: &Job) -> bool {
        let finished =
            self.view.object.status.as_ref().and_then(|status| status.verification.as_ref()?.finished_at);
        let lag = self.view.capabilities.visibility_lag;
        let settled_at = finished.and_then(|finished| finished.checked_add(lag).ok());
        let looked_at = self.view.packages.as_ref().map(|packages| packages.at);
        job.state.is_final() && settled_at.zip(looked_at).is_some_and(|(settled, looked)| looked >= settled)
    }

    /// The devices have answered before the call that sent them the package: it is found first, or known to be lost.
    fn looking(&self, counts: &StageCounts) -> Outcome {
        let message = format!(
            "{}; the verify job {} is looked for: its create call was not answered",
            summary(counts),
            self.token
        );
        Outcome::working(Reason::Verifying, message).verified(Truth::Unknown)
    }

    fn hidden(&self, id: &str, known: &VerificationStatus) -> Outcome {
        let lag = self.view.capabilities.visibility_lag;
        let visible = known.dispatched_at.and_then(|sent| sent.checked_add(lag).ok());
        if visible.is_some_and(|visible| self.jobs.at < visible) {
            let message = format!("verify job {id} is not listed yet");
            return Outcome::working(Reason::Verifying, message).verified(Truth::Unknown);
        }
        let message = format!(
            "verify job {id} is not in the cloud any more, and is not created again: {}; `rollwave retry`, or other devices, verify anew",
            summary(&known.counts)
        );
        Outcome::stuck(Reason::JobVanished, message).verified(Truth::Unknown)
    }

    /// The call of an earlier verification that may still take effect: its job would hold the same devices, and no list shows it.
    fn earlier_call<'s>(&self, pending: &'s [Intent]) -> Option<&'s Intent> {
        pending.iter().find(|intent| {
            intent.operation == CreateOperation::CreateJob
                && intent.is_open()
                && intent.token != self.token
                && find_job(&self.jobs.value, &intent.token, None).is_none()
        })
    }

    /// One job for the devices that do not run the version yet, once no other job holds them.
    fn dispatch(&self, pending: &[Intent]) -> Outcome {
        if let Some(call) = self.earlier_call(pending) {
            let message = format!(
                "verification waits: the outcome of call {}, which was sent before the spec was edited, is unknown",
                call.token
            );
            return Outcome::working(Reason::Verifying, message).verified(Truth::Unknown);
        }
        let spec = &self.view.object.spec;
        let target = Target { kind: spec.kind, version: &spec.version };
        let waits = |id: &&str| self.devices.value.get(*id).is_some_and(|d| !target.is_reported_by(d));
        let devices: Vec<&str> = self.named.iter().copied().filter(waits).collect();
        let PackageView { results, capabilities, .. } = self.view;
        let (jobs, fleet, lack) = (&self.jobs.value, &self.devices.value, capabilities.job_rows_lack);
        if let Some(busy) = holders(&devices, Sight { jobs, fleet, results, lack }) {
            let message = format!("verification waits: {busy}");
            return Outcome::working(Reason::Verifying, message).verified(Truth::Unknown);
        }
        if let Some(message) = self.cannot_take_it(&devices) {
            return Outcome::stuck(Reason::VerificationDevicesUnfit, message).verified(Truth::Unknown);
        }
        let of_the_cloud = of_the_cloud(self.view, self.package_id);
        if of_the_cloud == Some(&CloudVerification::Running) {
            let message =
                "verification waits: the cloud verifies the package already, by a job of somebody else";
            return Outcome::working(Reason::Verifying, message).verified(Truth::Unknown);
        }
        if let Some(why) = unasked(self.view.unasked_jobs) {
            let message = format!("verification waits: {why}");
            return Outcome::stuck(Reason::TooManyExternalJobs, message).verified(Truth::Unknown);
        }
        let name = self.view.object.metadata.name.as_deref().unwrap_or_default();
        let job = NewJob {
            token: self.token.clone(),
            title: format!("{name}/verify"),
            purpose: purpose(of_the_cloud),
            package: package_key(self.view.object),
            package_id: self.package_id.to_owned(),
            from_versions: versions_of(&self.devices.value, devices.iter().copied(), spec.kind),
            delivery: self.verification.delivery.clone().unwrap_or_default(),
            devices: devices.iter().map(ToString::to_string).collect(),
        };
        let message = format!("verifying on {}", counted(devices.len(), "device"));
        let outcome = Outcome::working(Reason::Verifying, message).verified(Truth::Unknown);
        outcome.with([Action::CreateJob { stage: None, job }])
    }

    /// Devices for which a difference is not made: the cloud would refuse the whole job.
    fn cannot_take_it(&self, devices: &[&str]) -> Option<String> {
        let spec = &self.view.object.spec;
        let runs = |id: &str| self.devices.value.get(id).and_then(|device| device.version(spec.kind));
        let fits =
            |id: &&&str| runs(id).is_some_and(|version| spec.source_versions.iter().any(|s| s == version));
        let unfit = devices.iter().find(|id| spec.artifact.is_delta() && !fits(id))?;
        Some(format!(
            "verification waits: the package is the difference from {}, and device {unfit} runs {}; name others, or wait until it runs that",
            spec.source_versions.join(", "),
            runs(unfit).unwrap_or("no version that is known"),
        ))
    }
}

fn lost(call: &Intent) -> Outcome {
    let message = format!("{}; `rollwave retry`, or other devices, verify anew", lost_call(call));
    Outcome::stuck(Reason::OutcomeUnresolved, message).verified(Truth::Unknown)
}

/// The package was verified, and the cloud has another one in its place that it has not verified.
fn held_back(view: &PackageView<'_>, package_id: &str, counts: &StageCounts) -> Option<Outcome> {
    let state = of_the_cloud(view, package_id)?;
    if matches!(state, CloudVerification::Passed | CloudVerification::NotNeeded) {
        return None;
    }
    let message = format!(
        "{}, but the cloud takes no rollout of package {package_id} before its own verification (now: {}); delete it in the cloud, \
         or name devices that do not run it yet",
        summary(counts),
        state.as_str()
    );
    Some(Outcome::stuck(Reason::VerificationNeeded, message))
}

/// A cloud that calls a package verified takes no second verify job of it (CreateOTAVerifyJob: "not allowed while the package
/// is being verified or is verified"): a small upgrade tries it then, as on clouds without a verification of their own.
const fn purpose(of_the_cloud: Option<&CloudVerification>) -> JobPurpose {
    match of_the_cloud {
        Some(CloudVerification::Passed | CloudVerification::NotNeeded) => JobPurpose::Upgrade,
        _ => JobPurpose::Verify,
    }
}

/// Where the cloud's own verification of the package stands; none where it has no such thing, or the package was not seen.
fn of_the_cloud<'v>(view: &'v PackageView<'_>, package_id: &str) -> Option<&'v CloudVerification> {
    let packages = &view.packages.as_ref()?.value;
    packages.iter().find(|package| package.row.id == package_id)?.row.verification.as_ref()
}

/// Devices are read by their id alone on some clouds, and may then be of any product: a job would fail on them.
fn of_another_product(
    view: &PackageView<'_>,
    named: &BTreeSet<&str>,
    devices: &BTreeMap<String, Device>,
) -> Option<Outcome> {
    let spec = &view.object.spec;
    let others =
        named.iter().filter_map(|id| Some(format!("{id} ({})", other_product(devices.get(*id)?, spec)?)));
    let others: Vec<String> = others.collect();
    let message = format!(
        "{} of {} devices that verification names {} of another product: {}; name devices of product {}",
        others.len(),
        named.len(),
        if others.len() == 1 { "is" } else { "are" },
        others.join(", "),
        spec.product
    );
    (!others.is_empty())
        .then(|| Outcome::stuck(Reason::VerificationDevicesUnfit, message).verified(Truth::Unknown))
}

fn passed(counts: &StageCounts, was_sent: bool) -> Outcome {
    let mut message = summary(counts);
    if !was_sent {
        message +=
            "; they ran it before anything was sent, so that nothing is proven of this package's own files";
    }
    done(message)
}

fn done(message: impl Into<String>) -> Outcome {
    Outcome::new(Standing::Done, Reason::Verified, message).verified(Truth::True)
}

fn summary(counts: &StageCounts) -> String {
    format!(
        "{} of {} devices run it ({}), {} failed, {} timed out, {} went back",
        counts.succeeded,
        counts.assigned,
        percent_text(counts.succeeded, counts.assigned),
        counts.failed,
        counts.timed_out,
        counts.reverted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::IntentState;
    use crate::cloud::{CloudKind, JobCounts, JobState, PackageKind, defaults::capabilities_of};
    use crate::decide::testing::package;
    use jiff::SignedDuration;

    fn job(token: &str, state: JobState) -> Job {
        Job {
            id: "job-1".into(),
            token: Some(token.into()),
            title: String::new(),
            kind: PackageKind::Firmware,
            module: None,
            package_ids: vec!["pkg-1".into()],
            devices: vec!["dev-1".into()],
            delivery: None,
            state,
            counts: JobCounts::default(),
            created_at: None,
        }
    }

    #[test]
    fn an_edited_verification_is_sent_once_the_call_before_the_edit_is_settled() {
        let capabilities = capabilities_of(CloudKind::OceanConnect, SignedDuration::from_secs(60));
        let now: Timestamp = "2026-11-02T12:00:00Z".parse().unwrap();
        let device = Device {
            id: "dev-1".into(),
            product: "meter".into(),
            firmware: Some("V1".into()),
            software: None,
            online: None,
            upgrading: None,
        };
        let devices = BTreeMap::from([("dev-1".to_owned(), device)]);
        let asked = serde_json::json!({"devices": ["dev-1"], "timeout": "1h"});
        let mut object = package();
        object.spec.verification = Some(serde_json::from_value(asked).unwrap());
        let call = |state: IntentState| -> Intent {
            let call = serde_json::json!({"token": "before", "operation": "CreateJob", "digest": "d", "at": now,
                "state": state});
            serde_json::from_value(call).unwrap()
        };
        for (name, call, job, is_sent) in [
            ("its outcome is unknown", Some(call(IntentState::Ambiguous)), None, false),
            (
                "its job runs",
                Some(call(IntentState::Ambiguous)),
                Some(job("before", JobState::Running)),
                false,
            ),
            (
                "its job has ended",
                Some(call(IntentState::Ambiguous)),
                Some(job("before", JobState::Failed)),
                true,
            ),
            ("nothing can tell any more", Some(call(IntentState::Lost)), None, true),
            ("it never happened", None, None, true),
        ] {
            let view = PackageView {
                object: &object,
                capabilities: &capabilities,
                packages: None,
                jobs: Some(Seen { at: now, value: job.iter().collect() }),
                devices: Some(Seen { at: now, value: devices.clone() }),
                results: BTreeMap::new(),
                unasked_jobs: 0,
                now,
            };
            let mut status = OtaPackageStatus { pending: call.into_iter().collect(), ..Default::default() };
            let outcome = verify(&view, &mut status, "pkg-1");
            assert_eq!(!outcome.actions.is_empty(), is_sent, "{name}: {}", outcome.message);
            assert_eq!(status.pending.is_empty(), is_sent, "{name}: what is sent is the only call in doubt");
        }
    }
}
