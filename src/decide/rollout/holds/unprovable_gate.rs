//! A gate has more failures than it allows, and too few to prove that the build is bad: devices that have not begun must not
//! get a build that its canary cannot prove.

use crate::api::{Evidence, Reason, StagePhase, StageStatus};
use crate::decide::rollout::advance::Pass;
use crate::decide::rollout::report::Outcome;

pub(in crate::decide::rollout) fn check(pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    let is_judged = |stage: &StageStatus| {
        !matches!(stage.phase, StagePhase::Waiting | StagePhase::Passed) && stage.counts.assigned > 0
    };
    let mut stages = pass.status.stages.iter().enumerate().filter(|(_, stage)| is_judged(stage));
    let (index, message) = stages.find_map(|(index, stage)| {
        let gate = stage.gates.iter().find(|gate: &&Evidence| gate.is_hopeless())?;
        Some((index, format!("stage {}, gate {}: {}", stage.name, gate.rule, gate.message)))
    })?;
    pass.enter(index, StagePhase::Held, Reason::GateInconclusive, &message);
    Some(pass.hold_and_stop(Reason::GateInconclusive, message))
}
