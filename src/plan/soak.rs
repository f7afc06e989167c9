//! When a soak is over. It may outlast the process that saw it begin, and the machine's clock may be set before the next one
//! starts: what our clock says about the time between two processes proves nothing. So a soak is over when
//!
//! - one process has counted all of it, by its own clock, which goes on steadily; or
//! - our clock and the cloud's both say so, the cloud's by [`GATEWAYS_WRONG`] more.
//!
//! Neither lets a stage go too early unless our clock and the cloud's are both wrong in the same direction, and the cloud's by
//! more than two hours. Neither waits for ever: the first ends in any process that lives as long as the soak, the second however
//! short processes live, where a cloud says what time it is.

use jiff::{SignedDuration, Timestamp};

/// What the time between two of a cloud's `Date`s may be wrong by: one gateway an hour behind, another one an hour ahead.
pub const GATEWAYS_WRONG: SignedDuration = SignedDuration::from_hours(2);

/// What time it is, and what that stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Our clock goes on steadily since then. What was written down before may have been by another one.
    pub steady_since: Timestamp,
    /// The cloud's clock now; none while it has not said what time it is.
    pub cloud: Option<CloudTime>,
}

impl Clocks {
    /// A clock that nobody has ever set, as in a rehearsal.
    pub const STEADY: Self = Self { steady_since: Timestamp::MIN, cloud: None };
}

/// What a cloud's clock says now, as far as its last answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudTime {
    /// At least this.
    pub earliest: Timestamp,
    /// At most this.
    pub latest: Timestamp,
}

/// What is known of a soak.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// When it began, by our clock.
    pub began: Timestamp,
    /// When it had begun at the latest, by the cloud's clock.
    pub cloud_began: Option<Timestamp>,
    /// How long it is.
    pub length: SignedDuration,
}

impl Soak {
    /// When it is over, by our clock.
    #[must_use]
    pub fn ends(&self, clocks: &Clocks, now: Timestamp) -> Timestamp {
        let by_clouds = self.cloud_ends().zip(clocks.cloud).map(|(ends, cloud)| {
            let left = ends.duration_since(cloud.earliest);
            later(self.began, self.length).max(later(now, left))
        });
        self.counted(clocks).min(by_clouds.unwrap_or(Timestamp::MAX))
    }

    /// The same for people, in whole seconds: the same at every look, as long as a process lives.
    #[must_use]
    pub fn ends_as_told(&self, clocks: &Clocks, now: Timestamp) -> Timestamp {
        let by_clouds = self.cloud_ends().map(|ends| ends.max(later(self.began, self.length)));
        // The cloud's time is told as if it were ours, as long as that makes sense.
        let by_clouds = by_clouds.filter(|ends| *ends > now);
        let end = self.counted(clocks).min(by_clouds.unwrap_or(Timestamp::MAX));
        let rest =
            SignedDuration::from_nanos(i64::from((1_000_000_000 - end.subsec_nanosecond()) % 1_000_000_000));
        later(end, rest)
    }

    /// When this process will have counted all of it.
    fn counted(&self, clocks: &Clocks) -> Timestamp {
        later(self.began.max(clocks.steady_since), self.length)
    }

    fn cloud_ends(&self) -> Option<Timestamp> {
        Some(later(later(self.cloud_began?, self.length), GATEWAYS_WRONG))
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;
    const HOUR: i64 = 3_600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A soak of 15 minutes that began at 10:00 by both clocks, and a process that started at 10:05.
    #[test]
    fn a_soak_is_over_when_one_process_has_counted_it_or_when_both_clocks_say_so() {
        let ten = 10 * HOUR;
        let cases = [
            ("nobody died", 0, Some(0), 15 * MINUTE),
            ("nobody knows the cloud's time", 5 * MINUTE, None, 20 * MINUTE),
            ("our clock was set 3 hours forward", 3 * HOUR, Some(5 * MINUTE), 3 * HOUR + 15 * MINUTE),
            ("a gateway is an hour ahead, too", 3 * HOUR, Some(HOUR), 3 * HOUR + 15 * MINUTE),
            ("our clock was set back", -HOUR, Some(5 * MINUTE), 15 * MINUTE),
            ("nobody worked for 3 hours", 3 * HOUR, Some(3 * HOUR), 3 * HOUR),
            ("nobody worked for 2 hours, 10 minutes", 130 * MINUTE, Some(130 * MINUTE), 135 * MINUTE),
        ];
        for (name, started, cloud, ends) in cases {
            let soak = Soak {
                began: at(ten),
                cloud_began: cloud.map(|_| at(ten)),
                length: SignedDuration::from_secs(15 * MINUTE),
            };
            let cloud = cloud.map(|since| CloudTime { earliest: at(ten + since), latest: at(ten + since) });
            let clocks = Clocks { steady_since: at(ten + started), cloud };
            let now = at(ten + started);
            assert_eq!(soak.ends(&clocks, now).max(now), at(ten + ends), "{name}");
        }
    }

    #[test]
    fn processes_that_live_shortly_come_to_the_end_of_a_soak_where_the_cloud_says_what_time_it_is() {
        let day = SignedDuration::from_hours(24);
        let soak = Soak { began: at(0), cloud_began: Some(at(90)), length: day };
        let hour = |n: i64| {
            let cloud = CloudTime { earliest: at(n * HOUR), latest: at(n * HOUR + 90) };
            (Clocks { steady_since: at(n * HOUR), cloud: Some(cloud) }, at(n * HOUR))
        };
        let over = (0..100).map(hour).position(|(clocks, now)| soak.ends(&clocks, now) <= now);
        assert_eq!(over, Some(27), "its length, what gateways may be wrong, and the next of the hours");
        let told: Vec<Timestamp> = (0..3).map(|n| soak.ends_as_told(&hour(n).0, hour(n).1)).collect();
        assert_eq!(told, [at(24 * HOUR), at(25 * HOUR), at(26 * HOUR)], "later with each process");
        assert_eq!(soak.ends_as_told(&hour(9).0, hour(9).1), at(26 * HOUR + 90), "and not later than that");
    }
}
