//! One cloud account: every call to it goes through here, one at a time, within its budget.
//!
//! Reads are retried here and not in the transport: each attempt costs budget, and waiting is the clock port's business.

use super::budget::Budget;
use super::failpoints::Failpoint;
use super::heartbeat::Heartbeat;
use super::inventory::misfit;
use super::ports::{Deposed, Ports};
use super::queue::Class;
use crate::api;
use crate::cloud::{Call, CallClass, CallError, Cloud, ErrorClass, LocalFile, PackageKey, Reply};
use crate::decide::clocks::CloudTime;
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tracing::Instrument as _;

/// Attempts of a call that may be repeated.
const ATTEMPTS: u32 = 3;
/// Longest wait between two attempts of one call; a longer wait is the queue's business.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Longest time that attempts of one call may have taken for it to be made again: everybody else of the account waits meanwhile.
const LONGEST_ATTEMPTS: SignedDuration = SignedDuration::from_secs(15);

/// How many calls were made, by operation and by what became of them: [`SUCCEEDED`], or the class of the error.
pub type Calls = BTreeMap<(&'static str, &'static str), u64>;

/// What became of a call that did what it was for.
pub const SUCCEEDED: &str = "Succeeded";

/// What time a cloud said it was, at some time within a call.
#[derive(Clone, Copy)]
struct Heard {
    said: Timestamp,
    began: Timestamp,
    ended: Timestamp,
}

/// One cloud account with its budget.
pub struct Account {
    cloud: Arc<dyn Cloud>,
    budget: Budget,
    ports: Ports,
    calls: Calls,
    answered: bool,
    heard: Option<Heard>,
    limit: api::Budget,
    heartbeat: Heartbeat,
}

impl Account {
    /// An account whose budget is full.
    #[must_use]
    pub(super) fn new(
        cloud: Arc<dyn Cloud>,
        limit: Option<api::Budget>,
        ports: Ports,
        heartbeat: Heartbeat,
    ) -> Self {
        let default = cloud.capabilities();
        let (requests_per_second, burst) = (default.requests_per_second, default.burst);
        let limit = limit.unwrap_or(api::Budget { requests_per_second, burst });
        let budget = Budget::new(limit.requests_per_second, limit.burst, ports.clock.now());
        Self { cloud, budget, ports, calls: Calls::new(), answered: false, heard: None, limit, heartbeat }
    }

    /// The same account as its `OtaCloud` describes it now: other keys or another limit give no call back.
    #[must_use]
    pub fn reconnected(self, cloud: Arc<dyn Cloud>, limit: Option<api::Budget>) -> Self {
        let fresh = Self::new(cloud, limit, self.ports.clone(), self.heartbeat.clone());
        let (rate, burst) = (fresh.limit.requests_per_second, fresh.limit.burst);
        let budget = self.budget.under(rate, burst, self.ports.clock.now());
        Self { budget, calls: self.calls, heard: self.heard, ..fresh }
    }

    /// The client, for what costs no call.
    #[must_use]
    pub fn cloud(&self) -> &dyn Cloud {
        self.cloud.as_ref()
    }

    /// The time that looks are dated with.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// What the cloud's clock says now, as far as its last answer that told it can tell.
    #[must_use]
    pub fn cloud_time(&self) -> Option<CloudTime> {
        let (heard, now) = (self.heard?, self.ports.clock.now());
        let after = |length| heard.said.saturating_add(length).unwrap_or(Timestamp::MAX);
        let (earliest, latest) = (now.duration_since(heard.ended), now.duration_since(heard.began));
        // What it says is of whole seconds.
        let latest = latest.saturating_add(SignedDuration::from_secs(1));
        Some(CloudTime { earliest: after(earliest), latest: after(latest) })
    }

    /// True once a call succeeded.
    #[must_use]
    pub const fn has_answered(&self) -> bool {
        self.answered
    }

    /// Whether it answers must be found out again.
    pub(super) const fn doubt(&mut self) {
        self.answered = false;
    }

    /// Calls made so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Calls that succeeded so far.
    #[must_use]
    pub fn successes(&self) -> u64 {
        self.calls.iter().filter(|((_, outcome), _)| *outcome == SUCCEEDED).map(|(_, calls)| calls).sum()
    }

    /// Calls that it may cost.
    #[must_use]
    pub const fn limit(&self) -> api::Budget {
        self.limit
    }

    /// Calls made so far: every attempt that has ended.
    #[must_use]
    pub const fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Calls a second that it may cost at present, in thousandths: fewer than its limit after the cloud throttled it.
    #[must_use]
    pub const fn rate_milli(&self) -> u64 {
        self.budget.rate_milli()
    }

    /// Makes a call within the budget. What may be repeated is repeated after a transient error; a create never is.
    ///
    /// # Errors
    /// The last attempt's error.
    pub async fn call(&mut self, call: &Call, urgency: Class) -> Result<Reply, CallError> {
        let (mut attempt, began) = (1, self.ports.clock.now());
        loop {
            match self.attempt(call, urgency, None).await {
                Ok(reply) => return Ok(reply),
                Err(error) => self.wait_to_repeat(call, (attempt, began), error).await?,
            }
            attempt += 1;
        }
    }

