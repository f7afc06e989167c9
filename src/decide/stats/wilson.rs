//! The Wilson lower bound: what a number of successes proves.
//!
//! One-sided bound of a binomial share (Wilson 1927). With `n` devices, success rate `p` and quantile `z`:
//! centre `c = (p + z²/2n) / (1 + z²/n)`, half width `h = z·√(p(1-p)/n + z²/4n²) / (1 + z²/n)`, bound `c - h`.
//! Without any failure that is `n / (n + z²)`, so that a clean sample proves the rate `T` from `z²·T/(1-T)` devices on.

/// Quantile of the standard normal distribution for a one-sided confidence: 0.95 is 1.6448536. None when no quantile
/// exists (1). Below a half it is 0: a bound above the observed rate proves nothing.
#[must_use]
pub fn quantile(confidence: f64) -> Option<f64> {
    if confidence >= 1.0 { None } else { Some(inverse_normal(confidence).max(0.0)) }
}

/// Most failures with which the lower bound of `sample` devices is still `1 - rate`, where `rate` is a share of failures. None
/// when even a clean sample is too small, or nothing can prove it (`rate` 0, or a confidence of 1).
///
/// `bound(n, k) >= 1 - f` is the same as `k <= n·f - z·√(n·f·(1-f))`; the right side is never nearer than 1e-6 to a whole
/// number, so that the last bits of a machine do not matter.
#[must_use]
pub fn allowed(sample: u32, rate: f64, confidence: f64) -> Option<u32> {
    let (n, z) = (f64::from(sample), quantile(confidence)?);
    let most = n * rate - z * (n * rate * (1.0 - rate)).sqrt();
    if sample == 0 || rate <= 0.0 || most <= -1e-12 {
        return None;
    }
    // Between 0 and `sample`.
    Some((most + 1e-12).floor() as u32)
}

/// Lower bound of the success rate that `successes` of `sample` prove. None for an empty sample.
#[must_use]
pub fn lower_bound(successes: u32, sample: u32, z: f64) -> Option<f64> {
    if sample == 0 || successes > sample || !z.is_finite() {
        return None;
    }
    let n = f64::from(sample);
    let rate = f64::from(successes) / n;
    let stretch = 1.0 + z * z / n;
    let centre = rate + z * z / (2.0 * n);
    let half = z * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt();
    Some(((centre - half) / stretch).clamp(0.0, 1.0))
}

/// Smallest number of devices that can prove this rate when all of them succeed: `⌈z²·T/(1-T)⌉`. None when no number can
/// (100 %).
#[must_use]
pub fn smallest_provable(min_success: f64, confidence: f64) -> Option<u32> {
    let needed = quantile(confidence)?.powi(2) * min_success / (1.0 - min_success);
    // `as` saturates and the range is checked: no number of devices is that large.
    (needed.is_finite() && needed < f64::from(u32::MAX)).then(|| (needed.ceil() as u32).max(1))
}

/// Wichura's algorithm AS 241 (PPND16, 1988): relative error about 1e-16. `p` must be above 0 and below 1; outside, NaN.
fn inverse_normal(p: f64) -> f64 {
    if !(p > 0.0 && p < 1.0) {
        return f64::NAN;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * ratio(r, &CENTRE);
    }
    let r = (-p.min(1.0 - p).ln()).sqrt();
    let tail = if r <= 5.0 { ratio(r - 1.6, &TAIL) } else { ratio(r - 5.0, &FAR_TAIL) };
    tail.copysign(q)
}

/// Two polynomials, lowest power first: numerator and denominator.
type Rational = [[f64; 8]; 2];

fn ratio(x: f64, [above, below]: &Rational) -> f64 {
    let polynomial = |coefficients: &[f64; 8]| coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c);
    polynomial(above) / polynomial(below)
}

#[allow(clippy::excessive_precision, reason = "the coefficients as they were published")]
#[rustfmt::skip]
const CENTRE: Rational = [
    [
        3.387_132_872_796_366_608_0, 133.141_667_891_784_377_45, 1_971.590_950_306_551_442_7, 13_731.693_765_509_461_125,
        45_921.953_931_549_871_457, 67_265.770_927_008_700_853, 33_430.575_583_588_128_105, 2_509.080_928_730_122_672_7,
    ],
    [
        1.0, 42.313_330_701_600_911_252, 687.187_007_492_057_908_30, 5_394.196_021_424_751_107_7,
        21_213.794_301_586_595_867, 39_307.895_800_092_710_610, 28_729.085_735_721_942_674, 5_226.495_278_852_854_561_0,
    ],
];

#[allow(clippy::excessive_precision, reason = "the coefficients as they were published")]
#[rustfmt::skip]
const TAIL: Rational = [
    [
        1.423_437_110_749_683_577_34, 4.630_337_846_156_545_295_90, 5.769_497_221_460_691_405_50, 3.647_848_324_763_204_605_04,
        1.270_458_252_452_368_382_58, 0.241_780_725_177_450_611_770, 0.022_723_844_989_269_184_583_3, 7.745_450_142_783_414_076_40e-4,
    ],
    [
        1.0, 2.053_191_626_637_758_821_87, 1.676_384_830_183_803_849_40, 0.689_767_334_985_100_004_550,
        0.148_103_976_427_480_074_590, 0.015_198_666_563_616_457_196_6, 5.475_938_084_995_344_946_00e-4, 1.050_750_071_644_416_843_24e-9,
    ],
];

