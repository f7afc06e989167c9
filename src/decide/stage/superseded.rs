//! Devices that a later job of Rollwave took on to another package: they did not go back.
//!
//! Fail closed: without a job that says so, a device that left the version went back, whatever it runs now. A recovery
//! image has an odd version, too.

use super::JobSight;
use crate::cloud::Job;
use std::collections::BTreeSet;

/// How many of these devices went on.
pub(super) fn count<'a>(sight: &JobSight<'_, '_>, devices: impl Iterator<Item = &'a str>) -> usize {
    let devices: BTreeSet<&str> = devices.collect();
    let later = sight.listed.iter().filter(|other| takes_on(other, sight));
    let named = later.flat_map(|job| &job.devices).map(String::as_str);
    named.filter(|device| devices.contains(device)).collect::<BTreeSet<_>>().len()
}

/// True when the job is one of Rollwave's, is later than ours, and surely sends something else.
fn takes_on(other: &Job, sight: &JobSight<'_, '_>) -> bool {
    let ours = sight.job;
    let is_later = ours.created_at.zip(other.created_at).is_some_and(|(ours, other)| ours < other);
    let is_same_part = other.kind == ours.kind && other.module == ours.module;
    let is_ours = |id: &String| ours.package_ids.contains(id) || sight.package_id == Some(id.as_str());
    let sends_another = !ours.package_ids.is_empty()
        && !other.package_ids.is_empty()
        && !other.package_ids.iter().any(is_ours);
    other.token.is_some() && is_same_part && is_later && sends_another
}

#[cfg(test)]
mod tests {
    use super::super::{JobSight, Target, tally};
    use crate::api::StageCounts;
    use crate::cloud::{Device, Job, JobCounts, JobState, PackageKind};
    use jiff::Timestamp;
    use std::collections::BTreeMap;

    const MEMBERS: [&str; 3] = ["a", "b", "c"];

    /// Sends package p2 to a, b and c.
    fn ours() -> Job {
        Job {
            id: "j-2".into(),
            token: Some("t-2".into()),
            title: String::new(),
            kind: PackageKind::Firmware,
            module: None,
            package_ids: vec!["p2".into()],
            devices: MEMBERS.map(str::to_owned).into(),
            delivery: None,
            state: JobState::Succeeded,
            counts: JobCounts { total: 3, succeeded: 3, ..JobCounts::default() },
            created_at: Timestamp::from_second(100).ok(),
        }
    }

    /// Sends package p3 to a and b, later.
    fn theirs() -> Job {
        Job {
            id: "j-3".into(),
            token: Some("t-3".into()),
            package_ids: vec!["p3".into()],
            devices: vec!["a".into(), "b".into()],
            created_at: Timestamp::from_second(200).ok(),
            ..ours()
        }
    }

    /// All devices left V2: nobody reports it.
    fn told(ours: &Job, listed: &[&Job]) -> StageCounts {
        let device = |id: &str| Device {
            id: id.into(),
            product: "meter".into(),
            firmware: Some("V3".into()),
            software: None,
            online: None,
            upgrading: None,
        };
        let fleet: BTreeMap<String, Device> = MEMBERS.map(|id| (id.to_owned(), device(id))).into();
        let target = Target { kind: PackageKind::Firmware, version: "V2" };
        let (members, package_id) = (&MEMBERS[..], Some("p2-again"));
        tally(&JobSight {
            job: ours,
            members,
            results: &[],
            fleet: &fleet,
            target,
            listed,
            package_id,
            settled: true,
            successes_read: 0,
            retried: false,
            uniqueness: crate::decide::stage::Uniqueness::Unique,
        })
        .counts
    }

    #[test]
    fn devices_that_a_later_job_took_on_succeeded_and_the_others_went_back() {
        let counts = told(&ours(), &[&ours(), &theirs()]);
        let expected =
            StageCounts { assigned: 3, succeeded: 2, superseded: 2, reverted: 1, ..StageCounts::default() };
        assert_eq!(counts, expected);
    }

    #[test]
    fn they_count_only_as_far_as_they_were_seen_to_run_it() {
        let told = told(&ours(), &[&ours(), &theirs()]);
        let seen = |succeeded: u32, in_flight: u32| StageCounts {
            assigned: succeeded + in_flight,
            succeeded,
            in_flight,
            ..StageCounts::default()
        };
        // What was seen before; succeeded, superseded and unseen now. One went back, and may be one that was seen.
        for (before, now) in [
            (seen(3, 0), (2, 2, 0)),
            (seen(2, 1), (1, 1, 1)),
            (seen(1, 2), (0, 0, 2)),
            (seen(0, 0), (0, 0, 2)),
        ] {
            let counts = told.believing(before);
            assert_eq!((counts.succeeded, counts.superseded, counts.unseen), now, "{before:?}");
            assert_eq!(counts.assigned, counts.finished() + counts.queued + counts.in_flight);
            assert_eq!(counts.assigned + counts.unseen, told.assigned);
            assert_eq!(told.believing(counts), counts, "nothing has happened since");
        }
    }

    #[test]
    fn what_is_no_evidence_leaves_them_reverted() {
        type Edit = fn(&mut Job);
        let cases: [(&str, Edit); 9] = [
            ("not a job of Rollwave", |job| job.token = None),
            ("the same package", |job| job.package_ids = vec!["p2".into()]),
            ("the same package, created again", |job| job.package_ids = vec!["p2-again".into()]),
            ("of an unknown package", |job| job.package_ids.clear()),
            ("earlier", |job| job.created_at = Timestamp::from_second(99).ok()),
            ("of an unknown time", |job| job.created_at = None),
            ("of another kind", |job| job.kind = PackageKind::Software),
            ("of another module", |job| job.module = Some("modem".into())),
            ("for unknown devices", |job| job.devices.clear()),
        ];
        for (name, edit) in cases {
            let mut other = theirs();
            edit(&mut other);
            let counts = told(&ours(), &[&ours(), &other]);
            assert_eq!((counts.succeeded, counts.superseded, counts.reverted), (0, 0, 3), "{name}");
        }
    }

    #[test]
    fn what_did_not_succeed_first_is_not_superseded() {
        let with = |state: JobState, counts: JobCounts| Job { state, counts, ..ours() };
        let unnamed = with(
            JobState::PartlyFailed,
            JobCounts { total: 3, succeeded: 1, failed: 2, ..JobCounts::default() },
        );
        let counts = told(&unnamed, &[&theirs()]);
        assert_eq!((counts.succeeded, counts.failed, counts.reverted), (0, 2, 1), "it cannot be told which");
        let stopped = with(JobState::Stopped, JobCounts { total: 3, stopped: 3, ..JobCounts::default() });
        assert_eq!(told(&stopped, &[&theirs()]).succeeded, 0);
        let running = with(JobState::Running, JobCounts { total: 3, in_flight: 3, ..JobCounts::default() });
        assert_eq!(told(&running, &[&theirs()]).succeeded, 0);
    }
}
