//! AWS IoT Jobs: a rate of devices a minute, and an abort at a share of failures.
//!
//! The rate without a configuration is 1,000 a minute. The manual's example ("Job rollout and abort configuration") begins
//! with 50 a minute, doubles after every 1,000 devices, and cancels at 20 % failures of at least 100 finished ones. That
//! the percentage is of finished executions is inferred.

use super::super::rollout::{Next, Rollout, Rule};

const MOST_A_MINUTE: u32 = 1_000;
const DOUBLED_EVERY: u32 = 1_000;

/// A job with a rate, and with or without an abort configuration.
pub struct Aws {
    base: u32,
    abort: Option<Abort>,
}

struct Abort {
    percent: u32,
    fewest: u32,
}

impl Aws {
    pub const fn without_abort_config() -> Self {
        Self { base: MOST_A_MINUTE, abort: None }
    }

    pub const fn of_the_manual() -> Self {
        Self { base: 50, abort: Some(Abort { percent: 20, fewest: 100 }) }
    }

    fn rate(&self, sent: u32) -> u32 {
        (self.base << (sent / DOUBLED_EVERY).min(5)).min(MOST_A_MINUTE)
    }
}

impl Rule for Aws {
    fn poll(&mut self, rollout: &mut Rollout<'_>) -> Next {
        let total = rollout.total();
        let is_too_bad = |abort: &Abort| {
            let finished = total.finished();
            finished >= abort.fewest && total.failures() * 100 >= finished * abort.percent
        };
        if self.abort.as_ref().is_some_and(is_too_bad) {
            return Next::Stop;
        }
        rollout.announce(rollout.fleet.devices);
        rollout.send(0, self.rate(total.sent));
        Next::Continue
    }
}
