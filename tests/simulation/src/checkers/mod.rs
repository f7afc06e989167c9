//! What must hold whatever happens. Each law looks at what is durable and at the clouds' truth, never at what the engine
//! believes; the first violation is kept.

mod budget;
mod creates;
mod effective;
mod excused;
mod facts;
mod hours;
mod intent;
mod leaving;
mod promptness;
mod requests;
mod rest;
mod soaks;
mod stages;
mod wording;

pub(super) use creates::{Creates, Sent, packages_are};
pub(super) use facts::Facts;
pub(super) use intent::FIRST_OF_INTENT;
pub use intent::{Law, Laws};
pub(super) use leaving::is_kept;
pub(super) use rest::{Rest, Unrest};

use crate::broken::Broken;
use crate::clouds::{self, Deed, JobTruth, Order, PackageTruth, Topic, VersionTruth};
use budget::Budgets;
use intent::{Fleet, Intent};
use jiff::{SignedDuration, Timestamp};
use promptness::Promptness;
use rollwave::api::{self, DeletionPolicy, Object, ObjectKey, Origin};
use rollwave::cloud::WireResponse;
use rollwave::engine::Report;
use rollwave::simulator::Simulator;
use soaks::Soaks;
use stages::Ran;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wording::Wording;

/// Everything that is watched.
#[derive(Default)]
pub(super) struct Checkers {
    pub(super) creates: Creates,
    ran: Ran,
    soaks: Soaks,
    promptness: Promptness,
    budgets: Budgets,
    intent: Intent,
    wording: Wording,
    /// Ids of packages that our requests made.
    pub(super) our_packages: BTreeSet<String>,
    /// Those of them of which nothing may tell any more that they are ours.
    lost_packages: BTreeSet<String>,
    has_lost: bool,
    /// Texts that must never be seen, and what all of them begin with.
    secrets: Vec<String>,
    prefix: String,
    violation: Option<String>,
    /// Every job there is, as of so many events in the fleet; none when something else may have happened since.
    jobs: Vec<JobTruth>,
    events: Option<u64>,
}

impl Checkers {
    pub(super) fn new(secrets: Vec<String>, laws: Laws) -> Self {
        let prefix = common_prefix(&secrets).to_owned();
        Self { secrets, prefix, intent: Intent::new(laws), ..Self::default() }
    }

    pub(super) fn judge(&mut self, law: Result<(), String>) {
        if let Err(why) = law {
            self.violation.get_or_insert(why);
        }
    }

    /// The state went back, or was lost, or somebody deleted what it did not know yet: what neither the state that is `durable`
    /// nor the cloud (`there`: ids of its jobs; `told`: of those that show a token) tells of may be made anew.
    pub(super) fn forget(
        &mut self,
        durable: &[Arc<Object>],
        there: &BTreeSet<String>,
        told: &BTreeSet<String>,
    ) {
        let texts = durable.iter().map(|object| serde_json::to_string(object).unwrap_or_default());
        let written = texts.collect::<String>();
        let likenesses = self.creates.likenesses.clone();
        self.creates.forget(|id, token| {
            let mut calls = durable.iter().flat_map(|object| object.pending());
            // A call that was sent again for other devices looks like another job by then.
            let is_its = |call: &api::Intent| {
                let likeness = call.likeness.as_ref().map(|known| &known.digest);
                call.token == token && (likeness.is_none() || likeness == likenesses.get(token))
            };
            let is_looked_for = there.contains(id) && calls.any(is_its);
            told.contains(id) || written.contains(id) || is_looked_for
        });
    }

    /// Who created a package that is there is not known any more: it may be adopted.
    pub(super) fn forget_packages(&mut self) {
        self.has_lost = true;
        self.creates.state_lost = true;
        self.intent.forget();
        self.lost_packages.extend(self.our_packages.iter().cloned());
    }

