//! Whether every account is still worked on: its worker says by when it will have moved. What hangs would hold up its account alone,
//! and in silence.

use crate::api::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longer than any request may take: one that carries a file is given up after half an hour.
const LONGEST_STEP: SignedDuration = SignedDuration::from_hours(1);

/// When each account that is worked on will have moved at the latest.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulses(Arc<Mutex<BTreeMap<ObjectKey, Timestamp>>>);

impl Pulses {
    /// The heartbeat of one account.
    pub(super) fn of(&self, account: &ObjectKey) -> Heartbeat {
        Heartbeat { account: account.clone(), pulses: self.clone() }
    }

    /// An account that should have moved before now, and has not.
    pub(super) fn overdue(&self, now: Timestamp) -> Option<ObjectKey> {
        self.expected().iter().find(|(_, latest)| **latest < now).map(|(account, _)| account.clone())
    }

    fn expected(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The signs of life of one account.
#[derive(Clone, Debug)]
pub(super) struct Heartbeat {
    account: ObjectKey,
    pulses: Pulses,
}

impl Heartbeat {
    /// It goes on at this time, with something that ends by itself.
    pub(super) fn moves(&self, at: Timestamp) {
        let latest = at.saturating_add(LONGEST_STEP).unwrap_or(Timestamp::MAX);
        self.pulses.expected().insert(self.account.clone(), latest);
    }

    /// Nothing is due: nothing is expected of it.
    pub(super) fn rests(&self) {
        self.pulses.expected().remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;

    #[test]
    fn who_works_and_does_not_move_is_overdue_and_who_rests_never_is() {
        assert!(LONGEST_STEP > crate::cloud::transport::UPLOAD_TIMEOUT, "an upload is no account that hangs");
        let at = |second| Timestamp::from_second(second).unwrap();
        let account =
            |name: &str| ObjectKey { kind: Kind::OtaCloud, namespace: "default".into(), name: name.into() };
        let pulses = Pulses::default();
        let (a, b) = (pulses.of(&account("a")), pulses.of(&account("b")));
        a.moves(at(0));
        b.moves(at(0));
        assert_eq!(pulses.overdue(at(3_600)), None);
        assert_eq!(pulses.overdue(at(3_601)), Some(account("a")));
        a.moves(at(60));
        assert_eq!(pulses.overdue(at(3_601)), Some(account("b")));
        b.rests();
        assert_eq!((pulses.overdue(at(3_601)), pulses.overdue(at(3_661))), (None, Some(account("a"))));
    }
}
