//! One cloud account: its client, its budget, and what its calls have shown. The calls themselves are made in `caller`.

use super::budget::Budget;
use super::heartbeat::Heartbeat;
use super::ports::Ports;
use crate::api;
use crate::cloud::{Call, CallError, Cloud, ErrorClass};
use crate::decide::clocks::CloudTime;
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeMap, sync::Arc};

/// Number of calls by operation and outcome: [`SUCCEEDED`], or the class of the error.
pub type Calls = BTreeMap<(&'static str, &'static str), u64>;

/// Outcome of a call that succeeded.
pub const SUCCEEDED: &str = "Succeeded";

/// The time that a cloud reported within a call.
#[derive(Clone, Copy)]
pub(super) struct Heard {
    pub(super) said: Timestamp,
    pub(super) began: Timestamp,
    pub(super) ended: Timestamp,
}

/// One cloud account with its budget.
pub struct Account {
    pub(super) cloud: Arc<dyn Cloud>,
    pub(super) budget: Budget,
    pub(super) ports: Ports,
    pub(super) calls: Calls,
    pub(super) answered: bool,
    pub(super) heard: Option<Heard>,
    limit: api::Budget,
    pub(super) heartbeat: Heartbeat,
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

    /// The same account with the credentials and limit of its edited `OtaCloud`. Spent budget stays spent.
    #[must_use]
    pub fn reconnected(self, cloud: Arc<dyn Cloud>, limit: Option<api::Budget>) -> Self {
        let fresh = Self::new(cloud, limit, self.ports.clone(), self.heartbeat.clone());
        let (rate, burst) = (fresh.limit.requests_per_second, fresh.limit.burst);
        let budget = self.budget.under(rate, burst, self.ports.clock.now());
        Self { budget, calls: self.calls, heard: self.heard, ..fresh }
    }

    /// The client, for operations that cost no call.
    #[must_use]
    pub fn cloud(&self) -> &dyn Cloud {
        self.cloud.as_ref()
    }

    /// The current time, used to date observations.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// The current time of the cloud's clock, as far as its last reply that reported one shows.
    #[must_use]
    pub fn cloud_time(&self) -> Option<CloudTime> {
        let (heard, now) = (self.heard?, self.ports.clock.now());
        let after = |length| heard.said.saturating_add(length).unwrap_or(Timestamp::MAX);
        let (earliest, latest) = (now.duration_since(heard.ended), now.duration_since(heard.began));
        // Clouds report whole seconds.
        let latest = latest.saturating_add(SignedDuration::from_secs(1));
        Some(CloudTime { earliest: after(earliest), latest: after(latest) })
    }

    /// True once a call succeeded.
    #[must_use]
    pub const fn has_answered(&self) -> bool {
        self.answered
    }

    /// Marks that the account must be checked again.
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

    /// The configured limit.
    #[must_use]
    pub const fn limit(&self) -> api::Budget {
        self.limit
    }

    /// Calls made so far: every attempt that has ended.
    #[must_use]
    pub const fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Calls per second that are allowed at present, in thousandths: below the limit after the cloud throttled.
    #[must_use]
    pub const fn rate_milli(&self) -> u64 {
        self.budget.rate_milli()
    }
}

/// The client returned a reply that does not match the call.
pub(super) fn misfit(call: &Call) -> CallError {
    CallError::new(
        ErrorClass::Unintelligible,
        call.operation(),
        "the client returned a reply that does not match the request",
    )
    .next_step("report this as a bug in Rollwave")
}
