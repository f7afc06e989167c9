//! Jobs that were stopped before this process began. Lists show the last reports of their devices a while later: that
//! wait continues across processes, or short-lived ones would never observe the end of a stopped job.

use super::uniqueness::recorded;
use crate::api::{Object, OtaPackage, OtaRollout};
use crate::decide::clocks::Clocks;
use crate::engine::context::Reconcile;
use crate::engine::trouble::Trouble;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

impl Reconcile<'_> {
    /// Tells the inventory once since when jobs of the account's objects are stopped, before any of them is observed:
    /// every object must see a job with the same stop time.
    pub(super) async fn note_stops(&mut self) -> Result<(), Trouble> {
        if self.worker.inventory.jobs.knows_stops() {
            return Ok(());
        }
        let (clocks, mut stops, mut named) = (self.clocks(), BTreeMap::new(), BTreeSet::new());
        for object in self.graph().all().await? {
            named.extend(object.pending().iter().map(|intent| intent.token.clone()));
            match object.as_ref() {
                Object::Rollout(rollout) => {
                    stops.extend(of_rollout(rollout, &clocks));
                    named.extend(recorded(rollout).map(|job| job.id.clone()));
                }
                Object::Package(package) => {
                    stops.extend(of_trial(package));
                    let verification =
                        package.status.iter().filter_map(|status| status.verification.as_ref());
                    named.extend(verification.filter_map(|known| known.job_id.clone()));
                }
                Object::Cloud(_) => {}
            }
        }
        self.worker.inventory.jobs.note_stops(stops, named);
        Ok(())
    }
}

/// A verify job that was observed to be final.
fn of_trial(package: &OtaPackage) -> Option<(String, Timestamp)> {
    let known = package.status.as_ref()?.verification.as_ref()?;
    known.finished_at.and(known.job_id.clone()).map(|id| (id, Timestamp::MIN))
}

/// A job that was observed to be final, or has been stopped for long enough.
fn of_rollout(rollout: &OtaRollout, clocks: &Clocks) -> Vec<(String, Timestamp)> {
    let stops = recorded(rollout).filter_map(|job| match job.finished_at {
        Some(_) => Some((job.id.clone(), Timestamp::MIN)),
        None => Some((job.id.clone(), clocks.time_of(job.stopped_uptime.as_ref())?)),
    });
    stops.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::clocks::Boot;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_status_tells_since_when_jobs_are_stopped_as_far_as_this_boot_knows() {
        let job = |id: &str, more: serde_json::Value| {
            let mut job = json!({"token": id, "id": id, "devices": 1, "state": "Stopping"});
            job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            job
        };
        let counts = json!({"assigned": 0, "queued": 0, "inFlight": 0, "succeeded": 0, "failed": 0, "timedOut": 0,
            "reverted": 0});
        let jobs = json!([
            job("ended", json!({"finishedAt": "2026-01-05T00:00:00Z"})),
            job("stopped", json!({"stoppedUptime": {"boot": "0000000000000007", "millis": 60_000}})),
            job("of another boot", json!({"stoppedUptime": {"boot": "0000000000000008", "millis": 60_000}})),
            job("runs", json!({})),
        ]);
        let rollout = json!({
            "metadata": {"name": "r"}, "spec": {"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []},
            "status": {"stages": [{"name": "s", "phase": "Running", "counts": counts, "jobs": jobs}]},
        });
        let clocks = Clocks { steady_since: at(500), boot: Some(Boot { id: 7, at: at(100) }), cloud: None };
        let stops = of_rollout(&serde_json::from_value(rollout).unwrap(), &clocks);
        assert_eq!(stops, [("ended".to_owned(), Timestamp::MIN), ("stopped".to_owned(), at(160))]);
    }
}
