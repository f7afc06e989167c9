//! How long a stage soaks, and when it must be observed again for that.

use super::control;
use crate::api::{OtaRollout, Stage, StagePhase, StageStatus};
use crate::decide::clocks::{Clocks, Wait};
use crate::decide::defaults;
use jiff::Timestamp;

/// The soak of a stage whose jobs were observed; none without a soak, or before it begins.
pub(super) fn of<'a>(spec: &Stage, stage: &'a StageStatus) -> Option<Wait<'a>> {
    Some(Wait {
        began: stage.observed_at?,
        uptime: stage.observed_uptime.as_ref(),
        cloud_began: stage.observed_cloud_at,
        length: spec.soak?.as_signed(),
    })
}

/// When the newest of the ended soaks ended: its gates are judged on an observation that began then or later.
#[must_use]
pub fn look_due(rollout: &OtaRollout, clocks: &Clocks, now: Timestamp) -> Option<Timestamp> {
    let stages = rollout.status.iter().flat_map(|status| &status.stages);
    let soaking = stages.filter(|stage| stage.phase == StagePhase::Soaking);
    let ends = soaking.filter_map(|stage| {
        let spec = defaults::stage_named(&rollout.spec, &stage.name)?;
        let end = of(&spec, stage)?.ends(clocks, now);
        let compared = stage.control.iter().flat_map(|_| control::due_times(&spec, stage, clocks, now));
        compared.chain(std::iter::once(end)).filter(|end| *end <= now).max()
    });
    ends.max()
}
