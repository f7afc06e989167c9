//! Stages were removed or reordered after they had been dispatched.

use crate::api::{OtaRolloutStatus, Reason, StagePhase, StageStatus};
use crate::decide::rollout::Context;
use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::report::Outcome;
use std::collections::BTreeSet;

/// Why an edit of the stages cannot be followed: dispatched stages must come first, in the same order, and removed stages
/// must not move their devices to a last stage that the spec does not contain.
pub(in crate::decide::rollout) fn why(context: &Context<'_>, status: &OtaRolloutStatus) -> Option<String> {
    let begun = |stage: &&StageStatus| stage.phase != StagePhase::Waiting || !stage.jobs.is_empty();
    let released = status.stages.iter().rposition(|stage| begun(&stage)).map_or(0, |last| last + 1);
    for (index, stage) in status.stages.iter().take(released).enumerate() {
        if context.stages.get(index).map(|new| &new.name) != Some(&stage.name) {
            return Some(format!(
                "stage {} was dispatched as number {} and is no longer at that place in the spec; put it back, or delete this rollout and write a new one",
                stage.name,
                index + 1
            ));
        }
    }
    let names: BTreeSet<&str> = context.stages.iter().map(|stage| stage.name.as_str()).collect();
    let gone: Vec<&str> =
        status.stages.iter().map(|stage| stage.name.as_str()).filter(|name| !names.contains(name)).collect();
    let rest_is_implied = context.stages.len() > context.rollout.spec.stages.len();
    (released > 0 && rest_is_implied && !gone.is_empty()).then(|| {
        format!(
            "stages were removed ({}), which would move their devices to the implied last stage; write a stage with select: {{rest: true}} to confirm, or put them back",
            gone.join(", ")
        )
    })
}

pub(super) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let message = pass.changed_stages.clone()?;
    Some(Outcome::held(Reason::StagesChanged, message, pass.has_live_jobs()))
}
