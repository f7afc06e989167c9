//! The time of a Lease in a world.

use super::super::faults::Life;
use super::super::{Shared, lock};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollwave::state::kubernetes::time::{Moment, Time};
use std::sync::Arc;
use std::time::Duration;

/// No clock is ever set so far back that the wall clock would stand before its beginning.
const LONG_AGO: Duration = Duration::from_secs(1_000_000_000);

/// Stands still once nobody competes any more, so that hours of rest cost no renewals.
pub(super) struct LeaseTime {
    pub(super) shared: Arc<Shared>,
    pub(super) life: Life,
}

impl LeaseTime {
    fn real(shared: &Shared) -> Moment {
        let steady = shared.timeline.now().duration_since(super::super::play::START);
        let since = |length: SignedDuration| {
            let long_ago = SignedDuration::try_from(LONG_AGO).unwrap_or(SignedDuration::MAX);
            length.saturating_add(long_ago).unsigned_abs()
        };
        Moment { steady: since(steady), wall: since(steady.saturating_add(shared.wall.ahead())) }
    }

    /// From now on it stands still.
    pub(super) fn stop(shared: &Shared, still: &mut Option<Moment>) {
        still.get_or_insert_with(|| Self::real(shared));
    }

    fn still(&self) -> Option<Moment> {
        self.shared.cluster.as_ref().and_then(|cluster| *lock(&cluster.still))
    }
}

#[async_trait]
impl Time for LeaseTime {
    fn moment(&self) -> Moment {
        self.still().unwrap_or_else(|| Self::real(&self.shared))
    }

    fn stamp(&self) -> Timestamp {
        let now = self.shared.timeline.now();
        now.saturating_add(self.shared.wall.ahead()).unwrap_or(now)
    }

    async fn sleep(&self, length: Duration) {
        let now = self.shared.timeline.now();
        self.shared.timeline.sleep_until(now.saturating_add(length).unwrap_or(Timestamp::MAX)).await;
        self.life.go_on().await;
        if self.still().is_some() {
            std::future::pending::<()>().await;
        }
    }
}
