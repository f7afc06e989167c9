//! The engine's ports in a real process: the machine's clock, a random source, HTTP.

use super::boot;
use super::connect::HttpConnector;
use super::session_files::SessionFiles;
use super::vault::SecretVault;
use crate::cloud::TransportError;
use crate::decide::clocks::Boot;
#[cfg(debug_assertions)]
use crate::engine::failpoints::Failpoint;
use crate::engine::ports::{Clock, Faults, LogRecorder, NoFaults, Ports, Rng, Sole};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time servers adjust a clock gently by less than this; more means that it was set, or that the machine slept.
const MOST_OFF: SignedDuration = SignedDuration::from_secs(10);

/// The ports of a process that works on a real cloud.
///
/// # Errors
/// The HTTP client cannot be built, for example without a trust store.
pub fn real(clock: SystemClock) -> Result<Ports, TransportError> {
    Ok(Ports {
        clock: Arc::new(clock),
        rng: Arc::new(Random(Mutex::new(fastrand::Rng::new()))),
        connector: Arc::new(HttpConnector::new()?),
        leadership: Arc::new(Sole),
        recorder: Arc::new(LogRecorder),
        faults: faults(),
    })
}

/// The ports of one of the processes that share the state in `dir`: they share their sessions.
///
/// # Errors
/// As [`real`].
pub fn of_state(clock: SystemClock, dir: &Path) -> Result<Ports, TransportError> {
    let connector = HttpConnector::new()?;
    let connector = match SessionFiles::beside(dir) {
        Some(files) => connector.sharing(Arc::new(files)),
        None => connector,
    };
    Ok(Ports { connector: Arc::new(connector), ..real(clock)? })
}

/// The ports of a process that reads the accounts of a cluster and changes nothing.
///
/// # Errors
/// As [`real`].
pub fn of_cluster(clock: SystemClock, client: Client) -> Result<Ports, TransportError> {
    let connector = HttpConnector::new()?.with_vault(Arc::new(SecretVault::peeked(client)));
    Ok(Ports { connector: Arc::new(connector), ..real(clock)? })
}

/// A clock that takes the time from the machine once and then runs steadily, `factor` times as fast for rehearsals.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    since: Timestamp,
    began: Instant,
    factor: u32,
    boot: Option<Boot>,
}

impl SystemClock {
    /// A clock at the machine's time.
    #[must_use]
    pub fn new() -> Self {
        Self::faster(1)
    }

    /// A clock that runs `factor` times as fast as the machine's from now on.
    #[must_use]
    pub fn faster(factor: u32) -> Self {
        let (since, began, factor) = (Timestamp::now(), Instant::now(), factor.max(1));
        Self { since, began, factor, boot: boot::since(since, factor) }
    }

    /// A clock at the machine's time of now, with the same speed.
    #[must_use]
    pub fn restarted(self) -> Self {
        Self::faster(self.factor)
    }

    /// True when it is not the machine's own time.
    #[must_use]
    pub const fn is_faster(self) -> bool {
        self.factor > 1
    }

    /// True when the machine's clock, which shows `wall`, was set since this one took the time from it, or the machine slept.
    #[must_use]
    pub fn is_off(self, wall: Timestamp) -> bool {
        let steady = self.since.saturating_add(self.began.elapsed()).unwrap_or(Timestamp::MAX);
        wall.duration_since(steady).abs() > MOST_OFF
    }

    fn wait(self, deadline: Timestamp) -> Duration {
        let left = deadline.duration_since(self.now()) / i32::try_from(self.factor).unwrap_or(i32::MAX);
        Duration::try_from(left).unwrap_or_default()
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
        let elapsed = self.began.elapsed().saturating_mul(self.factor);
        self.since.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn boot(&self) -> Option<Boot> {
        self.boot
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

/// A debug build kills itself with SIGKILL at the failpoint that `ROLLWAVE_CRASH_AT` names: crash tests need real processes.
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
    fn pass(&self, point: Failpoint) {
        if self.0 == point.to_string() {
            let _ =
                std::process::Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_noticed_and_does_not_move_the_time_that_waits_are_counted_in() {
        let clock = SystemClock::new();
        let wall = |seconds| Timestamp::now().saturating_add(SignedDuration::from_secs(seconds)).unwrap();
        assert!(!clock.is_off(wall(0)) && !clock.is_off(wall(5)));
        assert!(clock.is_off(wall(3_600)) && clock.is_off(wall(-3_600)));
        let before = clock.now();
        assert!(clock.now().duration_since(before) < SignedDuration::from_secs(60));
    }
}
