//! The engine's ports in a real process: the machine's clock, a random source, HTTP.

use super::connect::HttpConnector;
use crate::cloud::TransportError;
#[cfg(debug_assertions)]
use crate::engine::points::Point;
use crate::engine::ports::{Clock, Faults, NoFaults, Ports, Rng};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Waits are cut to this and begun anew, so that a machine that slept, or a clock that was set, is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// The ports of a process that works on a real cloud.
///
/// # Errors
/// The HTTP client cannot be made, say because there is no trust store.
pub fn real(clock: SystemClock) -> Result<Ports, TransportError> {
    Ok(Ports {
        clock: Arc::new(clock),
        rng: Arc::new(Random(Mutex::new(fastrand::Rng::new()))),
        connector: Arc::new(HttpConnector::new()?),
        faults: faults(),
    })
}

/// The machine's clock, running `factor` times as fast from `since` on; a rehearsal speeds it up.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    since: Timestamp,
    factor: u32,
}

impl SystemClock {
    /// The machine's clock as it is.
    #[must_use]
    pub fn new() -> Self {
        Self::faster(1)
    }

    /// A clock that runs `factor` times as fast as the machine's from now on.
    #[must_use]
    pub fn faster(factor: u32) -> Self {
        Self { since: Timestamp::now(), factor: factor.max(1) }
    }

    /// True when it is not the machine's own time.
    #[must_use]
    pub const fn is_faster(self) -> bool {
        self.factor > 1
    }

    fn wait(self, deadline: Timestamp) -> Duration {
        let left = deadline.duration_since(self.now()) / i32::try_from(self.factor).unwrap_or(i32::MAX);
        Duration::try_from(left).unwrap_or_default().min(LONGEST_SLEEP)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed: SignedDuration = Timestamp::now().duration_since(self.since);
        let factor = i32::try_from(self.factor).unwrap_or(i32::MAX);
        self.since.saturating_add(elapsed.saturating_mul(factor)).unwrap_or(Timestamp::MAX)
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        while self.now() < deadline {
            // At least a millisecond: a wait that rounds to nothing must not spin.
            tokio::time::sleep(self.wait(deadline).max(Duration::from_millis(1))).await;
        }
    }
}

struct Random(Mutex<fastrand::Rng>);

impl Rng for Random {
    fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.0.lock().unwrap_or_else(PoisonError::into_inner).u64(..bound) }
    }
}

#[cfg(not(debug_assertions))]
fn faults() -> Arc<dyn Faults> {
    Arc::new(NoFaults)
}

/// A debug build dies by SIGKILL at the point that `ROLLWAVE_CRASH_AT` names: crash tests need real processes.
#[cfg(debug_assertions)]
fn faults() -> Arc<dyn Faults> {
    match std::env::var("ROLLWAVE_CRASH_AT") {
        Ok(point) => Arc::new(CrashAt(point)),
        Err(_) => Arc::new(NoFaults),
    }
}

#[cfg(debug_assertions)]
struct CrashAt(String);

#[cfg(debug_assertions)]
impl Faults for CrashAt {
    fn pass(&self, point: Point) {
        if self.0 == point.to_string() {
            let _ =
                std::process::Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
            std::process::abort();
        }
    }
}
