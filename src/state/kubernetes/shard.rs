//! Which accounts a controller works on, where several share them. Pure.

use crate::api::ObjectKey;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// One shard of so many, or everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    shard: u32,
    of: u32,
}

impl Shard {
    /// Every account.
    pub const ALL: Self = Self { shard: 0, of: 1 };

    /// Shard number `shard`, from 0, of `of`.
    #[must_use]
    pub const fn new(shard: u32, of: u32) -> Self {
        Self { shard, of }
    }

    /// True when what this names falls to the share: an `OtaCloud`, which takes along everything of its account. Each falls
    /// to exactly one of the shards, on any machine.
    #[must_use]
    pub fn has(self, key: &ObjectKey) -> bool {
        let digest = Sha256::digest(format!("{}/{}", key.namespace, key.name));
        let number = digest.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        // Fewer than one shard is everything.
        number % u64::from(self.of.max(1)) == u64::from(self.shard)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            1 => f.write_str("every account"),
            of => write!(f, "shard {} of {of}", self.shard),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;
    use proptest::prelude::*;

    fn account(namespace: &str, name: &str) -> ObjectKey {
        ObjectKey::new(Kind::OtaCloud, namespace, name)
    }

    proptest! {
        #[test]
        fn each_account_falls_to_exactly_one_shard(name in "[a-z0-9-]{1,20}", of in 1_u32..64) {
            let key = account("fleet", &name);
            prop_assert_eq!((0..of).filter(|shard| Shard::new(*shard, of).has(&key)).count(), 1);
            prop_assert!(Shard::ALL.has(&key));
        }
    }

    #[test]
    fn a_thousand_accounts_are_shared_evenly_and_the_same_way_for_ever() {
        let counts = [0, 1, 2, 3].map(|shard| {
            let share = Shard::new(shard, 4);
            (0..1000).filter(|n| share.has(&account("fleet", &format!("account-{n}")))).count()
        });
        assert!(counts.iter().all(|count| (200..300).contains(count)), "{counts:?}");
        // A change would let two versions of the program work on one account while one replaces the other.
        for (name, shard) in [("meters", 3), ("lab", 0), ("gateways", 0)] {
            assert!(Shard::new(shard, 4).has(&account("fleet", name)), "{name}");
        }
    }
}
