//! A translation of Argo Rollouts, which knows no devices: 20 % more of the fleet every 10 minutes, and a background
//! analysis as in its manual's example. Every 5 minutes the success rate of the last 5 minutes is measured; below 95 % the
//! measurement has failed, and more than 3 failed measurements abort. The analysis ends with the last step.

use super::super::rollout::{Next, Rollout, Rule, Tally};

const STEP_EVERY: u32 = 10;
const STEPS: u32 = 5;
const MEASURED_EVERY: u32 = 5;
const SUCCESS_PERCENT: u32 = 95;
const FAILURE_LIMIT: u32 = 3;

/// A canary with a background analysis.
#[derive(Default)]
pub struct Argo {
    measured: Tally,
    failed: u32,
}

impl Argo {
    fn measure(&mut self, total: Tally) {
        let finished = total.finished() - self.measured.finished();
        let succeeded = total.succeeded - self.measured.succeeded;
        self.failed += u32::from(succeeded * 100 < finished * SUCCESS_PERCENT);
        self.measured = total;
    }
}

impl Rule for Argo {
    fn poll(&mut self, rollout: &mut Rollout<'_>) -> Next {
        let minute = rollout.minute;
        if minute > STEPS * STEP_EVERY {
            return Next::Continue;
        }
        if minute.is_multiple_of(MEASURED_EVERY) {
            self.measure(rollout.total());
        }
        if self.failed > FAILURE_LIMIT {
            return Next::Stop;
        }
        if minute.is_multiple_of(STEP_EVERY) && minute < STEPS * STEP_EVERY {
            rollout.send(0, rollout.fleet.devices / STEPS);
        }
        Next::Continue
    }
}
