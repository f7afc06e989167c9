//! Law (f): an object whose requests fail for ever delays no other object by more than two polling intervals.
//!
//! A rollout with a job that runs is looked at in every poll: a read of one of its jobs is answered, or a reconcile of it ends
//! without an error. What reconciles of others that did not fail have taken is no delay by those that fail.

use super::eligible::package_of;
use crate::broken::Broken;
use crate::checkers::excused::{Scene, who_owns};
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Object, ObjectKey, OtaRollout, RolloutPhase, StagePhase};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often a rollout is looked at while a stage of it runs.
const POLL: SignedDuration = SignedDuration::from_secs(30);
/// What an object that fails may delay another one by.
const DELAY: SignedDuration = SignedDuration::from_secs(60);

/// Its own requests until the first one of its jobs is answered.
const OWN: SignedDuration = SignedDuration::from_secs(5);

/// An answer takes no longer at the smallest budget of an account here.
const ANSWER: SignedDuration = SignedDuration::from_secs(2);

/// When an object was last looked at, and what reconciles that did not fail took since.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Timestamp,
    others: SignedDuration,
}

/// Looks at rollouts, while nothing fails but what fails for ever, and this process works.
#[derive(Default)]
pub(super) struct Delays {
    looks: BTreeMap<ObjectKey, Look>,
    /// Keys of the objects that are watched, by identity.
    uids: BTreeMap<String, ObjectKey>,
    /// No fault strikes everything.
    is_calm: bool,
    /// When an external job answered last.
    answered_at: Option<Timestamp>,
}

impl Delays {
    /// From now on something may go wrong for a whole account.
    pub(super) const fn faults_begin(&mut self) {
        self.is_calm = false;
    }

    /// From now on only single resources fail.
    pub(super) fn faults_end(&mut self) {
        self.is_calm = true;
        self.begin();
    }

    /// Whoever works begins.
    pub(super) fn begin(&mut self) {
        self.looks.clear();
    }

    /// A read of one of its jobs was answered.
    pub(super) fn looks_at(&mut self, uid: &str, now: Timestamp) {
        if let Some(look) = self.uids.get(uid).and_then(|key| self.looks.get_mut(key)) {
            *look = Look { at: now, others: SignedDuration::ZERO };
        }
    }

    /// An external job has answered whom it holds. A dispatch queries many of them, and no reconcile ends meanwhile.
    pub(super) fn external_job_answers(&mut self, now: Timestamp) {
        let took = self.answered_at.replace(now).map_or(SignedDuration::ZERO, |at| now.duration_since(at));
        for look in self.looks.values_mut() {
            look.others = look.others.saturating_add(took.min(ANSWER));
        }
    }

    /// An object was reconciled, which took so long, and no call failed.
    pub(super) fn reconciled(&mut self, key: &ObjectKey, took: SignedDuration, now: Timestamp) {
        for (of, look) in &mut self.looks {
            look.others = look.others.saturating_add(took);
            if of == key {
                *look = Look { at: now, others: SignedDuration::ZERO };
            }
        }
    }

    /// These things fail for ever.
    pub(super) fn are(&mut self, broken: &[Broken], scene: &Scene<'_>, now: Timestamp) -> Result<(), String> {
        if !self.is_calm || broken.is_empty() {
            return Ok(());
        }
        let failing = who_owns(broken, scene);
        let is_watched = |object: &&Arc<Object>| {
            !failing.contains(&object.key())
                && broken.iter().any(|of| scene.is_in(object, of))
                && is_running(object, scene)
        };
        let watched: Vec<&Arc<Object>> = scene.objects.iter().filter(is_watched).collect();
        let keys: BTreeSet<ObjectKey> = watched.iter().map(|object| object.key()).collect();
        self.looks.retain(|key, _| keys.contains(key));
        let uids = watched.iter().filter_map(|object| Some((object.meta().uid.clone()?, object.key())));
        self.uids = uids.collect();
        // It may read itself what fails, once: whether that holds its devices.
        let reads = i32::try_from(failing.len().max(1) + 1).unwrap_or(2);
        let most = POLL.saturating_add(OWN).saturating_add(DELAY * reads);
        for key in keys {
            let look =
                self.looks.entry(key.clone()).or_insert(Look { at: now, others: SignedDuration::ZERO });
            let waited = now.duration_since(look.at).saturating_sub(look.others);
            if waited > most {
                return Err(told(&key, waited, &failing, broken));
            }
        }
        Ok(())
    }
}

fn told(key: &ObjectKey, waited: SignedDuration, failing: &BTreeSet<ObjectKey>, broken: &[Broken]) -> String {
    let failing: Vec<String> = failing.iter().map(ToString::to_string).collect();
    let things: Vec<String> = broken.iter().map(|of| format!("{:?}", of.what)).collect();
    let (failing, things) = (failing.join(", "), things.join(", "));
    format!("{key} was not looked at for {waited:#}, while {things} failed, which {failing} needs")
}

/// A stage of it runs, so that it is looked at in every poll, and a device of its jobs is still to answer.
fn is_running(object: &Object, scene: &Scene<'_>) -> bool {
    let Object::Rollout(rollout) = object else { return false };
    let OtaRollout { status: Some(status), .. } = rollout else { return false };
    let uid = rollout.metadata.uid.as_deref().unwrap_or_default();
    status.phase == RolloutPhase::Progressing
        && rollout.metadata.deletion_timestamp.is_none()
        && package_of(rollout, scene.objects).is_some()
        && status.stages.iter().any(|stage| stage.phase == StagePhase::Running)
        && scene.creates.of(uid, scene.jobs).iter().any(|job| !job.open.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollwave::api::Kind;

    #[test]
    fn a_look_is_a_reconcile_of_it_or_a_read_of_its_job() {
        let key = |name| ObjectKey::new(Kind::OtaRollout, "default", name);
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut delays = Delays::default();
        delays.faults_end();
        delays.uids.insert("u".to_owned(), key("a"));
        for name in ["a", "b"] {
            delays.looks.insert(key(name), Look { at: at(0), others: SignedDuration::ZERO });
        }
        delays.reconciled(&key("b"), SignedDuration::from_secs(7), at(10));
        let look = |delays: &Delays, name| {
            delays.looks.get(&key(name)).map(|look| (look.at.as_second(), look.others.as_secs()))
        };
        assert_eq!((look(&delays, "a"), look(&delays, "b")), (Some((0, 7)), Some((10, 0))));
        delays.looks_at("u", at(20));
        assert_eq!(look(&delays, "a"), Some((20, 0)));
        delays.begin();
        assert_eq!(look(&delays, "a"), None);
    }
}
