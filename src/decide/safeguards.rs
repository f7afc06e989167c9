//! The parts of a rollout's spec that protect devices, and which of them an edit removes.

use super::defaults;
use super::needs::has_begun;
use crate::api::{OtaRolloutSpec, OtaRolloutStatus, RolloutPhase, Stage};

/// The stages, gates and stop rules of a rollout, by name; `stages` are those of its spec, or the default ones.
#[must_use]
pub fn of(spec: &OtaRolloutSpec, stages: &[Stage]) -> Vec<String> {
    let last = stages.len().saturating_sub(1);
    let named = stages.iter().enumerate().flat_map(|(index, stage)| {
        let gates = defaults::gates(stage, index == last);
        let gates = gates.iter().map(|gate| format!("gate {} of stage {}", gate.name, stage.name));
        std::iter::once(format!("stage {}", stage.name)).chain(gates).collect::<Vec<_>>()
    });
    let rules = defaults::stop_rules(spec);
    named.chain(rules.iter().map(|rule| format!("stop rule {}", rule.name))).collect()
}

/// A message about a rollout in progress that has lost some of them; none otherwise.
#[must_use]
pub fn removed(spec: &OtaRolloutSpec, stages: &[Stage], status: &OtaRolloutStatus) -> Option<String> {
    let kept = of(spec, stages);
    let gone: Vec<&str> =
        status.safeguards.iter().filter(|known| !kept.contains(known)).map(String::as_str).collect();
    let is_live = has_begun(status) && status.phase != RolloutPhase::Completed;
    (is_live && !gone.is_empty()).then(|| {
        format!(
            "an edit removed {} while the rollout was in progress: put it back unless this was intended",
            gone.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{StagePhase, StageStatus};
    use crate::decide::rollout::waiting_stage;
    use crate::decide::testing::rollout;
    use serde_json::json;

    #[test]
    fn what_an_edit_takes_away_is_told_while_the_rollout_is_under_way() {
        let of = |spec: &OtaRolloutSpec| of(spec, &spec.stages);
        let removed = |spec: &OtaRolloutSpec, status: &OtaRolloutStatus| removed(spec, &spec.stages, status);
        let mut spec = rollout().spec;
        let rule = json!({"name": "failures", "method": "Count", "maxFailure": 3});
        spec.stop = Some(vec![serde_json::from_value(rule).unwrap()]);
        let mut status = OtaRolloutStatus { safeguards: of(&spec), ..OtaRolloutStatus::default() };
        let mut edited = spec.clone();
        edited.stages[0].gates = Some(Vec::new());
        assert_eq!(removed(&edited, &status), None, "nothing was sent yet");
        status.stages = vec![StageStatus { phase: StagePhase::Running, ..waiting_stage("canary") }];
        assert_eq!(removed(&spec, &status), None);
        let said = removed(&edited, &status).unwrap_or_default();
        assert!(said.starts_with("an edit removed gate proven of stage canary while"), "{said}");
        edited.stop = Some(Vec::new());
        edited.stages.clear();
        let said = removed(&edited, &status).unwrap_or_default();
        assert!(said.contains("stage canary, gate proven of stage canary, stop rule failures"), "{said}");
        status.phase = RolloutPhase::Completed;
        assert_eq!(removed(&edited, &status), None);
    }
}
