//! What the engine needs from outside: time, randomness, clouds, and places where it may be made to crash.

use super::points::Point;
use crate::api::OtaCloud;
use crate::cloud::{CallError, Cloud};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};

/// Everything that the engine needs from outside, but for the state.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub rng: Arc<dyn Rng>,
    /// Clouds.
    pub connector: Arc<dyn Connector>,
    /// Crashes, in tests.
    pub faults: Arc<dyn Faults>,
}

impl Ports {
    /// Sleeps for so long, by the clock port.
    pub async fn sleep(&self, length: Duration) {
        let deadline = self.clock.now().saturating_add(length).unwrap_or(Timestamp::MAX);
        self.clock.sleep_until(deadline).await;
    }
}

/// Time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time that soaks, budgets and decisions are counted in.
    fn now(&self) -> Timestamp;

    /// The time that requests are signed with. Differs from [`Self::now`] only where a rehearsal runs faster than life.
    fn wall(&self) -> Timestamp {
        self.now()
    }

    /// Returns at `deadline`, counted as [`Self::now`] counts.
    async fn sleep_until(&self, deadline: Timestamp);
}

/// Randomness; used for jitter only, never for a decision.
pub trait Rng: Send + Sync {
    /// A number below `bound`; 0 when `bound` is 0.
    fn below(&self, bound: u64) -> u64;
}

/// Makes a client out of an `OtaCloud`: reads its secrets and opens its transport.
#[async_trait]
pub trait Connector: Send + Sync {
    /// A client for this account.
    ///
    /// # Errors
    /// [`CallError`] when a secret cannot be read or the address is not usable; says which.
    async fn connect(&self, cloud: &OtaCloud) -> Result<Arc<dyn Cloud>, CallError>;
}

/// Named places where a test may make the process die. Does nothing in a release build.
pub trait Faults: Send + Sync {
    /// Called when the engine passes a point.
    fn pass(&self, point: Point);
}

/// No faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn pass(&self, _point: Point) {}
}
