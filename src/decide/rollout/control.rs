//! The control group: devices that nothing was sent to yet, to compare who is offline.
//!
//! Ranks are a hash, so before the upgrade both groups are alike in everything, also in how many are offline on an ordinary
//! day. Nobody is left out on either side. Devices flap, and each comparison is a new draw: so there are eight in a
//! soak and one before the stage passes, however often the rollout is reconciled.

use super::soak::{COMPARISONS, comparisons, is_compared_at_the_end};
use crate::api::{
    ControlComparison, ControlGroup, ControlOutage, OtaRolloutSpec, OtaRolloutStatus, Presence, Stage,
    StagePhase, StageStatus, StratumComparison,
};
use crate::cloud::Device;
use crate::decide::clocks::Clocks;
use crate::decide::cohort::rank;
use crate::decide::defaults::compares;
use crate::decide::sets::Chosen;
use crate::decide::stage::as_count;
use crate::decide::stats::evidence::{Term, ln_evidence, threshold};
use crate::decide::strata::{self, Division, Traits};
use crate::decide::{Fleet, Seen};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Devices of the control group for each one that was sent the package.
const SHARE: u32 = 10;
/// Devices of the largest control group.
const MOST: u32 = 2_000;
/// Confidence at which the control group itself is called worse than before.
const OUTAGE_CONFIDENCE: f64 = 0.99;

/// Devices of the control group beside so many that were sent the package, when so many others are left.
#[must_use]
pub fn size(upgraded: u32, left: u32) -> u32 {
    upgraded.saturating_mul(SHARE).min(MOST).min(left)
}

/// True when more devices of the control group are offline than `then`, when it was chosen.
#[must_use]
pub fn is_worse(now: u32, then: u32) -> bool {
    let evidence = ln_evidence(&[Term { devices: now + then, failures: now, budget: 0.5 }]);
    evidence >= threshold(OUTAGE_CONFIDENCE)
}

/// A stage that names its devices, or a set of them, was not drawn by rank: it may differ from the others in anything.
#[must_use]
pub fn is_drawn(stages: &[Stage], name: &str) -> bool {
    let stage = stages.iter().find(|stage| stage.name == name);
    stage.is_some_and(|stage| stage.select.devices.is_none() && Chosen::by_stage(&stage.select).is_none())
}

/// What the groups are taken from.
pub(super) struct Groups<'c, 'a> {
    pub spec: &'c OtaRolloutSpec,
    /// Stages of the spec, or the default ones.
    pub stages: &'c [Stage],
    /// Seed of the ranking.
    pub seed: String,
    pub fleet: &'c Seen<Fleet<'a>>,
    /// What devices are divided by.
    pub traits: Traits<'c, 'a>,
    /// Devices that nothing was sent to, and that can be sent the package.
    pub eligible: &'c [&'a str],
    /// Devices that were sent it, with their stages.
    pub sent: &'c BTreeMap<&'a str, usize>,
    pub clocks: &'c Clocks,
    pub now: Timestamp,
}

