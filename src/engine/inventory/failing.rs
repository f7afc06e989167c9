//! Resources that cannot be read. Several objects may need one of them, and a list may let each of them succeed in between, so that
//! their own backoffs begin again: the resource itself is read at growing intervals, whichever object needs it.

use crate::cloud::CallError;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Until a resource is read again after it failed once.
const FIRST: SignedDuration = SignedDuration::from_secs(5);
/// The longest interval.
const LONGEST: SignedDuration = SignedDuration::from_mins(2);

/// Resources whose last read failed, by id.
#[derive(Debug, Default)]
pub(super) struct Failing(BTreeMap<String, Failure>);

#[derive(Debug)]
struct Failure {
    error: CallError,
    interval: SignedDuration,
    again_at: Timestamp,
}

impl Failing {
    /// Why the resource could not be read, while it is too early to read it again.
    pub(super) fn error_of(&self, id: &str, now: Timestamp) -> Option<CallError> {
        self.0.get(id).filter(|failure| now < failure.again_at).map(|failure| failure.error.clone())
    }

    /// The resource was read. An error of the whole account says nothing of it.
    pub(super) fn note(&mut self, id: &str, read: &Result<(), CallError>, now: Timestamp) {
        let before = self.0.remove(id);
        let Err(error) = read else { return };
        if error.class.may_concern_one_resource() {
            let interval = before.map_or(FIRST, |failure| (failure.interval * 2).min(LONGEST));
            let again_at = now.saturating_add(interval).unwrap_or(Timestamp::MAX);
            self.0.insert(id.to_owned(), Failure { error: error.clone(), interval, again_at });
        }
    }

    /// Forgets the resources that are not there any more.
    pub(super) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|id, _| is_there(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::ErrorClass;

    #[test]
    fn what_fails_is_read_at_intervals_that_grow_until_it_succeeds() {
        let error = |class| Err(CallError::new(class, "ShowJob", "no answer"));
        let (mut failing, mut now, mut reads) = (Failing::default(), Timestamp::UNIX_EPOCH, Vec::new());
        for second in 0..400 {
            now = Timestamp::from_second(second).unwrap();
            if failing.error_of("j", now).is_none() {
                reads.push(second);
                failing.note("j", &error(ErrorClass::Unavailable), now);
            }
        }
        assert_eq!(reads, [0, 5, 15, 35, 75, 155, 275, 395]);
        assert!(failing.error_of("another", now).is_none());
        failing.note("j", &Ok(()), now);
        assert!(failing.error_of("j", now).is_none());
        failing.note("j", &error(ErrorClass::Throttled), now);
        assert!(failing.error_of("j", now).is_none(), "it concerns the whole account");
    }
}
