//! Laws of what is created: once, after its intent is durable, after verification and after the stage before.

use super::hours::within_hours;
use super::requests::{self, Retries};
use super::stages::Ran;
use crate::checkers::effective;
use crate::clouds::{JobTruth, PackageTruth};
use jiff::Timestamp;
use rollwave::api::{
    CreateOperation, Evidence, Gate, IntentState, Object, OtaPackage, OtaRollout, OtaRolloutStatus,
    StagePhase, VERIFIED, Verdict, condition_is_true,
};
use rollwave::cloud::PackageKind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a token was sent for: a stage of a rollout and package, or a verification.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sent {
    /// Identity of the rollout, or of the package that is verified.
    pub(crate) uid: String,
    /// Identity of the package, and of a rollout the number of its run: see [`run_key`].
    pub(crate) package: String,
    /// None for a verification.
    pub(crate) stage: Option<String>,
}

/// What a rollout sends at present: a package, in a run.
pub(super) fn run_key(status: &OtaRolloutStatus) -> String {
    format!("{}/{}", status.package_identity.as_deref().unwrap_or_default(), status.run)
}

/// What was sent, and what came of it.
#[derive(Default)]
pub(crate) struct Creates {
    sent: BTreeMap<String, (Sent, BTreeSet<String>)>,
    /// Devices of the jobs that exist or existed, by what they were for. A cloud may leave out some that were asked for.
    pub(crate) members: BTreeMap<Sent, BTreeSet<String>>,
    /// Token by id, of every job of ours that was ever seen.
    jobs: BTreeMap<String, String>,
    /// Devices by id, of the same jobs.
    devices: BTreeMap<String, BTreeSet<String>>,
    /// What the last request of a token looked like, where jobs carry none.
    pub(super) likenesses: BTreeMap<String, String>,
    /// Token by id, of jobs that carry none and came to exist as one of our requests arrived.
    made: BTreeMap<String, String>,
    /// What jobs were for of which nothing tells any more.
    pub(crate) lost: BTreeSet<Sent>,
    /// What people had tried again.
    pub(super) retries: Retries,
    /// The state was lost, or went back.
    pub(super) state_lost: bool,
}

impl Creates {
    pub(crate) fn is_ours(&self, job: &str) -> bool {
        self.jobs.contains_key(job)
    }

    /// What a job of ours was sent for.
    pub(super) fn sent_by(&self, job: &str) -> Option<&Sent> {
        self.sent.get(self.jobs.get(job)?).map(|(sent, _)| sent)
    }

    /// Devices that a job was created for, as far as anything tells; of other people's jobs, those that it has.
    pub(super) fn devices_of(&self, job: &JobTruth) -> BTreeSet<String> {
        let told = job.devices.as_ref().or_else(|| self.devices.get(&job.id)).cloned();
        told.unwrap_or_else(|| job.open.union(&job.answered).cloned().collect())
    }

