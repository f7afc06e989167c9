//! The control group: devices that nothing was sent to yet, to compare who is offline.
//!
//! Ranks are a hash, so before the upgrade both groups are alike in everything, also in how many are offline on an ordinary
//! day. Nobody is left out on either side. Devices flap, and each comparison is a new draw: so there are eight in a
//! soak and one before the stage passes, however often the rollout is reconciled.

use super::Context;
use super::observed::Observed;
use crate::api::{
    ControlComparison, ControlGroup, ControlOutage, OtaRolloutSpec, OtaRolloutStatus, Period, Presence,
    Stage, StagePhase, StageStatus, StopMethod,
};
use crate::cloud::Device;
use crate::decide::clocks::{Clocks, Wait};
use crate::decide::cohort::{rank, seed};
use crate::decide::defaults;
use crate::decide::stage::as_count;
use crate::decide::stats::evidence::{Term, ln_evidence, threshold};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Comparisons in the soak of a stage, evenly; the last one is at its end.
pub const COMPARISONS: u32 = 8;
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

/// True when a stop rule of the rollout compares devices with a control group.
#[must_use]
pub fn is_wanted(spec: &OtaRolloutSpec) -> bool {
    defaults::stop_rules(spec).iter().any(|rule| rule.method == StopMethod::Control)
}

/// Chooses the control group of the stage that was dispatched last, and compares when that is due.
pub(super) fn watch(context: &Context<'_>, status: &mut OtaRolloutStatus, observed: &Observed<'_>) {
    let Some(index) = current(status).filter(|_| is_wanted(&context.rollout.spec)) else { return };
    if status.stages[index].control.is_none() {
        status.stages[index].control = choose(context, status, observed, index);
    }
    let due = context.stages.get(index).map_or(0, |spec| {
        let is_over = |end: &Timestamp| *end <= context.fleet.at;
        as_count(due_times(spec, &status.stages[index], &context.clocks, context.now).filter(is_over).count())
    });
    let is_due = status.stages[index].control.as_ref().is_some_and(|control| due > control.comparisons);
    // The comparison that fired a rule stays, as its evidence does.
    if is_due && status.stopped_by.is_none() {
        compare(context, status, observed, index, due);
    }
}

/// Compares before a stage passes, unless this observation was compared already.
pub(super) fn compare_before_passing(
    context: &Context<'_>,
    status: &mut OtaRolloutStatus,
    observed: &Observed<'_>,
    index: usize,
) {
    let control = status.stages[index].control.as_ref().filter(|_| is_wanted(&context.rollout.spec));
    if control.is_some_and(|control| control.last.is_none_or(|comparison| comparison.at != context.fleet.at))
    {
        compare(context, status, observed, index, COMPARISONS + 1);
    }
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
    let control = stage.control.as_ref()?;
    due_times(spec, stage, clocks, now).nth(control.comparisons as usize)
}

/// The stage that was dispatched last, unless it has passed.
fn current(status: &OtaRolloutStatus) -> Option<usize> {
    let index = status.stages.iter().rposition(|stage| !stage.jobs.is_empty())?;
    let is_over = matches!(status.stages[index].phase, StagePhase::Waiting | StagePhase::Passed);
    (!is_over).then_some(index)
}

/// The times of the comparisons: none before the soak began.
pub(super) fn due_times<'a>(
    spec: &'a Stage,
    stage: &'a StageStatus,
    clocks: &'a Clocks,
    now: Timestamp,
) -> impl Iterator<Item = Timestamp> + 'a {
    let soak = spec.soak.map_or(SignedDuration::ZERO, Period::as_signed);
    (1..=COMPARISONS).filter_map(move |comparison| {
        let length = soak.checked_mul(comparison.cast_signed())? / COMPARISONS.cast_signed();
        let wait = Wait {
            began: stage.observed_at?,
            uptime: stage.observed_uptime.as_ref(),
            cloud_began: stage.observed_cloud_at,
            length,
        };
        Some(wait.ends(clocks, now))
    })
}

/// The devices of the lowest ranks are sent the package next, so the group is taken from the highest.
fn choose(
    context: &Context<'_>,
    status: &OtaRolloutStatus,
    observed: &Observed<'_>,
    index: usize,
) -> Option<ControlGroup> {
    let eligible = &observed.population.eligible;
    let drawn = status.stages.iter().take(index + 1).filter(|stage| is_drawn(context, &stage.name));
    let upgraded = drawn.map(in_full).sum();
    let current = &status.stages[index];
    let unsent = in_full(current) - current.counts.assigned;
    let devices = size(upgraded, as_count(eligible.len()).saturating_sub(unsent));
    if devices == 0 {
        return None;
    }
    let seed = seed(&context.rollout.spec, context.package);
    let mut ranks: Vec<u64> = eligible.iter().map(|id| rank(&seed, id)).collect();
    let (_, from, _) = ranks.select_nth_unstable(eligible.len() - devices as usize);
    let from = *from;
    let then = presence(context.fleet.value.devices, members(context, observed, from));
    Some(ControlGroup {
        devices: then.devices,
        offline_then: then.offline,
        from_rank: format!("{from:016x}"),
        comparisons: 0,
        last: None,
        outage: None,
    })
}

