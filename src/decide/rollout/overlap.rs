//! Devices that other rollouts also target: which of them are left to their owners, and how the rollout is held where
//! there is no owner.

use super::advance::Pass;
use super::jobs::can_be_stopped;
use super::report::{Outcome, Standing};
use crate::api::{
    Excluded, MAX_EXAMPLES, OtaRolloutStatus, Owner as OwnerStatus, Reason, RolloutPhase, StagePhase,
    counted, record_decision, verb,
};
use crate::cloud::Device;
use crate::decide::needs::has_begun;
use crate::decide::ownership::{Claim, Owner, Ownership};
use crate::decide::stage::{Tally, Target, as_count};
use crate::decide::{Action, Requeue};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Devices that other rollouts also target.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    /// By owner: how many, and why it takes precedence.
    owners: BTreeMap<String, (u32, String)>,
    /// Devices without an owner.
    contested: u32,
    /// Rollouts that have the same claim to some of them.
    contenders: BTreeSet<String>,
}

impl Shared {
    /// Counts a device that we may not send to because of another rollout; false when there is no such rollout.
    pub fn takes(&mut self, ownership: &Ownership<'_>, device: &Device) -> bool {
        match ownership.owner(device) {
            Owner::Ours => return false,
            Owner::Elsewhere(owner) => self.add(ownership, owner),
            Owner::Nobody(equal) => self.contest(ownership, &equal),
        }
        true
    }

    /// Counts a device of one of our jobs that has no owner.
    pub fn note_contested(&mut self, ownership: &Ownership<'_>, device: &Device) {
        if let Owner::Nobody(equal) = ownership.owner(device) {
            self.contest(ownership, &equal);
        }
    }

    /// Removes devices that another rollout owns now from those that one of our jobs left to be sent again. Failed ones
    /// still count as failed.
    pub fn release(
        &mut self,
        ownership: &Ownership<'_>,
        fleet: &BTreeMap<String, Device>,
        tally: &mut Tally<'_>,
    ) {
        let owner = |id: &&str| ownership.owned_elsewhere(fleet.get(*id)?);
        let left = as_count(tally.stopped.len());
        tally.stopped.retain(|id| owner(id).map(|owner| self.add(ownership, owner)).is_none());
        let gone = left - as_count(tally.stopped.len());
        tally.counts.queued -= gone;
        tally.counts.assigned -= gone;
        tally.counts.owned_elsewhere += gone;
        let failed = as_count(tally.resend.len());
        tally.resend.retain(|id| owner(id).is_none());
        let kept = failed - as_count(tally.resend.len());
        tally.counts.queued -= kept;
        tally.counts.failed += kept;
    }

    fn add(&mut self, ownership: &Ownership<'_>, owner: &Claim<'_>) {
        let name = ownership.name_of(owner);
        self.owners.entry(name).or_insert_with(|| (0, ownership.why(owner))).0 += 1;
    }

    fn contest(&mut self, ownership: &Ownership<'_>, equal: &[&Claim<'_>]) {
        self.contested += 1;
        self.contenders.extend(equal.iter().map(|rival| ownership.name_of(rival)));
    }

    /// The excluded devices as the status shows them.
    pub fn excluded(&self, others: &Excluded) -> Excluded {
        let owner = |(name, (devices, why)): (&String, &(u32, String))| OwnerStatus {
            rollout: name.clone(),
            devices: *devices,
            why: why.clone(),
        };
        let mut owners: Vec<OwnerStatus> = self.owners.iter().map(owner).collect();
        owners.sort_by_key(|owner| std::cmp::Reverse(owner.devices));
        owners.truncate(MAX_EXAMPLES);
        let owned_elsewhere = self.owners.values().map(|(devices, _)| devices).sum();
        Excluded { owned_elsewhere, owners, ..others.clone() }
    }
}

/// Records which devices are left out; other owners than before are a decision.
pub(super) fn note_owners(status: &mut OtaRolloutStatus, excluded: Excluded, now: Timestamp) {
    let names = |excluded: &Excluded| -> BTreeSet<String> {
        excluded.owners.iter().map(|owner| owner.rollout.clone()).collect()
    };
    if !excluded.owners.is_empty() && names(&excluded) != names(&status.excluded) {
        record_decision(&mut status.decisions, now, Reason::OwnedElsewhere, owned_text(&excluded));
    }
    status.excluded = excluded;
}

/// The owners of devices that this rollout leaves to others, for the end of a message; empty when there are none.
pub(super) fn owners_text(excluded: &Excluded) -> String {
    if excluded.owned_elsewhere == 0 {
        return String::new();
    }
    format!("; {}", owned_text(excluded))
}

