//! Laws of intent: what the manifests say now is what the fleet runs, whatever was edited, and whenever. Each is judged by what
//! is durable and by the truth of the simulator, and computed here from the manifest: nothing of the judge is used.
//!
//! They hold from seed 5,000,000 on.

mod control;
mod delays;
mod eligible;
mod excluded;
mod failures;
mod gates;
mod holds;
mod overdue;
mod overlap;
mod owned;
mod pace;
mod reached;
mod stops;
mod truth;
pub(super) mod verdict;
mod warrant;

use super::creates::run_key;
use super::excused::Scene;
use super::stages::kind_of;
use super::{Creates, Sent};
use crate::broken::Broken;
use crate::clouds::{JobTruth, VersionTruth};
use control::Controls;
use delays::Delays;
use excluded::selects;
use failures::Failures;
use gates::have_passed;
use holds::may_be_sent;
use jiff::{SignedDuration, Timestamp};
use overdue::Waits;
use overlap::have_a_device_each;
use owned::owns;
use pace::Paces;
use reached::have_reached;
use rollwave::api::{Object, ObjectKey, OtaRollout, RolloutPhase};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use stops::{StopRules, has_fired_at_rest, has_not_fired};
use truth::{Goal, Run, Truth};
use warrant::{Dispatch, Warrants};

pub(super) use eligible::{is_excluded, is_selected, is_targeted, package_of, source_versions};
pub(super) use reached::Fleet;

/// Simulation runs of earlier seeds are judged by no law of intent: their histories are older.
pub(crate) const FIRST_OF_INTENT: u64 = 5_000_000;

/// A law of intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// (a) When faults stop, each targeted, eligible, reachable device runs the version that the spec names, or it is counted.
    Reached,
    /// (b) No job is sent to a device that the newest durable spec excludes, does not target, or does not own.
    Selected,
    /// (c) No stage is sent before every earlier gate passed with evidence.
    Gates,
    /// (d) A failure that was observed counts in each later verdict of its run.
    Failures,
    /// (e) Each stop rule's verdict is the one of the simulator's truth at the time of the observation.
    StopRules,
    /// (f) An object whose requests fail for ever delays no other by more than two polling intervals.
    Delays,
    /// (g) Nothing is sent after a durable suspend, pause or deletion.
    Holds,
    /// (h) No two rollouts have live jobs for one device and module.
    Overlap,
    /// (i) Short-lived processes make the progress of one long one.
    ShortLives,
    /// (j) No stage waits for its devices longer than its deadline.
    Deadlines,
    /// (k) Each comparison with a control group is made once, and the verdict follows from its numbers.
    Control,
    /// (l) No more devices are sent in a minute, or upgrade at the same time, than `delivery` says.
    Pace,
}

impl Law {
    /// Each of them, in the order of their letters.
    pub const ALL: [Self; 12] = [
        Self::Reached,
        Self::Selected,
        Self::Gates,
        Self::Failures,
        Self::StopRules,
        Self::Delays,
        Self::Holds,
        Self::Overlap,
        Self::ShortLives,
        Self::Deadlines,
        Self::Control,
        Self::Pace,
    ];

    /// The letter that a violation begins with.
    #[must_use]
    pub fn letter(self) -> char {
        Self::ALL
            .into_iter()
            .zip('a'..)
            .find_map(|(law, letter)| (law == self).then_some(letter))
            .unwrap_or('?')
    }
}

/// Which laws of intent a simulation run is judged by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Laws(u16);

