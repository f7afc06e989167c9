//! Devices without an outcome. Two clocks run for each stage: from its last job on for devices that have not begun
//! (`delivery.timeout.queued`), and from when one last began for those that are upgrading (`delivery.timeout.inProgress`,
//! where the cloud has no such limit itself); its deadline applies to both. Passed limits are judged:
//!
//! | the device | counted as |
//! |---|---|
//! | had not begun | never began: no evidence, leaves the sample |
//! | was upgrading | timed out: a failure |
//!
//! Their jobs may continue. Whatever such a device reports later counts again: a success, or a failure.
//!
//! Once no device is waited for, nothing is recorded: a rollout at rest writes nothing.
//!
//! Time between two processes is handled as for a soak ([`Wait`]). A limit may pass late, which only costs time. None may
//! pass early: devices that have not begun would leave the sample, and a gate would decide on too few devices.

use super::Context;
use super::advance::Pass;
use super::observed::Observed;
use super::report::{Outcome, Standing};
use crate::api::support;
use crate::api::{
    AfterDeadline, Kind, OtaRolloutStatus, Period, Reason, RolloutPhase, StageClock, StageCounts,
    StageStatus, Uptime, time_text,
};
use crate::decide::clocks::{Clocks, Wait};
use crate::decide::pace::Pace;
use crate::decide::stage::as_count;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The deadline of a stage whose spec has none.
pub(super) const DEADLINE: Period = Period::hours(7 * 24);

/// How long devices may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    deadline: Period,
    then: AfterDeadline,
    queued: Option<Period>,
    in_progress: Option<Period>,
}

impl Limits {
    fn of(context: &Context<'_>, index: usize) -> Self {
        let deadline = context.stages.get(index).and_then(|stage| stage.deadline).unwrap_or_default();
        let delivery = context.rollout.spec.delivery.as_ref();
        let timeout = delivery.and_then(|delivery| delivery.timeout).unwrap_or_default();
        let field = "spec.delivery.timeout.inProgress";
        let emulated = support::is_emulated(context.capabilities.cloud, Kind::OtaRollout, field);
        Self {
            deadline: deadline.after.unwrap_or(DEADLINE),
            then: deadline.then.unwrap_or_default(),
            queued: timeout.queued,
            in_progress: timeout.in_progress.filter(|_| emulated),
        }
    }
}

/// How long a device of a stage may take to begin.
pub(super) fn time_to_begin(context: &Context<'_>, index: usize) -> Period {
    let limits = Limits::of(context, index);
    limits.queued.map_or(limits.deadline, |queued| queued.min(limits.deadline))
}

/// The current time, and when the counts were read.
#[derive(Clone, Copy)]
struct Times {
    now: Timestamp,
    looked_at: Timestamp,
    clocks: Clocks,
}

impl Times {
    fn of(context: &Context<'_>) -> Self {
        let looked_at = context.jobs.at.min(context.fleet.at);
        Self { now: context.now, looked_at, clocks: context.clocks }
    }
}

/// Counts devices that took too long. `edited`: the limits may have changed.
pub(super) fn judge(
    context: &Context<'_>,
    stages: &mut [StageStatus],
    observed: &Observed<'_>,
    edited: bool,
) {
    let before = context.rollout.status.iter().flat_map(|status| &status.stages);
    let times = Times::of(context);
    let overdue =
        |name: &str| before.clone().find(|stage| stage.name == name).map_or(0, |s| s.counts.overdue);
    for (index, stage) in stages.iter_mut().enumerate() {
        // With a job missing the numbers are those of the last observation, and judged already.
        if observed.jobs.missing.iter().any(|missing| missing.stage == index) {
            continue;
        }
        let waiting = as_count(observed.unfinished.get(index).map_or(0, |left| left.devices().len()));
        // Where devices are sent in pieces, some wait for the places of others, whose time goes on.
        let is_alone = stage.counts.outstanding() <= waiting
            || Pace::of(&context.rollout.spec, context.capabilities.cloud).largest().is_none();
        let resends = waiting > 0 && is_alone;
        let limits = Limits::of(context, index);
        let overdue = overdue(&stage.name);
        keep_clock(&times, stage, edited);
        let Some(clock) = stage.clock.as_mut() else { continue };
        pass(&times, clock, limits, stage.counts, resends);
        // Devices that wait for another job get their full time with it.
        if !resends {
            let passed = Passed {
                deadline: clock.deadline_passed_at.is_some() && limits.then == AfterDeadline::Judge,
                just_now: clock.deadline_passed_at == Some(times.now),
                queued: clock.queued_passed_at.is_some(),
                in_progress: is_stuck(&times, clock, limits),
                overdue,
            };
            let waiting = waiting.min(stage.counts.queued);
            let sent = StageCounts { queued: stage.counts.queued - waiting, ..stage.counts };
            stage.counts = passed.judge(sent);
            stage.counts.queued += waiting;
        }
    }
}

