//! Virtual time. It stands still while anything can run, and then jumps to the next moment at which something happens.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollwave::decide::clocks::Boot;
use rollwave::engine::ports::Clock;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// The true time of a world, and everybody who waits for it.
pub(super) struct Timeline(Mutex<Waiting>);

struct Waiting {
    now: Timestamp,
    turn: u64,
    /// By deadline, then by who came first.
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
}

impl Timeline {
    pub(super) fn new(start: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Waiting { now: start, turn: 0, sleepers: BTreeMap::new() })))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.waiting().now
    }

    /// When the next sleeper wakes.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.waiting().sleepers.first_key_value().map(|((due, _), _)| *due)
    }

    /// Lets time jump, and wakes everybody whose time has come.
    pub(super) fn jump(&self, to: Timestamp) {
        let mut waiting = self.waiting();
        waiting.now = waiting.now.max(to);
        while let Some(sleeper) = waiting.sleepers.first_entry()
            && sleeper.key().0 <= to
        {
            sleeper.remove().wake();
        }
    }

    /// Ends at a true time; never when no clock reaches it.
    pub(super) fn sleep_until(self: &Arc<Self>, deadline: Timestamp) -> Sleep {
        Sleep { timeline: self.clone(), deadline, turn: None }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for a moment; given up when dropped.
pub(super) struct Sleep {
    timeline: Arc<Timeline>,
    deadline: Timestamp,
    turn: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let timeline = self.timeline.clone();
        let mut waiting = timeline.waiting();
        if waiting.now >= self.deadline {
            return Poll::Ready(());
        }
        let turn = *self.turn.get_or_insert_with(|| {
            waiting.turn += 1;
            waiting.turn
        });
        if self.deadline < Timestamp::MAX {
            waiting.sleepers.insert((self.deadline, turn), context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(turn) = self.turn {
            self.timeline.waiting().sleepers.remove(&(self.deadline, turn));
        }
    }
}

/// What a machine's clock says is this much ahead of the truth: nothing keeps it from being set.
#[derive(Debug, Default)]
pub(super) struct WallClock(Mutex<SignedDuration>);

impl WallClock {
    pub(super) fn new(ahead: SignedDuration) -> Self {
        Self(Mutex::new(ahead))
    }

    /// Sets it so many seconds further, or back.
    pub(super) fn set(&self, seconds: i64) {
        let mut ahead = self.lock();
        *ahead = ahead.saturating_add(SignedDuration::from_secs(seconds));
    }

    pub(super) fn ahead(&self) -> SignedDuration {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, SignedDuration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clock of one run of the process: it takes the time from the machine once, and goes on steadily.
pub(super) struct MachineClock {
    pub(super) timeline: Arc<Timeline>,
    pub(super) wall: Arc<WallClock>,
    /// What the machine's clock was ahead when the process began.
    pub(super) ahead: SignedDuration,
    /// Which boot of which machine it is, and when that was in truth.
    pub(super) boot: Boot,
}

impl MachineClock {
    fn after(&self, by: SignedDuration) -> Timestamp {
        self.timeline.now().saturating_add(by).unwrap_or(Timestamp::MAX)
    }
}

#[async_trait]
impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        self.after(self.ahead)
    }

    fn wall(&self) -> Timestamp {
        self.after(self.wall.ahead())
    }

    fn boot(&self) -> Option<Boot> {
        let at = self.boot.at.saturating_add(self.ahead).unwrap_or(Timestamp::MAX);
        Some(Boot { at, ..self.boot })
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let behind = |deadline: Timestamp| deadline.saturating_sub(self.ahead).unwrap_or(Timestamp::MAX);
        let truth = if deadline == Timestamp::MAX { deadline } else { behind(deadline) };
        self.timeline.sleep_until(truth).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn sleepers_wake_at_their_time_and_a_dropped_one_is_forgotten() {
        let timeline = Timeline::new(at(100));
        let (timeline_, ahead) = (timeline.clone(), SignedDuration::from_secs(5));
        let wall = Arc::new(WallClock::new(ahead));
        let clock = MachineClock { timeline: timeline_, wall, ahead, boot: Boot { id: 0, at: at(0) } };
        let mut first = clock.sleep_until(at(130));
        let mut never = clock.sleep_until(Timestamp::MAX);
        assert!(first.as_mut().now_or_never().is_none());
        assert!(never.as_mut().now_or_never().is_none());
        assert_eq!(timeline.next_due(), Some(at(125)), "the machine's clock is 5 s ahead");
        timeline.jump(at(125));
        assert!(first.as_mut().now_or_never().is_some());
        let mut dropped = clock.sleep_until(at(200));
        assert!(dropped.as_mut().now_or_never().is_none());
        drop(dropped);
        assert_eq!(timeline.next_due(), None);
    }
}