impl Laws {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Law::ALL.into_iter().fold(Self::default(), Self::and)
    }

    /// Those that a run of this seed is judged by.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        if seed >= FIRST_OF_INTENT { Self::all() } else { Self::default() }
    }

    /// The laws with these letters, such as `bcg`; `all`; or `none`.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        match text {
            "all" => return Some(Self::all()),
            "none" => return Some(Self::default()),
            _ => {}
        }
        let of = |letter| Law::ALL.into_iter().find(|law| law.letter() == letter);
        text.chars().try_fold(Self::default(), |laws, letter| of(letter).map(|law| laws.and(law)))
    }

    /// These and one more.
    #[must_use]
    pub fn and(self, law: Law) -> Self {
        Self(self.0 | 1 << law as u16)
    }

    /// True when this law is one of them.
    #[must_use]
    pub const fn has(self, law: Law) -> bool {
        self.0 & (1 << law as u16) != 0
    }
}

impl fmt::Display for Laws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("none");
        }
        Law::ALL.into_iter().filter(|law| self.has(*law)).try_for_each(|law| write!(f, "{}", law.letter()))
    }
}

/// Everything that the laws of intent watch.
#[derive(Default)]
pub(super) struct Intent {
    laws: Laws,
    warrants: Warrants,
    truth: Truth,
    failures: Failures,
    stops: StopRules,
    controls: Controls,
    paces: Paces,
    delays: Delays,
    waits: Waits,
    /// When rollouts were first completed, by name.
    pub(super) completed: BTreeMap<String, Timestamp>,
}

impl Intent {
    pub(super) fn new(laws: Laws) -> Self {
        Self { laws, ..Self::default() }
    }

    /// Methods of the stop rules that fired.
    pub(super) const fn methods_fired(&self) -> &BTreeSet<String> {
        &self.stops.methods
    }

    /// Whether any law is to be judged.
    pub(super) fn watches(&self) -> bool {
        self.laws != Laws::default()
    }

    /// A status is durable, or is about to be, beside what else is `durable`.
    pub(super) fn status_is(
        &mut self,
        object: &Object,
        durable: &[Arc<Object>],
        now: Timestamp,
    ) -> Result<(), String> {
        if !self.watches() {
            return Ok(());
        }
        self.note_completed(object, now);
        let Object::Rollout(written) = object else {
            self.warrants.status_is(object, &with_status(object, durable), now);
            return Ok(());
        };
        // What is durable has the newest spec; who writes may have read an older one.
        let durable = with_status(object, durable);
        let newest = durable.iter().find(|there| there.key() == object.key());
        let rollout = match newest.map(Arc::as_ref) {
            Some(Object::Rollout(rollout)) => rollout.clone(),
            _ => written.clone(),
        };
        self.warrants.status_is(object, &durable, now);
        if let Some(run) = run(&rollout) {
            self.truth.stages_are(&run, &stage_names(&rollout), now);
        }
        let failures = self.failures.status_is(&rollout, &mut self.truth, now);
        let stops =
            run(&rollout).map_or(Ok(()), |run| self.stops.status_is(&rollout, &run, &self.truth, now));
        let compared = run(&rollout).map_or(Ok(()), |run| self.controls.status_is(&rollout, &run));
        let counted = self.told(Law::Failures, failures).and(self.told(Law::StopRules, stops));
        counted.and(self.told(Law::Control, compared))
    }

    fn note_completed(&mut self, object: &Object, now: Timestamp) {
        let Object::Rollout(rollout) = object else { return };
        if rollout.status.as_ref().is_some_and(|status| status.phase == RolloutPhase::Completed) {
            self.completed.entry(object.key().name).or_insert(now);
        }
    }

    /// From now on something may go wrong for a whole account.
    pub(super) fn faults_begin(&mut self) {
        self.delays.faults_begin();
        self.waits.is_calm(false);
    }

    /// From now on only single resources fail.
    pub(super) fn faults_end(&mut self) {
        self.delays.faults_end();
        self.waits.is_calm(true);
    }

    /// Whoever works begins.
    pub(super) fn process_begins(&mut self) {
        self.delays.begin();
    }

    /// An object was reconciled, and no call failed.
    pub(super) fn reconciled(&mut self, key: &ObjectKey, took: SignedDuration, now: Timestamp) {
        self.delays.reconciled(key, took, now);
    }