/// Starts the clock with every job, and records when a device begins.
fn keep_clock(times: &Times, stage: &mut StageStatus, edited: bool) {
    let (now, jobs, queued) = (times.now, as_count(stage.jobs.len()), stage.counts.queued);
    if jobs == 0 {
        stage.clock = None;
        return;
    }
    let (is_waited_for, clocks) = (stage.counts.outstanding() > 0, &times.clocks);
    // A time in the future was written by a clock that has been set back since, and is ignored, unless no device is
    // waited for, or the time since the machine was booted shows when it was.
    let is_to_come = |at: Timestamp, uptime: Option<&Uptime>| {
        is_waited_for && at > now && clocks.time_of(uptime).is_none()
    };
    let is_valid =
        |clock: &&mut StageClock| clock.jobs >= jobs && !is_to_come(clock.since, clock.since_uptime.as_ref());
    if stage.clock.as_mut().filter(is_valid).is_none() {
        stage.clock = Some(StageClock::start(jobs, now, queued));
    }
    let Some(clock) = stage.clock.as_mut() else { return };
    let cloud = clocks.cloud.map(|cloud| cloud.latest);
    if is_waited_for {
        clock.since_cloud = clock.since_cloud.or(cloud);
        count_on(clocks, &mut clock.since_uptime, now);
    }
    if queued < clock.queued || clock.begun_at.is_some_and(|at| is_to_come(at, clock.begun_uptime.as_ref())) {
        (clock.begun_at, clock.begun_cloud_at, clock.begun_uptime) = (Some(now), cloud, clocks.uptime(now));
    } else if is_waited_for && clock.begun_at.is_some() {
        count_on(clocks, &mut clock.begun_uptime, now);
    }
    clock.queued = queued;
    if edited {
        (clock.queued_passed_at, clock.deadline_passed_at) = (None, None);
    }
}

/// A wait of another boot is counted from now on, which makes it longer.
fn count_on(clocks: &Clocks, uptime: &mut Option<Uptime>, now: Timestamp) {
    if clocks.boot.is_some() && clocks.time_of(uptime.as_ref()).is_none() {
        *uptime = clocks.uptime(now);
    }
}

/// Records which limits have passed, and when the deadline will.
fn pass(times: &Times, clock: &mut StageClock, limits: Limits, counts: StageCounts, resends: bool) {
    let (since, uptime) = (clock.since, clock.since_uptime.clone());
    let wait = |length: Period| Wait {
        began: since,
        uptime: uptime.as_ref(),
        cloud_began: clock.since_cloud,
        length: length.as_signed(),
    };
    let deadline = wait(limits.deadline);
    // A stage without outstanding devices cannot be late.
    if !resends && counts.outstanding() > 0 && has_passed(times, &deadline) {
        clock.deadline_passed_at = clock.deadline_passed_at.or(Some(times.now));
    }
    let queued_passed = limits.queued.is_some_and(|length| has_passed(times, &wait(length)));
    if !resends && counts.queued > 0 && queued_passed {
        clock.queued_passed_at = clock.queued_passed_at.or(Some(times.now));
    }
    let is_open = counts.outstanding() > 0 && clock.deadline_passed_at.is_none();
    clock.deadline_at = is_open.then(|| deadline.ends_as_told(&times.clocks, times.now));
}

/// True when the observation was made after the end: what happened before it is in the counts.
fn has_passed(times: &Times, limit: &Wait<'_>) -> bool {
    times.looked_at >= limit.ends(&times.clocks, times.now)
}

/// True when no device has begun for so long that all upgrading ones have taken too long.
fn is_stuck(times: &Times, clock: &StageClock, limits: Limits) -> bool {
    let (began, cloud_began, uptime) = match clock.begun_at {
        Some(begun) => (begun, clock.begun_cloud_at, clock.begun_uptime.as_ref()),
        None => (clock.since, clock.since_cloud, clock.since_uptime.as_ref()),
    };
    let limit = |length: Period| Wait { began, uptime, cloud_began, length: length.as_signed() };
    limits.in_progress.is_some_and(|length| has_passed(times, &limit(length)))
}

/// Which limits of a stage have passed.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    /// Its deadline, after which it is judged.
    deadline: bool,
    /// The deadline, in this observation.
    just_now: bool,
    /// `delivery.timeout.queued`.
    queued: bool,
    /// `delivery.timeout.inProgress`, for all that are upgrading.
    in_progress: bool,
    /// Devices that were overdue before.
    overdue: u32,
}

