//! Fleet time: wall time, made faster and stepped forward. Nothing here reads a clock.

use jiff::{SignedDuration, Timestamp};

/// The two times that a handler is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The gateway's clock: signatures, tokens and throttling.
    pub wall: Timestamp,
    /// The cloud's and the devices' clock: everything else.
    pub fleet: Timestamp,
}

/// Maps wall time to fleet time. Never decreases.
#[derive(Clone, Debug)]
pub struct FleetClock {
    wall: Timestamp,
    fleet: Timestamp,
    factor: u32,
}

impl FleetClock {
    /// Fleet time is `start` at wall time `wall` and runs `factor` times faster.
    #[must_use]
    pub const fn new(wall: Timestamp, start: Timestamp, factor: u32) -> Self {
        Self { wall, fleet: start, factor }
    }

    /// Fleet time at a wall time.
    #[must_use]
    pub fn fleet(&self, wall: Timestamp) -> Timestamp {
        let passed = wall.duration_since(self.wall).max(SignedDuration::ZERO);
        self.fleet.checked_add(passed.saturating_mul_factor(self.factor)).unwrap_or(Timestamp::MAX)
    }

    /// How many times faster than wall time.
    #[must_use]
    pub const fn factor(&self) -> u32 {
        self.factor
    }

    /// Lets fleet time jump forward; a negative step does nothing.
    pub fn step(&mut self, wall: Timestamp, by: SignedDuration) {
        let now = self.fleet(wall);
        self.fleet = now.checked_add(by.max(SignedDuration::ZERO)).unwrap_or(Timestamp::MAX);
        self.wall = wall;
    }

    /// From now on time runs this many times faster; 0 stops it (steps still move it).
    pub fn set_factor(&mut self, wall: Timestamp, factor: u32) {
        self.step(wall, SignedDuration::ZERO);
        self.factor = factor;
    }
}

trait Scale {
    fn saturating_mul_factor(self, factor: u32) -> SignedDuration;
}

impl Scale for SignedDuration {
    fn saturating_mul_factor(self, factor: u32) -> SignedDuration {
        i32::try_from(factor).ok().and_then(|factor| self.checked_mul(factor)).unwrap_or(Self::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn fleet_time_is_scaled_stepped_and_never_decreases() {
        let mut clock = FleetClock::new(at(100), at(5000), 60);
        assert_eq!(clock.fleet(at(110)), at(5600));
        clock.step(at(110), SignedDuration::from_secs(1000));
        assert_eq!(clock.fleet(at(110)), at(6600));
        clock.set_factor(at(120), 1);
        assert_eq!(clock.fleet(at(120)), at(7200));
        assert_eq!(clock.fleet(at(121)), at(7201));
        clock.step(at(121), SignedDuration::from_secs(-50));
        assert_eq!(clock.fleet(at(90)), at(7201), "a wall clock set back stops fleet time");
    }
}
