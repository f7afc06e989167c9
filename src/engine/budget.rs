//! The calls that one cloud account may make: a token bucket shared by all objects of the account.
//!
//! Integer arithmetic, exact to the nanosecond: the same calls at the same times give the same results on any machine.
//!
//! **Invariant:** within any period `t`, at most `burst + rate × t` calls are allowed.

use super::priority::Priority;
use jiff::Timestamp;
use std::time::Duration;

/// The rate is never halved below this: 0.1 calls a second, in thousandths.
const FLOOR_RATE_MILLI: u64 = 100;
/// Pause after a throttling reply without a retry time.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause that is respected: a reply cannot stop an account for a day.
pub const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// Successful calls that raise the rate from zero to the configured one.
const STEPS_TO_FULL_RATE: u64 = 100;
/// One call, in units of thousandths of a call per second × nanoseconds, so that refilling needs no division.
const CALL: u128 = 1_000 * 1_000_000_000;

/// The calls that one account may make.
///
/// Lower classes leave a reserve for higher ones: drift never uses the last half of the burst, verification the last
/// quarter, rollout steps the last eighth (rounded down, so with a burst of 1 all may use it). Where higher classes use
/// the whole rate, [`super::queue::PATIENCE`] lets lower ones through.
#[derive(Clone, Debug)]
pub struct Budget {
    configured_milli: u64,
    rate_milli: u64,
    burst: u32,
    /// In units of 1 / [`CALL`].
    level: u128,
    /// The time that the level refers to; during a pause, its end.
    at: Timestamp,
    blocked_until: Option<Timestamp>,
    calls: [u64; Priority::ALL.len()],
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
            calls: [0; Priority::ALL.len()],
            throttles: 0,
        }
    }

    /// The same account under another limit: spent calls stay spent, and a pause continues.
    #[must_use]
    pub fn under(mut self, per_second: u32, burst: u32, now: Timestamp) -> Self {
        self.refill(now);
        let fresh = Self::new(per_second, burst, now);
        let was_throttled = self.rate_milli < self.configured_milli;
        let rate = if was_throttled { self.rate_milli.min(fresh.rate_milli) } else { fresh.rate_milli };
        Self {
            configured_milli: fresh.configured_milli,
            rate_milli: rate,
            burst: fresh.burst,
            level: self.level.min(fresh.level),
            ..self
        }
    }

    /// Takes one call out of the bucket.
    ///
    /// # Errors
    /// The time at which to try again, always later than `now`.
    pub fn take(&mut self, priority: Priority, now: Timestamp) -> Result<(), Timestamp> {
        self.allows(priority, now)?;
        self.level -= CALL;
        self.calls[priority as usize] += 1;
        Ok(())
    }

    /// Whether a call is allowed now.
    ///
    /// # Errors
    /// The time at which to try again, always later than `now`.
    pub fn allows(&mut self, priority: Priority, now: Timestamp) -> Result<(), Timestamp> {
        self.refill(now);
        let needed = CALL + calls(self.reserve(priority));
        if self.is_blocked(now) || self.level < needed {
            return Err(self.when(needed));
        }
        Ok(())
    }

    /// The cloud throttled a call: the rate is halved (not below 0.1 a second), saved-up calls are reduced to one, and
    /// nothing is sent until `retry_after` has passed ([`DEFAULT_PAUSE`] when none is given, [`LONGEST_PAUSE`] at
    /// most). Further throttling replies during that pause count as the same event: they can only lengthen it.
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
        self.at = self.at.max(until);
    }

    /// The cloud accepted a call: a reduced rate grows by a hundredth of the configured one. Replies to calls that were
    /// sent before a pause do not count during it.
    pub fn succeeded(&mut self, now: Timestamp) {
        if self.rate_milli < self.configured_milli && !self.is_blocked(now) {
            self.refill(now);
            let step = (self.configured_milli / STEPS_TO_FULL_RATE).max(1);
            self.rate_milli = (self.rate_milli + step).min(self.configured_milli);
        }
    }

    /// Calls per second at present, in thousandths.
    #[must_use]
    pub const fn rate_milli(&self) -> u64 {
        self.rate_milli
    }

    /// Calls that could be sent at once, as of the last check.
    #[must_use]
    pub fn tokens(&self) -> u32 {
        u32::try_from(self.level / CALL).unwrap_or(u32::MAX)
    }

    /// Calls of this priority that were allowed.
    #[must_use]
    pub const fn calls(&self, priority: Priority) -> u64 {
        self.calls[priority as usize]
    }

    /// Throttling replies so far.
    #[must_use]
    pub const fn throttles(&self) -> u64 {
        self.throttles
    }

    /// The end of the current throttling pause.
    #[must_use]
    pub fn blocked_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.blocked_until.filter(|until| now < *until)
    }

    fn is_blocked(&self, now: Timestamp) -> bool {
        self.blocked_until(now).is_some()
    }

    const fn reserve(&self, priority: Priority) -> u32 {
        match priority {
            Priority::UserChange => 0,
            Priority::RolloutStep => self.burst / 8,
            Priority::Verify => self.burst / 4,
            Priority::Drift => self.burst / 2,
        }
    }

    fn refill(&mut self, now: Timestamp) {
        // A clock that is set back adds nothing and removes nothing.
        let elapsed = u128::try_from(now.duration_since(self.at).as_nanos()).unwrap_or(0);
        self.level = (self.level + elapsed * u128::from(self.rate_milli)).min(calls(self.burst));
        self.at = self.at.max(now);
    }

    /// When the bucket will hold `needed`, after any pause; rounded up to the next nanosecond.
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

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    #[test]
    fn another_limit_gives_nothing_back_that_was_spent() {
        let start = Timestamp::UNIX_EPOCH;
        let mut budget = Budget::new(1, 4, start);
        while budget.take(Priority::UserChange, start).is_ok() {}
        let mut budget = budget.under(2, 8, start);
        assert_eq!(budget.tokens(), 0);
        assert!(budget.take(Priority::UserChange, start).is_err());
        let later = start + SignedDuration::from_secs(60);
        assert!((0..8).all(|_| budget.take(Priority::UserChange, later).is_ok()), "the new burst, in time");
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Calls of this priority that are allowed at once.
    fn at_once(budget: &Budget, priority: Priority, now: Timestamp) -> usize {
        let mut budget = budget.clone();
        (0..10_000).take_while(|_| budget.take(priority, now).is_ok()).count()
    }

    #[test]
    fn lower_classes_leave_a_reserve_and_with_a_burst_of_one_nobody_starves() {
        let at_once_of =
            |burst| Priority::ALL.map(|priority| at_once(&Budget::new(10, burst, at(0)), priority, at(0)));
        assert_eq!(at_once_of(16), [16, 14, 12, 8]);
        assert_eq!(at_once_of(2), [2, 2, 2, 1]);
        assert_eq!(at_once_of(1), [1, 1, 1, 1]);
        assert_eq!(at_once_of(0), [1, 1, 1, 1]);
    }

    #[test]
    fn a_throttling_reply_halves_the_rate_and_pauses() {
        let mut budget = Budget::new(8, 8, at(0));
        budget.throttled(at(0), None);
        assert_eq!((budget.rate_milli(), budget.take(Priority::UserChange, at(1))), (4_000, Err(at(2))));
        budget.throttled(at(1), Some(Duration::from_secs(30)));
        assert_eq!((budget.rate_milli(), budget.throttles()), (4_000, 2), "one event, one halving");
        assert_eq!(budget.take(Priority::UserChange, at(2)), Err(at(31)));
        assert_eq!(at_once(&budget, Priority::UserChange, at(31)), 1, "nothing was saved up");
        assert_eq!(budget.blocked_until(at(30)), Some(at(31)));
        assert_eq!(budget.blocked_until(at(31)), None);
    }

    #[test]
    fn no_reply_stops_an_account_for_longer_than_an_hour_or_below_the_floor() {
        let mut budget = Budget::new(1, 1, at(0));
        budget.throttled(at(0), Some(Duration::MAX));
        assert_eq!(budget.take(Priority::Drift, at(0)), Err(at(3_600)));
        for hour in 1..20 {
            budget.throttled(at(hour * 3_600), None);
        }
        assert_eq!(budget.rate_milli(), FLOOR_RATE_MILLI);
    }

    #[test]
    fn it_recovers_from_the_floor_within_minutes() {
        let mut budget = Budget::new(10, 10, at(0));
        for again in 0..20 {
            budget.throttled(at(again * 10), None);
        }
        assert_eq!(budget.rate_milli(), FLOOR_RATE_MILLI);
        let (begin, mut now) = (at(200), at(200));
        while budget.rate_milli() < 10_000 {
            match budget.take(Priority::RolloutStep, now) {
                Ok(()) => budget.succeeded(now),
                Err(later) => now = later,
            }
        }
        assert!(now.duration_since(begin) < SignedDuration::from_mins(2), "took until {now}");
    }

    #[test]
    fn replies_to_calls_from_before_a_pause_do_not_raise_the_rate() {
        let mut budget = Budget::new(10, 10, at(0));
        budget.throttled(at(0), None);
        budget.succeeded(at(1));
        assert_eq!(budget.rate_milli(), 5_000);
        budget.succeeded(at(2));
        assert_eq!(budget.rate_milli(), 5_100);
    }

    #[test]
    fn a_clock_that_is_set_back_adds_nothing() {
        let mut budget = Budget::new(1, 1, at(100));
        assert_eq!(budget.take(Priority::Drift, at(100)), Ok(()));
        assert_eq!(budget.take(Priority::Drift, at(50)), Err(at(101)));
        assert_eq!(budget.take(Priority::Drift, at(101)), Ok(()));
        assert_eq!(budget.calls(Priority::Drift), 2);
    }

    #[test]
    fn a_hundred_objects_that_share_one_budget_never_exceed_it_and_all_come_through() {
        let mut budget = Budget::new(10, 20, at(0));
        let mut wanting: Vec<(Timestamp, usize, u32)> = (0..100).map(|object| (at(0), object, 5)).collect();
        let mut granted = Vec::new();
        while let Some(next) = wanting.iter_mut().filter(|(.., calls)| *calls > 0).min() {
            let priority = Priority::ALL[next.1 % Priority::ALL.len()];
            match budget.take(priority, next.0) {
                Ok(()) => {
                    granted.push(next.0);
                    next.2 -= 1;
                }
                Err(later) => next.0 = later,
            }
        }
        assert_eq!(granted.len(), 500);
        granted.sort();
        assert_within_budget(&granted, 10_000, 20);
        assert!(granted[499] >= at(48), "480 calls beyond the burst of 20, at 10 a second");
        assert_eq!(Priority::ALL.map(|priority| budget.calls(priority)), [125; 4]);
    }

    #[test]
    fn it_settles_near_what_the_cloud_really_takes() {
        let (mut budget, mut cloud) = (Budget::new(50, 10, at(0)), Budget::new(5, 5, at(0)));
        let (mut now, mut taken, mut refused) = (at(0), 0, 0);
        while now < at(1_800) {
            match budget.take(Priority::RolloutStep, now) {
                Err(later) => now = later,
                Ok(()) if cloud.take(Priority::UserChange, now).is_ok() => {
                    taken += 1;
                    budget.succeeded(now);
                }
                Ok(()) => {
                    refused += 1;
                    budget.throttled(now, None);
                }
            }
        }
        assert!(taken > 1_800 * 5 / 2, "only {taken} of 9,000 possible calls");
        assert!(refused * 10 < taken, "{refused} refused, {taken} taken");
    }

    fn assert_within_budget(granted: &[Timestamp], rate_milli: u64, burst: u32) {
        for (first, from) in granted.iter().enumerate() {
            for (last, to) in granted.iter().enumerate().skip(first) {
                let elapsed = u128::try_from(to.duration_since(*from).as_nanos()).unwrap();
                let count = u32::try_from(last - first + 1).unwrap();
                let allowed = calls(burst) + elapsed * u128::from(rate_milli);
                assert!(calls(count) <= allowed, "{count} calls from {from} to {to}");
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take(Priority),
        Wait(i64),
        Throttled(Option<u64>),
        Succeeded,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let priority = proptest::sample::select(Priority::ALL.to_vec());
        let step = prop_oneof![
            8 => priority.prop_map(Step::Take),
            4 => (0..5_000_000_000_i64).prop_map(Step::Wait),
            1 => proptest::option::of(0..10_000_u64).prop_map(Step::Throttled),
            2 => Just(Step::Succeeded),
        ];
        proptest::collection::vec(step, 0..150)
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_sees_more_than_burst_and_rate(
            per_second in 0..40_u32,
            burst in 0..20_u32,
            steps in steps(),
        ) {
            let mut budget = Budget::new(per_second, burst, at(0));
            let (mut now, mut granted) = (at(0), Vec::new());
            for step in steps {
                match step {
                    Step::Wait(nanos) => now += SignedDuration::from_nanos(nanos),
                    Step::Succeeded => budget.succeeded(now),
                    Step::Throttled(millis) => budget.throttled(now, millis.map(Duration::from_millis)),
                    Step::Take(priority) => match budget.take(priority, now) {
                        Ok(()) => granted.push(now),
                        Err(later) => {
                            prop_assert!(later > now);
                            prop_assert_eq!(budget.clone().take(priority, later), Ok(()), "it keeps its word");
                        }
                    },
                }
            }
            assert_within_budget(&granted, u64::from(per_second.max(1)) * 1_000, burst.max(1));
        }
    }
}