    pub(super) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// A request of this run of the process leaves, and this is durable at that moment. `machine` is the time by its own clock.
    pub(super) fn request_leaves(
        &mut self,
        run: u64,
        order: &mut Order,
        durable: &[Arc<Object>],
        now: Timestamp,
        machine: Timestamp,
    ) {
        if let Deed::CreateJob { token: token @ None, likeness: Some(likeness), .. } = &mut order.deed {
            *token = creates::token_of(likeness, durable);
            self.creates.likenesses.extend(token.iter().map(|token| (token.clone(), likeness.clone())));
        }
        let law = self.budgets.request_leaves(run, order, durable, now);
        self.judge(law);
        let law = match &order.deed {
            Deed::CreateJob { token, .. } => {
                self.promptness.leaves(run, promptness::of_job(token.as_deref()), durable, now)
            }
            Deed::CreatePackage { version } => {
                self.promptness.leaves(run, promptness::of_package(version), durable, now)
            }
            _ => Ok(()),
        };
        self.judge(law);
        if let Deed::CreateJob { token: Some(token), devices, .. } = &order.deed {
            let law = self.intent.leaves(token, devices, now);
            self.judge(law);
            self.ran.edited = self.intent.edited_since(token, durable);
        }
        let law = match &order.deed {
            Deed::CreateJob { name, token, devices, .. } => {
                let sent =
                    self.creates.job_leaves(name, token.as_deref(), devices, durable, &self.ran, machine);
                sent.map(|sent| self.soaks.sent(&sent, now))
            }
            Deed::CreatePackage { version } => creates::package_leaves(version, durable),
            Deed::DeletePackage { id } if !self.our_packages.contains(id) => {
                Err(format!("package {id} is deleted, and we did not create it"))
            }
            Deed::StopJob { id } | Deed::DeleteJob { id } if !self.creates.is_ours(id) => {
                Err(format!("job {id} is stopped or deleted, and we did not create it"))
            }
            Deed::Never => Err(format!("{} is never called", order.operation)),
            _ => Ok(()),
        };
        self.judge(law);
    }

    /// A request ended, with an answer or without.
    pub(super) fn ended(&mut self, run: u64, now: Timestamp) {
        self.promptness.answered(run, now);
    }

    /// A request was answered; the client sends it once more when its token was refused.
    pub(super) fn answered(&mut self, run: u64, order: &Order, answer: &WireResponse, now: Timestamp) {
        let read = match &order.topic {
            Topic::Job(id) | Topic::JobDevices(id) if answer.status < 300 => Some(id),
            _ => None,
        };
        match read.map(|id| self.creates.sent_by(id)) {
            Some(Some(sent)) => self.intent.looks_at(&sent.uid, now),
            Some(None) => self.intent.external_job_answers(now),
            None => {}
        }
        if clouds::side(order.cloud).refuses_token(answer) {
            self.budgets.signs_in(run);
        }
    }

    /// An object is gone from its cluster, and was so before.
    pub(super) fn has_left(
        &mut self,
        object: &Object,
        durable: &[Arc<Object>],
        jobs: &[JobTruth],
        packages: &[PackageTruth],
    ) -> Result<(), String> {
        if self.may_have_forgotten(object) {
            return Ok(());
        }
        if let Some(package) =
            object.as_package().filter(|of| of.spec.deletion_policy != DeletionPolicy::Delete)
        {
            // Another object of its name adopts what it leaves, and never deletes it.
            self.lost_packages.extend(package.status.iter().filter_map(|status| status.package_id.clone()));
        }
        leaving::has_left(object, durable, jobs, packages, &self.creates, &self.our_packages)
    }

    /// A state went back or was lost, and what is left of it says that the package was there already, or that the rollout has
    /// sent nothing: such a rollout goes without a look at its cloud, which may be out of reach.
    fn may_have_forgotten(&self, object: &Object) -> bool {
        match object {
            Object::Package(package) => package.status.as_ref().is_some_and(|status| {
                let is_lost = |id: &String| self.lost_packages.contains(id);
                status.origin == Some(Origin::Adopted) && status.package_id.as_ref().is_some_and(is_lost)
            }),
            Object::Rollout(rollout) => {
                let stages = rollout.status.iter().flat_map(|status| &status.stages);
                self.has_lost
                    && object.pending().is_empty()
                    && stages.flat_map(|stage| &stage.jobs).next().is_none()
            }
            Object::Cloud(_) => false,
        }
    }