#[allow(clippy::excessive_precision, reason = "the coefficients as they were published")]
#[rustfmt::skip]
const FAR_TAIL: Rational = [
    [
        6.657_904_643_501_103_777_20, 5.463_784_911_164_114_369_90, 1.784_826_539_917_291_335_80, 0.296_560_571_828_504_891_230,
        0.026_532_189_526_576_123_093_0, 0.001_242_660_947_388_078_438_60, 2.711_555_568_743_487_578_15e-5, 2.010_334_399_292_288_132_65e-7,
    ],
    [
        1.0, 0.599_832_206_555_887_937_690, 0.136_929_880_922_735_805_310, 0.014_875_361_290_850_614_852_5,
        7.868_691_311_456_132_591_00e-4, 1.846_318_317_510_054_681_80e-5, 1.421_511_758_316_445_888_70e-7, 2.044_263_103_389_939_785_64e-15,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(text: &str) -> f64 {
        text.parse::<crate::api::Percent>().unwrap().fraction()
    }

    #[test]
    fn quantiles_equal_the_reference_to_nine_digits() {
        // Reference values: Python 3 statistics.NormalDist().inv_cdf
        for (confidence, z) in [
            ("50%", 0.0),
            ("60%", 0.253_347_103_135_799_8),
            ("90%", 1.281_551_565_544_600_8),
            ("92.5%", 1.439_531_470_938_456),
            ("95%", 1.644_853_626_951_471_5),
            ("99%", 2.326_347_874_040_840_8),
            ("99.9%", 3.090_232_306_167_813),
            ("99.99%", 3.719_016_485_455_708_4),
            ("99.9999%", 4.753_424_308_817_089),
        ] {
            assert!((quantile(percent(confidence)).unwrap() - z).abs() < 1e-9, "{confidence}");
        }
        assert_eq!(quantile(percent("100%")), None);
        assert_eq!(quantile(percent("10%")), Some(0.0));
        // Past r = 5, which no percentage with four digits reaches. The reference value is Python's, as above.
        assert!((inverse_normal(1e-12) + 7.034_483_825_301_132).abs() < 1e-9);
        assert!(inverse_normal(0.0).is_nan());
    }

    #[test]
    fn bounds_equal_the_table() {
        let z = quantile(percent("95%")).unwrap();
        for (failures, sample, bound) in [
            (0, 5, 0.648_883),
            (0, 10, 0.787_058),
            (0, 20, 0.880_842),
            (0, 50, 0.948_667),
            (1, 50, 0.915_195),
            (0, 100, 0.973_657),
            (1, 100, 0.956_418),
            (5, 100, 0.900_839),
            (10, 200, 0.918_108),
            (15, 500, 0.954_703),
            (30, 1000, 0.959_780),
        ] {
            let lower = lower_bound(sample - failures, sample, z).unwrap();
            assert!((lower - bound).abs() < 5e-7, "{failures}/{sample}: {lower}");
            // The upper bound of the failure rate is the mirror image.
            assert!(lower < f64::from(sample - failures) / f64::from(sample));
        }
    }

    #[test]
    fn an_empty_or_impossible_sample_has_no_bound() {
        assert_eq!(lower_bound(0, 0, 1.6), None);
        assert_eq!(lower_bound(3, 2, 1.6), None);
        assert_eq!(lower_bound(1, 2, f64::NAN), None);
    }

    #[test]
    fn the_smallest_clean_canary_equals_the_table() {
        let cases =
            [("90%", 25, 49), ("95%", 52, 103), ("98%", 133, 266), ("99%", 268, 536), ("99.5%", 539, 1077)];
        for (rate, at_95, at_99) in cases.into_iter().chain([("99.9%", 2703, 5407)]) {
            assert_eq!(smallest_provable(percent(rate), percent("95%")), Some(at_95), "{rate}");
            assert_eq!(smallest_provable(percent(rate), percent("99%")), Some(at_99), "{rate}");
        }
        assert_eq!(smallest_provable(percent("100%"), percent("95%")), None);
        assert_eq!(smallest_provable(percent("95%"), percent("100%")), None);
        assert_eq!(smallest_provable(percent("0%"), percent("95%")), Some(1));
    }

    #[test]
    fn failures_allowed_to_still_prove_95_percent_equal_the_table() {
        let z = quantile(percent("95%")).unwrap();
        let proven = |failures: u32, n: u32| lower_bound(n - failures, n, z).unwrap() >= 0.95;
        let table = [(52, 0), (100, 1), (200, 4), (300, 8), (500, 16), (1000, 38), (2000, 83), (5000, 224)];
        for (n, allowed) in table {
            assert!(proven(allowed, n) && !proven(allowed + 1, n), "{n}");
        }
    }
}
