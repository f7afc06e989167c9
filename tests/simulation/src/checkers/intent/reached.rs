//! Law (a): when faults stop, each targeted, eligible, reachable device runs the version that the spec names now, or the status
//! counts it and says why.

use super::eligible::{is_excluded, is_targeted, package_of, source_versions};
use crate::checkers::stages::kind_of;
use rollwave::api::{Object, ObjectKey, OtaPackage, OtaRollout, RolloutPhase};
use rollwave::cloud::PackageKind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The fleet at rest.
pub(in crate::checkers) struct Fleet<'a> {
    /// What devices run, by device and kind.
    pub(in crate::checkers) versions: BTreeMap<(&'a str, PackageKind), &'a str>,
    pub(in crate::checkers) online: &'a BTreeSet<String>,
}

/// Every rollout that says it is completed has brought its devices there, but for as many as it counts.
pub(super) fn have_reached(
    objects: &[Arc<Object>],
    excused: &BTreeSet<ObjectKey>,
    fleet: &Fleet<'_>,
) -> Result<(), String> {
    let observing = objects.iter().filter(|object| !excused.contains(&object.key()));
    let rollouts = observing.filter_map(|object| match object.as_ref() {
        Object::Rollout(rollout) => Some(rollout),
        _ => None,
    });
    rollouts.map(|rollout| has_reached(rollout, objects, fleet)).fold(Ok(()), Result::and)
}

fn has_reached(rollout: &OtaRollout, objects: &[Arc<Object>], fleet: &Fleet<'_>) -> Result<(), String> {
    let status = rollout.status.as_ref().filter(|status| status.phase == RolloutPhase::Completed);
    let (Some(status), Some(package)) = (status, package_of(rollout, objects)) else { return Ok(()) };
    if rollout.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let left = left_behind(rollout, package, objects, fleet);
    let counts = status.stages.iter().map(|stage| stage.counts);
    let counted = counts.map(|counts| {
        let taken_on = counts.superseded + counts.unseen;
        counts.failures() + counts.outstanding() + counts.never_began + taken_on
    });
    let counted: u32 = counted.sum::<u32>() + status.excluded.ignored_new + untold(&status.message);
    if left.len() <= usize::try_from(counted).unwrap_or(usize::MAX) {
        return Ok(());
    }
    let (name, version) = (rollout.metadata.name.as_deref().unwrap_or_default(), &package.spec.version);
    let all = left.len();
    let some: Vec<&str> = left.into_iter().take(5).collect();
    Err(format!(
        "{name} is completed and counts {counted} devices that do not run {version}, and {all} do not: {}",
        some.join(", ")
    ))
}

/// Devices of which a status says that nobody can tell what became of them, because a job is not in the cloud any more.
fn untold(message: &str) -> u32 {
    let before = message.split_once(" more eligible and sent nothing: job ").map(|(before, _)| before);
    before.and_then(|before| before.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Devices that are meant, could be brought there, and are not.
fn left_behind<'a>(
    rollout: &OtaRollout,
    package: &OtaPackage,
    objects: &[Arc<Object>],
    fleet: &Fleet<'a>,
) -> Vec<&'a str> {
    let kind = kind_of(package);
    let of_kind = fleet.versions.iter().filter(|((_, of), _)| *of == kind);
    let left = of_kind.filter(|((device, _), version)| {
        **version != package.spec.version
            && fleet.online.contains(*device)
            && is_targeted(rollout, package, device)
            && !is_excluded(rollout, device)
            && source_versions(rollout, package)
                .all(|versions| versions.iter().any(|known| known == *version))
            && !is_wanted_elsewhere(rollout, device, kind, objects)
            && !device.starts_with("late")
    });
    left.map(|((device, _), _)| *device).collect()
}

/// Another rollout wants this device, too: which of both owns it is not this law's.
fn is_wanted_elsewhere(
    rollout: &OtaRollout,
    device: &str,
    kind: PackageKind,
    objects: &[Arc<Object>],
) -> bool {
    objects.iter().any(|object| match object.as_ref() {
        Object::Rollout(other) if other.metadata.name != rollout.metadata.name => package_of(other, objects)
            .is_some_and(|package| kind_of(package) == kind && is_targeted(other, package, device)),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn objects(failed: u32, exclude: bool) -> Vec<Arc<Object>> {
        let package = json!({
            "metadata": {"name": "p"},
            "spec": {"cloudRef": {"name": "cloud0"}, "type": "Firmware", "product": {"id": "meter"}, "version": "V2",
                "artifact": {"sha256": "ab".repeat(32), "file": "/a"}},
        });
        let counts = json!({"assigned": 2, "queued": 0, "inFlight": 0, "succeeded": 2 - failed, "failed": failed,
            "timedOut": 0, "reverted": 0});
        let stage = json!({"name": "rest", "phase": "Passed", "counts": counts});
        let mut targets = json!({"all": true});
        if exclude {
            targets["exclude"] = json!({"devices": ["device0-0001"]});
        }
        let rollout = json!({
            "metadata": {"name": "r"},
            "spec": {"packageRef": {"name": "p"}, "targets": targets, "stages": []},
            "status": {"phase": "Completed", "stages": [stage]},
        });
        vec![
            Arc::new(Object::Package(serde_json::from_value(package).unwrap())),
            Arc::new(Object::Rollout(serde_json::from_value(rollout).unwrap())),
        ]
    }

    #[test]
    fn a_completed_rollout_has_left_nobody_behind_whom_it_does_not_count() {
        let online: BTreeSet<String> = ["device0-0000", "device0-0001"].map(str::to_owned).into();
        let nobody = BTreeSet::new();
        for (failed, exclude, version, online, expected) in [
            (0, false, "V2", &online, true),
            (0, false, "V3", &online, false),
            (1, false, "V3", &online, true),
            (0, true, "V3", &online, true),
            (0, false, "V3", &nobody, true),
        ] {
            let devices = [("device0-0000", "V2"), ("device0-0001", version)];
            let versions = devices.map(|(device, version)| ((device, PackageKind::Firmware), version)).into();
            let told = have_reached(&objects(failed, exclude), &BTreeSet::new(), &Fleet { versions, online });
            assert_eq!(told.is_ok(), expected, "{failed} {exclude} {version}: {told:?}");
        }
    }

    #[test]
    fn a_status_may_say_that_nobody_can_tell() {
        let message = "2 of 2 devices run V2, 0 failed; 12 more eligible and sent nothing: job j is not in the cloud any more";
        assert_eq!((untold(message), untold("2 of 2 devices run V2, 0 failed")), (12, 0));
    }
}
