//! Liveness: once faults have ended, a world comes to rest within a bounded time, says why it stands as it does, and then
//! writes nothing any more.

use super::creates::run_key;
use super::intent::{is_excluded, is_targeted, package_of, source_versions};
use super::stages::kind_of;
use super::{Creates, requests};
use crate::clouds::{JobTruth, PackageTruth, VersionTruth};
use rollwave::api::{
    Intent, Kind, Object, ObjectKey, OtaPackage, OtaRollout, READY, RolloutPhase, STALLED, StagePhase,
    condition_is_true, find_condition,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Comparisons with a control group in a soak.
const COMPARISONS: u64 = 8;

/// Everything that a world at rest is judged by.
pub(crate) struct Rest<'a> {
    pub(crate) objects: &'a [Arc<Object>],
    /// Those that need something that fails for ever.
    pub(crate) excused: &'a BTreeSet<ObjectKey>,
    pub(crate) wanted: &'a BTreeMap<ObjectKey, Object>,
    pub(crate) jobs: &'a [JobTruth],
    pub(crate) packages: &'a [PackageTruth],
    /// Versions that devices run.
    pub(crate) versions: &'a [VersionTruth<'a>],
    /// Devices that can be reached.
    pub(crate) online: &'a BTreeSet<String>,
}

/// Why a world is not at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unrest {
    pub(crate) why: String,
    /// Something in the cloud goes on, so that waiting is right: a job of ours, or one that is named as the reason.
    pub(crate) is_justified: bool,
}

