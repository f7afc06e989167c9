//! A set of devices that a stage selects by cannot be read, so it is unknown which devices the stage has.

use crate::api::{Reason, StagePhase, StageStatus};
use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::report::Outcome;
use crate::decide::sets::Chosen;

pub(super) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let sets = &pass.context.fleet.value.sets;
    let is_open = |name: &str| {
        let known = pass.status.stages.iter().find(|stage| stage.name == name);
        pass.ignores_new_devices() || known.is_none_or(|stage| !is_complete(stage))
    };
    let mut open = pass.context.stages.iter().filter(|stage| is_open(&stage.name));
    open.find_map(|stage| {
        let chosen = Chosen::by_stage(&stage.select)?;
        if let Some((set, why)) = chosen.unread(sets).next() {
            let message = format!(
                "stage {} selects the devices of {set}, which cannot be read, so nothing is dispatched: {why}",
                stage.name
            );
            return Some(Outcome::held(Reason::StageDevicesUnknown, message, pass.has_live_jobs()));
        }
        // After an edit, until the next observation.
        let what = || format!("reading the devices that stage {} selects", stage.name);
        let is_known = chosen.members(sets).is_some();
        (!is_known).then(|| Outcome::working(pass.status.phase, Reason::Observing, what()))
    })
}

/// Every device of the stage is in a job: it takes no others.
fn is_complete(stage: &StageStatus) -> bool {
    let is_sent = !matches!(stage.phase, StagePhase::Waiting | StagePhase::Dispatching);
    is_sent && stage.unsent == 0 && !stage.jobs.is_empty()
}