/// Devices of a stage, also when only some of its batches were sent.
fn in_full(stage: &StageStatus) -> u32 {
    stage.size.unwrap_or(0).max(stage.counts.assigned)
}

/// A stage that names its devices was not drawn by rank: it may differ from the others in anything.
fn is_drawn(context: &Context<'_>, stage: &str) -> bool {
    let spec = context.stages.iter().find(|spec| spec.name == stage);
    spec.is_some_and(|spec| spec.select.devices.is_none())
}

fn compare(
    context: &Context<'_>,
    status: &mut OtaRolloutStatus,
    observed: &Observed<'_>,
    index: usize,
    comparisons: u32,
) {
    let fleet = context.fleet.value.devices;
    let sent = observed.taken.stage_of.iter();
    let drawn: Vec<bool> = status.stages.iter().map(|stage| is_drawn(context, &stage.name)).collect();
    let upgraded = sent.filter(|(_, stage)| drawn.get(**stage) == Some(&true)).map(|(id, _)| *id);
    let upgraded = presence(fleet, upgraded);
    let Some(group) = &mut status.stages[index].control else { return };
    let control = now(context, observed, group);
    (group.comparisons, group.last) =
        (comparisons, Some(ControlComparison { at: context.fleet.at, upgraded, control }));
    note_if_worse(group, control, context.now);
}

/// The control group by this observation.
fn now(context: &Context<'_>, observed: &Observed<'_>, group: &ControlGroup) -> Presence {
    // What Rollwave did not write has no members.
    let from = u64::from_str_radix(&group.from_rank, 16).unwrap_or(u64::MAX);
    presence(context.fleet.value.devices, members(context, observed, from))
}

fn members<'o, 'a: 'o>(
    context: &Context<'_>,
    observed: &'o Observed<'a>,
    from: u64,
) -> impl Iterator<Item = &'a str> + 'o {
    let seed = seed(&context.rollout.spec, context.package);
    observed.population.eligible.iter().copied().filter(move |id| rank(&seed, id) >= from)
}

fn presence<'a>(fleet: &BTreeMap<String, Device>, ids: impl Iterator<Item = &'a str>) -> Presence {
    ids.filter_map(|id| fleet.get(id)).fold(Presence::default(), |sum, device| Presence {
        devices: sum.devices + 1,
        offline: sum.offline + u32::from(device.online == Some(false)),
        unknown: sum.unknown + u32::from(device.online.is_none()),
    })
}

fn note_if_worse(group: &mut ControlGroup, now: Presence, at: Timestamp) {
    if group.outage.is_none() && is_worse(now.offline, group.offline_then) {
        group.outage = Some(ControlOutage { at, control: now });
    }
}

/// Notes whether something else than the package may be wrong, at the moment at which a rule fires or a gate holds.
pub(super) fn note_outage(context: &Context<'_>, status: &mut OtaRolloutStatus, observed: &Observed<'_>) {
    let Some(index) = current(status).filter(|_| is_wanted(&context.rollout.spec)) else { return };
    let Some(group) = &mut status.stages[index].control else { return };
    let now = now(context, observed, group);
    note_if_worse(group, now, context.now);
}

/// Why something else than the package may be wrong: the control group of the current stage got worse too.
pub(super) fn outage_noted(status: &OtaRolloutStatus) -> Option<String> {
    let stage = &status.stages[current(status)?];
    let group = stage.control.as_ref()?;
    Some(worse(stage, group, group.outage.as_ref()?.control))
}

/// What holds back the next stage: the control group of the one before is worse now than when that was sent.
pub(super) fn outage_now(
    context: &Context<'_>,
    status: &OtaRolloutStatus,
    observed: &Observed<'_>,
) -> Option<String> {
    let last = status.stages.iter().rfind(|stage| !stage.jobs.is_empty())?;
    let group = last.control.as_ref().filter(|_| is_wanted(&context.rollout.spec))?;
    let now = now(context, observed, group);
    is_worse(now.offline, group.offline_then).then(|| worse(last, group, now))
}

fn worse(stage: &StageStatus, group: &ControlGroup, now: Presence) -> String {
    format!(
        "{} of {} devices of the control group are offline, {} when stage {} was sent",
        now.offline, now.devices, group.offline_then, stage.name
    )
}
