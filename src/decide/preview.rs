//! What would be done, to the end, if everything succeeds: the real decisions, rehearsed in a cloud where every call
//! works and every device upgrades. So a preview always matches what a run would do.

mod advice;
mod comparison;
mod rehearsal;
mod risk;

pub use advice::{Estimate, Known, watching};
pub use comparison::{Comparison, Healthy, sees};
pub use rehearsal::{KNOWN_AFTER_CREATE, package, rollout};
pub use risk::{Build, GateRisk, Risk, percent, risk};

use super::Action;
use crate::api::{ObjectKey, Period, RolloutPhase, StageStrata};

/// What would be done for one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview<O> {
    /// Orders to the cloud, in order.
    pub steps: Vec<Step>,
    /// Stages with their devices; empty for a package.
    pub stages: Vec<PreviewStage>,
    /// Sum of the soaks of the stages that are still to be dispatched: the least time it takes.
    pub soaks: Period,
    /// How far a bad build would get; none once something was sent.
    pub risk: Option<Risk>,
    /// What a user should know before it begins.
    pub warnings: Vec<String>,
    /// What cannot be undone.
    pub irreversible: Vec<String>,
    /// The object as it would be at the end: the preview of its dependents uses this.
    pub object: O,
    /// Where it would end.
    pub end: End,
}

/// Where a rehearsal ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The cloud would match the spec.
    Converged,
    /// The object would be removed.
    Released,
    /// It would be held, for this reason.
    Held(String),
}

/// One order to the cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The object that it is for.
    pub object: ObjectKey,
    /// The order. Ids that are not known yet are [`KNOWN_AFTER_CREATE`].
    pub action: Action,
    /// `now`, or `after stage canary passes (soak 1d)`.
    pub when: String,
}

/// A stage and its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewStage {
    /// Name of the stage.
    pub name: String,
    /// Devices that it would have, current ones included.
    pub devices: u32,
    /// Devices that it has already.
    pub dispatched: u32,
    /// Some of the devices that would be added, first by rank.
    pub examples: Vec<String>,
    /// How long it soaks; empty without a soak.
    pub soak: String,
    /// What its devices are divided by, and how many of each stratum it would have; empty without `order.stratifyBy`.
    pub strata: StageStrata,
}

/// True when a rollout in this phase sends nothing more by itself.
const fn is_over(phase: RolloutPhase) -> bool {
    matches!(phase, RolloutPhase::Completed | RolloutPhase::Aborted | RolloutPhase::Held)
}