    /// The jobs of ours that were created for this object.
    pub(super) fn of<'a>(&self, uid: &str, jobs: &'a [JobTruth]) -> Vec<&'a JobTruth> {
        let token = |job: &JobTruth| self.jobs.get(&job.id);
        let is_of = |job: &&JobTruth| {
            token(job).and_then(|token| self.sent.get(token)).is_some_and(|(sent, _)| sent.uid == uid)
        };
        jobs.iter().filter(is_of).collect()
    }

    /// True when an external job looks exactly like one that shows no token: nothing tells which of them is ours, and the engine may
    /// go by the other one (`docs/oceanconnect.md`).
    fn has_a_double(&self, job: &JobTruth, jobs: &[JobTruth]) -> bool {
        let is_like = |other: &JobTruth| {
            (&other.account, other.kind) == (&job.account, job.kind)
                && !self.is_ours(&other.id)
                && self.devices_of(other) == self.devices_of(job)
        };
        job.token.is_none() && jobs.iter().any(is_like)
    }

    /// Jobs that were seen before, and were for the same.
    fn for_the_same<'a>(
        &'a self,
        what: &'a Sent,
        jobs: &'a [JobTruth],
    ) -> impl Iterator<Item = &'a JobTruth> + Clone {
        let sent = |job: &JobTruth| self.sent.get(self.jobs.get(&job.id)?).map(|(sent, _)| sent);
        jobs.iter().filter(move |job| sent(job) == Some(what) && !self.has_a_double(job, jobs))
    }

    /// Devices that were asked for, of the requests that left.
    pub(super) fn asked(&self, what: &Sent) -> BTreeSet<String> {
        let of = self.sent.values().filter(|(sent, _)| sent == what);
        of.flat_map(|(_, devices)| devices.iter().cloned()).collect()
    }

    /// A job is about to be created.
    pub(super) fn job_leaves(
        &mut self,
        name: &str,
        token: Option<&str>,
        devices: &BTreeSet<String>,
        durable: &[Arc<Object>],
        ran: &Ran,
        machine: Timestamp,
    ) -> Result<Sent, String> {
        let token = token.ok_or_else(|| format!("job {name} carries no token"))?;
        let sent = durable.iter().find_map(|object| match object.as_ref() {
            Object::Rollout(rollout) => intended_stage(rollout, token).map(|stage| (object, Some(stage))),
            Object::Package(package) => intended_trial(package, token).then_some((object, None)),
            Object::Cloud(_) => None,
        });
        let Some((object, stage)) = sent else {
            return Err(format!("job {name} leaves, and no durable intent names its token"));
        };
        let uid = object.meta().uid.clone().unwrap_or_default();
        let sent = match object.as_ref() {
            Object::Rollout(rollout) => {
                let stage = stage.unwrap_or_default();
                requests::may_send(rollout)?;
                let (package, object) = released(rollout, &stage, durable)?;
                ran.is_verified(object)?;
                ran.have_passed(rollout, object, &stage, self)?;
                within_hours(rollout, &stage, machine)?;
                let sent = Sent { uid, package, stage: Some(stage.clone()) };
                // Who was sent before stays in the stage, whatever its order says since.
                let members = self.members.get(&sent).cloned().unwrap_or_default();
                let added = devices - &members;
                ran.within_share(rollout, object, &stage, &added)?;
                within_batch(rollout, &stage, &added)?;
                ran.has_noted_strata(rollout, &stage, (token, devices), added.len())?;
                self.keeps_its_stage(rollout, &sent, devices)?;
                sent
            }
            _ => Sent { uid, package: String::new(), stage: None },
        };
        self.sent.insert(token.to_owned(), (sent.clone(), devices.clone()));
        Ok(sent)
    }

    /// A device stays in the stage that it was first sent in, and a stage that was released in full does not grow, but for the last
    /// one once all have passed.
    fn keeps_its_stage(
        &self,
        rollout: &OtaRollout,
        sent: &Sent,
        devices: &BTreeSet<String>,
    ) -> Result<(), String> {
        let stages = effective::stages(rollout);
        // A lost state is found again by tokens, and no token of a stage that the spec does not have any more is looked for.
        let is_told = |stage: &Option<String>| {
            !self.state_lost || stages.iter().any(|spec| Some(&spec.name) == stage.as_ref())
        };
        for (other, members) in &self.members {
            let elsewhere = other.uid == sent.uid
                && other.package == sent.package
                && other.stage != sent.stage
                && is_told(&other.stage);
            if elsewhere && let Some(device) = members.intersection(devices).next() {
                return Err(format!("{device} moves from stage {:?} to {:?}", other.stage, sent.stage));
            }
        }
        let phase = rollout.status.iter().flat_map(|status| &status.stages);
        let phase =
            phase.filter(|stage| Some(&stage.name) == sent.stage.as_ref()).map(|stage| stage.phase).next();
        let is_open = matches!(phase, None | Some(StagePhase::Waiting | StagePhase::Dispatching));
        if is_open || is_followed_up(rollout, sent.stage.as_deref()) {
            return Ok(());
        }
        let members = self.members.get(sent).cloned().unwrap_or_default();
        match devices.difference(&members).next() {
            Some(device) => Err(format!("{device} joins stage {:?}, which was released before", sent.stage)),
            None => Ok(()),
        }
    }

    /// Nothing tells any more of some jobs that they are ours, nor which stage they were of: neither the state, nor the cloud.
    /// They still count as ours here, so that no device may be in two that live.
    pub(super) fn forget(&mut self, is_told: impl Fn(&str, &str) -> bool) {
        let known: BTreeMap<String, String> = self.jobs.iter().chain(&self.made).map(pair).collect();
        let (told, forgotten): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|(id, token)| is_told(id, token));
        // Devices that another job of their stage names, as one before another attempt does, stay in it.
        let mut stay: BTreeMap<Sent, BTreeSet<String>> = BTreeMap::new();
        for (id, token) in &told {
            let Some((sent, asked)) = self.sent.get(token) else { continue };
            let devices = self.devices.get(id).unwrap_or(asked);
            stay.entry(sent.clone()).or_default().extend(devices.iter().cloned());
        }
        for (id, token) in forgotten {
            let Some((sent, asked)) = self.sent.get(&token).cloned() else { continue };
            let devices = self.devices.remove(&id).unwrap_or(asked);
            let stay = stay.entry(sent.clone()).or_default();
            if let Some(members) = self.members.get_mut(&sent) {
                members.retain(|device| stay.contains(device) || !devices.contains(device));
            }
            self.lost.insert(sent);
            let forgotten = format!("{token} of a lost state");
            self.made.entry(id.clone()).and_modify(|made| made.clone_from(&forgotten));
            self.jobs.insert(id, forgotten);
        }
    }

    /// A job that carries no token came to exist by our request with this one.
    pub(crate) fn made(&mut self, id: String, token: String) {
        self.made.insert(id, token);
    }

    /// These are all jobs that there are: those of ours that are new are noted.
    pub(super) fn note_all(&mut self, jobs: &[JobTruth]) -> Result<(), String> {
        for job in jobs {
            let made = self.made.get(&job.id).cloned();
            if let Some(token) = job.token.clone().or(made) {
                self.note(job, &token, jobs)?;
            }
        }
        Ok(())
    }

    /// No device is in two live jobs of ours.
    pub(super) fn have_a_device_each(&self, jobs: &[JobTruth]) -> Result<(), String> {
        let mut busy: BTreeMap<&str, &str> = BTreeMap::new();
        for job in jobs.iter().filter(|job| !job.is_final && self.is_ours(&job.id)) {
            for device in &job.open {
                if let Some(other) = busy.insert(device, &job.name) {
                    return Err(format!("{device} is in two live jobs of ours: {other} and {}", job.name));
                }
            }
        }
        Ok(())
    }

    /// A job of ours is seen for the first time.
    fn note(&mut self, job: &JobTruth, token: &str, jobs: &[JobTruth]) -> Result<(), String> {
        // A token that we never sent is somebody else's.
        let Some((sent, devices)) = self.sent.get(token) else { return Ok(()) };
        if self.jobs.contains_key(&job.id) {
            return Ok(());
        }
        if self.jobs.values().any(|known| known == token) {
            return Err(format!("a second job was created for one token: {}", job.name));
        }
        let devices = job.devices.as_ref().unwrap_or(devices);
        self.retries.allow(sent, job, devices, self.for_the_same(sent, jobs))?;
        self.jobs.insert(job.id.clone(), token.to_owned());
        self.devices.insert(job.id.clone(), devices.clone());
        self.members.entry(sent.clone()).or_default().extend(devices.iter().cloned());
        Ok(())
    }
}

