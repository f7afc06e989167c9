//! The outcome of each device of one job. A device succeeded when it reports the target version, whatever the job
//! reports.
//!
//! | the device reports | the job is | and reports of the device | counted as |
//! |---|---|---|---|
//! | the target version | any | anything | succeeded |
//! | another, or none | final | failed, and a retry was requested | queued: it goes into another job |
//! | another, or none | any | failed, because it never came online | never began |
//! | another, or none | any | failed, by a timeout | timed out |
//! | another, or none | any | failed | failed |
//! | another, or none | final | stopped | queued: it goes into another job once the hold ends |
//! | another, or none | final | success, and a later job upgraded it to another package | superseded: succeeded as far as that was observed before |
//! | another, or none | final | success | reverted |
//! | another, or none | running | success, by the job's count, and the versions were read since | reverted |
//! | another, or none | running | success, and the versions were not read since | in flight: unconfirmed |
//! | another, or none | running | anything else | in flight or queued, as the job counts them |
//! | (not registered any more) | any | failed | failed and left |
//! | (not registered any more) | any | anything else | left: not counted |
//!
//! Every failed device of a job is read by id; successes are counted by the version that devices report. Failures that
//! the job counts and does not name count as failed too.

mod superseded;

use crate::api::StageCounts;
use crate::cloud::{Device, DeviceOutcome, DeviceResult, Job, JobState, PackageKind};
use std::collections::{BTreeMap, BTreeSet};

/// The version that counts as success.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Firmware or software.
    pub kind: PackageKind,
    /// The version.
    pub version: &'a str,
}

impl Target<'_> {
    /// True when the device reports the target version now.
    #[must_use]
    pub fn is_reported_by(&self, device: &Device) -> bool {
        device.version(self.kind) == Some(self.version)
    }
}

/// What is known about one job.
#[derive(Clone, Copy, Debug)]
pub struct JobSight<'s, 'a> {
    /// The job as the cloud lists it.
    pub job: &'s Job,
    /// The devices whose last job this is.
    pub members: &'s [&'a str],
    /// What the job reports of single devices: all failed ones, and the stopped ones where
    /// [`outcomes_needed`](super::needs::outcomes_needed) includes them.
    pub results: &'s [DeviceResult],
    /// The devices that are registered in the cloud.
    pub fleet: &'s BTreeMap<String, Device>,
    /// What counts as success.
    pub target: Target<'s>,
    /// Every job of the same kind that the cloud lists.
    pub listed: &'s [&'s Job],
    /// The cloud's current id of the package; not that of the job if the package was deleted and created again.
    pub package_id: Option<&'s str>,
    /// True when the devices were observed long enough after the job was final: only then does a device without the
    /// target version count as reverted. Before that it is in flight.
    pub settled: bool,
    /// Successes of the job that were known long enough before the devices were observed: those without the target
    /// version count as reverted although the job continues.
    pub successes_read: u32,
    /// A retry of its failed devices was requested.
    pub retried: bool,
    /// Whether its idempotency key is known to be unique.
    pub uniqueness: Uniqueness,
}

/// Whether the idempotency key of a job is known to be unique. Another instance with its own state gives its jobs the
/// same keys, and a cloud fails the devices that two jobs want: that is no evidence about the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uniqueness {
    /// No list could have shown another job of the key yet.
    Unchecked,
    /// No other job carries it.
    Unique,
    /// Another job carries it.
    Shared,
}

/// The outcomes of the devices of one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally<'a> {
    /// Counts of its devices. Superseded ones must still be compared with what was observed before
    /// ([`StageCounts::believing`]).
    pub counts: StageCounts,
    /// Devices that were stopped before they were done: counted as queued.
    pub stopped: Vec<&'a str>,
    /// Devices that failed, or were registered again under their id, and get another attempt: counted as queued.
    pub resend: Vec<&'a str>,
    /// Devices that are no longer registered in the cloud.
    pub gone: u32,
    /// What cannot be determined: nothing is dispatched while this is set.
    pub unclear: Option<String>,
    /// Devices without an outcome, unless it is unknown which they are.
    pub unanswered: Vec<&'a str>,
    /// Devices that failed, unless it is unknown which they are.
    pub failed: Vec<&'a str>,
    /// The cloud reports only how many of some devices have failed or were stopped.
    pub is_unattributed: bool,
}

