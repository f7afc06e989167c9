//! Law (f): an object whose requests fail for ever delays no other object by more than two polling intervals.

use crate::api::{Object, ObjectKey, OtaRollout, RolloutPhase, StagePhase};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How often a rollout is looked at while a stage of it runs.
const POLL: SignedDuration = SignedDuration::from_secs(30);

/// The end of one reconcile.
#[derive(Clone, Copy, Debug)]
pub(in crate::world::checkers) struct Reconciled {
    /// A call failed.
    pub(in crate::world::checkers) failed: bool,
    /// How long it took.
    pub(in crate::world::checkers) took: SignedDuration,
}

/// When objects were reconciled, since the faults that strike everything have ended and this process works.
#[derive(Default)]
pub(super) struct Delays {
    /// By object: when it was last reconciled, and what the reconciles of others that did not fail took since.
    last: BTreeMap<ObjectKey, (Timestamp, SignedDuration)>,
    /// Objects with a call that failed.
    failing: BTreeSet<ObjectKey>,
    /// No fault strikes everything any more.
    is_calm: bool,
}

impl Delays {
    /// From now on only single resources fail.
    pub(super) fn faults_end(&mut self) {
        self.is_calm = true;
        self.begin();
    }

    /// Whoever works begins.
    pub(super) fn begin(&mut self) {
        self.last.clear();
        self.failing.clear();
    }

    /// An object was reconciled; `durable` is what it is since.
    pub(super) fn reconciled(
        &mut self,
        key: &ObjectKey,
        durable: Option<&Object>,
        of: Reconciled,
        now: Timestamp,
    ) -> Result<(), String> {
        if !self.is_calm {
            return Ok(());
        }
        if of.failed {
            self.failing.insert(key.clone());
        } else {
            self.last.values_mut().for_each(|(_, others)| *others = others.saturating_add(of.took));
        }
        let before = self.last.remove(key);
        if !durable.is_some_and(is_watched) {
            return Ok(());
        }
        self.last.insert(key.clone(), (now, SignedDuration::ZERO));
        let (Some((before, others)), false) = (before, self.failing.contains(key)) else { return Ok(()) };
        let [failing] = self.failing.iter().collect::<Vec<_>>()[..] else { return Ok(()) };
        let waited = now.duration_since(before).saturating_sub(others).saturating_sub(POLL);
        if waited <= POLL.saturating_add(POLL) {
            return Ok(());
        }
        Err(format!("{key} waited {waited:#} longer than a poll, while requests of {failing} failed"))
    }
}

/// A stage of it runs, so that it is looked at in every poll.
fn is_watched(object: &Object) -> bool {
    let Object::Rollout(OtaRollout { status: Some(status), .. }) = object else { return false };
    status.phase == RolloutPhase::Progressing
        && status.stages.iter().any(|stage| stage.phase == StagePhase::Running)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;
    use serde_json::json;

    fn rollout(name: &str) -> Object {
        let spec = json!({"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []});
        let status = json!({"phase": "Progressing", "stages": [{"name": "canary", "phase": "Running"}]});
        let object =
            json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec, "status": status});
        Object::Rollout(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_failing_object_may_delay_another_one_by_two_polls() {
        let key = |name| ObjectKey::new(Kind::OtaRollout, "default", name);
        let at = |second| Timestamp::from_second(second).unwrap();
        let of = |failed, took| Reconciled { failed, took: SignedDuration::from_secs(took) };
        for (fails, second, took, expected) in
            [(true, 90, 0, true), (true, 91, 0, false), (true, 100, 10, true), (false, 600, 0, true)]
        {
            let mut delays = Delays::default();
            delays.faults_end();
            let other = rollout("other");
            delays.reconciled(&key("other"), Some(&other), of(false, 0), at(0)).unwrap();
            delays.reconciled(&key("failing"), Some(&rollout("failing")), of(fails, 0), at(1)).unwrap();
            let law = delays.reconciled(&key("other"), Some(&other), of(false, took), at(second));
            assert_eq!(law.is_ok(), expected, "{fails} {second} {took}: {law:?}");
        }
    }
}
