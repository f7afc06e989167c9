//! What would be done, to the end, if everything succeeds: the judge itself, rehearsed in a cloud where every call works and
//! every device upgrades. So a preview cannot say anything else than what a run would do.

mod advice;
mod rehearsal;

pub use advice::{Estimate, Known, watching};
pub use rehearsal::{KNOWN_AFTER_CREATE, package, rollout};

use super::Action;
use crate::api::{ObjectKey, Period, RolloutPhase};

/// What would be done for one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview<O> {
    /// Orders to the cloud, in order.
    pub steps: Vec<Step>,
    /// Stages with their devices; empty for a package.
    pub stages: Vec<PreviewStage>,
    /// What the soaks of the stages that are still to be sent add up to: it takes at least this long.
    pub soaks: Period,
    /// What a person should know before it begins.
    pub warnings: Vec<String>,
    /// What cannot be undone.
    pub irreversible: Vec<String>,
    /// The object as it would be at the end: what depends on it is previewed with this.
    pub object: O,
    /// Where it would end.
    pub end: End,
}

/// Where a rehearsal ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The cloud would hold what the spec says.
    Converged,
    /// The object would be gone.
    Released,
    /// It would not go on: the sentence says why.
    Held(String),
}

/// One order to the cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// On behalf of which object.
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
    /// Devices that it would hold, those that it holds already included.
    pub devices: u32,
    /// Devices that it holds already.
    pub dispatched: u32,
    /// Some of those that would be added, first by rank.
    pub examples: Vec<String>,
    /// How long it soaks; empty when it does not.
    pub soak: String,
}

/// True when a rollout in this phase sends nothing more by itself.
const fn is_over(phase: RolloutPhase) -> bool {
    matches!(phase, RolloutPhase::Completed | RolloutPhase::Aborted | RolloutPhase::Held)
}
