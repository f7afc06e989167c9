//! How many devices of each stratum a stage gets. Integers only, so that every machine gets the same.

/// Divides `count` devices among strata of these sizes, in proportion, and at least one for each stratum if there are enough.
///
/// The strata stand in the order of their keys, which decides ties. The result adds up to `count`, or to all devices if there
/// are fewer, and is never more than a stratum has.
#[must_use]
pub fn allocate(count: u32, sizes: &[u32]) -> Vec<u32> {
    let mut given = vec![0; sizes.len()];
    let filled: Vec<usize> = (0..sizes.len()).filter(|stratum| sizes[*stratum] > 0).collect();
    let all: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
    if u64::from(count) >= all {
        return sizes.to_vec();
    }
    if count as usize <= filled.len() {
        // One for each of the largest.
        let mut largest = filled;
        largest.sort_by_key(|stratum| std::cmp::Reverse(sizes[*stratum]));
        largest.iter().take(count as usize).for_each(|stratum| given[*stratum] = 1);
        return given;
    }
    let rest = without_small(count, sizes, filled, &mut given);
    let left = u64::from(count - given.iter().sum::<u32>());
    let total: u64 = rest.iter().map(|stratum| u64::from(sizes[*stratum])).sum();
    let exact = |stratum: usize| left * u64::from(sizes[stratum]);
    for stratum in &rest {
        given[*stratum] = super::count(exact(*stratum) / total.max(1));
    }
    let missing = count - given.iter().sum::<u32>();
    let mut by_remainder = rest;
    by_remainder.sort_by_key(|stratum| std::cmp::Reverse((exact(*stratum) % total.max(1), sizes[*stratum])));
    by_remainder.iter().take(missing as usize).for_each(|stratum| given[*stratum] += 1);
    given
}

/// Gives one device to each stratum whose proportional part is less than one; returns the others.
fn without_small(count: u32, sizes: &[u32], mut rest: Vec<usize>, given: &mut [u32]) -> Vec<usize> {
    loop {
        let left = u64::from(count - given.iter().sum::<u32>());
        let total: u64 = rest.iter().map(|stratum| u64::from(sizes[*stratum])).sum();
        let (small, others): (Vec<usize>, Vec<usize>) =
            rest.iter().partition(|stratum| left * u64::from(sizes[**stratum]) < total);
        if small.is_empty() {
            return others;
        }
        small.iter().for_each(|stratum| given[*stratum] = 1);
        rest = others;
    }
}

/// A stratum of a stage that has some of its devices already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Devices that the stage has.
    pub held: u32,
    /// Devices that it may get.
    pub free: u32,
}

/// How many devices of each stratum join a stage of `count`, which has some already.
#[must_use]
pub fn additions(count: u32, parts: &[Part]) -> Vec<u32> {
    let sizes: Vec<u32> = parts.iter().map(|part| part.held.saturating_add(part.free)).collect();
    let wanted = allocate(count, &sizes);
    let mut added: Vec<u32> = wanted
        .iter()
        .zip(parts)
        .map(|(wanted, part)| wanted.saturating_sub(part.held).min(part.free))
        .collect();
    let held = parts.iter().fold(0, |sum: u32, part| sum.saturating_add(part.held));
    let mut surplus = added.iter().fold(0, |sum: u32, more| sum.saturating_add(*more));
    surplus = surplus.saturating_sub(count.saturating_sub(held));
    // A stratum may have more than its part because others have grown since.
    while surplus > 0 {
        let Some(largest) = added.iter_mut().max() else { break };
        *largest -= 1;
        surplus -= 1;
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn everything_is_given_and_no_stratum_gets_more_than_it_has(
            count in 0..300_u32, sizes in prop::collection::vec(0..200_u32, 0..9),
        ) {
            let given = allocate(count, &sizes);
            let (all, filled) = (sizes.iter().sum::<u32>(), sizes.iter().filter(|size| **size > 0).count());
            prop_assert_eq!(given.iter().sum::<u32>(), count.min(all));
            prop_assert!(given.iter().zip(&sizes).all(|(given, size)| given <= size));
            if count as usize >= filled {
                prop_assert!(given.iter().zip(&sizes).all(|(given, size)| *given > 0 || *size == 0));
            }
        }

        /// A stage that is sent in pieces gets the same devices as one that is sent at once.
        #[test]
        fn pieces_add_up_to_the_whole(
            count in 1..200_u32, piece in 1..40_u32, sizes in prop::collection::vec(1..90_u32, 1..7), seed in 0..7_usize,
        ) {
            let whole = allocate(count, &sizes);
            let mut held = vec![0; sizes.len()];
            loop {
                let parts: Vec<Part> =
                    held.iter().zip(&sizes).map(|(held, size)| Part { held: *held, free: size - held }).collect();
                let added = additions(count, &parts);
                prop_assert_eq!(
                    held.iter().zip(&added).map(|(held, added)| held + added).collect::<Vec<_>>(), whole.clone()
                );
                // The next piece has devices of any strata.
                let mut left = piece;
                for step in 0..sizes.len() {
                    let stratum = (seed + step) % sizes.len();
                    let sent = added[stratum].min(left);
                    (held[stratum], left) = (held[stratum] + sent, left - sent);
                }
                if left == piece { break; }
            }
        }

        #[test]
        fn a_stage_never_exceeds_its_count(
            count in 0..100_u32, parts in prop::collection::vec((0..50_u32, 0..50_u32), 0..6),
        ) {
            let parts: Vec<Part> = parts.into_iter().map(|(held, free)| Part { held, free }).collect();
            let (added, held) = (additions(count, &parts), parts.iter().map(|part| part.held).sum::<u32>());
            let free = parts.iter().map(|part| part.free).sum::<u32>();
            prop_assert!(added.iter().zip(&parts).all(|(added, part)| *added <= part.free));
            prop_assert!(added.iter().sum::<u32>() <= count.saturating_sub(held).min(free));
        }
    }

    #[test]
    fn what_joins_is_trimmed_from_the_largest_addition() {
        let part = |held, free| Part { held, free };
        assert_eq!(additions(10, &[part(6, 0), part(0, 30), part(0, 30)]), [0, 2, 2]);
        assert_eq!(additions(10, &[part(10, 0), part(0, 100)]), [0, 0]);
    }
}
