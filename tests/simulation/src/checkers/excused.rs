//! Which objects need something that fails for ever. Laws of rest are not held against these, and against no others.
//!
//! Whoever cannot know whether a device is free must wait: a job whose devices cannot be read holds everybody who wants one of
//! them, and a job of somebody else, of which nothing is known, everybody in its account.

use super::Creates;
use super::intent::{is_targeted, package_of};
use super::stages::kind_of;
use crate::broken::{Broken, Thing};
use crate::clouds::{self, JobTruth, PackageTruth};
use rollwave::api::{Object, ObjectKey, OtaPackage, OtaRollout};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What there is.
pub(super) struct Scene<'a> {
    pub(super) objects: &'a [Arc<Object>],
    pub(super) jobs: &'a [JobTruth],
    pub(super) packages: &'a [PackageTruth],
    pub(super) creates: &'a Creates,
}

/// Everybody who needs one of these, or waits for somebody who does.
pub(super) fn who_needs(broken: &[Broken], scene: &Scene<'_>) -> BTreeSet<ObjectKey> {
    if broken.is_empty() {
        return BTreeSet::new();
    }
    let mut found = who_owns(broken, scene);
    let wants =
        |object: &&Arc<Object>| broken.iter().any(|of| scene.is_in(object, of) && scene.wants(object, of));
    found.extend(scene.objects.iter().filter(wants).map(|object| object.key()));
    loop {
        let waits =
            |object: &&Arc<Object>| !found.contains(&object.key()) && scene.waits_for_one(object, &found);
        let waiting: Vec<ObjectKey> = scene.objects.iter().filter(waits).map(|object| object.key()).collect();
        if waiting.is_empty() {
            return found;
        }
        found.extend(waiting);
    }
}

/// Those whose own job, package or device it is, and the rollouts of such a package.
pub(super) fn who_owns(broken: &[Broken], scene: &Scene<'_>) -> BTreeSet<ObjectKey> {
    let owns = |object: &Object| broken.iter().any(|of| scene.owns(object, of));
    let of_package = |object: &Object| match object {
        Object::Rollout(rollout) => scene.package_of(rollout).is_some_and(&owns),
        _ => false,
    };
    let found = scene.objects.iter().filter(|object| owns(object) || of_package(object));
    found.map(|object| object.key()).collect()
}

impl Scene<'_> {
    fn package_of(&self, rollout: &OtaRollout) -> Option<&Object> {
        let package = package_of(rollout, self.objects)?;
        self.objects.iter().map(Arc::as_ref).find(|object| object.as_package() == Some(package))
    }

    fn package<'a>(&'a self, object: &'a Object) -> Option<&'a OtaPackage> {
        match object {
            Object::Rollout(rollout) => package_of(rollout, self.objects),
            _ => object.as_package(),
        }
    }

    /// The object is of the account in which this fails.
    pub(super) fn is_in(&self, object: &Object, broken: &Broken) -> bool {
        let Some(package) = self.package(object) else { return false };
        self.objects.iter().any(|object| match object.as_ref() {
            Object::Cloud(cloud) if object.key().name == package.spec.cloud_ref.name => {
                clouds::account_of(cloud).1 == broken.account
            }
            _ => false,
        })
    }

    fn owns(&self, object: &Object, broken: &Broken) -> bool {
        match &broken.what {
            Thing::Job(id) => {
                let sent = self.creates.sent_by(id).map(|sent| &sent.uid);
                (sent.is_some() && sent == object.meta().uid.as_ref()) || tells_of(object, id)
            }
            Thing::Device(id) => {
                let uid = object.meta().uid.as_deref();
                let mut members = self.creates.members.iter();
                self.reaches(object, id)
                    || members.any(|(sent, members)| Some(sent.uid.as_str()) == uid && members.contains(id))
            }
            Thing::Package(id) => {
                let is_its = object.as_package().is_some_and(|_| {
                    tells_of(object, id) || (self.is_in(object, broken) && self.is_like(object, id))
                });
                // What an unsettled call has made is listed by the package that it was to send.
                is_its || object.pending().iter().any(|call| call.package_id.as_ref() == Some(id))
            }
        }
    }

    /// The object is meant to bring this device to its version.
    fn reaches(&self, object: &Object, device: &str) -> bool {
        match object {
            Object::Rollout(rollout) => {
                let mut named = rollout.spec.targets.devices.iter().flatten();
                named.any(|named| named == device)
                    || package_of(rollout, self.objects)
                        .is_some_and(|package| is_targeted(rollout, package, device))
            }
            Object::Package(package) => {
                let trial = package.spec.verification.iter().flat_map(|trial| &trial.devices);
                trial.into_iter().any(|named| named == device)
            }
            Object::Cloud(_) => false,
        }
    }

    /// The package in the cloud with this id has the product and the version of this one.
    fn is_like(&self, object: &Object, id: &str) -> bool {
        let Some(package) = object.as_package() else { return false };
        self.packages.iter().any(|there| {
            there.id == id && there.kind == kind_of(package) && there.version == package.spec.version
        })
    }

    /// The object, of the same account, must know what this job does.
    fn wants(&self, object: &Object, broken: &Broken) -> bool {
        let Thing::Job(id) = &broken.what else { return false };
        let Some(job) = self.jobs.iter().find(|job| job.id == *id) else { return !self.creates.is_ours(id) };
        let package = object.as_package().and_then(|package| package.status.as_ref()?.package_id.as_ref());
        package.is_some_and(|id| job.packages.contains(id))
            || !self.creates.is_ours(id)
            || self.creates.devices_of(job).iter().any(|device| self.reaches(object, device))
    }

    /// A rollout waits for its package; a package that goes, for its rollouts; an account that goes, for its packages.
    fn waits_for_one(&self, object: &Object, found: &BTreeSet<ObjectKey>) -> bool {
        let names = |other: &Object| match (object, other) {
            (Object::Package(package), Object::Rollout(rollout)) => {
                package_of(rollout, self.objects).is_some_and(|named| named == package)
            }
            (Object::Cloud(_), Object::Package(package)) => package.spec.cloud_ref.name == object.key().name,
            _ => false,
        };
        let mut others = self.objects.iter().filter(|other| found.contains(&other.key()));
        match object {
            Object::Rollout(rollout) => self.package_of(rollout).is_some_and(|package| {
                found.contains(&package.key()) && (package.is_deleting() || !is_ready(package))
            }),
            _ => object.is_deleting() && others.any(|other| names(other)),
        }
    }
}

