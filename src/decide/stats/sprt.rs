//! Wald's sequential probability ratio test (Wald 1945): is the failure rate rather `p1` than `p0`?

/// What is compared, and the chances of error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sprt {
    /// A failure rate that is good.
    pub p0: f64,
    /// A failure rate that is bad; above `p0`.
    pub p1: f64,
    /// Chance that a good build is stopped.
    pub alpha: f64,
    /// Chance that a bad build is accepted.
    pub beta: f64,
}

impl Sprt {
    /// The logarithm of how much likelier `p1` has made `failures` of `devices`.
    #[must_use]
    pub fn ln_ratio(&self, devices: u32, failures: u32) -> f64 {
        let (failed, fine) = (f64::from(failures), f64::from(devices - failures.min(devices)));
        failed * (self.p1 / self.p0).ln() + fine * ((1.0 - self.p1) / (1.0 - self.p0)).ln()
    }

    /// At or above this, `p1` is proven.
    #[must_use]
    pub fn bad_at(&self) -> f64 {
        ((1.0 - self.beta) / self.alpha).ln()
    }
}
