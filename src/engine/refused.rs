//! Creates that the cloud has refused for good. The same request is not sent again at every retry: it would be refused again, and
//! a package of some clouds uploads its file first. It is written down, too, so that processes that live shortly do not each send it.

use super::subject::Subject;
use super::worker::{Trouble, Worker};
use crate::api::{ObjectKey, RefusedCreate, Request};
use crate::cloud::{Call, CallError, Effect, ErrorClass};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What was refused may be let through later: a right was given, a name was freed. A user who does not want to wait edits the
/// object, or requests a reconcile.
const FOR: SignedDuration = SignedDuration::from_hours(1);

/// What was refused of each object.
#[derive(Debug, Default)]
pub(super) struct Refused {
    by_object: BTreeMap<ObjectKey, Refusal>,
    /// Objects whose refusals of earlier processes are known.
    inherited: BTreeSet<ObjectKey>,
}

#[derive(Debug)]
struct Refusal {
    digest: String,
    error: CallError,
    until: Timestamp,
}

impl Refused {
    fn note(&mut self, object: ObjectKey, digest: &str, error: CallError, at: Timestamp) {
        let until = at.saturating_add(FOR).unwrap_or(Timestamp::MAX);
        self.by_object.insert(object, Refusal { digest: digest.to_owned(), error, until });
    }

    /// The error with which this request was refused a short time ago.
    fn of(&self, object: &ObjectKey, digest: &str, now: Timestamp) -> Option<&CallError> {
        let refusal = self.by_object.get(object).filter(|refusal| now < refusal.until)?;
        (refusal.digest == digest).then_some(&refusal.error)
    }

    /// The object, or what users want of it, has changed.
    pub(super) fn forget(&mut self, object: &ObjectKey) {
        self.by_object.remove(object);
    }

    /// The account has changed: other keys, other rights.
    pub(super) fn clear(&mut self) {
        self.by_object.clear();
    }
}

/// A job may be refused because of what its devices do at the moment.
const fn is_lasting(call: &Call, class: ErrorClass) -> bool {
    match class {
        ErrorClass::Invalid | ErrorClass::Forbidden => true,
        ErrorClass::Conflict => matches!(call, Call::CreatePackage(_)),
        _ => false,
    }
}

/// The error that an earlier process was answered with; none once it says nothing any more.
fn inherited(refused: &RefusedCreate, operation: &'static str, now: Timestamp) -> Option<CallError> {
    let class = ErrorClass::ALL.into_iter().find(|class| class.as_str() == refused.reason)?;
    let message = refused.message.strip_prefix(operation)?.strip_prefix(": ")?;
    // A time to come was written by a clock that has been set back since.
    (refused.at <= now).then(|| CallError::new(class, operation, message))
}

impl Worker {
    /// The error of a create that was refused a short time ago.
    ///
    /// # Errors
    /// That one.
    pub(super) fn check_refused<S: Subject>(
        &mut self,
        subject: &S,
        digest: &str,
        operation: &'static str,
    ) -> Result<(), Trouble> {
        let (key, now) = (subject.key(), self.ports.clock.now());
        if self.refused.inherited.insert(key.clone())
            && let Some(refused) = subject.refused().filter(|refused| self.still_holds(subject, refused))
            && let Some(error) = inherited(refused, operation, now)
        {
            self.refused.note(key.clone(), &refused.digest, error, refused.at);
        }
        match self.refused.of(&key, digest, now) {
            Some(error) => Err(error.clone().into()),
            None => Ok(()),
        }
    }

    /// Nobody has changed the account since, or requested another look or attempt.
    fn still_holds<S: Subject>(&self, subject: &S, refused: &RefusedCreate) -> bool {
        let object = subject.object();
        let asked = |request: Request| request.of(object.meta()).and_then(|at| at.parse::<Timestamp>().ok());
        let is_asked =
            [Request::Reconcile, Request::Retry].into_iter().any(|of| asked(of) > Some(refused.at));
        refused.account_generation == self.account_generation() && !is_asked
    }

    fn account_generation(&self) -> i64 {
        self.link.as_ref().and_then(|link| link.wanted.generation()).unwrap_or(0)
    }

    /// Notes a refusal that waiting alone does not change.
    pub(super) fn note_refusal<S: Subject>(
        &mut self,
        subject: &mut S,
        call: &Call,
        digest: &str,
        error: &CallError,
    ) {
        if error.effect != Effect::None || !is_lasting(call, error.class) {
            return;
        }
        let (at, account_generation) = (self.ports.clock.now(), self.account_generation());
        let (digest, reason, message) =
            (digest.to_owned(), error.reason().as_str().to_owned(), error.to_string());
        self.refused.note(subject.key(), &digest, error.clone(), at);
        subject.set_refused(RefusedCreate { digest, reason, message, at, account_generation });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, WORLD, cloud, package};
    use crate::api::{Kind, ObjectKey, Request};
    use jiff::SignedDuration;

    /// The cloud does not know its product.
    #[tokio::test(start_paused = true)]
    async fn a_package_that_the_cloud_refuses_is_not_sent_again_at_every_retry() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        let refused = package("v2", "lab", "V2").replace("product: {id: meter}", "product: {id: unknown}");
        site.apply(&(cloud("lab", "a") + &refused)).await;
        site.work(SignedDuration::from_mins(50)).await;
        let creates = || bench.sent("POST", "/packages");
        assert_eq!(creates(), 1, "{:?}", site.said(&ObjectKey::new(Kind::OtaPackage, "default", "v2")));
        site.work(SignedDuration::from_mins(60)).await;
        assert_eq!(creates(), 2, "an hour later");
        let key = ObjectKey::new(Kind::OtaPackage, "default", "v2");
        assert!(site.store.request(&key, Request::Reconcile, "2027-01-15T10:00:00Z"));
        site.engine.wake([key]).await.unwrap();
        site.work(SignedDuration::from_mins(1)).await;
        assert_eq!(creates(), 3, "by request");
    }

    /// As `rollwave apply` does from cron.
    #[tokio::test(start_paused = true)]
    async fn processes_that_live_shortly_send_what_was_refused_once_an_hour_and_say_the_same() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        let refused = package("v2", "lab", "V2").replace("product: {id: meter}", "product: {id: unknown}");
        site.apply(&(cloud("lab", "a") + &refused)).await;
        let creates = || bench.sent("POST", "/packages");
        let key = ObjectKey::new(Kind::OtaPackage, "default", "v2");
        let mut said = std::collections::BTreeSet::new();
        for _ in 0..25 {
            site.work(SignedDuration::from_secs(40)).await;
            said.insert(site.said(&key));
            bench.restart(&mut site).await;
            site.work(SignedDuration::from_secs(80)).await;
        }
        assert_eq!((creates(), said.len()), (1, 1), "{said:?}");
        site.work(SignedDuration::from_mins(60)).await;
        assert_eq!(creates(), 2, "an hour later");
        bench.restart(&mut site).await;
        site.apply(&(cloud("lab", "a") + "  budget: {requestsPerSecond: 5, burst: 5}\n")).await;
        site.work(SignedDuration::from_mins(1)).await;
        assert_eq!(creates(), 3, "the account has changed");
    }
}
