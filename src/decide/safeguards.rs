//! What of a rollout's spec protects devices, and what an edit of it takes away.

use super::needs::has_begun;
use crate::api::{OtaRolloutSpec, OtaRolloutStatus, RolloutPhase};

/// The stages, gates and stop rules of a spec, by name.
#[must_use]
pub fn of(spec: &OtaRolloutSpec) -> Vec<String> {
    let stages = spec.stages.iter().flat_map(|stage| {
        let gates = stage.gates.iter().map(|gate| format!("gate {} of stage {}", gate.name, stage.name));
        std::iter::once(format!("stage {}", stage.name)).chain(gates)
    });
    stages.chain(spec.stop.iter().map(|rule| format!("stop rule {}", rule.name))).collect()
}

/// What is said of a rollout that is under way and has lost some of them; none when it has lost none, or is not.
#[must_use]
pub fn removed(spec: &OtaRolloutSpec, status: &OtaRolloutStatus) -> Option<String> {
    let kept = of(spec);
    let gone: Vec<&str> =
        status.safeguards.iter().filter(|known| !kept.contains(known)).map(String::as_str).collect();
    let is_live = has_begun(status) && status.phase != RolloutPhase::Completed;
    (is_live && !gone.is_empty()).then(|| {
        format!(
            "an edit removed {} while the rollout was under way: put it back if that was not meant",
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
        let mut spec = rollout().spec;
        let rule = json!({"name": "failures", "method": "Count", "maxFailure": 3});
        spec.stop = vec![serde_json::from_value(rule).unwrap()];
        let mut status = OtaRolloutStatus { safeguards: of(&spec), ..OtaRolloutStatus::default() };
        let mut edited = spec.clone();
        edited.stages[0].gates.clear();
        assert_eq!(removed(&edited, &status), None, "nothing was sent yet");
        status.stages = vec![StageStatus { phase: StagePhase::Running, ..waiting_stage("canary") }];
        assert_eq!(removed(&spec, &status), None);
        let said = removed(&edited, &status).unwrap_or_default();
        assert!(said.starts_with("an edit removed gate proven of stage canary while"), "{said}");
        edited.stop.clear();
        edited.stages.clear();
        let said = removed(&edited, &status).unwrap_or_default();
        assert!(said.contains("stage canary, gate proven of stage canary, stop rule failures"), "{said}");
        status.phase = RolloutPhase::Completed;
        assert_eq!(removed(&edited, &status), None);
    }
}
