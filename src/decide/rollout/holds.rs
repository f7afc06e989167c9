//! Holds: reasons to send nothing, in the order in which they are checked. The first one that holds is the outcome.
//!
//! A hold stops dispatch. It never stops observation, stop rules or the judgement of gates, which come before. To add one,
//! write a file here and name it in [`HOLDS`].

pub(super) mod changed_stages;
mod failed_gate;
mod no_devices;
mod none_eligible;
mod ownership;
mod package;
pub(super) mod stop_rule;
mod suspended;
mod unknown_outcome;
mod unlisted_job;
pub(super) mod unprovable_gate;
mod unread_sets;

use super::advance::Pass;
use super::jobs::{can_be_stopped, unstoppable};
use super::report::Outcome;
use crate::api::Reason;
use crate::decide::Action;
use std::collections::BTreeSet;

/// Checks one reason: the outcome while it holds the rollout.
pub(super) type Hold = fn(&mut Pass<'_, '_>) -> Option<Outcome>;

/// All holds. What stops running jobs comes first, then what only a user ends, then what ends by itself.
pub(super) const HOLDS: &[Hold] = &[
    stop_rule::check,
    suspended::check,
    failed_gate::check,
    unprovable_gate::check,
    package::check,
    changed_stages::check,
    unknown_outcome::check,
    unlisted_job::check,
    no_devices::check,
    unread_sets::check,
    ownership::check,
    none_eligible::check,
];

/// The outcome of the first of these holds that holds the rollout.
pub(super) fn first(holds: &[Hold], pass: &mut Pass<'_, '_>) -> Option<Outcome> {
    holds.iter().find_map(|check| check(pass))
}

impl Pass<'_, '_> {
    pub(super) fn has_live_jobs(&self) -> bool {
        !self.observed.jobs.live().is_empty()
    }

    /// Holds, and stops every job of ours that is not final.
    fn hold_and_stop(&mut self, reason: Reason, message: String) -> Outcome {
        let live = self.observed.jobs.live();
        let ids: BTreeSet<&str> = live.iter().map(|job| job.id.as_str()).collect();
        for job in self.status.stages.iter_mut().flat_map(|stage| &mut stage.jobs) {
            job.stop_ordered |= ids.contains(job.id.as_str());
        }
        if !self.context.capabilities.stops_jobs {
            let message = message + &unstoppable(&live);
            return Outcome::held(reason, message, !live.is_empty());
        }
        let stops = live.iter().filter(|job| can_be_stopped(job));
        let stops: Vec<Action> = stops.map(|job| Action::StopJob { id: job.id.clone() }).collect();
        Outcome::held(reason, message, !live.is_empty()).with(stops)
    }
}
