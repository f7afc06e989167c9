//! Law (l): `delivery.ratePerMinute` and `delivery.maxInFlight` are kept where the cloud does not keep them.

use super::eligible::cloud_of;
use super::truth::Truth;
use super::warrant::Dispatch;
use crate::checkers::{Creates, Sent};
use crate::clouds::JobTruth;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{CloudKind, CloudRef, Object, OtaPackage, OtaRollout, Period};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A stage gives its devices so long to begin where nothing else is written.
const A_WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What was sent of each stage, and what may still happen to it.
#[derive(Default)]
pub(super) struct Paces {
    /// The last request of each stage, and when it left.
    last: BTreeMap<Sent, (String, Timestamp)>,
    /// When each job was first there.
    since: BTreeMap<String, Timestamp>,
    /// Devices of each stage to which something may still happen, with the age of their job.
    open: BTreeMap<Sent, Vec<(Timestamp, BTreeSet<String>)>>,
}

impl Paces {
    /// These are all jobs that there are.
    pub(super) fn jobs_are(&mut self, jobs: &[JobTruth], creates: &Creates, now: Timestamp) {
        self.open.clear();
        for job in jobs {
            let since = *self.since.entry(job.id.clone()).or_insert(now);
            let Some(sent) = creates.sent_by(&job.id).filter(|_| !job.open.is_empty()) else { continue };
            self.open.entry(sent.clone()).or_default().push((since, job.open.clone()));
        }
    }

    /// A job leaves.
    pub(super) fn leaves(
        &mut self,
        token: &str,
        (rollout, package): (&OtaRollout, &OtaPackage),
        objects: &[Arc<Object>],
        dispatch: &Dispatch<'_>,
        truth: &Truth,
    ) -> Result<(), String> {
        let Dispatch { sent, devices, now } = dispatch;
        let before = self.last.insert((*sent).clone(), (token.to_owned(), *now));
        let (Some(delivery), Some(cloud)) = (&rollout.spec.delivery, cloud_of(package, objects)) else {
            return Ok(());
        };
        // A request of unknown outcome is sent again.
        let is_again = before.as_ref().is_some_and(|(last, _)| last == token);
        let Some(kind) = cloud.spec.cloud().map(CloudRef::kind) else { return Ok(()) };
        if let Some(rate) = delivery.rate_per_minute.filter(|_| kind != CloudKind::AliyunIot) {
            let since = before.filter(|_| !is_again).map(|(_, at)| now.duration_since(at));
            let is_early = since.is_some_and(|since| since < SignedDuration::from_mins(1));
            if is_early || devices.len() > rate as usize {
                let devices = devices.len();
                return Err(format!(
                    "{devices} devices leave {since:?} after others, and {rate} may each minute"
                ));
            }
        }
        let Some(places) = delivery.max_in_flight.filter(|_| kind != CloudKind::Enos) else {
            return Ok(());
        };
        let taken = self.taken(rollout, sent, *now, truth);
        if taken + devices.len() > places as usize {
            let more = devices.len();
            return Err(format!(
                "{more} devices leave beside {taken} that may be upgrading, and {places} may be"
            ));
        }
        Ok(())
    }

    /// Devices that have not run the version, of jobs in which none can have been given up.
    fn taken(&self, rollout: &OtaRollout, sent: &Sent, now: Timestamp, truth: &Truth) -> usize {
        let timeout =
            rollout.spec.delivery.as_ref().and_then(|delivery| delivery.timeout).unwrap_or_default();
        let spec = rollout.spec.stages.iter().find(|stage| Some(&stage.name) == sent.stage.as_ref());
        let deadline = spec.and_then(|stage| stage.deadline?.after);
        let limits = [timeout.queued, timeout.in_progress, deadline].into_iter().flatten();
        let shortest = limits.map(Period::as_signed).min().unwrap_or(A_WEEK);
        let ran = truth.cohort(sent).map(|cohort| &cohort.ran);
        let jobs = self.open.get(sent).into_iter().flatten();
        let young = jobs.filter(|(since, _)| now.duration_since(*since) < shortest);
        let open: BTreeSet<&String> = young.flat_map(|(_, open)| open).collect();
        open.into_iter().filter(|device| ran.is_none_or(|ran| !ran.contains(*device))).count()
    }
}
