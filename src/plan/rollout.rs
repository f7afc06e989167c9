//! rollout
use crate::api::{StageCounts, StagePhase, StageStatus};

/// A stage that was not released yet.
pub(super) fn waiting_stage(name: &str) -> StageStatus {
    StageStatus {
        name: name.to_owned(),
        phase: StagePhase::Waiting,
        counts: StageCounts::default(),
        jobs: Vec::new(),
        dispatched_at: None,
        observed_at: None,
        passed_at: None,
        gates: Vec::new(),
    }
}