/// Counts the devices of one job.
#[must_use]
pub fn tally<'a>(sight: &JobSight<'_, 'a>) -> Tally<'a> {
    let rows = Rows::read(sight);
    let retried = sight.retried && sight.job.state.is_final();
    let mut counts = StageCounts::default();
    let (mut open, mut again, mut contested, mut gone) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let (mut registered_again, mut never_began, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for &id in sight.members {
        let failure = rows.failed.get(id);
        let Some(device) = sight.fleet.get(id) else {
            gone += 1;
            counts.failed_and_left += u32::from(failure.is_some());
            continue;
        };
        if sight.target.is_reported_by(device) {
            counts.succeeded += 1;
        } else if rows.removed.contains(id) {
            registered_again.push(id);
        } else if failure.is_some() && retried {
            again.push(id);
        } else if failure.is_some_and(|reason| never_came_online(*reason)) {
            counts.never_began += 1;
            never_began.push(id);
        } else if sight.uniqueness != Uniqueness::Unique && failure.is_some_and(|reason| is_refused(*reason))
        {
            contested.push(id);
        } else if failure.is_some_and(|reason| is_timeout(*reason)) {
            counts.timed_out += 1;
            failed.push(id);
        } else if failure.is_some() {
            counts.failed += 1;
            failed.push(id);
        } else {
            open.push(id);
        }
    }
    let named_stopped = open.iter().filter(|id| rows.stopped.contains(*id)).count();
    let unnamed = as_count(open.len() - named_stopped).min(rows.unnamed_failures);
    counts.failed += unnamed;
    let left = as_count(open.len()) - unnamed;
    counts.queued = as_count(registered_again.len());
    let (stopped, mut unclear) = if sight.job.state.is_final() {
        finish(sight, &rows, &open, left, &mut counts)
    } else {
        share_out(sight, &open, left, gone, &mut counts);
        (Vec::new(), None)
    };
    let mut unanswered = [&registered_again[..], &never_began, &again, &contested].concat();
    let answered = unnamed + counts.superseded + counts.reverted;
    let is_unattributed =
        !attribute(&open, (answered, counts.reverted, retried), (&mut unanswered, &mut failed));
    if retried && as_count(open.len()) == counts.reverted {
        again.append(&mut open);
        counts.reverted = 0;
    }
    if sight.uniqueness == Uniqueness::Shared && sight.job.state.is_final() {
        again.append(&mut contested);
    }
    counts.queued += as_count(again.len() + contested.len());
    if sight.job.state.is_final() {
        // The job was for the device that had the id before: nothing was ever sent to this one.
        again.append(&mut registered_again);
    }
    if let JobState::Unknown(state) = &sight.job.state {
        unclear = Some(format!("job {} is in an undocumented state: {state:?}", sight.job.id));
    }
    counts.assigned = counts.finished() + counts.outstanding() + counts.never_began;
    let unclear = rows.unclear.or(unclear);
    Tally { counts, stopped, resend: again, gone, unclear, unanswered, failed, is_unattributed }
}

/// Adds open devices to those without an outcome, or to those that failed; false when it is not known which of them have
/// `answered`, or how.
fn attribute<'a>(
    open: &[&'a str],
    (answered, reverted, retried): (u32, u32, bool),
    (unanswered, failed): (&mut Vec<&'a str>, &mut Vec<&'a str>),
) -> bool {
    let all_reverted = answered == reverted && answered == as_count(open.len());
    if answered == 0 || (all_reverted && retried) {
        unanswered.extend(open);
    } else if all_reverted {
        failed.extend(open);
    }
    answered == 0 || all_reverted
}

/// Distributes the devices of a running job that have neither failed nor report the target version. The job's counts do
/// not decide about single devices: devices that it reports as successful, and that do not report the version, reverted.
fn share_out(sight: &JobSight<'_, '_>, open: &[&str], left: u32, gone: u32, counts: &mut StageCounts) {
    let elsewhere = as_count(sight.job.devices.len()).saturating_sub(as_count(sight.members.len()));
    // Successes that may be of other devices than these.
    let others = counts.succeeded + gone + elsewhere;
    let claimed = sight.job.counts.succeeded.saturating_sub(others).min(left);
    let superseded = as_count(superseded::count(sight, open.iter().copied())).min(claimed);
    counts.succeeded += superseded;
    counts.superseded = superseded;
    let claimed = claimed - superseded;
    counts.reverted = sight.successes_read.saturating_sub(others + superseded).min(claimed);
    counts.unconfirmed = claimed - counts.reverted;
    let open = left - superseded - claimed;
    let queued = open.min(sight.job.counts.queued.saturating_add(sight.job.counts.stopped));
    counts.queued += queued;
    counts.in_flight = open - queued + counts.unconfirmed;
}

/// Distributes the devices that a final job left behind without a failure: stopped, removed, or reverted.
fn finish<'a>(
    sight: &JobSight<'_, 'a>,
    rows: &Rows<'_>,
    open: &[&'a str],
    left: u32,
    counts: &mut StageCounts,
) -> (Vec<&'a str>, Option<String>) {
    let named: Vec<&str> = open.iter().copied().filter(|id| rows.stopped.contains(id)).collect();
    // Some named devices went into a later job: they are no evidence about the rest.
    let elsewhere = as_count(rows.stopped.len().saturating_sub(named.len()));
    let said = sight.job.counts.stopped.saturating_sub(elsewhere);
    let all_stopped = left > 0 && said >= left && as_count(open.len()) == left;
    let stopped = if !named.is_empty() {
        named
    } else if all_stopped {
        open.to_vec()
    } else {
        Vec::new()
    };
    let queued = as_count(stopped.len()).max(said.min(left)).min(left);
    let removed = rows.unnamed_removals(sight).min(left - queued);
    let successes = left - queued - removed;
    let waiting = open.iter().copied().filter(|id| !rows.stopped.contains(id));
    // Of the remaining devices, as many may be unnamed failures, stopped and removed ones.
    let unnamed = as_count(waiting.clone().count()).saturating_sub(successes);
    let superseded = as_count(superseded::count(sight, waiting)).saturating_sub(unnamed);
    counts.succeeded += superseded;
    counts.superseded = superseded;
    let rest = successes - superseded;
    counts.queued += queued;
    if sight.settled {
        counts.reverted = rest;
    } else {
        counts.in_flight = rest;
        counts.unconfirmed = rest;
    }
    let unclear = (as_count(stopped.len()) < queued).then(|| {
        format!(
            "job {}: {queued} of {left} unfinished devices were stopped, and the cloud does not report which",
            sight.job.id
        )
    });
    (stopped, unclear)
}

/// What a job reports of single devices, by outcome.
struct Rows<'a> {
    failed: BTreeMap<&'a str, Option<&'a str>>,
    stopped: BTreeSet<&'a str>,
    removed: BTreeSet<&'a str>,
    unnamed_failures: u32,
    unclear: Option<String>,
}

