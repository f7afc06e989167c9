//! When a wait is over. It may outlast the process that saw it begin, and the machine's clock may be set before the next one
//! starts: what our clock says about the time between two processes proves nothing. So a wait is over when
//!
//! - all of it was counted by the time since the machine was booted, which goes on steadily from process to process and through
//!   sleep; or
//! - one process has counted all of it, by its own clock, which goes on steadily; or
//! - our clock and the cloud's both say so, the cloud's by [`GATEWAYS_WRONG`] more.
//!
//! None lets a stage go too early unless our clock and the cloud's are both wrong in the same direction, and the cloud's by
//! more than two hours. On one machine processes that live shortly get as far as a long one. Where every process has a machine
//! of its own, as in some CI, they come to the end two hours later, where the cloud says what time it is.

use crate::api::Uptime;
use jiff::{SignedDuration, Timestamp};

/// What the time between two of a cloud's `Date`s may be wrong by: one gateway an hour behind, another one an hour ahead.
pub const GATEWAYS_WRONG: SignedDuration = SignedDuration::from_hours(2);

/// Two readings of a clock that nobody has set differ by less, rounding included.
const ROUNDING: SignedDuration = SignedDuration::from_secs(1);

/// What time it is, and what that stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Our clock goes on steadily since then. What was written down before may have been by another one.
    pub steady_since: Timestamp,
    /// When our machine was booted; none where that cannot be told.
    pub boot: Option<Boot>,
    /// The cloud's clock now; none while it has not said what time it is.
    pub cloud: Option<CloudTime>,
}

impl Clocks {
    /// A clock that nobody has ever set, as in a rehearsal.
    pub const STEADY: Self = Self { steady_since: Timestamp::MIN, boot: None, cloud: None };

    /// A moment of our clock as the time since the machine was booted.
    #[must_use]
    pub fn uptime(&self, at: Timestamp) -> Option<Uptime> {
        self.boot.map(|boot| boot.uptime(at))
    }

    /// When a moment of this boot was, by our clock as it is set now; none when it was of another boot.
    #[must_use]
    pub fn time_of(&self, uptime: Option<&Uptime>) -> Option<Timestamp> {
        self.boot?.time_of(uptime?)
    }
}

/// The boot of a machine: nobody sets the time since then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Which boot of which machine.
    pub id: u64,
    /// When it was, counted back by our clock; the same for as long as a process lives.
    pub at: Timestamp,
}

impl Boot {
    fn uptime(self, at: Timestamp) -> Uptime {
        let nanos = at.duration_since(self.at).as_nanos();
        // Rounded up: a wait must not seem to have begun earlier than it did.
        let millis = nanos.div_euclid(1_000_000) + i128::from(nanos.rem_euclid(1_000_000) > 0);
        Uptime { boot: self.name(), millis: i64::try_from(millis).unwrap_or(i64::MAX) }
    }

    fn time_of(self, uptime: &Uptime) -> Option<Timestamp> {
        let is_same = uptime.boot == self.name();
        is_same.then(|| later(self.at, SignedDuration::from_millis(uptime.millis)))
    }

    fn name(self) -> String {
        format!("{:016x}", self.id)
    }
}

/// What a cloud's clock says now, as far as its last answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudTime {
    /// At least this.
    pub earliest: Timestamp,
    /// At most this.
    pub latest: Timestamp,
}

/// What is known of a wait.
#[derive(Clone, Copy, Debug)]
pub struct Wait<'a> {
    /// When it began, by our clock.
    pub began: Timestamp,
    /// When it had begun at the latest, by the time since the machine was booted.
    pub uptime: Option<&'a Uptime>,
    /// When it had begun at the latest, by the cloud's clock.
    pub cloud_began: Option<Timestamp>,
    /// How long it is.
    pub length: SignedDuration,
}

