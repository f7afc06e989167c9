//! Eclipse hawkBit: groups in a cascade. A group begins when enough of the one before has finished; more errors than the
//! threshold of a group pause the rollout. Errors are compared with the whole group.

use super::super::rollout::{Next, Rollout, Rule};

const GROUPS: u32 = 5;

/// A rollout of five equal groups; thresholds in percent.
pub struct HawkBit {
    trigger: u32,
    error: u32,
}

impl HawkBit {
    /// `RolloutGroupConditionBuilder.withDefaults`, with the five groups of the API's example.
    pub const fn of_the_api() -> Self {
        Self { trigger: 50, error: 50 }
    }

    /// What the form of the user interface contains (`RolloutView`), with five groups.
    pub const fn of_the_interface() -> Self {
        Self { trigger: 100, error: 10 }
    }
}

impl Rule for HawkBit {
    fn poll(&mut self, rollout: &mut Rollout<'_>) -> Next {
        let (begun, size) = (rollout.groups(), rollout.fleet.devices / GROUPS);
        let failing = |group: usize| rollout.group(group).failures() * 100 > size * self.error;
        if (0..begun).any(failing) {
            return Next::Stop;
        }
        let is_triggered = |group: usize| rollout.group(group).finished() * 100 >= size * self.trigger;
        if begun < GROUPS as usize && begun.checked_sub(1).is_none_or(is_triggered) {
            rollout.send(begun, size);
        }
        Next::Continue
    }
}
