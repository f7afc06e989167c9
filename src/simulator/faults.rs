//! Injected faults: what fails, with which calls, and how often.

use super::draw;
use crate::api::CloudKind;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whether a fault is injected before the call has had its effect, or after.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// Nothing has happened in the cloud.
    #[default]
    Before,
    /// Everything has happened in the cloud; only the answer does not arrive.
    After,
}

/// What fails.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum Kind {
    /// The answer comes later.
    Latency {
        /// Milliseconds of wall time.
        millis: u64,
    },
    /// A server error.
    Error {
        /// HTTP status.
        status: u16,
        /// Before or after the effect.
        #[serde(default)]
        when: When,
    },
    /// The connection is cut without an answer.
    Reset {
        /// Before or after the effect.
        #[serde(default)]
        when: When,
    },
    /// No answer comes; the connection stays open.
    Hang {
        /// Before or after the effect.
        #[serde(default)]
        when: When,
    },
    /// After the effect, an answer with the right status that is not JSON.
    Garbage {},
    /// After the effect, half of the answer; then the connection is cut.
    Truncated {},
    /// Lists leave out what was created less than this long ago.
    Stale {
        /// Seconds of fleet time: a cloud whose time runs fast lags for a shorter while.
        seconds: i64,
    },
    /// From now on every call is refused with 429.
    Throttle {
        /// Seconds of wall time.
        seconds: i64,
    },
    /// All IAM tokens end now.
    ExpireTokens {},
    /// The gateway's clock is wrong: signatures and tokens are judged by it.
    Skew {
        /// Seconds that it is ahead; negative: behind.
        seconds: i64,
    },
}

/// A fault to be injected.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Cloud whose calls it affects; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudKind>,
    /// Operation that it affects, such as `CreateOtaPackage`; `*` for all.
    #[serde(default = "all")]
    pub operation: String,
    /// How many calls it affects; until it is cleared when absent.
    #[serde(default)]
    pub count: Option<u32>,
    /// Chance with which it affects a call, 0 to 1; always when absent.
    #[serde(default)]
    pub probability: Option<f64>,
    /// What fails.
    #[serde(flatten)]
    pub kind: Kind,
}

fn all() -> String {
    "*".to_owned()
}

/// What fails in one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// How much later the answer comes.
    pub delay: Duration,
    /// What happens instead of the effect.
    pub before: Option<Act>,
    /// What happens to the answer.
    pub after: Option<Act>,
    /// Lists leave out what is newer.
    pub stale: Option<SignedDuration>,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// An error with this status.
    Status(u16),
    /// The connection is cut.
    Reset,
    /// No answer.
    Hang,
    /// Not JSON.
    Garbage,
    /// Half of the answer.
    Truncated,
}

/// The faults of a simulator.
#[derive(Debug, Default)]
pub struct Faults {
    seed: u64,
    draws: u64,
    active: Vec<Fault>,
    /// Until when calls are refused; in one cloud, or in all of them.
    storms: Vec<(Option<CloudKind>, Timestamp)>,
    skew: SignedDuration,
}

impl Faults {
    /// No faults. Chances are drawn from the seed and the number of the call.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Injects a fault. `ExpireTokens` is the caller's to carry out.
    pub fn inject(&mut self, fault: Fault, wall: Timestamp) {
        match fault.kind {
            Kind::Throttle { seconds } => {
                let until = wall.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
                self.storms.push((fault.cloud, until));
            }
            Kind::Skew { seconds } => self.skew = SignedDuration::from_secs(seconds),
            Kind::ExpireTokens {} => {}
            _ => self.active.push(fault),
        }
    }

    /// Takes all faults away: storm and skew, too.
    pub fn clear(&mut self) {
        self.active.clear();
        self.storms.clear();
        self.skew = SignedDuration::ZERO;
    }

    /// Faults that are still injected.
    #[must_use]
    pub fn active(&self) -> &[Fault] {
        &self.active
    }

    /// Whether a storm of throttling is on.
    #[must_use]
    pub fn is_storm(&self, cloud: CloudKind, wall: Timestamp) -> bool {
        let covers = |storm: &Option<CloudKind>| storm.is_none_or(|storm| storm == cloud);
        self.storms.iter().any(|(storm, until)| covers(storm) && wall < *until)
    }

    /// The gateway's clock.
    #[must_use]
    pub fn gateway_time(&self, wall: Timestamp) -> Timestamp {
        wall.checked_add(self.skew).unwrap_or(wall)
    }

    /// What fails in the next call of an operation.
    pub fn plan(&mut self, cloud: CloudKind, operation: &str) -> Plan {
        let mut plan = Plan::default();
        for fault in &mut self.active {
            let elsewhere = fault.cloud.is_some_and(|affected| affected != cloud);
            if elsewhere || (fault.operation != "*" && fault.operation != operation) {
                continue;
            }
            self.draws += 1;
            let chance = || draw::unit(self.seed, &["fault", &self.draws.to_string()]);
            if fault.probability.is_some_and(|probability| chance() >= probability) {
                continue;
            }
            fault.count = fault.count.map(|left| left.saturating_sub(1));
            plan.add(fault.kind);
        }
        self.active.retain(|fault| fault.count != Some(0));
        plan
    }
}

impl Plan {
    fn add(&mut self, kind: Kind) {
        let (when, act) = match kind {
            Kind::Latency { millis } => {
                self.delay += Duration::from_millis(millis);
                return;
            }
            Kind::Stale { seconds } => {
                self.stale = Some(SignedDuration::from_secs(seconds));
                return;
            }
            Kind::Error { status, when } => (when, Act::Status(status)),
            Kind::Reset { when } => (when, Act::Reset),
            Kind::Hang { when } => (when, Act::Hang),
            Kind::Garbage {} => (When::After, Act::Garbage),
            Kind::Truncated {} => (When::After, Act::Truncated),
            Kind::Throttle { .. } | Kind::ExpireTokens {} | Kind::Skew { .. } => return,
        };
        match when {
            When::Before => self.before = self.before.or(Some(act)),
            When::After => self.after = self.after.or(Some(act)),
        }
    }
}
