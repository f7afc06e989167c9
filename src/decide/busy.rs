//! Devices that a live job holds already: whoever sends them another one has it failed by the cloud ("Task Conflict" of
//! Huawei, "a later task fails at once" of Alibaba Cloud), and the package would be blamed for it.
//!
//! Where rows of jobs do not tell how far a job is ([`RowsLack::Progress`]), a job of somebody else looks as if it ran for
//! ever. It holds a device while the device itself is said to be upgrading, or the job says that it still has it to do: jobs are
//! asked right before devices are sent something ([`questions`](super::needs::questions)).

use crate::cloud::{Device, DeviceOutcome, DeviceResult, Job, RowsLack};
use std::collections::{BTreeMap, BTreeSet};

/// Jobs that are named in a message, at most.
const MOST_NAMED: usize = 3;

/// What was seen of devices and jobs.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    /// Every job of the account.
    pub jobs: &'a [&'a Job],
    /// The devices, by id.
    pub fleet: &'a BTreeMap<String, Device>,
    /// What jobs said of devices, by job id.
    pub results: &'a BTreeMap<String, Vec<DeviceResult>>,
    /// What rows of jobs do not tell.
    pub lack: RowsLack,
}

/// What holds some of these devices, as the rest of a sentence; none when nothing does.
pub(super) fn holders(devices: &[&str], sight: Sight<'_>) -> Option<String> {
    let Sight { jobs, fleet, results, lack } = sight;
    let upgrading = |id: &str| fleet.get(id).is_some_and(|device| device.upgrading == Some(true));
    let wanted: BTreeSet<&str> = devices.iter().copied().collect();
    let live = jobs.iter().copied().filter(|job| !job.state.is_final());
    let is_unread = |job: &&Job| lack != RowsLack::Nothing && job.token.is_some() && job.devices.is_empty();
    if let Some(job) = live.clone().find(is_unread) {
        return Some(format!("the devices of job {} cannot be read, and it may have some of these", job.id));
    }
    let mut held: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut hold = |device, job| {
        held.entry(device).or_default().insert(job);
    };
    for job in live {
        let tells = job.token.is_some() || lack != RowsLack::Progress;
        let named = job.devices.iter().map(String::as_str).filter(|id| wanted.contains(id));
        named.filter(|id| tells || upgrading(id)).for_each(|id| hold(id, job.id.as_str()));
        let told = results.get(&job.id).filter(|_| job.token.is_none()).into_iter().flatten();
        let told = told.filter(|result| is_open(&result.outcome)).map(|result| result.device.as_str());
        told.filter(|id| wanted.contains(id)).for_each(|id| hold(id, job.id.as_str()));
    }
    let unnamed = wanted.iter().find(|id| upgrading(id) && !held.contains_key(**id));
    if let (true, Some(device)) = (held.is_empty(), unnamed) {
        return Some(format!("device {device} is being upgraded by a job that does not name its devices"));
    }
    let ids: BTreeSet<&str> = held.values().flatten().copied().collect();
    let ids: Vec<&str> = ids.into_iter().take(MOST_NAMED).collect();
    (!held.is_empty()).then(|| format!("{} of its devices are still in job {}", held.len(), ids.join(", ")))
}

