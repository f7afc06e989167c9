//! One word for how an object stands, derived from its status and nothing else.

use super::{
    HEALTHY, Kind, Object, ObjectKey, READY, RECONCILING, RolloutPhase, STALLED, SUSPENDED,
    condition_is_true, find_condition,
};
use serde::Serialize;
use std::sync::Arc;

/// How an object stands.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Its present spec was never looked at.
    New,
    /// It is being deleted.
    Deleting,
    /// A stop rule ended it for good.
    Aborted,
    /// Only a person can bring it further.
    Stalled,
    /// Held by `suspend`, a gate, a stop rule, or something that cannot be told.
    Held,
    /// It was fine, and something is wrong with it now.
    Unhealthy,
    /// Work towards the spec is going on.
    Working,
    /// Waits for something else.
    Waiting,
    /// The cloud holds what the spec says.
    Ready,
}

impl Health {
    /// As people read it: `held`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Deleting => "deleting",
            Self::Aborted => "aborted",
            Self::Stalled => "stalled",
            Self::Held => "held",
            Self::Unhealthy => "unhealthy",
            Self::Working => "in progress",
            Self::Waiting => "waiting",
            Self::Ready => "ready",
        }
    }
}

/// True when nothing goes on by itself any more: everything is ready, held or stalled, or waits for something that is.
#[must_use]
pub fn all_settled(objects: &[Arc<Object>]) -> bool {
    let stuck = |key: &ObjectKey| {
        let found = objects.iter().find(|object| object.key() == *key);
        found.is_none_or(|object| matches!(object.health(), Health::Stalled | Health::Unhealthy))
    };
    objects.iter().all(|object| match object.health() {
        Health::New | Health::Deleting => false,
        Health::Working => object.has_not_begun() && object.waits_for().is_some_and(|key| stuck(&key)),
        Health::Waiting => object.waits_for().is_none_or(|key| stuck(&key)),
        Health::Ready | Health::Held | Health::Aborted | Health::Stalled | Health::Unhealthy => true,
    })
}

impl Object {
    /// The object that this one cannot do without.
    #[must_use]
    pub fn waits_for(&self) -> Option<ObjectKey> {
        match self {
            Self::Cloud(_) => None,
            Self::Package(o) => Some(o.account()),
            Self::Rollout(o) => Some(self.key().sibling(Kind::OtaPackage, &o.spec.package_ref.name)),
        }
    }

    /// True for a rollout that has sent nothing yet, and does not go on without its package.
    fn has_not_begun(&self) -> bool {
        let Self::Rollout(rollout) = self else { return false };
        rollout.status.as_ref().is_some_and(|s| s.phase == RolloutPhase::Pending && s.pending.is_empty())
    }

    /// How the object stands.
    #[must_use]
    pub fn health(&self) -> Health {
        let conditions = self.conditions();
        let is = |type_| condition_is_true(conditions, type_);
        if self.is_deleting() {
            Health::Deleting
        } else if self.observed_generation() < self.generation().max(0) {
            Health::New
        } else if let Some(held) = self.held() {
            held
        } else if is(STALLED) {
            Health::Stalled
        } else if is(READY) && self.phase().is_none_or(|phase| phase == RolloutPhase::Completed) {
            Health::Ready
        } else if find_condition(conditions, HEALTHY).is_some_and(|c| c.status == "False") {
            Health::Unhealthy
        } else if is(RECONCILING) || self.is_progressing() {
            Health::Working
        } else {
            Health::Waiting
        }
    }

    /// True while it stands still because a user wants it to: by `spec.suspend`, or by a pause.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        condition_is_true(self.conditions(), SUSPENDED)
    }

    /// The generation that the status speaks of; -1 before the first reconcile.
    #[must_use]
    pub fn observed_generation(&self) -> i64 {
        let observed = match self {
            Self::Cloud(o) => o.status.as_ref().map(|s| s.observed_generation),
            Self::Package(o) => o.status.as_ref().map(|s| s.observed_generation),
            Self::Rollout(o) => o.status.as_ref().map(|s| s.observed_generation),
        };
        observed.unwrap_or(-1)
    }

    /// The sentence of the status; empty before the first reconcile.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Cloud(o) => o.status.as_ref().map_or("", |s| &s.message),
            Self::Package(o) => o.status.as_ref().map_or("", |s| &s.message),
            Self::Rollout(o) => o.status.as_ref().map_or("", |s| &s.message),
        }
    }

    fn phase(&self) -> Option<RolloutPhase> {
        match self {
            Self::Rollout(o) => o.status.as_ref().map(|s| s.phase),
            Self::Cloud(_) | Self::Package(_) => None,
        }
    }

    fn held(&self) -> Option<Health> {
        match self.phase()? {
            RolloutPhase::Aborted => Some(Health::Aborted),
            RolloutPhase::Held => Some(Health::Held),
            RolloutPhase::Pending
            | RolloutPhase::Progressing
            | RolloutPhase::Completed
            | RolloutPhase::Deleting => None,
        }
    }

    fn is_progressing(&self) -> bool {
        self.phase() == Some(RolloutPhase::Progressing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{OtaRollout, OtaRolloutSpec, OtaRolloutStatus, Reason, Truth, set_condition};
    use jiff::Timestamp;

    fn rollout(generation: i64, phase: RolloutPhase, conditions: &[&str]) -> Object {
        let spec: OtaRolloutSpec = serde_json::from_value(serde_json::json!({
            "packageRef": {"name": "p"}, "targets": {"all": true}, "stages": [{"name": "a", "select": {"rest": true}}]
        }))
        .unwrap();
        let mut status = OtaRolloutStatus { observed_generation: 1, phase, ..OtaRolloutStatus::default() };
        for type_ in conditions {
            set_condition(
                &mut status.conditions,
                type_,
                Truth::True,
                Reason::Observing,
                "",
                1,
                Timestamp::UNIX_EPOCH,
            );
        }
        let mut object = OtaRollout::new("r", spec);
        object.status = Some(status);
        object.metadata.generation = Some(generation);
        Object::Rollout(object)
    }

    #[test]
    fn the_worst_news_wins() {
        for (generation, phase, conditions, health) in [
            (2, RolloutPhase::Completed, &[READY][..], Health::New),
            (1, RolloutPhase::Aborted, &[STALLED], Health::Aborted),
            (1, RolloutPhase::Held, &[READY], Health::Held),
            (1, RolloutPhase::Progressing, &[STALLED, READY], Health::Stalled),
            (1, RolloutPhase::Completed, &[READY], Health::Ready),
            (1, RolloutPhase::Progressing, &[READY], Health::Working),
            (1, RolloutPhase::Progressing, &[], Health::Working),
            (1, RolloutPhase::Pending, &[RECONCILING], Health::Working),
            (1, RolloutPhase::Pending, &[], Health::Waiting),
        ] {
            assert_eq!(rollout(generation, phase, conditions).health(), health, "{phase:?} {conditions:?}");
        }
    }
}
