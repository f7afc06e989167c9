//! How many calls one cloud account may still cost: a token bucket that all objects of the account share.
//!
//! Integer arithmetic, exact to the nanosecond: the same calls at the same times give the same answers on any machine.
//!
//! **Invariant:** in any stretch of time `t`, at most `burst + rate × t` calls are let through, whoever asks.

use super::queue::Class;
use jiff::Timestamp;
use std::time::Duration;

/// The rate is never halved below this: 0.1 calls a second, in thousandths.
const FLOOR_RATE_MILLI: u64 = 100;
/// Pause after a throttling reply that names none.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause that is believed: a reply cannot stop an account for a day.
pub const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// So many successful calls bring the rate from nothing back to what is configured.
const STEPS_TO_FULL_RATE: u64 = 100;
/// One call, in units of thousandths of a call per second × nanoseconds, so that refilling needs no division.
const CALL: u128 = 1_000 * 1_000_000_000;

/// The calls that one account may cost.
///
/// Lower classes leave a reserve for higher ones: drift never uses the last half of the burst, verification the last
/// quarter, rollout steps the last eighth (rounded down, so with a burst of 1 everybody may use it). Where higher classes
/// use up the whole rate, [`super::queue::PATIENCE`] brings the lower ones through.
#[derive(Clone, Debug)]
pub struct Budget {
    configured_milli: u64,
    rate_milli: u64,
    burst: u32,
    /// In units of 1 / [`CALL`].
    level: u128,
    /// The level is that of this moment.
    at: Timestamp,
    blocked_until: Option<Timestamp>,
    calls: [u64; Class::ALL.len()],
    throttles: u64,
}

impl Budget {
    /// A full bucket. `per_second` and `burst` of 0 count as 1.
    #[must_use]
    pub fn new(per_second: u32, burst: u32, now: Timestamp) -> Self {
        let burst = burst.max(1);
        let configured_milli = u64::from(per_second.max(1)) * 1_000;
        Self {
            configured_milli,
            rate_milli: configured_milli,
            burst,
            level: calls(burst),
            at: now,
            blocked_until: None,
            calls: [0; Class::ALL.len()],
            throttles: 0,
        }
    }

    /// Takes one call out of the bucket.
    ///
    /// # Errors
    /// When to ask again, always later than `now`, if the call must wait.
    pub fn take(&mut self, class: Class, now: Timestamp) -> Result<(), Timestamp> {
        if let Some(until) = self.blocked_until.filter(|until| now < *until) {
            return Err(until);
        }
        self.blocked_until = None;
        self.refill(now);
        let needed = CALL + calls(self.reserve(class));
        if self.level < needed {
            return Err(self.when(needed));
        }
        self.level -= CALL;
        self.calls[class as usize] += 1;
        Ok(())
    }

    /// The cloud throttled a call: the rate is halved (not below 0.1 a second), saved-up calls are dropped down to one,
    /// and nothing leaves until `retry_after` has passed ([`DEFAULT_PAUSE`] when none is named, [`LONGEST_PAUSE`] at
    /// most). Further throttling replies during that pause are the same event: they can only lengthen it.
    pub fn throttled(&mut self, now: Timestamp, retry_after: Option<Duration>) {
        self.throttles += 1;
        let pause = retry_after.unwrap_or(DEFAULT_PAUSE).min(LONGEST_PAUSE);
        let until = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        if !self.is_blocked(now) {
            self.refill(now);
            self.rate_milli = (self.rate_milli / 2).max(FLOOR_RATE_MILLI);
            self.level = self.level.min(CALL);
        }
        let until = self.blocked_until.map_or(until, |before| before.max(until));
        self.blocked_until = Some(until);
        // Nothing is saved up during the pause.
        self.at = self.at.max(until);
    }

    /// The cloud took a call: a reduced rate grows by a hundredth of the configured one. Replies to calls that left
    /// before a pause do not count during it.
    pub fn succeeded(&mut self, now: Timestamp) {
        if self.rate_milli < self.configured_milli && !self.is_blocked(now) {
            self.refill(now);
            let step = (self.configured_milli / STEPS_TO_FULL_RATE).max(1);
            self.rate_milli = (self.rate_milli + step).min(self.configured_milli);
        }
    }

    /// Calls a second at present, in thousandths.
    #[must_use]
    pub const fn rate_milli(&self) -> u64 {
        self.rate_milli
    }

    /// Calls that could leave at once, as of the last question.
    #[must_use]
    pub fn tokens(&self) -> u32 {
        u32::try_from(self.level / CALL).unwrap_or(u32::MAX)
    }

    /// Calls of this class that were let through.
    #[must_use]
    pub const fn calls(&self, class: Class) -> u64 {
        self.calls[class as usize]
    }

    /// Throttling replies so far.
    #[must_use]
    pub const fn throttles(&self) -> u64 {
        self.throttles
    }

    /// The end of the pause that a throttling reply asked for, while it lasts.
    #[must_use]
    pub fn blocked_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.blocked_until.filter(|until| now < *until)
    }

    fn is_blocked(&self, now: Timestamp) -> bool {
        self.blocked_until(now).is_some()
    }

    const fn reserve(&self, class: Class) -> u32 {
        match class {
            Class::UserChange => 0,
            Class::RolloutStep => self.burst / 8,
            Class::Verify => self.burst / 4,
            Class::Drift => self.burst / 2,
        }
    }

    fn refill(&mut self, now: Timestamp) {
        // A clock that is set back adds nothing, and takes nothing away.
        let elapsed = u128::try_from(now.duration_since(self.at).as_nanos()).unwrap_or(0);
        self.level = (self.level + elapsed * u128::from(self.rate_milli)).min(calls(self.burst));
        self.at = self.at.max(now);
    }

    /// When the bucket will hold `needed`, rounded up to the next nanosecond.
    fn when(&self, needed: u128) -> Timestamp {
        let missing = needed.saturating_sub(self.level);
        let nanos = missing.div_ceil(u128::from(self.rate_milli));
        let wait = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.at.checked_add(wait).unwrap_or(Timestamp::MAX)
    }
}

fn calls(count: u32) -> u128 {
    u128::from(count) * CALL
}