impl<'a> Rows<'a> {
    fn read(sight: &JobSight<'a, '_>) -> Self {
        let of = |wanted: DeviceOutcome| {
            sight.results.iter().filter(move |r| r.outcome == wanted).map(|r| r.device.as_str())
        };
        let failures = sight.results.iter().filter(|r| r.outcome == DeviceOutcome::Failed);
        let failed: BTreeMap<_, _> = failures.map(|r| (r.device.as_str(), r.reason.as_deref())).collect();
        let unclear = sight.results.iter().find_map(|r| match &r.outcome {
            DeviceOutcome::Unknown(text) => {
                let job = &sight.job.id;
                Some(format!("job {job} reports an undocumented outcome of device {}: {text:?}", r.device))
            }
            _ => None,
        });
        Self {
            unnamed_failures: sight.job.counts.failed.saturating_sub(as_count(failed.len())),
            stopped: of(DeviceOutcome::Stopped).collect(),
            removed: of(DeviceOutcome::Removed).collect(),
            failed,
            unclear,
        }
    }

    /// Devices that the job counts as removed, and that are neither named nor missing in the fleet.
    fn unnamed_removals(&self, sight: &JobSight<'_, '_>) -> u32 {
        let is_gone = |id: &&&str| !sight.fleet.contains_key(**id) && !self.removed.contains(**id);
        let gone = sight.members.iter().filter(is_gone).count();
        sight.job.counts.removed.saturating_sub(as_count(gone + self.removed.len()))
    }
}

