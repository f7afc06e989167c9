//! Identifies our jobs by their content, on a cloud whose jobs carry no idempotency key ([`JobIdentity::Devices`]).
//!
//! A job counts as the result of a request with unknown outcome when it is of the same kind, for exactly the same
//! devices, with the same delivery, and did not exist before: the last list shows all that did. Its creation time
//! proves nothing, because our clock may have been set since. One request has made one job (`observe/recognise.rs`).
//! `docs/guides/oceanconnect.md` describes the remaining risk.
//!
//! [`JobIdentity::Devices`]: crate::cloud::JobIdentity::Devices

use crate::api::{DeliveryStart, Intent, Likeness};
use crate::cloud::{Delivery, Job, NewJob, PackageKind};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The fingerprint of a new job, and the existing jobs with the same one.
pub(super) fn of_new<'a>(new: &NewJob, there: impl Iterator<Item = &'a Job>) -> Likeness {
    let digest = digest(new.kind(), &new.devices, &new.delivery);
    let before = there.filter(|job| of_job(job).as_ref() == Some(&digest)).map(|job| job.id.clone());
    Likeness { before: before.collect(), digest }
}

/// True when the job may be the result of this intent. A job without named devices, or with a delivery that we never
/// send, is not.
pub(super) fn is_of(intent: &Intent, job: &Job) -> bool {
    let Some(likeness) = &intent.likeness else { return false };
    of_job(job).as_ref() == Some(&likeness.digest) && !likeness.before.contains(&job.id)
}

fn of_job(job: &Job) -> Option<String> {
    let delivery = job.delivery.as_ref().filter(|_| !job.devices.is_empty())?;
    Some(digest(job.kind, &job.devices, delivery))
}

/// A digest that ignores the order of devices; omitted delivery fields count as the cloud's defaults.
fn digest(kind: PackageKind, devices: &[String], delivery: &Delivery) -> String {
    let devices: BTreeSet<&String> = devices.iter().collect();
    let start = delivery.start.unwrap_or(DeliveryStart::Now);
    let retries = delivery.retry.as_ref().map_or(0, |retry| retry.limit);
    let text = serde_json::to_vec(&(kind, devices, start, retries)).unwrap_or_default();
    hex::encode(&Sha256::digest(text)[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CreateOperation, Retry};
    use crate::cloud::{JobCounts, JobPurpose, JobState, PackageKey};
    use crate::engine::journal;
    use jiff::Timestamp;

    fn new() -> NewJob {
        NewJob {
            token: "t".into(),
            title: "meter/canary".into(),
            purpose: JobPurpose::Upgrade,
            package: PackageKey {
                kind: PackageKind::Firmware,
                product: "a/b/c".into(),
                version: "V2".into(),
                module: None,
            },
            package_id: "f".into(),
            devices: vec!["d1".into(), "d2".into()],
            from_versions: vec![],
            delivery: Delivery::default(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn listed() -> Job {
        Job {
            id: "j".into(),
            token: None,
            title: String::new(),
            kind: PackageKind::Firmware,
            module: None,
            package_ids: vec![],
            devices: vec!["d2".into(), "d1".into()],
            delivery: Some(Delivery { start: Some(DeliveryStart::Now), ..Delivery::default() }),
            state: JobState::Running,
            counts: JobCounts::default(),
            created_at: Some(at(1_000)),
        }
    }

    #[test]
    fn only_a_new_job_of_the_same_kind_devices_and_delivery_is_what_a_lost_call_made() {
        type Edit = fn(&mut Job);
        let mut intent = journal::intent("t", CreateOperation::CreateJob, None, &"x", at(1_000));
        intent.likeness = Some(of_new(&new(), [Job { id: "old".into(), ..listed() }].iter()));
        let cases: [(&str, bool, Edit); 11] = [
            ("the same", true, |_| {}),
            ("our clock was set meanwhile", true, |job| job.created_at = Some(at(1))),
            ("of an unknown time", true, |job| job.created_at = None),
            ("there before", false, |job| job.id = "old".into()),
            ("another device more", false, |job| job.devices.push("d3".into())),
            ("a device less", false, |job| job.devices.truncate(1)),
            ("another device", false, |job| job.devices[0] = "d3".into()),
            ("for groups", false, |job| job.devices.clear()),
            ("another kind", false, |job| job.kind = PackageKind::Software),
            ("another start", false, |job| {
                job.delivery =
                    Some(Delivery { start: Some(DeliveryStart::DeviceOnline), ..Delivery::default() });
            }),
            ("with retries", false, |job| {
                let retry = Some(Retry { limit: 1, interval: None });
                job.delivery = Some(Delivery { retry, ..Delivery::default() });
            }),
        ];
        for (name, expected, edit) in cases {
            let mut job = listed();
            edit(&mut job);
            assert_eq!(is_of(&intent, &job), expected, "{name}");
        }
        intent.likeness = None;
        assert!(!is_of(&intent, &listed()), "on a cloud whose jobs carry a token");
    }
}