impl Rest<'_> {
    /// Without an account nothing can be answered: the object says that there is none.
    fn has_account(&self, object: &Object) -> bool {
        let package = match object {
            Object::Rollout(rollout) => package_of(rollout, self.objects),
            _ => object.as_package(),
        };
        let is_of = |package: &OtaPackage, other: &Object| {
            matches!(other, Object::Cloud(_)) && other.key().name == package.spec.cloud_ref.name
        };
        package.is_none_or(|package| self.objects.iter().any(|other| is_of(package, other)))
    }

    /// Objects that the laws of rest are held against.
    fn held(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.iter().filter(|object| !self.excused.contains(&object.key()))
    }

    /// The first object that is not at rest.
    pub(crate) fn unrest(&self, creates: &Creates) -> Option<Unrest> {
        let is_ours = |job: &JobTruth| job.token.is_some() || creates.is_ours(&job.id);
        let missing = self.wanted.keys().find(|key| self.objects.iter().all(|object| object.key() != **key));
        let why = match missing {
            Some(key) => Some(format!("{key} is wanted, and is not there")),
            None => self.held().find_map(|object| self.restless(object)),
        };
        let mut live = self.jobs.iter().filter(|job| !job.is_final);
        if let Some(why) = why {
            let is_justified = live.any(|job| is_ours(job) || why.contains(&job.id));
            return Some(Unrest { why, is_justified });
        }
        let mut staying = self.held().filter(|object| !object.is_deleting() && self.has_account(object));
        let why = staying.find_map(|object| requests::unanswered(object))?;
        let is_justified = live.any(|job| why.contains(&job.id));
        Some(Unrest { why, is_justified })
    }

    /// Every rollout is completed, but for those whose stage selects none of the few devices that are left for it, that somebody
    /// paused, or that more external jobs stand in the way of than are queried: people decide.
    pub(crate) fn all_completed(&self) -> Result<(), String> {
        for object in self.held() {
            if let Object::Rollout(rollout) = object.as_ref()
                && rollout.status.as_ref().map(|status| status.phase) != Some(RolloutPhase::Completed)
            {
                let is_paused = rollout.status.as_ref().is_some_and(|status| status.paused_at.is_some());
                let message = rollout.status.as_ref().map(|status| status.message.as_str());
                let needs_a_user = |message: &str| {
                    message.contains(" selects no devices, so its gates")
                        || message.contains(" external jobs may hold these devices")
                        // Packages are verified on the same devices, and another one came first.
                        || message.contains("verification waits: the package is a delta from ")
                        || message.contains(" sent another version before this one was seen")
                };
                if is_paused || message.is_some_and(needs_a_user) {
                    continue;
                }
                return Err(format!("{} is not completed: {}", object.key(), message.unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// The numbers of completed rollouts are those of the cloud.
    pub(crate) fn counts_are_true(&self, creates: &Creates) -> Result<(), String> {
        for object in self.held() {
            if let Object::Rollout(rollout) = object.as_ref() {
                self.counts_of(rollout, creates)?;
            }
        }
        Ok(())
    }

    fn counts_of(&self, rollout: &OtaRollout, creates: &Creates) -> Result<(), String> {
        let Some(status) = rollout.status.as_ref().filter(|status| status.phase == RolloutPhase::Completed)
        else {
            return Ok(());
        };
        let Some(package) = package_of(rollout, self.objects) else { return Ok(()) };
        let kind = kind_of(package);
        let there: BTreeSet<&str> = self.versions.iter().map(|seen| seen.device).collect();
        let runs: BTreeSet<&str> = self
            .versions
            .iter()
            .filter(|seen| seen.kind == kind && seen.version == package.spec.version)
            .map(|seen| seen.device)
            .collect();
        let uid = rollout.metadata.uid.clone().unwrap_or_default();
        for stage in &status.stages {
            // What somebody else has deleted cannot be counted any more: the last counts stand.
            if stage.jobs.iter().any(|told| self.jobs.iter().all(|job| job.id != told.id)) {
                continue;
            }
            let is_it = |sent: &super::Sent| {
                sent.uid == uid && sent.stage.as_ref() == Some(&stage.name) && sent.package == run_key(status)
            };
            if creates.lost.iter().any(is_it) {
                continue;
            }
            let members = creates.members.iter().filter(|(sent, _)| is_it(sent));
            let members = members.flat_map(|(_, members)| members).map(String::as_str);
            // A device that was deleted is in no stage any more.
            let members: BTreeSet<&str> = members.filter(|device| there.contains(device)).collect();
            let truth = (members.len(), members.intersection(&runs).count());
            // One whose job was stopped, and that is not meant any more, may be in no number of its stage: nobody will send it anything.
            // That is so, too, once another rollout has taken it to a version that is not upgraded from.
            let is_left_out = |device: &str| {
                let mut seen = self.versions.iter().filter(|seen| seen.device == device && seen.kind == kind);
                let is_fit = |version: &str| {
                    source_versions(rollout, package).all(|of| of.iter().any(|v| v == version))
                };
                !is_targeted(rollout, package, device)
                    || is_excluded(rollout, device)
                    || seen.any(|seen| !is_fit(seen.version))
            };
            let left_out = members.difference(&runs).filter(|device| is_left_out(device)).count();
            let told = (
                (stage.counts.assigned + stage.counts.unseen + stage.counts.owned_elsewhere
                    - stage.counts.failed_and_left) as usize,
                (stage.counts.succeeded - stage.counts.superseded) as usize,
            );
            let assigned = truth.0 - left_out..=truth.0;
            if truth.1 != told.1 || !assigned.contains(&told.0) {
                let name = &stage.name;
                return Err(format!(
                    "stage {name} says {told:?} (assigned, succeeded), and the cloud {truth:?}"
                ));
            }
        }
        Ok(())
    }

    /// Writes that are no unrest: a create that was refused, of a package, of its verification or of a rollout's job, is sent again
    /// once an hour, in case a right was given or a name was freed meanwhile. That is an intent, the request, its answer and a status
    /// of the object, and two statuses of each rollout that waits for such a package.
    pub(crate) fn writes_of_retries(&self) -> u64 {
        let refused: Vec<&Arc<Object>> = self.held().filter(|object| is_refused(object)).collect();
        let waits = |object: &Object| match object {
            Object::Rollout(rollout) => package_of(rollout, self.objects).is_some_and(|package| {
                refused.iter().any(|refused| refused.as_package().is_some_and(|of| of == package))
            }),
            _ => false,
        };
        (4 * refused.len() + 2 * self.held().filter(|object| waits(object)).count()) as u64
    }

    /// Writes that are no unrest either: a stage that soaks is compared with its control group, also while its rollout is held.
    pub(crate) fn writes_of_comparisons(&self) -> u64 {
        let statuses = self.objects.iter().filter_map(|object| match object.as_ref() {
            Object::Rollout(rollout) => rollout.status.as_ref(),
            _ => None,
        });
        let soaking = statuses
            .flat_map(|status| &status.stages)
            .filter(|stage| stage.phase == StagePhase::Soaking && stage.control.is_some());
        soaking.count() as u64 * COMPARISONS
    }

    /// Every package that says it is in the cloud is.
    pub(crate) fn packages_are_there(&self) -> Result<(), String> {
        for object in self.held() {
            if let Object::Package(package) = object.as_ref()
                && let Some(status) = &package.status
                && condition_is_true(&status.conditions, READY)
                && let Some(id) = &status.package_id
                && self.packages.iter().all(|there| there.id != *id)
            {
                return Err(format!("{} is Ready, and package {id} is not in the cloud", object.key()));
            }
        }
        Ok(())
    }
}

impl Rest<'_> {
    /// It says that a job or a device keeps it waiting, and that is so: a device that is silent may keep a job open for days.
    fn waits_for_a_device(&self, object: &Object) -> bool {
        let told = message_of(object);
        let is_named = |job: &&JobTruth| {
            told.contains(&format!("waits for job {}", job.id))
                || job.open.iter().any(|device| told.contains(&format!("device {device} is being upgraded")))
        };
        self.jobs.iter().any(|job| is_named(&job))
    }

    /// It says that another rollout may own its devices, whose group the cloud refuses to read.
    fn waits_for_a_group_that_is_refused(&self, object: &Object) -> bool {
        const WAITS: &str = "waits for the groups or tags of OtaRollout ";
        let name = message_of(object).strip_prefix(WAITS).and_then(|rest| rest.split(',').next());
        let other = name.map(|name| object.key().sibling(Kind::OtaRollout, name));
        let other = other.and_then(|key| self.objects.iter().find(|other| other.key() == key));
        let is_refused = |other: &Object| message_of(other).contains("group does not exist");
        other.is_some_and(|other| is_refused(other) || self.names_a_group_of_another_account(other))
    }

    /// A rollout that is paused, or held by something else, does not report that its group does not exist: accounts have one each, `a0`
    /// and `a1`, and a rollout that was moved to another account names the one that it left.
    fn names_a_group_of_another_account(&self, other: &Object) -> bool {
        let Object::Rollout(rollout) = other else { return false };
        let Some(package) = package_of(rollout, self.objects) else { return false };
        let account = package.spec.cloud_ref.name.trim_start_matches("cloud");
        let groups = rollout.spec.targets.groups.iter().flatten();
        groups.into_iter().any(|group| group.trim_start_matches('a') != account)
    }

    /// Rollouts that change with the time of day: more external jobs may hold their devices than are queried before a dispatch, which
    /// they find out again whenever their window opens.
    pub(crate) fn changing(&self) -> impl Iterator<Item = ObjectKey> {
        self.objects.iter().filter(|object| is_held_in_its_windows(object)).map(|object| object.key())
    }

    /// A package waits for the rollouts that name it, for as long as people keep them.
    fn restless(&self, object: &Object) -> Option<String> {
        let names = |rollout: &OtaRollout| rollout.spec.package_ref.name == object.key().name;
        let is_named = self.objects.iter().any(|other| {
            matches!(other.as_ref(), Object::Rollout(rollout) if names(rollout)) && !other.is_deleting()
        });
        if object.is_deleting() && is_named && matches!(object, Object::Package(_)) {
            return None;
        }
        let waits_for_keys = object.is_deleting()
            && lacks_keys(object)
            && self.objects.iter().any(|other| never_had_keys(other));
        if waits_for_keys
            || self.waits_for_a_group_that_is_refused(object)
            || self.waits_for_a_device(object)
            || is_held_in_its_windows(object)
        {
            return None;
        }
        // An account waits likewise for the packages that name it, and for the rollouts that have jobs in it.
        let keeps = |other: &Object| {
            let account = match other {
                Object::Package(_) => other.cloud_ref(),
                Object::Rollout(rollout) => rollout.account_of_jobs(),
                Object::Cloud(_) => None,
            };
            account == Some(object.key()) && self.restless(other).is_none()
        };
        let is_cloud = matches!(object, Object::Cloud(_));
        if object.is_deleting() && is_cloud && self.objects.iter().any(|other| keeps(other)) {
            return (!says_what_it_waits_for(object))
                .then(|| format!("{} waits and does not say why", object.key()));
        }
        let needs_it = |package: &Object| match object {
            Object::Rollout(rollout) => rollout.spec.package_ref.name == package.key().name,
            _ => false,
        };
        let is_package = |other: &Object| matches!(other, Object::Package(_));
        let explains = |other: &Object| is_package(other) && needs_it(other) && is_stuck(other);
        if !object.is_deleting() && self.objects.iter().any(|other| explains(other)) {
            return None;
        }
        restless(object)
    }
}

fn restless(object: &Object) -> Option<String> {
    let key = object.key();
    if object.is_deleting() {
        return Some(format!("{key} is still being deleted: {}", message_of(object)));
    }
    let told = match object {
        Object::Cloud(o) => o.status.as_ref().map(|s| (0, &s.message, &s.conditions, s.observed_generation)),
        Object::Package(o) => {
            o.status.as_ref().map(|s| (open(&s.pending), &s.message, &s.conditions, s.observed_generation))
        }
        Object::Rollout(o) => {
            o.status.as_ref().map(|s| (open(&s.pending), &s.message, &s.conditions, s.observed_generation))
        }
    };
    let Some((pending, message, conditions, observed)) = told else {
        return Some(format!("{key} was never looked at"));
    };
    if pending > 0 {
        return Some(format!("{key} has {pending} calls that are not settled"));
    }
    if message.is_empty() {
        return Some(format!("{key} says nothing"));
    }
    if observed != object.generation() {
        return Some(format!("{key} speaks of generation {observed}, not {}", object.generation()));
    }
    match object {
        Object::Rollout(rollout) => restless_rollout(rollout).map(|why| format!("{key}: {why}")),
        Object::Package(package) if outstanding(package) > 0 => {
            Some(format!("{key}: {} devices of its verification are outstanding", outstanding(package)))
        }
        _ => {
            let is_done = condition_is_true(conditions, READY) || condition_is_true(conditions, STALLED);
            (!is_done).then(|| format!("{key} is neither Ready nor Stalled: {message}"))
        }
    }
}

/// Calls that are still looked for.
fn open(pending: &[Intent]) -> usize {
    pending.iter().filter(|intent| intent.is_open()).count()
}

/// Devices of a verification that has failed already, and that are still to answer, or to be given up.
fn outstanding(package: &OtaPackage) -> u32 {
    let Some(status) = &package.status else { return 0 };
    let has_failed =
        find_condition(&status.conditions, READY).is_some_and(|ready| ready.reason == "VerificationFailed");
    let counts = status.verification.as_ref().map(|trial| trial.counts).filter(|_| has_failed);
    counts.map_or(0, |counts| counts.queued + counts.in_flight)
}

/// The cloud, or our client, refuses what the spec asks for: its create was answered with an error that waiting does not change.
fn is_refused(object: &Object) -> bool {
    let conditions = match object {
        Object::Cloud(_) => None,
        Object::Package(package) => package.status.as_ref().map(|status| &status.conditions),
        Object::Rollout(rollout) => rollout.status.as_ref().map(|status| &status.conditions),
    };
    let creates = ["CreatePackage: ", "CreateJob: "];
    let message = message_of(object);
    conditions.is_some_and(|conditions| condition_is_true(conditions, STALLED))
        && creates.iter().any(|create| message.starts_with(create))
}

fn message_of(object: &Object) -> &str {
    let message = match object {
        Object::Cloud(cloud) => cloud.status.as_ref().map(|status| &status.message),
        Object::Package(package) => package.status.as_ref().map(|status| &status.message),
        Object::Rollout(rollout) => rollout.status.as_ref().map(|status| &status.message),
    };
    message.map_or("", String::as_str)
}

fn lacks_keys(object: &Object) -> bool {
    message_of(object).contains("there is no Secret ")
}

/// An account whose Secret went before it was ever read: only one that was is kept.
fn never_had_keys(object: &Object) -> bool {
    let Object::Cloud(cloud) = object else { return false };
    lacks_keys(object) && cloud.status.as_ref().is_none_or(|status| status.secret_name.is_none())
}

fn says_what_it_waits_for(object: &Object) -> bool {
    let message = message_of(object);
    // For other objects; or for keys that are gone, with the command that ends it.
    message.starts_with("deletion waits for ") || message.starts_with("deletion waits: ")
}

pub(super) fn is_held_in_its_windows(object: &Object) -> bool {
    let Object::Rollout(OtaRollout { spec, status: Some(status), .. }) = object else { return false };
    let held = [RolloutPhase::Held, RolloutPhase::Progressing].contains(&status.phase);
    let has_windows = spec.stages.iter().any(|stage| !stage.windows.is_empty());
    let is_found = status.decisions.iter().any(|decision| decision.rule == "TooManyExternalJobs");
    held && has_windows && is_found
}

/// A rollout waits for it, and it says itself why.
fn is_stuck(package: &Object) -> bool {
    let Object::Package(package) = package else { return false };
    let conditions = package.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    package.metadata.deletion_timestamp.is_some() || condition_is_true(conditions, STALLED)
}

fn restless_rollout(rollout: &OtaRollout) -> Option<String> {
    let status = rollout.status.as_ref()?;
    match status.phase {
        RolloutPhase::Completed | RolloutPhase::Held | RolloutPhase::Aborted => None,
        // It waits for a package that is stuck or being deleted, or names a group that does not exist: its message shows which.
        RolloutPhase::Pending | RolloutPhase::Progressing
            if condition_is_true(&status.conditions, STALLED) =>
        {
            None
        }
        _ => Some(status.message.clone()),
    }
}
