//! Time for requests to an API server and for the Lease. A port, so that a test may control it.

use async_trait::async_trait;
use jiff::Timestamp;
use std::time::{Duration, Instant, SystemTime};

/// A moment by the steady clock and by the wall clock, each since some origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Runs steadily, but may stop while the machine sleeps.
    pub steady: Duration,
    /// Runs while the machine sleeps, but may be set.
    pub wall: Duration,
}

impl Moment {
    /// True when certainly less than this has passed since `earlier`.
    pub(super) fn is_within(self, limit: Duration, earlier: Self) -> bool {
        self.steady.saturating_sub(earlier.steady) < limit && self.wall.abs_diff(earlier.wall) < limit
    }

    /// The earlier one, by each clock.
    pub(super) fn earlier(self, other: Self) -> Self {
        Self { steady: self.steady.min(other.steady), wall: self.wall.min(other.wall) }
    }
}

/// Time.
#[async_trait]
pub trait Time: Send + Sync {
    /// Now, by both clocks.
    fn moment(&self) -> Moment;

    /// The wall clock time, for users.
    fn stamp(&self) -> Timestamp;

    /// Returns after this duration.
    async fn sleep(&self, length: Duration);
}

/// The result of a request; `late` when there is no response within `limit`.
pub(super) async fn within<T>(
    time: &dyn Time,
    limit: Duration,
    request: impl Future<Output = T>,
    late: impl FnOnce() -> T,
) -> T {
    tokio::select! {
        biased;
        answer = request => answer,
        () = time.sleep(limit) => late(),
    }
}

/// The machine's own time.
#[derive(Clone, Copy, Debug)]
pub struct MachineTime {
    steady: Instant,
    wall: SystemTime,
}

impl Default for MachineTime {
    fn default() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }
}

#[async_trait]
impl Time for MachineTime {
    fn moment(&self) -> Moment {
        // A wall clock that was set to before the origin is far from everything.
        let wall = SystemTime::now().duration_since(self.wall).unwrap_or(Duration::MAX / 2);
        Moment { steady: self.steady.elapsed(), wall }
    }

    fn stamp(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}
