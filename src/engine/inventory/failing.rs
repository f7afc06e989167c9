//! Resources that cannot be read. Several objects may need one of them, and a list may let each of them succeed in between, so that
//! their own backoffs begin again: the resource itself is read at growing intervals, whichever object needs it.

use crate::cloud::CallError;
use crate::engine::priority::Priority;
use jiff::{SignedDuration, Timestamp};
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Until a resource is read again after it failed once.
const FIRST: SignedDuration = SignedDuration::from_secs(5);
/// The longest interval.
const LONGEST: SignedDuration = SignedDuration::from_mins(2);

/// Resources whose last read failed, by what names them.
#[derive(Debug)]
pub(super) struct Failing<K>(BTreeMap<K, Failure>);

impl<K> Default for Failing<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

#[derive(Debug)]
struct Failure {
    error: CallError,
    interval: SignedDuration,
    at: Timestamp,
}

impl<K: Ord> Failing<K> {
    /// Why the resource could not be read, while it is too early to read it again. What a user has changed is read sooner, but not
    /// by each of several objects in turn.
    pub(super) fn error_of<Q: Ord + ?Sized>(
        &self,
        id: &Q,
        priority: Priority,
        now: Timestamp,
    ) -> Option<CallError>
    where
        K: Borrow<Q>,
    {
        let failure = self.0.get(id)?;
        let interval = if priority == Priority::UserChange { FIRST } else { failure.interval };
        (now.duration_since(failure.at) < interval).then(|| failure.error.clone())
    }

    /// The resource was read, with this error if any. An error of the whole account says nothing of it.
    pub(super) fn note(&mut self, id: K, error: Option<&CallError>, now: Timestamp) {
        let before = self.0.remove(&id);
        let Some(error) = error else { return };
        if error.class.may_concern_one_resource() {
            let interval = before.map_or(FIRST, |failure| (failure.interval * 2).min(LONGEST));
            self.0.insert(id, Failure { error: error.clone(), interval, at: now });
        }
    }

    /// Forgets the resources that are not there any more.
    pub(super) fn retain(&mut self, is_there: impl Fn(&K) -> bool) {
        self.0.retain(|id, _| is_there(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::ErrorClass;

    fn reads(priority: Priority) -> Vec<i64> {
        let error = CallError::new(ErrorClass::Unavailable, "ShowJob", "no answer");
        let (mut failing, mut reads) = (Failing::<String>::default(), Vec::new());
        for second in 0..400 {
            let now = Timestamp::from_second(second).unwrap();
            if failing.error_of("j", priority, now).is_none() {
                reads.push(second);
                failing.note("j".to_owned(), Some(&error), now);
            }
        }
        reads
    }

    #[test]
    fn what_fails_is_read_at_intervals_that_grow() {
        assert_eq!(reads(Priority::Drift), [0, 5, 15, 35, 75, 155, 275, 395]);
        assert_eq!(reads(Priority::UserChange)[..4], [0, 5, 10, 15]);
    }

    #[test]
    fn what_was_read_since_or_concerns_the_whole_account_is_read_at_once() {
        let error = |class| CallError::new(class, "ShowJob", "no answer");
        let (mut failing, now) = (Failing::default(), Timestamp::UNIX_EPOCH);
        let fails = |failing: &Failing<String>, id| failing.error_of(id, Priority::Drift, now).is_some();
        failing.note("j".to_owned(), Some(&error(ErrorClass::Unavailable)), now);
        assert!(fails(&failing, "j") && !fails(&failing, "another"));
        failing.note("j".to_owned(), None, now);
        assert!(!fails(&failing, "j"));
        failing.note("j".to_owned(), Some(&error(ErrorClass::Throttled)), now);
        assert!(!fails(&failing, "j"), "it concerns the whole account");
    }
}