fn pair((id, token): (&String, &String)) -> (String, String) {
    (id.clone(), token.clone())
}

/// Packages of one product, type and version are created once, by us.
pub(crate) fn packages_are(packages: &[PackageTruth], ours: &BTreeSet<String>) -> Result<(), String> {
    let mut known: BTreeSet<(&str, PackageKind, &str, &str)> = BTreeSet::new();
    for package in packages.iter().filter(|package| ours.contains(&package.id)) {
        let key =
            (package.account.as_str(), package.kind, package.product.as_str(), package.version.as_str());
        if !known.insert(key) {
            return Err(format!("two {:?} packages of version {}", package.kind, package.version));
        }
    }
    Ok(())
}

/// A package is about to be created.
pub(super) fn package_leaves(version: &str, durable: &[Arc<Object>]) -> Result<(), String> {
    let intended = |package: &OtaPackage| {
        let pending = package.status.iter().flat_map(|status| &status.pending);
        package.spec.version == version
            && pending.into_iter().any(|intent| intent.operation == CreateOperation::CreatePackage)
    };
    let is_durable =
        durable.iter().any(|object| matches!(object.as_ref(), Object::Package(package) if intended(package)));
    if is_durable { Ok(()) } else { Err(format!("package {version} leaves, and no intent of it is durable")) }
}

