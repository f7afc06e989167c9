//! What statuses report. For as long as it stays the same, a simulation run at rest writes nothing.

use super::rest::{Rest, is_held_in_its_windows};
use crate::clouds::VersionTruth;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Object, ObjectKey, OtaRollout, StageStatus};
use rollwave::cloud::PackageKind;
use std::collections::{BTreeMap, BTreeSet};

/// A moment that has come is written down within this time.
const WRITTEN_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// What the clouds hold, and what the time of day decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Devices to which something may still happen, by job.
    open: BTreeMap<String, BTreeSet<String>>,
    /// Version by device and kind.
    versions: BTreeMap<(String, PackageKind), String>,
    /// Moments that statuses announce: deadlines, ends of soaks, windows that open, devices that are given up.
    announced: BTreeSet<(ObjectKey, Timestamp)>,
}

impl Facts {
    pub(crate) fn of(rest: &Rest<'_>, now: Timestamp) -> Self {
        let version =
            |seen: &VersionTruth<'_>| ((seen.device.to_owned(), seen.kind), seen.version.to_owned());
        let open = rest.jobs.iter().map(|job| (job.id.clone(), job.open.clone()));
        let mut facts = Self {
            open: open.collect(),
            versions: rest.versions.iter().map(version).collect(),
            ..Self::default()
        };
        // Windows of one that is held in them open and close for ever.
        for object in rest.objects.iter().filter(|object| !is_held_in_its_windows(object)) {
            if let Object::Rollout(rollout) = object.as_ref() {
                facts.note_moments(&object.key(), rollout, now);
            }
        }
        facts
    }

    fn note_moments(&mut self, key: &ObjectKey, rollout: &OtaRollout, now: Timestamp) {
        let before = now.saturating_sub(WRITTEN_WITHIN).unwrap_or(now);
        let stages = rollout.status.iter().flat_map(|status| &status.stages);
        let timeout = rollout.spec.delivery.as_ref().and_then(|delivery| delivery.timeout?.queued);
        let gives_up = |stage: &StageStatus| {
            let clock = stage.clock.as_ref().filter(|clock| clock.queued_passed_at.is_none())?;
            clock.since.checked_add(timeout?.as_signed()).ok()
        };
        let moments = stages.flat_map(|stage| announced(stage).chain(gives_up(stage)));
        let moments = moments.filter(|at| *at > before);
        self.announced.extend(moments.map(|at| (key.clone(), at)));
    }
}

fn announced(stage: &StageStatus) -> impl Iterator<Item = Timestamp> {
    let deadline = stage.clock.as_ref().and_then(|clock| clock.deadline_at);
    [deadline, stage.opens_at, stage.soaks_until].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollwave::api::Kind;
    use serde_json::json;

    #[test]
    fn a_moment_that_a_status_announces_and_that_comes_is_another_fact() {
        let key = ObjectKey::new(Kind::OtaRollout, "default", "r");
        let spec = json!({"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []});
        let stage = json!({"name": "all", "phase": "Soaking", "soaksUntil": "2026-01-05T10:00:00Z"});
        let status = json!({"stages": [stage]});
        let rollout = json!({"metadata": {"name": "r"}, "spec": spec, "status": status});
        let rollout: OtaRollout = serde_json::from_value(rollout).unwrap();
        let at = |time: &str| {
            let mut facts = Facts::default();
            facts.note_moments(&key, &rollout, format!("2026-01-05T{time}:00Z").parse().unwrap());
            facts
        };
        for (earlier, later, is_alike) in
            [("09:00", "10:14", true), ("10:14", "10:16", false), ("10:16", "11:00", true)]
        {
            assert_eq!(at(earlier) == at(later), is_alike, "{earlier} {later}");
        }
    }
}
