//! The calls to an account, one at a time, within its budget. Reads are retried here and not in the transport, because each
//! attempt costs budget and waits on the clock port.

use super::account::{Account, Heard, SUCCEEDED, misfit};
use super::failpoints::Failpoint;
use super::ports::Deposed;
use super::priority::Priority;
use crate::cloud::{Call, CallClass, CallError, ErrorClass, LocalFile, PackageKey, Reply};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tracing::Instrument as _;

/// How often a repeatable call is attempted.
const ATTEMPTS: u32 = 3;
/// Longest wait between two attempts of one call; longer waits are left to the queue.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Attempts of one call stop after this time, because all other objects of the account wait meanwhile.
const LONGEST_ATTEMPTS: SignedDuration = SignedDuration::from_secs(15);

/// An account, and how urgent the calls are that are made to it.
pub struct Caller<'a> {
    pub(super) account: &'a mut Account,
    pub(super) priority: Priority,
}

impl Account {
    /// The account for calls that are so urgent.
    pub const fn at(&mut self, priority: Priority) -> Caller<'_> {
        Caller { account: self, priority }
    }
}

impl Caller<'_> {
    /// Makes a call within the budget. Repeatable calls are retried after a transient error; a create never is.
    ///
    /// # Errors
    /// The last attempt's error.
    pub async fn call(&mut self, call: &Call) -> Result<Reply, CallError> {
        let (mut attempt, began) = (1, self.account.ports.clock.now());
        loop {
            match self.attempt(call, None).await {
                Ok(reply) => return Ok(reply),
                Err(error) => self.wait_to_repeat(call, (attempt, began), error).await?,
            }
            attempt += 1;
        }
    }

    /// Uploads a file and returns the cloud's handle of it. Each attempt requests its own permit, because permits
    /// expire.
    ///
    /// # Errors
    /// The last attempt's error, or that of the call for its permit.
    pub async fn upload(&mut self, package: &PackageKey, file: &LocalFile) -> Result<String, CallError> {
        let (mut attempt, began) = (1, self.account.ports.clock.now());
        loop {
            let call = Call::PermitUpload { package: package.clone(), file: file.clone() };
            let Reply::Permitted(permit) = self.call(&call).await? else {
                return Err(misfit(&call));
            };
            let call = Call::Upload { file: file.clone(), permit };
            match self.attempt(&call, None).await {
                Ok(Reply::Uploaded(handle)) => return Ok(handle),
                Ok(_) => return Err(misfit(&call)),
                Err(error) => self.wait_to_repeat(&call, (attempt, began), error).await?,
            }
            attempt += 1;
        }
    }

    /// Waits before the next attempt of a call; returns the error if the call must not be repeated.
    async fn wait_to_repeat(
        &mut self,
        call: &Call,
        (attempt, began): (u32, Timestamp),
        error: CallError,
    ) -> Result<(), CallError> {
        let repeatable = matches!(call.class(), CallClass::Read | CallClass::Idempotent);
        let pause = self.pause(attempt, error.retry_after);
        let is_over =
            attempt == ATTEMPTS || self.account.ports.clock.now().duration_since(began) > LONGEST_ATTEMPTS;
        if !repeatable || is_over || pause > LONGEST_PAUSE || !worth_repeating(error.class) {
            return Err(error);
        }
        self.account.ports.sleep(pause).await;
        Ok(())
    }

    /// Waits until the budget allows a call.
    pub async fn wait_for_budget(&mut self) {
        while let Err(at) = self.account.budget.allows(self.priority, self.account.ports.clock.now()) {
            self.account.heartbeat.moves(at);
            self.account.ports.clock.sleep_until(at).await;
        }
    }

    /// Makes a call that creates something, if it can be sent before `closes`.
    ///
    /// # Errors
    /// The error of the call, which is made once.
    pub async fn create(&mut self, call: &Call, closes: Option<Timestamp>) -> Result<Reply, CallError> {
        self.attempt(call, closes).await
    }

    async fn attempt(&mut self, call: &Call, closes: Option<Timestamp>) -> Result<Reply, CallError> {
        while let Err(at) = self.account.budget.take(self.priority, self.account.ports.clock.now()) {
            self.account.heartbeat.moves(at);
            self.account.ports.clock.sleep_until(at).await;
        }
        self.account.heartbeat.moves(self.account.ports.clock.now());
        // The wait for the budget may have been long, so these checks come directly before the call.
        if closes.is_some_and(|closes| self.account.ports.clock.now() >= closes) {
            return Err(too_late(call));
        }
        if call.class() != CallClass::Read && self.account.ports.leadership.check().await.is_err() {
            return Err(deposed(call));
        }
        let (cloud, operation) = (self.account.cloud.capabilities().cloud.as_str(), call.operation());
        self.account.ports.faults.pass(Failpoint::before(operation));
        // The client records the id that the cloud gave the request.
        let span = tracing::info_span!("call", cloud, operation, request = tracing::field::Empty);
        let began = self.account.ports.clock.now();
        let result =
            self.account.cloud.perform(call, self.account.ports.clock.wall()).instrument(span.clone()).await;
        self.account.ports.faults.pass(Failpoint::after(operation));
        let outcome = result.as_ref().map_or_else(|error| error.class.as_str(), |_| SUCCEEDED);
        *self.account.calls.entry((operation, outcome)).or_default() += 1;
        let now = self.account.ports.clock.now();
        let heard = self.account.cloud.take_time().map(|said| Heard { said, began, ended: now });
        self.account.heard = heard.or(self.account.heard);
        span.in_scope(|| match &result {
            Ok(_) => {
                self.account.answered = true;
                self.account.budget.succeeded(now);
            }
            // Not finding something is an expected result.
            Err(error) if error.class == ErrorClass::NotFound => tracing::debug!("{error}"),
            Err(error) => {
                tracing::warn!(class = error.class.as_str(), "{error}");
                if error.class == ErrorClass::Throttled {
                    self.account.budget.throttled(now, error.retry_after);
                }
            }
        });
        result
    }

    fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let ceiling = 200_u64 << attempt;
        let jitter = Duration::from_millis(100 + self.account.ports.rng.below(ceiling));
        asked.map_or(jitter, |asked| asked.max(jitter))
    }
}

fn deposed(call: &Call) -> CallError {
    CallError::new(ErrorClass::NotSent, call.operation(), Deposed::MESSAGE).next_step(Deposed::NEXT_STEP)
}

fn too_late(call: &Call) -> CallError {
    CallError::new(ErrorClass::NotSent, call.operation(), "not sent: the window of its stage has closed")
        .next_step("wait: it is sent when the next window opens")
}

const fn worth_repeating(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::Throttled | ErrorClass::Unavailable)
}
