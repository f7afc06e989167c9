//! Leadership: a Lease of `coordination.k8s.io`, taken, renewed and released.
//!
//! Times in a Lease are never compared with our clock: another holder's Lease has expired once it stayed unchanged for its
//! duration, measured here. What this process holds is measured from before the renewing request was sent, by two clocks of which
//! the faster one counts: the steady one stops while a machine sleeps.
//!
//! A Lease is advisory, not a fence: a process that is stopped right between the check and its request sends late. The journal
//! handles that; see [`crate::state`].

use super::time::{Moment, Time, within};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Duration of the Lease: a holder renews within this time, or has lost it.
const DURATION: Duration = Duration::from_secs(15);
/// A holder that could not renew for this long stops acting. The rest is for requests in flight.
const HOLDS_FOR: Duration = Duration::from_secs(10);
/// Renew interval of a holder.
pub(super) const RENEW: Duration = Duration::from_secs(4);
/// Poll interval of everyone else, and retry interval of a holder.
pub(super) const LOOK: Duration = Duration::from_secs(2);
/// A request without a response by then has failed.
pub(super) const LIMIT: Duration = Duration::from_secs(4);

/// Content of a Lease.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Record {
    /// Its holder; none when empty.
    pub holder: String,
    /// Last renewal by the holder's clock: only compared for equality.
    pub renewed: Option<Timestamp>,
    /// Duration of the Lease.
    pub duration: Duration,
    /// How often the holder changed.
    pub transitions: i32,
}

/// A record, and since when it has been observed unchanged.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    seen: Option<(Record, Duration)>,
}

/// What to do about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is free, or has expired.
    Take,
    /// It is ours.
    Renew,
    /// Another controller holds it.
    Wait,
}

impl Sight {
    /// Takes in the content of the Lease at a moment of the steady clock.
    pub fn look(&mut self, record: Record, now: Duration) {
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != record) {
            self.seen = Some((record, now));
        }
    }

    /// What to do about it, at a moment of the steady clock.
    #[must_use]
    pub fn decide(&self, me: &str, now: Duration) -> Step {
        match &self.seen {
            None => Step::Take,
            Some((record, _)) if record.holder == me => Step::Renew,
            Some((record, _)) if record.holder.is_empty() => Step::Take,
            Some((record, since)) if now.saturating_sub(*since) > record.duration => Step::Take,
            Some(_) => Step::Wait,
        }
    }
}

/// Whether the Lease is held: checked right before every call that changes something, and before every write.
#[derive(Clone)]
pub struct Held {
    time: Arc<dyn Time>,
    renewed: Arc<Mutex<Option<Moment>>>,
}

impl Held {
    pub(super) fn new(time: Arc<dyn Time>) -> Self {
        Self { time, renewed: Arc::default() }
    }

    /// True while it is certainly held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.is_some_and(|renewed| self.time.moment().is_within(HOLDS_FOR, renewed))
    }

    /// The clock that it is measured by.
    pub(super) fn time(&self) -> Arc<dyn Time> {
        self.time.clone()
    }

    pub(super) fn set(&self, renewed: Option<Moment>) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
    }
}

/// One Lease, and what one process knows of it.
pub(super) struct Seat {
    api: Api<Lease>,
    name: String,
    me: String,
    time: Arc<dyn Time>,
    sight: Sight,
    renewed: Option<Moment>,
}