impl Passed {
    /// The counts with late devices reclassified. A device that begins after the deadline stays among those that never
    /// began until it has an outcome.
    fn judge(self, counts: StageCounts) -> StageCounts {
        // Devices that their job reports as successful have answered: their versions are read next.
        let (queued, in_flight) = (counts.queued, counts.in_flight.saturating_sub(counts.unconfirmed));
        let is_late = self.in_progress || (self.deadline && self.just_now);
        let overdue = if is_late { in_flight } else { self.overdue.min(in_flight) };
        let began_late = if self.deadline { in_flight - overdue } else { 0 };
        let never = if self.deadline || self.queued { queued } else { 0 };
        StageCounts {
            queued: queued - never,
            in_flight: counts.in_flight - overdue - began_late,
            never_began: counts.never_began + never + began_late,
            timed_out: counts.timed_out + overdue,
            overdue,
            ..counts
        }
    }
}

impl Pass<'_, '_> {
    /// Holds a stage that would wait in vain: its deadline has passed, or none of its devices began and none is
    /// outstanding.
    pub(super) fn hold_after_deadline(&self, index: usize, outcome: Outcome) -> Outcome {
        let waits = outcome.standing == Standing::Working
            && matches!(outcome.reason, Reason::StageRunning | Reason::GateWaiting);
        let stage = &self.status.stages[index];
        let counts = stage.counts;
        let nobody_is_left = counts.assigned > 0 && counts.outstanding() == 0;
        if !waits || !(self.is_past_deadline(index) || nobody_is_left) {
            return outcome;
        }
        let after = Limits::of(self.context, index).deadline;
        let message = if counts.sample() == 0 {
            let next = if self.observed.jobs.live().is_empty() {
                "bring them online and run `rollwave retry`, or let the stage select other devices"
            } else {
                "they still get the package when they come online: wait, or let the stage select other devices"
            };
            let (name, assigned) = (&stage.name, counts.assigned);
            format!("stage {name}: none of its {assigned} devices began, so there is no evidence; {next}")
        } else {
            let (name, succeeded, failures) = (&stage.name, counts.succeeded, counts.failures());
            let (silent, assigned) = (counts.outstanding() + counts.never_began, counts.assigned);
            format!(
                "stage {name}: {silent} of {assigned} devices have no outcome after its deadline of {after}, {succeeded} succeeded, \
                 {failures} failed; set deadline.then to Judge to continue without them, raise deadline.after, or wait"
            )
        };
        Outcome::held(Reason::StageDeadline, message, self.is_live())
    }

    /// True while devices are observed closely: a job runs, and the deadline of its stage has not passed.
    pub(super) fn is_live(&self) -> bool {
        let live: BTreeSet<&str> = self.observed.jobs.live().iter().map(|job| job.id.as_str()).collect();
        let is_live = |index: usize, stage: &StageStatus| {
            !self.is_past_deadline(index) && stage.jobs.iter().any(|job| live.contains(job.id.as_str()))
        };
        self.status.stages.iter().enumerate().any(|(index, stage)| is_live(index, stage))
    }

    fn is_past_deadline(&self, index: usize) -> bool {
        let clock = self.status.stages[index].clock.as_ref();
        clock.is_some_and(|clock| clock.deadline_passed_at.is_some())
    }
}

/// A rollout that has waited for something else for the length of a deadline needs a user: it is stalled, and continues
/// when that ends. A clock that is ahead stalls it early, and stops nothing.
pub(super) fn end_of_patience(
    status: &mut OtaRolloutStatus,
    mut outcome: Outcome,
    now: Timestamp,
) -> Outcome {
    let waits = outcome.standing == Standing::Working
        && matches!(
            outcome.reason,
            Reason::DispatchBlocked | Reason::PackageNotReady | Reason::StoppingPreviousJobs
        );
    status.waits_since = waits.then(|| status.waits_since.map_or(now, |since| since.min(now)));
    let has_passed = |since: Timestamp| now.duration_since(since) >= DEADLINE.as_signed();
    if let Some(since) = status.waits_since.filter(|since| has_passed(*since)) {
        outcome.standing = Standing::Stuck;
        outcome.phase = RolloutPhase::Held;
        outcome.message += &format!("; waiting since {}", time_text(since));
    }
    outcome
}