    /// An external job was read.
    pub(super) fn external_job_answers(&mut self, now: Timestamp) {
        self.delays.external_job_answers(now);
    }

    /// A job of this object was read.
    pub(super) fn looks_at(&mut self, uid: &str, now: Timestamp) {
        self.delays.looks_at(uid, now);
    }

    /// Something fails for ever.
    pub(super) fn delays_are(
        &mut self,
        broken: &[Broken],
        objects: &[Arc<Object>],
        jobs: &[JobTruth],
        creates: &Creates,
        now: Timestamp,
    ) -> Result<(), String> {
        if !self.laws.has(Law::Delays) {
            return Ok(());
        }
        let law = self.delays.are(broken, &Scene { objects, jobs, packages: &[], creates }, now);
        self.told(Law::Delays, law)
    }

    /// Objects that were edited since the intent of this token became durable.
    pub(super) fn edited_since(&self, token: &str, durable: &[Arc<Object>]) -> BTreeSet<ObjectKey> {
        self.warrants.edited_since(token, durable)
    }

    /// A job leaves.
    pub(super) fn leaves(
        &mut self,
        token: &str,
        devices: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<(), String> {
        // Without an intent it breaks another law.
        let Some(warrant) = self.warrants.of(token).filter(|_| self.watches()) else { return Ok(()) };
        let Some(object) = warrant.object() else { return Ok(()) };
        let held = self.told(Law::Holds, may_be_sent(object));
        let Object::Rollout(rollout) = object else { return held };
        let Some((uid, package)) = run(rollout) else { return held };
        let mut pending = object.pending().iter();
        let stage = pending.find(|intent| intent.token == token).and_then(|intent| intent.stage.clone());
        let dispatch = &Dispatch { sent: &Sent { uid, package, stage }, devices, now };
        let package = package_of(rollout, &warrant.objects);
        let owned = package.map_or(Ok(()), |package| owns(rollout, package, warrant, dispatch, &self.truth));
        let selected = selects(rollout, &warrant.objects, dispatch, &self.truth);
        let selected = self.told(Law::Selected, selected.and(owned));
        let passed =
            package.map_or(Ok(()), |package| have_passed(rollout, package, dispatch.sent, &self.truth));
        let passed = self.told(Law::Gates, passed);
        let paced = package.map_or(Ok(()), |package| {
            self.paces.leaves(token, (rollout, package), &warrant.objects, dispatch, &self.truth)
        });
        let passed = passed.and(self.told(Law::Pace, paced));
        let fired = has_not_fired(rollout, &truth::run_of(dispatch.sent), &self.truth, dispatch.now);
        let law = held.and(selected).and(passed).and(self.told(Law::StopRules, fired));
        self.waits.leaves(dispatch.sent, now);
        if let Some(package) = package {
            let goal = Goal { kind: kind_of(package), version: package.spec.version.clone() };
            self.truth.leaves(dispatch.sent, goal);
        }
        law
    }

    /// It is now.
    pub(super) fn time_is(&mut self, now: Timestamp) {
        self.waits.is_now(now);
    }

    /// Everything that there is now.
    pub(super) fn is_now<'a>(
        &mut self,
        jobs: &[JobTruth],
        versions: impl Iterator<Item = VersionTruth<'a>>,
        creates: &Creates,
        now: Timestamp,
    ) -> Result<(), String> {
        self.truth.is_now(jobs, versions, creates, now);
        self.paces.jobs_are(jobs, creates, now);
        self.jobs_are(jobs, creates)
    }

    /// These are all jobs that there are.
    pub(super) fn jobs_are(&self, jobs: &[JobTruth], creates: &Creates) -> Result<(), String> {
        self.told(Law::Overlap, have_a_device_each(jobs, creates, &self.truth))
    }

