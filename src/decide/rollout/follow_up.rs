//! Devices that become eligible after their stage was dispatched: they register later, are replaced, or get a version
//! that fits. Once every stage has passed they get the package in further jobs of the last stage, within its windows and
//! under the same stop rules; or they are ignored, where `spec.newDevices` is `Ignore`.

use super::advance::Pass;
use super::jobs::within;
use super::report::{Outcome, total};
use super::{Context, as_count};
use crate::api::{
    JobRef, MAX_EXAMPLES, NewDevices, OtaRolloutStatus, Reason, RolloutPhase, StagePhase, StageStatus,
    counted,
};
use crate::decide::cohort::{Taken, assign, seed};
use std::collections::BTreeSet;

/// True when a follow-up may be sent to new devices: then stop rules are watched although every stage has passed.
pub(super) fn is_due(context: &Context<'_>, eligible: &[&str]) -> bool {
    context.rollout.spec.new_devices == NewDevices::Include && !eligible.is_empty()
}

/// True for a dispatched stage, which takes no new devices.
const fn was_sent(stage: &StageStatus) -> bool {
    !matches!(stage.phase, StagePhase::Waiting | StagePhase::Dispatching)
}

impl<'a> Pass<'_, 'a> {
    pub(super) fn ignores_new_devices(&self) -> bool {
        self.context.rollout.spec.new_devices == NewDevices::Ignore
    }

    /// Where new devices are ignored, those that belong to a dispatched stage are not eligible: they are counted instead.
    pub(super) fn ignore_new_devices(&mut self) {
        if !self.ignores_new_devices() {
            return;
        }
        let seed = seed(&self.context.rollout.spec, self.context.package);
        let taken = Taken { closed: 0, ..self.observed.taken.clone() };
        let eligible = self.observed.population.eligible.iter().copied();
        // Also where a stage is divided: it was sent to the strata that it could choose from.
        let stages =
            assign(&self.context.stages, &seed, eligible, &taken, &self.context.fleet.value.sets, &[]);
        let sent = self.status.stages.iter().zip(stages).filter(|(stage, _)| was_sent(stage));
        let ignored: BTreeSet<&str> = sent.flat_map(|(_, devices)| devices).collect();
        self.observed.population.eligible.retain(|id| !ignored.contains(id));
        self.status.excluded.ignored_new = as_count(ignored.len());
        self.status.excluded.ignored_new_examples =
            ignored.into_iter().take(MAX_EXAMPLES).map(str::to_owned).collect();
    }

    /// The outcome for devices that became eligible after their stage was dispatched, once every stage has passed; none
    /// when there are none.
    pub(super) fn follow_up(&mut self) -> Option<Outcome> {
        let last = self.status.stages.len().checked_sub(1)?;
        let late = self.newcomers(last);
        if !late.is_empty() && self.observed.jobs.missing.is_empty() {
            if !self.status.stages.iter().any(|stage| !stage.jobs.is_empty()) {
                return self.begin_after_all();
            }
            return Some(self.send_follow_up(last, late));
        }
        self.watch_follow_up(last)
    }

    /// Every stage passed without devices: the stages begin with the first device that appears.
    fn begin_after_all(&mut self) -> Option<Outcome> {
        for stage in &mut self.status.stages {
            (stage.phase, stage.passed_at) = (StagePhase::Waiting, None);
        }
        (0..self.status.stages.len()).find_map(|index| self.step(index))
    }

    fn send_follow_up(&mut self, last: usize, late: Vec<&'a str>) -> Outcome {
        let late = self.next_batch(last, late);
        let who = format!("follow-up for {} that became eligible late", counted(late.len(), "device"));
        if let Some(why) = self.unproven_before(last) {
            let message = format!(
                "{who}: not sent, because {why}; let that stage select devices, or set spec.newDevices: Ignore"
            );
            return Outcome::held(Reason::FollowUpBlocked, message, self.is_live());
        }
        let progressing = |reason, message| Outcome::working(RolloutPhase::Progressing, reason, message);
        if let Some(outcome) = self.waits_for_piece(last, late.len()) {
            return outcome;
        }
        let late = self.at_pace(last, late);
        if let Some(why) = self.blocked().or_else(|| self.busy(&late)) {
            return progressing(Reason::DispatchBlocked, format!("{who}: not sent yet: {why}"));
        }
        if let Some(message) = self.refused() {
            return Outcome::held(Reason::NotSupported, message, self.is_live());
        }
        let stage = self.status.stages[last].name.clone();
        if let Some(wait) = self.closed(last) {
            return self.wait_for_opening(&wait, format!("{who}: sent when stage {stage} {}", wait.text()));
        }
        if let Some(outcome) = self.unasked(&format!("{who}: not sent")) {
            return outcome;
        }
        match self.jobs_for(last, late) {
            Ok(actions) => {
                self.begin_batch(last);
                self.note_strata(last, &actions);
                progressing(Reason::FollowUp, format!("{who}: sent now in stage {stage}")).with(actions)
            }
            Err(message) => progressing(Reason::DispatchBlocked, format!("{who}: {message}")),
        }
    }

    /// While a follow-up job may still act, the rollout is not completed.
    fn watch_follow_up(&self, last: usize) -> Option<Outcome> {
        let stage = &self.status.stages[last];
        // Devices may report their version a little after their job has ended.
        let (lag, seen_at) = (self.context.capabilities.visibility_lag, self.context.fleet.at);
        let is_open = |job: &&JobRef| job.finished_at.is_none_or(|ended| within(ended, lag, seen_at));
        let live: Vec<&JobRef> = stage.jobs.iter().filter(|job| job.follow_up).filter(is_open).collect();
        if live.is_empty() {
            return None;
        }
        let devices = live.iter().map(|job| job.devices).sum::<u32>();
        let counts = total(&self.status.stages);
        let message = format!(
            "follow-up: {} in {} of stage {}, sent after all stages had passed; {} of {} devices succeeded in total, {} failed",
            counted(devices, "device"),
            counted(live.len(), "job"),
            stage.name,
            counts.succeeded,
            counts.assigned,
            counts.failures(),
        );
        Some(Outcome::working(RolloutPhase::Progressing, Reason::FollowUp, message))
    }

    /// Devices that may or may not be new, for the end of a message: nothing is sent to them.
    pub(super) fn late_text(&self) -> String {
        let late = self.observed.population.eligible.len();
        let Some(missing) = self.observed.jobs.missing.first().filter(|_| late > 0) else {
            return String::new();
        };
        format!(
            "; {late} more eligible and sent nothing: job {} is no longer in the cloud, so it is not known which of them it has sent the package to",
            missing.job.id
        )
    }
}

/// Devices that are ignored because `spec.newDevices` is `Ignore`, for the end of a message; empty when there are none.
pub(super) fn ignored_text(status: &OtaRolloutStatus) -> String {
    let (count, examples) = (status.excluded.ignored_new, &status.excluded.ignored_new_examples);
    if count == 0 {
        return String::new();
    }
    let more = if count as usize > examples.len() { ", …" } else { "" };
    format!(
        "; {count} became eligible after their stage was dispatched and are ignored (spec.newDevices: Ignore): {}{more}",
        examples.join(", ")
    )
}