/// The token of the last intent whose job would look like this. What leaves is about to be sent; one whose outcome is unknown may
/// say a later time, by a clock that has been set back since.
pub(super) fn token_of(likeness: &str, durable: &[Arc<Object>]) -> Option<String> {
    let pending = durable.iter().flat_map(|object| match object.as_ref() {
        Object::Rollout(rollout) => rollout.status.iter().flat_map(|status| &status.pending).collect(),
        Object::Package(package) => package.status.iter().flat_map(|status| &status.pending).collect(),
        Object::Cloud(_) => Vec::new(),
    });
    let alike =
        pending.filter(|intent| intent.likeness.as_ref().is_some_and(|known| known.digest == likeness));
    alike
        .max_by_key(|intent| (intent.state == IntentState::Intended, intent.at))
        .map(|intent| intent.token.clone())
}

/// True for the last stage once all have passed: devices that came later are sent in it.
fn is_followed_up(rollout: &OtaRollout, stage: Option<&str>) -> bool {
    let stages = rollout.status.as_ref().map(|status| status.stages.as_slice()).unwrap_or_default();
    stages.last().is_some_and(|last| Some(last.name.as_str()) == stage)
        && stages.iter().all(|stage| stage.phase == StagePhase::Passed)
}

fn intended_stage(rollout: &OtaRollout, token: &str) -> Option<String> {
    let mut pending = rollout.status.iter().flat_map(|status| &status.pending);
    pending.find(|intent| intent.token == token)?.stage.clone()
}

fn intended_trial(package: &OtaPackage, token: &str) -> bool {
    let mut pending = package.status.iter().flat_map(|status| &status.pending);
    pending.any(|intent| intent.token == token && intent.operation == CreateOperation::CreateJob)
}

/// The package and its identity, when it is verified and every stage before has passed with all its gates.
fn released<'a>(
    rollout: &OtaRollout,
    stage: &str,
    durable: &'a [Arc<Object>],
) -> Result<(String, &'a OtaPackage), String> {
    let named = rollout.spec.package_ref.name.as_str();
    let package = durable.iter().find_map(|object| match object.as_ref() {
        Object::Package(package) if object.key().name == named => Some(package),
        _ => None,
    });
    let package = package.ok_or_else(|| format!("stage {stage} is released without a package"))?;
    let conditions = package.status.iter().flat_map(|status| &status.conditions).cloned();
    if package.spec.verification.is_some() && !condition_is_true(&conditions.collect::<Vec<_>>(), VERIFIED) {
        return Err(format!("stage {stage} is released before package {named} is verified"));
    }
    let Some(status) = &rollout.status else { return Err(format!("stage {stage} is released by no status")) };
    for before in status.stages.iter().take_while(|before| before.name != stage) {
        let stages = effective::stages(rollout);
        let spec = stages.iter().find(|spec| spec.name == before.name);
        let mut gates = spec.into_iter().flat_map(|spec| spec.gates.iter().flatten());
        let passes = |evidence: &Evidence| evidence.verdict == Verdict::Pass;
        let has_passed =
            |gate: &Gate| before.gates.iter().any(|evidence| evidence.rule == gate.name && passes(evidence));
        let is_empty = before.jobs.is_empty();
        if before.phase != StagePhase::Passed || !(is_empty || gates.all(has_passed)) {
            return Err(format!(
                "stage {stage} is released, and stage {} has not passed its gates",
                before.name
            ));
        }
    }
    Ok((run_key(status), package))
}

/// A job of a stage that is sent in batches has no more new devices than a batch.
fn within_batch(rollout: &OtaRollout, stage: &str, added: &BTreeSet<String>) -> Result<(), String> {
    let spec = rollout.spec.stages.iter().find(|spec| spec.name == stage);
    match spec.and_then(|spec| spec.batch) {
        Some(batch) if added.len() > batch.size as usize => Err(format!(
            "{} devices of stage {stage} are sent together, and a batch has {}",
            added.len(),
            batch.size
        )),
        _ => Ok(()),
    }
}
