//! The pace of a stage on clouds that do not limit it themselves: `delivery.ratePerMinute` and `delivery.maxInFlight`. The stage is
//! sent in pieces, each of them a job, so that neither limit is ever exceeded; devices that go into another job count, too, and so do those of a request that is repeated
//! because its outcome is unknown.

use super::advance::Pass;
use super::report::Outcome;
use super::{Context, deadline};
use crate::api::{JobRef, Reason, RolloutPhase, counted, time_text};
use crate::decide::Requeue;
use crate::decide::clocks::Wait;
use crate::decide::pace::Pace;
use jiff::SignedDuration;

const A_MINUTE: SignedDuration = SignedDuration::from_mins(1);

impl<'a> Pass<'_, 'a> {
    /// Those of the devices that may be sent now, once [`Self::waits_for_pace`] waits for nothing.
    pub(super) fn at_pace(&self, index: usize, mut devices: Vec<&'a str>) -> Vec<&'a str> {
        let pace = self.pace();
        let free = pace.in_flight.map(|places| self.free(index, places));
        devices.truncate(pace.largest().into_iter().chain(free).min().unwrap_or(usize::MAX));
        devices
    }

    /// What the stage waits for before so many devices, or some of them, are sent.
    pub(super) fn waits_for_pace(&self, index: usize, wanted: usize) -> Option<Outcome> {
        let pace = self.pace();
        let minute = pace.per_minute.and_then(|rate| self.waits_for_minute(index, rate));
        minute.or_else(|| self.waits_for_places(index, pace.in_flight?, wanted))
    }

    fn pace(&self) -> Pace {
        Pace::of(&self.context.rollout.spec, self.context.capabilities.cloud)
    }

    /// Each piece is followed by a minute without another one.
    fn waits_for_minute(&self, index: usize, rate: usize) -> Option<Outcome> {
        let (stage, Context { clocks, now, .. }) = (&self.status.stages[index], self.context);
        let clock = stage.clock.as_ref()?;
        let minute = Wait {
            // A time to come was written by a clock that was set back since.
            began: if clock.since > *now { clocks.steady_since } else { clock.since },
            uptime: clock.since_uptime.as_ref(),
            cloud_began: clock.since_cloud,
            length: A_MINUTE,
        };
        let ends = minute.ends(clocks, *now);
        let message = format!(
            "stage {}: sends {} a minute (delivery.ratePerMinute); the next at {}",
            stage.name,
            counted(rate, "device"),
            time_text(minute.ends_as_told(clocks, *now))
        );
        let mut outcome = Outcome::working(RolloutPhase::Progressing, Reason::StageDispatching, message);
        outcome.requeue = Requeue::After(ends.duration_since(*now));
        (ends > *now).then_some(outcome)
    }

    /// The next piece is sent when there are places for all of it, or when half of them are free.
    fn waits_for_places(&self, index: usize, places: usize, wanted: usize) -> Option<Outcome> {
        let (free, piece) = (self.free(index, places), places.div_ceil(2).min(wanted));
        if free >= piece {
            return None;
        }
        let stage = &self.status.stages[index];
        let asleep = (stage.counts.queued as usize).saturating_sub(self.unfinished(index).len());
        let (begun, advice) = match asleep {
            0 => (String::new(), ""),
            _ => (
                format!(" ({asleep} have not begun)"),
                "; delivery.timeout.queued frees the places of devices that stay offline",
            ),
        };
        let message = format!(
            "stage {}: {} without an outcome{begun}, and {places} may upgrade at the same time (delivery.maxInFlight); the next {piece} are sent when {piece} places are free{advice}",
            stage.name,
            counted(self.taken(index), "device"),
        );
        let outcome = Outcome::working(RolloutPhase::Progressing, Reason::StageRunning, message);
        Some(self.hold_after_deadline(index, outcome))
    }

    fn free(&self, index: usize, places: usize) -> usize {
        places.saturating_sub(self.taken(index))
    }

    /// Devices of the stage that may be upgrading. One that has not begun in the time that it had takes no place any more.
    fn taken(&self, index: usize) -> usize {
        let stage = &self.status.stages[index];
        let live = self.observed.jobs.listed.iter();
        let live = live.filter(|ours| ours.stage == index && !ours.job.state.is_final());
        let given_up: u32 = live
            .filter_map(|ours| Some((ours.job, stage.jobs.iter().find(|job| job.token == ours.token)?)))
            .filter(|(_, record)| self.has_waited(index, record))
            .map(|(job, _)| job.counts.queued)
            .sum();
        let outstanding = stage.counts.outstanding() as usize;
        let given_up = given_up.min(stage.counts.queued) as usize;
        outstanding.saturating_sub(self.unfinished(index).len()).saturating_sub(given_up)
    }

    /// True when devices have had the time to begin that `delivery.timeout.queued` or the deadline gives them.
    fn has_waited(&self, index: usize, job: &JobRef) -> bool {
        let Some(created_at) = job.created_at.filter(|at| *at <= self.context.now) else { return false };
        let wait = Wait {
            began: created_at,
            uptime: job.created_uptime.as_ref(),
            cloud_began: None,
            length: deadline::time_to_begin(self.context, index).as_signed(),
        };
        wait.ends(&self.context.clocks, self.context.now) <= self.context.now
    }
}
