//! Sums of the binomial distribution: how often a share of failures gives at most so many of them.

use super::count;

/// Halvings of the interval in which the upper bound lies: more than an f64 has digits.
const HALVINGS: u32 = 60;

/// The chance of at most `failures` among `sample` devices that each fail with chance `rate`.
#[must_use]
pub fn at_most(failures: u32, sample: u32, rate: f64) -> f64 {
    if failures >= sample || rate <= 0.0 {
        return 1.0;
    }
    if rate >= 1.0 {
        return 0.0;
    }
    let n = f64::from(sample);
    let none = n * (-rate).ln_1p();
    // Below this the chance of no failure at all is no f64 any more.
    if none < -700.0 {
        by_logarithms(failures, sample, rate)
    } else {
        by_products(failures, n, rate, none.exp())
    }
}

/// The chance of just so many failures.
#[must_use]
pub fn exactly(failures: u32, sample: u32, rate: f64) -> f64 {
    let (n, k) = (f64::from(sample), f64::from(failures));
    if rate <= 0.0 || rate >= 1.0 {
        let certain = if rate <= 0.0 { 0 } else { sample };
        return if failures == certain { 1.0 } else { 0.0 };
    }
    (ln_ways(n, k) + k * rate.ln() + (n - k) * (-rate).ln_1p()).exp()
}

fn by_products(failures: u32, n: f64, rate: f64, none: f64) -> f64 {
    let odds = rate / (1.0 - rate);
    let (mut term, mut sum) = (none, none);
    for i in (0..failures).map(f64::from) {
        term *= (n - i) / (i + 1.0) * odds;
        sum += term;
    }
    sum.min(1.0)
}

fn by_logarithms(failures: u32, sample: u32, rate: f64) -> f64 {
    let n = f64::from(sample);
    let (success, failure) = ((-rate).ln_1p(), rate.ln());
    let (mut ways, mut sum) = (0.0, 0.0);
    for i in (0..=failures).map(f64::from) {
        if i > 0.0 {
            ways += ((n - i + 1.0) / i).ln();
        }
        sum += (ways + i * failure + (n - i) * success).exp();
    }
    sum.min(1.0)
}

/// Most failures with which `sample` devices prove a failure rate of at most `rate` exactly (Clopper and Pearson 1934): the
/// chance of as few under a higher rate is at most `1 - confidence`. None when even a clean sample is too small.
#[must_use]
pub fn allowed(sample: u32, rate: f64, confidence: f64) -> Option<u32> {
    let is_proof = |failures: u32| at_most(failures, sample, rate) <= 1.0 - confidence;
    if sample == 0 || !is_proof(0) {
        return None;
    }
    // The sum rises with the failures, and at the expected number it is about a half.
    let (mut proves, mut fails) = (0, sample);
    while fails - proves > 1 {
        let middle = proves + (fails - proves) / 2;
        if is_proof(middle) { proves = middle } else { fails = middle }
    }
    Some(proves)
}

/// Smallest number of devices that proves this success rate when all of them succeed. None when no number can (1), or none
/// below a million.
#[must_use]
pub fn smallest_provable(min_success: f64, confidence: f64) -> Option<u32> {
    (1..=1_000_000).find(|sample| min_success.powi(*sample) <= 1.0 - confidence).map(i32::unsigned_abs)
}

/// Upper bound of the failure rate that `failures` of `sample` leave open at this confidence, for display.
#[must_use]
pub fn upper_bound(failures: u32, sample: u32, confidence: f64) -> f64 {
    if failures >= sample {
        return 1.0;
    }
    let (mut low, mut high) = (f64::from(failures) / f64::from(sample), 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if at_most(failures, sample, middle) > 1.0 - confidence { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Most failures of a plain rate: `⌊rate · sample⌋`, where the rate is in parts per million.
#[must_use]
pub fn share(sample: u32, parts_per_million: u32) -> u32 {
    count(u64::from(sample) * u64::from(parts_per_million) / 1_000_000)
}

/// The logarithm of the number of ways to choose `k` of `n`.
fn ln_ways(n: f64, k: f64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// `ln n!`, by Stirling's series from 16 on: its error is below 1e-12 there.
fn ln_factorial(n: f64) -> f64 {
    if n < 16.0 {
        return (2..=15).map(f64::from).take_while(|factor| *factor <= n).map(f64::ln).sum();
    }
    let (x, inverse) = (n + 1.0, 1.0 / ((n + 1.0) * (n + 1.0)));
    let series = (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}