    /// The run is at rest.
    pub(super) fn at_rest(
        &self,
        (objects, excused): (&[Arc<Object>], &BTreeSet<ObjectKey>),
        fleet: &Fleet<'_>,
        now: Timestamp,
    ) -> Result<(), String> {
        if !self.watches() {
            return Ok(());
        }
        // Whoever needs what fails for ever has observed nothing, and sends nothing.
        let observing = objects.iter().filter(|object| !excused.contains(&object.key()));
        let rollouts = observing.filter_map(|object| match object.as_ref() {
            Object::Rollout(rollout) => Some(rollout),
            _ => None,
        });
        let fired = rollouts.filter_map(|rollout| Some((rollout, run(rollout)?)));
        let mut fired = fired.map(|(rollout, run)| has_fired_at_rest(rollout, &run, &self.truth, now));
        let law = self.told(Law::Reached, have_reached(objects, excused, fleet));
        law.and(self.waits_at_rest(objects, excused, now))
            .and(self.told(Law::StopRules, fired.find(Result::is_err).unwrap_or(Ok(()))))
    }

    /// The run is at rest, or waits for devices that may never answer.
    pub(super) fn waits_at_rest(
        &self,
        objects: &[Arc<Object>],
        excused: &BTreeSet<ObjectKey>,
        now: Timestamp,
    ) -> Result<(), String> {
        let observing = objects.iter().filter(|object| !excused.contains(&object.key()));
        let mut waits = observing.map(|object| match object.as_ref() {
            Object::Rollout(rollout) => self.waits.are_over(rollout, now),
            _ => Ok(()),
        });
        self.told(Law::Deadlines, waits.find(Result::is_err).unwrap_or(Ok(())))
    }

    /// The state is lost, or is again what it was: what it had observed is forgotten.
    pub(super) fn forget(&mut self) {
        self.failures.forget();
        self.truth.forget();
    }

    /// What is told of a law that was broken, if it is one that is judged.
    fn told(&self, law: Law, held: Result<(), String>) -> Result<(), String> {
        held.or_else(
            |why| if self.laws.has(law) { Err(format!("law ({}): {why}", law.letter())) } else { Ok(()) },
        )
    }
}

/// The run that a rollout's status is in.
fn run(rollout: &OtaRollout) -> Option<Run> {
    Some((rollout.metadata.uid.clone()?, run_key(rollout.status.as_ref()?)))
}

/// The stages that its spec or its status names.
fn stage_names(rollout: &OtaRollout) -> BTreeSet<&str> {
    let observed = rollout.status.iter().flat_map(|status| &status.stages);
    let wanted = rollout.spec.stages.iter().map(|stage| stage.name.as_str());
    wanted.chain(observed.map(|stage| stage.name.as_str())).collect()
}

/// What is durable, once this status is.
fn with_status(object: &Object, durable: &[Arc<Object>]) -> Vec<Arc<Object>> {
    let written = |there: &Arc<Object>| {
        if there.key() != object.key() {
            return there.clone();
        }
        let mut next = there.as_ref().clone();
        match (&mut next, object) {
            (Object::Cloud(next), Object::Cloud(object)) => next.status.clone_from(&object.status),
            (Object::Package(next), Object::Package(object)) => next.status.clone_from(&object.status),
            (Object::Rollout(next), Object::Rollout(object)) => next.status.clone_from(&object.status),
            _ => {}
        }
        Arc::new(next)
    };
    durable.iter().map(written).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laws_have_letters_and_hold_from_a_seed_on() {
        let letters: String = Law::ALL.into_iter().map(Law::letter).collect();
        assert_eq!(letters, "abcdefghijkl");
        for law in Law::ALL {
            assert_eq!(Laws::named(&law.letter().to_string()), Some(Laws::default().and(law)));
        }
        assert_eq!(Laws::named("gb").map(|laws| laws.to_string()).as_deref(), Some("bg"));
        assert_eq!((Laws::named("all"), Laws::named("none")), (Some(Laws::all()), Some(Laws::default())));
        assert_eq!(Laws::named("xyz"), None);
        assert_eq!(Laws::of_seed(FIRST_OF_INTENT - 1), Laws::default());
    }
}