/// True while the job may still do something to the device.
const fn is_open(outcome: &DeviceOutcome) -> bool {
    use DeviceOutcome::{InFlight, Queued, Retrying, Unknown};
    matches!(outcome, Queued | InFlight | Retrying | Unknown(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{JobCounts, JobState, PackageKind};

    fn job(id: &str, token: Option<&str>, state: JobState, devices: &[&str]) -> Job {
        Job {
            id: id.into(),
            token: token.map(str::to_owned),
            title: String::new(),
            kind: PackageKind::Firmware,
            module: None,
            package_ids: Vec::new(),
            devices: devices.iter().map(ToString::to_string).collect(),
            delivery: None,
            state,
            counts: JobCounts::default(),
            created_at: None,
        }
    }

    fn fleet(upgrading: &[(&str, Option<bool>)]) -> BTreeMap<String, Device> {
        let device = |(id, upgrading): &(&str, Option<bool>)| {
            let device = Device {
                id: (*id).into(),
                product: "meter".into(),
                firmware: Some("V1".into()),
                software: None,
                online: None,
                upgrading: *upgrading,
            };
            ((*id).to_owned(), device)
        };
        upgrading.iter().map(device).collect()
    }

    #[test]
    fn a_device_is_held_by_a_live_job_and_where_jobs_do_not_end_by_what_is_said_of_the_device() {
        use JobState::{Running, Succeeded};
        use RowsLack::{Nothing, Progress};
        let (idle, busy) = (fleet(&[("a", Some(false))]), fleet(&[("a", Some(true))]));
        let silent = fleet(&[("a", None)]);
        let running = |token| job("j", token, Running, &["a"]);
        let held = Some("1 of its devices are still in job j");
        let unnamed = Some("device a is being upgraded by a job that does not name its devices");
        let unread = |token| job("j", token, Running, &[]);
        let unreadable = Some("the devices of job j cannot be read, and it may have some of these");
        for (name, job, fleet, lack, expected) in [
            ("somebody's", running(None), &silent, Nothing, held),
            ("somebody's that ended", job("j", None, Succeeded, &["a"]), &silent, Nothing, None),
            ("ours, that cannot be read", unread(Some("t")), &silent, Progress, unreadable),
            ("somebody's, that cannot be read", unread(None), &silent, Progress, None),
            ("ours, where rows tell all", unread(Some("t")), &silent, Nothing, None),
            ("of another device", job("j", None, Running, &["b"]), &silent, Nothing, None),
            ("ours", running(Some("t")), &idle, Progress, held),
            ("somebody's, at it", running(None), &busy, Progress, held),
            ("somebody's, not at it", running(None), &idle, Progress, None),
            ("somebody's, and nothing said", running(None), &silent, Progress, None),
            ("nobody knows whose", job("j", None, Running, &[]), &busy, Progress, unnamed),
            ("stopped, and still at it", job("j", None, JobState::Stopped, &["a"]), &busy, Progress, unnamed),
        ] {
            let sight = Sight { jobs: &[&job], fleet, results: &BTreeMap::new(), lack };
            assert_eq!(holders(&["a"], sight).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_device_is_held_by_a_job_of_somebody_else_that_says_it_still_has_it_to_do() {
        use DeviceOutcome::{Failed, InFlight, Queued, Removed, Retrying, Stopped, Succeeded, Unknown};
        let silent = fleet(&[("a", None)]);
        let held = Some("1 of its devices are still in job j");
        let outcomes =
            [Queued, InFlight, Retrying, Unknown("melted".into()), Succeeded, Failed, Stopped, Removed];
        for (outcome, is_held) in
            outcomes.into_iter().zip([true, true, true, true, false, false, false, false])
        {
            let told =
                |device: &str| DeviceResult { device: device.into(), outcome: outcome.clone(), reason: None };
            let case = |job: &Job, device: &str| {
                let results = BTreeMap::from([("j".to_owned(), vec![told(device)])]);
                let sight =
                    Sight { jobs: &[job], fleet: &silent, results: &results, lack: RowsLack::Devices };
                holders(&["a"], sight)
            };
            let of_others = job("j", Some("t"), JobState::Running, &["b"]);
            let job = |token, state| job("j", token, state, &[]);
            let theirs = case(&job(None, JobState::Running), "a");
            assert_eq!(theirs.as_deref(), held.filter(|_| is_held), "{outcome:?}");
            assert_eq!(case(&job(None, JobState::Running), "b"), None, "another device");
            assert_eq!(case(&job(None, JobState::Stopped), "a"), None, "it is over");
            assert_eq!(case(&of_others, "a"), None, "ours says it by its devices");
        }
    }
}
