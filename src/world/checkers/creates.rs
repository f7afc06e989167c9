//! Laws of what is created: once, after its intent is durable, after verification and after the stage before.

use crate::api::{
    CreateOperation, Object, OtaPackage, OtaRollout, StagePhase, VERIFIED, Verdict, condition_is_true,
};
use crate::cloud::{WireRequest, huawei_iotda::token_of};
use crate::simulator::{PackageTruth, TaskTruth};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sub tasks to which something may still happen.
const OPEN: [&str; 3] = ["Waitting", "Processing", "FailWaitRetry"];
const FINAL: [&str; 4] = ["Success", "Fail", "PartialSuccess", "Stopped"];

/// What a token was sent for: a stage of a rollout and package, or a verification.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::world) struct Sent {
    /// Identity of the rollout, or of the package that is verified.
    pub(in crate::world) uid: String,
    /// Identity of the package.
    pub(in crate::world) package: String,
    /// None for a verification.
    pub(in crate::world) stage: Option<String>,
}

/// What was sent, and what came of it.
#[derive(Default)]
pub(in crate::world) struct Creates {
    sent: BTreeMap<String, Sent>,
    /// Devices of the tasks that exist or existed, by what they were for.
    pub(in crate::world) members: BTreeMap<Sent, BTreeSet<String>>,
    /// Token by id, of every task of ours that was ever seen.
    tasks: BTreeMap<String, String>,
}

impl Creates {
    pub(in crate::world) fn is_ours(&self, task: &str) -> bool {
        self.tasks.contains_key(task)
    }

    /// A task is about to be created.
    pub(super) fn task_leaves(
        &mut self,
        request: &WireRequest,
        durable: &[Arc<Object>],
    ) -> Result<(), String> {
        let body: Value = serde_json::from_slice(&request.body).map_err(|error| error.to_string())?;
        let name = body.get("task_name").and_then(Value::as_str).unwrap_or_default();
        let token = token_of(name).ok_or_else(|| format!("task {name} carries no token"))?;
        let devices = body.get("targets").and_then(Value::as_array).into_iter().flatten();
        let devices: BTreeSet<String> = devices.filter_map(Value::as_str).map(str::to_owned).collect();
        let sent = durable.iter().find_map(|object| match object.as_ref() {
            Object::Rollout(rollout) => intended_stage(rollout, token).map(|stage| (object, Some(stage))),
            Object::Package(package) => intended_trial(package, token).then_some((object, None)),
            Object::Cloud(_) => None,
        });
        let Some((object, stage)) = sent else {
            return Err(format!("task {name} leaves, and no durable intent names its token"));
        };
        let uid = object.meta().uid.clone().unwrap_or_default();
        let sent = match object.as_ref() {
            Object::Rollout(rollout) => {
                let stage = stage.unwrap_or_default();
                let package = released(rollout, &stage, durable)?;
                let sent = Sent { uid, package, stage: Some(stage) };
                self.keeps_its_stage(rollout, &sent, &devices)?;
                sent
            }
            _ => Sent { uid, package: String::new(), stage: None },
        };
        self.sent.insert(token.to_owned(), sent);
        Ok(())
    }

    /// A device stays in the stage that it was first sent in, and a stage that was released in full does not grow.
    fn keeps_its_stage(
        &self,
        rollout: &OtaRollout,
        sent: &Sent,
        devices: &BTreeSet<String>,
    ) -> Result<(), String> {
        for (other, members) in &self.members {
            let elsewhere =
                other.uid == sent.uid && other.package == sent.package && other.stage != sent.stage;
            if elsewhere && let Some(device) = members.intersection(devices).next() {
                return Err(format!("{device} moves from stage {:?} to {:?}", other.stage, sent.stage));
            }
        }
        let phase = rollout.status.iter().flat_map(|status| &status.stages);
        let phase =
            phase.filter(|stage| Some(&stage.name) == sent.stage.as_ref()).map(|stage| stage.phase).next();
        if matches!(phase, None | Some(StagePhase::Waiting | StagePhase::Dispatching)) {
            return Ok(());
        }
        let members = self.members.get(sent).cloned().unwrap_or_default();
        match devices.difference(&members).next() {
            Some(device) => Err(format!("{device} joins stage {:?}, which was released before", sent.stage)),
            None => Ok(()),
        }
    }

