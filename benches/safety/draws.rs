//! Random numbers that are the same for a seed on every machine and with every release of every dependency.

/// `SplitMix64` (Steele, Lea, Flood 2014).
#[derive(Clone, Copy)]
pub struct Draws(u64);

impl Draws {
    /// The numbers of one device of one seed: no other device and no rule changes them.
    pub fn of(seed: u64, device: u64) -> Self {
        let mut mixer = Self(seed);
        let start = mixer.next() ^ device.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(Self(start).next())
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0 and less than 1.
    pub fn uniform(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let bits = (self.next() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// Exponential, with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (-self.uniform()).ln_1p()
    }
}
