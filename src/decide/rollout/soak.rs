//! How long a stage soaks, and when it must be observed again for that.

use crate::api::{ControlGroup, OtaRollout, Period, Stage, StagePhase, StageStatus};
use crate::decide::clocks::{Clocks, Wait};
use crate::decide::defaults;
use jiff::{SignedDuration, Timestamp};

/// Comparisons with the control group in the soak of a stage, evenly; the last one is at its end.
pub const COMPARISONS: u32 = 8;

/// True when the comparison after the soak was made.
#[must_use]
pub const fn is_compared_at_the_end(group: &ControlGroup) -> bool {
    group.comparisons > COMPARISONS
}

/// The soak of a stage whose jobs were observed; none without a soak, or before it begins.
pub(super) fn of<'a>(spec: &Stage, stage: &'a StageStatus) -> Option<Wait<'a>> {
    wait(stage, spec.soak?.as_signed())
}

fn wait(stage: &StageStatus, length: SignedDuration) -> Option<Wait<'_>> {
    Some(Wait {
        began: stage.observed_at?,
        uptime: stage.observed_uptime.as_ref(),
        cloud_began: stage.observed_cloud_at,
        length,
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
        let compared = stage.control.iter().flat_map(|_| comparisons(&spec, stage, clocks, now));
        compared.chain(std::iter::once(end)).filter(|end| *end <= now).max()
    });
    ends.max()
}

/// When a stage is compared with its control group; never before its soak began.
pub(super) fn comparisons(
    spec: &Stage,
    stage: &StageStatus,
    clocks: &Clocks,
    now: Timestamp,
) -> impl Iterator<Item = Timestamp> {
    let soak = spec.soak.map_or(SignedDuration::ZERO, Period::as_signed);
    (1..=COMPARISONS).filter_map(move |comparison| {
        let length = soak.checked_mul(comparison.cast_signed())? / COMPARISONS.cast_signed();
        Some(wait(stage, length)?.ends(clocks, now))
    })
}