/// The part of a stage's message about devices that never began.
pub(super) fn late_text(counts: StageCounts) -> String {
    if counts.never_began == 0 { String::new() } else { format!(", {} never began", counts.never_began) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// Queued, in flight, never began, timed out.
    fn judged(passed: Passed, queued: u32, in_flight: u32) -> [u32; 4] {
        let assigned = queued + in_flight;
        let counts = passed.judge(StageCounts { assigned, queued, in_flight, ..StageCounts::default() });
        [counts.queued, counts.in_flight, counts.never_began, counts.timed_out]
    }

    #[test]
    fn what_passed_is_judged_and_nothing_else() {
        let none = Passed::default();
        let deadline = Passed { deadline: true, just_now: true, ..none };
        for (passed, expected) in [
            (none, [3, 2, 0, 0]),
            (deadline, [0, 0, 3, 2]),
            (Passed { queued: true, ..none }, [0, 2, 3, 0]),
            (Passed { in_progress: true, ..none }, [3, 0, 0, 2]),
            (Passed { overdue: 1, ..none }, [3, 1, 0, 1]),
        ] {
            assert_eq!(judged(passed, 3, 2), expected, "{passed:?}");
        }
    }

    #[test]
    fn a_device_that_begins_after_the_deadline_is_no_failure_until_it_has_failed() {
        let later = Passed { deadline: true, overdue: 1, ..Passed::default() };
        assert_eq!(judged(later, 2, 2), [0, 0, 3, 1]);
        // The overdue device has an outcome: the others began later.
        let later = Passed { overdue: 0, ..later };
        assert_eq!(judged(later, 1, 2), [0, 0, 3, 0]);
    }

    /// A stage whose devices have one job and these counts, after a minute, an hour and a day.
    fn clocks(counts: StageCounts) -> [StageClock; 3] {
        let limits = Limits {
            deadline: Period::hours(2),
            then: AfterDeadline::Hold,
            queued: Some(Period::hours(1)),
            in_progress: None,
        };
        let mut clock = StageClock::start(1, Timestamp::UNIX_EPOCH, counts.queued);
        [60, 3_600, 86_400].map(|second| {
            let now = Timestamp::from_second(second).unwrap();
            pass(&Times { now, looked_at: now, clocks: Clocks::STEADY }, &mut clock, limits, counts, false);
            clock.clone()
        })
    }

    #[test]
    fn nothing_is_noted_of_a_stage_once_nobody_is_waited_for() {
        let passed =
            |clock: &StageClock| (clock.queued_passed_at.is_some(), clock.deadline_passed_at.is_some());
        let of = |queued, in_flight| StageCounts { assigned: 5, queued, in_flight, ..StageCounts::default() };
        let noted = |counts| clocks(counts).each_ref().map(passed);
        assert_eq!(noted(of(1, 1)), [(false, false), (true, false), (true, true)]);
        assert_eq!(noted(of(0, 1)), [(false, false), (false, false), (false, true)], "all have begun");
        let [first, .., last] = clocks(of(0, 0));
        assert_eq!(first, last, "all have answered");
    }

    #[test]
    fn a_clock_that_was_set_back_starts_no_wait_again_once_nobody_is_waited_for() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let counts = StageCounts { assigned: 5, succeeded: 5, ..StageCounts::default() };
        let times = Times { now: at(10), looked_at: at(10), clocks: Clocks::STEADY };
        let mut stage = stage(counts);
        let clock = StageClock { begun_at: Some(at(70)), ..StageClock::start(1, at(60), 0) };
        stage.clock = Some(clock.clone());
        keep_clock(&times, &mut stage, false);
        assert_eq!(stage.clock, Some(clock));
        stage.counts.queued = 1;
        keep_clock(&times, &mut stage, false);
        assert_eq!(stage.clock.map(|clock| clock.since), Some(at(10)));
    }

    fn stage(counts: StageCounts) -> StageStatus {
        let job = json!({"id": "1", "token": "t", "devices": 5, "state": "Running", "createdAt": "1970-01-01T00:00:00Z"});
        let counts = serde_json::to_value(counts).unwrap();
        let stage = json!({"name": "s", "phase": "Running", "counts": counts, "jobs": [job]});
        serde_json::from_value(stage).unwrap()
    }

    proptest! {
        #[test]
        fn every_device_is_counted_once(
            numbers in prop::array::uniform5(0..50_u32), flags in prop::array::uniform4(any::<bool>()), overdue in 0..50_u32,
        ) {
            let [queued, in_flight, succeeded, failed, never_began] = numbers;
            let assigned = numbers.iter().sum();
            let counts = StageCounts { assigned, queued, in_flight, succeeded, failed, never_began, ..StageCounts::default() };
            let [deadline, just_now, queued, in_progress] = flags;
            let after = Passed { deadline, just_now, queued, in_progress, overdue }.judge(counts);
            prop_assert_eq!(after.finished() + after.outstanding() + after.never_began, assigned);
            prop_assert_eq!(after.sample(), after.finished() + after.outstanding());
            prop_assert!(after.overdue <= after.timed_out);
            prop_assert!(!deadline || after.outstanding() == 0);
        }
    }
}
