//! Creates that the cloud has refused for good. The same request is not sent again at every retry: it would be refused again, and
//! a package of some clouds uploads its file first.

use super::create::request_of;
use super::lane::{Lane, Trouble};
use crate::api::ObjectKey;
use crate::cloud::{Call, CallError, Effect, ErrorClass};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// What was refused may be let through later: a right was given, a name was freed. A user who does not want to wait edits the
/// object, or requests a reconcile.
const FOR: SignedDuration = SignedDuration::from_hours(1);

/// What was refused of each object.
#[derive(Debug, Default)]
pub(super) struct Refused(BTreeMap<ObjectKey, Refusal>);

#[derive(Debug)]
struct Refusal {
    request: serde_json::Value,
    error: CallError,
    until: Timestamp,
}

impl Refused {
    /// Notes a refusal that waiting alone does not change.
    pub(super) fn note(&mut self, object: ObjectKey, call: &Call, error: &CallError, now: Timestamp) {
        if error.effect == Effect::None && is_lasting(call, error.class) {
            let until = now.saturating_add(FOR).unwrap_or(Timestamp::MAX);
            let refusal = Refusal { request: request_of(call), error: error.clone(), until };
            self.0.insert(object, refusal);
        }
    }

    /// The error with which this request was refused a short time ago.
    fn of(&self, object: &ObjectKey, call: &Call, now: Timestamp) -> Option<&CallError> {
        let refusal = self.0.get(object).filter(|refusal| now < refusal.until)?;
        (refusal.request == request_of(call)).then_some(&refusal.error)
    }

    /// The object, or what users want of it, has changed.
    pub(super) fn forget(&mut self, object: &ObjectKey) {
        self.0.remove(object);
    }

    /// The account has changed: other keys, other rights.
    pub(super) fn clear(&mut self) {
        self.0.clear();
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

impl Lane {
    /// The error of a create that was refused a short time ago.
    ///
    /// # Errors
    /// That one.
    pub(super) fn check_refused(&self, object: &ObjectKey, call: &Call) -> Result<(), Trouble> {
        match self.refused.of(object, call, self.ports.clock.now()) {
            Some(error) => Err(error.clone().into()),
            None => Ok(()),
        }
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
}
