//! Law (h): no two rollouts have live jobs for one device and module.

use super::truth::Truth;
use crate::checkers::Creates;
use crate::clouds::JobTruth;
use rollwave::cloud::PackageKind;
use std::collections::BTreeMap;

/// These are all jobs that there are.
pub(super) fn have_a_device_each(jobs: &[JobTruth], creates: &Creates, truth: &Truth) -> Result<(), String> {
    let mut busy: BTreeMap<(&str, PackageKind), (&str, &str)> = BTreeMap::new();
    for job in jobs.iter().filter(|job| !job.is_final) {
        let Some(sent) = creates.sent_by(&job.id).filter(|sent| sent.stage.is_some()) else { continue };
        let Some(kind) = truth.kind_of(sent) else { continue };
        for device in &job.open {
            if let Some((uid, other)) = busy.insert((device, kind), (&sent.uid, &job.id))
                && uid != sent.uid
            {
                return Err(format!("{device} is in live jobs of two rollouts: {other} and {}", job.id));
            }
        }
    }
    Ok(())
}