impl Seat {
    /// The Lease of that name, for a process with the name `me`.
    pub(super) fn new(
        client: Client,
        namespace: &str,
        name: String,
        me: String,
        time: Arc<dyn Time>,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name,
            me,
            time,
            sight: Sight::default(),
            renewed: None,
        }
    }

    /// When the last renewing request was sent; none when the Lease is not ours.
    pub(super) const fn renewed(&self) -> Option<Moment> {
        self.renewed
    }

    /// Reads the Lease, and takes or renews it if it may; true when that was done.
    pub(super) async fn round(&mut self) -> kube::Result<bool> {
        let found = self.api.get_opt(&self.name).await?;
        let began = self.time.moment();
        if let Some(lease) = &found {
            self.sight.look(record_of(lease), began.steady);
        }
        match self.sight.decide(&self.me, began.steady) {
            Step::Wait => {
                self.renewed = None;
                return Ok(false);
            }
            Step::Take => tracing::info!(lease = self.name, me = self.me, "taking the Lease"),
            Step::Renew => {}
        }
        let written = self.write(found, &self.me, DURATION).await?;
        if written {
            self.renewed = Some(began);
        }
        Ok(written)
    }

    /// Writes the Lease over exactly what was found; false when another controller was faster.
    async fn write(&self, found: Option<Lease>, holder: &str, duration: Duration) -> kube::Result<bool> {
        let before = found.as_ref().map(record_of).unwrap_or_default();
        let now = self.time.stamp();
        let is_new = before.holder != holder;
        let acquired = found.as_ref().and_then(|lease| lease.spec.as_ref()?.acquire_time.clone());
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: i32::try_from(duration.as_secs()).ok(),
            acquire_time: acquired.filter(|_| !is_new).or(Some(MicroTime(now))),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(before.transitions.saturating_add(i32::from(is_new))),
            ..LeaseSpec::default()
        };
        let params = PostParams::default();
        let written = match found {
            Some(lease) => {
                let lease = Lease { spec: Some(spec), ..lease };
                self.api.replace(&self.name, &params, &lease).await
            }
            None => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                self.api.create(&params, &Lease { metadata, spec: Some(spec) }).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Releases the Lease if it is ours, so that nobody has to wait for its expiry.
    pub(super) async fn resign(&mut self) {
        self.renewed = None;
        let give_back = async {
            match self.api.get_opt(&self.name).await? {
                Some(lease) if record_of(&lease).holder == self.me => {
                    self.write(Some(lease), "", Duration::from_secs(1)).await
                }
                _ => Ok(false),
            }
        };
        if within(&*self.time, LIMIT, give_back, || Err(no_answer())).await.is_err() {
            tracing::warn!(lease = self.name, "the Lease could not be released: it expires by itself");
        }
    }
}

/// The error of a request without a response in time.
pub(super) fn no_answer() -> kube::Error {
    kube::Error::Service("no response".into())
}

fn record_of(lease: &Lease) -> Record {
    let Some(spec) = &lease.spec else { return Record::default() };
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: spec.holder_identity.clone().unwrap_or_default(),
        renewed: spec.renew_time.as_ref().map(|time| time.0),
        duration: seconds.map_or(DURATION, Duration::from_secs),
        transitions: spec.lease_transitions.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn record(holder: &str, renewed: i64) -> Record {
        let renewed = Timestamp::from_second(renewed).ok();
        Record { holder: holder.to_owned(), renewed, duration: s(15), transitions: 1 }
    }

    #[test]
    fn a_lease_is_taken_once_it_stayed_the_same_for_as_long_as_it_promises() {
        // Renewed by a holder whose clock is hours ahead, right, or hours behind: it makes no difference.
        for offset in [-10_000, 0, 10_000] {
            let mut sight = Sight::default();
            assert_eq!(sight.decide("me", s(0)), Step::Take, "there is no Lease");
            sight.look(record("them", 1_000 + offset), s(100));
            assert_eq!(sight.decide("me", s(100)), Step::Wait, "just observed, whatever it contains");
            sight.look(record("them", 1_000 + offset), s(114));
            assert_eq!(sight.decide("me", s(115)), Step::Wait);
            assert_eq!(sight.decide("me", s(116)), Step::Take);
            sight.look(record("them", 1_004 + offset), s(116));
            assert_eq!(sight.decide("me", s(131)), Step::Wait, "it was renewed meanwhile");
        }
    }

    #[test]
    fn a_lease_that_was_given_back_is_taken_at_once_and_ones_own_is_renewed() {
        let mut sight = Sight::default();
        sight.look(record("", 1_000), s(1));
        assert_eq!(sight.decide("me", s(1)), Step::Take);
        sight.look(record("me", 1_001), s(1));
        assert_eq!(sight.decide("me", s(10_000)), Step::Renew);
        let short = Record { duration: s(5), ..record("them", 1_002) };
        sight.look(short, s(20));
        assert_eq!(sight.decide("me", s(26)), Step::Take, "the holder's duration counts");
    }

    #[test]
    fn nobody_acts_when_either_clock_says_that_the_time_is_over() {
        let at = |steady, wall| Moment { steady: s(steady), wall: s(wall) };
        let renewed = at(100, 5_000);
        for (now, holds) in [
            (at(100, 5_000), true),
            (at(109, 5_009), true),
            (at(110, 5_009), false),
            // The machine slept: its steady clock stopped.
            (at(101, 5_600), false),
            // The wall clock was set, forward or back.
            (at(101, 9_000), false),
            (at(101, 1_000), false),
            // Stopped and continued.
            (at(160, 5_060), false),
        ] {
            assert_eq!(now.is_within(HOLDS_FOR, renewed), holds, "{now:?}");
        }
    }

    #[test]
    fn a_holder_stops_before_anybody_else_begins() {
        assert!(HOLDS_FOR + s(4) < DURATION && RENEW + LOOK < HOLDS_FOR && LIMIT < HOLDS_FOR);
    }
}
