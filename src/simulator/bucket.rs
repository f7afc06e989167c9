//! A token bucket on the gateway's clock.

use jiff::Timestamp;

/// Lets `rate` calls a second through, and as many at once after a quiet second.
#[derive(Debug)]
pub struct Bucket {
    rate: f64,
    filled: f64,
    at: Option<Timestamp>,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), filled: f64::from(rate), at: None }
    }

    /// True when a call may pass at this time. A clock that was set back starts from there.
    pub fn take(&mut self, now: Timestamp) -> bool {
        let passed = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        self.at = Some(now);
        self.filled = (self.filled + passed * self.rate).min(self.rate);
        let passes = self.filled >= 1.0;
        if passes {
            self.filled -= 1.0;
        }
        passes
    }

    /// Calls a second.
    #[must_use]
    pub const fn rate(&self) -> f64 {
        self.rate
    }
}