    /// The clouds changed: these are all tasks that there are.
    pub(in crate::world) fn tasks_are(&mut self, tasks: &[TaskTruth]) -> Result<(), String> {
        let mut by_token: BTreeMap<&str, &str> = BTreeMap::new();
        let mut busy: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for task in tasks {
            let Some(token) = token_of(&task.name) else { continue };
            if let Some(other) = by_token.insert(token, &task.id) {
                return Err(format!("tasks {other} and {} carry one token: {}", task.id, task.name));
            }
            self.note(task, token)?;
            if FINAL.contains(&task.status.as_str()) {
                continue;
            }
            let open = OPEN.iter().filter_map(|status| task.targets.get(status)).flatten();
            for device in open {
                if let Some(other) = busy.insert((&task.kind, device), &task.name) {
                    return Err(format!("{device} is in two live tasks of ours: {other} and {}", task.name));
                }
            }
        }
        Ok(())
    }

    /// A task of ours is seen for the first time.
    fn note(&mut self, task: &TaskTruth, token: &str) -> Result<(), String> {
        if self.tasks.contains_key(&task.id) {
            return Ok(());
        }
        if self.tasks.values().any(|known| known == token) {
            return Err(format!("a second task was created for one token: {}", task.name));
        }
        self.tasks.insert(task.id.clone(), token.to_owned());
        if let Some(sent) = self.sent.get(token) {
            let devices = task.targets.values().flatten().cloned();
            self.members.entry(sent.clone()).or_default().extend(devices);
        }
        Ok(())
    }
}

/// Packages of one product, type and version are created once.
pub(in crate::world) fn packages_are(packages: &[PackageTruth]) -> Result<(), String> {
    let mut known: BTreeSet<(&str, &str, &str, &str)> = BTreeSet::new();
    for package in packages {
        let key = (
            package.account.as_str(),
            package.kind.as_str(),
            package.product.as_str(),
            package.version.as_str(),
        );
        if !known.insert(key) {
            return Err(format!("two packages {} of version {}", package.kind, package.version));
        }
    }
    Ok(())
}

/// A package is about to be created.
pub(super) fn package_leaves(request: &WireRequest, durable: &[Arc<Object>]) -> Result<(), String> {
    let body: Value = serde_json::from_slice(&request.body).map_err(|error| error.to_string())?;
    let version = body.get("version").and_then(Value::as_str).unwrap_or_default();
    let intended = |package: &OtaPackage| {
        let pending = package.status.iter().flat_map(|status| &status.pending);
        package.spec.version == version
            && pending.into_iter().any(|intent| intent.operation == CreateOperation::CreatePackage)
    };
    let is_durable =
        durable.iter().any(|object| matches!(object.as_ref(), Object::Package(package) if intended(package)));
    if is_durable { Ok(()) } else { Err(format!("package {version} leaves, and no intent of it is durable")) }
}

fn intended_stage(rollout: &OtaRollout, token: &str) -> Option<String> {
    let mut pending = rollout.status.iter().flat_map(|status| &status.pending);
    pending.find(|intent| intent.token == token)?.stage.clone()
}

fn intended_trial(package: &OtaPackage, token: &str) -> bool {
    let mut pending = package.status.iter().flat_map(|status| &status.pending);
    pending.any(|intent| intent.token == token && intent.operation == CreateOperation::CreateJob)
}

/// The identity of the package, when it is verified and every stage before has passed with all its gates.
fn released(rollout: &OtaRollout, stage: &str, durable: &[Arc<Object>]) -> Result<String, String> {
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
        let spec = rollout.spec.stages.iter().find(|spec| spec.name == before.name);
        let asked = spec.map_or(0, |spec| spec.gates.len());
        let passed = before.gates.iter().filter(|gate| gate.verdict == Verdict::Pass).count();
        let is_empty = before.jobs.is_empty();
        if before.phase != StagePhase::Passed || (passed < asked && !is_empty) {
            return Err(format!(
                "stage {stage} is released, and stage {} has not passed its gates",
                before.name
            ));
        }
    }
    Ok(status.package_identity.clone().unwrap_or_default())
}
