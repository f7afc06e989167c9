//! Creates that the cloud has refused for good. The same request is not sent again at every retry: it would be refused
//! again, and on some clouds a package uploads its file first. Refusals are recorded too, so that short-lived processes
//! do not each send the request.

use super::subject::Subject;
use crate::api::{ObjectKey, RefusedCreate, Request};
use crate::cloud::{Call, CallError, Effect, ErrorClass};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A refused request may be accepted later, for example after a permission was granted or a name became free. A user
/// who does not want to wait edits the object, or requests a reconcile.
const FOR: SignedDuration = SignedDuration::from_hours(1);

/// The refused creates of each object.
#[derive(Debug, Default)]
pub(super) struct Refused {
    by_object: BTreeMap<ObjectKey, Refusal>,
    /// Objects whose refusals by earlier processes were taken over.
    inherited: BTreeSet<ObjectKey>,
}

#[derive(Debug)]
struct Refusal {
    digest: String,
    error: CallError,
    until: Timestamp,
}

/// A create that is about to be sent, or was refused.
pub(super) struct Attempt<'a> {
    pub(super) call: &'a Call,
    /// Digest of the request.
    pub(super) digest: &'a str,
    /// The generation of the `OtaCloud` by which it is sent.
    pub(super) account_generation: i64,
    /// The current time.
    pub(super) at: Timestamp,
}

impl Refused {
    /// Returns the error of a create that was refused recently.
    ///
    /// # Errors
    /// The recorded error.
    pub(super) fn check<S: Subject>(&mut self, subject: &S, attempt: &Attempt<'_>) -> Result<(), CallError> {
        let (key, now) = (subject.key(), attempt.at);
        if self.inherited.insert(key.clone())
            && let Some(refused) = subject.refused().filter(|refused| still_holds(subject, refused, attempt))
            && let Some(error) = inherited(refused, attempt.call.operation(), now)
        {
            self.note(key.clone(), &refused.digest, error, refused.at);
        }
        match self.of(&key, attempt.digest, now) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Records a refusal that waiting alone does not change.
    pub(super) fn record<S: Subject>(&mut self, subject: &mut S, attempt: &Attempt<'_>, error: &CallError) {
        if error.effect != Effect::None || !is_lasting(attempt.call, error.class) {
            return;
        }
        let &Attempt { digest, account_generation, at, .. } = attempt;
        let (reason, message) = (error.reason().as_str().to_owned(), error.to_string());
        self.note(subject.key(), digest, error.clone(), at);
        subject.set_refused(RefusedCreate {
            digest: digest.to_owned(),
            reason,
            message,
            at,
            account_generation,
        });
    }

    fn note(&mut self, object: ObjectKey, digest: &str, error: CallError, at: Timestamp) {
        let until = at.saturating_add(FOR).unwrap_or(Timestamp::MAX);
        self.by_object.insert(object, Refusal { digest: digest.to_owned(), error, until });
    }

    /// The error with which this request was refused recently.
    fn of(&self, object: &ObjectKey, digest: &str, now: Timestamp) -> Option<&CallError> {
        let refusal = self.by_object.get(object).filter(|refusal| now < refusal.until)?;
        (refusal.digest == digest).then_some(&refusal.error)
    }

    /// The object changed, or a user requested something of it.
    pub(super) fn forget(&mut self, object: &ObjectKey) {
        self.by_object.remove(object);
    }

    /// The account has changed: other credentials, other permissions.
    pub(super) fn clear(&mut self) {
        self.by_object.clear();
    }
}

/// True when the account is unchanged since, and no user requested a reconcile or a retry.
fn still_holds<S: Subject>(subject: &S, refused: &RefusedCreate, attempt: &Attempt<'_>) -> bool {
    let object = subject.object();
    let asked = |request: Request| request.of(object.meta()).and_then(|at| at.parse::<Timestamp>().ok());
    let is_asked = [Request::Reconcile, Request::Retry].into_iter().any(|of| asked(of) > Some(refused.at));
    refused.account_generation == attempt.account_generation && !is_asked
}

/// A job may be refused because of the present state of its devices.
const fn is_lasting(call: &Call, class: ErrorClass) -> bool {
    match class {
        ErrorClass::Invalid | ErrorClass::Forbidden => true,
        ErrorClass::Conflict => matches!(call, Call::CreatePackage(_)),
        _ => false,
    }
}

/// The error of a refusal recorded by an earlier process; none once it has expired.
fn inherited(refused: &RefusedCreate, operation: &'static str, now: Timestamp) -> Option<CallError> {
    let class = ErrorClass::ALL.into_iter().find(|class| class.as_str() == refused.reason)?;
    let message = refused.message.strip_prefix(operation)?.strip_prefix(": ")?;
    // A time in the future was written by a clock that has been set back since.
    (refused.at <= now).then(|| CallError::new(class, operation, message))
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
