//! Where the state of a world lives.

use super::dice::Dice;
use std::fmt;

/// A state home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Home {
    /// One file, under an exclusive lock.
    Local,
    /// A cluster: the status of its objects.
    Kubernetes,
}

/// Worlds of earlier seeds have the local home: their histories are older than the other one.
pub(super) const FIRST_OF_ALL_HOMES: u64 = 2_000_000;

/// From this seed on clocks are also set between two lives, and clouds say what time it is.
pub(super) const FIRST_OF_DATES: u64 = 3_000_000;

impl Home {
    /// Every home.
    pub const ALL: [Self; 2] = [Self::Local, Self::Kubernetes];

    /// The home of a seed, when none is asked for.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        if seed < FIRST_OF_ALL_HOMES {
            return Self::Local;
        }
        Dice::new(seed, "home").pick(&Self::ALL).copied().unwrap_or(Self::Local)
    }

    /// The home of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|home| home.as_str() == name)
    }

    /// Its name, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Kubernetes => "kubernetes",
        }
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_seeds_stay_what_they_are_and_later_ones_are_of_both_homes() {
        assert!((0..2_000).chain(1_000_000..1_002_000).all(|seed| Home::of_seed(seed) == Home::Local));
        for home in Home::ALL {
            assert!((2_000_000..2_000_020).any(|seed| Home::of_seed(seed) == home), "{home}");
            assert_eq!(Home::named(home.as_str()), Some(home));
        }
    }
}
