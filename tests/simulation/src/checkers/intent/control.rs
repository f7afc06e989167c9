//! Law (k): each comparison with a control group is made once, and the verdict follows from the numbers that the status shows.

use super::truth::Run;
use super::verdict::compared;
use crate::checkers::effective;
use jiff::Timestamp;
use rollwave::api::{ControlComparison, OtaRollout, StagePhase, StageStatus, StopMethod};
use std::collections::BTreeMap;

/// A status that could not be written is decided again, with a later comparison.
const TRIES: usize = 5;

/// The comparisons that statuses have shown.
#[derive(Default)]
pub(super) struct Controls {
    /// By run and stage: the number of the last comparison, and when it was made.
    comparisons: BTreeMap<(Run, String), (u32, Vec<Timestamp>)>,
}

impl Controls {
    /// A status is durable, or is about to be.
    pub(super) fn status_is(&mut self, rollout: &OtaRollout, run: &Run) -> Result<(), String> {
        let is_current = |stage: &&StageStatus| !stage.jobs.is_empty();
        let status = rollout.status.as_ref();
        let Some(stage) = status.and_then(|status| status.stages.iter().rfind(is_current)) else {
            return Ok(());
        };
        let compared = stage.control.as_ref().and_then(|group| Some((group, group.last.as_ref()?)));
        let Some((group, comparison)) = compared else {
            return Ok(());
        };
        let known = self.comparisons.entry((run.clone(), stage.name.clone())).or_default();
        if known.1.last() == Some(&comparison.at) {
            return Ok(());
        }
        if known.0 != group.comparisons {
            *known = (group.comparisons, Vec::new());
        }
        known.1.push(comparison.at);
        if known.1.len() > TRIES {
            return Err(format!(
                "comparison {} of stage {} was made {TRIES} times",
                group.comparisons, stage.name
            ));
        }
        is_judged(rollout, stage, comparison)
    }
}

/// A rule of the spec fires by these numbers, or none does.
fn is_judged(
    rollout: &OtaRollout,
    stage: &StageStatus,
    comparison: &ControlComparison,
) -> Result<(), String> {
    let Some(status) = &rollout.status else { return Ok(()) };
    let is_newest = rollout.metadata.generation == Some(status.observed_generation);
    if !is_newest || matches!(stage.phase, StagePhase::Passed | StagePhase::Waiting) {
        return Ok(());
    }
    let rules = effective::stop_rules(rollout);
    let mut rules = rules.iter().filter(|rule| rule.method == StopMethod::Control);
    let must = rules.clone().find(|rule| compared(rule, comparison, 1.0 + 1e-6));
    if let Some(rule) = must.filter(|_| status.stopped_by.is_none()) {
        return Err(format!("stop rule {} should have fired by {comparison:?}", rule.name));
    }
    let Some(fired) = &status.stopped_by else { return Ok(()) };
    match rules.find(|rule| rule.name == fired.rule) {
        Some(rule) if !compared(rule, comparison, 1.0 - 1e-6) => {
            Err(format!("stop rule {} fires by {comparison:?}", rule.name))
        }
        _ => Ok(()),
    }
}