    /// The engine is shown what devices run.
    pub(super) fn versions_are<'a>(&mut self, versions: impl Iterator<Item = VersionTruth<'a>>) {
        self.ran.now(versions);
    }

    /// A status is written over what is stored.
    pub(super) fn status_written(&mut self, stored: Option<&Object>, object: &Object, text: &str) {
        let same = |stored: &Object| {
            stored.generation() != object.generation()
                || stored.meta().uid != object.meta().uid
                || same_spec(stored, object)
        };
        if !stored.is_none_or(same) {
            self.judge(Err(format!("the spec of {} is written", object.key())));
        }
        self.no_secret("a status", text);
    }

    /// A job was created: these are all that there are.
    pub(super) fn jobs_are(&mut self, jobs: &[JobTruth]) {
        let noted = self.creates.note_all(jobs);
        let apart = self.intent.jobs_are(jobs, &self.creates);
        let law = noted.and(apart).and_then(|()| self.creates.have_a_device_each(jobs));
        self.judge(law);
    }

    /// Something may have changed in the clouds: by a request that changes something, by itself, or by what users and fate did.
    pub(super) fn truth_is(&mut self, simulator: &Simulator, changes: bool, now: Timestamp) {
        self.intent.time_is(now);
        let events = simulator.events();
        if !self.intent.watches() || !changes && self.events == Some(events) {
            return;
        }
        self.events = Some(events);
        self.jobs = clouds::jobs(simulator);
        let law = self.intent.is_now(&self.jobs, clouds::versions(simulator), &self.creates, now);
        self.judge(law);
    }

    /// When rollouts were first completed, by name.
    pub(super) const fn completed(&self) -> &BTreeMap<String, Timestamp> {
        &self.intent.completed
    }

    /// Methods of the stop rules that fired.
    pub(super) const fn methods_fired(&self) -> &BTreeSet<String> {
        self.intent.methods_fired()
    }

    /// From now on something may go wrong for a whole account.
    pub(super) fn faults_begin(&mut self) {
        self.intent.faults_begin();
        self.soaks.faults_begin();
    }

    /// No fault strikes everything any more.
    pub(super) fn faults_end(&mut self) {
        self.intent.faults_end();
        self.soaks.faults_end();
    }

    /// Whoever works begins.
    pub(super) fn process_begins(&mut self) {
        self.events = None;
        self.intent.process_begins();
        self.wording.begins();
        self.soaks.disturbed();
    }

    /// An object was reconciled.
    pub(super) fn reconciled(&mut self, report: &Report, now: Timestamp) {
        if report.error.is_none() {
            self.intent.reconciled(&report.key, report.took, now);
        }
    }

    /// Something fails for ever: whoever does not need it is looked at in time.
    pub(super) fn delays_are(&mut self, broken: &[Broken], durable: &[Arc<Object>], now: Timestamp) {
        if !broken.is_empty() {
            self.soaks.disturbed();
        }
        let law = self.intent.delays_are(broken, durable, &self.jobs, &self.creates, now);
        self.judge(law);
    }

    /// Objects that need something that fails for ever.
    pub(super) fn excused(
        &self,
        broken: &[Broken],
        durable: &[Arc<Object>],
        jobs: &[JobTruth],
        packages: &[PackageTruth],
    ) -> BTreeSet<ObjectKey> {
        excused::who_needs(
            broken,
            &excused::Scene { objects: durable, jobs, packages, creates: &self.creates },
        )
    }

    /// The laws of intent at rest.
    pub(super) fn intent_at_rest(&self, rest: &Rest<'_>, now: Timestamp) -> Result<(), String> {
        let versions = rest.versions.iter().map(|seen| ((seen.device, seen.kind), seen.version)).collect();
        self.intent.at_rest((rest.objects, rest.excused), &Fleet { versions, online: rest.online }, now)
    }

    /// Whoever waits for devices at rest has not waited for too long.
    pub(super) fn waits_at_rest(&self, rest: &Rest<'_>, now: Timestamp) -> Result<(), String> {
        self.intent.waits_at_rest(rest.objects, rest.excused, now)
    }

    /// A status is, or is about to be, durable beside what else is; whoever wrote it has a clock that is so much ahead.
    pub(super) fn status_is(
        &mut self,
        object: &Object,
        durable: &[Arc<Object>],
        ahead: SignedDuration,
        now: Timestamp,
    ) {
        self.creates.retries.status_is(object);
        let law = self.intent.status_is(object, durable, now);
        self.judge(law);
        let law = self.soaks.status_written(object, ahead, now);
        self.judge(law);
        let law = self.wording.status_is(object, now);
        self.judge(law);
    }

    /// A status is about to be written into a file, which takes no time.
    pub(super) fn intents_are(&mut self, object: &Object, now: Timestamp) {
        self.promptness.status_written(object, now);
    }

    /// No secret is in this text.
    pub(super) fn no_secret(&mut self, place: &str, text: &str) {
        let may_hold_one = text.contains(self.prefix.as_str());
        if may_hold_one && self.secrets.iter().any(|secret| text.contains(secret.as_str())) {
            self.judge(Err(format!("a secret is in {place}")));
        }
    }
}

/// Every text is searched, so that one search has to do for all secrets.
fn common_prefix(texts: &[String]) -> &str {
    let Some((first, others)) = texts.split_first() else { return "" };
    let is_common = |end: &usize| others.iter().all(|text| text.get(..*end) == first.get(..*end));
    let end = (0..=first.len()).rev().filter(|end| first.is_char_boundary(*end)).find(is_common);
    first.get(..end.unwrap_or(0)).unwrap_or_default()
}

fn same_spec(a: &Object, b: &Object) -> bool {
    match (a, b) {
        (Object::Cloud(a), Object::Cloud(b)) => a.spec == b.spec,
        (Object::Package(a), Object::Package(b)) => a.spec == b.spec,
        (Object::Rollout(a), Object::Rollout(b)) => a.spec == b.spec,
        _ => false,
    }
}
