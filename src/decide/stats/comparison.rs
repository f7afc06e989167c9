//! Two groups of devices that are alike but for the package: are more of the upgraded ones unhealthy?

use super::evidence::{Term, ln_evidence};
use super::{binomial, wilson};

/// How many devices of a group are unhealthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Devices of the group.
    pub devices: u32,
    /// Unhealthy ones.
    pub unhealthy: u32,
}

/// The natural logarithm of the evidence that the upgrade does harm; 0 without devices to compare.
///
/// Of all unhealthy devices as large a share should be upgraded ones as of all devices, however many are unhealthy.
#[must_use]
pub fn harm(upgraded: Group, control: Group) -> f64 {
    harm_in_strata(&[(upgraded, control)])
}

/// The same over several strata, each as (upgraded, control): whatever the rates of the strata are, and however large they are on
/// either side. Strata with devices on one side only are left out.
#[must_use]
pub fn harm_in_strata(strata: &[(Group, Group)]) -> f64 {
    let both = strata.iter().filter(|(upgraded, control)| upgraded.devices > 0 && control.devices > 0);
    let term = |(upgraded, control): &(Group, Group)| Term {
        devices: upgraded.unhealthy + control.unhealthy,
        failures: upgraded.unhealthy,
        budget: f64::from(upgraded.devices) / (f64::from(upgraded.devices) + f64::from(control.devices)),
    };
    let terms: Vec<Term> = both.map(term).collect();
    if terms.is_empty() { 0.0 } else { ln_evidence(&terms) }
}

/// Bounds of the share of unhealthy upgraded devices less that of the others: Newcombe 1998, method 10, each at the quantile `z`. None
/// without devices to compare.
#[must_use]
pub fn difference(upgraded: Group, control: Group, z: f64) -> Option<(f64, f64)> {
    let bounds = |group: Group| {
        let share = f64::from(group.unhealthy) / f64::from(group.devices.max(1));
        let lower = wilson::lower_bound(group.unhealthy, group.devices, z)?;
        let healthy = wilson::lower_bound(group.devices - group.unhealthy, group.devices, z)?;
        Some((share, lower, 1.0 - healthy))
    };
    let ((one, one_lower, one_upper), (two, two_lower, two_upper)) = (bounds(upgraded)?, bounds(control)?);
    let (below, above) = ((one - one_lower).hypot(two_upper - two), (one_upper - one).hypot(two - two_lower));
    Some((one - two - below, one - two + above))
}

/// Chance that the evidence of one comparison reaches `limit`, when this share of the upgraded and of the other devices is unhealthy.
#[must_use]
pub fn chance_to_see(upgraded: (u32, f64), control: (u32, f64), limit: f64) -> f64 {
    let group = |devices, unhealthy| Group { devices, unhealthy };
    let mut fires_at = 0;
    let mut chance = 0.0;
    for unhealthy in 0..=control.0 {
        let weight = binomial::exactly(unhealthy, control.0, control.1);
        if weight < 1e-12 {
            continue;
        }
        // The more of the others are unhealthy, the more of the upgraded ones it takes.
        while fires_at <= upgraded.0 && harm(group(upgraded.0, fires_at), group(control.0, unhealthy)) < limit
        {
            fires_at += 1;
        }
        let quiet =
            fires_at.checked_sub(1).map_or(0.0, |most| binomial::at_most(most, upgraded.0, upgraded.1));
        chance += weight * (1.0 - quiet);
    }
    chance
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::stats::evidence::threshold;
    use proptest::prelude::*;

    #[test]
    fn strata_that_differ_are_no_harm() {
        let of = |unhealthy, devices| Group { devices, unhealthy };
        // A site with a bad network has most of the upgraded devices.
        let (flaky, steady) = ((of(40, 100), of(40, 100)), (of(0, 20), of(0, 1_000)));
        assert!(harm(of(40, 120), of(40, 1_100)) > threshold(0.99), "by mistake");
        assert!(harm_in_strata(&[flaky, steady]) < 0.5);
        let broken = (of(20, 20), of(0, 1_000));
        assert!(harm_in_strata(&[flaky, broken]) > threshold(0.99));
        assert_eq!(
            harm_in_strata(&[(of(9, 9), of(0, 0))]).to_bits(),
            0.0_f64.to_bits(),
            "nothing to compare with"
        );
        assert_eq!(harm_in_strata(&[flaky]).to_bits(), harm(flaky.0, flaky.1).to_bits());
    }

    /// The table of the statistics page: chance in percent at a single comparison, 2 % unhealthy without the package.
    #[test]
    fn what_a_comparison_sees_by_the_size_of_the_groups() {
        for (upgraded, control, points, percent) in [
            (60, 600, 3, 2.0),
            (60, 600, 5, 8.0),
            (60, 600, 10, 46.0),
            (120, 1_200, 5, 25.0),
            (155, 1_550, 5, 37.0),
            (155, 1_550, 8, 82.0),
            (300, 2_000, 3, 23.0),
            (300, 2_000, 5, 73.0),
            (1_000, 2_000, 3, 75.0),
        ] {
            let rate = 0.02 + f64::from(points) / 100.0;
            let chance = 100.0 * chance_to_see((upgraded, rate), (control, 0.02), threshold(0.99));
            assert!((chance - percent).abs() <= 0.5, "{upgraded} and {control}, +{points}: {chance:.2}");
        }
    }

    proptest! {
        #[test]
        fn evidence_rises_with_unhealthy_upgraded_devices_and_falls_with_others(
            upgraded in 1_u32..500, control in 1_u32..2_000, part in 0_u32..100, other in 0_u32..100,
        ) {
            let of = |k, n| harm(Group { devices: upgraded, unhealthy: k }, Group { devices: control, unhealthy: n });
            let (k, n) = (upgraded * part / 100, control * other / 100);
            prop_assume!(k < upgraded && n < control);
            prop_assert!(of(k + 1, n) > of(k, n));
            prop_assert!(of(k, n + 1) < of(k, n));
        }
    }
}