fn owned_text(excluded: &Excluded) -> String {
    let named: Vec<String> = excluded
        .owners
        .iter()
        .map(|owner| {
            let (devices, belong) =
                (counted(owner.devices, "device"), verb(owner.devices, "belongs", "belong"));
            format!("{devices} {belong} to OtaRollout {} ({})", owner.rollout, owner.why)
        })
        .collect();
    let rest = excluded.owned_elsewhere - excluded.owners.iter().map(|owner| owner.devices).sum::<u32>();
    let more = if rest > 0 { format!(", {rest} to others") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

impl Pass<'_, '_> {
    /// The hold for devices without an owner or with an unknown one; and the end of a rollout that owns no device.
    pub(super) fn overlap(&self) -> Option<Outcome> {
        let shared = &self.observed.population.shared;
        if shared.contested > 0 {
            return Some(self.contested(shared));
        }
        let may_send = !self.observed.population.eligible.is_empty()
            || self.observed.unfinished.iter().any(|unfinished| !unfinished.devices().is_empty());
        if let Some(rival) = self.context.ownership.unread().filter(|_| may_send) {
            let rival = self.context.ownership.name_of(rival);
            let message = format!(
                "waits for the groups or tags of OtaRollout {rival}, which cannot be read: it may own some of these devices; its status shows the error"
            );
            return Some(Outcome::working(RolloutPhase::Progressing, Reason::OwnerUnknown, message));
        }
        self.owns_nothing()
    }

    fn contested(&self, shared: &Shared) -> Outcome {
        let rollouts: Vec<&str> = shared.contenders.iter().map(String::as_str).collect();
        let message = format!(
            "{} of {} targeted devices are also targeted by OtaRollout {} with equal precedence ({}), so nothing is sent; give one rollout a higher spec.priority, or let them target different devices",
            shared.contested,
            self.observed.population.targeted,
            rollouts.join(", "),
            self.context.ownership.tie(),
        );
        Outcome::held(Reason::TargetsOverlap, message, self.is_live())
    }

    /// Nothing was sent, and every eligible device belongs to another rollout: nothing is left to do here.
    fn owns_nothing(&self) -> Option<Outcome> {
        let excluded = &self.status.excluded;
        let owns_something = excluded.owned_elsewhere == 0
            || excluded.by_version > 0
            || excluded.already_current > 0
            || !self.observed.population.eligible.is_empty()
            || !self.observed.jobs.unsettled.is_empty()
            || has_begun(self.status);
        (!owns_something).then(|| Outcome {
            phase: RolloutPhase::Completed,
            standing: Standing::Done,
            reason: Reason::OwnedElsewhere,
            message: format!(
                "nothing is sent to any of {} targeted devices: {}",
                self.observed.population.targeted,
                owned_text(excluded)
            ),
            requeue: Requeue::AtDriftInterval,
            actions: Vec::new(),
        })
    }

    /// Stops jobs of ours whose remaining devices are all owned by another rollout now. A job with other devices left
    /// continues, and the owner waits for it.
    pub(super) fn stop_lost_jobs(&mut self) -> Vec<Action> {
        if !self.context.capabilities.stops_jobs {
            return Vec::new();
        }
        let listed = self.observed.jobs.listed.iter();
        let lost = listed.filter(|ours| can_be_stopped(ours.job) && self.is_lost(&ours.job.devices));
        let lost: BTreeSet<String> = lost.map(|ours| ours.job.id.clone()).collect();
        for job in self.status.stages.iter_mut().flat_map(|stage| &mut stage.jobs) {
            job.stop_ordered |= lost.contains(&job.id);
        }
        lost.into_iter().map(|id| Action::StopJob { id }).collect()
    }

    fn is_lost(&self, devices: &[String]) -> bool {
        let (spec, fleet) = (&self.context.package.spec, self.context.fleet.value.devices);
        let target = Target { kind: spec.kind, version: &spec.version };
        let known = devices.iter().filter_map(|id| fleet.get(id));
        let mut left = known.filter(|device| !target.is_reported_by(device)).peekable();
        left.peek().is_some() && left.all(|device| self.context.ownership.owned_elsewhere(device).is_some())
    }

    /// True once a stage has no devices left because other rollouts own them, and none will come: then it has passed.
    pub(super) fn all_went_elsewhere(&mut self, index: usize) -> bool {
        let is_left = self.status.stages[index].counts.assigned > 0
            || self.status.excluded.owned_elsewhere == 0
            || !self.observed.population.eligible.is_empty();
        if is_left {
            return false;
        }
        let message = format!(
            "stage {}: all of its devices now belong to other rollouts, and no device is left to send to",
            self.status.stages[index].name
        );
        self.enter(index, StagePhase::Passed, Reason::StagePassed, &message);
        true
    }
}
