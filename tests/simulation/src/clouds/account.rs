//! Which cloud each account of a world is of.

use super::{Side, side};
use crate::dice::Dice;
use rollwave::api::CloudKind;
use std::fmt;

/// No world has more accounts.
pub(crate) const MOST_ACCOUNTS: u64 = 2;

/// The clouds of a world's accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clouds {
    /// All of them are of this one.
    Of(CloudKind),
    /// There are two, and they are of different clouds.
    Mixed,
}

/// Worlds of earlier seeds are of IoTDA alone: their histories are older than the other clouds.
const FIRST_OF_ALL_CLOUDS: u64 = 1_000_000;

impl Clouds {
    /// Every choice.
    pub const ALL: [Self; 5] = [
        Self::Of(CloudKind::HuaweiIotda),
        Self::Of(CloudKind::OceanConnect),
        Self::Of(CloudKind::AliyunIot),
        Self::Of(CloudKind::Enos),
        Self::Mixed,
    ];

    /// The clouds of a seed, when none are asked for.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let iotda = Self::Of(CloudKind::HuaweiIotda);
        if seed < FIRST_OF_ALL_CLOUDS {
            return iotda;
        }
        Dice::new(seed, "clouds").pick(&Self::ALL).copied().unwrap_or(iotda)
    }

    /// Those of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|clouds| clouds.as_str() == name)
    }

    /// Its name, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Of(cloud) => cloud.as_str(),
            Self::Mixed => "mixed",
        }
    }

    /// The accounts of a world of this seed, which would have so many.
    pub(crate) fn accounts(self, seed: u64, number: u64) -> Vec<Account> {
        match self {
            Self::Of(cloud) => (0..number).map(|n| Account { cloud, n }).collect(),
            Self::Mixed => {
                let mut dice = Dice::new(seed, "mixed clouds");
                let first = dice.pick(&CloudKind::ALL).copied().unwrap_or(CloudKind::HuaweiIotda);
                let others: Vec<CloudKind> =
                    CloudKind::ALL.into_iter().filter(|cloud| *cloud != first).collect();
                let second = dice.pick(&others).copied().unwrap_or(first);
                [first, second].into_iter().zip(0..).map(|(cloud, n)| Account { cloud, n }).collect()
            }
        }
    }
}

impl fmt::Display for Clouds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An account of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) cloud: CloudKind,
    /// Its number in the world, from 0.
    pub(crate) n: u64,
}

impl Account {
    /// What the world knows of its cloud.
    pub(crate) fn side(self) -> &'static dyn Side {
        side(self.cloud)
    }

    /// Its name, as manifests and the simulator give it.
    pub(crate) fn name(self) -> String {
        self.side().account(self.n)
    }

    /// The account of this name in this cloud.
    pub(crate) fn named(cloud: CloudKind, name: &str) -> Option<Self> {
        (0..MOST_ACCOUNTS).map(|n| Self { cloud, n }).find(|account| account.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_seeds_stay_what_they_are_and_later_ones_are_of_every_cloud() {
        assert!((0..2_000).all(|seed| Clouds::of_seed(seed) == Clouds::Of(CloudKind::HuaweiIotda)));
        for clouds in Clouds::ALL {
            assert!((1_000_000..1_000_050).any(|seed| Clouds::of_seed(seed) == clouds), "{clouds}");
            assert_eq!(Clouds::named(clouds.as_str()), Some(clouds));
        }
    }

    #[test]
    fn mixed_accounts_are_of_different_clouds() {
        for seed in 0..50 {
            let accounts = Clouds::Mixed.accounts(seed, 1);
            assert_eq!(accounts.iter().map(|account| account.n).collect::<Vec<_>>(), [0, 1]);
            assert_ne!(accounts[0].cloud, accounts[1].cloud);
        }
    }
}
