//! What came of a play.

use super::{Play, START};
use crate::world::{Outcome, Violation, lock};
use jiff::Timestamp;

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
}