impl<'a> Groups<'_, 'a> {
    /// Chooses the control group of the stage that was dispatched last, and compares when that is due.
    pub fn watch(&self, status: &mut OtaRolloutStatus) {
        let Some(index) = current(status).filter(|_| compares(self.spec)) else { return };
        if status.stages[index].control.is_none() {
            status.stages[index].control = self.choose(status, index);
        }
        let is_over = |at: &Timestamp| *at <= self.fleet.at;
        let due = self.stages.get(index).map_or(0, |spec| {
            as_count(comparisons(spec, &status.stages[index], self.clocks, self.now).filter(is_over).count())
        });
        let stage = &status.stages[index];
        let is_due = stage.control.as_ref().is_some_and(|group| due > group.comparisons);
        // What fired a rule, or failed a gate, stays as it was.
        let is_decided = status.stopped_by.is_some() || stage.phase == StagePhase::Held;
        if is_due && !is_decided {
            self.compare(status, index, due);
        }
    }

    /// Compares once more before a stage passes.
    pub fn compare_before_passing(&self, status: &mut OtaRolloutStatus, index: usize) {
        let group = status.stages[index].control.as_ref().filter(|_| compares(self.spec));
        if group.is_some_and(|group| group.last.is_none() || !is_compared_at_the_end(group)) {
            self.compare(status, index, COMPARISONS + 1);
        }
    }

    /// Notes whether something else than the package may be wrong, at the moment at which a rule fires or a gate holds.
    pub fn note_outage(&self, status: &mut OtaRolloutStatus) {
        let Some(index) = current(status).filter(|_| compares(self.spec)) else { return };
        let Some(group) = &mut status.stages[index].control else { return };
        let control = self.control(group);
        note_if_worse(group, control, self.now);
    }

    /// What holds back the next stage: the control group of the one before is worse now than when that was sent.
    pub fn outage_now(&self, status: &OtaRolloutStatus) -> Option<String> {
        let last = status.stages.iter().rfind(|stage| !stage.jobs.is_empty())?;
        let group = last.control.as_ref().filter(|_| compares(self.spec))?;
        let control = self.control(group);
        is_worse(control.offline, group.offline_then).then(|| worse(last, group, control))
    }

    /// The devices of the lowest ranks are sent the package next, so the group is taken from the highest.
    fn choose(&self, status: &OtaRolloutStatus, index: usize) -> Option<ControlGroup> {
        let drawn = status.stages.iter().take(index + 1).filter(|stage| self.is_drawn(&stage.name));
        let upgraded = drawn.map(in_full).sum();
        let current = &status.stages[index];
        let unsent = in_full(current) - current.counts.assigned;
        let devices = size(upgraded, as_count(self.eligible.len()).saturating_sub(unsent));
        // What is not known now would count as an outage once it is.
        if devices == 0 || !self.presence(self.eligible.iter().copied()).is_known() {
            return None;
        }
        let mut ranks: Vec<u64> = self.eligible.iter().map(|id| rank(&self.seed, id)).collect();
        let (_, from, _) = ranks.select_nth_unstable(self.eligible.len() - devices as usize);
        let then = self.presence(self.members(*from));
        Some(ControlGroup {
            devices: then.devices,
            offline_then: then.offline,
            from_rank: format!("{from:016x}"),
            comparisons: 0,
            last: None,
            outage: None,
        })
    }

    fn is_drawn(&self, stage: &str) -> bool {
        is_drawn(self.stages, stage)
    }

    fn compare(&self, status: &mut OtaRolloutStatus, index: usize, comparisons: u32) {
        let drawn: Vec<bool> = status.stages.iter().map(|stage| self.is_drawn(&stage.name)).collect();
        let upgraded = self.sent.iter().filter(|(_, stage)| drawn.get(**stage) == Some(&true));
        let upgraded: Vec<&str> = upgraded.map(|(id, _)| *id).collect();
        let Some(group) = &mut status.stages[index].control else { return };
        let strata = self.in_strata(&upgraded, group);
        let upgraded = self.presence(upgraded.into_iter());
        let control = self.control(group);
        group.comparisons = comparisons;
        group.last = Some(ControlComparison { at: self.fleet.at, upgraded, control, strata });
        note_if_worse(group, control, self.now);
    }

    /// Both groups by what an upgrade does not change. Not by version: an upgraded device no longer reports its old one.
    fn in_strata(&self, upgraded: &[&str], group: &ControlGroup) -> Vec<StratumComparison> {
        let by = strata::lasting(self.spec);
        if by.is_empty() {
            return Vec::new();
        }
        let control = self.of_control(group).map(|id| (false, id));
        let both = upgraded.iter().map(|id| (true, *id)).chain(control);
        let division = Division::by(&by, self.traits);
        let side = |devices: &[(bool, &str)], is_upgraded| {
            self.presence(devices.iter().filter(|(of, _)| *of == is_upgraded).map(|(_, id)| *id))
        };
        let stratum = |(name, devices): (String, Vec<(bool, &str)>)| StratumComparison {
            name,
            upgraded: side(&devices, true),
            control: side(&devices, false),
        };
        division.divide(both).into_iter().map(stratum).collect()
    }

    /// The control group by this observation.
    fn control(&self, group: &ControlGroup) -> Presence {
        self.presence(self.of_control(group))
    }

    fn of_control(&self, group: &ControlGroup) -> impl Iterator<Item = &'a str> {
        // What Rollwave did not write has no members.
        self.members(u64::from_str_radix(&group.from_rank, 16).unwrap_or(u64::MAX))
    }

    fn members(&self, from: u64) -> impl Iterator<Item = &'a str> {
        self.eligible.iter().copied().filter(move |id| rank(&self.seed, id) >= from)
    }

    fn presence<'i>(&self, ids: impl Iterator<Item = &'i str>) -> Presence {
        presence(ids.filter_map(|id| self.fleet.value.devices.get(id)))
    }
}

/// How many of these devices are offline.
pub fn presence<'d>(devices: impl Iterator<Item = &'d Device>) -> Presence {
    devices.fold(Presence::default(), |sum, device| Presence {
        devices: sum.devices + 1,
        offline: sum.offline + u32::from(device.online == Some(false)),
        unknown: sum.unknown + u32::from(device.online.is_none()),
    })
}

/// What the stop rules judge: the last comparison of the stage that was dispatched last.
#[must_use]
pub fn last_comparison(status: &OtaRolloutStatus) -> Option<&ControlComparison> {
    status.stages[current(status)?].control.as_ref()?.last.as_ref()
}

/// When the next comparison is due, by our clock.
pub(super) fn next_comparison(
    spec: &Stage,
    stage: &StageStatus,
    clocks: &Clocks,
    now: Timestamp,
) -> Option<Timestamp> {
    let group = stage.control.as_ref()?;
    comparisons(spec, stage, clocks, now).nth(group.comparisons as usize)
}

/// Why something else than the package may be wrong: the control group of the current stage got worse too.
pub(super) fn outage_noted(status: &OtaRolloutStatus) -> Option<String> {
    let stage = &status.stages[current(status)?];
    let group = stage.control.as_ref()?;
    Some(worse(stage, group, group.outage.as_ref()?.control))
}

/// The stage that was dispatched last, unless it has passed.
fn current(status: &OtaRolloutStatus) -> Option<usize> {
    let index = status.stages.iter().rposition(|stage| !stage.jobs.is_empty())?;
    let is_over = matches!(status.stages[index].phase, StagePhase::Waiting | StagePhase::Passed);
    (!is_over).then_some(index)
}

/// Devices of a stage, also when only some of its batches were sent.
fn in_full(stage: &StageStatus) -> u32 {
    stage.size.unwrap_or(0).max(stage.counts.assigned)
}

fn note_if_worse(group: &mut ControlGroup, now: Presence, at: Timestamp) {
    if group.outage.is_none() && is_worse(now.offline, group.offline_then) {
        group.outage = Some(ControlOutage { at, control: now });
    }
}

fn worse(stage: &StageStatus, group: &ControlGroup, now: Presence) -> String {
    format!(
        "{} of {} devices of the control group are offline, {} when stage {} was sent",
        now.offline, now.devices, group.offline_then, stage.name
    )
}
