//! Flight Control: batches of 1 %, 10 % and the rest (its manual's example), each judged once all of it has an outcome. A
//! batch of which less than 90 % succeeded ends the rollout. Explicit batches take devices that are online.

use super::super::rollout::{Next, Rollout, Rule};

/// In percent of the fleet; a batch adds what is missing.
const BATCHES: [u32; 2] = [1, 10];
const SUCCESS_PERCENT: u32 = 90;

/// The batches of the manual's example.
pub struct FlightCtl;

impl Rule for FlightCtl {
    fn poll(&mut self, rollout: &mut Rollout<'_>) -> Next {
        let sent = rollout.groups();
        if sent > BATCHES.len() {
            return Next::Continue;
        }
        if let Some(last) = sent.checked_sub(1) {
            let batch = rollout.group(last);
            if batch.finished() < batch.sent {
                return Next::Continue;
            }
            if batch.succeeded * 100 < batch.sent * SUCCESS_PERCENT {
                return Next::Stop;
            }
        }
        match BATCHES.get(sent) {
            Some(percent) => {
                let goal = rollout.fleet.percent(*percent);
                rollout.send_to_awake(sent, goal - rollout.total().sent);
            }
            None => rollout.send(sent, rollout.fleet.devices),
        }
        Next::Continue
    }
}
