//! Law of finalizers: an object stays until its work in the cloud is over.

use super::Creates;
use crate::clouds::{JobTruth, PackageTruth};
use rollwave::api::{DeletionPolicy, FINALIZER, Object};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What was created for an object that is gone, and was so before, is over or was to stay.
pub(super) fn has_left(
    object: &Object,
    durable: &[Arc<Object>],
    jobs: &[JobTruth],
    packages: &[PackageTruth],
    creates: &Creates,
    ours: &BTreeSet<String>,
) -> Result<(), String> {
    let key = object.key();
    let uid = object.meta().uid.clone().unwrap_or_default();
    match object {
        Object::Cloud(_) => Ok(()),
        Object::Package(package) => {
            let id = package.status.as_ref().and_then(|status| status.package_id.clone());
            let is_there = |id: &String| packages.iter().any(|there| there.id == *id) && ours.contains(id);
            let goes = package.spec.deletion_policy == DeletionPolicy::Delete;
            match id.filter(|id| goes && is_there(id)) {
                Some(id) => Err(format!("{key} is gone, and its package {id} is in the cloud")),
                None => Ok(()),
            }
        }
        Object::Rollout(rollout) => {
            let name = &rollout.spec.package_ref.name;
            let has_package =
                durable.iter().any(|there| there.as_package().is_some() && there.key().name == *name);
            // Without its package there is no way to its cloud: it says so, and goes.
            let is_lost = |job: &JobTruth| {
                object.pending().iter().any(|call| !call.is_open() && Some(&call.token) == job.token.as_ref())
            };
            let mut jobs = creates.of(&uid, jobs).into_iter();
            let live = jobs.find(|job| has_package && !job.is_final && !is_lost(job));
            match live {
                Some(job) => Err(format!("{key} is gone, and its job {} goes on", job.name)),
                None => Ok(()),
            }
        }
    }
}

/// What is created for an object is created while our finalizer keeps it. One that leaves may be kept by somebody else's.
pub(crate) fn is_kept(object: &Object) -> Result<(), String> {
    let keeps = object.meta().finalizers.iter().flatten().any(|name| name == FINALIZER);
    if keeps || object.is_deleting() {
        return Ok(());
    }
    Err(format!("{} has an intent, and no finalizer of ours", object.key()))
}