impl Wait<'_> {
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
        let planned = later(self.began, self.length);
        let end = if end.duration_since(planned).abs() < ROUNDING { planned } else { end };
        let rest =
            SignedDuration::from_nanos(i64::from((1_000_000_000 - end.subsec_nanosecond()) % 1_000_000_000));
        later(end, rest)
    }

    /// When processes of this boot, or else this process, will have counted all of it.
    fn counted(&self, clocks: &Clocks) -> Timestamp {
        let began = clocks.time_of(self.uptime).unwrap_or_else(|| self.began.max(clocks.steady_since));
        later(began, self.length)
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
            let soak = Wait {
                began: at(ten),
                uptime: None,
                cloud_began: cloud.map(|_| at(ten)),
                length: SignedDuration::from_secs(15 * MINUTE),
            };
            let cloud = cloud.map(|since| CloudTime { earliest: at(ten + since), latest: at(ten + since) });
            let clocks = Clocks { steady_since: at(ten + started), boot: None, cloud };
            let now = at(ten + started);
            assert_eq!(soak.ends(&clocks, now).max(now), at(ten + ends), "{name}");
        }
    }

    #[test]
    fn processes_on_other_machines_come_to_the_end_of_a_soak_where_the_cloud_says_what_time_it_is() {
        let day = SignedDuration::from_hours(24);
        let soak = Wait { began: at(0), uptime: None, cloud_began: Some(at(90)), length: day };
        let hour = |n: i64| {
            let cloud = CloudTime { earliest: at(n * HOUR), latest: at(n * HOUR + 90) };
            (Clocks { steady_since: at(n * HOUR), boot: None, cloud: Some(cloud) }, at(n * HOUR))
        };
        let over = (0..100).map(hour).position(|(clocks, now)| soak.ends(&clocks, now) <= now);
        assert_eq!(over, Some(27), "its length, what gateways may be wrong, and the next of the hours");
        let told: Vec<Timestamp> = (0..3).map(|n| soak.ends_as_told(&hour(n).0, hour(n).1)).collect();
        assert_eq!(told, [at(24 * HOUR), at(25 * HOUR), at(26 * HOUR)], "later with each process");
        assert_eq!(soak.ends_as_told(&hour(9).0, hour(9).1), at(26 * HOUR + 90), "and not later than that");
    }

    /// A wait of an hour that began at 10:00, a minute after the machine was booted, and a process that starts 20 minutes later.
    #[test]
    fn processes_of_one_boot_count_a_wait_together_whatever_the_clock_is_set_to() {
        let (ten, began, later) = (10 * HOUR, MINUTE, 21 * MINUTE);
        let uptime = Boot { id: 1, at: at(ten - began) }.uptime(at(ten));
        // The process, by its own clock; how much of the wait is left then.
        let cases = [
            ("nobody set the clock", 1, ten + 20 * MINUTE, 40 * MINUTE),
            ("it was set forward by a day", 1, ten + 24 * HOUR, 40 * MINUTE),
            ("it was set back by a day", 1, ten - 24 * HOUR, 40 * MINUTE),
            ("another boot", 2, ten + 20 * MINUTE, 60 * MINUTE),
        ];
        for (name, id, now, left) in cases {
            let wait = Wait {
                began: at(ten),
                uptime: Some(&uptime),
                cloud_began: None,
                length: SignedDuration::from_hours(1),
            };
            let boot = Boot { id, at: at(now - later) };
            let clocks = Clocks { steady_since: at(now), boot: Some(boot), cloud: None };
            assert_eq!(wait.ends(&clocks, at(now)), at(now + left), "{name}");
            assert_eq!(wait.ends_as_told(&clocks, at(now)), at(now + left), "{name}");
        }
    }

    #[test]
    fn the_end_that_people_are_told_stays_the_same_although_clocks_are_read_one_after_the_other() {
        let millis = |n| Timestamp::from_millisecond(n).unwrap();
        let uptime = Boot { id: 1, at: millis(0) }.uptime(millis(5_000));
        let wait = Wait {
            began: millis(5_000),
            uptime: Some(&uptime),
            cloud_began: None,
            length: SignedDuration::from_mins(1),
        };
        for off in [-400, -1, 0, 1, 400] {
            let boot = Boot { id: 1, at: millis(off) };
            let clocks = Clocks { steady_since: millis(9_000), boot: Some(boot), cloud: None };
            assert_eq!(wait.ends_as_told(&clocks, millis(9_000)), millis(65_000), "{off} ms");
        }
    }
}
