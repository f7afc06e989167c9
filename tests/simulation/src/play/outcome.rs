//! What came of a play, and what it still waits for.

use super::{LONGEST_WINDOW_WAIT, Play, START, later};
use crate::{Outcome, Violation, lock};
use jiff::Timestamp;
use rollwave::api::Object;

impl Play {
    pub(super) fn outcome(self) -> Outcome {
        let trace = lock(&self.shared.trace);
        let chaos = self.shared.chaos();
        let since_start = |at: &Timestamp| at.duration_since(START).as_secs();
        let checkers = self.shared.checkers();
        let violation = checkers.violation().map(str::to_owned);
        let completed = checkers.completed().iter().map(|(name, at)| (name.clone(), since_start(at)));
        Outcome {
            completed: completed.collect(),
            methods_fired: checkers.methods_fired().clone(),
            trace_hash: trace.hash(),
            steps: self.steps,
            events: trace.events(),
            faults: chaos.faults.clone(),
            struck: chaos.struck(),
            turns: self.turns.happened(),
            points: chaos.points.clone(),
            lasted_secs: self.shared.timeline.now().duration_since(START).as_secs(),
            violation: violation.map(|what| Violation { what, last_events: trace.last() }),
        }
    }

    /// When the last window opens that a stage waits for, within a day: until then it is right to wait.
    pub(super) fn last_opening(&self, since: Timestamp) -> Timestamp {
        let objects = self.shared.durable();
        let statuses = objects.iter().filter_map(|object| match object.as_ref() {
            Object::Rollout(rollout) => rollout.status.as_ref(),
            _ => None,
        });
        let openings = statuses.flat_map(|status| &status.stages).filter_map(|stage| stage.opens_at);
        openings.max().map_or(since, |last| last.min(later(since, LONGEST_WINDOW_WAIT)))
    }
}