    /// Uploads a file; says what the cloud calls it. Each attempt has a permit of its own, because permits do not last.
    ///
    /// # Errors
    /// The last attempt's error, or that of the call for its permit.
    pub async fn upload(
        &mut self,
        package: &PackageKey,
        file: &LocalFile,
        urgency: Class,
    ) -> Result<String, CallError> {
        let (mut attempt, began) = (1, self.ports.clock.now());
        loop {
            let call = Call::PermitUpload { package: package.clone(), file: file.clone() };
            let Reply::Permitted(permit) = self.call(&call, urgency).await? else {
                return Err(misfit(&call));
            };
            let call = Call::Upload { file: file.clone(), permit };
            match self.attempt(&call, urgency, None).await {
                Ok(Reply::Uploaded(handle)) => return Ok(handle),
                Ok(_) => return Err(misfit(&call)),
                Err(error) => self.wait_to_repeat(&call, (attempt, began), error).await?,
            }
            attempt += 1;
        }
    }

    /// Waits until a call may be repeated, of which so many attempts were made since it `began`; gives its error back if it may not.
    async fn wait_to_repeat(
        &mut self,
        call: &Call,
        (attempt, began): (u32, Timestamp),
        error: CallError,
    ) -> Result<(), CallError> {
        let repeatable = matches!(call.class(), CallClass::Read | CallClass::Idempotent);
        let pause = self.pause(attempt, error.retry_after);
        let is_over = attempt == ATTEMPTS || self.ports.clock.now().duration_since(began) > LONGEST_ATTEMPTS;
        if !repeatable || is_over || pause > LONGEST_PAUSE || !worth_repeating(error.class) {
            return Err(error);
        }
        self.ports.sleep(pause).await;
        Ok(())
    }

    /// Waits until the budget would let a call leave at once.
    pub async fn wait_for_budget(&mut self, urgency: Class) {
        while let Err(at) = self.budget.allows(urgency, self.ports.clock.now()) {
            self.heartbeat.moves(at);
            self.ports.clock.sleep_until(at).await;
        }
    }

    /// Makes a call that creates something, if it can leave before `closes`.
    ///
    /// # Errors
    /// The call's: it is made once.
    pub async fn create(
        &mut self,
        call: &Call,
        urgency: Class,
        closes: Option<Timestamp>,
    ) -> Result<Reply, CallError> {
        self.attempt(call, urgency, closes).await
    }

    async fn attempt(
        &mut self,
        call: &Call,
        urgency: Class,
        closes: Option<Timestamp>,
    ) -> Result<Reply, CallError> {
        while let Err(at) = self.budget.take(urgency, self.ports.clock.now()) {
            self.heartbeat.moves(at);
            self.ports.clock.sleep_until(at).await;
        }
        self.heartbeat.moves(self.ports.clock.now());
        // The wait for the budget may have been long: nothing stands between these questions and the call.
        if closes.is_some_and(|closes| self.ports.clock.now() >= closes) {
            return Err(too_late(call));
        }
        if call.class() != CallClass::Read && self.ports.leadership.check().await.is_err() {
            return Err(deposed(call));
        }
        let (cloud, operation) = (self.cloud.capabilities().cloud.as_str(), call.operation());
        self.ports.faults.pass(Failpoint::before(operation));
        // The client records the id that the cloud gave the request.
        let span = tracing::info_span!("call", cloud, operation, request = tracing::field::Empty);
        let began = self.ports.clock.now();
        let result = self.cloud.perform(call, self.ports.clock.wall()).instrument(span.clone()).await;
        self.ports.faults.pass(Failpoint::after(operation));
        let outcome = result.as_ref().map_or_else(|error| error.class.as_str(), |_| SUCCEEDED);
        *self.calls.entry((operation, outcome)).or_default() += 1;
        let now = self.ports.clock.now();
        let heard = self.cloud.take_time().map(|said| Heard { said, began, ended: now });
        self.heard = heard.or(self.heard);
        span.in_scope(|| match &result {
            Ok(_) => {
                self.answered = true;
                self.budget.succeeded(now);
            }
            // To look for something that is not there is part of the work.
            Err(error) if error.class == ErrorClass::NotFound => tracing::debug!("{error}"),
            Err(error) => {
                tracing::warn!(class = error.class.as_str(), "{error}");
                if error.class == ErrorClass::Throttled {
                    self.budget.throttled(now, error.retry_after);
                }
            }
        });
        result
    }

    fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let ceiling = 200_u64 << attempt;
        let jitter = Duration::from_millis(100 + self.ports.rng.below(ceiling));
        asked.map_or(jitter, |asked| asked.max(jitter))
    }
}

fn deposed(call: &Call) -> CallError {
    CallError::new(ErrorClass::NotSent, call.operation(), Deposed::MESSAGE).next_step(Deposed::NEXT_STEP)
}

fn too_late(call: &Call) -> CallError {
    CallError::new(ErrorClass::NotSent, call.operation(), "not sent: its window closed meanwhile")
        .next_step("wait: it is sent when the next window opens")
}

const fn worth_repeating(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::Throttled | ErrorClass::Unavailable)
}