/// IoTDA's texts for a device that stayed offline for 25 hours ("Waiting for the device online timeout"), or was offline
/// when the package was to be sent ("Device Abnormal is not online"): FAQ of IoTDA, iot_01_0047. It never got the build.
fn never_came_online(reason: Option<&str>) -> bool {
    let reason = reason.unwrap_or_default().to_ascii_lowercase();
    ["device online timeout", "is not online"].iter().any(|words| reason.contains(words))
}

/// The cloud's text names a timeout, as eight of IoTDA's failure texts do ("Waiting for the device online timeout").
fn is_timeout(reason: Option<&str>) -> bool {
    let reason = reason.unwrap_or_default().to_ascii_lowercase();
    ["timeout", "timed out", "time out"].iter().any(|word| reason.contains(word))
}

/// The cloud did not send the package because another job has the device. IoTDA and OceanConnect document "Task
/// Conflict"; the texts of the other two clouds are assumed.
fn is_refused(reason: Option<&str>) -> bool {
    let reason = reason.unwrap_or_default().to_ascii_lowercase();
    ["conflict", "another task", "another job"].iter().any(|words| reason.contains(words))
}

/// A number of devices as statuses store it.
pub(super) fn as_count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Versions that these devices report, sorted, each once.
pub(super) fn versions_of<'a>(
    fleet: &BTreeMap<String, Device>,
    devices: impl Iterator<Item = &'a str>,
    kind: PackageKind,
) -> Vec<String> {
    let versions: BTreeSet<&str> = devices.filter_map(|id| fleet.get(id)?.version(kind)).collect();
    versions.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::JobCounts;
    use proptest::prelude::*;

    const TARGET: Target<'static> = Target { kind: PackageKind::Firmware, version: "V2" };

    fn fleet(versions: &[(&str, &str)]) -> BTreeMap<String, Device> {
        let device = |(id, version): &(&str, &str)| {
            let device = Device {
                id: (*id).into(),
                product: "meter".into(),
                firmware: Some((*version).into()),
                software: None,
                online: None,
                upgrading: None,
            };
            ((*id).to_owned(), device)
        };
        versions.iter().map(device).collect()
    }

    fn job(state: JobState, counts: JobCounts) -> Job {
        Job {
            id: "j-1".into(),
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
        }
    }

    fn row(device: &str, outcome: DeviceOutcome, reason: &str) -> DeviceResult {
        DeviceResult { device: device.into(), outcome, reason: Some(reason.into()) }
    }

    fn seen<'a>(
        job: &'a Job,
        members: &'a [&'a str],
        results: &'a [DeviceResult],
        fleet: &'a BTreeMap<String, Device>,
    ) -> JobSight<'a, 'a> {
        JobSight {
            job,
            members,
            results,
            fleet,
            target: TARGET,
            listed: &[],
            package_id: None,
            settled: true,
            successes_read: 0,
            retried: false,
            uniqueness: Uniqueness::Unique,
        }
    }

    #[test]
    fn a_device_that_runs_the_version_succeeded_even_if_the_job_says_failed() {
        let job = job(JobState::Failed, JobCounts { total: 2, failed: 2, ..JobCounts::default() });
        let (fleet, members) = (fleet(&[("a", "V2"), ("b", "V1")]), ["a", "b"]);
        let results = [row("a", DeviceOutcome::Failed, "x"), row("b", DeviceOutcome::Failed, "x")];
        let counts = tally(&seen(&job, &members, &results, &fleet)).counts;
        assert_eq!(counts, StageCounts { assigned: 2, succeeded: 1, failed: 1, ..StageCounts::default() });
    }

    #[test]
    fn success_of_the_job_with_the_old_version_is_reverted_once_the_look_is_late_enough() {
        let job = job(JobState::Succeeded, JobCounts { total: 2, succeeded: 2, ..JobCounts::default() });
        let (fleet, members) = (fleet(&[("a", "V2"), ("b", "V1")]), ["a", "b"]);
        let settled = seen(&job, &members, &[], &fleet);
        assert_eq!(tally(&settled).counts.reverted, 1);
        let early = tally(&JobSight { settled: false, ..settled }).counts;
        assert_eq!((early.reverted, early.in_flight, early.assigned), (0, 1, 2));
    }

    #[test]
    fn timeouts_are_told_from_failures_by_the_clouds_words() {
        let job = job(JobState::Failed, JobCounts { total: 2, failed: 2, ..JobCounts::default() });
        let (fleet, members) = (fleet(&[("a", "V1"), ("b", "V1")]), ["a", "b"]);
        let results = [
            row("a", DeviceOutcome::Failed, "Wait for the device to report upgrade result timeout"),
            row("b", DeviceOutcome::Failed, "Integrity check failure for new downloaded package"),
        ];
        let counts = tally(&seen(&job, &members, &results, &fleet)).counts;
        assert_eq!((counts.timed_out, counts.failed), (1, 1));
        for words in ["Waiting for the device online timeout", "Device Abnormal is not online"] {
            let offline = [row("a", DeviceOutcome::Failed, words), results[1].clone()];
            let counts = tally(&seen(&job, &members, &offline, &fleet)).counts;
            assert_eq!((counts.never_began, counts.failures(), counts.assigned), (1, 1, 2), "{words}");
        }
    }

    #[test]
    fn failures_that_nobody_named_are_failures() {
        let job =
            job(JobState::Running, JobCounts { total: 3, failed: 2, queued: 1, ..JobCounts::default() });
        let (fleet, members) = (fleet(&[("a", "V1"), ("b", "V1"), ("c", "V1")]), ["a", "b", "c"]);
        let counts = tally(&seen(&job, &members, &[], &fleet)).counts;
        assert_eq!((counts.failed, counts.queued, counts.assigned), (2, 1, 3));
    }

    #[test]
    fn a_deleted_device_leaves_the_denominator() {
        let job =
            job(JobState::Running, JobCounts { total: 2, queued: 1, removed: 1, ..JobCounts::default() });
        let (fleet, members) = (fleet(&[("a", "V1")]), ["a", "gone"]);
        assert_eq!(tally(&seen(&job, &members, &[], &fleet)).counts.assigned, 1);
    }

    #[test]
    fn a_device_that_is_registered_again_is_queued_and_gets_a_job_once_the_old_one_has_ended() {
        let (fleet, members) = (fleet(&[("a", "V2"), ("again", "V1")]), ["a", "again", "gone"]);
        let results = ["again", "gone"].map(|id| row(id, DeviceOutcome::Removed, ""));
        let counts = JobCounts { total: 3, succeeded: 1, removed: 2, ..JobCounts::default() };
        for (state, expected) in [(JobState::Running, vec![]), (JobState::Succeeded, vec!["again"])] {
            let job = job(state, counts);
            let told = tally(&seen(&job, &members, &results, &fleet));
            assert_eq!((told.counts.queued, told.counts.assigned, told.gone), (1, 2, 1), "{:?}", job.state);
            assert_eq!((told.resend, told.unclear), (expected, None));
        }
    }

    #[test]
    fn stopped_devices_are_queued_and_known_by_name() {
        let (fleet, members) = (fleet(&[("a", "V2"), ("b", "V1"), ("c", "V1")]), ["a", "b", "c"]);
        let counts = JobCounts { total: 3, succeeded: 1, stopped: 2, ..JobCounts::default() };
        let plain = job(JobState::Stopped, counts);
        let told = tally(&seen(&plain, &members, &[], &fleet));
        assert_eq!((told.stopped, told.counts.queued, told.unclear), (vec!["b", "c"], 2, None));
        // One that succeeded reverted: only the details show which one was stopped.
        let mixed =
            job(JobState::Stopped, JobCounts { total: 3, succeeded: 2, stopped: 1, ..JobCounts::default() });
        assert!(tally(&seen(&mixed, &members, &[], &fleet)).unclear.is_some());
        let results = [row("c", DeviceOutcome::Stopped, "")];
        let told = tally(&seen(&mixed, &members, &results, &fleet));
        assert_eq!((told.stopped, told.counts.reverted, told.unclear), (vec!["c"], 1, None));
    }

    #[test]
    fn what_no_document_names_is_said() {
        let (fleet, members) = (fleet(&[("a", "V1")]), ["a"]);
        let odd = job(JobState::Unknown("Frozen".into()), JobCounts::default());
        assert!(tally(&seen(&odd, &members, &[], &fleet)).unclear.unwrap().contains("Frozen"));
        let running = job(JobState::Running, JobCounts::default());
        let results = [row("a", DeviceOutcome::Unknown("Odd".into()), "")];
        assert!(tally(&seen(&running, &members, &results, &fleet)).unclear.unwrap().contains("Odd"));
    }

    proptest! {
        #[test]
        fn assigned_is_always_the_sum_and_never_more_than_the_members(
            versions in prop::collection::vec(0..3_u8, 0..20),
            outcomes in prop::collection::vec((0..20_usize, 0..4_u8), 0..20),
            numbers in prop::array::uniform6(0..25_u32), state in 0..6_u8, settled: bool,
        ) {
            let ids: Vec<String> = (0..20).map(|n| format!("d{n}")).collect();
            let members: Vec<&str> = ids.iter().take(versions.len()).map(String::as_str).collect();
            let present = members.iter().zip(&versions).filter(|(_, v)| **v < 2);
            let fleet = fleet(&present.map(|(id, v)| (*id, if *v == 1 { "V2" } else { "V1" })).collect::<Vec<_>>());
            let outcome = |n| match n {
                0 => DeviceOutcome::Failed, 1 => DeviceOutcome::Stopped, 2 => DeviceOutcome::Removed, _ => DeviceOutcome::Retrying,
            };
            let results: Vec<_> = outcomes.iter().map(|(d, o)| row(&ids[*d], outcome(*o), "")).collect();
            let [queued, in_flight, succeeded, failed, stopped, removed] = numbers;
            let counts = JobCounts { total: 20, queued, in_flight, succeeded, failed, retrying: 0, stopped, removed };
            let state = [
                JobState::Running, JobState::Succeeded, JobState::PartlyFailed, JobState::Stopped, JobState::Failed,
                JobState::Unknown("?".into()),
            ][usize::from(state)].clone();
            let job = job(state, counts);
            let told = tally(&JobSight { settled, ..seen(&job, &members, &results, &fleet) });
            let sum = told.counts.finished() + told.counts.outstanding();
            prop_assert_eq!(told.counts.assigned, sum);
            prop_assert!(sum as usize <= members.len());
            prop_assert_eq!(told.counts.succeeded as usize, versions.iter().filter(|v| **v == 1).count());
            prop_assert!(told.stopped.len() <= told.counts.queued as usize);
        }
    }
}