fn is_ready(package: &Object) -> bool {
    let conditions = package.as_package().and_then(|package| package.status.as_ref());
    conditions
        .is_some_and(|status| rollwave::api::condition_is_true(&status.conditions, rollwave::api::READY))
}

/// Its status names this id.
fn tells_of(object: &Object, id: &str) -> bool {
    let text = match object {
        Object::Package(package) => serde_json::to_string(&package.status),
        Object::Rollout(rollout) => serde_json::to_string(&rollout.status),
        Object::Cloud(_) => return false,
    };
    text.is_ok_and(|text| text.contains(&format!("\"{id}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn objects() -> Vec<Arc<Object>> {
        let package = |name: &str, id: &str| {
            let spec = json!({"cloudRef": {"name": "cloud0"}, "type": "Firmware", "product": {"id": "meter"},
                "version": "V2", "artifact": {"sha256": "ab".repeat(32), "file": "/a"}});
            let object =
                json!({"metadata": {"name": name, "uid": name}, "spec": spec, "status": {"packageId": id}});
            Object::Package(serde_json::from_value(object).unwrap())
        };
        let rollout = |name: &str, package: &str, device: &str, job: &str| {
            let job = json!({"id": job, "token": "t", "devices": 1, "state": "Running", "createdAt": "2026-01-05T12:00:00Z"});
            let stage = json!({"name": "s", "phase": "Running", "jobs": [job]});
            let targets = json!({"devices": [device]});
            let spec = json!({"packageRef": {"name": package}, "targets": targets, "stages": []});
            let object =
                json!({"metadata": {"name": name, "uid": name}, "spec": spec, "status": {"stages": [stage]}});
            Object::Rollout(serde_json::from_value(object).unwrap())
        };
        let account = json!({"metadata": {"name": "cloud0"}, "spec": {
            "enos": {"endpoint": "http://a", "orgId": "org0"},
            "credentials": {"accessKey": "env:A", "secretKey": "env:B"},
        }});
        let objects = [
            Object::Cloud(serde_json::from_value::<Value>(account).and_then(serde_json::from_value).unwrap()),
            package("p", "package-1"),
            package("q", "package-2"),
            rollout("r", "p", "device0-0001", "job-1"),
            rollout("s", "q", "device0-0002", "job-2"),
        ];
        objects.map(Arc::new).to_vec()
    }

    #[test]
    fn those_are_excused_whose_resource_is_broken_and_no_others() {
        let (objects, creates) = (objects(), Creates::default());
        let scene = Scene { objects: &objects, jobs: &[], packages: &[], creates: &creates };
        let who = |what| {
            let broken = [Broken { account: "org0".to_owned(), what }];
            who_owns(&broken, &scene).into_iter().map(|key| key.name).collect::<Vec<_>>()
        };
        assert_eq!(who(Thing::Job("job-1".to_owned())), ["r"]);
        assert_eq!(who(Thing::Device("device0-0002".to_owned())), ["s"]);
        assert_eq!(who(Thing::Package("package-1".to_owned())), ["p", "r"]);
        assert_eq!(who(Thing::Package("package-9".to_owned())), [] as [&str; 0]);
    }
}
